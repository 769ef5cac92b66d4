/** What processes use, for their control groups, with the name and the keys of Alumet's plugin. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { type BridgeConfig, config } from "./process_to_cgroup_bridge/config.ts";

export const processToCgroupBridge = definePlugin({
  name: "process-to-cgroup-bridge",
  kind: "transform",
  isLocal: true,
  description: "Adds points of control groups to those of their processes, such as the memory of a GPU",
  config,
  metrics: [],
  wants: ({ processes_metrics }: BridgeConfig) =>
    processes_metrics.map((metric, i) => ({ path: ["processes_metrics", i], metric })),
  async open(options: BridgeConfig, context: PluginContext) {
    const { Bridge } = await import("./process_to_cgroup_bridge/transform.ts");
    return new Bridge(options, context);
  },
});
