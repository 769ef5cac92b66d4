/** Retries: the configuration keys that say how often and when, and the waits between. */
import { delay } from "@std/async/delay";
import { retry } from "@std/async/retry";
import { backoffMs } from "../base/backoff.ts";
import { duration, type Infer, integer, number, optional, table } from "../schema.ts";

export const retryKeys = table({
  max_times: integer({
    doc: "Retries to connect after a failure; 0 for none.",
    default: 8,
    min: 0,
    max: 65_535,
  }),
  initial_delay: duration({ doc: "Wait after the first and after the second retry.", default: "500ms" }),
  max_delay: duration({ doc: "Wait between retries after the second.", default: "4s", min: "1ms" }),
  multiplier: optional(
    number({
      doc: "If set, the n-th wait is initial_delay * multiplier^(n-1), up to max_delay.",
      default: 2,
      min: 1,
    }),
  ),
  jitter: number({
    doc: "Share of each wait that is cut off at random, so that clients do not all come back at once.",
    default: 0.1,
    min: 0,
    max: 1,
  }),
}, {
  doc: "What happens when the server cannot be reached.",
  check: ({ initial_delay, max_delay }) => {
    if (initial_delay > max_delay) {
      return { key: "initial_delay", problem: "must not be longer than max_delay" };
    }
  },
});

export type RetryConfig = Infer<typeof retryKeys>;

/**
 * Calls `attempt` until it returns, `max_times` retries at most, with the waits that {@linkcode RetryConfig} says.
 *
 * @param needsTime Whether the longest wait follows an error: nothing will change soon.
 * @throws {RetryError} when all attempts have failed; its `cause` is the last failure.
 * @throws what `isRetriable` says no to, at once; and the signal's reason.
 */
export async function retrying<T>(
  attempt: () => Promise<T>,
  { max_times, initial_delay, max_delay, multiplier, jitter }: RetryConfig,
  signal: AbortSignal,
  isRetriable: (error: unknown) => boolean = () => true,
  needsTime: (error: unknown) => boolean = () => false,
): Promise<T> {
  const backoff = { initialMs: initial_delay, maxMs: max_delay, multiplier, jitter };
  let failures = 0;
  let waitMs = 0;
  const afterWait = async () => {
    if (failures > 0) await delay(waitMs, { signal });
    failures++;
    try {
      return await attempt();
    } catch (error) {
      waitMs = backoffMs(needsTime(error) ? { ...backoff, initialMs: max_delay } : backoff, failures);
      throw error;
    }
  };
  return await retry(afterWait, {
    maxAttempts: max_times + 1,
    isRetriable: (error) => !signal.aborted && isRetriable(error),
    signal,
    // It waits by itself.
    minTimeout: 0,
    jitter: 0,
  });
}
