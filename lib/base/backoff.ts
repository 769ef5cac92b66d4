/** How long to wait before the next try of something that failed. */

/** Waits between tries. */
export interface Backoff {
  /** After the first failure, in ms. */
  readonly initialMs: number;
  /** The longest, in ms. */
  readonly maxMs: number;
  /** Factor between two waits. @default the first two are `initialMs`, all others `maxMs` */
  readonly multiplier?: number | undefined;
  /** Random share by which each wait is shortened, so that many clients do not return at once: 0 to 1. */
  readonly jitter: number;
}

export const DEFAULT_BACKOFF: Backoff = { initialMs: 500, maxMs: 10_000, multiplier: 2, jitter: 0.2 };

/** The wait after `failures` failures in a row (1 or more), in ms. */
export function backoffMs(backoff: Backoff, failures: number, random = Math.random): number {
  const { initialMs, maxMs, multiplier, jitter } = backoff;
  const full = multiplier === undefined
    ? (failures <= 2 ? initialMs : maxMs)
    : Math.min(maxMs, initialMs * multiplier ** (failures - 1));
  return full * (1 - jitter * random());
}
