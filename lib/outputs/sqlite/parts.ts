/** Parts: the points that were written together, or were put together since. */

/** Does the work in a transaction; where that fails, nothing of it is done. */
export type Transaction = (work: () => void) => void;

/** A row of the table of parts. */
export interface Part {
  readonly id: number;
  /** `2026-11-26`. */
  readonly day: string;
  /** Offsets of its points count from here, in seconds since the Unix epoch. */
  readonly start: number;
  /** Its first and its last second. */
  readonly first: number;
  readonly last: number;
  readonly points: number;
  /** When it was written first, in days since 1970, and when its last points were stored, in seconds. */
  readonly written: number;
  readonly stored: number;
}

/**
 * Parts with fewer points are merged. Each point is so rewritten once, or a few times where few points come, which costs
 * more than writing it; with more points in a part that would save few parts.
 */
export const SMALL_POINTS = 4096;
/** Where points stay in rows for longer than this, in ms, larger parts are merged as well. */
export const LASTING_MS = 86_400_000;

/** The last number of a part, as SQL; 0 for none. Rows and blocks may be there without their part. */
export const LAST_PART =
  "max((SELECT coalesce(max(id), 0) FROM parts), (SELECT coalesce(max(part), 0) FROM points), " +
  "(SELECT coalesce(max(part), 0) FROM blocks))";
