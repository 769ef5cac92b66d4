/** Makes rates of what was counted since the last point, and differences of counters. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { resolveMemory } from "./memory.ts";
import { config, patience, type RatesConfig, wants } from "./rates/config.ts";

export const rates = definePlugin({
  name: "rates",
  kind: "transform",
  staged: true,
  description: "Makes rates of differences (joules become watts), and differences of counters",
  config,
  wants,
  patience,
  resolve: resolveMemory,
  async open(options: RatesConfig, context: PluginContext) {
    const { Rates } = await import("./rates/transform.ts");
    return new Rates(options, context);
  },
});
