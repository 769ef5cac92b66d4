/** Options for {@linkcode delay}. */
export interface DelayOptions {
  /** Ends the wait: it rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Whether the process lives on for it. @default {true} */
  persistent?: boolean;
}

/** A timer holds 2^31 - 1 ms at most; a longer one would fire at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** Resolves after `ms`. */
export function delay(ms: number, options: DelayOptions = {}): Promise<void> {
  const { signal, persistent = true } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    let timer = 0;
    const abort = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const wait = (leftMs: number) => {
      const nowMs = Math.min(leftMs, LONGEST_TIMER_MS);
      timer = Number(setTimeout(() => {
        if (leftMs > nowMs) return wait(leftMs - nowMs);
        signal?.removeEventListener("abort", abort);
        resolve();
      }, nowMs));
      if (!persistent) Deno.unrefTimer(timer);
    };
    wait(ms > 0 ? Math.trunc(ms) : 0);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
