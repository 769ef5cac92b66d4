/** AMD's GPUs, as the kernel's driver has them: no library of the vendor is needed. */
import { config } from "./amd_gpu/config.ts";
import { definePolledInput } from "./polling/declaration.ts";
import { oneSource } from "./polling/source.ts";

export const amdGpu = definePolledInput({
  name: "amd-gpu",
  description:
    "Power, energy, activity, memory and temperatures of AMD GPUs, from the kernel's driver amdgpu",
  config,
  measuresEnergy: true,
  async load(_, measuring) {
    const { AmdGpuSource } = await import("./amd_gpu/source.ts");
    return oneSource("amd-gpu", () => new AmdGpuSource(measuring));
  },
});
