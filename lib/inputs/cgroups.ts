/** CPU, memory and pressure of each control group: services, containers, jobs. */
import { config } from "./cgroups/config.ts";
import { definePolledInput } from "./polling/declaration.ts";

export const cgroups = definePolledInput({
  name: "cgroups",
  description: "CPU time, memory and pressure of each control group (cgroup v1 and v2)",
  config,
  metrics: ["cpu_time_delta s", "cpu_percent %", "memory_* By", "cgroup_* *", "io_pressure_* s"],
  absentHint: "control groups are not mounted: see man 7 cgroups",
  async load(_, measuring) {
    const { CgroupsSources } = await import("./cgroups/input.ts");
    return new CgroupsSources(measuring);
  },
});
