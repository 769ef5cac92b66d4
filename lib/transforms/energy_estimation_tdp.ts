/** Energy estimated from CPU time and the power of the processor, with the name and the keys of Alumet's plugin. */
import { definePlugin, type PluginContext } from "../plugin.ts";
import { config, type TdpConfig } from "./energy_estimation_tdp/config.ts";

export const energyEstimationTdp = definePlugin({
  name: "energy-estimation-tdp",
  kind: "transform",
  description:
    "Estimates the energy of a processor without meters from its CPU time and its thermal design power",
  config,
  metrics: ["estimated_consumed_energy J"],
  wants: () => [{ path: [], metric: "kernel_cpu_time", bases: ["s"] }],
  async open(options: TdpConfig, context: PluginContext) {
    const { EnergyEstimation } = await import("./energy_estimation_tdp/transform.ts");
    return new EnergyEstimation(options, context);
  },
});
