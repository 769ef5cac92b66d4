/**
 * What a transaction with points notes for the sums: in which intervals which series have new points. The sums of these
 * are then made from the points that are stored, so they are right wherever a process ends.
 *
 * Points of a time of which others may have been deleted already (`keep`) are added to the sums at once instead.
 */
import { floorTo } from "../../rollups/levels.ts";
import type { RollupState } from "../changes.ts";
import type { LatePoint, Rows } from "../rows.ts";
import { added } from "./floats.ts";
import { coarser, type Ranges } from "./ranges.ts";
import { SUMS, tableOf } from "./tables.ts";

/** Most ranges of a mark. */
const MOST_RANGES = 256;

export class Marks {
  #state: RollupState | null = null;
  readonly #marks = new Map<number, Ranges>();
  #late: LatePoint[] = [];

  /** To be called at the start of each transaction. @param state `null` where there are no sums. */
  begin(state: RollupState | null): void {
    this.#state = state;
    this.#marks.clear();
    this.#late = [];
  }

  /** Notes rows that are sorted. @param isStored of those that are older than what is settled. */
  note(rows: Rows, isStored: (n: number) => boolean = () => true): void {
    if (this.#state === null || this.#state.every.length === 0) return;
    const { every, settledS } = this.#state;
    rows.mark(every[0], settledS, this.#marks, (n, point) => {
      if (!Number.isNaN(point.value) && isStored(n)) this.#late.push(point);
    });
  }

  /** What stores them, as SQL, for the transaction that has the points. @param schema Quoted. */
  statements(schema: string): string[] {
    const statements: string[] = [];
    if (this.#marks.size > 0) {
      const every = this.#state!.every[0];
      const rows = [...this.#marks].map(([start, ranges]) =>
        `(${every}, to_timestamp(${start}), '{${coarser(ranges, MOST_RANGES).join(",")}}')`
      );
      statements.push(`INSERT INTO ${schema}.rollup_marks (every, start, series) VALUES ${rows.join(", ")}`);
    }
    if (this.#late.length > 0) {
      this.#late.sort((a, b) => a.id - b.id || a.second - b.second || a.nanos - b.nanos);
      for (const every of this.#state!.every) statements.push(addLate(schema, every, this.#late));
    }
    return statements;
  }
}

/** Adds points to the sums of an interval: always in the same order, so that nobody waits in a circle. */
function addLate(schema: string, every: number, points: readonly LatePoint[]): string {
  const rows: string[] = [];
  for (let from = 0, to = 0; from < points.length; from = to) {
    const { id, second } = points[from];
    const start = floorTo(second, every);
    let [sum, min, max] = [0, Infinity, -Infinity];
    for (to = from; to < points.length && points[to].id === id && points[to].second < start + every; to++) {
      const { value } = points[to];
      sum += value;
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
    const [first, last] = [points[from], points[to - 1]];
    const values = [sum, min, max, first.value, last.value].map((value) => `'${value}'::float8`);
    rows.push(
      `(${id}, to_timestamp(${start}), ${to - from}, ${values.join(", ")}, ${timeOf(first)}, ${
        timeOf(last)
      })`,
    );
  }
  const columns = SUMS.join(", ");
  const isEarlier = "excluded.first_time < r.first_time";
  const isLater = "excluded.last_time >= r.last_time";
  return `INSERT INTO ${schema}.${tableOf(every)} AS r (series_id, start, ${columns}) VALUES ${
    rows.join(", ")
  } ` +
    "ON CONFLICT (series_id, start) DO UPDATE SET points = r.points + excluded.points, " +
    `sum = ${
      added("r.sum", "excluded.sum")
    }, min = least(r.min, excluded.min), max = greatest(r.max, excluded.max), ` +
    `first = CASE WHEN ${isEarlier} THEN excluded.first ELSE r.first END, ` +
    `last = CASE WHEN ${isLater} THEN excluded.last ELSE r.last END, ` +
    "first_time = least(r.first_time, excluded.first_time), last_time = greatest(r.last_time, excluded.last_time)";
}

const timeOf = ({ second, nanos }: LatePoint) =>
  `to_timestamp(${second}) + ${Math.floor(nanos / 1000)} * interval '1 microsecond'`;
