/** The keys of the `parquet` output. */
import { duration, type Infer, integer, live, table, text } from "../../schema.ts";
import { PathPattern } from "../files/path.ts";

/** Where the files are unless `path` says something else, in the state directory. */
const DEFAULT_PATH = "parquet/%Y-%m-%d/%H.parquet";

export const config = table({
  path: text({
    doc:
      "The files, absolute or relative to the working directory. `%Y %m %d %H %M %S %F %j` stand for the time of the points in UTC, `%%` " +
      "for a percent sign, `{client}` for the client that points come from, `{metric}` for their metric: " +
      "`/data/{client}/%Y-%m-%d/%H.parquet`. Each file has the time of writing behind its name. Empty: " +
      `\`${DEFAULT_PATH}\` in the state directory.`,
    default: "",
    check: (value) => PathPattern.problem(value),
  }),
  interval: live(duration({
    doc: "Files are written at each multiple of this in UTC. Until then the points stay in the journal.",
    default: "1h",
    min: "1s",
  })),
  max_points: live(integer({
    doc:
      "Files are written as soon as this number of points waits: each takes up to 100 bytes of memory. Larger files need a larger number.",
    default: 1_000_000,
    min: 1000,
    max: 100_000_000,
  })),
}, { doc: "Writes measurements to Parquet files." });

export type ParquetConfig = Infer<typeof config>;

/** The pattern of the paths of files. */
export function pathOf({ path }: ParquetConfig, stateDirectory: string | null): string {
  if (path !== "") return path;
  return stateDirectory === null ? DEFAULT_PATH : `${stateDirectory}/${DEFAULT_PATH}`;
}
