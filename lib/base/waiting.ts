/**
 * Waits that can end early: because they are woken, a signal is aborted, or they take too long.
 *
 * Not by `AbortSignal.any`, nor by `deadline` of `@std/async`, which uses it: before Deno 2.9 its sources hold such a signal
 * weakly, and garbage collection takes it away with everybody who waits for it (denoland/deno#29075). It also leaves
 * memory behind in a source that lives on, as a timer of `AbortSignal.timeout` does until it fires.
 */
import { abortable } from "@std/async/abortable";
import { MAX_TIMER_MS, Timer } from "./timers.ts";

/** One caller waits at a time, and others wake it. */
export class Wakeup {
  #wake: (() => void) | null = null;

  /** Whether a caller waits. */
  get isAwaited(): boolean {
    return this.#wake !== null;
  }

  /** Ends the wait, if there is one. */
  wake(): void {
    this.#wake?.();
  }

  /** Resolves when it is woken, after `ms` (24 days at most), or when the signal is aborted. */
  wait(ms = Infinity, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      let timer: ReturnType<typeof setTimeout> | undefined = undefined;
      let ended = false;
      const end = () => {
        if (ended) return;
        ended = true;
        // First, because the following lines may run other code, which may begin the next wait.
        if (this.#wake === end) this.#wake = null;
        signal?.removeEventListener("abort", end);
        if (timer !== undefined) clearTimeout(timer);
        resolve();
      };
      signal?.addEventListener("abort", end, { once: true });
      this.#wake = end;
      if (ms < Infinity) {
        timer = setTimeout(() => {
          // It costs as much to clear one that has fired as one that has not.
          timer = undefined;
          end();
        }, Math.max(0, Math.min(ms, MAX_TIMER_MS)));
      }
      // Starting a timer may run queued microtasks, and one of them may have ended this wait.
      if (ended) clearTimeout(timer);
    });
  }
}

/** Waits for the promise for at most `ms`. @returns Whether it resolved in time. @throws what it rejects with in time. */
export async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  using _limit = Timer.afterArrivals(ms, () => late.resolve(false));
  return await Promise.race([promise.then(() => true), late.promise]);
}

/** Resolves when the signal is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Wakeup().wait(Infinity, signal);
}

/**
 * Waits for the promise until the signal is aborted. After that the caller looks after the promise.
 *
 * @returns Whether the promise has resolved. @throws what it rejects with.
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

/** Calls `action` when the signal is aborted, at once if it already is, unless the result is disposed of before. */
export function onAbort(signal: AbortSignal, action: () => void): Disposable {
  if (signal.aborted) action();
  else signal.addEventListener("abort", action, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", action) };
}

/** A signal that is aborted with the first of several. Dispose of it when nobody needs it any more. */
export class EitherSignal implements Disposable {
  readonly #controller = new AbortController();
  readonly #sources: readonly Disposable[];

  constructor(...sources: readonly AbortSignal[]) {
    this.#sources = sources.map((source) => onAbort(source, () => this.#controller.abort(source.reason)));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const source of this.#sources) source[Symbol.dispose]();
  }
}

/** A signal for one attempt: aborted after `ms`, or with `signal`. Dispose of it after the attempt. */
export class TimeLimit implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: Timer;
  readonly #outer: Disposable | undefined;
  #isOver = false;

  constructor(ms: number, signal?: AbortSignal) {
    this.#timer = Timer.after(ms, () => {
      this.#isOver = true;
      this.#controller.abort(new DOMException("It took too long", "TimeoutError"));
    });
    this.#outer = signal && onAbort(signal, () => this.#controller.abort(signal.reason));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether the time is over. */
  get isOver(): boolean {
    return this.#isOver;
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#outer?.[Symbol.dispose]();
  }
}

/** Settles as the promise does. @throws a `TimeoutError` after `ms`, or the reason of the signal when it is aborted */
export async function withTimeLimit<T>(promise: Promise<T>, ms: number, signal?: AbortSignal): Promise<T> {
  using limit = new TimeLimit(ms, signal);
  return await abortable(promise, limit.signal);
}

/** Closes something that may already be closed. */
export function closeQuietly(closable: { close(): void } | null | undefined): void {
  try {
    closable?.close();
  } catch { /* it is closed */ }
}
