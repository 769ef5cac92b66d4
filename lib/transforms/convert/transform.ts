/** The transform behind {@linkcode ../convert.ts}. */
import type { Batch, Metric, SeriesDefinition } from "../../points/measurement.ts";
import { type Conversion, conversionOf, parseUnit, unitDisplayName } from "../../points/units.ts";
import type { PluginContext, Transform } from "../../plugin.ts";
import { BySeries } from "../by_series.ts";
import { DerivedSeries } from "../derived_series.ts";
import { MetricNames, Pattern } from "../metric_names.ts";
import { Rewriter, type Rewriting } from "../rewriting.ts";
import { testOf } from "../selector.ts";
import type { ConvertConfig, ConvertRule } from "./config.ts";

interface Rule extends Conversion {
  /** The metric of the results. */
  readonly metric: Metric;
}

/** What is known of a series that no rule fits; for others, the place of the rule behind it. */
const PASSES = 1;

export class Convert implements Transform {
  readonly #context: Pick<PluginContext, "registry" | "log" | "clock">;
  readonly #configured: readonly { rule: ConvertRule; fits: ReturnType<typeof testOf> }[];
  readonly #names: MetricNames;
  readonly #rewriter = new Rewriter();
  readonly #rules: Rule[] = [];
  /** By place, whether the point itself stays. */
  readonly #stays: boolean[] = [false, true];
  /** Places by rule and metric: many series share one. */
  readonly #known = new Map<string, number>();
  readonly #places = new BySeries((store, series) => this.#find(store.definitionOf(series)));
  readonly #derived = new DerivedSeries((store, series) => {
    const place = this.#find(store.definitionOf(series));
    return store.withMetric(series, this.#ruleAt(place).metric);
  });
  readonly #rewriting: Rewriting = {
    selection: { by: this.#places, stays: this.#stays },
    derive: (batch, row, out) => {
      const series = batch.series[row];
      const place = this.#places.at(series);
      if (place === PASSES) return;
      const { factor, divisor, offset } = this.#ruleAt(place);
      const value = batch.values[row] * factor / divisor + offset;
      out.pushNumber(this.#derived.of(batch.store, series), batch.seconds[row], batch.nanos[row], value);
    },
  };

  constructor(
    { rules }: ConvertConfig,
    context: Pick<PluginContext, "registry" | "log" | "clock">,
  ) {
    this.#context = context;
    this.#configured = rules.map((rule) => ({ rule, fits: testOf(rule) }));
    this.#names = new MetricNames(
      rules.flatMap(({ metric = [] }) => metric),
      context.log,
      context.clock,
    );
    if (rules.length === 0) context.log.warn("convert changes nothing: it has no rules");
  }

  apply(batch: Batch): Batch {
    this.#names.check();
    const { series, length } = batch;
    const places = this.#places.of(batch);
    let row = 0;
    while (row < length && places[series[row]] === PASSES) row++;
    if (row === length) return batch;
    return this.#rewriter.rewrite(batch, this.#rewriting);
  }

  #find(series: SeriesDefinition): number {
    this.#names.has(series.metric.name);
    const at = this.#configured.findIndex(({ fits }) => fits(series));
    if (at < 0) return PASSES;
    const key = `${at} ${series.metric.name}`;
    let place = this.#known.get(key);
    if (place === undefined) {
      this.#known.set(key, place = this.#placeFor(this.#configured[at].rule, series.metric));
    }
    return place;
  }

  /** The place of a rule for the series of a metric. */
  #placeFor(rule: ConvertRule, metric: Metric): number {
    const unit = parseUnit(rule.unit)!;
    const conversion = conversionOf(metric.unit, unit);
    if (conversion === undefined) {
      this.#context.log.warn("A metric is not converted, because its unit does not measure the same", {
        metric: metric.name,
        unit: unitDisplayName(metric.unit),
        to: rule.unit,
      });
      return PASSES;
    }
    const name = rule.rename === undefined
      ? `${metric.name}_converted`
      : new Pattern(rule.metric ?? "*").fill(rule.rename, metric.name);
    const { description } = metric;
    const converted = this.#context.registry.register({ name, type: "f64", unit, description }, "converted");
    this.#stays.push(rule.keep);
    return PASSES + this.#rules.push({ ...conversion, metric: converted });
  }

  #ruleAt(place: number): Rule {
    return this.#rules[place - PASSES - 1];
  }
}
