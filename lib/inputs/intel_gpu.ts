/** Intel's GPUs, as the kernel's drivers have them. */
import { capabilities } from "./drm/keys.ts";
import { config } from "./intel_gpu/config.ts";
import { definePolledInput } from "./polling/declaration.ts";
import { oneSource } from "./polling/source.ts";

export const intelGpu = definePolledInput({
  name: "intel-gpu",
  description:
    "Energy, activity, voltage, temperatures and processes of Intel GPUs, from the kernel's drivers i915 and xe",
  config,
  metrics: ["amd_gpu_power_consumption W", "amd_gpu_energy_consumption J", "amd_gpu_* *", "gpu_* *"],
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
