/**
 * Rows of CSV as real Alumet agents write them, rendered into bytes: docs/architecture.md has the format. What repeats
 * in a series (everything but time and value) is rendered once and copied from then on; numbers and times are written
 * digit by digit. Nothing is allocated per point, but for fractional f64 values.
 */
import {
  type Attribute,
  type Batch,
  type Metric,
  reserveCacheSlots,
  type Series,
} from "../../points/measurement.ts";
import { unitDisplayName, unitUniqueName } from "../../points/units.ts";
import {
  compareBytes,
  formatAttribute,
  formatF64,
  putInteger,
  putText,
  putTwoDigits,
  putUtf8,
  type RowBuffer,
} from "../rendering/numbers.ts";
import { SeriesPool } from "../rendering/series_pool.ts";

export interface CsvFormat {
  readonly delimiter: string;
  /** Between the entries of `__late_attributes`. */
  readonly lateDelimiter: string;
  readonly appendUnit: boolean;
  /** `kWh` rather than `kiloW.h`. */
  readonly unitDisplayName: boolean;
}

/** Columns before the attributes. */
export const FIXED_COLUMNS = [
  "metric",
  "timestamp",
  "value",
  "resource_kind",
  "resource_id",
  "consumer_kind",
  "consumer_id",
] as const;
/** The last column: `name=value` of the attributes that have no column. */
export const LATE_COLUMN = "__late_attributes";

const encoder = new TextEncoder();

/** The columns of attributes, from those of the points in a batch: sorted by their bytes, without doubles. */
export function attributeColumns(batch: Batch, isOurs: (series: Series) => boolean = () => true): string[] {
  const names = new Set<string>();
  const seen = new Set<Series>();
  for (let row = 0; row < batch.length; row++) {
    const series = batch.series[row];
    if (seen.has(series)) continue;
    seen.add(series);
    if (isOurs(series)) { for (const [name] of series.attributes) names.add(name); }
  }
  return [...names].sort(compareBytes);
}

/** Room that a row needs beside its rendered parts: the time, and the longest f64 (about 330 digits). */
const ROW_SLACK = 512;

/**
 * What a renderer keeps in the cache of a series: where its parts stand in the pool. First the metric's column and the
 * delimiter behind it, then what comes behind the value, to the end of the line.
 */
export const CACHE_SLOTS = 4;
const HEAD_START = 0;
const HEAD_LENGTH = 1;
const TAIL_LENGTH = 2;
/** Of the pool; another one means that the parts are no longer there, or another renderer's. */
const GENERATION = 3;

/** Names of late attributes that are remembered. */
const MAX_LATE_NAMES = 256;

/** Renders rows for one file: its columns are known. */
export class CsvRenderer {
  /** The first line of the file. */
  readonly header: Uint8Array<ArrayBuffer>;
  readonly #format: CsvFormat;
  /** Names of the attributes that have a column. */
  readonly columns: readonly string[];
  /** Names of attributes that have come and have no column; not all, if there are very many. */
  readonly late: Set<string> = new Set();
  readonly #delimiter: Uint8Array;
  readonly #special: RegExp;
  readonly #heads = new WeakMap<Metric, string>();
  readonly #ends = new WeakMap<readonly Attribute[], string>();
  readonly #slot: number;
  readonly #pool: SeriesPool;

  /** The time of the last row, as text. */
  readonly #time = new Uint8Array(64);
  readonly #timeView = new DataView(this.#time.buffer);
  #timeLength = 0;
  #timeSeconds = -1;
  #timeNanos = -1;
  #timeDay = -1;

  /**
   * @param columns Names of the attributes that have a column.
   * @param slot The first of {@linkcode CACHE_SLOTS} places in the caches of series. Renderers may share it where each
   * series is nearly always rendered by the same one.
   * @param poolBytes What rendered parts may take in memory: 16 MiB where nothing is said.
   */
  constructor(
    columns: readonly string[],
    format: CsvFormat,
    slot = reserveCacheSlots(CACHE_SLOTS),
    poolBytes?: number,
  ) {
    this.#slot = slot;
    this.#pool = new SeriesPool(16 * 1024, poolBytes);
    this.#format = format;
    this.columns = columns;
    this.#delimiter = encoder.encode(format.delimiter);
    this.#special = new RegExp(`["\\n\\r${format.delimiter.replace(/[\]\\^-]/, "\\$&")}]`, "u");
    const names = [...FIXED_COLUMNS, ...columns, LATE_COLUMN].map((name) => this.#quoted(name));
    this.header = encoder.encode(names.join(format.delimiter) + "\n");
  }

  #quoted(text: string): string {
    return this.#special.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  /** The metric's column, the same for all its series. */
  #headOf(metric: Metric): string {
    let head = this.#heads.get(metric);
    if (head === undefined) {
      const { delimiter, appendUnit, unitDisplayName: display } = this.#format;
      const unit = appendUnit ? (display ? unitDisplayName : unitUniqueName)(metric.unit) : "";
      head = this.#quoted(unit ? `${metric.name}_${unit}` : metric.name) + delimiter;
      this.#heads.set(metric, head);
    }
    return head;
  }

