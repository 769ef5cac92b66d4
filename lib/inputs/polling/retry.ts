/** When something that cannot be read is tried again: after half a second, and then less and less often. */
import { type Backoff, backoffMs } from "../../base/backoff.ts";
import type { MonotonicClock } from "../../base/clock.ts";

/** A sensor that sleeps is back within ten seconds after it wakes. */
const BACKOFF: Backoff = { initialMs: 500, maxMs: 10_000, multiplier: 2, jitter: 0 };

export class Retry {
  readonly #clock: MonotonicClock;
  #failures = 0;
  #dueMs = -Infinity;

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  /** Whether it is time to read; always after a success. */
  get isDue(): boolean {
    return this.#failures === 0 || this.#clock.monotonicMs() >= this.#dueMs;
  }

  /** Reading has failed. */
  failed(): void {
    this.#dueMs = this.#clock.monotonicMs() + backoffMs(BACKOFF, ++this.#failures);
  }

  /** Reading has succeeded. */
  succeeded(): void {
    this.#failures = 0;
  }
}
