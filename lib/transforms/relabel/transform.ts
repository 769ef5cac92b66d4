/** The transform behind {@linkcode ../relabel.ts}. */
import { createHash, createHmac } from "node:crypto";
import {
  type Attribute,
  type AttributeValue,
  type Batch,
  CLIENT_ATTRIBUTE,
  type Metric,
  type SeriesDefinition,
} from "../../points/measurement.ts";
import type { PluginContext, Transform } from "../../plugin.ts";
import { DerivedSeries, withDefinition } from "../derived_series.ts";
import { MetricNames, Pattern } from "../metric_names.ts";
import { Rewriter } from "../rewriting.ts";
import { attributeText, testOf } from "../selector.ts";
import type { RelabelConfig, RelabelRule } from "./config.ts";

const HASH_DIGITS = 16;

type Change = (series: SeriesDefinition) => SeriesDefinition;

export class Relabel implements Transform {
  readonly #names: MetricNames;
  readonly #rewriter = new Rewriter();
  readonly #derived: DerivedSeries;

  constructor(
    { rules, hash_key }: RelabelConfig,
    { registry, log, clock }: Pick<PluginContext, "registry" | "log" | "clock">,
  ) {
    this.#names = new MetricNames(rules.flatMap(({ metric = [] }) => metric), log, clock);
    const rename = (metric: Metric, name: string) =>
      name === metric.name ? metric : registry.register({ ...metric, name }, "relabel");
    const changes = rules.map((rule) => changeOf(rule, rename, hash_key));
    this.#derived = new DerivedSeries(withDefinition((series) =>
      changes.reduce((series, change) => {
        this.#names.has(series.metric.name);
        return change(series);
      }, series)
    ));
    if (rules.length === 0) log.warn("relabel changes nothing: it has no rules");
  }

  apply(batch: Batch): Batch {
    this.#names.check();
    return this.#rewriter.move(batch, this.#derived);
  }
}

/** What a rule makes of a series: the series itself where the rule does not fit. */
function changeOf(
  rule: RelabelRule,
  rename: (metric: Metric, name: string) => Metric,
  key: string | undefined,
): Change {
  const fits = testOf(rule);
  const from = new Pattern(rule.metric ?? "*");
  const dropped = rule.drop.map((name) => new Pattern(name));
  return (series) => {
    if (!fits(series)) return series;
    const { metric } = series;
    const name = rule.rename === undefined ? metric.name : from.fill(rule.rename, metric.name);
    // The attribute that names the client is the last one, and stays that.
    const client = series.attributes.slice(-1).filter(([name]) => name === CLIENT_ATTRIBUTE);
    const own = client.length > 0 ? series.attributes.slice(0, -1) : series.attributes;
    let attributes = own.filter(([name]) => !dropped.some((pattern) => pattern.matches(name)));
    attributes = attributes.map(([name, value]) => [
      name,
      rule.hash.includes(name) ? hashOf(value, key) : value,
    ]);
    for (const [old, name] of Object.entries(rule.rename_attributes)) {
      if (!attributes.some(([found]) => found === old)) continue;
      attributes = attributes.filter(([found]) => found !== name || found === old)
        .map(([found, value]) => [found === old ? name : found, value]);
    }
    for (const added of Object.entries(rule.add)) attributes = withAttribute(attributes, added);
    return { ...series, metric: rename(metric, name), attributes: [...attributes, ...client] };
  };
}

function withAttribute(attributes: readonly Attribute[], [name, value]: Attribute): Attribute[] {
  const at = attributes.findIndex(([found]) => found === name);
  return at < 0 ? [...attributes, [name, value]] : attributes.with(at, [name, value]);
}

function hashOf(value: AttributeValue, key: string | undefined): string {
  const hash = key === undefined ? createHash("sha256") : createHmac("sha256", key);
  return hash.update(attributeText(value)).digest("hex").slice(0, HASH_DIGITS);
}
