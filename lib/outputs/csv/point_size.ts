/** What a point takes in the CSV files that are there. */
import type { PointSize } from "../../plugin.ts";
import { newestFiles } from "../files/newest.ts";
import { PathPattern } from "../files/path.ts";

/** What is read at the end of the newest file, in bytes. */
const TAIL_BYTES = 262_144;
/** Rows of which something follows for others. */
const LEAST_ROWS = 100;
/** Bytes of a row, as measured for 100 hosts (bench/README.md). */
const USUAL_BYTES = 95;
const LINE_FEED = 10;

/** @returns `undefined` for standard output, which keeps nothing. */
export async function rowSize(outputPath: string): Promise<PointSize | undefined> {
  if (outputPath === "-") return undefined;
  const pattern = new PathPattern(outputPath);
  const { folder } = pattern.root;
  const { expression } = pattern;
  const [newest] = await newestFiles(folder, (path) => expression.test(path) && !path.endsWith(".gz"), 1);
  const usual = { bytes: USUAL_BYTES, measuredIn: null };
  if (!newest) return usual;
  using file = await Deno.open(newest.path);
  await file.seek(Math.max(0, newest.bytes - TAIL_BYTES), Deno.SeekMode.Start);
  const tail = new Uint8Array(TAIL_BYTES);
  let length = 0;
  for (let count; length < tail.length && (count = await file.read(tail.subarray(length))) !== null;) {
    length += count;
  }
  // Between the first and the last line feed there are whole rows.
  const [first, last] = [tail.indexOf(LINE_FEED), tail.lastIndexOf(LINE_FEED, length - 1)];
  let rows = 0;
  for (let at = first; at < last; rows++) at = tail.indexOf(LINE_FEED, at + 1);
  return rows < LEAST_ROWS ? usual : { bytes: (last - first) / rows, measuredIn: newest.path };
}
