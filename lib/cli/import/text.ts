/** Reads points from lines of text: CSV, and JSON lines. */
import type { Batch } from "../../points/measurement.ts";
import {
  isObject,
  NumberText,
  parseJson,
  readU64,
  RowError,
  type Rows,
  seriesTexts,
  shown,
  TEXT_COLUMNS,
  type TextColumn,
  Times,
} from "./rows.ts";

const READ_BYTES = 256 * 1024;
/** Most characters of a row. */
const MAX_ROW = 1024 * 1024;
const CSV_COLUMNS = ["timestamp", "value", "type", ...TEXT_COLUMNS] as const;
type CsvColumn = typeof CSV_COLUMNS[number];
type Texts = Record<TextColumn, string>;

/** @param onBytes Told how many bytes were read. @throws {RowError} for the row behind the first `rows.count`. */
export async function* readJsonLines(
  file: Deno.FsFile,
  rows: Rows,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Batch> {
  const times = new Times();
  for await (const line of lines(file, onBytes)) {
    const parts = jsonParts(line);
    let series = parts && rows.series(parts.key);
    let value: number | bigint;
    if (parts && series) {
      times.read(parts.time);
      value = series.metric.type === "u64" ? readU64(parts.value) : jsonFloat(parts.value);
    } else {
      const point = parseJson(line);
      if (!isObject(point)) throw new RowError("it is not a JSON object");
      const isInteger = point.value instanceof NumberText && point.value.isInteger;
      const { attributes, ...texts } = jsonTexts(point);
      series = rows.define(
        parts?.key ?? null,
        seriesTexts({ ...texts, attributes: "" }, isInteger ? "u64" : "f64", attributes),
      );
      times.read(String(point.timestamp));
      value = isInteger ? readU64(jsonNumber(point.value)) : jsonFloat(jsonNumber(point.value));
    }
    const batch = rows.add(series, times.seconds, times.nanos, value);
    if (batch) yield batch;
  }
  yield rows.rest();
}

/**
 * Cuts a line as `export` writes it: what rows of a series and type have in common, and the rest. A quotation mark within
 * a text is written `\"`, so these marks are only found where they belong.
 */
function jsonParts(line: string): { key: string; time: string; value: string } | undefined {
  const [toTime, toValue] = ['","timestamp":"', '","value":'];
  const metricEnd = line.indexOf(toTime);
  const timeEnd = line.indexOf(toValue, metricEnd + toTime.length);
  const valueEnd = line.indexOf(",", timeEnd + toValue.length);
  if (metricEnd < 0 || timeEnd < 0 || valueEnd < 0) return undefined;
  const value = line.slice(timeEnd + toValue.length, valueEnd);
  const kind = /^\d+$/.test(value) ? "u" : "f";
  return {
    key: kind + line.slice(0, metricEnd) + line.slice(valueEnd),
    time: line.slice(metricEnd + toTime.length, timeEnd),
    value,
  };
}

function jsonTexts(point: Record<string, unknown>): Omit<Texts, "attributes"> & { attributes: unknown } {
  for (const name of TEXT_COLUMNS) {
    if (!Object.hasOwn(point, name)) throw new RowError(`it has no ${name}`);
    if (name !== "attributes" && typeof point[name] !== "string") {
      throw new RowError(`its ${name} is not a text`);
    }
  }
  return point as Texts;
}

function jsonNumber(value: unknown): string {
  if (value === null) return "null";
  if (value instanceof NumberText) return value.text;
  throw new RowError("its value is neither a number nor null");
}

/** NaN is `null`. */
function jsonFloat(text: string): number {
  if (text === "null") return NaN;
  if (!/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text)) throw new RowError(`${shown(text)} is not a number`);
  return Number(text);
}

/** As {@linkcode readJsonLines}; the first row has the names of the columns, in any order. */
export async function* readCsv(
  file: Deno.FsFile,
  rows: Rows,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Batch> {
  const times = new Times();
  let places: Record<CsvColumn, number> | undefined;
  let width = 0;
  for await (const record of records(lines(file, onBytes))) {
    const cells = cellsOf(record);
    if (!places) {
      places = placesOf(cells);
      width = cells.length;
      continue;
    }
    if (cells.length !== width) throw new RowError(`it has ${cells.length} cells instead of ${width}`);
    const cell = (name: CsvColumn) => cells[places![name]];
    const type = cell("type");
    if (type !== "u64" && type !== "f64") throw new RowError(`its type is ${shown(type)}: use u64 or f64`);
    const key = type + TEXT_COLUMNS.map((name) => `\0${cell(name)}`).join("");
    const series = rows.series(key) ?? rows.define(
      key,
      seriesTexts(Object.fromEntries(TEXT_COLUMNS.map((name) => [name, cell(name)])) as Texts, type),
    );
    times.read(cell("timestamp"));
    const value = type === "u64" ? readU64(cell("value")) : csvFloat(cell("value"));
    const batch = rows.add(series, times.seconds, times.nanos, value);
    if (batch) yield batch;
  }
  if (!places) throw new RowError("there is no row with the names of the columns");
  yield rows.rest();
}

function placesOf(header: readonly string[]): Record<CsvColumn, number> {
  const places = CSV_COLUMNS.map((name) => [name, header.indexOf(name)] as const);
  const missing = places.filter(([, place]) => place < 0).map(([name]) => name);
  if (missing.length > 0) throw new RowError(`the first row does not name the columns ${missing.join(", ")}`);
  return Object.fromEntries(places) as Record<CsvColumn, number>;
}

/** NaN is an empty cell. */
function csvFloat(text: string): number {
  if (text === "") return NaN;
  if (text === "inf" || text === "-inf") return text === "inf" ? Infinity : -Infinity;
  return jsonFloat(text === "null" ? "NULL" : text);
}

/** The cells of a row, after RFC 4180. */
function cellsOf(record: string): string[] {
  if (!record.includes('"')) return record.split(",");
  const cells: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  do {
    const [, quoted, plain, end] = cell.exec(record) ?? [];
    if (end === undefined) throw new RowError("a quotation mark is in the wrong place");
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === "") return cells;
  } while (true);
}

/** Rows of CSV: a line feed between quotation marks belongs to the cell. */
async function* records(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let record = "";
  let isOpen = false;
  for await (const line of lines) {
    record = isOpen ? `${record}\n${line}` : line;
    // An odd number of quotation marks cuts a line into an even number of pieces.
    if (line.split('"').length % 2 === 0) isOpen = !isOpen;
    if (!isOpen) yield record;
    else if (record.length > MAX_ROW) throw new RowError("a quotation mark is not closed");
  }
  if (isOpen) throw new RowError("a quotation mark is not closed");
}

/** The lines of a file, without their ends and without empty ones at its end. */
async function* lines(file: Deno.FsFile, onBytes: (bytes: number) => void): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const bytes = new Uint8Array(READ_BYTES);
  let rest = "";
  while (true) {
    const count = await file.read(bytes);
    try {
      rest += count === null ? decoder.decode() : decoder.decode(bytes.subarray(0, count), { stream: true });
    } catch {
      throw new RowError("this row, or one soon after it, is not UTF-8");
    }
    if (count === null) break;
    onBytes(count);
    const found = rest.split("\n");
    rest = found.pop()!;
    for (const line of found) yield line.endsWith("\r") ? line.slice(0, -1) : line;
    if (rest.length > MAX_ROW) throw new RowError(`it has more than ${MAX_ROW} characters`);
  }
  if (rest !== "") yield rest;
}
