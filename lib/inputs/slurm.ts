/** CPU, memory and pressure of Slurm's jobs, by their control groups. */
import { definePolledInput } from "./polling/declaration.ts";
import { config } from "./slurm/config.ts";

export const slurm = definePolledInput({
  name: "slurm",
  description: "CPU time, memory and pressure of Slurm's jobs",
  config,
  metrics: ["cpu_time_delta s", "cpu_percent %", "memory_* By", "cgroup_* *", "io_pressure_* s"],
  absentHint:
    "no job of Slurm runs on this machine, or Slurm does not use control groups: proctrack/cgroup in slurm.conf",
  async load(config, measuring) {
    const { openSlurm } = await import("./slurm/input.ts");
    return openSlurm(config, measuring);
  },
});
