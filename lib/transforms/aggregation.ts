/** One point for each series and window, with the name and the keys of Alumet's plugin. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { type AggregationConfig, config } from "./aggregation/config.ts";
import { resolveMemory } from "./memory.ts";

export const aggregation = definePlugin({
  name: "aggregation",
  kind: "transform",
  staged: true,
  description: "Makes one point of all points of a series in a window of time: sum, mean, percentiles …",
  config,
  wants: ({ metrics }: AggregationConfig) => metrics.map((metric, i) => ({ path: ["metrics", i], metric })),
  patience: ({ interval }: AggregationConfig) => [{
    path: ["interval"],
    ms: interval,
    withFlush: false,
    problem: "most windows have one point of it, or none",
  }],
  resolve: resolveMemory,
  async open(options: AggregationConfig, context: PluginContext) {
    const { Aggregation } = await import("./aggregation/transform.ts");
    return new Aggregation(options, context);
  },
});