  /** The attributes' columns and the end of the line; many series share one list of attributes. */
  #endOf(attributes: readonly Attribute[]): string {
    let end = this.#ends.get(attributes);
    if (end === undefined) {
      const { delimiter, lateDelimiter } = this.#format;
      // Of attributes with the same name the last one counts.
      const rest = new Map(attributes);
      end = "";
      for (const column of this.columns) {
        const value = rest.get(column);
        end += delimiter;
        if (value !== undefined) end += this.#quoted(formatAttribute(value));
        rest.delete(column);
      }
      for (const name of rest.keys()) if (this.late.size < MAX_LATE_NAMES) this.late.add(name);
      const late = [...rest].map(([name, value]) =>
        `${name}=${formatAttribute(value).replaceAll(lateDelimiter, "\\" + lateDelimiter)}`
      );
      end += delimiter + this.#quoted(late.join(lateDelimiter)) + "\n";
      this.#ends.set(attributes, end);
    }
    return end;
  }

  #renderSeries(series: Series): void {
    const { delimiter } = this.#format;
    const head = this.#headOf(series.metric);
    const end = this.#endOf(series.attributes);
    const { resourceKind, resourceId, consumerKind, consumerId } = series;

    // A character is three bytes at most; four bytes more, because parts are copied by words.
    const ids = resourceKind.length + resourceId.length + consumerKind.length + consumerId.length;
    const room = 3 * (head.length + 2 * ids + end.length + 4 * (delimiter.length + 2)) + 4;
    const pool = this.#pool;
    pool.reserveWithin(room);
    const { bytes, length: start } = pool;
    const tail = putUtf8(bytes, start, head);
    let at = this.#putCell(putUtf8(bytes, tail, delimiter), resourceKind);
    at = this.#putCell(putUtf8(bytes, at, delimiter), resourceId);
    at = this.#putCell(putUtf8(bytes, at, delimiter), consumerKind);
    at = this.#putCell(putUtf8(bytes, at, delimiter), consumerId);
    pool.length = putUtf8(bytes, at, end);

    const { cache } = series;
    const slot = this.#slot;
    cache[slot + HEAD_START] = start;
    cache[slot + HEAD_LENGTH] = tail - start;
    cache[slot + TAIL_LENGTH] = pool.length - tail;
    cache[slot + GENERATION] = pool.generation;
  }

  #putCell(at: number, text: string): number {
    return text === "" ? at : putUtf8(this.#pool.bytes, at, this.#quoted(text));
  }

  /**
   * Renders rows of a batch from `row` on, for as long as they fit.
   *
   * @returns The first row that did not fit, or `end`.
   */
  render(batch: Batch, row: number, out: RowBuffer, end = batch.length): number {
    const { series, seconds, nanos, values, exact } = batch;
    const slot = this.#slot;
    const delimiter = this.#delimiter;
    const delimiterByte = delimiter[0];
    const pool = this.#pool;
    const generous = ROW_SLACK + delimiter.length;
    let { bytes, view } = out;
    let at = out.length;

    for (; row < end; row++) {
      const { cache } = series[row];
      if (cache[slot + GENERATION] !== pool.generation) this.#renderSeries(series[row]);
      const head = cache[slot + HEAD_START] as number;
      const headLength = cache[slot + HEAD_LENGTH] as number;
      const tailLength = cache[slot + TAIL_LENGTH] as number;
      const tail = head + headLength;

      if (at + headLength + tailLength + generous > bytes.length) {
        if (at > 0) break;
        out.reserve(headLength + tailLength + generous);
        ({ bytes, view } = out);
      }
      const parts = pool.view;
      for (let i = 0; i < headLength; i += 4) view.setInt32(at + i, parts.getInt32(head + i, true), true);
      at += headLength;

      if (seconds[row] !== this.#timeSeconds || nanos[row] !== this.#timeNanos) {
        this.#renderTime(seconds[row], nanos[row]);
      }
      const timeLength = this.#timeLength;
      const time = this.#timeView;
      for (let i = 0; i < timeLength; i += 4) view.setInt32(at + i, time.getInt32(i, true), true);
      at += timeLength;
      if (delimiter.length === 1) bytes[at++] = delimiterByte;
      else for (let i = 0; i < delimiter.length; i++) bytes[at++] = delimiter[i];

      const value = values[row];
      const big = exact === null ? undefined : exact.get(row);
      if (big !== undefined) at = putText(bytes, at, big.toString());
      else if (
        value >= 0 && value <= 9007199254740992 && Math.floor(value) === value && (value > 0 || 1 / value > 0)
      ) {
        at = putInteger(bytes, at, value);
      } else at = putText(bytes, at, formatF64(value));

      for (let i = 0; i < tailLength; i += 4) view.setInt32(at + i, parts.getInt32(tail + i, true), true);
      at += tailLength;
    }
    out.length = at;
    return row;
  }

  /** RFC 3339 in UTC, without the trailing zeros of the fraction. */
  #renderTime(seconds: number, nanos: number): void {
    const time = this.#time;
    if (seconds !== this.#timeSeconds) {
      const day = Math.floor(seconds / 86_400);
      if (day !== this.#timeDay) {
        this.#timeDay = day;
        // 0000-01-01 is what the text begins with; years have four digits.
        putText(time, 0, new Date(day * 86_400_000).toISOString().slice(0, 11));
      }
      const second = seconds - day * 86_400;
      putTwoDigits(time, 11, Math.floor(second / 3600));
      time[13] = 58;
      putTwoDigits(time, 14, Math.floor(second / 60) % 60);
      time[16] = 58;
      putTwoDigits(time, 17, second % 60);
      this.#timeSeconds = seconds;
    }
    this.#timeNanos = nanos;
    let at = 19;
    if (nanos > 0) {
      time[at++] = 46;
      let digits = 9;
      let rest = nanos;
      while (rest % 10 === 0) {
        rest = (rest / 10) | 0;
        digits--;
      }
      for (let i = at + digits - 1; i >= at; i--) {
        const tenth = (rest / 10) | 0;
        time[i] = 48 + rest - tenth * 10;
        rest = tenth;
      }
      at += digits;
    }
    time[at++] = 90;
    this.#timeLength = at;
  }
}
