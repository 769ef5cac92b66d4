/** CPU, memory and pressure of OAR's jobs, by their control groups. */
import { config } from "./oar/config.ts";
import { definePolledInput } from "./polling/declaration.ts";

export const oar = definePolledInput({
  name: "oar",
  description: "CPU time, memory and pressure of OAR's jobs",
  config,
  metrics: ["cpu_time_delta s", "cpu_percent %", "memory_* By", "cgroup_* *", "io_pressure_* s"],
  absentHint:
    "no job of OAR runs on this machine, or OAR does not use control groups (its job resource manager)",
  async load(config, measuring) {
    const { openOar } = await import("./oar/input.ts");
    return openOar(config, measuring);
  },
});
