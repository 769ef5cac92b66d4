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

  /**
   * The numbers by series. Those of the series of the rows are there; the array is valid until another series is made.
   */
  of(batch: Batch, start = 0, end = batch.length): Uint32Array {
    if (batch.store !== this.#store) {
      this.#store = batch.store;
      this.#column = new SeriesColumn(batch.store, (_series, value) => this.#onForget(value));
    }
    const { series } = batch;
    let { values } = this.#column;
    for (let row = start; row < end; row++) {
      if (values[series[row]] !== 0) continue;
      const number = this.#find(batch.store, series[row]);
      // The search may have made a series, and so another array.
      values = this.#column.values;
      values[series[row]] = number;
    }
    return values;
  }

  /** The number of a series is found out again when it occurs. */
  forget(series: number): void {
    this.#column.values[series] = 0;
  }

  /** The number of a series that {@linkcode of} was asked for. */
  at(series: number): number {
    return this.#column.values[series];
  }
}
