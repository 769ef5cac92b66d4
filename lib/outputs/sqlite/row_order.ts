/**
 * The order in which points are stored: one part for each day, within it by series and time. Points that have the same
 * series and time go to parts of their own, so that both are kept.
 */
import type { PointColumns } from "../threads/point_columns.ts";

/** Rows `from … to-1` of the order are one part. */
export interface PartPlan {
  readonly from: number;
  readonly to: number;
  /** Days since the Unix epoch. */
  readonly day: number;
  /** What offsets count from, and the seconds of the earliest and the latest point, since the Unix epoch. */
  readonly start: number;
  readonly first: number;
  readonly last: number;
  /** Each of these points has the series and the time of one in a part before. */
  readonly repeats: boolean;
}

export const SECONDS_PER_DAY = 86_400;
/** Above this, sorting few numbers by insertion costs more than the engine's sort. */
const INSERTION_LIMIT = 64;
/** With fewer points, it does not matter which of them have short offsets. */
const CROWD = 512;
/** Sorts pairs of small numbers as one number. */
const PAIR = 2 ** 21;

/** Two seconds and less, to both sides, in nanoseconds, fit into the four bytes that SQLite stores a small integer in. */
const NEAR_SECONDS = 2;

/** What offsets of a part are shortest from, where nothing is known but its first and last second. */
export function middleOf(first: number, last: number): number {
  return last - first < 2 * NEAR_SECONDS ? first + NEAR_SECONDS : first;
}

/** Sorts; its arrays are used again. */
export class RowOrder {
  /** Numbers of rows. */
  order = new Uint32Array(0);
  #rows = new Uint32Array(0);
  #spare = new Uint32Array(0);
  /** By row: nanoseconds in the day. */
  #times = new Float64Array(0);
  /** By place in the order: how many points before have the same series and time. */
  #levels = new Uint32Array(0);
  #keys = new Float64Array(0);
  #distinct = new Uint32Array(0);
  /** By series; zeros between uses. */
  #counts = new Uint32Array(0);
  #columns!: PointColumns;
  #ids!: Float64Array;
  #parts: PartPlan[] = [];

  /**
   * Fills {@linkcode RowOrder.order}.
   *
   * @param ids What series are sorted by; integers of 0 to 2^32-1. Two numbers may be one series.
   * @param selected The only rows that count, ascending. @default all
   */
  arrange(columns: PointColumns, ids: Float64Array, selected?: Uint32Array): PartPlan[] {
    const count = selected?.length ?? columns.length;
    this.#reserve(columns.length, ids.length);
    this.#columns = columns;
    this.#ids = ids;
    this.#parts = [];
    const rows = this.#rows;
    if (selected) rows.set(selected);
    else for (let row = 0; row < count; row++) rows[row] = row;
    if (count === 0) return this.#parts;

    const { seconds } = columns;
    let [first, last] = [Infinity, -Infinity];
    for (let k = 0; k < count; k++) {
      const second = seconds[rows[k]];
      if (second < first) first = second;
      if (second > last) last = second;
    }
    const day = Math.floor(first / SECONDS_PER_DAY);
    if (last < (day + 1) * SECONDS_PER_DAY) this.#arrangeDay(0, count, day);
    else this.#splitDays(count);
    return this.#parts;
  }

  #reserve(rows: number, series: number): void {
    if (rows > PAIR) throw new RangeError(`Cannot sort ${rows} rows: at most ${PAIR}`);
    if (this.order.length < rows) {
      this.order = new Uint32Array(rows);
      this.#rows = new Uint32Array(rows);
      this.#spare = new Uint32Array(rows);
      this.#times = new Float64Array(rows);
      this.#levels = new Uint32Array(rows);
      this.#keys = new Float64Array(rows);
      this.#distinct = new Uint32Array(rows);
    }
    if (this.#counts.length < series) this.#counts = new Uint32Array(series);
  }

