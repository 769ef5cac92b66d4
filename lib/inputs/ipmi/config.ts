/** The keys of `[plugins.ipmi]`. */
import { duration, table } from "../../schema.ts";
import { flushInterval, pollInterval } from "../polling/keys.ts";

export const config = table({
  poll_interval: pollInterval("5s"),
  flush_interval: flushInterval("5s"),
  timeout: duration({
    doc: "The longest time that the management controller may take to answer.",
    default: "10s",
    min: "100ms",
  }),
}, {
  doc:
    "Power of the whole machine, from its management controller (BMC), by the kernel's device or ipmitool.",
});
