/** Bytes per second of each address; the bytes of one second may come at once. */
import type { MonotonicClock } from "../../base/clock.ts";

/** Addresses that are remembered. */
const MAX_ADDRESSES = 10_000;

export class RateLimits {
  readonly #clock: MonotonicClock;
  /** By address: what may come now, in bytes, and since when, in ms of the clock. */
  readonly #credits = new Map<string, { bytes: number; atMs: number }>();

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  /** How long an address has to wait before it may send more, in ms. */
  waitMs(address: string, bytesPerSecond: number): number {
    if (bytesPerSecond === Infinity) return 0;
    const { bytes } = this.#credit(address, bytesPerSecond);
    return bytes >= 0 ? 0 : -bytes / bytesPerSecond * 1000;
  }

  /** An address has sent something. */
  took(address: string, bytes: number, bytesPerSecond: number): void {
    if (bytesPerSecond !== Infinity) this.#credit(address, bytesPerSecond).bytes -= bytes;
  }

  #credit(address: string, bytesPerSecond: number): { bytes: number; atMs: number } {
    const now = this.#clock.monotonicMs();
    let credit = this.#credits.get(address);
    if (!credit) {
      if (this.#credits.size >= MAX_ADDRESSES) this.#credits.clear();
      this.#credits.set(address, credit = { bytes: bytesPerSecond, atMs: now });
    }
    credit.bytes = Math.min(bytesPerSecond, credit.bytes + (now - credit.atMs) / 1000 * bytesPerSecond);
    credit.atMs = now;
    return credit;
  }
}
