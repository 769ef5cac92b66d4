/** The keys of `[plugins.power-supply]`. */
import { table } from "../../schema.ts";
import { flushInterval, pollInterval } from "../polling/keys.ts";

export const config = table({
  poll_interval: pollInterval("5s"),
  flush_interval: flushInterval("5s"),
}, { doc: "Batteries and mains. While a battery is discharging, its power is that of the whole machine." });
