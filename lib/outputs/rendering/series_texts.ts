/**
 * What an output renders once per series: bytes in one array, and a column that says where those of a series are. The
 * place of a series that is given back is used for the next text of its size. When the array is full, what is there
 * stays, and other series are rendered each time: points come in the same order again and again, so whatever gave way
 * would be needed before what it gave way to.
 */
import { grown, nextLength } from "../../base/growing.ts";
import { SeriesColumn } from "../../points/series_column.ts";
import { type SeriesStore, seriesStore } from "../../points/series_store.ts";

/** Before a text: its length, and who rendered it. */
const HEAD_BYTES = 8;
/** Places are multiples of this, in bytes, with the head. */
const GRAIN = 8;
/** The texts of one output take at most this part of what all series may take, but not less than some MiB. */
const SHARE = 1 / 8;
const MIN_LIMIT_BYTES = 16 * 1024 * 1024;
/** Texts are copied by words. */
const SLACK = 8;
/** The part of a full array that is free, in places of sizes that do not come any more, after which it is begun again. */
const WASTE = 1 / 4;

let marks = 0;

/** What a text of `length` bytes takes, with its head. */
function placeBytes(length: number): number {
  return Math.ceil((length + HEAD_BYTES) / GRAIN) * GRAIN;
}

export class SeriesTexts {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(16 * 1024);
  /** The same bytes; another one after a text was added. */
  view: DataView<ArrayBuffer> = new DataView(this.bytes.buffer);
  readonly store: SeriesStore;
  readonly #places: SeriesColumn;
  /** Where the places end. */
  #length = HEAD_BYTES;
  /** The first free place of each size, 0 for none; before a place stands the next one. */
  readonly #free = new Map<number, number>();
  #freeBytes = 0;
  #start = 0;
  readonly #limitBytes: number | undefined;

  /** @param limitBytes What the texts may take. @default a share of what series may take */
  constructor(store: SeriesStore = seriesStore, limitBytes?: number) {
    this.store = store;
    this.#limitBytes = limitBytes;
    this.#places = new SeriesColumn(store, (_, place) => this.#give(place));
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
    this.#free.clear();
    this.#freeBytes = 0;
  }

  /** Begins again, if it is full and much of it is of no use any more. No place from before is valid then. */
  tidy(): void {
    if (this.isFull && this.#freeBytes > this.#length * WASTE) this.clear();
  }

  #give(place: number): void {
    const size = placeBytes(this.lengthAt(place));
    this.view.setUint32(place - 8, this.#free.get(size) ?? 0, true);
    this.#free.set(size, place);
    this.#freeBytes += size;
  }

  /** A free place for a text of `length` bytes, or 0. */
  #take(length: number): number {
    const size = placeBytes(length);
    const place = this.#free.get(size) ?? 0;
    if (place === 0) return 0;
    this.#free.set(size, this.lengthAt(place));
    this.#freeBytes -= size;
    return place;
  }

  /** Begins a text of at most `maxBytes`. @returns where it is to be put; `bytes` and `view` may be others now. */
  begin(maxBytes: number): number {
    this.#start = this.#length + HEAD_BYTES;
    const needed = this.#start + maxBytes + SLACK;
    if (needed > this.bytes.length) {
      this.bytes = grown(this.bytes, Math.max(needed, nextLength(this.bytes.length)));
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
    const length = end - start;
    let place = this.#take(length);
    if (place !== 0) this.bytes.copyWithin(place, start, end);
    else place = start;
    this.view.setUint32(place - 8, length, true);
    this.view.setUint32(place - 4, mark, true);
    if (place === start) {
      if (this.isFull && !keep) return start;
      this.#length = start - HEAD_BYTES + placeBytes(length);
    }
    const before = this.#places.values[series];
    if (before !== 0) this.#give(before);
    this.#places.values[series] = place;
    return place;
  }
}
