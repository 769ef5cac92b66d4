/**
 * Points as rows of the table points, in PostgreSQL's binary COPY format (https://www.postgresql.org/docs/current/
 * sql-copy.html#id-1.9.3.55.9.4), the rows of a series together: that makes the index smaller, and both faster.
 */
import type { Batch } from "../../points/measurement.ts";
import { floorTo } from "../rollups/levels.ts";
import { COPY_HEADER_BYTES, type CopyChunk } from "./copy_in.ts";
import { MOST_GAP, type Ranges } from "./rollups/ranges.ts";

/** The columns that rows are made of, in their order. */
export const COLUMNS = "series_id, time, nanos, value, exact";
/** Most rows: their order is sorted as one number of a series' id and a row's. */
export const MAX_ROWS = 2 ** 20;
const SIGNATURE = [...new TextEncoder().encode("PGCOPY\n"), 0xff, 0x0d, 0x0a, 0x00];
/** Flags, and the length of an extension of the header: none. */
const HEADER_BYTES = SIGNATURE.length + 8;
/** Five columns with their lengths, a numeric of twenty digits among them. */
const MAX_ROW_BYTES = 2 + 5 * 4 + 4 + 8 + 2 + 8 + (8 + 2 * 5);
const TRAILER_BYTES = 2;
/** Seconds of 2000-01-01T00:00:00Z, where PostgreSQL's time begins. */
const EPOCH_SECONDS = 946_684_800;
/** Farther away, microseconds are not a safe integer. */
const SAFE_SECONDS = 9e9;
const DAY_SECONDS = 86_400;

/** Where a row came from. */
export interface Source {
  readonly batch: Batch;
  readonly row: number;
}

/** A point that is added to the sums at once. */
export interface LatePoint {
  readonly id: number;
  readonly second: number;
  readonly nanos: number;
  readonly value: number;
}

export class Rows {
  length = 0;
  /** Days since the Unix epoch that have points. */
  readonly days: Set<number> = new Set();
  #ids = new Int32Array(0);
  #values = new Float64Array(0);
  /** Whole seconds since the Unix epoch. */
  #seconds = new Float64Array(0);
  /** Microseconds since 2000, as the two halves of an int64. */
  #high = new Int32Array(0);
  #low = new Uint32Array(0);
  /** What is left of the nanoseconds behind the microsecond. */
  #nanos = new Uint16Array(0);
  readonly #exact = new Map<number, bigint>();
  /** Ranges of rows that came from one batch one after the other. */
  readonly #ranges: { start: number; batch: Batch; row: number }[] = [];
  #order = new Float64Array(0);
  #sorted = new Float64Array(0);
  #lastSeconds = NaN;
  #lastNanos = -1;
  #lastHigh = 0;
  #lastLow = 0;

  /** Forgets all rows. */
  clear(): void {
    this.length = 0;
    this.days.clear();
    this.#exact.clear();
    this.#ranges.length = 0;
    this.#lastSeconds = NaN;
  }

  /**
   * Takes rows `start … end-1` of a batch.
   *
   * @param idOf The number of a series; below 1 for those whose points are left out.
   */
  add(batch: Batch, start: number, end: number, idOf: (batch: Batch, row: number) => number): void {
    this.#reserve(end - start);
    const { seconds, nanos, values, exact } = batch;
    let at = this.length;
    let before = -1;
    for (let row = start; row < end; row++) {
      const id = idOf(batch, row);
      if (id < 1) continue;
      if (row !== before + 1 || at === this.length) this.#ranges.push({ start: at, batch, row });
      before = row;
      if (seconds[row] !== this.#lastSeconds || nanos[row] !== this.#lastNanos) {
        this.#time(seconds[row], nanos[row]);
      }
      this.#ids[at] = id;
      this.#values[at] = values[row];
      this.#seconds[at] = seconds[row];
      this.#high[at] = this.#lastHigh;
      this.#low[at] = this.#lastLow;
      this.#nanos[at] = nanos[row] % 1000;
      if (exact !== null) {
        const value = exact.get(row);
        if (value !== undefined) this.#exact.set(at, value);
      }
      at++;
    }
    this.length = at;
  }

  #time(seconds: number, nanos: number): void {
    if (seconds !== this.#lastSeconds) this.days.add(Math.floor(seconds / DAY_SECONDS));
    this.#lastSeconds = seconds;
    this.#lastNanos = nanos;
    const since = seconds - EPOCH_SECONDS;
    const micros = Math.floor(nanos / 1000);
    if (Math.abs(since) < SAFE_SECONDS) {
      const total = since * 1e6 + micros;
      this.#lastHigh = Math.floor(total / 2 ** 32);
      this.#lastLow = total - this.#lastHigh * 2 ** 32;
    } else {
      const total = BigInt(since) * 1_000_000n + BigInt(micros);
      this.#lastHigh = Number(total >> 32n);
      this.#lastLow = Number(total & 0xffff_ffffn);
    }
  }

