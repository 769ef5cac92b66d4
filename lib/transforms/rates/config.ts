/** The keys of `[plugins.rates]`. */
import type { Patience, WantedMetric } from "../../plugin.ts";
import { choice, duration, flag, type Infer, table, tables } from "../../schema.ts";
import { memoryKey } from "../memory.ts";
import { renameKey, renamingProblem, rulesWant, selectorKeys } from "../selector.ts";

const rule = table({
  ...selectorKeys,
  as: choice(["rate", "difference", "counter_rate"], {
    doc:
      "`rate`: a value since the last point becomes a value per second. `difference`: a counter becomes what it has counted since the last point; one that went back has begun at 0 again. `counter_rate`: both.",
    default: "rate",
  }),
  rename: renameKey({
    doc: "The name of the result; each `*` stands for what the same `*` of `metric` stands for.",
    unset: "the name, and `_rate` or `_difference`",
    default: "*_watts",
  }),
  keep: flag({ doc: "Whether the point itself stays, too.", default: false }),
}, {
  doc: "A rule. A point fits when everything that the rule names fits.",
  check: renamingProblem,
});

export const config = table({
  rules: tables(rule, { doc: "Rules, in their order: the first one that fits is applied.", default: [] }),
  retention_time: duration({
    doc:
      "How long the last point of a series is remembered: more than the slowest poll. After a longer silence, the next point is a first one.",
    default: "2m",
    min: "2s",
    max: "1h",
  }),
  memory: memoryKey(
    "Most memory for the last points and their series. If they take more, those that came first are forgotten: the next point of their series is a first one.",
  ),
}, { doc: "Makes rates of differences, and differences of counters." });

export type RatesConfig = Infer<typeof config>;
export type RateRule = Infer<typeof rule>;

/** The metrics that it names. */
export function wants({ rules }: RatesConfig): WantedMetric[] {
  return rulesWant(rules);
}

/** How slow inputs may be. */
export function patience({ retention_time }: RatesConfig): Patience[] {
  const problem = "the last point is forgotten before the next one comes";
  return [{ path: ["retention_time"], ms: retention_time, withFlush: true, problem }];
}
