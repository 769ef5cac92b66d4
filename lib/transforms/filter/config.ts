/** The keys of `[plugins.filter]`: Alumet's `include` and `exclude`, and rules that look at more than the metric. */
import type { WantedMetric } from "../../plugin.ts";
import { choice, type Infer, list, optional, table, tables, text } from "../../schema.ts";
import { rulesWant, selectorKeys, selectorProblem } from "../selector.ts";

const metric = text({ doc: "The name of a metric; `*` stands for any characters.", default: "" });

const rule = table({
  action: choice(["include", "exclude"], { doc: "What happens to a point that fits.", default: "exclude" }),
  ...selectorKeys,
}, {
  doc: "A rule. A point fits when everything that the rule names fits.",
  check: selectorProblem,
});

export type FilterRule = Infer<typeof rule>;

export const config = table({
  include: optional(list(metric, { doc: "Only these metrics pass.", default: [] })),
  exclude: optional(list(metric, { doc: "All metrics but these pass.", default: [] })),
  rules: tables(rule, {
    doc:
      "Rules, in their order: the first one that fits decides. Points that none fits are left to include and exclude.",
    default: [],
  }),
}, {
  doc: "Lets points pass, or takes them out. Without include, exclude and rules all points pass.",
  check: ({ include, exclude }) =>
    include !== undefined && exclude !== undefined
      ? { key: "exclude", problem: "cannot be set together with include: choose one, or use rules" }
      : undefined,
});

export type FilterConfig = Infer<typeof config>;

/** The metrics that it names. */
export function wants({ include, exclude, rules }: FilterConfig): WantedMetric[] {
  return [
    ...(include ?? []).map((metric, i) => ({ path: ["include", i], metric })),
    ...(exclude ?? []).map((metric, i) => ({ path: ["exclude", i], metric })),
    ...rulesWant(rules),
  ];
}
