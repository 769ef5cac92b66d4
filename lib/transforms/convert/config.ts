/** The keys of `[plugins.convert]`. */
import type { WantedMetric } from "../../plugin.ts";
import { basesAlike, parseUnit } from "../../points/units.ts";
import { flag, type Infer, optional, table, tables, text } from "../../schema.ts";
import { countStars } from "../metric_names.ts";
import { rulesWant, selectorKeys, selectorProblem } from "../selector.ts";

const rule = table({
  ...selectorKeys,
  unit: text({
    doc:
      "The unit of the result, such as `kWh`, `mJ`, `MB` or `%`. Metrics that do not measure the same pass.",
    default: "kWh",
    check: (name) =>
      parseUnit(name) === undefined
        ? "it is not a unit; write n, μ, m, k, M or G, or nothing, before s, W, J, Wh, V, A, Hz, B, °C or %"
        : undefined,
  }),
  rename: optional(text({
    doc:
      "The name of the result; each `*` stands for what the same `*` of `metric` stands for. A name means one unit, so the result needs a name of its own.",
    unset: "the name, and `_converted`",
    default: "*_kwh",
    check: (name) => name === "" ? "it is empty" : undefined,
  })),
  keep: flag({ doc: "Whether the point that is converted stays, too.", default: false }),
}, {
  doc: "A rule. A point fits when everything that the rule names fits.",
  check(rule) {
    if (rule.rename !== undefined && countStars(rule.rename) > countStars(rule.metric ?? "")) {
      return { key: "rename", problem: "has more * than metric: nothing says what they stand for" };
    }
    return selectorProblem(rule);
  },
});

export const config = table({
  rules: tables(rule, {
    doc: "Rules, in their order: the first one that fits is applied.",
    default: [],
  }),
}, { doc: "Converts metrics to other units." });

export type ConvertConfig = Infer<typeof config>;
export type ConvertRule = Infer<typeof rule>;

/** The metrics that it names. */
export function wants({ rules }: ConvertConfig): WantedMetric[] {
  return rules.flatMap((rule, i) =>
    rulesWant([rule]).map(({ metric }) => ({
      path: ["rules", i, "metric"],
      metric,
      bases: basesAlike(parseUnit(rule.unit)!),
    }))
  );
}
