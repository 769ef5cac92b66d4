/** Divides energy among those who have used it, with the name and the keys of Alumet's plugin. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { type AttributionConfig, config, metrics, wants } from "./energy_attribution/config.ts";

export const energyAttribution = definePlugin({
  name: "energy-attribution",
  kind: "transform",
  staged: true,
  description: "Divides energy among processes, control groups, jobs, or by formulas of your own",
  config,
  metrics,
  wants,
  async open(options: AttributionConfig, context: PluginContext) {
    const { EnergyAttribution } = await import("./energy_attribution/transform.ts");
    return new EnergyAttribution(options, context);
  },
});
