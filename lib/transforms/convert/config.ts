/** The keys of `[plugins.convert]`. */
import type { WantedMetric } from "../../plugin.ts";
import { basesAlike, parseUnit } from "../../points/units.ts";
import { flag, type Infer, table, tables, text } from "../../schema.ts";
import { renameKey, renamingProblem, rulesWant, selectorKeys } from "../selector.ts";

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
  rename: renameKey({
    doc:
      "The name of the result; each `*` stands for what the same `*` of `metric` stands for. A name means one unit, so the result needs a name of its own.",
    unset: "the name, and `_converted`",
    default: "*_kwh",
  }),
  keep: flag({ doc: "Whether the point that is converted stays, too.", default: false }),
}, {
  doc: "A rule. A point fits when everything that the rule names fits.",
  check: renamingProblem,
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
