/** Batteries and mains of laptops, and other supplies that the kernel knows. */
import { definePolledInput } from "./polling/declaration.ts";
import { oneSource } from "./polling/source.ts";
import { config } from "./power_supply/config.ts";

export const powerSupply = definePolledInput({
  name: "power-supply",
  description: "Power and energy of batteries, and whether mains are connected, from /sys/class/power_supply",
  config,
  measuresEnergy: true,
  async load(_, measuring) {
    const { PowerSupplySource } = await import("./power_supply/source.ts");
    return oneSource("power-supply", () => new PowerSupplySource(measuring));
  },
});
