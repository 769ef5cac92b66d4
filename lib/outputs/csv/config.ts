/** The keys of the `csv` output. */
import { duration, flag, type Infer, integer, live, optional, size, table, text } from "../../schema.ts";
import { PathPattern } from "../files/path.ts";

const oneCharacter = (value: string) => {
  if ([...value].length !== 1) return "must be one character";
  if (value === '"' || value === "\n" || value === "\r") return "must not be a quote or a line break";
};

/** Whether a file is ever finished, so that another one is begun. */
interface Rotating {
  output_path: string;
  rotate_size?: number;
  rotate_interval?: number;
}

/** Whether files are ever finished. */
export function rotates({ output_path, rotate_size, rotate_interval }: Rotating): boolean {
  return rotate_size !== undefined || rotate_interval !== undefined || new PathPattern(output_path).hasTime;
}

export const config = table({
  output_path: text({
    doc:
      "The file, absolute or relative to the working directory; `-` is standard output. `%Y %m %d %H %M %S %F %j` stand for the time of " +
      "writing in UTC, `%%` for a percent sign, `{client}` for the client that points come from.",
    default: "alumet-output.csv",
    check: (value) => PathPattern.problem(value),
  }),
  force_flush: live(
    flag({ doc: "Write at once what has arrived, rather than once a second.", default: true }),
  ),
  append_unit_to_metric_name: flag({ doc: "Write `energy_J` rather than `energy`.", default: true }),
  use_unit_display_name: flag({
    doc: "Write units as people read them (`kWh`), not by name.",
    default: true,
  }),
  csv_delimiter: text({ doc: "Between columns.", default: ";", check: oneCharacter }),
  csv_late_delimiter: text({
    doc: "Between the entries of the column __late_attributes.",
    default: ",",
    check: oneCharacter,
  }),
  escape_formulas: flag({
    doc:
      "Put an apostrophe before texts that begin with = + - or @, which a spreadsheet could take for formulas. Other " +
      "programs then read it as part of the text.",
    default: false,
  }),
  rotate_size: optional(size({
    doc: "A file that has become so large is renamed, and another one begun.",
    unset: "no rotation by this",
    default: "1GiB",
    min: "1KiB",
  })),
  rotate_interval: optional(duration({
    doc:
      "A file is renamed, and another one begun, at every multiple of this in UTC: `1 day` is at midnight.",
    unset: "no rotation by this",
    default: "1 day",
    min: "1s",
  })),
  rotate_gzip: flag({ doc: "Compress finished files.", default: false }),
  keep_files: optional(integer({
    doc: "Finished files that are kept, of each client; older ones are removed.",
    unset: "no file is removed by this",
    default: 100,
    min: 1,
  })),
  keep_age: optional(duration({
    doc: "Finished files that were last written so long ago are removed.",
    unset: "no file is removed by this",
    default: "30 days",
    min: "1s",
  })),
  keep_size: optional(size({
    doc:
      "What all finished files may take; the oldest are removed. Where it is not set: half of the file system.",
    unset: "half of the file system",
    default: "100GiB",
  })),
  max_open_files: integer({
    doc:
      "Files that are open at a time, where `output_path` has `{client}`; an eighth of the files that the process may have " +
      "open at most (ulimit -n).",
    default: 256,
    min: 1,
    max: 100_000,
  }),
}, {
  doc: "Writes measurements to a CSV file.",
  check(config) {
    if (rotates(config)) return;
    const keys = ["keep_files", "keep_age", "keep_size"] as const;
    const key = config.rotate_gzip ? "rotate_gzip" : keys.find((key) => config[key] !== undefined);
    if (!key) return;
    return {
      key,
      problem:
        "no file is ever finished: set rotate_size or rotate_interval, or a time such as %Y-%m-%d in output_path",
    };
  },
});

export type CsvConfig = Infer<typeof config>;
