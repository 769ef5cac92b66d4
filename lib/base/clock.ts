/** Wall clock and waiting, as arguments, so that tests can run time. */
import { Wakeup } from "./waiting.ts";

/** A time as the protocol has it. */
export interface Timestamp {
  /** Whole seconds since the Unix epoch. */
  readonly seconds: number;
  /** 0 to 999,999,999. */
  readonly nanos: number;
}

export interface Clock {
  /** The wall clock, to the microsecond. */
  now(): Timestamp;
  /** Milliseconds from a fixed point, never set back. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once (without an error) when the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Where only time that passes matters. */
export type MonotonicClock = Pick<Clock, "monotonicMs">;

/** The monotonic clock of this process, for what is given none. */
export const PROCESS_CLOCK: MonotonicClock = { monotonicMs: () => performance.now() };

/**
 * The system's clock. `Date.now()` has milliseconds; the microseconds come from the monotonic clock, kept within the
 * millisecond that the wall clock shows, so that it follows steps and slewing of the wall clock.
 */
export class SystemClock implements Clock {
  /** Wall clock minus monotonic clock, in ms. */
  #offsetMs: number;

  constructor() {
    // The moment at which the millisecond changes is known to the microsecond: wait for one.
    const first = Date.now();
    let now = first;
    while (now === first) now = Date.now();
    this.#offsetMs = now - performance.now();
  }

  now(): Timestamp {
    const wallMs = Date.now();
    let ms = this.#offsetMs + performance.now();
    if (ms < wallMs) {
      this.#offsetMs += wallMs - ms;
      ms = wallMs;
    } else if (ms >= wallMs + 1) {
      const late = ms - (wallMs + 0.999);
      this.#offsetMs -= late;
      ms -= late;
    }
    const seconds = Math.floor(wallMs / 1000);
    const micros = Math.min(999_999, Math.max(0, Math.round((ms - seconds * 1000) * 1000)));
    return { seconds, nanos: micros * 1000 };
  }

  monotonicMs(): number {
    return performance.now();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Wakeup().wait(ms, signal);
  }
}
