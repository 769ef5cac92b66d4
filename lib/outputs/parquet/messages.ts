/** What passes between the output and the thread that encodes its files: one file after the other, a chunk at a time. */
import type { FileSeries } from "../files/file_series.ts";
import type { PointColumns } from "../threads/point_columns.ts";

/** The texts of a series, in the order in which {@linkcode Chunk.series} has their numbers. */
export const SERIES_TEXTS = [
  "metric",
  "unit",
  "resourceKind",
  "resourceId",
  "consumerKind",
  "consumerId",
  "client",
  "attributes",
] as const satisfies readonly (keyof FileSeries)[];
/** Numbers of a series in {@linkcode Chunk.series}: those of its texts, and 1 if its values are integers. */
export const SERIES_NUMBERS = SERIES_TEXTS.length + 1;

export interface Chunk {
  /** Those that no chunk of the file had before: they have the next numbers. */
  readonly texts: readonly string[];
  /** Series that no chunk of the file had before, {@linkcode SERIES_NUMBERS} numbers each. */
  readonly series: readonly number[];
  /** Their series have the numbers in whose order the thread was told of them. */
  readonly columns: PointColumns;
  /** Exact values of the u64 above 2^53, by row. */
  readonly exact: ReadonlyMap<number, bigint>;
}

export type Request =
  /** Begins a file. One that was begun before and not ended is given up. */
  | { readonly type: "begin"; readonly path: string; readonly about: Readonly<Record<string, string>> }
  | { readonly type: "add"; readonly chunk: Chunk }
  /** Ends the file, and syncs it. */
  | { readonly type: "end" }
  /** Gives up the file. */
  | { readonly type: "close" };

export interface Answer {
  /** What went wrong; the file is given up then. */
  readonly error?: string;
  /** Of the file that was ended, in bytes. */
  readonly size?: number;
  /** The columns of a chunk, to be filled again. */
  readonly columns?: PointColumns;
}
