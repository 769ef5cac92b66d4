/** Reads points from a Parquet file, a small group of rows at a time, or a part of a large one. */
import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetRead } from "hyparquet";
import { messageOf } from "../../base/errors.ts";
import { fileBytes } from "../../outputs/files/parquet_bytes.ts";
import type { Batch, Series } from "../../points/measurement.ts";
import { RowError, type Rows, seriesTexts, TEXT_COLUMNS, type TextColumn } from "./rows.ts";

/** Most rows of a group: the compressed bytes of a column are in memory together. */
const MAX_GROUP_ROWS = 4 * 1024 * 1024;
/** A group with more rows is read in parts of so many. */
const MOST_ROWS = 65_536;
const PART_ROWS = 32_768;
const COLUMNS = ["timestamp", "value", "value_u64", ...TEXT_COLUMNS] as const;
const NS_PER_SECOND = 1_000_000_000n;

type Column = ArrayLike<unknown>;

/** @param onRows Told the number of rows of the file. @throws {RowError} for the row behind the first `rows.count`. */
export async function* readParquet(
  file: Deno.FsFile,
  rows: Rows,
  onRows: (total: number) => void,
): AsyncGenerator<Batch> {
  const { size: byteLength } = await file.stat();
  const buffer = fileBytes(file, byteLength);
  const metadata = await unless(parquetMetadataAsync(buffer));
  const names = new Set(metadata.schema.slice(1).map(({ name }) => name));
  const missing = COLUMNS.filter((name) => !names.has(name));
  if (missing.length > 0) throw new RowError(`the file has no column ${missing.join(", ")}`);
  onRows(Number(metadata.num_rows));
  let rowStart = 0;
  for (const { num_rows } of metadata.row_groups) {
    const length = Number(num_rows);
    if (length > MAX_GROUP_ROWS) {
      throw new RowError(
        `its group has ${length} rows, and ${MAX_GROUP_ROWS} fit into memory: write the file with smaller row groups`,
      );
    }
    const partRows = length > MOST_ROWS ? PART_ROWS : length;
    for (let from = 0; from < length; from += partRows) {
      const part = { start: rowStart + from, length: Math.min(partRows, length - from) };
      yield* points(await readColumns(buffer, metadata, part), part.length, rows);
    }
    rowStart += length;
  }
  yield rows.rest();
}

interface RowRange {
  readonly start: number;
  readonly length: number;
}

async function readColumns(
  file: AsyncBuffer,
  metadata: FileMetaData,
  { start, length }: RowRange,
): Promise<Map<string, Column>> {
  const columns = new Map<string, unknown[]>(COLUMNS.map((name) => [name, new Array(length)]));
  await unless(parquetRead({
    file,
    metadata,
    rowStart: start,
    rowEnd: start + length,
    columns: [...COLUMNS],
    // Pages without any of these rows are not read.
    useOffsetIndex: true,
    parsers: PARSERS,
    onChunk: ({ columnName, columnData, rowStart: from }) => {
      const column = columns.get(columnName)!;
      for (let i = 0, row = from - start; i < columnData.length; i++, row++) {
        if (row >= 0 && row < length) column[row] = columnData[i];
      }
    },
  }));
  return columns;
}

function* points(columns: ReadonlyMap<string, Column>, length: number, rows: Rows): Generator<Batch> {
  const times = columns.get("timestamp")!;
  const floats = columns.get("value")!;
  const integers = columns.get("value_u64")!;
  const texts = TEXT_COLUMNS.map((name) => [name, columns.get(name)!] as const);
  let series: Series | undefined;
  let wasInteger = false;
  for (let row = 0; row < length; row++) {
    const [time, float, integer] = [times[row], floats[row], integers[row]];
    const isInteger = typeof integer === "bigint";
    if (typeof time !== "bigint") throw new RowError("its timestamp is not a time");
    if (!isInteger && (integer ?? null) !== null) {
      throw new RowError("its value_u64 is not an integer of 64 bits");
    }
    if (!isInteger && typeof float !== "number") throw new RowError("its value is not a float");
    // Rows of a series often follow each other.
    if (!series || isInteger !== wasInteger || texts.some(([, column]) => column[row] !== column[row - 1])) {
      series = seriesAt(texts, row, isInteger, rows);
      wasInteger = isInteger;
    }
    // Of a time before 1970 the division rounds up: it is refused all the same.
    const seconds = time < 0n ? -1 : Number(time / NS_PER_SECOND);
    const batch = rows.add(
      series,
      seconds,
      Number(time % NS_PER_SECOND),
      isInteger ? integer : float as number,
    );
    if (batch) yield batch;
  }
}

function seriesAt(
  texts: readonly (readonly [TextColumn, Column])[],
  row: number,
  isInteger: boolean,
  rows: Rows,
): Series {
  let key = isInteger ? "u" : "f";
  for (const [name, column] of texts) {
    if (typeof column[row] !== "string") throw new RowError(`its ${name} is not a text`);
    key += `\0${column[row]}`;
  }
  return rows.series(key) ?? rows.define(
    key,
    seriesTexts(
      Object.fromEntries(texts.map(([name, column]) => [name, column[row]])) as Record<TextColumn, string>,
      isInteger ? "u64" : "f64",
    ),
  );
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** The library makes dates of times, and leaves out a mark at the beginning of a text: here both stay as they are. */
const PARSERS = {
  timestampFromNanoseconds: (nanos: bigint) => nanos as unknown as Date,
  timestampFromMicroseconds: (micros: bigint) => micros * 1000n as unknown as Date,
  timestampFromMilliseconds: (millis: bigint) => BigInt(millis) * 1_000_000n as unknown as Date,
  stringFromBytes: (bytes: Uint8Array) => bytes && decoder.decode(bytes),
};

/** What the library finds wrong, as a problem of the file. */
async function unless<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    throw new RowError(messageOf(error), { cause: error });
  }
}
