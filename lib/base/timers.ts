/**
 * Timers that do nothing once they are ended. Where a timer is due in the same turn of the event loop as what clears it, Deno
 * 2.6 calls it after `clearTimeout` or `clearInterval`: on what is closed by then, or against what came just in time.
 */

/** The longest timer; a longer one would fire at once. */
export const MAX_TIMER_MS = 2_147_483_647;

/** How far away the first call of a repeated timer is at least, and any other, in intervals. */
const FIRST_STEPS = 0.5;
const NEXT_STEPS = 0.9;

/** A timer; disposing of it ends it. */
export class Timer implements Disposable {
  #id: ReturnType<typeof setTimeout> | undefined;
  #isEnded = false;
  #keepsProcess = true;

  private constructor() {}

  /** Calls `action` once, after `ms`. */
  static after(ms: number, action: () => void): Timer {
    const timer = new Timer();
    timer.#start(ms, action);
    return timer;
  }

  /**
   * Calls `action` once, after `ms` and one more turn of the event loop: a process that was stopped gets its timers before
   * what has come meanwhile.
   */
  static afterArrivals(ms: number, action: () => void): Disposable {
    let timer = Timer.after(ms, () => timer = Timer.after(0, action));
    return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
  }

  /**
   * Calls `action` every `ms`, at multiples of that since the start of the process, the first time after half to one and a half of
   * it. So timers with the same interval, or multiples of it, wake the process together.
   *
   * @param action Is told how late it is, in ms. Times that have passed by then are left out, and so is one that is less than nine
   * tenths of the interval away: a process that was stopped has time to read what has come before it looks again.
   */
  static every(ms: number, action: (lateMs: number) => void): Timer {
    const timer = new Timer();
    const stepMs = Math.max(1, Math.min(ms, MAX_TIMER_MS / 2));
    const start = (nowMs: number, leastSteps: number) => {
      const dueMs = Math.ceil(nowMs / stepMs + leastSteps) * stepMs;
      timer.#start(Math.ceil(dueMs - nowMs), () => {
        const nowMs = performance.now();
        start(nowMs, NEXT_STEPS);
        action(Math.max(0, nowMs - dueMs));
      });
    };
    start(performance.now(), FIRST_STEPS);
    return timer;
  }

  #start(ms: number, action: () => void): void {
    this.#id = setTimeout(() => {
      if (!this.#isEnded) action();
    }, Math.min(ms, MAX_TIMER_MS));
    if (!this.#keepsProcess) Deno.unrefTimer(this.#id);
  }

  /** The process may end before it. */
  unref(): this {
    this.#keepsProcess = false;
    Deno.unrefTimer(this.#id!);
    return this;
  }

  [Symbol.dispose](): void {
    this.#isEnded = true;
    clearTimeout(this.#id);
  }
}
