/** The key `rollups` of outputs that store sums by interval. */
import { formatDuration } from "../../base/duration.ts";
import { duration, table, tables } from "../../schema.ts";
import { type RollupOptions, SECONDS_PER_DAY } from "./levels.ts";

const MAX_FIRST_MS = 300_000;
const DAY_MS = 86_400_000;
const DEFAULT_ROLLUPS = [
  { every: 60_000, keep: 90 * DAY_MS },
  { every: 3_600_000, keep: 5 * 365 * DAY_MS },
];

const rollup = table({
  every: duration({ doc: "The length of an interval, in UTC.", default: "1m", min: "1s" }),
  keep: duration({ doc: "Sums that are older are deleted.", default: "90days", min: "1day" }),
}, {
  doc: "Sums of the points of each series over an interval, in the view measurements_ and its length.",
  check({ every }) {
    const seconds = every / 1000;
    const dividesDay = Number.isInteger(seconds) && SECONDS_PER_DAY % seconds === 0;
    if (dividesDay || seconds % SECONDS_PER_DAY === 0) return undefined;
    return { key: "every", problem: "must be whole seconds that divide a day, or a whole number of days" };
  },
});

export const rollups = tables(rollup, {
  doc: "Sums by interval, for what is older than the points that are kept. [] makes none.",
  default: DEFAULT_ROLLUPS,
});

/** Each level is made of the one before. @returns what is wrong, for the check of the output's table. */
export function rollupsProblem(
  rollups: readonly { every: number }[],
): { key: "rollups"; problem: string } | undefined {
  const problem = problemOf(rollups);
  return problem === undefined ? undefined : { key: "rollups", problem };
}

function problemOf(rollups: readonly { every: number }[]): string | undefined {
  const [first] = rollups;
  if (first && first.every > MAX_FIRST_MS) {
    return "the first interval must be at most 5m: others are made of it";
  }
  const bad = rollups.find(({ every }, i) =>
    i > 0 && (every <= rollups[i - 1].every || every % rollups[i - 1].every !== 0)
  );
  return bad && `${formatDuration(bad.every)} must be a multiple of the interval before it`;
}

/** The intervals of a configuration, the shortest first. */
export function rollupsOf(rollups: readonly { every: number; keep: number }[]): RollupOptions[] {
  return rollups.map(({ every, keep }) => ({ every: every / 1000, keepMs: keep }));
}
