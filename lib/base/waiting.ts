/**
 * Waits that end before their time: because somebody wakes them, because a signal is aborted, or because it takes too
 * long. For a rare wait, `deadline` and `abortable` of `@std/async` and `AbortSignal.any` will do. They are not for what
 * happens with each batch or request: a timer of `AbortSignal.timeout` is kept until it fires, and `AbortSignal.any`
 * leaves something behind in each signal that lives on.
 */
import { abortable } from "@std/async/abortable";

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

/** Waits for the promise, `ms` at most. @returns whether it was in time. @throws what the promise rejects with in time. */
export async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<false>((resolve) => timer = setTimeout(() => resolve(false), ms));
  return await Promise.race([promise.then(() => true), late]).finally(() => clearTimeout(timer));
}

/** Resolves when the signal is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Wakeup().wait(Infinity, signal);
}

/**
 * Waits for the promise until the signal is aborted. What becomes of the promise after that is the caller's business.
 *
 * @returns whether the promise has resolved. @throws what it rejects with.
 */
export async function unlessAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<boolean> {
  try {
    await abortable(promise, signal);
    return true;
  } catch (error) {
    if (signal.aborted && error === signal.reason) return false;
    throw error;
  }
}

/** Calls `action` when the signal is aborted, at once if it is already, unless this is disposed of before. */
export function onAbort(signal: AbortSignal, action: () => void): Disposable {
  if (signal.aborted) action();
  else signal.addEventListener("abort", action, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", action) };
}

/** A signal for one attempt: aborted when it has taken too long, or when `signal` is. To be disposed of. */
export class TimeLimit implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #outer: Disposable | undefined;
  #isOver = false;

  constructor(ms: number, signal?: AbortSignal) {
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      this.#controller.abort(new DOMException("It has taken too long", "TimeoutError"));
    }, Math.min(ms, MAX_TIMER_MS));
    this.#outer = signal && onAbort(signal, () => this.#controller.abort(signal.reason));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether the time was over before the attempt. */
  get isOver(): boolean {
    return this.#isOver;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#outer?.[Symbol.dispose]();
  }
}

/** Closes what may be closed already, or have been closed by the other end. */
export function closeQuietly(closable: { close(): void } | null | undefined): void {
  try {
    closable?.close();
  } catch { /* it is closed */ }
}
