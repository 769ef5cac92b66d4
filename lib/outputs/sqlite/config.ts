/** The keys of `[plugins.sqlite]`, and where its database is. */
import { choice, duration, type Infer, live, optional, size, table, text } from "../../schema.ts";
import { rollups, rollupsProblem } from "../rollups/config.ts";

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
  rollups,
  synchronous: choice(["full", "normal"], {
    doc:
      "full: what is written survives a power failure. normal: a power failure may cost the last transactions, which " +
      "the journal counts as stored; the disk has less to do.",
    default: "full",
  }),
}, {
  doc: "Writes measurements to an SQLite database.",
  check: ({ rollups }) => rollupsProblem(rollups),
});

export type SqliteConfig = Infer<typeof config>;

/** Where the database of a process is. */
export function databasePath(path: string, stateDirectory: string | null): string {
  if (path !== "") return path;
  return stateDirectory === null ? DEFAULT_FILE : `${stateDirectory}/${DEFAULT_FILE}`;
}
