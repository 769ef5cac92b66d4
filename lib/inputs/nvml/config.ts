/** The keys of `[plugins.nvml]`: names and defaults are those of Alumet. */
import { choice, flag, type Infer, table } from "../../schema.ts";
import { flushInterval, pollInterval } from "../polling/keys.ts";

export const config = table({
  poll_interval: pollInterval("1s"),
  flush_interval: flushInterval("5s"),
  skip_failed_devices: flag({
    doc:
      "Accepted as in Alumet's file, without effect: a GPU that fails never keeps others from being measured.",
    default: true,
  }),
  mode: choice(["full", "minimal"], {
    doc: "`minimal` measures the power alone, and the energy that follows from it: one call for each GPU.",
    default: "full",
  }),
}, { doc: "NVIDIA's GPUs. The resource of their points is the PCI address." });

export type NvmlConfig = Infer<typeof config>;
