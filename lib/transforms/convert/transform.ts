/** The transform behind {@linkcode ../convert.ts}. */
import type { Batch, Metric } from "../../points/measurement.ts";
import { type Conversion, conversionOf, parseUnit, unitDisplayName } from "../../points/units.ts";
import type { PluginContext, Transform } from "../../plugin.ts";
import { DerivedSeries } from "../derived_series.ts";
import { MetricNames, Pattern } from "../metric_names.ts";
import { Rewriter, type Rewriting } from "../rewriting.ts";
import { PASSES, RulesBySeries } from "../rules_by_series.ts";
import type { ConvertConfig, ConvertRule } from "./config.ts";

type Context = Pick<PluginContext, "registry" | "log" | "clock">;

interface Converted extends Conversion {
  /** The metric of the results. */
  readonly metric: Metric;
}

export class Convert implements Transform {
  readonly #context: Context;
  readonly #names: MetricNames;
  readonly #rewriter = new Rewriter();
  readonly #rules: RulesBySeries<ConvertRule, Converted>;
  readonly #derived: DerivedSeries;
  readonly #rewriting: Rewriting;

  constructor({ rules }: ConvertConfig, context: Context) {
    this.#context = context;
    const { log, clock } = context;
    this.#names = new MetricNames(rules.flatMap(({ metric = [] }) => metric), log, clock);
    /** By place, whether the point itself stays. */
    const stays = [false, true];
    this.#rules = new RulesBySeries(rules, this.#names, (rule, metric) => {
      const converted = this.#convertedOf(rule, metric);
      if (converted) stays.push(rule.keep);
      return converted;
    });
    this.#derived = new DerivedSeries((store, series) =>
      store.withMetric(series, this.#rules.at(series)!.metric)
    );
    this.#rewriting = {
      selection: { by: this.#rules.places, stays },
      derive: (batch, row, out) => {
        const series = batch.series[row];
        const rule = this.#rules.at(series);
        if (rule === undefined) return;
        const value = batch.values[row] * rule.factor / rule.divisor + rule.offset;
        const derived = this.#derived.of(batch.store, series);
        out.pushNumber(derived, batch.seconds[row], batch.nanos[row], value);
      },
    };
    if (rules.length === 0) log.warn("convert changes nothing: it has no rules");
  }

  apply(batch: Batch): Batch {
    this.#names.check();
    const { series, length } = batch;
    const places = this.#rules.places.of(batch);
    let row = 0;
    while (row < length && places[series[row]] === PASSES) row++;
    return row === length ? batch : this.#rewriter.rewrite(batch, this.#rewriting);
  }

  #convertedOf(rule: ConvertRule, metric: Metric): Converted | undefined {
    const unit = parseUnit(rule.unit)!;
    const conversion = conversionOf(metric.unit, unit);
    if (conversion === undefined) {
      this.#context.log.warn("A metric is not converted, because its unit does not measure the same", {
        metric: metric.name,
        unit: unitDisplayName(metric.unit),
        to: rule.unit,
      });
      return undefined;
    }
    const name = rule.rename === undefined
      ? `${metric.name}_converted`
      : new Pattern(rule.metric ?? "*").fill(rule.rename, metric.name);
    const { description } = metric;
    const converted = this.#context.registry.register({ name, type: "f64", unit, description }, "converted");
    return { ...conversion, metric: converted };
  }
}
