/** The transform behind {@linkcode ../filter.ts}. */
import type { AttributeValue, Batch, SeriesDefinition } from "../../points/measurement.ts";
import { SeriesColumn } from "../../points/series_column.ts";
import type { SeriesStore } from "../../points/series_store.ts";
import type { PluginContext, Transform } from "../../plugin.ts";
import { MetricNames, Pattern } from "../metric_names.ts";
import { Rewriter } from "../rewriting.ts";
import type { FilterConfig, FilterRule } from "./config.ts";

/** What a series' place in the column says; 0: it was not looked at yet. */
const VERDICT = { passes: 1, isOut: 2 } as const;

/** Everything that a rule names fits. */
type Test = (series: SeriesDefinition) => boolean;

export class Filter implements Transform {
  readonly stats = { filteredPoints: 0 };
  readonly #rules: readonly { readonly passes: boolean; readonly fits: Test }[];
  readonly #names: MetricNames;
  /** Whether the metrics that are named pass, or all the others. */
  readonly #named: boolean;
  readonly #rewriter = new Rewriter();
  #store: SeriesStore | null = null;
  #verdicts!: SeriesColumn;

  constructor(
    { include, exclude, rules }: FilterConfig,
    { log, clock }: Pick<PluginContext, "log" | "clock">,
  ) {
    this.#rules = rules.map((rule) => ({ passes: rule.action === "include", fits: testOf(rule) }));
    this.#named = include !== undefined;
    this.#names = new MetricNames(include ?? exclude ?? [], log, clock);
    if (include === undefined && exclude === undefined && rules.length === 0) {
      log.warn("The filter lets everything pass: it has neither include, exclude nor rules");
    }
  }

  apply(batch: Batch): Batch {
    this.#names.check();
    if (batch.store !== this.#store) {
      this.#store = batch.store;
      this.#verdicts = new SeriesColumn(batch.store);
    }
    const { series, length } = batch;
    for (let row = 0; row < length; row++) {
      if (this.#passes(batch, series[row])) continue;
      const result = this.#rewriter.rewrite(batch, {
        keep: (batch, row) => this.#passes(batch, batch.series[row]),
      });
      this.stats.filteredPoints += length - result.length;
      return result;
    }
    return batch;
  }

  #passes({ store }: Batch, series: number): boolean {
    const { values } = this.#verdicts;
    if (values[series] === 0) {
      values[series] = this.#decide(store.definitionOf(series)) ? VERDICT.passes : VERDICT.isOut;
    }
    return values[series] === VERDICT.passes;
  }

  #decide(series: SeriesDefinition): boolean {
    const isNamed = this.#names.has(series.metric.name);
    for (const { passes, fits } of this.#rules) if (fits(series)) return passes;
    return isNamed === this.#named;
  }
}

function testOf(rule: FilterRule): Test {
  const tests: Test[] = [];
  const add = (text: string | undefined, of: (series: SeriesDefinition) => string) => {
    if (text === undefined) return;
    const pattern = new Pattern(text);
    tests.push((series) => pattern.matches(of(series)));
  };
  add(rule.metric, ({ metric }) => metric.name);
  add(rule.resource_kind, ({ resourceKind }) => resourceKind);
  add(rule.resource_id, ({ resourceId }) => resourceId);
  add(rule.consumer_kind, ({ consumerKind }) => consumerKind);
  add(rule.consumer_id, ({ consumerId }) => consumerId);
  if (rule.attribute !== undefined) {
    const value = new Pattern(rule.attribute_value ?? "*");
    tests.push(({ attributes }) =>
      attributes.some(([name, found]) => name === rule.attribute && value.matches(attributeText(found)))
    );
  }
  return (series) => tests.every((test) => test(series));
}

/** As CSV shows it. */
function attributeText(value: AttributeValue): string {
  return Array.isArray(value) ? `[${value.join(", ")}]` : String(value);
}
