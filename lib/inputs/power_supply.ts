/** Batteries and mains of laptops, and other supplies that the kernel knows. */
import { definePolledInput } from "./polling/declaration.ts";
import { oneSource } from "./polling/source.ts";
import { config } from "./power_supply/config.ts";

export const powerSupply = definePolledInput({
  name: "power-supply",
  description: "Power and energy of batteries, and whether mains are connected, from /sys/class/power_supply",
  config,
  metrics: ["power_supply_power W", "power_supply_energy W.h", "power_supply_* 1"],
  measuresEnergy: true,
  async load(_, measuring) {
    const { PowerSupplySource } = await import("./power_supply/source.ts");
    return oneSource("power-supply", () => new PowerSupplySource(measuring));
  },
});
