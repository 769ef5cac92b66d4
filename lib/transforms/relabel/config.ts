/** The keys of `[plugins.relabel]`. */
import type { WantedMetric } from "../../plugin.ts";
import { CLIENT_ATTRIBUTE } from "../../points/measurement.ts";
import { type Infer, list, named, optional, table, tables, text } from "../../schema.ts";
import { renameKey, renamingProblem, rulesWant, selectorKeys } from "../selector.ts";

const reserved = (name: string) =>
  name === CLIENT_ATTRIBUTE ? "it says which client a point came from, and cannot be changed" : undefined;
const attributeName = text({
  doc: "The name of an attribute.",
  default: "",
  check: (name) => name === "" ? "it is empty" : reserved(name),
});
const checkName = (name: string) => {
  const problem = reserved(name);
  return problem && `cannot use ${CLIENT_ATTRIBUTE}: ${problem}`;
};

const rule = table({
  ...selectorKeys,
  rename: renameKey({
    doc: "The new name of the metric; each `*` stands for what the same `*` of `metric` stands for.",
    default: "host_*",
  }),
  add: named(text({ doc: "The value.", default: "" }), {
    doc: "Attributes that the point gets, by their names; one that it already has gets this value.",
    exampleName: "site",
    checkName,
  }),
  drop: list(attributeName, {
    doc: "Attributes that are removed; `*` stands for any characters.",
    default: [],
  }),
  rename_attributes: named(attributeName, {
    doc: "New names of attributes, by their old names. The point loses another attribute with the new name.",
    exampleName: "old",
    checkName,
  }),
  hash: list(attributeName, {
    doc: "Attributes whose values are replaced by 16 hexadecimal digits: equal values stay equal.",
    default: [],
  }),
}, {
  doc: "A rule. A point fits when everything that the rule names fits.",
  check: renamingProblem,
});

export const config = table({
  rules: tables(rule, {
    doc:
      "Rules, in their order: each one that fits is applied to what the ones before it have made of a point.",
    default: [],
  }),
  hash_key: optional(text({
    doc: "A secret for `hash`. Without it, who can guess a value can check the guess.",
    unset: "values are hashed without a secret",
    default: "${RELABEL_KEY}",
    secret: true,
  })),
}, { doc: "Renames metrics, and changes attributes." });

export type RelabelConfig = Infer<typeof config>;
export type RelabelRule = Infer<typeof rule>;

/** The metrics that it names; a rule may name what one before it has renamed. */
export function wants({ rules }: RelabelConfig): WantedMetric[] {
  return rules.some(({ rename }) => rename !== undefined) ? [] : rulesWant(rules);
}