  #splitDays(count: number): void {
    const { seconds } = this.#columns;
    const dayOf = (row: number) => Math.floor(seconds[row] / SECONDS_PER_DAY);
    const keys = this.#keys.subarray(0, count);
    for (let k = 0; k < count; k++) keys[k] = dayOf(this.#rows[k]) * PAIR + k;
    keys.sort();
    const rows = this.#spare;
    for (let k = 0; k < count; k++) rows[k] = this.#rows[keys[k] % PAIR];
    [this.#rows, this.#spare] = [rows, this.#rows];
    for (let from = 0; from < count;) {
      const day = dayOf(rows[from]);
      let to = from + 1;
      while (to < count && dayOf(rows[to]) === day) to++;
      this.#arrangeDay(from, to, day);
      from = to;
    }
  }

  /** Rows `from … to-1`, which are all of one day. */
  #arrangeDay(from: number, to: number, day: number): void {
    const { series, seconds, nanos } = this.#columns;
    const [rows, times, counts, distinct, ids] = [
      this.#rows,
      this.#times,
      this.#counts,
      this.#distinct,
      this.#ids,
    ];
    const midnight = day * SECONDS_PER_DAY;
    let found = 0;
    for (let k = from; k < to; k++) {
      const row = rows[k];
      times[row] = (seconds[row] - midnight) * 1e9 + nanos[row];
      const number = series[row];
      if (counts[number]++ === 0) distinct[found++] = number;
    }
    const keys = this.#keys.subarray(0, found);
    for (let j = 0; j < found; j++) keys[j] = ids[distinct[j]] * PAIR + j;
    keys.sort();

    // Counting sort by series; what came first stays first.
    const { order } = this;
    let at = from;
    for (let j = 0; j < found; j++) {
      const number = distinct[keys[j] % PAIR];
      const count = counts[number];
      counts[number] = at;
      at += count;
    }
    for (let k = from; k < to; k++) order[counts[series[rows[k]]]++] = rows[k];

    let highest = 0;
    let begin = from;
    let isMixed = false;
    for (let j = 0; j < found; j++) {
      const number = distinct[keys[j] % PAIR];
      const end = counts[number];
      counts[number] = 0;
      if (j + 1 < found && ids[distinct[keys[j + 1] % PAIR]] === ids[number]) {
        isMixed = true;
        continue;
      }
      highest = Math.max(highest, this.#sortTimes(begin, end, isMixed));
      begin = end;
      isMixed = false;
    }
    if (highest === 0) this.#add(from, to, day, false);
    else this.#separate(from, to, day, highest);
  }

  /**
   * Sorts the points of one series by time.
   *
   * @param isMixed They are not in the order in which they came, because the series has several numbers.
   * @returns the most points before that have the same time.
   */
  #sortTimes(from: number, to: number, isMixed: boolean): number {
    const [order, times, levels] = [this.order, this.#times, this.#levels];
    let sorted = !isMixed;
    for (let k = from + 1; k < to && sorted; k++) sorted = times[order[k - 1]] <= times[order[k]];
    if (!sorted && !isMixed && to - from <= INSERTION_LIMIT) {
      for (let next = from + 1; next < to; next++) {
        const row = order[next];
        const time = times[row];
        let at = next;
        for (; at > from && times[order[at - 1]] > time; at--) order[at] = order[at - 1];
        order[at] = row;
      }
    } else if (!sorted) order.subarray(from, to).sort((a, b) => times[a] - times[b] || a - b);
    let highest = 0;
    let level = 0;
    levels[from] = 0;
    for (let k = from + 1; k < to; k++) {
      level = times[order[k]] === times[order[k - 1]] ? level + 1 : 0;
      levels[k] = level;
      if (level > highest) highest = level;
    }
    return highest;
  }

  /** Moves repeated points behind the others, to parts of their own. */
  #separate(from: number, to: number, day: number, highest: number): void {
    const [levels, spare] = [this.#levels, this.#spare];
    const ends = new Uint32Array(highest + 2).fill(from);
    for (let k = from; k < to; k++) ends[levels[k] + 1]++;
    for (let level = 1; level <= highest + 1; level++) ends[level] += ends[level - 1] - from;
    const starts = ends.slice();
    for (let k = from; k < to; k++) spare[ends[levels[k]]++] = this.order[k];
    this.order.set(spare.subarray(from, to), from);
    for (let level = 0; level <= highest; level++) {
      this.#add(starts[level], starts[level + 1], day, level > 0);
    }
  }

  #add(from: number, to: number, day: number, repeats: boolean): void {
    const { seconds } = this.#columns;
    let [first, last] = [Infinity, -Infinity];
    for (let k = from; k < to; k++) {
      const second = seconds[this.order[k]];
      if (second < first) first = second;
      if (second > last) last = second;
    }
    const start = to - from < CROWD ? middleOf(first, last) : this.#densest(from, to, first, last);
    this.#parts.push({ from, to, day, start, first, last, repeats });
  }

  /** The second that most points are near to. */
  #densest(from: number, to: number, first: number, last: number): number {
    const { seconds } = this.#columns;
    const span = last - first + 1;
    const counts = new Uint32Array(span + 2 * NEAR_SECONDS);
    for (let k = from; k < to; k++) counts[seconds[this.order[k]] - first]++;
    let [best, most, near] = [0, 0, 0];
    for (let end = 0; end < counts.length; end++) {
      near += counts[end] - (end >= 2 * NEAR_SECONDS ? counts[end - 2 * NEAR_SECONDS] : 0);
      if (near > most) [best, most] = [end, near];
    }
    return first + Math.max(0, best + 1 - NEAR_SECONDS);
  }
}
