/**
 * Points as lines of InfluxDB's line protocol, with the names that Alumet uses:
 *
 *     METRIC,resource_kind=…,resource_id=…,resource_consumer_kind=…,resource_consumer_id=…,TAG=… FIELD=…,value=V TIME
 *
 * All that stands before the value is rendered once per series and copied from then on; nothing is allocated per point,
 * but for fractional f64 values and u64 above 2^53.
 */
import { valueProblem } from "../rendering/u64.ts";
import type { AttributeValue, Batch, SeriesDefinition } from "../../points/measurement.ts";
import { SERIES_FLAGS } from "../../points/series_store.ts";
import { formatAttribute, formatF64, putF64, putInteger, putText, RowBuffer } from "../rendering/numbers.ts";
import { SeriesTexts } from "../rendering/series_texts.ts";
import { keyText, measurementText, stringField } from "./text.ts";

/** How attributes and unsigned numbers are written. */
export interface LineFormat {
  /** What an attribute becomes that is in neither list. */
  readonly attributesAs: "tag" | "field";
  readonly asTags: ReadonlySet<string>;
  readonly asFields: ReadonlySet<string>;
  /** The server has unsigned fields: `7u`. Otherwise a u64 is written as `7i`, up to 2^63-1. */
  readonly unsigned: boolean;
}

/** Tags that are ours, as Alumet has them; and what servers reserve. */
const RESERVED_TAGS = ["resource_kind", "resource_id", "resource_consumer_kind", "resource_consumer_id"];
const RESERVED_BY_SERVERS = ["time", "_field", "_measurement", "__name__", ""];
/** How Alumet renames an attribute whose name is taken. */
const RENAMED = "alumet_attribute__";

const MAX_I64 = 9223372036854775807n;
/** The last time that InfluxDB has: 2^63 - 2 ns after the epoch, on 2262-04-11. */
const MAX_SECONDS = 9_223_372_036;
const MAX_NANOS = 854_775_806;

/** Room that a line needs behind what is rendered once: the longest f64 (about 330 digits) and the time. */
const LINE_SLACK = 512;

const encoder = new TextEncoder();

/** Lines that are written with one request, and the rows that they come from. */
export class Lines {
  readonly buffer: RowBuffer;
  /** Number of lines. */
  length = 0;
  /** The batches with rows here; line `i` is row `rows[i]` of `batches[batchOf[i]]`. */
  readonly batches: Batch[] = [];
  readonly batchOf: Uint32Array<ArrayBuffer>;
  readonly rows: Uint32Array<ArrayBuffer>;
  /** Where line `i` ends in the buffer. */
  readonly ends: Uint32Array<ArrayBuffer>;

  /** @param maxLines At most; @param maxBytes about, one line always fits. */
  constructor(readonly maxLines: number, readonly maxBytes: number) {
    this.buffer = new RowBuffer(Math.min(maxBytes, 256 * maxLines));
    this.batchOf = new Uint32Array(maxLines);
    this.rows = new Uint32Array(maxLines);
    this.ends = new Uint32Array(maxLines);
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.buffer.bytes.subarray(0, this.buffer.length);
  }

  /** The bytes of line `i`, its line break included. */
  line(i: number): Uint8Array<ArrayBuffer> {
    return this.buffer.bytes.subarray(i === 0 ? 0 : this.ends[i - 1], this.ends[i]);
  }

  batch(i: number): Batch {
    return this.batches[this.batchOf[i]];
  }

  clear(): void {
    this.buffer.length = this.length = 0;
    this.batches.length = 0;
  }
}

/** Told of a row that cannot be written. */
export type OnRefused = (batch: Batch, row: number, reason: string) => void;

export class LineRenderer {
  readonly #format: LineFormat;
  readonly #onRefused: OnRefused;
  readonly #texts: SeriesTexts;
  readonly #mark = SeriesTexts.newMark();
  /** The end of the last line, from the space behind the value on. */
  readonly #time = new Uint8Array(48);
  readonly #timeView = new DataView(this.#time.buffer);
  #timeLength = 0;
  #timeSeconds = -1;
  #timeNanos = -1;

  constructor(format: LineFormat, onRefused: OnRefused, texts: SeriesTexts = new SeriesTexts()) {
    this.#format = format;
    this.#onRefused = onRefused;
    this.#texts = texts;
  }

