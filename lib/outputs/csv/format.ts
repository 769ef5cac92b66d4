/**
 * Rows of CSV as real Alumet agents write them, rendered into bytes: docs/architecture.md has the format. What repeats
 * in a series (everything but time and value) is rendered once and copied from then on; numbers and times are written
 * digit by digit. Nothing is allocated per point, but for fractional f64 values.
 */
import type { Batch } from "../../points/measurement.ts";
import { unitDisplayName, unitUniqueName } from "../../points/units.ts";
import { compareTexts, putF64, putText, putTwoDigits, type RowBuffer } from "../rendering/numbers.ts";
import { SeriesTexts } from "../rendering/series_texts.ts";
import { Cells } from "./cells.ts";
import { RowEnds } from "./row_ends.ts";

export interface CsvFormat {
  readonly delimiter: string;
  /** Between the entries of `__late_attributes`. */
  readonly lateDelimiter: string;
  readonly appendUnit: boolean;
  /** `kWh` rather than `kiloW.h`. */
  readonly unitDisplayName: boolean;
  /** Texts that a spreadsheet would take for formulas get an apostrophe before them. @default {false} */
  readonly escapeFormulas?: boolean;
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

const OWN_COLUMNS: ReadonlySet<string> = new Set([...FIXED_COLUMNS, LATE_COLUMN]);

/** Whether an attribute may have a column: not if the column would be called like one of ours. */
export function mayHaveColumn(attribute: string): boolean {
  return !OWN_COLUMNS.has(attribute);
}

/** The columns of attributes, from those of the points in a batch: sorted by their bytes, without doubles. */
export function attributeColumns(batch: Batch, isOurs: (series: number) => boolean = () => true): string[] {
  const names = new Set<string>();
  const seen = new Set<number>();
  for (let row = 0; row < batch.length; row++) {
    const series = batch.series[row];
    if (seen.has(series)) continue;
    seen.add(series);
    if (isOurs(series)) { for (const [name] of batch.seriesAt(row).attributes) names.add(name); }
  }
  return [...names].filter(mayHaveColumn).sort(compareTexts);
}

/** The first line of a file, with these columns of attributes. */
export function headerOf(columns: readonly string[], format: CsvFormat): Uint8Array<ArrayBuffer> {
  const cells = new Cells(format.delimiter, format.escapeFormulas);
  const names = [...FIXED_COLUMNS, ...columns, LATE_COLUMN].map((name) => cells.quoted(name));
  return encoder.encode(names.join(format.delimiter) + "\n");
}

/** Room that a row needs beside its rendered parts: the time, and the longest f64 (about 330 digits). */
const ROW_SLACK = 512;

/** What is copied at once, in bytes: a f64. No valid UTF-8 is a NaN, whose bits might change on the way. */
const WORD_BYTES = 8;

/** A metric's column; a word may be copied from behind its end. */
interface Head {
  readonly view: DataView;
  readonly length: number;
}

/** Renders rows for one file: its columns are known. */
export class CsvRenderer {
  /** The first line of the file. */
  readonly header: Uint8Array<ArrayBuffer>;
  readonly #format: CsvFormat;
  /** Names of the attributes that have a column. */
  readonly columns: readonly string[];
  readonly #delimiter: Uint8Array;
  readonly #cells: Cells;
  readonly #ends: RowEnds;
  /** The metric's column and the delimiter behind it, by the number of the metric in the store. */
  readonly #heads: Head[] = [];
  /** What comes behind the value, to the end of the line. */
  readonly #texts: SeriesTexts;
  readonly #mark = SeriesTexts.newMark();

  /** The time of the last row, as text. */
  readonly #time = new Uint8Array(64);
  readonly #timeView = new DataView(this.#time.buffer);
  #timeLength = 0;
  #timeSeconds = -1;
  #timeNanos = -1;
  #timeDay = -1;

