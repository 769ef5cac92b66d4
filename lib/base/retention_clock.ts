/**
 * The time by which things are deleted that are too old. A wall clock that jumps ahead (a wrong time from the network, a
 * mistyped date) would make everything too old at once, and what is deleted does not come back. So a jump is believed
 * only when the clock still shows it after a while.
 */

/** A jump that is larger than this is doubted, and believed after so long, in ms. */
const MAX_TOLERANCE_MS = 3_600_000;
const MAX_DOUBT_MS = 86_400_000;
/** The same as shares of how long things are kept. */
const TOLERANCE_SHARE = 1 / 10;

export class RetentionClock {
  /** The time that is believed, in ms since the Unix epoch, and the monotonic time at which it was. */
  #believedMs: number;
  #readMs: number;
  /** Since when the wall clock is ahead, in monotonic ms. */
  #aheadSince: number | null = null;

  /**
   * @param wallMs The wall clock, in ms since the Unix epoch.
   * @param monotonicMs A clock that is never set, in ms.
   * @param latestMs The latest time at which something is known to have happened. @default wallMs
   */
  constructor(wallMs: number, monotonicMs: number, latestMs = wallMs) {
    this.#believedMs = Math.min(wallMs, latestMs);
    this.#readMs = monotonicMs;
  }

  /** How far the wall clock is ahead of what is believed, in ms: 0 unless it is in doubt. */
  get aheadMs(): number {
    return this.#aheadSince === null ? 0 : this.#lastAheadMs;
  }
  #lastAheadMs = 0;

  /**
   * The time that is believed, in ms since the Unix epoch.
   *
   * @param keepMs For how long things are kept.
   */
  now(wallMs: number, monotonicMs: number, keepMs: number): number {
    const expectedMs = this.#believedMs + monotonicMs - this.#readMs;
    this.#readMs = monotonicMs;
    this.#lastAheadMs = wallMs - expectedMs;
    if (this.#lastAheadMs > Math.min(MAX_TOLERANCE_MS, keepMs * TOLERANCE_SHARE)) {
      this.#aheadSince ??= monotonicMs;
      if (monotonicMs - this.#aheadSince < Math.min(MAX_DOUBT_MS, keepMs)) {
        return this.#believedMs = expectedMs;
      }
    }
    this.#aheadSince = null;
    return this.#believedMs = wallMs;
  }
}
