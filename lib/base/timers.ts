/**
 * Timers that do nothing once they are ended. Where a timer is due in the same turn of the event loop as what clears it, Deno
 * 2.6 calls it after `clearTimeout` or `clearInterval`: on what is closed by then, or against what came just in time.
 */

/** The longest timer; a longer one would fire at once. */
export const MAX_TIMER_MS = 2_147_483_647;

/** A timer; disposing of it ends it. */
export class Timer implements Disposable {
  readonly #id: ReturnType<typeof setTimeout>;
  #isEnded = false;

  private constructor(start: (call: () => void) => ReturnType<typeof setTimeout>, action: () => void) {
    this.#id = start(() => {
      if (!this.#isEnded) action();
    });
  }

  /** Calls `action` once, after `ms`. */
  static after(ms: number, action: () => void): Timer {
    return new Timer((call) => setTimeout(call, Math.min(ms, MAX_TIMER_MS)), action);
  }

  /**
   * Calls `action` once, after `ms` and one more turn of the event loop: a process that was stopped gets its timers before
   * what has come meanwhile.
   */
  static afterArrivals(ms: number, action: () => void): Disposable {
    let timer = Timer.after(ms, () => timer = Timer.after(0, action));
    return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
  }

  /** Calls `action` every `ms`. */
  static every(ms: number, action: () => void): Timer {
    return new Timer((call) => setInterval(call, Math.min(ms, MAX_TIMER_MS)), action);
  }

  /** The process may end before it. */
  unref(): this {
    Deno.unrefTimer(this.#id);
    return this;
  }

  [Symbol.dispose](): void {
    this.#isEnded = true;
    clearTimeout(this.#id);
  }
}
