/** What somebody keeps for each series, by its number: a row's id, the place of a rendered text, a place in a dictionary. */
import { grown } from "../base/growing.ts";

/** What a column needs to know of its store. */
interface Columns {
  /** Numbers below this may be in use. */
  readonly capacity: number;
  /** The column follows the store from now on, for as long as somebody refers to it. */
  follow(column: SeriesColumn): void;
}

export class SeriesColumn {
  /**
   * By the number of a series; 0 where nothing is known. It has a place for each number of the store, and is replaced
   * when the store grows: that happens when a series is interned, not while batches are read.
   */
  values: Uint32Array<ArrayBuffer>;
  readonly #onForget: (number: number, value: number) => void;

  /** @param onForget Told when a number is given back for which something is known. */
  constructor(store: Columns, onForget: (number: number, value: number) => void = () => {}) {
    this.#onForget = onForget;
    this.values = grown(new Uint32Array(0), store.capacity);
    store.follow(this);
  }

  /** Nothing is known of any series. */
  clear(): void {
    this.values.fill(0);
  }

  // What follows is for the store.

  forget(number: number): void {
    const value = this.values[number];
    if (value === 0) return;
    this.values[number] = 0;
    this.#onForget(number, value);
  }

  resize(capacity: number): void {
    this.values = grown(this.values, capacity);
  }
}
