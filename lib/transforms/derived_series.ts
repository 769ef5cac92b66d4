/** For each series, the one that a transform makes of it: the same in all but the metric. */
import type { Batch, Metric } from "../points/measurement.ts";
import { SeriesColumn } from "../points/series_column.ts";
import type { SeriesStore } from "../points/series_store.ts";

export class DerivedSeries {
  readonly #metric: Metric;
  #store: SeriesStore | null = null;
  /** The number of the derived series, and its generation plus one: the number may be given back before this one. */
  #numbers!: SeriesColumn;
  #generations!: SeriesColumn;

  constructor(metric: Metric) {
    this.#metric = metric;
  }

  /** The number of what is made of the series of a row, in the batch's store. */
  of(batch: Batch, row: number): number {
    const { store } = batch;
    if (store !== this.#store) {
      this.#store = store;
      this.#numbers = new SeriesColumn(store);
      this.#generations = new SeriesColumn(store);
    }
    const series = batch.series[row];
    const known = this.#numbers.values[series];
    if (known !== 0 && this.#generations.values[series] === store.generations[known] + 1) return known;
    const number = store.withMetric(series, this.#metric);
    this.#numbers.values[series] = number;
    this.#generations.values[series] = store.generations[number] + 1;
    return number;
  }
}
