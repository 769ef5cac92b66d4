/**
 * The values of the last quarter of an hour, in a fixed amount of memory: of each series the last value, and of as many as
 * there is room for a ring of samples. Some rings are for the hosts that somebody looks at. Taking a point costs a few
 * reads and writes of typed arrays.
 */
import { grown, nextLength } from "../../base/growing.ts";
import type { Batch } from "../../points/measurement.ts";
import { SeriesColumn } from "../../points/series_column.ts";
import { type SeriesStore, seriesStore } from "../../points/series_store.ts";
import { isOfPower, powerKindOf, type PowerRole, ROLES } from "../../points/power.ts";

/** Seconds between two samples, and how many there are. */
export const STEP_SECONDS = 3;
export const SAMPLES = 300;

/** What the last value of a series takes, about, in bytes. */
const SLOT_BYTES = 48;
const RING_BYTES = SAMPLES * 4;
/** Parts of the memory: rings of series, and last values. The rest is for the power of hosts. */
const RINGS_SHARE = 3 / 8;
const SLOTS_SHARE = 3 / 8;
/** Of the rings, those for hosts that are looked at; of the last values, those for power alone. */
const LOOKED_SHARE = 1 / 6;
const POWER_SHARE = 1 / 8;
const INITIAL_RINGS = 64;
const NO_RING = -1;
/** Places of series for which there was no room: those of power need any slot, others an open one. */
const REFUSED_POWER = 1;
const REFUSED_OTHER = 2;
/** Other places are a slot and what must be known of it for each point, in the lowest bits. */
const FIRST_PLACE = 8;
const FLAG_BITS = 3;
const IS_POWER = 1;
const IS_ENERGY = 2;
const HAS_RING = 4;
const INITIAL_SLOTS = 256;
/** Two points of an energy that are further apart say nothing about its power now, in seconds. */
const MAX_SPAN_SECONDS = 3600;
/** Of values that follow each other faster, only some are taken: more than a plot shows. In seconds. */
const SHORT_SECONDS = 0.5;
/** Points of all kinds that are taken between two calls of {@linkcode LiveRing.advance}: with more, looking would cost too much. */
const FULL_POINTS = 100_000;
/** The role of a series that is not power. */
const NO_ROLE = 255;

/** What the ring asks, and whom it tells. */
export interface RingUser {
  /** The number of the host that a series is from. */
  hostOf(number: number): number;
  /** A slot is that of a series with power from now on, or not any more. */
  onMeter(slot: number): void;
  onForget(slot: number): void;
}

export class LiveRing {
  /** Series for which there was no room when their last point came. */
  refused = 0;
  /** The number of samples that have been begun since the epoch. */
  newestStep: number;
  readonly #store: SeriesStore;
  /** By the number of a series: see {@linkcode FIRST_PLACE}. */
  readonly #places: SeriesColumn;
  readonly #maxSlots: number;
  /** Slots and rings that any series may have. */
  readonly #maxOpenSlots: number;
  readonly #maxOpenRings: number;
  readonly #maxRings: number;
  readonly #user: RingUser;
  readonly #free: number[] = [];
  #end = 0;
  readonly #freeRings: number[] = [];
  #endRing = 0;
  /** Rings that were given to series as they came. */
  #openRings = 0;
  /** Slots that have a ring because somebody looks at their host, by host: who was looked at last stands last. */
  readonly #looked = new Map<number, Set<number>>();
  /** Points that are taken until the next {@linkcode advance}; of more, only power is taken. */
  #left = FULL_POINTS;
  // By the slot.
  #series = new Uint32Array(INITIAL_SLOTS);
  #last = new Float64Array(INITIAL_SLOTS);
  /** The time of the last point, in seconds since the epoch. */
  #times = new Float64Array(INITIAL_SLOTS);
  /** Of power: the step in which the last point came. */
  #heard = new Uint32Array(INITIAL_SLOTS);
  #hosts = new Uint32Array(INITIAL_SLOTS);
  /** The role, or {@linkcode NO_ROLE}. */
  #roles = new Uint8Array(INITIAL_SLOTS);
  #factors = new Float64Array(INITIAL_SLOTS);
  #ringOf = new Int32Array(INITIAL_SLOTS).fill(NO_RING);
  /** By the ring. */
  #rings = new Float32Array(INITIAL_RINGS * SAMPLES);

  /**
   * @param limitBytes For everything.
   */
  constructor(
    limitBytes: number,
    user: RingUser,
    nowMs: number,
    store: SeriesStore = seriesStore,
  ) {
    this.#store = store;
    this.#user = user;
    this.#maxSlots = Math.floor(limitBytes * SLOTS_SHARE / SLOT_BYTES);
    this.#maxOpenSlots = Math.floor(this.#maxSlots * (1 - POWER_SHARE));
    this.#maxRings = Math.min(this.#maxSlots, Math.floor(limitBytes * RINGS_SHARE / RING_BYTES));
    this.#maxOpenRings = Math.floor(this.#maxRings * (1 - LOOKED_SHARE));
    this.newestStep = stepOf(nowMs / 1000);
    this.#places = new SeriesColumn(store, (_, place) => this.#forget(place));
  }

