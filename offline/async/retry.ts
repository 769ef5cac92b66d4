import { delay } from "./delay.ts";

/** Thrown by {@linkcode retry} after the last attempt; its cause is what that attempt threw. */
export class RetryError extends Error {
  constructor(cause: unknown, attempts: number) {
    super(`Retrying exceeded the maxAttempts (${attempts}).`, { cause });
    this.name = "RetryError";
  }
}

/** Options for {@linkcode retry}. */
export interface RetryOptions {
  /** What the wait is multiplied with after each attempt. @default {2} */
  multiplier?: number;
  /** The longest wait, in milliseconds. @default {60000} */
  maxTimeout?: number;
  /** @default {5} */
  maxAttempts?: number;
  /** The first wait, in milliseconds. @default {1000} */
  minTimeout?: number;
  /** Share of the wait that is random: 0 is none of it, 1 is all of it. @default {1} */
  jitter?: number;
  /** Whether to try again after this error. @default {() => true} */
  isRetriable?: (err: unknown) => boolean;
  /** Ends trying and waiting, with its reason. */
  signal?: AbortSignal;
}

/**
 * Calls the function until it succeeds, `maxAttempts` times at most.
 *
 * @throws {RetryError} After the last attempt.
 * @throws {RangeError} If an option makes no sense.
 * @throws What the function threw, if that is not retriable; the signal's reason, if it is aborted.
 */
export async function retry<T>(fn: (() => Promise<T>) | (() => T), options: RetryOptions = {}): Promise<T> {
  const { multiplier = 2, maxTimeout = 60_000, maxAttempts = 5, minTimeout = 1000, jitter = 1 } = options;
  const { isRetriable = () => true, signal } = options;

  const demand = (holds: boolean, name: string, what: string, value: number) => {
    if (!holds) throw new RangeError(`Cannot retry as '${name}' must be ${what}: current value is ${value}`);
  };
  demand(Number.isInteger(maxAttempts) && maxAttempts >= 1, "maxAttempts", "a positive integer", maxAttempts);
  demand(multiplier >= 1 && multiplier < Infinity, "multiplier", "a finite number >= 1", multiplier);
  demand(maxTimeout > 0, "maxTimeout", "a positive number", maxTimeout);
  demand(minTimeout >= 0, "minTimeout", ">= 0", minTimeout);
  demand(minTimeout <= maxTimeout, "minTimeout", `<= 'maxTimeout' (${maxTimeout})`, minTimeout);
  demand(jitter >= 0 && jitter <= 1, "jitter", "between 0 and 1", jitter);

  let waitMs = minTimeout;
  for (let attempt = 1;; attempt++) {
    signal?.throwIfAborted();
    try {
      return await fn();
    } catch (error) {
      if (!isRetriable(error)) throw error;
      if (attempt >= maxAttempts) throw new RetryError(error, maxAttempts);
    }
    await delay(waitMs * (1 - jitter * Math.random()), { signal });
    waitMs = Math.min(maxTimeout, waitMs * multiplier);
  }
}
