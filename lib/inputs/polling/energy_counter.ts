/** Counters of energy: the difference of two values, where it can be energy. */
import { difference, type U64 } from "./scan.ts";

/** How a counter counts. */
export interface EnergyScale {
  /** The largest value, after which it begins at 0 again; `undefined` where no hardware width is known. */
  readonly max?: U64 | undefined;
  /** The power above which a difference is not plausible, in watts. @default {10_000}: no processor and no GPU uses it */
  readonly mostWatts?: number;
  /** Values to joules. */
  joules(steps: number): number;
}

const MOST_WATTS = 10_000;
/** A counter that jumps ahead may have energy that its driver has held back: so many times more is plausible. */
const AHEAD = 10;
/** A counter is read a little after the time that its value gets, and hardware adds up what it counts, in seconds. */
const SLACK_SECONDS = 1;

/** What the log says of it. */
export const JUMPED = "A counter of energy jumped by more than any machine uses: the interval is left out";

/** Turns the values of a counter into energy. */
export class EnergyCounter {
  /** Whether the last value has jumped ahead: no machine uses so much between two polls. */
  hasJumped = false;
  readonly #scale: EnergyScale;
  #before: U64 | undefined;
  #beforeMs = 0;

  constructor(scale: EnergyScale) {
    this.#scale = scale;
  }

  /**
   * The energy since the last value, in joules; `undefined` at the first value, where the counter went back without a
   * plausible wrap (a suspend or a reset begins at 0), and where it jumped ahead. NaN where the value is not a number.
   */
  advance(now: U64, nowMs: number): number | undefined {
    const before = this.#before;
    const seconds = (nowMs - this.#beforeMs) / 1000;
    this.#before = now;
    this.#beforeMs = nowMs;
    this.hasJumped = false;
    if (before === undefined) return undefined;
    const joules = this.#since(before, now);
    if (joules === undefined) return undefined;
    const most = (this.#scale.mostWatts ?? MOST_WATTS) * (seconds + SLACK_SECONDS);
    this.hasJumped = now >= before && joules > AHEAD * most;
    return this.hasJumped || (now < before && joules > most) ? undefined : joules;
  }

  /** `undefined` where the counter went back and has no width. */
  #since(before: U64, now: U64): number | undefined {
    const { max } = this.#scale;
    const steps = difference(now, before);
    if (steps !== undefined) return this.#scale.joules(Number(steps));
    const left = max === undefined ? undefined : difference(max, before);
    return left === undefined ? undefined : this.#scale.joules(Number(left) + Number(now) + 1);
  }
}
