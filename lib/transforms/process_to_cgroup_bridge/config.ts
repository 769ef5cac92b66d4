/** The keys of `[plugins.process-to-cgroup-bridge]`: Alumet's, and how points are merged. */
import { choice, flag, type Infer, list, table, text } from "../../schema.ts";

export const config = table({
  processes_metrics: list(
    text({ doc: "The name of a metric; `*` stands for any characters.", default: "" }),
    {
      doc: "Metrics of processes of which control groups get points, too.",
      default: [],
    },
  ),
  merge_similar_cgroups: flag({
    doc: "Whether the processes of a group make one point, for each resource, attributes and time.",
    default: true,
  }),
  merge: choice(["sum", "mean", "max"], {
    doc: "What that point is. Alumet has the mean.",
    default: "sum",
  }),
  keep_processed_measurements: flag({ doc: "Whether the points of processes stay, too.", default: true }),
}, {
  doc: "Adds points of control groups to those of their processes, on the machine that measures them.",
  check: ({ processes_metrics }) =>
    processes_metrics.length === 0
      ? { key: "processes_metrics", problem: 'name the metrics, for example ["nvml_process_*"]' }
      : undefined,
});

export type BridgeConfig = Infer<typeof config>;
