/** Rows of a file become points, in batches that are the same each time the file is read. */
import {
  type Attribute,
  type AttributeValue,
  Batch,
  CLIENT_ATTRIBUTE,
  MAX_SECONDS,
  type Metric,
  type Series,
  seriesOf,
  type ValueType,
} from "../../points/measurement.ts";
import { parseIsoMs } from "../../base/iso_time.ts";
import type { FileSeries } from "../../outputs/files/file_series.ts";
import { unitOf } from "../../points/units.ts";

/** Rows of a batch. Databases and servers remember the numbers of batches, so another value makes each file a new one. */
const BATCH_ROWS = 4096;
/** Series that are remembered. */
const MAX_SERIES = 65_536;
const MAX_U64 = 2n ** 64n - 1n;

/** What all rows of a series have in common, as it stands in the file. */
export interface SeriesTexts extends Omit<FileSeries, "attributes"> {
  readonly type: ValueType;
  readonly attributes: readonly Attribute[];
}

/** A row that is not a point; the message says why. */
export class RowError extends Error {
  override readonly name = "RowError";
}

/** Rows of one file. */
export class Rows {
  /** Rows taken so far. */
  count = 0;
  #batch = new Batch(BATCH_ROWS);
  readonly #metrics = new Map<string, Metric>();
  readonly #series = new Map<string, Series>();

  /** The series that was {@linkcode define}d under a key of the file's format. */
  series(key: string): Series | undefined {
    return this.#series.get(key);
  }

  define(key: string | null, { metric, type, unit, client, attributes, ...rest }: SeriesTexts): Series {
    const all = client === "" ? attributes : [...attributes, [CLIENT_ATTRIBUTE, client] as const];
    const series = seriesOf(this.#metric(metric, type, unit), { ...rest, attributes: all });
    if (key === null) return series;
    if (this.#series.size >= MAX_SERIES) this.#series.clear();
    this.#series.set(key, series);
    return series;
  }

  #metric(name: string, type: ValueType, unit: string): Metric {
    if (name === "") throw new RowError("the name of the metric is empty");
    const key = `${type}\0${unit}\0${name}`;
    let metric = this.#metrics.get(key);
    if (!metric) {
      if (this.#metrics.size >= MAX_SERIES) this.#metrics.clear();
      this.#metrics.set(key, metric = { name, type, unit: unitOf(unit), description: "" });
    }
    return metric;
  }

  /** Adds a point. @returns a batch when it is full. */
  add(series: Series, seconds: number, nanos: number, value: number | bigint): Batch | undefined {
    if (!(seconds >= 0 && seconds <= MAX_SECONDS)) {
      throw new RowError("its time is not between 1970 and 9999");
    }
    if (typeof value === "bigint") this.#batch.pushU64(series, seconds, nanos, value);
    else this.#batch.push(series, seconds, nanos, value);
    this.count++;
    return this.#batch.length === BATCH_ROWS ? this.rest() : undefined;
  }

  /** The points that fill no batch. */
  rest(): Batch {
    const batch = this.#batch;
    this.#batch = new Batch(BATCH_ROWS);
    return batch;
  }
}

/** Reads times as `export` writes them, such as `2026-11-01T12:00:00.000000001Z`. */
export class Times {
  seconds = 0;
  nanos = 0;
  #second = "";

  read(text: string): void {
    const [, second, fraction = ""] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text) ?? [];
    if (second === undefined) {
      throw new RowError(`${shown(text)} is not a time such as 2026-11-01T12:00:00.5Z`);
    }
    if (second !== this.#second) {
      const ms = parseIsoMs(`${second}Z`);
      if (Number.isNaN(ms)) throw new RowError(`${shown(text)} is not a time`);
      this.#second = second;
      this.seconds = ms / 1000;
    }
    this.nanos = Number(fraction.padEnd(9, "0"));
  }
}

export function readU64(text: string): bigint {
  const value = /^\d{1,20}$/.test(text) ? BigInt(text) : MAX_U64 + 1n;
  if (value > MAX_U64) throw new RowError(`${shown(text)} is not an integer from 0 to ${MAX_U64}`);
  return value;
}

/** The names of the columns that all formats have, except the value. */
export const TEXT_COLUMNS = [
  "metric",
  "unit",
  "resource_kind",
  "resource_id",
  "consumer_kind",
  "consumer_id",
  "relay_client",
  "attributes",
] as const;
export type TextColumn = typeof TEXT_COLUMNS[number];

/** The texts of a series, by the names of columns. */
export function seriesTexts(
  texts: Readonly<Record<TextColumn, string>>,
  type: ValueType,
  attributes: unknown = parseJson(texts.attributes),
): SeriesTexts {
  return {
    metric: texts.metric,
    type,
    unit: texts.unit,
    resourceKind: texts.resource_kind,
    resourceId: texts.resource_id,
    consumerKind: texts.consumer_kind,
    consumerId: texts.consumer_id,
    client: texts.relay_client,
    attributes: readAttributes(attributes),
  };
}

/** A number of a JSON text, as it is written there: `3` is an integer, and `3.0` is not. */
export class NumberText {
  constructor(readonly text: string) {}

  get isInteger(): boolean {
    return /^\d+$/.test(this.text);
  }
}

/** JSON whose numbers are {@linkcode NumberText}s. @throws {RowError} */
export function parseJson(text: string): unknown {
  // TypeScript does not know yet that a reviver is told how a number is written.
  const reviver = (_key: string, value: unknown, context?: { source: string }) =>
    typeof value === "number" ? new NumberText(context!.source) : value;
  try {
    return JSON.parse(text, reviver);
  } catch (error) {
    // Of what is nested deeply, there is no room for the reviver's calls.
    const problem = error instanceof SyntaxError ? "is not valid JSON" : "is nested too deeply";
    throw new RowError(`${shown(text)} ${problem}`, { cause: error });
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof NumberText);
}

function readAttributes(attributes: unknown): Attribute[] {
  if (!isObject(attributes)) throw new RowError("its attributes are not a JSON object");
  return Object.entries(attributes).map(([name, value]) => [name, attributeValue(name, value)]);
}

function attributeValue(name: string, value: unknown): AttributeValue {
  if (value === null) return NaN;
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (value instanceof NumberText) return value.isInteger ? readU64(value.text) : Number(value.text);
  if (Array.isArray(value) && value.every((item) => item instanceof NumberText)) {
    return value.map(({ text }) => readU64(text));
  }
  throw new RowError(
    `its attribute ${shown(name)} is neither a text, a number, true or false, nor a list of integers`,
  );
}

/** The beginning of a text of a file, for a message. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text);
}
