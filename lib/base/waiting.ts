/** A wait that somebody may end before its time. */

/** A timer holds 2^31 - 1 ms at most; a longer one would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** One waits at a time. */
export class Wakeup {
  #wake: (() => void) | null = null;

  /** Whether somebody waits. */
  get isAwaited(): boolean {
    return this.#wake !== null;
  }

  /** Ends the wait, if there is one. */
  wake(): void {
    this.#wake?.();
  }

  /** Resolves when it is woken, when so many ms have passed (24 days at most), or when the signal is aborted. */
  wait(ms = Infinity, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      let timer: ReturnType<typeof setTimeout> | undefined = undefined;
      let ended = false;
      const end = () => {
        if (ended) return;
        ended = true;
        // First of all: what follows may run other code, and that may begin the next wait, which is not this one's to end.
        if (this.#wake === end) this.#wake = null;
        signal?.removeEventListener("abort", end);
        clearTimeout(timer);
        resolve();
      };
      signal?.addEventListener("abort", end, { once: true });
      this.#wake = end;
      if (ms < Infinity) timer = setTimeout(end, Math.max(0, Math.min(ms, MAX_TIMER_MS)));
      // Starting a timer may run queued microtasks, and one of them may have ended this wait.
      if (ended) clearTimeout(timer);
    });
  }
}
