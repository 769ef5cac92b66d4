/** Which points a rule of a transform is about: keys that a configuration has for it, and the test that they stand for. */
import type { AttributeValue, SeriesDefinition } from "../points/measurement.ts";
import type { WantedMetric } from "../plugin.ts";
import { optional, text } from "../schema.ts";
import { countStars, Pattern } from "./metric_names.ts";

const pattern = (what: string) =>
  optional(text({ doc: `${what}; \`*\` stands for any characters.`, default: "*" }));

/** Keys of a table; the table's check has to ask {@linkcode selectorProblem}. */
export const selectorKeys = {
  metric: pattern("The metric's name"),
  resource_kind: pattern("The kind of the resource"),
  resource_id: pattern("The id of the resource"),
  consumer_kind: pattern("The kind of the consumer"),
  consumer_id: pattern("The id of the consumer"),
  attribute: optional(text({ doc: "An attribute that the point must have.", default: "domain" })),
  attribute_value: pattern("Its value, as CSV shows it"),
};

/** A point fits when everything that is given fits. */
export type Selector = Partial<Record<keyof typeof selectorKeys, string | undefined>>;

export function selectorProblem({ attribute, attribute_value }: Selector) {
  return attribute_value !== undefined && attribute === undefined
    ? { key: "attribute_value", problem: 'name the attribute, too: attribute = "NAME"' } as const
    : undefined;
}

/** The key `rename` of a rule that gives metrics other names; the table's check is {@linkcode renamingProblem}. */
export function renameKey(options: { doc: string; default: string; unset?: string }) {
  return optional(text({ ...options, check: (name) => name === "" ? "it is empty" : undefined }));
}

export function renamingProblem(rule: Selector & { rename?: string | undefined }) {
  if (rule.rename !== undefined && countStars(rule.rename) > countStars(rule.metric ?? "")) {
    return { key: "rename", problem: "has more * than metric: nothing says what they stand for" } as const;
  }
  return selectorProblem(rule);
}

/** The metrics that `rules` name. */
export function rulesWant(rules: readonly Selector[]): WantedMetric[] {
  return rules.flatMap(({ metric }, i) =>
    metric === undefined ? [] : [{ path: ["rules", i, "metric"], metric }]
  );
}

/** Whether a series fits. */
export function testOf(selector: Selector): (series: SeriesDefinition) => boolean {
  const tests: ((series: SeriesDefinition) => boolean)[] = [];
  const add = (text: string | undefined, of: (series: SeriesDefinition) => string) => {
    if (text === undefined) return;
    const pattern = new Pattern(text);
    tests.push((series) => pattern.matches(of(series)));
  };
  add(selector.metric, ({ metric }) => metric.name);
  add(selector.resource_kind, ({ resourceKind }) => resourceKind);
  add(selector.resource_id, ({ resourceId }) => resourceId);
  add(selector.consumer_kind, ({ consumerKind }) => consumerKind);
  add(selector.consumer_id, ({ consumerId }) => consumerId);
  if (selector.attribute !== undefined) {
    const value = new Pattern(selector.attribute_value ?? "*");
    tests.push(({ attributes }) =>
      attributes.some(([name, found]) => name === selector.attribute && value.matches(attributeText(found)))
    );
  }
  return (series) => tests.every((test) => test(series));
}

/** As CSV shows it. */
export function attributeText(value: AttributeValue): string {
  return Array.isArray(value) ? `[${value.join(", ")}]` : String(value);
}
