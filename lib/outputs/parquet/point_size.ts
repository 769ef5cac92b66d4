/** What a point takes in the Parquet files that are there. */
import { parquetMetadataAsync } from "hyparquet";
import type { PointSize } from "../../plugin.ts";
import { newestFiles } from "../files/newest.ts";
import { fileBytes } from "../files/parquet_bytes.ts";
import { PathPattern } from "../files/path.ts";

/** Files that are looked at, and rows of which something follows for others. */
const MOST_FILES = 16;
const LEAST_ROWS = 1000;
/** Bytes of a row, as measured for 100 hosts (bench/README.md). */
const USUAL_BYTES = 7;

export async function rowSize(path: string): Promise<PointSize> {
  const { folder } = new PathPattern(path).root;
  const files = await newestFiles(folder, (path) => path.endsWith(".parquet"), MOST_FILES);
  let [bytes, rows] = [0, 0];
  for (const one of files) {
    const count = await rowsOf(one.path, one.bytes).catch(() => 0);
    rows += count;
    if (count > 0) bytes += one.bytes;
  }
  return rows < LEAST_ROWS
    ? { bytes: USUAL_BYTES, measuredIn: null }
    : { bytes: bytes / rows, measuredIn: folder || "." };
}

async function rowsOf(path: string, byteLength: number): Promise<number> {
  using file = await Deno.open(path);
  const { num_rows: rows } = await parquetMetadataAsync(fileBytes(file, byteLength));
  return Number(rows);
}