  take(batch: Batch): void {
    const { series, length } = batch;
    this.#left -= length;
    // A series that is refused is passed over.
    for (let row = 0; (row = this.#takeFrom(row, batch)) < length;) this.#admit(series[row]);
  }

  /** Takes points from a row on. @returns the first row of a series that is to be admitted, or the length. */
  #takeFrom(first: number, batch: Batch): number {
    const { series, seconds, nanos, values, length } = batch;
    const isHurried = this.#left < 0;
    const newest = this.newestStep;
    const oldest = (newest - SAMPLES + 2) * STEP_SECONDS;
    const end = (newest + 2) * STEP_SECONDS;
    // Nothing replaces a column in this loop: the compiler need not look for that with each point.
    const places = this.#places.values;
    const [times, last, heard, factors] = [this.#times, this.#last, this.#heard, this.#factors];
    const [rings, ringOf] = [this.#rings, this.#ringOf];
    const leastRefused = this.#leastRefused;
    for (let row = first; row < length; row++) {
      const place = places[series[row]];
      if (place < FIRST_PLACE) {
        if (place < leastRefused) return row;
        continue;
      }
      const slot = slotOf(place);
      const whole = seconds[row];
      const time = whole + nanos[row] * 1e-9;
      const since = time - times[slot];
      let value = values[row];
      if ((place & IS_POWER) === 0) {
        // There is no time for all of them: power is what is looked at first.
        if (isHurried) continue;
        if (isSuperfluous(since, whole, oldest)) continue;
        if (since >= 0) {
          times[slot] = time;
          last[slot] = value;
        }
      } else {
        if ((place & IS_ENERGY) === 0) {
          if (isSuperfluous(since, whole, oldest)) continue;
          value *= factors[slot];
        } else {
          // A first or late point of an energy says nothing about its power.
          if (since <= 0) continue;
          if (since > MAX_SPAN_SECONDS) {
            times[slot] = time;
            continue;
          }
          value = value * factors[slot] / since;
        }
        if (Number.isNaN(value)) continue;
        if (since >= 0) {
          times[slot] = time;
          last[slot] = value;
          heard[slot] = newest;
        }
      }
      if ((place & HAS_RING) === 0 || whole < oldest || whole >= end) continue;
      rings[ringOf[slot] * SAMPLES + stepOf(whole) % SAMPLES] = value;
    }
    return length;
  }

  /** Slots in use. */
  get #used(): number {
    return this.#end - this.#free.length;
  }

  /** Of this place and higher ones below {@linkcode FIRST_PLACE}, there is still no room for the series. */
  get #leastRefused(): number {
    const used = this.#used;
    return used >= this.#maxSlots ? REFUSED_POWER : used >= this.#maxOpenSlots ? REFUSED_OTHER : FIRST_PLACE;
  }

  #admit(number: number): void {
    const used = this.#used;
    // Most are no power, and decoding a series takes time.
    const isPower = isOfPower(this.#store.metricOf(number).unit);
    if (used >= this.#maxSlots) return this.#refuse(number, isPower ? REFUSED_POWER : REFUSED_OTHER);
    const kind = isPower ? powerKindOf(this.#store.definitionOf(number)) : null;
    if (used >= this.#maxOpenSlots && !kind) return this.#refuse(number, REFUSED_OTHER);
    if (this.#places.values[number] !== 0) this.refused--;
    const slot = this.#free.pop() ?? this.#end;
    if (slot === this.#end) {
      this.#end++;
      if (slot >= this.#series.length) this.#grow();
    }
    this.#series[slot] = number;
    this.#last[slot] = NaN;
    // Of the first energy, the time since the one before is not known.
    this.#times[slot] = -Infinity;
    this.#heard[slot] = this.newestStep;
    this.#roles[slot] = kind ? ROLES.indexOf(kind.role) : NO_ROLE;
    this.#factors[slot] = kind ? kind.factor : 1;
    this.#hosts[slot] = this.#user.hostOf(number);
    this.#places.values[number] = FIRST_PLACE + (slot << FLAG_BITS) + (kind ? IS_POWER : 0) +
      (kind?.isEnergy ? IS_ENERGY : 0);
    if (kind && kind.role !== "consumer" && kind.role !== "inside") this.#user.onMeter(slot);
    // Hosts that are looked at may have them all.
    if (this.#openRings < this.#maxOpenRings && this.#hasRing) {
      this.#openRings++;
      this.#giveRing(slot);
    }
  }

  #refuse(number: number, place: typeof REFUSED_POWER | typeof REFUSED_OTHER): void {
    const { values } = this.#places;
    if (values[number] === 0) this.refused++;
    values[number] = place;
  }

  #forget(place: number): void {
    if (place < FIRST_PLACE) {
      this.refused--;
      return;
    }
    const slot = slotOf(place);
    if ((place & IS_POWER) !== 0) this.#user.onForget(slot);
    if ((place & HAS_RING) !== 0) {
      if (!this.#looked.get(this.#hosts[slot])?.delete(slot)) this.#openRings--;
      this.#takeRing(slot);
    }
    this.#series[slot] = 0;
    this.#free.push(slot);
  }

  /** There is a ring that nobody has. */
  get #hasRing(): boolean {
    return this.#freeRings.length > 0 || this.#endRing < this.#maxRings;
  }

  #giveRing(slot: number): void {
    const ring = this.#freeRings.pop() ?? this.#endRing++;
    if ((ring + 1) * SAMPLES > this.#rings.length) {
      const rings = Math.min(this.#maxRings, nextLength(this.#rings.length / SAMPLES));
      this.#rings = grown(this.#rings, rings * SAMPLES);
    }
    this.#rings.fill(NaN, ring * SAMPLES, (ring + 1) * SAMPLES);
    this.#ringOf[slot] = ring;
    this.#places.values[this.#series[slot]] |= HAS_RING;
  }

  #takeRing(slot: number): void {
    this.#freeRings.push(this.#ringOf[slot]);
    this.#ringOf[slot] = NO_RING;
    this.#places.values[this.#series[slot]] &= ~HAS_RING;
  }

  /** Somebody looks at a host: its series get rings, if need be those of the host that was looked at longest ago. */
  look(host: number): void {
    const slots = this.#looked.get(host) ?? new Set();
    this.#looked.delete(host);
    this.#looked.set(host, slots);
    for (const slot of this.slots()) {
      if (this.#hosts[slot] !== host || this.#ringOf[slot] !== NO_RING) continue;
      // A host that has no ring to give does not stand in the way of the next one.
      while (!this.#hasRing) {
        const [[other, others]] = this.#looked;
        if (other === host) return;
        for (const slot of others) this.#takeRing(slot);
        this.#looked.delete(other);
      }
      this.#giveRing(slot);
      slots.add(slot);
    }
  }

  #grow(): void {
    const slots = Math.min(this.#maxSlots, nextLength(this.#series.length));
    this.#series = grown(this.#series, slots);
    this.#last = grown(this.#last, slots);
    this.#times = grown(this.#times, slots);
    this.#heard = grown(this.#heard, slots);
    this.#hosts = grown(this.#hosts, slots);
    this.#roles = grown(this.#roles, slots);
    this.#factors = grown(this.#factors, slots);
    const before = this.#ringOf.length;
    this.#ringOf = grown(this.#ringOf, slots).fill(NO_RING, before);
  }

  /** Begins the samples up to now. @returns how many that were. */
  advance(nowMs: number): number {
    this.#left = FULL_POINTS;
    const now = stepOf(nowMs / 1000);
    const steps = now - this.newestStep;
    if (steps <= 0) {
      // A clock that was set back.
      if (steps < -SAMPLES) this.newestStep = now;
      return 0;
    }
    // The place of the step behind the newest may have been written already: it is that of a clock that is ahead.
    const first = Math.max(this.newestStep + 2, now - SAMPLES + 2);
    const end = this.#endRing * SAMPLES;
    for (let step = first; step <= now + 1; step++) {
      for (let at = step % SAMPLES; at < end; at += SAMPLES) this.#rings[at] = NaN;
    }
    this.newestStep = now;
    return steps;
  }

  /** Slots in use. */
  *slots(): Generator<number> {
    for (let slot = 0; slot < this.#end; slot++) if (this.#series[slot] !== 0) yield slot;
  }

  /** The number of the series of a slot. */
  seriesOf(slot: number): number {
    return this.#series[slot];
  }

  metricOf(slot: number): string {
    return this.#store.metricOf(this.#series[slot]).name;
  }

  hostOf(slot: number): number {
    return this.#hosts[slot];
  }

  /** The last value; of power and energy in watts. NaN where none is known. */
  lastOf(slot: number): number {
    return this.#last[slot];
  }

  /** The time of the last point, in seconds since the epoch. */
  timeOf(slot: number): number {
    return this.#times[slot];
  }

  /** Of power: seconds since a point came, to the step. */
  silenceOf(slot: number): number {
    return (this.newestStep - this.#heard[slot]) * STEP_SECONDS;
  }

  roleOf(slot: number): PowerRole | null {
    const role = this.#roles[slot];
    return role === NO_ROLE ? null : ROLES[role];
  }

  /** The samples, oldest first, the last one of the newest step; `null` where there is no room for them. */
  samplesOf(slot: number): number[] | null {
    const ring = this.#ringOf[slot];
    if (ring === NO_RING) return null;
    const samples: number[] = [];
    for (let step = this.newestStep - SAMPLES + 2; step <= this.newestStep; step++) {
      samples.push(this.#rings[ring * SAMPLES + step % SAMPLES]);
    }
    return samples;
  }
}

const slotOf = (place: number) => (place - FIRST_PLACE) >>> FLAG_BITS;
const stepOf = (seconds: number) => Math.floor(seconds / STEP_SECONDS);
/** Too late to be seen, or too soon after the last one. */
const isSuperfluous = (since: number, whole: number, oldest: number) =>
  since < SHORT_SECONDS && (since >= 0 || whole < oldest);
