/** NVIDIA's GPUs, by the vendor's library. */
import { config } from "./nvml/config.ts";
import { definePolledInput } from "./polling/declaration.ts";

export const nvml = definePolledInput({
  name: "nvml",
  description:
    "Power, energy, utilization, memory, processes and temperature of NVIDIA GPUs, from the driver's library",
  config,
  metrics: ["nvml_energy_consumption J", "nvml_instant_power W", "nvml_* *"],
  measuresEnergy: true,
  devices: [{ name: "nvidia*", reason: "the driver's library opens them" }],
  absentHint: "the driver of NVIDIA may be missing: its library is libnvidia-ml.so.1",
  async load(_, measuring) {
    const { NvmlSource } = await import("./nvml/source.ts");
    return {
      wanted: (config) => [{
        name: "nvml",
        intervalMs: config.poll_interval,
        flushIntervalMs: config.flush_interval,
        madeWith: [config.mode, config.poll_interval],
        open: () => new NvmlSource(config, measuring),
      }],
    };
  },
});
