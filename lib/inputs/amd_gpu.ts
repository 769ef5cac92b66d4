/** AMD's GPUs, as the kernel's driver has them: no library of the vendor is needed. */
import { config } from "./amd_gpu/config.ts";
import { capabilities } from "./drm/keys.ts";
import { definePolledInput } from "./polling/declaration.ts";
import { oneSource } from "./polling/source.ts";

export const amdGpu = definePolledInput({
  name: "amd-gpu",
  description:
    "Power, energy, activity, memory, temperatures and processes of AMD GPUs, from the kernel's driver amdgpu",
  config,
  metrics: ["amd_gpu_power_consumption W", "amd_gpu_energy_consumption J", "amd_gpu_* *", "gpu_* *"],
  capabilities,
  measuresEnergy: true,
  async load({ processes }, measuring) {
    const { DrmSource } = await import("./drm/source.ts");
    const options = {
      name: "amd-gpu",
      vendor: "AMD",
      drivers: ["amdgpu"],
      processes: processes !== "none",
    } as const;
    return oneSource("amd-gpu", () => new DrmSource(options, measuring));
  },
});
