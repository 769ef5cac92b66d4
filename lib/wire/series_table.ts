/**
 * Interns the series of one sender on one connection, by the bytes in which they arrive.
 *
 * On the wire every point repeats its strings. The table keeps the bytes of each tail that it has met (from the
 * resource kind to the last attribute) and finds them again by content, so text is decoded only for a new series. The
 * table is bounded: when it is full it forgets all that it knows, and the output is correct all the same.
 */
import type { Attribute, Series } from "../points/measurement.ts";
import { decodeUtf8 } from "../postcard.ts";

/** What a series' metric takes; the decoder compares it with the value's own kind. */
export const ENTRY_UNKNOWN_METRIC = 255;
/** Of an entry whose series has a name that is too long. */
export const ENTRY_LONG_NAME = 254;

/** An entry, its series and what outputs render from it, beside the tail's bytes: an estimate. */
const ENTRY_BYTES = 350;
const TAIL_COST = 3;
/** Memory that all tables of a process may take together, roughly; see {@linkcode TableBudget}. */
const DEFAULT_BUDGET_BYTES = 64 * 1024 * 1024;
/** A table may always have this much, however many there are. */
const MIN_TABLE_BYTES = 32 * 1024;

/** Shares a limit between tables that come and go. */
export class TableBudget {
  #tables = 0;

  constructor(readonly limitBytes = DEFAULT_BUDGET_BYTES) {}

  /** What one table may take now. */
  get shareBytes(): number {
    return Math.max(MIN_TABLE_BYTES, this.limitBytes / Math.max(1, this.#tables));
  }

  join(): void {
    this.#tables++;
  }

  leave(): void {
    this.#tables--;
  }
}

const seeds = crypto.getRandomValues(new Int32Array(2));

/**
 * HalfSipHash-1-3 of a metric id and `bytes[start … start+length-1]`, keyed with random numbers of this process, so
 * that nobody outside can aim at collisions (https://github.com/veorq/SipHash).
 */
export function hashTail(view: DataView, start: number, length: number, metricId: number): number {
  let v0 = seeds[0];
  let v1 = seeds[1];
  let v2 = 0x6c796765 ^ v0;
  let v3 = 0x74656462 ^ v1;
  const end = start + length;
  let at = start;
  let word = metricId | 0;
  let last = false;
  while (true) {
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
    if (last) break;
    if (at + 4 <= end) {
      word = view.getInt32(at, true);
      at += 4;
    } else {
      last = true;
      word = length << 24;
      for (let shift = 0; at < end; at++, shift += 8) word |= view.getUint8(at) << shift;
    }
  }
  v2 ^= 0xff;
  for (let round = 0; round < 3; round++) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
  }
  return v1 ^ v3;
}

/** Whether `length` (5 or more) bytes of two views are the same. */
function sameBytes(a: DataView, aStart: number, b: DataView, bStart: number, length: number): boolean {
  const lastWord = length - 4;
  for (let i = 0; i < lastWord; i += 4) {
    if (a.getInt32(aStart + i, true) !== b.getInt32(bStart + i, true)) return false;
  }
  return a.getInt32(aStart + lastWord, true) === b.getInt32(bStart + lastWord, true);
}

/** Entries by number, as columns; the decoder reads them directly. */
export class SeriesTable {
  /** Number of entries. */
  size = 0;
  /** The series; `null` where the metric was not registered. */
  series: (Series | null)[] = [];
  metricIds = new Int32Array(64);
  /** Where an entry's tail stands in the pool. */
  tailStart = new Int32Array(64);
  tailLength = new Int32Array(64);
  /** Discriminant of the values that the metric takes, or {@linkcode ENTRY_UNKNOWN_METRIC}. */
  kinds = new Uint8Array(64);
  /** The entry that came after this one when it was last met: a client polls in the same order every time. */
  following = new Int32Array(64).fill(-1);
  /** The entry of the point before. */
  last = -1;
  /** Bytes of the tails. */
  pool = new Uint8Array(4096);
  poolView = new DataView(this.pool.buffer);
  /** How often the table was full and forgot everything. */
  generations = 0;

  readonly #texts = new Map<number, string>();
  readonly #attributes = new Map<number, { bytes: Uint8Array; attributes: readonly Attribute[] }>();
  #hashes = new Int32Array(64);
  #slots = new Int32Array(128);
  #poolLength = 0;
  #hasUnknown = false;
  readonly #budget: TableBudget;

  readonly #maxSeries: number;

  /** @param maxSeries Entries, whatever the budget. */
  constructor(budget: TableBudget, maxSeries = Infinity) {
    this.#maxSeries = maxSeries;
    this.#budget = budget;
    budget.join();
  }