  /**
   * Renders rows of a batch from `row` on, for as long as they fit.
   *
   * @returns The first row that did not fit, or the batch's length.
   */
  render(batch: Batch, row: number, lines: Lines): number {
    const { series, seconds, nanos, values, exact, length } = batch;
    const { buffer, batchOf, rows, ends, maxLines, maxBytes } = lines;
    const texts = this.#texts;
    texts.tidy();
    const { places, store: { flags } } = texts;
    let prefixes = texts.view;
    const mark = this.#mark;
    const integerSuffix = this.#format.unsigned ? 117 : 105;
    const batchIndex = lines.batches.push(batch) - 1;
    let { bytes, view } = buffer;
    let at = buffer.length;
    let count = lines.length;

    for (; row < length && count < maxLines; row++) {
      const value = values[row];
      const big = exact === null ? undefined : exact.get(row);
      const problem = this.#problem(value, big, seconds[row], nanos[row]) ?? valueProblem(batch, row) ?? null;
      if (problem !== null) {
        this.#onRefused(batch, row, problem);
        continue;
      }
      const number = series[row];
      let start = places[number];
      if (start === 0 || prefixes.getUint32(start - 4, true) !== mark) {
        start = this.#renderSeries(batch.seriesAt(row), number);
        prefixes = texts.view;
      }
      const prefix = prefixes.getUint32(start - 8, true);
      if (at + prefix + LINE_SLACK > bytes.length) {
        if (count > 0 && at + prefix + LINE_SLACK > maxBytes) break;
        buffer.length = at;
        buffer.reserve(Math.max(prefix + LINE_SLACK, Math.min(at, maxBytes - at)));
        ({ bytes, view } = buffer);
      }
      for (let i = 0; i < prefix; i += 4) view.setInt32(at + i, prefixes.getInt32(start + i, true), true);
      at += prefix;

      if (big !== undefined) at = putText(bytes, at, big.toString());
      else at = putF64(bytes, at, value);
      if ((flags[number] & SERIES_FLAGS.u64) !== 0) bytes[at++] = integerSuffix;

      if (seconds[row] !== this.#timeSeconds || nanos[row] !== this.#timeNanos) {
        this.#renderTime(seconds[row], nanos[row]);
      }
      const timeLength = this.#timeLength;
      const time = this.#timeView;
      for (let i = 0; i < timeLength; i += 4) view.setInt32(at + i, time.getInt32(i, true), true);
      at += timeLength;
      batchOf[count] = batchIndex;
      rows[count] = row;
      ends[count] = at;
      count++;
    }
    buffer.length = at;
    lines.length = count;
    return row;
  }

  /** Why a point cannot be written, or `null`. */
  #problem(value: number, big: bigint | undefined, seconds: number, nanos: number): string | null {
    if (value - value !== 0) return `InfluxDB has no ${Number.isNaN(value) ? "NaN" : "infinity"}`;
    if (big !== undefined && big > MAX_I64 && !this.#format.unsigned) {
      return "this server has no unsigned fields, and the value is above 2^63-1";
    }
    if (seconds > MAX_SECONDS || (seconds === MAX_SECONDS && nanos > MAX_NANOS)) {
      return "the time is after 2262-04-11, where InfluxDB's calendar ends";
    }
    return null;
  }

  /** The space, the time in nanoseconds, and the line break. */
  #renderTime(seconds: number, nanos: number): void {
    const time = this.#time;
    time[0] = 32;
    let at = putInteger(time, 1, seconds) + 9;
    this.#timeLength = at + 1;
    time[at--] = 10;
    for (let rest = nanos, i = 0; i < 9; i++) {
      const tenth = (rest / 10) | 0;
      time[at--] = 48 + rest - tenth * 10;
      rest = tenth;
    }
    this.#timeSeconds = seconds;
    this.#timeNanos = nanos;
  }

  /** @returns the place of what stands before the value in the lines of a series. */
  #renderSeries(series: SeriesDefinition, number: number): number {
    const bytes = encoder.encode(prefixOf(series, this.#format));
    const texts = this.#texts;
    const at = texts.begin(bytes.length);
    texts.bytes.set(bytes, at);
    return texts.end(number, at + bytes.length, this.#mark);
  }
}

/** What stands before the value in the lines of a series, `value=` included. */
export function prefixOf(series: SeriesDefinition, format: LineFormat): string {
  let text = measurementText(series.metric.name);
  const tag = (name: string, value: string) => {
    // A tag without a value cannot be written; one that is absent means the same.
    if (value !== "") text += `,${keyText(name)}=${keyText(value)}`;
  };
  tag("resource_kind", series.resourceKind);
  tag("resource_id", series.resourceId);
  tag("resource_consumer_kind", series.consumerKind);
  tag("resource_consumer_id", series.consumerId);

  const tags = new Map<string, string>();
  const fields = new Map<string, string>();
  // Of attributes with the same name the last one counts.
  for (const [name, value] of new Map(series.attributes)) {
    if (isTag(name, format)) {
      const taken = RESERVED_TAGS.includes(name) || RESERVED_BY_SERVERS.includes(name);
      tags.set(taken ? RENAMED + name : name, formatAttribute(value));
    } else {
      const field = fieldText(value, format.unsigned);
      const taken = name === "value" || RESERVED_BY_SERVERS.includes(name);
      if (field !== undefined) fields.set(taken ? RENAMED + name : name, field);
    }
  }
  for (const [name, value] of tags) tag(name, value);
  text += " ";
  for (const [name, value] of fields) text += `${keyText(name)}=${value},`;
  return `${text}value=`;
}

function isTag(name: string, { attributesAs, asTags, asFields }: LineFormat): boolean {
  return attributesAs === "tag" ? !asFields.has(name) : asTags.has(name);
}

/** An attribute as the value of a field; `undefined` where there is none for it: it is left out. */
function fieldText(value: AttributeValue, unsigned: boolean): string | undefined {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? formatF64(value) : undefined;
    case "bigint":
      if (unsigned) return `${value}u`;
      return value <= MAX_I64 ? `${value}i` : undefined;
    case "boolean":
      return value ? "T" : "F";
    case "string":
      return stringField(value);
    default:
      return stringField(value.join(","));
  }
}
