/**
 * Rows of sums. What follows from other columns is an empty text in a row, which takes no room: the last value where it is the
 * first, and the least and the greatest where they are one of these. The last time is negative, and counts from the end of the
 * interval. Rows that earlier versions wrote have all values, and a last time from the start.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Sums } from "../rollups/sums.ts";

/** Columns of a table of sums behind those of its key. */
export const COLUMNS = "points, sum, min, max, first, last, first_time, last_time";
const WIDTH = 11;
/** Rows of one statement; what is left goes into smaller ones. */
const ROWS = [64, 8, 1];
/** Follows from other columns. */
const FOLLOWS = "";
/** What a sum is that is not a number, as that of both infinities: SQLite has NULL for NaN, and no row is without a sum. */
const INFINITE = "9e999";

/** SQL for the sums that a row stands for. @param row How the statement calls it. @param every Seconds of its interval. */
export function sumsOf(row: string, every: number): Readonly<Record<keyof Sums, string>> {
  const either = (column: string, other: string) =>
    `CASE ${row}.${column} WHEN '${FOLLOWS}' THEN ${other} ELSE ${row}.${column} END`;
  const first = `${row}.first`;
  const last = either("last", first);
  return {
    points: `${row}.points`,
    sum: `${row}.sum`,
    min: either("min", `min(${first}, ${last})`),
    max: either("max", `max(${first}, ${last})`),
    first,
    last,
    firstTime: `${row}.first_time`,
    lastTime: `(${row}.last_time + (${row}.last_time < 0) * ${every}000000000)`,
  };
}

/** Adds rows to a table, many with each statement; where there is one of the series and interval, the sums are added to it. */
export class RollupRows {
  readonly #statements: { readonly rows: number; readonly statement: StatementSync }[];
  readonly #values = new Array<number | string>(ROWS[0] * WIDTH).fill(0);
  readonly #everyNs: number;
  #length = 0;

  constructor(db: DatabaseSync, table: string, every: number) {
    this.#everyNs = every * 1e9;
    const [old, more] = [sumsOf(table, every), sumsOf("excluded", every)];
    const row = `(${Array(WIDTH).fill("?").join(", ")})`;
    this.#statements = ROWS.map((rows) => ({
      rows,
      statement: db.prepare(
        `INSERT INTO ${table} (part, series, interval, ${COLUMNS}) VALUES ${
          Array(rows).fill(row).join(", ")
        } ` +
          `ON CONFLICT DO UPDATE SET points = ${old.points} + ${more.points}, ` +
          `sum = coalesce(${old.sum} + ${more.sum}, ${INFINITE}), ` +
          `min = min(${old.min}, ${more.min}), max = max(${old.max}, ${more.max}), ` +
          `first = CASE WHEN ${more.firstTime} < ${old.firstTime} THEN ${more.first} ELSE ${old.first} END, ` +
          `last = CASE WHEN ${more.lastTime} >= ${old.lastTime} THEN ${more.last} ELSE ${old.last} END, ` +
          `first_time = min(${old.firstTime}, ${more.firstTime}), ` +
          `last_time = max(${old.lastTime}, ${more.lastTime}) - ${every}000000000`,
      ),
    }));
  }

  /** Forgets what was not written, because its transaction failed. */
  begin(): void {
    this.#length = 0;
  }

  /** Adds a row. It is written with the next ones, at the latest by {@linkcode flush}. */
  add(part: number, series: number, interval: number, sums: Readonly<Sums>): void {
    const values = this.#values;
    const { points, sum, min, max, first, last, firstTime, lastTime } = sums;
    let at = this.#length;
    values[at++] = part;
    values[at++] = series;
    values[at++] = interval;
    values[at++] = points;
    values[at++] = Number.isNaN(sum) ? Infinity : sum;
    values[at++] = min === Math.min(first, last) ? FOLLOWS : min;
    values[at++] = max === Math.max(first, last) ? FOLLOWS : max;
    values[at++] = first;
    values[at++] = last === first ? FOLLOWS : last;
    values[at++] = firstTime;
    values[at++] = lastTime - this.#everyNs;
    this.#length = at;
    if (at === values.length) this.flush();
  }

  /** Writes what was added. */
  flush(): void {
    const values = this.#values;
    let from = 0;
    for (const { rows, statement } of this.#statements) {
      const width = rows * WIDTH;
      for (; this.#length - from >= width; from += width) {
        statement.run(...from === 0 && width === values.length ? values : values.slice(from, from + width));
      }
    }
    this.#length = 0;
  }
}
