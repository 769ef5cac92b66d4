/** CPU, memory and pressure of each control group: services, containers, jobs. */
import { config } from "./cgroups/config.ts";
import { definePolledInput } from "./polling/declaration.ts";

export const cgroups = definePolledInput({
  name: "cgroups",
  description: "CPU time, memory and pressure of each control group (cgroup v1 and v2)",
  config,
  absentHint: "control groups are not mounted: see man 7 cgroups",
  async load(_, measuring) {
    const { CgroupsSource } = await import("./cgroups/source.ts");
    return {
      wanted: ({ poll_interval, disable_sources }) =>
        disable_sources
          ? []
          : [{ name: "cgroups", intervalMs: poll_interval, open: () => new CgroupsSource(measuring) }],
    };
  },
});
