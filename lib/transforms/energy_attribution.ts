/** Divides energy among those who have used it, with the name and the keys of Alumet's plugin. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { type AttributionConfig, config, metrics, wants } from "./energy_attribution/config.ts";
import { resolveMemory } from "./memory.ts";

export const energyAttribution = definePlugin({
  name: "energy-attribution",
  kind: "transform",
  staged: true,
  description: "Divides energy among processes, control groups, jobs, or by formulas of your own",
  config,
  metrics,
  wants,
  patience({ energy_by, retention_time, formulas }: AttributionConfig) {
    const patience = (path: readonly string[], ms: number) => ({
      path,
      // Two points of the slower series have to be there at one time.
      ms: ms / 2,
      withFlush: true,
      problem: "points are forgotten before they can be attributed",
    });
    return [
      ...energy_by.length > 0 ? [patience(["retention_time"], retention_time)] : [],
      ...Object.entries(formulas).map(([name, { retention_time }]) =>
        patience(["formulas", name, "retention_time"], retention_time)
      ),
    ];
  },
  resolve: resolveMemory,
  async open(options: AttributionConfig, context: PluginContext) {
    const { EnergyAttribution } = await import("./energy_attribution/transform.ts");
    return new EnergyAttribution(options, context);
  },
});
