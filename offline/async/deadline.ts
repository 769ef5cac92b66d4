import { abortable } from "./abortable.ts";

/** Options for {@linkcode deadline}. */
export interface DeadlineOptions {
  /** Ends the wait early, with its reason. */
  signal?: AbortSignal;
}

/** Settles as the promise does, or rejects with a `TimeoutError` (a `DOMException`) after `ms`. */
export async function deadline<T>(p: Promise<T>, ms: number, options: DeadlineOptions = {}): Promise<T> {
  const ends = options.signal ? [options.signal] : [];
  // AbortSignal.timeout takes no larger number; nobody lives to see the difference.
  if (ms < Number.MAX_SAFE_INTEGER) ends.push(AbortSignal.timeout(ms));
  return await abortable(p, AbortSignal.any(ends));
}
