/**
 * What an output renders once per series: bytes in one array, and a column that says where those of a series are. When
 * the array is full, what is there stays, and other series are rendered each time: points come in the same order again
 * and again, so whatever gave way would be needed before what it gave way to.
 */
import { SeriesColumn } from "../../points/series_column.ts";
import { type SeriesStore, seriesStore } from "../../points/series_store.ts";

/** Before a text: its length, and who rendered it. */
const HEAD_BYTES = 8;
/** How much longer the array becomes: less of it is empty than of a buffer that is used for a moment. */
const GROWTH = 1.5;
/** The texts of one output take at most this part of what all series may take, but not less than some MiB. */
const SHARE = 1 / 8;
const MIN_LIMIT_BYTES = 16 * 1024 * 1024;
/** Texts are copied by words. */
const SLACK = 8;
/** Of a full array, the part that no series refers to any more, after which it is begun again. */
const WASTE = 1 / 4;

let marks = 0;

export class SeriesTexts {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(16 * 1024);
  /** The same bytes; another one after a text was added. */
  view: DataView<ArrayBuffer> = new DataView(this.bytes.buffer);
  readonly store: SeriesStore;
  readonly #places: SeriesColumn;
  /** Bytes that are used, and those of them that no series refers to. */
  #length = HEAD_BYTES;
  #wasted = 0;
  #start = 0;
  readonly #limitBytes: number | undefined;

  /** @param limitBytes What the texts may take. @default a share of what series may take */
  constructor(store: SeriesStore = seriesStore, limitBytes?: number) {
    this.store = store;
    this.#limitBytes = limitBytes;
    this.#places = new SeriesColumn(store, (_, place) => this.#wasted += this.lengthAt(place) + HEAD_BYTES);
  }

  /** Of one who renders: texts of others are not taken for its own. */
  static newMark(): number {
    return ++marks;
  }

  /** Where the texts begin, by the number of the series; 0 where there is none. */
  get places(): Uint32Array<ArrayBuffer> {
    return this.#places.values;
  }

  /** The length of the text at a place, in bytes. */
  lengthAt(place: number): number {
    return this.view.getUint32(place - 8, true);
  }

  /** Who rendered the text at a place. */
  markAt(place: number): number {
    return this.view.getUint32(place - 4, true);
  }

  /** There is no room for more. */
  get isFull(): boolean {
    const limitBytes = this.#limitBytes ?? Math.max(MIN_LIMIT_BYTES, this.store.limitBytes * SHARE);
    return this.#length > limitBytes;
  }

  /** Forgets everything. */
  clear(): void {
    this.#places.clear();
    this.#length = HEAD_BYTES;
    this.#wasted = 0;
  }

  /** Begins again, if it is full and much of it is of no use any more. No place from before is valid then. */
  tidy(): void {
    if (this.isFull && this.#wasted > this.#length * WASTE) this.clear();
  }

  /** Begins a text of at most `maxBytes`. @returns where it is to be put; `bytes` and `view` may be others now. */
  begin(maxBytes: number): number {
    this.#start = this.#length + HEAD_BYTES;
    const needed = this.#start + maxBytes + SLACK;
    if (needed > this.bytes.length) {
      const capacity = Math.max(needed, Math.floor(this.bytes.length * GROWTH));
      // The old array is freed at once.
      this.bytes = new Uint8Array(this.bytes.buffer.transfer(capacity));
      this.view = new DataView(this.bytes.buffer);
    }
    return this.#start;
  }

  /**
   * Ends the text that was begun.
   *
   * @param keep Where the array is full, the text is there up to the next one only, unless it must be kept.
   * @returns the place of the text.
   */
  end(series: number, end: number, mark: number, keep = false): number {
    const start = this.#start;
    this.view.setUint32(start - 8, end - start, true);
    this.view.setUint32(start - 4, mark, true);
    if (this.isFull && !keep) return start;
    const before = this.#places.values[series];
    if (before !== 0) this.#wasted += this.lengthAt(before) + HEAD_BYTES;
    this.#places.values[series] = start;
    this.#length = end;
    return start;
  }
}
