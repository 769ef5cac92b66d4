/** Points of one series, sorted by time, which are forgotten some time after they have arrived. */
import type { Source } from "./sources.ts";

/** So many forgotten points may stand before the others. */
const MAX_FORGOTTEN = 64;

export class PointList {
  /** In ns since the base of the group, ascending, each one once. Points are those from {@linkcode start} on. */
  readonly times: number[] = [];
  readonly values: number[] = [];
  /** The tick in which each one arrived. */
  readonly ticks: number[] = [];
  readonly sources: Source[] = [];
  /** The place of the first point. */
  start = 0;
  /** No point arrived before this tick. */
  #oldestTick = Infinity;

  get isEmpty(): boolean {
    return this.start === this.times.length;
  }

  /** Behind the place of the last point. */
  get end(): number {
    return this.times.length;
  }

  /** The last time; `-Infinity` if there is no point. */
  get last(): number {
    return this.isEmpty ? -Infinity : this.times[this.times.length - 1];
  }

  /** The place of the first point at that time or later. */
  placeOf(time: number): number {
    const { times } = this;
    let end = times.length;
    // Most look for the last point, or for the place behind it.
    if (end === this.start || times[end - 1] < time) return end;
    let start = this.start;
    if (times[end - 1] === time) return end - 1;
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
    if (tick < this.#oldestTick) this.#oldestTick = tick;
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
    if (tick <= this.#oldestTick) return;
    const { ticks, sources } = this;
    while (this.start < ticks.length && ticks[this.start] < tick) onForget(sources[this.start++]);
    this.#oldestTick = Infinity;
    for (let i = this.start; i < ticks.length; i++) {
      if (ticks[i] < tick) return this.#forgetAmong(tick, onForget);
      if (ticks[i] < this.#oldestTick) this.#oldestTick = ticks[i];
    }
    if (this.start > MAX_FORGOTTEN || this.isEmpty) this.#cut();
  }

  /** Forgets points that stand between others. */
  #forgetAmong(tick: number, onForget: (source: Source) => void): void {
    this.#cut();
    const { times, values, ticks, sources } = this;
    this.#oldestTick = Infinity;
    let kept = 0;
    for (let i = 0; i < ticks.length; i++) {
      if (ticks[i] < tick) {
        onForget(sources[i]);
        continue;
      }
      times[kept] = times[i];
      values[kept] = values[i];
      ticks[kept] = ticks[i];
      sources[kept++] = sources[i];
      if (ticks[i] < this.#oldestTick) this.#oldestTick = ticks[i];
    }
    times.length =
      values.length =
      ticks.length =
      sources.length =
        kept;
  }

  #cut(): void {
    for (const column of [this.times, this.values, this.ticks, this.sources]) column.splice(0, this.start);
    this.start = 0;
  }

  /** Moves all times. */
  shift(ns: number): void {
    for (let i = 0; i < this.times.length; i++) this.times[i] += ns;
  }
}
