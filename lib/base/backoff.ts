/** How long to wait before something that has failed is tried again. */

/** Waits between tries. */
export interface Backoff {
  /** After the first failure, in ms. */
  readonly initialMs: number;
  /** The longest, in ms. */
  readonly maxMs: number;
  /** Each wait is this many times as long as the one before. @default the first two are `initialMs`, all others `maxMs` */
  readonly multiplier?: number | undefined;
  /** Share of each wait that is cut off at random, so that many clients do not come back all at once: 0 to 1. */
  readonly jitter: number;
}

export const DEFAULT_BACKOFF: Backoff = { initialMs: 500, maxMs: 10_000, multiplier: 2, jitter: 0.2 };

/** The wait after failure number `failures` (from 1 on) in a row, in ms. */
export function backoffMs(backoff: Backoff, failures: number, random = Math.random): number {
  const { initialMs, maxMs, multiplier, jitter } = backoff;
  const full = multiplier === undefined
    ? (failures <= 2 ? initialMs : maxMs)
    : Math.min(maxMs, initialMs * multiplier ** (failures - 1));
  return full * (1 - jitter * random());
}
