/** The rule of a configuration that is applied to each series: the first one that fits. */
import type { Metric } from "../points/measurement.ts";
import type { SeriesStore } from "../points/series_store.ts";
import { BySeries } from "./by_series.ts";
import type { MetricNames } from "./metric_names.ts";
import { type Selector, testOf } from "./selector.ts";

/** What {@linkcode RulesBySeries.places} has of a series that no rule fits; for others, the place of what was made. */
export const PASSES = 1;

/** `T` is what is made of a rule and a metric, once for all series of the metric. */
export class RulesBySeries<R extends Selector, T> {
  readonly places: BySeries;
  readonly #rules: readonly { readonly rule: R; readonly fits: ReturnType<typeof testOf> }[];
  readonly #names: MetricNames;
  readonly #make: (rule: R, metric: Metric) => T | undefined;
  /** What was made, by place; nothing for a series that is not known or that no rule fits. */
  readonly #made: (T | undefined)[] = [undefined, undefined];
  /** Places by rule and metric. */
  readonly #known = new Map<string, number>();

  /** @param make `undefined` if the rule means nothing for the metric. */
  constructor(rules: readonly R[], names: MetricNames, make: (rule: R, metric: Metric) => T | undefined) {
    this.#rules = rules.map((rule) => ({ rule, fits: testOf(rule) }));
    this.#names = names;
    this.#make = make;
    this.places = new BySeries((store, series) => this.#find(store, series));
  }

  /** For a series that {@linkcode places} was asked for; `undefined` if no rule fits. */
  at(series: number): T | undefined {
    return this.#made[this.places.at(series)];
  }

  #find(store: SeriesStore, series: number): number {
    const definition = store.definitionOf(series);
    this.#names.has(definition.metric.name);
    const at = this.#rules.findIndex(({ fits }) => fits(definition));
    if (at < 0) return PASSES;
    const key = `${at} ${definition.metric.name}`;
    let place = this.#known.get(key);
    if (place === undefined) {
      const made = this.#make(this.#rules[at].rule, definition.metric);
      place = made === undefined ? PASSES : this.#made.push(made) - 1;
      this.#known.set(key, place);
    }
    return place;
  }
}
