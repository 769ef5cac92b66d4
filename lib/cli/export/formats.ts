/** The formats of files of points. */
import { EXIT, ExitError } from "../../base/errors.ts";

const FORMATS = ["parquet", "csv", "jsonl"] as const;
export type FileFormat = typeof FORMATS[number];
const ENDINGS: Readonly<Record<string, FileFormat>> = {
  parquet: "parquet",
  csv: "csv",
  jsonl: "jsonl",
  ndjson: "jsonl",
};

/**
 * The format of `--format`, or of the file's ending.
 *
 * @throws {ExitError} 64 if there is none.
 */
export function fileFormat(command: string, file: string, flag: string | undefined): FileFormat {
  const ending = /\.(\w+)$/.exec(file)?.[1].toLowerCase() ?? "";
  const format = flag ?? (Object.hasOwn(ENDINGS, ending) ? ENDINGS[ending] : undefined);
  if (format === undefined) {
    throw new ExitError(
      EXIT.usage,
      `the ending of ${file} says no format: add --format ${FORMATS.join("|")}`,
    );
  }
  if (!(FORMATS as readonly string[]).includes(format)) {
    throw new ExitError(
      EXIT.usage,
      `Cannot use --format ${format} with ${command}: use ${FORMATS.join(", ")}`,
    );
  }
  return format as FileFormat;
}
