/** The keys of `[plugins.aggregation]`: Alumet's, more functions, and how long windows wait. */
import { duration, flag, type Infer, list, oneOrMore, optional, table, text } from "../../schema.ts";
import { memoryKey } from "../memory.ts";
import { functionOf } from "./functions.ts";

/** Most windows of one series that the grace keeps open. */
const MAX_GRACE_WINDOWS = 64;
/** The grace where none is set, in ms, unless the interval is shorter. */
const USUAL_GRACE_MS = 5000;

export const config = table({
  interval: duration({
    doc: "The length of the windows, in whole milliseconds. They begin at multiples of it since 1970 (UTC).",
    default: "60s",
    min: "1ms",
  }),
  function: oneOrMore(text({
    doc:
      "What is made of the points of one series in one window: Sum, Mean, Min, Max, Count, Last, Rate (the sum by second) or " +
      "a percentile such as P95, or a list of these. The result of Sum is the metric NAME_sum, and so on.",
    default: "Sum",
    check: (name) =>
      functionOf(name) === undefined
        ? "it is not one of Sum, Mean, Min, Max, Count, Last, Rate, or a percentile from P0 to P100"
        : undefined,
  })),
  metrics: list(text({ doc: "The name of a metric; `*` stands for any characters.", default: "" }), {
    doc: "Which metrics are aggregated. All other points pass.",
    default: [],
  }),
  group_by: optional(list(
    text({
      doc: "resource, resource_kind, consumer, consumer_kind, relay_client, or the name of an attribute.",
      default: "resource",
    }),
    {
      doc:
        "Aggregate all series together that are equal in these. Without it, each series is aggregated by itself.",
      default: ["relay_client", "resource"],
    },
  )),
  grace: optional(duration({
    doc:
      "How much later than the end of a window its points may come: the window stays open until a point of the same series " +
      "is that much younger than its end, or until nothing has come for it for an interval and the grace.",
    unset: "5s, or the interval if that is shorter",
    default: "5s",
    min: "0s",
  })),
  complete_at_stop: flag({
    doc:
      "Complete open windows at a stop. Otherwise they stay in a journal on disk, and the next start continues with them.",
    default: false,
  }),
  memory: memoryKey(
    "Most memory for open windows and their series. If they take more, all of them are completed early.",
  ),
}, {
  doc:
    "Replaces the points of some metrics by one for each series and window: fewer points, and no point is lost or counted " +
    "twice, whatever is killed, if the journal is on disk.",
  check({ interval, grace = 0, metrics }) {
    if (!Number.isInteger(interval)) return { key: "interval", problem: "is not a whole number of ms" };
    if (grace > MAX_GRACE_WINDOWS * interval) {
      return { key: "grace", problem: `is more than ${MAX_GRACE_WINDOWS} intervals` };
    }
    if (metrics.includes("")) return { key: "metrics", problem: "has an empty name" };
  },
});

export type AggregationConfig = Infer<typeof config>;

/** The grace in effect, in ms. */
export function graceOf({ interval, grace }: AggregationConfig): number {
  return grace ?? Math.min(USUAL_GRACE_MS, interval);
}
