/** Points on their way from the database into a block: taken one by one, then sorted by series and time. */
import { type BlockRows, MAX_BLOCK_POINTS } from "./block.ts";

const LEAST_EXACT = 2n ** 53n;
/** A part is of one day: offsets are within a day of its start, in nanoseconds. */
export const MAX_OFFSET = 86_400_000_000_000;

interface Columns {
  readonly series: Float64Array;
  readonly offsets: Float64Array;
  readonly values: Float64Array;
}

const newColumns = (): Columns => ({
  series: new Float64Array(MAX_BLOCK_POINTS),
  offsets: new Float64Array(MAX_BLOCK_POINTS),
  values: new Float64Array(MAX_BLOCK_POINTS),
});

/** Its arrays are used again. */
export class RowTaker {
  length = 0;
  /** There were more rows than the limit. */
  isFull = false;
  /** A row has something that this program never stores. */
  isOdd = false;
  /** A row outside of the day was left. */
  hasLeft = false;
  /** Added to the offsets of what is taken, in nanoseconds. */
  shift = 0;
  /** The offset of the last row, without the shift. */
  lastOffset = 0;
  /** Takes a row; what somebody else has stored outside of the day is left. SQLite calls it for each row. */
  readonly take: (series: unknown, offset: unknown, value: unknown) => void;
  readonly #taken = newColumns();
  readonly #sorted = newColumns();
  /** By row: the number of its series, in the order in which they first come; and the rows, sorted. */
  readonly #numbers = new Uint32Array(MAX_BLOCK_POINTS);
  readonly #order = new Uint32Array(MAX_BLOCK_POINTS);
  /** By number of a series: its id, its rows, and where its next row goes. */
  readonly #ids = new Float64Array(MAX_BLOCK_POINTS);
  readonly #counts = new Uint32Array(MAX_BLOCK_POINTS);
  readonly #ends = new Uint32Array(MAX_BLOCK_POINTS);
  readonly #exact = new Map<number, bigint>();

  /** @param limit Most rows that are taken. */
  constructor(readonly limit = MAX_BLOCK_POINTS) {
    const { series, offsets, values } = this.#taken;
    // It must not throw: Deno would not return.
    this.take = (id, offset, value) => {
      const row = this.length;
      if (row === limit) {
        this.isFull = true;
        return;
      }
      if (typeof id !== "number" || typeof offset !== "number" || !(Math.abs(offset) <= MAX_OFFSET)) {
        this.hasLeft = true;
        return;
      }
      series[row] = id;
      offsets[row] = offset + this.shift;
      this.lastOffset = offset;
      if (typeof value === "number") values[row] = value;
      else if (value === null) values[row] = NaN;
      else values[row] = this.#large(row, value);
      this.length = row + 1;
    };
  }

  /** Takes points `from … to-1` of some that are sorted, all or none. */
  takeAll(
    points: Pick<BlockRows, "offsets" | "values" | "exact"> & { readonly series: ArrayLike<number> },
    from: number,
    to: number,
  ): void {
    const at = this.length;
    const count = to - from;
    if (at + count > this.limit) {
      this.isFull = true;
      return;
    }
    const { series, offsets, values } = this.#taken;
    for (let k = 0; k < count; k++) {
      series[at + k] = points.series[from + k];
      offsets[at + k] = points.offsets[from + k] + this.shift;
      values[at + k] = points.values[from + k];
    }
    if (points.exact) {
      for (const [place, value] of points.exact) {
        if (place >= from && place < to) this.#exact.set(at + place - from, value);
      }
    }
    this.length = at + count;
  }

  clear(): void {
    this.length = 0;
    this.isFull = this.isOdd = this.hasLeft = false;
    this.#exact.clear();
  }

  /** An integer of more than 53 bits comes as its digits. */
  #large(row: number, value: unknown): number {
    if (typeof value !== "string" || !/^-?[1-9]\d{15,19}$/.test(value)) {
      this.isOdd = true;
      return NaN;
    }
    const exact = BigInt(value);
    if (exact < LEAST_EXACT && exact > -LEAST_EXACT) this.isOdd = true;
    this.#exact.set(row, exact);
    return Number(exact);
  }

  /** What was taken, sorted; of points with one time the first one is the first. Valid until the next rows are taken. */
  sort(): BlockRows {
    const { length } = this;
    const order = this.#arrange(this.#number());
    const { series, offsets, values } = this.#taken;
    const sorted = this.#sorted;
    for (let k = 0; k < length; k++) {
      const row = order[k];
      sorted.series[k] = series[row];
      sorted.offsets[k] = offsets[row];
      sorted.values[k] = values[row];
    }
    let exact: Map<number, bigint> | null = null;
    if (this.#exact.size > 0) {
      exact = new Map();
      for (let k = 0; k < length; k++) {
        const value = this.#exact.get(order[k]);
        if (value !== undefined) exact.set(k, value);
      }
    }
    return { length, ...sorted, exact };
  }

  /** Numbers the series, and counts their rows. @returns how many there are. */
  #number(): number {
    const { length } = this;
    const { series } = this.#taken;
    const [numbers, ids, counts] = [this.#numbers, this.#ids, this.#counts];
    const known = new Map<number, number>();
    let found = 0;
    for (let row = 0, number = -1; row < length; row++) {
      const id = series[row];
      // Most parts have the same series, one after the other.
      if (number < 0 || ids[number] !== id) {
        if (number + 1 < found && ids[number + 1] === id) number++;
        else {
          number = known.get(id) ?? found;
          if (number === found) {
            if (!Number.isInteger(id)) this.isOdd = true;
            known.set(id, number);
            ids[found] = id;
            counts[found++] = 0;
          }
        }
      }
      numbers[row] = number;
      counts[number]++;
    }
    return found;
  }

  /** @returns the rows, sorted. */
  #arrange(found: number): Uint32Array {
    const { length } = this;
    const [numbers, ids, counts, ends, order] = [
      this.#numbers,
      this.#ids,
      this.#counts,
      this.#ends,
      this.#order,
    ];
    const byId = Uint32Array.from({ length: found }, (_, number) => number);
    let isSorted = true;
    for (let number = 1; number < found && isSorted; number++) isSorted = ids[number - 1] < ids[number];
    if (!isSorted) byId.sort((a, b) => ids[a] - ids[b]);
    let at = 0;
    for (const number of byId) {
      ends[number] = at;
      at += counts[number];
    }
    for (let row = 0; row < length; row++) order[ends[numbers[row]]++] = row;
    for (const number of byId) {
      const end = ends[number];
      sortByTime(order.subarray(end - counts[number], end), this.#taken.offsets);
    }
    return order;
  }
}

/** Sorts rows of one series, which are sorted already where nothing came late. */
function sortByTime(rows: Uint32Array, offsets: Float64Array): void {
  for (let k = 1; k < rows.length; k++) {
    if (offsets[rows[k - 1]] > offsets[rows[k]]) {
      rows.sort((a, b) => offsets[a] - offsets[b] || a - b);
      return;
    }
  }
}
