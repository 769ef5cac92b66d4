/** The wall clock and waiting, passed as arguments so that tests control time. */
import { Wakeup, within } from "./waiting.ts";

/** A time in the form of the protocol. */
export interface Timestamp {
  /** Whole seconds since the Unix epoch. */
  readonly seconds: number;
  /** 0 to 999,999,999. */
  readonly nanos: number;
}

export interface Clock {
  /** The wall clock, to the microsecond. */
  now(): Timestamp;
  /** Milliseconds since a fixed point; never goes back. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once (without an error) when the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A clock for intervals only. */
export type MonotonicClock = Pick<Clock, "monotonicMs">;

/** A clock for intervals and waits. */
export type IntervalClock = Pick<Clock, "monotonicMs" | "sleep">;

/**
 * Waits for the promise for at most `ms` of the clock.
 *
 * @returns Whether it resolved in time. @throws what it rejects with in time.
 */
export async function isInTime(promise: Promise<unknown>, ms: number, clock: Clock): Promise<boolean> {
  const decided = new AbortController();
  // What came while the process was stopped has one more turn, as in `within`.
  const late = clock.sleep(ms, decided.signal).then(() => !decided.signal.aborted && within(promise, 0));
  return await Promise.race([promise.then(() => true), late]).finally(() => decided.abort());
}

/** The monotonic clock of this process, the default where no clock is given. */
export const PROCESS_CLOCK: IntervalClock = {
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => new Wakeup().wait(ms, signal),
};

/**
 * The system's clock. `Date.now()` has milliseconds. The microseconds come from the monotonic clock and stay within the
 * millisecond of the wall clock, so the result follows steps and slewing of the wall clock.
 */
export class SystemClock implements Clock {
  /** Wall clock minus monotonic clock, in ms. */
  #offsetMs: number;

  constructor() {
    // At the moment when the millisecond changes, the time is known to the microsecond: wait for that.
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
    return PROCESS_CLOCK.monotonicMs();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return PROCESS_CLOCK.sleep(ms, signal);
  }
}
