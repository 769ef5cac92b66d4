/** Points of one series, sorted by time, which are forgotten some time after they have arrived. */
import type { Source } from "./sources.ts";

export class PointList {
  /** In ns since the base of the group, ascending, each one once. */
  readonly times: number[] = [];
  readonly values: number[] = [];
  /** The tick in which each one arrived. */
  readonly ticks: number[] = [];
  readonly sources: Source[] = [];

  get length(): number {
    return this.times.length;
  }

  /** The last time; `-Infinity` if there is no point. */
  get last(): number {
    return this.times.at(-1) ?? -Infinity;
  }

  /** The place of the first point at that time or later. */
  placeOf(time: number): number {
    const { times } = this;
    let end = times.length;
    // Most look for the last points.
    if (end === 0 || times[end - 1] < time) return end;
    let start = 0;
    while (start < end) {
      const middle = (start + end) >>> 1;
      if (times[middle] < time) start = middle + 1;
      else end = middle;
    }
    return start;
  }

  /**
   * Adds a point, or puts it in the place of the one with the same time.
   *
   * @returns what was in its place before.
   */
  add(time: number, value: number, tick: number, source: Source): Source | undefined {
    const place = this.placeOf(time);
    if (place === this.times.length) {
      this.times.push(time);
      this.values.push(value);
      this.ticks.push(tick);
      this.sources.push(source);
      return undefined;
    }
    const isSame = this.times[place] === time;
    const before = isSame ? this.sources[place] : undefined;
    const replaced = isSame ? 1 : 0;
    this.times.splice(place, replaced, time);
    this.values.splice(place, replaced, value);
    this.ticks.splice(place, replaced, tick);
    this.sources.splice(place, replaced, source);
    return before;
  }

  /** Forgets the points that arrived before a tick, and tells whose they were. */
  forgetBefore(tick: number, onForget: (source: Source) => void): void {
    const { times, values, ticks, sources } = this;
    let kept = 0;
    for (let i = 0; i < ticks.length; i++) {
      if (ticks[i] < tick) onForget(sources[i]);
      else {
        if (kept < i) {
          times[kept] = times[i];
          values[kept] = values[i];
          ticks[kept] = ticks[i];
          sources[kept] = sources[i];
        }
        kept++;
      }
    }
    times.length =
      values.length =
      ticks.length =
      sources.length =
        kept;
  }

  /** Moves all times. */
  shift(ns: number): void {
    for (let i = 0; i < this.times.length; i++) this.times[i] += ns;
  }
}
