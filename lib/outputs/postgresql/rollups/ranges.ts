/** Sets of series, as ranges of ids: pairs of the first and the last one. */

export type Ranges = number[];

/** A series more is looked at rather than a range begun. */
export const MOST_GAP = 8;

/** Ranges that have all of these, sorted, without any that touch each other. */
export function merged(ranges: readonly number[], gap = MOST_GAP): Ranges {
  const pairs = Array.from({ length: ranges.length / 2 }, (_, i) => [ranges[2 * i], ranges[2 * i + 1]]);
  pairs.sort(([a], [b]) => a - b);
  const all: Ranges = [];
  for (const [first, last] of pairs) {
    if (all.length > 0 && first - all[all.length - 1] <= gap) {
      all[all.length - 1] = Math.max(all[all.length - 1], last);
    } else all.push(first, last);
  }
  return all;
}

/** At most that many ranges that have all of these. */
export function coarser(ranges: readonly number[], most: number): Ranges {
  let all = merged(ranges);
  for (let gap = 2 * MOST_GAP; all.length > 2 * most; gap *= 2) all = merged(all, gap);
  return all;
}

/** The same in pieces of at most that many series. */
export function* pieces(ranges: Ranges, most: number): Generator<Ranges> {
  let piece: Ranges = [];
  let room = most;
  for (let i = 0; i < ranges.length; i += 2) {
    for (let first = ranges[i]; first <= ranges[i + 1];) {
      const last = Math.min(ranges[i + 1], first + room - 1);
      piece.push(first, last);
      room -= last - first + 1;
      first = last + 1;
      if (room > 0) continue;
      yield piece;
      piece = [];
      room = most;
    }
  }
  if (piece.length > 0) yield piece;
}
