/** The keys of `[plugins.amd-gpu]`: names and defaults are those of Alumet, except `processes`. */
import { flag, table } from "../../schema.ts";
import { processes } from "../drm/keys.ts";
import { flushInterval, pollInterval } from "../polling/keys.ts";

export const config = table({
  poll_interval: pollInterval("1s"),
  flush_interval: flushInterval("5s"),
  skip_failed_devices: flag({
    doc:
      "Accepted as in Alumet's file, without effect: a GPU that fails never keeps others from being measured.",
    default: true,
  }),
  processes,
}, { doc: "AMD's GPUs. The resource of their points is the PCI address." });
