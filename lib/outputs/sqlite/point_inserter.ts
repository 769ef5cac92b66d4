/** Writes the points of a part: many rows in each statement, in an order that fills pages. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { PointColumns } from "../threads/point_columns.ts";
import type { PartPlan } from "./row_order.ts";

/** Rows of one statement; what is left goes into smaller ones. Parameters cost the same in any number. */
const ROWS = [128, 16, 1];
const COLUMNS = 4;
/**
 * One row in so many of a part is written behind the others. Rows that only ever come at the end leave an eighth of
 * each page of an index empty (SQLite splits the last two evenly); those that follow find their place there.
 */
export const HELD_BACK = 9;
/** With fewer rows there are not enough pages for that to matter. */
const SMALL_PART = 512;
/** Integers up to here are kept: most values are small. */
const SMALL_INTEGERS = 1024;
/** SQLite's integers end at 2^63-1; larger ones are stored as their digits, so that nobody reads a rounded number. */
const MAX_INTEGER = 2n ** 63n - 1n;

type Value = number | bigint | string;

export class PointInserter {
  readonly #statements: { readonly rows: number; readonly statement: StatementSync }[];
  readonly #values = new Array(ROWS[0] * COLUMNS).fill(0) as [Value, ...Value[]];
  readonly #small = Array.from({ length: SMALL_INTEGERS }, (_, i) => BigInt(i));
  #length = 0;

  constructor(db: DatabaseSync) {
    this.#statements = ROWS.map((rows) => ({
      rows,
      // Parameters with numbers would be looked up one by one.
      statement: db.prepare(
        `INSERT INTO points (part, series, offset, value) VALUES ${
          Array(rows).fill("(?, ?, ?, ?)").join(", ")
        }`,
      ),
    }));
  }

  /** @param order The numbers of the rows, of which the plan names a range. */
  insert(
    id: number,
    plan: PartPlan,
    order: Uint32Array,
    columns: PointColumns,
    ids: Float64Array,
    exact: ReadonlyMap<number, bigint> | null,
  ): void {
    const { from, to } = plan;
    this.#length = 0;
    const put = (k: number) => this.#put(id, order[k], plan.start, columns, ids, exact);
    if (to - from < SMALL_PART) {
      for (let k = from; k < to; k++) put(k);
    } else {
      for (let k = from, left = HELD_BACK; k < to; k++) {
        if (--left === 0) left = HELD_BACK;
        else put(k);
      }
      for (let k = from + HELD_BACK - 1; k < to; k += HELD_BACK) put(k);
    }
    this.#flush();
  }

  /** Inserts one row, into a part with that id. @throws what SQLite throws; then nothing is inserted. */
  insertOne(
    part: number,
    row: number,
    columns: PointColumns,
    ids: Float64Array,
    exact: ReadonlyMap<number, bigint> | null,
  ): void {
    this.#length = 0;
    this.#put(part, row, columns.seconds[row], columns, ids, exact);
    this.#flush();
  }

  #put(
    part: number,
    row: number,
    start: number,
    { series, seconds, nanos, values }: PointColumns,
    ids: Float64Array,
    exact: ReadonlyMap<number, bigint> | null,
  ): void {
    const at = this.#length;
    const all = this.#values;
    all[at] = part;
    all[at + 1] = ids[series[row]];
    all[at + 2] = (seconds[row] - start) * 1e9 + nanos[row];
    const value = values[row];
    const big = exact === null ? undefined : exact.get(row);
    if (big !== undefined) all[at + 3] = big > MAX_INTEGER ? String(big) : big;
    else all[at + 3] = this.#stored(value);
    this.#length = at + COLUMNS;
    if (this.#length === all.length) {
      const { statement } = this.#statements[0];
      statement.run(...all);
      this.#length = 0;
    }
  }

  /** Whole numbers take the fewest bytes as integers; the type of the metric says what they were. */
  #stored(value: number): Value {
    if (value >= 0 && value < SMALL_INTEGERS && Math.floor(value) === value) {
      return Object.is(value, -0) ? value : this.#small[value];
    }
    // NaN is not equal to itself; infinities and large ones stay as they are.
    return Math.floor(value) === value && Math.abs(value) <= 2 ** 53 ? BigInt(value) : value;
  }

  #flush(): void {
    const all = this.#values;
    const length = this.#length;
    let done = 0;
    for (const { rows, statement } of this.#statements) {
      for (const size = rows * COLUMNS; length - done >= size; done += size) {
        statement.run(...all.slice(done, done + size));
      }
    }
  }
}
