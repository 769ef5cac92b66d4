/** In what the database stores the sums of each interval. */
import { intervalName, type RollupOptions, SECONDS_PER_DAY } from "../rollups/levels.ts";

export interface Level extends RollupOptions {
  /** The end of the names of its table and view: `1m`. */
  readonly name: string;
  /**
   * Intervals that are over are stored together, sorted by series, as parts of so many seconds: so that the sums of a
   * series are found in few places.
   */
  readonly span: number;
}

/** Most intervals of a part. */
const MOST_INTERVALS = 60;

/** @param rollups Each interval a multiple of the one before; checked by the configuration. */
export function levelsOf(rollups: readonly RollupOptions[]): Level[] {
  return rollups.map((rollup, i) => {
    const { every } = rollup;
    return { ...rollup, name: intervalName(every), span: spanOf(every, rollups[i + 1]?.every) };
  });
}

/** A part is of one day, and of one interval of the next level. */
function spanOf(every: number, next: number | undefined): number {
  if (every >= SECONDS_PER_DAY) return every;
  if (next !== undefined) return Math.min(next, SECONDS_PER_DAY);
  let count = Math.min(MOST_INTERVALS, SECONDS_PER_DAY / every);
  while (SECONDS_PER_DAY % (count * every) !== 0) count--;
  return count * every;
}
