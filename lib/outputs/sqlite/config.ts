/** The keys of `[plugins.sqlite]`, and where its database is. */
import { formatDuration } from "../../base/duration.ts";
import { choice, duration, type Infer, live, optional, size, table, tables, text } from "../../schema.ts";

const SECONDS_PER_DAY = 86_400;
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
    if (SECONDS_PER_DAY % seconds === 0 || seconds % SECONDS_PER_DAY === 0) return undefined;
    return { key: "every", problem: "must divide a day, or be a whole number of days" };
  },
});

/** Each level is made of the one before. */
function checkRollups(rollups: readonly { every: number }[]): string | undefined {
  const [first] = rollups;
  if (first && first.every > MAX_FIRST_MS) {
    return "the first interval must be at most 5m: others are made of it";
  }
  const bad = rollups.find(({ every }, i) =>
    i > 0 && (every <= rollups[i - 1].every || every % rollups[i - 1].every !== 0)
  );
  return bad && `${formatDuration(bad.every)} must be a multiple of the interval before it`;
}

/** The database in the state directory, or where there is none, in the working directory. */
export const DEFAULT_FILE = "measurements.sqlite";

export const config = table({
  path: text({
    doc: `The file. Empty: ${DEFAULT_FILE} in the state directory (ROLE below --state-dir), or else here.`,
    default: "",
  }),
  keep: live(optional(duration({
    doc:
      "Points that are older are deleted, a part of the file at a time. Where it is not set, all are kept.",
    unset: "all points are kept",
    default: "30days",
    min: "1s",
  }))),
  max_size: live(optional(size({
    doc:
      "What the file may take. When it is full, the oldest points give way to new ones. It does not grow either when " +
      "less than 5% of the file system, or 1GiB, is free.",
    unset: "half of the file system",
    default: "100GiB",
    min: "16MiB",
  }))),
  compact_after: live(duration({
    doc: "Points that are older are compacted: they take a fraction of the room, exactly as they are. " +
      "`alumet-relay query` and `export` read them; other programs see the sums. 0s: never.",
    default: "2h",
  })),
  flush_interval: live(duration({
    doc: "How long points wait for others at most, to be written in one transaction.",
    default: "1s",
    min: "1ms",
  })),
  rollups: tables(rollup, {
    doc: "Sums by interval, for what is older than the points that are kept. [] makes none.",
    default: DEFAULT_ROLLUPS,
  }),
  synchronous: choice(["full", "normal"], {
    doc:
      "full: what is written survives a power failure. normal: a power failure may cost the last transactions, which " +
      "the journal counts as stored; the disk has less to do.",
    default: "full",
  }),
}, {
  doc: "Writes measurements to an SQLite database.",
  check({ rollups }) {
    const problem = checkRollups(rollups);
    return problem === undefined ? undefined : { key: "rollups", problem };
  },
});

export type SqliteConfig = Infer<typeof config>;

/** Where the database of a process is. */
export function databasePath(path: string, stateDirectory: string | null): string {
  if (path !== "") return path;
  return stateDirectory === null ? DEFAULT_FILE : `${stateDirectory}/${DEFAULT_FILE}`;
}
