/** Intel's GPUs, as the kernel's drivers have them. */
import { capabilities } from "./drm/keys.ts";
import { config } from "./intel_gpu/config.ts";
import { definePolledInput } from "./polling/declaration.ts";
import { oneSource } from "./polling/source.ts";

export const intelGpu = definePolledInput({
  name: "intel-gpu",
  description:
    "Energy, voltage, temperatures and processes of Intel GPUs, from the kernel's drivers i915 and xe",
  config,
  capabilities,
  measuresEnergy: true,
  async load({ processes }, measuring) {
    const { DrmSource } = await import("./drm/source.ts");
    const options = {
      name: "intel-gpu",
      vendor: "Intel",
      drivers: ["i915", "xe"],
      processes: processes !== "none",
    } as const;
    return oneSource("intel-gpu", () => new DrmSource(options, measuring));
  },
});
