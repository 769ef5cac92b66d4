/** The keys of `[plugins.intel-gpu]`. */
import { table } from "../../schema.ts";
import { processes } from "../drm/keys.ts";
import { flushInterval, pollInterval } from "../polling/keys.ts";

export const config = table({
  poll_interval: pollInterval("1s"),
  flush_interval: flushInterval("5s"),
  processes,
}, {
  doc:
    "Intel's GPUs. The metrics are those of amd-gpu, as they are the same quantities; the resource of their points is the " +
    "PCI address.",
});
