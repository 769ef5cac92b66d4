/** The samples of one series over a span, gathered from points or from sums of points. */

/** An energy counts as that of the time since the last one, unless that is so many times longer than usual. */
const LONG = 2;

/** The samples of a plot: `count` of them, each `stepSeconds` long, the first one beginning at `from`. */
export interface Axis {
  readonly from: number;
  readonly stepSeconds: number;
  readonly count: number;
}

export class Buckets {
  readonly #axis: Axis;
  readonly #points: Float64Array;
  readonly #sums: Float64Array;
  /** Times of the first and the last point, in seconds since the epoch. */
  readonly #firsts: Float64Array;
  readonly #lasts: Float64Array;
  isEmpty = true;

  constructor(axis: Axis) {
    this.#axis = axis;
    this.#points = new Float64Array(axis.count);
    this.#sums = new Float64Array(axis.count);
    this.#firsts = new Float64Array(axis.count).fill(Infinity);
    this.#lasts = new Float64Array(axis.count).fill(-Infinity);
  }

  /** Adds points; their times are in seconds since the epoch, and in one sample. */
  add(points: number, sum: number, first: number, last: number): void {
    const { from, stepSeconds, count } = this.#axis;
    const place = Math.floor((first - from) / stepSeconds);
    if (place < 0 || place >= count || points === 0) return;
    this.isEmpty = false;
    this.#points[place] += points;
    this.#sums[place] += sum;
    if (first < this.#firsts[place]) this.#firsts[place] = first;
    if (last > this.#lasts[place]) this.#lasts[place] = last;
  }

  /** The means of the samples; NaN where there is no point. */
  means(): Float64Array {
    return this.#sums.map((sum, i) => sum / this.#points[i]);
  }

  /** What the values, each of which is since the one before, are per second; NaN where that is not known. */
  rates(): Float64Array {
    const usual = this.#usualGap();
    let before = NaN;
    return this.#sums.map((sum, i) => {
      const points = this.#points[i];
      if (points === 0) return NaN;
      const last = this.#lasts[i];
      const since = last - before;
      before = last;
      if (since > 0 && since <= LONG * usual) return sum / since;
      // The first one, or one after a silence: the time between its points says how long one is.
      const between = last - this.#firsts[i];
      return between > 0 ? sum / (between * points / (points - 1)) : NaN;
    });
  }

  /** How far samples with points are from each other, in seconds. */
  #usualGap(): number {
    let before = NaN;
    let least = Infinity;
    for (let i = 0; i < this.#axis.count; i++) {
      if (this.#points[i] === 0) continue;
      const gap = this.#lasts[i] - before;
      if (gap < least) least = gap;
      before = this.#lasts[i];
    }
    return Math.max(least, this.#axis.stepSeconds);
  }
}