  /** The table is no longer used. */
  close(): void {
    this.#budget.leave();
  }

  /** The entry with this metric and tail, or -1. */
  find(hash: number, metricId: number, view: DataView, start: number, length: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const entry = slots[slot] - 1;
      if (entry < 0) return -1;
      if (
        this.#hashes[entry] === hash && this.metricIds[entry] === metricId &&
        this.tailLength[entry] === length &&
        sameBytes(this.poolView, this.tailStart[entry], view, start, length)
      ) return entry;
    }
  }

  /** Adds an entry that `find` did not find. When the table is full, all others are forgotten first. */
  add(
    hash: number,
    metricId: number,
    bytes: Uint8Array,
    start: number,
    length: number,
    kind: number,
    series: Series | null,
  ): number {
    const cost = (this.size + 1) * ENTRY_BYTES + (this.#poolLength + length) * TAIL_COST;
    if (this.size > 0 && (cost > this.#budget.shareBytes || this.size >= this.#maxSeries)) {
      this.clear();
      this.generations++;
    }
    const entry = this.size++;
    if (entry === this.metricIds.length) this.#growColumns();
    if (this.size * 2 > this.#slots.length) this.#rehash(this.#slots.length * 4);
    if (this.#poolLength + length > this.pool.length) {
      const pool = new Uint8Array(Math.max(this.pool.length * 2, this.#poolLength + length));
      pool.set(this.pool);
      this.pool = pool;
      this.poolView = new DataView(pool.buffer);
    }
    this.pool.set(bytes.subarray(start, start + length), this.#poolLength);
    this.tailStart[entry] = this.#poolLength;
    this.tailLength[entry] = length;
    this.#poolLength += length;
    this.metricIds[entry] = metricId;
    this.kinds[entry] = kind;
    this.following[entry] = -1;
    this.series[entry] = series;
    if (kind === ENTRY_UNKNOWN_METRIC) this.#hasUnknown = true;
    this.#hashes[entry] = hash;
    this.#place(entry);
    return entry;
  }

  /** Decodes text, or finds the one with the same bytes that was decoded before: series then share it. */
  text(bytes: Uint8Array, view: DataView, start: number, end: number): string {
    const hash = hashTail(view, start, end - start, 0);
    const known = this.#texts.get(hash);
    if (known !== undefined && known.length === end - start) {
      let i = 0;
      while (i < known.length && known.charCodeAt(i) === bytes[start + i]) i++;
      // Only ASCII can be as long in bytes as in characters and the same.
      if (i === known.length) return known;
    }
    const text = decodeUtf8(bytes, start, end);
    this.#texts.set(hash, text);
    return text;
  }

  /** Attributes that were encoded in these bytes before; `hash` is that of the bytes. */
  findAttributes(
    hash: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): readonly Attribute[] | undefined {
    const known = this.#attributes.get(hash);
    if (known?.bytes.length !== end - start) return undefined;
    for (let i = start; i < end; i++) if (known.bytes[i - start] !== bytes[i]) return undefined;
    return known.attributes;
  }

  /** Keeps attributes for {@linkcode SeriesTable.findAttributes}: series then share them. */
  keepAttributes(hash: number, encoded: Uint8Array, attributes: readonly Attribute[]): void {
    this.#attributes.set(hash, { bytes: encoded, attributes });
  }

  /** Forgets every entry. */
  clear(): void {
    this.size = 0;
    this.series = [];
    this.last = -1;
    this.#texts.clear();
    this.#attributes.clear();
    this.#poolLength = 0;
    this.#hasUnknown = false;
    this.#slots.fill(0);
    // What one burst needed is not kept for ever.
    if (this.pool.length > 65_536) {
      this.pool = new Uint8Array(4096);
      this.poolView = new DataView(this.pool.buffer);
    }
  }

  /** Metrics were registered that were unknown before: entries that say so are no longer true. */
  forgetUnknown(): void {
    if (this.#hasUnknown) this.clear();
  }

  #place(entry: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hashes[entry] & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = entry + 1;
  }

  #rehash(length: number): void {
    this.#slots = new Int32Array(length);
    for (let entry = 0; entry < this.size - 1; entry++) this.#place(entry);
  }

  #growColumns(): void {
    const grow = (column: Int32Array<ArrayBuffer>) => {
      const larger = new Int32Array(column.length * 2);
      larger.set(column);
      return larger;
    };
    this.metricIds = grow(this.metricIds);
    this.tailStart = grow(this.tailStart);
    this.tailLength = grow(this.tailLength);
    this.following = grow(this.following);
    this.#hashes = grow(this.#hashes);
    const kinds = new Uint8Array(this.kinds.length * 2);
    kinds.set(this.kinds);
    this.kinds = kinds;
  }
}
