/** The keys of `[plugins.filter]`: Alumet's `include` and `exclude`, and rules that look at more than the metric. */
import { choice, type Infer, list, optional, table, tables, text } from "../../schema.ts";

const metric = text({ doc: "The name of a metric; `*` stands for any characters.", default: "" });
const pattern = (what: string) =>
  optional(text({ doc: `${what}; \`*\` stands for any characters.`, default: "*" }));

const rule = table({
  action: choice(["include", "exclude"], { doc: "What happens to a point that fits.", default: "exclude" }),
  metric: pattern("The metric's name"),
  resource_kind: pattern("The kind of the resource"),
  resource_id: pattern("The id of the resource"),
  consumer_kind: pattern("The kind of the consumer"),
  consumer_id: pattern("The id of the consumer"),
  attribute: optional(text({ doc: "An attribute that the point must have.", default: "domain" })),
  attribute_value: pattern("Its value, as CSV shows it"),
}, {
  doc: "A rule. A point fits when everything that the rule names fits.",
  check: (rule) =>
    rule.attribute_value !== undefined && rule.attribute === undefined
      ? { key: "attribute_value", problem: 'name the attribute, too: attribute = "NAME"' }
      : undefined,
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
