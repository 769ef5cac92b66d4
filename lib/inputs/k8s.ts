/** CPU, memory and pressure of the pods of Kubernetes on this machine, by their control groups. */
import { config } from "./k8s/config.ts";
import { definePolledInput } from "./polling/declaration.ts";

export const k8s = definePolledInput({
  name: "k8s",
  description: "CPU time, memory and pressure of the pods of Kubernetes on this machine, with their names",
  config,
  metrics: ["cpu_time_delta s", "cpu_percent %", "memory_* By", "cgroup_* *", "io_pressure_* s"],
  absentHint:
    "no pod runs on this machine, or its control groups are hidden: in a container mount /sys/fs/cgroup of the host",
  async load(config, measuring) {
    const { openK8s } = await import("./k8s/input.ts");
    return openK8s(config, measuring);
  },
});
