/** What a transform knows of each series, found out when the series first occurs in a batch. */
import type { Batch } from "../points/measurement.ts";
import { SeriesColumn } from "../points/series_column.ts";
import type { SeriesStore } from "../points/series_store.ts";

/** A number for each series of the store that batches are of; it is forgotten with the series. */
export class BySeries {
  readonly #find: (store: SeriesStore, series: number) => number;
  readonly #onForget: (value: number) => void;
  #store: SeriesStore | null = null;
  #column!: SeriesColumn;

  /**
   * @param find The number for a series, 1 or more.
   * @param onForget Told the number of a series that is given back.
   */
  constructor(
    find: (store: SeriesStore, series: number) => number,
    onForget: (value: number) => void = () => {},
  ) {
    this.#find = find;
    this.#onForget = onForget;
  }

  /** That of the series of a row. */
  of(batch: Batch, row: number): number {
    if (batch.store !== this.#store) {
      this.#store = batch.store;
      this.#column = new SeriesColumn(batch.store, (_series, value) => this.#onForget(value));
    }
    const series = batch.series[row];
    return this.#column.values[series] || this.#findFor(series);
  }

  #findFor(series: number): number {
    const number = this.#find(this.#store!, series);
    // The search may have made a series, and so another array.
    return this.#column.values[series] = number;
  }
}
