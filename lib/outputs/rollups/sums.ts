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
/** Numbers of a series, which lie together in one line of the processor's caches, and the place of each. */
const WIDTH = 8;
const [POINTS, SUM, MIN, MAX, FIRST, LAST, FIRST_TIME, LAST_TIME] = [0, 1, 2, 3, 4, 5, 6, 7];

/** Arrays of numbers, because there may be a million series. */
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
  #numbers = new Float64Array(WIDTH * INITIAL_SERIES);
  /** Places, plus 1: that of a series is at its id, modulo the length, or behind it. Ids are nearly consecutive. */
  #slots = new Uint32Array(2 * INITIAL_SERIES);
  /** The place behind that of the last point: series mostly come in the same order. */
  #next = 0;

  begin(start: number, nowMs: number): void {
    this.#slots.fill(0);
    this.length = 0;
    this.#next = 0;
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
    const next = this.#next;
    const place = next < this.length && this.series[next] === id ? next : this.#placeOf(id);
    this.#next = place + 1;
    const numbers = this.#numbers;
    const at = WIDTH * place;
    if (numbers[at + POINTS]++ === 0) {
      numbers[at + SUM] = value;
      numbers[at + MIN] = value;
      numbers[at + MAX] = value;
      numbers[at + FIRST] = value;
      numbers[at + LAST] = value;
      numbers[at + FIRST_TIME] = time;
      numbers[at + LAST_TIME] = time;
      return;
    }
    numbers[at + SUM] += value;
    if (value < numbers[at + MIN]) numbers[at + MIN] = value;
    if (value > numbers[at + MAX]) numbers[at + MAX] = value;
    if (time < numbers[at + FIRST_TIME]) {
      numbers[at + FIRST_TIME] = time;
      numbers[at + FIRST] = value;
    }
    if (time >= numbers[at + LAST_TIME]) {
      numbers[at + LAST_TIME] = time;
      numbers[at + LAST] = value;
    }
  }

  /** The sums at a place, into an object of the caller's. */
  read(place: number, into: Sums): void {
    const numbers = this.#numbers;
    const at = WIDTH * place;
    into.points = numbers[at + POINTS];
    into.sum = numbers[at + SUM];
    into.min = numbers[at + MIN];
    into.max = numbers[at + MAX];
    into.first = numbers[at + FIRST];
    into.last = numbers[at + LAST];
    into.firstTime = numbers[at + FIRST_TIME];
    into.lastTime = numbers[at + LAST_TIME];
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
    this.#numbers[WIDTH * place + POINTS] = 0;
    return place;
  }

  #grow(length: number): void {
    this.series = grown(this.series, length);
    this.#numbers = grown(this.#numbers, WIDTH * length);
    this.#slots = new Uint32Array(2 * length);
    for (let place = 0; place < this.length; place++) {
      this.#slots[this.#slotOf(this.series[place])] = place + 1;
    }
  }
}
