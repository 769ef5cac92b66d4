/** Points on their way from the database into a block: taken one by one, then sorted by series and time. */
import { type BlockRows, MAX_BLOCK_POINTS } from "./block.ts";

const LEAST_EXACT = 2n ** 53n;

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

export class RowTaker {
  length = 0;
  /** There were more rows than a block can hold. */
  isFull = false;
  /** A row has something that this program never stores. */
  isOdd = false;
  /** Added to the offsets of what is taken, in nanoseconds. */
  shift = 0;
  /** The offset of the last row, without the shift. */
  lastOffset = 0;
  readonly #taken = newColumns();
  readonly #sorted = newColumns();
  #exact = new Map<number, bigint>();

  clear(): void {
    this.length = 0;
    this.isFull = this.isOdd = false;
    this.#exact.clear();
  }

  /** Takes a row. SQLite calls it, so it must not throw: Deno would not return. */
  readonly take = (series: unknown, offset: unknown, value: unknown): number => {
    const row = this.length;
    if (row === MAX_BLOCK_POINTS) {
      this.isFull = true;
      return 0;
    }
    if (typeof series !== "number" || typeof offset !== "number") {
      this.isOdd = true;
      return 0;
    }
    const { series: ids, offsets, values } = this.#taken;
    ids[row] = series;
    offsets[row] = offset + this.shift;
    this.lastOffset = offset;
    if (typeof value === "number") values[row] = value;
    else if (value === null) values[row] = NaN;
    else values[row] = this.#large(row, value);
    this.length = row + 1;
    return 1;
  };

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
    const { series, offsets, values } = this.#taken;
    const slots = new Map<number, number>();
    const ids: number[] = [];
    const counts: number[] = [];
    const slotOf = new Uint32Array(length);
    for (let row = 0, id = NaN, slot = 0; row < length; row++) {
      if (series[row] !== id) {
        id = series[row];
        slot = slots.get(id) ?? ids.length;
        if (slot === ids.length) {
          slots.set(id, slot);
          ids.push(id);
          counts.push(0);
        }
      }
      slotOf[row] = slot;
      counts[slot]++;
    }
    const starts = new Uint32Array(ids.length);
    let at = 0;
    for (const id of Float64Array.from(ids).sort()) {
      const slot = slots.get(id)!;
      starts[slot] = at;
      at += counts[slot];
    }
    const order = new Uint32Array(length);
    for (let row = 0; row < length; row++) order[starts[slotOf[row]]++] = row;
    for (const [slot, end] of starts.entries()) sortByTime(order.subarray(end - counts[slot], end), offsets);

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