  /**
   * @param columns Names of the attributes that have a column.
   * @param texts Where rendered parts are kept. Renderers may share it where each series is nearly always rendered by
   * the same one.
   */
  constructor(columns: readonly string[], format: CsvFormat, texts: SeriesTexts = new SeriesTexts()) {
    this.#texts = texts;
    this.#format = format;
    this.columns = columns;
    this.#delimiter = encoder.encode(format.delimiter);
    this.#cells = new Cells(format.delimiter, format.escapeFormulas);
    this.#ends = new RowEnds(texts.store, this.#cells, columns, format.lateDelimiter);
    this.header = headerOf(columns, format);
  }

  /** Names of attributes that have come and have no column; not all, if there are very many. */
  get late(): ReadonlySet<string> {
    return this.#ends.late;
  }

  /** The metric's column, the same for all its series. */
  #headOf(number: number, series: number): Head {
    const { delimiter, appendUnit, unitDisplayName: display } = this.#format;
    const metric = this.#texts.store.metricOf(series);
    const unit = appendUnit ? (display ? unitDisplayName : unitUniqueName)(metric.unit) : "";
    const name = this.#cells.quoted(unit ? `${metric.name}_${unit}` : metric.name);
    const head = encoder.encode(name + delimiter);
    const padded = new Uint8Array(head.length + WORD_BYTES);
    padded.set(head);
    return this.#heads[number] = { view: new DataView(padded.buffer), length: head.length };
  }

  /** Renders what comes behind the value. @returns its place among the texts. */
  #renderEnd(series: number): number {
    const texts = this.#texts;
    const at = texts.begin(this.#ends.maxBytes(series));
    return texts.end(series, this.#ends.put(texts.bytes, at, series), this.#mark);
  }

  /**
   * Renders rows of a batch from `row` on, for as long as they fit.
   *
   * @returns The first row that did not fit, or `end`.
   */
  render(batch: Batch, row: number, out: RowBuffer, end = batch.length): number {
    const { series, seconds, nanos, values, exact } = batch;
    const texts = this.#texts;
    texts.tidy();
    const { places, store: { metrics } } = texts;
    let parts = texts.view;
    const heads = this.#heads;
    const mark = this.#mark;
    const delimiter = this.#delimiter;
    const generous = ROW_SLACK + delimiter.length;
    let { bytes, view } = out;
    let at = out.length;

    for (; row < end; row++) {
      const number = series[row];
      let tail = places[number];
      if (tail === 0 || parts.getUint32(tail - 4, true) !== mark) {
        tail = this.#renderEnd(number);
        parts = texts.view;
      }
      const tailLength = parts.getUint32(tail - 8, true);
      const head = heads[metrics[number]] ?? this.#headOf(metrics[number], number);

      if (at + head.length + tailLength + generous > bytes.length) {
        if (at > 0) break;
        out.reserve(head.length + tailLength + generous);
        ({ bytes, view } = out);
      }
      for (let i = 0; i < head.length; i += WORD_BYTES) {
        view.setFloat64(at + i, head.view.getFloat64(i, true), true);
      }
      at += head.length;

      if (seconds[row] !== this.#timeSeconds || nanos[row] !== this.#timeNanos) {
        this.#renderTime(seconds[row], nanos[row]);
      }
      const timeLength = this.#timeLength;
      const time = this.#timeView;
      for (let i = 0; i < timeLength; i += WORD_BYTES) {
        view.setFloat64(at + i, time.getFloat64(i, true), true);
      }
      at += timeLength;
      for (let i = 0; i < delimiter.length; i++) bytes[at++] = delimiter[i];

      const value = values[row];
      const big = exact === null ? undefined : exact.get(row);
      if (big !== undefined) at = putText(bytes, at, big.toString());
      else at = putF64(bytes, at, value);

      for (let i = 0; i < tailLength; i += WORD_BYTES) {
        view.setFloat64(at + i, parts.getFloat64(tail + i, true), true);
      }
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
