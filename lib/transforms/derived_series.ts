/** For each series, the one that a transform makes of it. */
import type { Metric, SeriesDefinition } from "../points/measurement.ts";
import { SeriesColumn } from "../points/series_column.ts";
import type { SeriesStore } from "../points/series_store.ts";

/** Makes a series of another one, in the same store. */
export type Derivation = (store: SeriesStore, series: number) => number;

/** The same series with another metric. */
export const withMetric = (metric: Metric): Derivation => (store, series) => store.withMetric(series, metric);

/** What a function makes of the definition of a series, which takes memory of the same client's share. */
export const withDefinition =
  (change: (definition: SeriesDefinition) => SeriesDefinition): Derivation => (store, series) => {
    const before = store.definitionOf(series);
    const after = change(before);
    return after === before ? series : store.internDefinition(after, store.ownerOf(series));
  };

export class DerivedSeries {
  readonly #derive: Derivation;
  #store: SeriesStore | null = null;
  /** The number of the derived series, and its generation plus one: the number may be given back before this one. */
  #numbers!: SeriesColumn;
  #generations!: SeriesColumn;

  constructor(derive: Derivation) {
    this.#derive = derive;
  }

  /** The number of what is made of a series. */
  of(store: SeriesStore, series: number): number {
    if (store !== this.#store) {
      this.#store = store;
      this.#numbers = new SeriesColumn(store);
      this.#generations = new SeriesColumn(store);
    }
    const known = this.#numbers.values[series];
    if (known !== 0 && this.#generations.values[series] === store.generations[known] + 1) return known;
    const number = this.#derive(store, series);
    this.#numbers.values[series] = number;
    this.#generations.values[series] = store.generations[number] + 1;
    return number;
  }
}