  #reserve(count: number): void {
    const needed = this.length + count;
    if (needed > MAX_ROWS) throw new RangeError(`Cannot take ${needed} rows: the limit is ${MAX_ROWS}`);
    if (needed <= this.#ids.length) return;
    const capacity = Math.min(MAX_ROWS, Math.max(1024, needed, Math.ceil(this.#ids.length * 1.5)));
    const grown = <A extends Int32Array | Uint32Array | Uint16Array | Float64Array>(old: A): A => {
      const array = new (old.constructor as new (length: number) => A)(capacity);
      array.set(old);
      return array;
    };
    this.#ids = grown(this.#ids);
    this.#values = grown(this.#values);
    this.#seconds = grown(this.#seconds);
    this.#high = grown(this.#high);
    this.#low = grown(this.#low);
    this.#nanos = grown(this.#nanos);
    this.#order = new Float64Array(capacity);
  }

  /** Puts the rows of each series together. To be called before {@linkcode fill} and {@linkcode source}. */
  sort(): void {
    const order = this.#order.subarray(0, this.length);
    for (let row = 0; row < this.length; row++) order[row] = this.#ids[row] * MAX_ROWS + row;
    this.#sorted = order.sort();
  }

  /**
   * Which series have points in which interval, after {@linkcode sort}.
   *
   * @param every The length of an interval in seconds. @param marks By the starts of intervals; added to.
   * @param late Told of the points before `fromS`, which are the `n`-th to be written, instead.
   */
  mark(
    every: number,
    fromS: number,
    marks: Map<number, Ranges>,
    late: (n: number, point: LatePoint) => void,
  ): void {
    let start = NaN;
    let ranges: Ranges = [];
    for (let n = 0; n < this.length; n++) {
      const id = Math.floor(this.#sorted[n] / MAX_ROWS);
      const at = this.#sorted[n] - id * MAX_ROWS;
      const second = this.#seconds[at];
      if (second < fromS) {
        const { batch, row } = this.source(n);
        late(n, { id, second, nanos: batch.nanos[row], value: batch.values[row] });
        continue;
      }
      if (!(second >= start && second < start + every)) {
        start = floorTo(second, every);
        const found = marks.get(start);
        if (found) ranges = found;
        else marks.set(start, ranges = []);
      }
      const last = ranges[ranges.length - 1];
      if (id >= last && id - last <= MOST_GAP) ranges[ranges.length - 1] = id;
      else ranges.push(id, id);
    }
  }

  /** Where the row came from that is the `n`-th to be written. */
  source(n: number): Source {
    const at = this.#sorted[n] % MAX_ROWS;
    const ranges = this.#ranges;
    let low = 0;
    for (let high = ranges.length; high - low > 1;) {
      const middle = (low + high) >> 1;
      if (ranges[middle].start <= at) low = middle;
      else high = middle;
    }
    const { start, batch, row } = ranges[low];
    return { batch, row: row + at - start };
  }

  /** What fills chunks with the rows `from … to-1`, in the order in which they are written. */
  fill(from: number, to: number): (chunk: CopyChunk) => boolean {
    let next = from;
    let state: "header" | "rows" | "done" = "header";
    return (chunk) => {
      if (state === "done") return false;
      if (state === "header") {
        chunk.bytes.set(SIGNATURE, COPY_HEADER_BYTES);
        chunk.bytes.fill(0, COPY_HEADER_BYTES + SIGNATURE.length, COPY_HEADER_BYTES + HEADER_BYTES);
        chunk.length = COPY_HEADER_BYTES + HEADER_BYTES;
        state = "rows";
      }
      const limit = chunk.bytes.length - MAX_ROW_BYTES - TRAILER_BYTES;
      while (next < to && chunk.length <= limit) {
        chunk.length = this.#put(chunk.view, chunk.length, this.#sorted[next++] % MAX_ROWS);
      }
      if (next === to) {
        chunk.view.setInt16(chunk.length, -1);
        chunk.length += TRAILER_BYTES;
        state = "done";
      }
      return true;
    };
  }

  #put(view: DataView, at: number, row: number): number {
    view.setInt16(at, 5);
    view.setInt32(at + 2, 4);
    view.setInt32(at + 6, this.#ids[row]);
    view.setInt32(at + 10, 8);
    view.setInt32(at + 14, this.#high[row]);
    view.setUint32(at + 18, this.#low[row]);
    view.setInt32(at + 22, 2);
    view.setInt16(at + 26, this.#nanos[row]);
    view.setInt32(at + 28, 8);
    view.setFloat64(at + 32, this.#values[row]);
    at += 40;
    const exact = this.#exact.size > 0 ? this.#exact.get(row) : undefined;
    if (exact !== undefined) return putNumeric(view, at, exact);
    view.setInt32(at, -1);
    return at + 4;
  }
}

/** A non-negative integer as a numeric: digits of base 10,000, the largest first. */
function putNumeric(view: DataView, at: number, value: bigint): number {
  const digits: number[] = [];
  for (let rest = value; rest > 0n; rest /= 10_000n) digits.unshift(Number(rest % 10_000n));
  view.setInt32(at, 8 + 2 * digits.length);
  view.setInt16(at + 4, digits.length);
  // The weight of the first digit; then the sign (0: positive), and the digits behind the point.
  view.setInt16(at + 6, digits.length - 1);
  view.setInt32(at + 8, 0);
  at += 12;
  for (const digit of digits) {
    view.setInt16(at, digit);
    at += 2;
  }
  return at;
}
