/** The keys of `[plugins.hwmon]`. */
import { table } from "../../schema.ts";
import { flushInterval, pollInterval } from "../polling/keys.ts";

export const config = table({
  poll_interval: pollInterval("1s"),
  flush_interval: flushInterval("5s"),
}, { doc: "Every sensor of power and energy. Several may measure the same: do not add them." });
