/**
 * The last point of each series, and those that came late after it, in the order in which they arrived: columns, in which a
 * point is a slot.
 */
import { grown, nextLength } from "../../base/growing.ts";

const NONE = -1;
/** Memory of a point in all columns, in bytes. */
const POINT_BYTES = 56;
const INITIAL_CAPACITY = 1024;

export class LastPoints {
  series = new Uint32Array(INITIAL_CAPACITY);
  seconds = new Float64Array(INITIAL_CAPACITY);
  nanos = new Uint32Array(INITIAL_CAPACITY);
  values = new Float64Array(INITIAL_CAPACITY);
  /** Where it is in the journal, and in which tick it arrived. */
  places = new Float64Array(INITIAL_CAPACITY);
  ticks = new Float64Array(INITIAL_CAPACITY);
  /** The slot of the next one of the same series, and one: the next one was late. */
  next = new Uint32Array(INITIAL_CAPACITY);
  /** Values above 2^53, by slot. */
  readonly exact: Map<number, bigint> = new Map();
  size = 0;
  /** What the series of the points take, in bytes: they are kept for them. */
  seriesBytes = 0;
  #older = new Int32Array(INITIAL_CAPACITY);
  #younger = new Int32Array(INITIAL_CAPACITY);
  #oldest = NONE;
  #youngest = NONE;
  /** Slots that are not in use, linked by {@linkcode LastPoints.#older}. */
  #free = NONE;
  #end = 0;

  /** What all points take. */
  get bytes(): number {
    return this.size * POINT_BYTES + this.seriesBytes;
  }

  /** The slot of the oldest one; -1 if there is none. */
  get oldest(): number {
    return this.#oldest;
  }

  /** A slot that is the youngest one. The caller sets its fields. */
  add(): number {
    let slot = this.#free;
    if (slot !== NONE) this.#free = this.#older[slot];
    else {
      slot = this.#end++;
      if (slot === this.values.length) this.#grow();
    }
    this.size++;
    this.next[slot] = 0;
    this.#append(slot);
    return slot;
  }

  /** A newer point is in the slot: it is the youngest one. */
  renew(slot: number): void {
    if (slot === this.#youngest) return;
    this.#unlink(slot);
    this.#append(slot);
  }

  remove(slot: number): void {
    this.#unlink(slot);
    this.exact.delete(slot);
    this.#older[slot] = this.#free;
    this.#free = slot;
    this.size--;
  }

  #append(slot: number): void {
    this.#older[slot] = this.#youngest;
    this.#younger[slot] = NONE;
    if (this.#youngest === NONE) this.#oldest = slot;
    else this.#younger[this.#youngest] = slot;
    this.#youngest = slot;
  }

  #unlink(slot: number): void {
    const [older, younger] = [this.#older[slot], this.#younger[slot]];
    if (older === NONE) this.#oldest = younger;
    else this.#younger[older] = younger;
    if (younger === NONE) this.#youngest = older;
    else this.#older[younger] = older;
  }

  #grow(): void {
    const capacity = nextLength(this.values.length);
    this.series = grown(this.series, capacity);
    this.next = grown(this.next, capacity);
    this.nanos = grown(this.nanos, capacity);
    this.seconds = grown(this.seconds, capacity);
    this.values = grown(this.values, capacity);
    this.places = grown(this.places, capacity);
    this.ticks = grown(this.ticks, capacity);
    this.#older = grown(this.#older, capacity);
    this.#younger = grown(this.#younger, capacity);
  }
}
