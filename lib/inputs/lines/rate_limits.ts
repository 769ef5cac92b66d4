/** Bytes, or new series, per second of each address; what may come in one second may come at once. */
import type { MonotonicClock } from "../../base/clock.ts";

/** Addresses that are remembered. */
const MAX_ADDRESSES = 10_000;

export class RateLimits {
  readonly #clock: MonotonicClock;
  /** By address: how much may come now, and since when, in ms of the clock. */
  readonly #credits = new Map<string, { count: number; atMs: number }>();

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  /** How long an address has to wait before it may send more, in ms. */
  waitMs(address: string, perSecond: number): number {
    if (perSecond === Infinity) return 0;
    const { count } = this.#credit(address, perSecond);
    return count >= 0 ? 0 : -count / perSecond * 1000;
  }

  /** An address has sent something. */
  took(address: string, count: number, perSecond: number): void {
    if (perSecond !== Infinity) this.#credit(address, perSecond).count -= count;
  }

  #credit(address: string, perSecond: number): { count: number; atMs: number } {
    const now = this.#clock.monotonicMs();
    let credit = this.#credits.get(address);
    if (!credit) {
      if (this.#credits.size >= MAX_ADDRESSES) this.#credits.clear();
      this.#credits.set(address, credit = { count: perSecond, atMs: now });
    }
    credit.count = Math.min(perSecond, credit.count + (now - credit.atMs) / 1000 * perSecond);
    credit.atMs = now;
    return credit;
  }
}
