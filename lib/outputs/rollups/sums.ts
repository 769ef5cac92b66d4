/** What the points of one interval add up to, by series, until it is stored. */
import { grown } from "../../base/growing.ts";

/** The sums of a series in an interval. Times are nanoseconds from the start of the interval. */
export interface Sums {
  points: number;
  sum: number;
  min: number;
  max: number;
  first: number;
  last: number;
  firstTime: number;
  lastTime: number;
}

const INITIAL_SERIES = 1024;

/** Columns, because there may be a million series. */
export class IntervalSums {
  /** Seconds since the Unix epoch. */
  start = 0;
  /** The part of the database that the first of its points are in. */
  firstPart = Infinity;
  /** When the interval was begun here, and when points were last added, by a clock that is never set, in ms. */
  beganMs = 0;
  changedMs = 0;
  /** How many series it has. */
  length = 0;
  /** Ids of series, by place. */
  series = new Uint32Array(INITIAL_SERIES);
  #points = new Uint32Array(INITIAL_SERIES);
  #numbers = columnsOf(INITIAL_SERIES);
  /** Places, plus 1: that of a series is at its id, modulo the length, or behind it. Ids are nearly consecutive. */
  #slots = new Uint32Array(2 * INITIAL_SERIES);

  begin(start: number, nowMs: number): void {
    this.#slots.fill(0);
    this.length = 0;
    this.start = start;
    this.firstPart = Infinity;
    this.beganMs = this.changedMs = nowMs;
  }

  /**
   * Adds a point. NaN is no value, and does not count.
   *
   * @param id Of its series, an integer from 1. @param time In nanoseconds from the start of the interval.
   */
  add(id: number, time: number, value: number): void {
    if (Number.isNaN(value)) return;
    const place = this.#placeOf(id);
    const { sum, min, max, first, last, firstTime, lastTime } = this.#numbers;
    if (this.#points[place]++ === 0) {
      sum[place] =
        min[place] =
        max[place] =
        first[place] =
        last[place] =
          value;
      firstTime[place] = lastTime[place] = time;
      return;
    }
    sum[place] += value;
    if (value < min[place]) min[place] = value;
    if (value > max[place]) max[place] = value;
    if (time < firstTime[place]) {
      firstTime[place] = time;
      first[place] = value;
    }
    if (time >= lastTime[place]) {
      lastTime[place] = time;
      last[place] = value;
    }
  }

  /** The sums at a place, into an object of the caller's. */
  read(place: number, into: Sums): void {
    const { sum, min, max, first, last, firstTime, lastTime } = this.#numbers;
    into.points = this.#points[place];
    into.sum = sum[place];
    into.min = min[place];
    into.max = max[place];
    into.first = first[place];
    into.last = last[place];
    into.firstTime = firstTime[place];
    into.lastTime = lastTime[place];
  }

  /** The ids of its series, in ascending order. */
  ids(): Uint32Array {
    return this.series.slice(0, this.length).sort();
  }

  /** The place of a series, or -1. */
  placeOf(id: number): number {
    return this.#slots[this.#slotOf(id)] - 1;
  }

  /** Where the place of a series is, or would be. */
  #slotOf(id: number): number {
    const mask = this.#slots.length - 1;
    let slot = id & mask;
    while (this.#slots[slot] !== 0 && this.series[this.#slots[slot] - 1] !== id) slot = (slot + 1) & mask;
    return slot;
  }

  #placeOf(id: number): number {
    const slot = this.#slotOf(id);
    if (this.#slots[slot] !== 0) return this.#slots[slot] - 1;
    if (this.length === this.series.length) {
      this.#grow(2 * this.length);
      return this.#placeOf(id);
    }
    const place = this.length++;
    this.#slots[slot] = place + 1;
    this.series[place] = id;
    this.#points[place] = 0;
    return place;
  }

  #grow(length: number): void {
    this.series = grown(this.series, length);
    this.#points = grown(this.#points, length);
    for (const name of NUMBERS) this.#numbers[name] = grown(this.#numbers[name], length);
    this.#slots = new Uint32Array(2 * length);
    for (let place = 0; place < this.length; place++) {
      this.#slots[this.#slotOf(this.series[place])] = place + 1;
    }
  }
}

const NUMBERS = ["sum", "min", "max", "first", "last", "firstTime", "lastTime"] as const;

function columnsOf(length: number): Record<typeof NUMBERS[number], Float64Array<ArrayBuffer>> {
  const column = () => new Float64Array(length);
  return {
    sum: column(),
    min: column(),
    max: column(),
    first: column(),
    last: column(),
    firstTime: column(),
    lastTime: column(),
  };
}
