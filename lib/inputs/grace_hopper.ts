/** Power of NVIDIA's Grace and Grace Hopper modules, from their ACPI power meters. */
import { config } from "./grace_hopper/config.ts";
import { definePolledInput } from "./polling/declaration.ts";
import { oneSource } from "./polling/source.ts";

export const graceHopper = definePolledInput({
  name: "grace-hopper",
  description: "Power and energy of NVIDIA Grace and Grace Hopper modules, from their ACPI power meters",
  config,
  metrics: ["grace_instant_power W", "grace_energy_consumption J"],
  measuresEnergy: true,
  async load(config, measuring) {
    const { GraceSource } = await import("./grace_hopper/source.ts");
    return oneSource("grace-hopper", () => new GraceSource(config, measuring));
  },
});
