/** Opens a file of points, and says where it is wrong. */
import { EXIT, ExitError, messageOf } from "../../base/errors.ts";
import type { Batch } from "../../points/measurement.ts";
import type { FileFormat } from "../export/formats.ts";
import { RowError, Rows } from "./rows.ts";

/**
 * The points of a file, in batches that are the same each time.
 *
 * @param onProgress Told the share of the file that was read.
 * @throws {ExitError} 65 for the first row that is not a point, 69 if the file cannot be read.
 */
export async function* readPoints(
  path: string,
  format: FileFormat,
  onProgress: (share: number) => void,
): AsyncGenerator<Batch> {
  const rows = new Rows();
  try {
    using file = await Deno.open(path);
    const { size, isFile } = await file.stat();
    if (!isFile) throw new ExitError(EXIT.unavailable, `Cannot read ${path}: it is not a file`);
    if (format === "parquet") {
      // Only who needs it loads it.
      const { readParquet } = await import("./parquet.ts");
      let total = 1;
      for await (const batch of readParquet(file, rows, (count) => total = Math.max(1, count))) {
        yield batch;
        onProgress(rows.count / total);
      }
      return;
    }
    const { readCsv, readJsonLines } = await import("./text.ts");
    let read = 0;
    const onBytes = (count: number) => void (read += count);
    for await (const batch of (format === "csv" ? readCsv : readJsonLines)(file, rows, onBytes)) {
      yield batch;
      onProgress(read / Math.max(1, size));
    }
  } catch (error) {
    if (error instanceof ExitError) throw error;
    if (error instanceof RowError) {
      throw new ExitError(EXIT.data, `Cannot read ${path}, row ${rows.count + 1}: ${error.message}`, {
        cause: error,
      });
    }
    throw new ExitError(EXIT.unavailable, `Cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}
