/** What energies cause in CO₂, with the name and the keys of Alumet's plugin. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { type CarbonConfig, config, wants } from "./energy_to_carbon/config.ts";

export const energyToCarbon = definePlugin({
  name: "energy-to-carbon",
  kind: "transform",
  description: "Adds to each energy what its electricity has emitted, in grams of CO₂",
  config,
  metrics: ["carbon_emission g_CO2"],
  wants,
  async open(options: CarbonConfig, context: PluginContext) {
    const { EnergyToCarbon } = await import("./energy_to_carbon/transform.ts");
    return new EnergyToCarbon(options, context);
  },
});
