/**
 * Decodes measurements into columns: the hot path of the server. Nothing is allocated per point; a series is decoded
 * once, then recognised by its bytes (see {@linkcode ./series_table.ts}).
 */
import type { BatchBuilder } from "../points/batch_builder.ts";
import { type Attribute, CLIENT_ATTRIBUTE, MAX_SECONDS, type Metric, Series } from "../points/measurement.ts";
import { PostcardError, PostcardReader } from "../postcard.ts";
import { MAX_METRIC_ID, readValue, VALUE } from "./protocol.ts";
import { hasLongName } from "./names.ts";
import {
  ENTRY_LONG_NAME,
  ENTRY_UNKNOWN_METRIC,
  hashTail,
  SeriesTable,
  type TableBudget,
} from "./series_table.ts";

/** Senders that one connection may speak for before the tables of all of them are forgotten. */
const MAX_SENDERS = 4096;

/** Points that were refused, by reason. */
export interface RejectedPoints {
  unknownMetric: number;
  wrongKind: number;
  badTime: number;
  /** A kind or the key of an attribute is too long. */
  longName: number;
}

/** Length of a tail, from the resource kind to the last attribute. @throws {PostcardError} */
function skipTail(reader: PostcardReader): number {
  const start = reader.offset;
  for (let i = 0; i < 4; i++) reader.skip(reader.length());
  const attributes = reader.length(3);
  for (let i = 0; i < attributes; i++) {
    reader.skip(reader.length());
    skipValue(reader, reader.discriminant(5));
  }
  return reader.offset - start;
}

/** Steps over a value; text is not looked at. */
function skipValue(reader: PostcardReader, kind: number): void {
  if (kind === VALUE.f64) reader.f64();
  else if (kind === VALUE.u64) reader.u64Number();
  else if (kind === VALUE.bool) reader.bool();
  else if (kind === VALUE.str) reader.skip(reader.length());
  else for (let n = reader.length(); n > 0; n--) reader.u64Number();
}

/** A text that the table may know. @throws {PostcardError} */
function readText(table: SeriesTable, bytes: Uint8Array, view: DataView, reader: PostcardReader): string {
  const length = reader.length();
  reader.skip(length);
  return table.text(bytes, view, reader.offset - length, reader.offset);
}

export interface PointDecoderLimits {
  /** Series of one sender that are remembered. @default as many as the budget allows */
  maxSeries?: number;
  /** Bytes of kinds and of keys of attributes. @default {Infinity} */
  maxNameBytes?: number;
}

/** The decoder of one connection: its metric ids, and its tables of series. */
export class PointDecoder {
  readonly rejected: RejectedPoints = { unknownMetric: 0, wrongKind: 0, badTime: 0, longName: 0 };
  readonly #metrics: (Metric | undefined)[] = [];
  readonly #tables = new Map<string, SeriesTable>();
  readonly #budget: TableBudget;
  readonly #limits: PointDecoderLimits;

  constructor(budget: TableBudget, limits: PointDecoderLimits = {}) {
    this.#limits = limits;
    this.#budget = budget;
  }

  /** Gives the tables' share of the budget back. */
  close(): void {
    for (const table of this.#tables.values()) table.close();
    this.#tables.clear();
  }

  /** Points that carry `id` are of this metric from now on. */
  setMetric(id: number, metric: Metric): void {
    const known = this.#metrics[id];
    if (known === metric) return;
    this.#metrics[id] = metric;
    for (const table of this.#tables.values()) {
      if (known) table.clear();
      else table.forgetUnknown();
    }
  }

  #table(sender: string): SeriesTable {
    let table = this.#tables.get(sender);
    if (!table) {
      if (this.#tables.size >= MAX_SENDERS) this.close();
      table = new SeriesTable(this.#budget, this.#limits.maxSeries);
      this.#tables.set(sender, table);
    }
    return table;
  }

  /**
   * Decodes `bytes[start … end-1]`, the content of SendMeasurements, and appends the points to `out`. Refused points
   * are counted in {@linkcode PointDecoder.rejected}, and the others are kept.
   *
   * @param bytes With {@linkcode READ_SLACK_BYTES} readable bytes behind `end`.
   * @returns The number of points in the message, refused ones included.
   * @throws {PostcardError} Nothing of this message is in `out` then.
   */
  decode(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    sender: string,
    out: BatchBuilder,
  ): number {
    const before = out.length;
    const rejected = { ...this.rejected };
    try {
      const reader = new PostcardReader(bytes, start, end);
      // The shortest point: an id, two numbers of time, two of the value, four empty strings, no attributes.
      const count = reader.length(10);
      this.#decodePoints(bytes, view, reader, count, sender, out);
      return count;
    } catch (error) {
      out.truncate(before);
      Object.assign(this.rejected, rejected);
      throw error;
    }
  }

  #decodePoints(
    bytes: Uint8Array,
    view: DataView,
    reader: PostcardReader,
    count: number,
    sender: string,
    out: BatchBuilder,
  ): void {
    const table = this.#table(sender);
    const end = reader.end;
    let at = reader.offset;
    let batch = out.current;
    let row = batch.length;
    let { series, seconds, nanos, values } = batch;
    let capacity = seconds.length;

    for (let n = 0; n < count; n++) {
      // Numbers are read without looking at the end; whether they lie before it is checked once behind them.
      const pointStart = at;
      let byte = bytes[at++];
      let metricId = byte;
      if (byte >= 0x80) {
        const second = bytes[at++];
        if (second < 0x80) metricId = (byte & 0x7f) | (second << 7);
        else {
          reader.offset = pointStart;
          metricId = Number(reader.u64Number());
          if (metricId > MAX_METRIC_ID) metricId = MAX_METRIC_ID + 1;
          at = reader.offset;
        }
      }

      let secs: number;
      // Five bytes are the years 1978 to 3058; everything else takes the slow way.
      const b0 = bytes[at], b1 = bytes[at + 1], b2 = bytes[at + 2], b3 = bytes[at + 3], b4 = bytes[at + 4];
      if (b0 >= 0x80 && b1 >= 0x80 && b2 >= 0x80 && b3 >= 0x80 && b4 < 0x80) {
        secs = ((b0 & 0x7f) | ((b1 & 0x7f) << 7) | ((b2 & 0x7f) << 14) | ((b3 & 0x7f) << 21)) +
          b4 * 268435456;
        at += 5;
      } else {
        reader.offset = at;
        const value = reader.u64Number();
        secs = typeof value === "bigint" ? Infinity : value;
        at = reader.offset;
      }

      let fraction = 0;
      let shift = 0;
      do {
        byte = bytes[at++];
        fraction |= (byte & 0x7f) << shift;
        shift += 7;
      } while (byte >= 0x80 && shift < 35);
      if (shift === 35 && byte > 0x0f) {
        throw new PostcardError("bad_varint", at - 5, "a varint is too long for its type");
      }
      fraction >>>= 0;

      let kind = bytes[at++];
      let value = 0;
      let exact: bigint | undefined;
      if (kind === VALUE.f64) {
        if (at + 8 > end) throw new PostcardError("end_of_input", at, "a point is not complete");
        value = view.getFloat64(at, true);
        at += 8;
      } else if (kind === VALUE.u64 && (byte = bytes[at]) < 0x80) {
        value = byte;
        at++;
      } else if (kind === VALUE.u64) {
        let scale = 1;
        let length = 0;
        do {
          byte = bytes[at + length++];
          value += (byte & 0x7f) * scale;
          scale *= 128;
        } while (byte >= 0x80 && length < 7);
        if (byte < 0x80) at += length;
        else {
          reader.offset = at;
          const big = reader.u64Number();
          if (typeof big === "bigint") exact = big;
          value = Number(big);
          at = reader.offset;
        }
      } else {
        reader.offset = at - 1;
        kind = reader.discriminant(5);
        // A discriminant may be written in more bytes than it needs.
        if (kind === VALUE.f64) value = reader.f64();
        else if (kind === VALUE.u64) {
          const big = reader.u64Number();
          if (typeof big === "bigint") exact = big;
          value = Number(big);
        } else {
          // Not a value that a point can have: refused below, but its bytes must be right all the same.
          reader.offset = at - 1;
          readValue(reader);
        }
        at = reader.offset;
      }
      if (at >= end) throw new PostcardError("end_of_input", pointStart, "a point is not complete");

      // The tail. A tail that begins with the bytes of a whole tail is that tail.
      const last = table.last;
      let entry = last >= 0 ? table.following[last] : -1;
      if (entry >= 0 && table.metricIds[entry] === metricId) {
        const pool = table.poolView;
        const tail = table.tailStart[entry];
        const lastWord = table.tailLength[entry] - 4;
        if (at + lastWord + 4 > end) entry = -1;
        else {
          let i = 0;
          while (i < lastWord && pool.getInt32(tail + i, true) === view.getInt32(at + i, true)) i += 4;
          if (i < lastWord || pool.getInt32(tail + lastWord, true) !== view.getInt32(at + lastWord, true)) {
            entry = -1;
          } else at += lastWord + 4;
        }
      } else entry = -1;
      if (entry < 0) {
        reader.offset = at;
        entry = this.#intern(table, bytes, view, reader, metricId, sender);
        at = reader.offset;
        // Interning may have dropped all that the table knew.
        if (last >= 0 && last < table.size && table.last === last) table.following[last] = entry;
      }
      table.last = entry;

      const entryKind = table.kinds[entry];
      if (entryKind !== kind) {
        if (entryKind === ENTRY_UNKNOWN_METRIC) this.rejected.unknownMetric++;
        else if (entryKind === ENTRY_LONG_NAME) this.rejected.longName++;
        else this.rejected.wrongKind++;
        continue;
      }
      if (fraction >= 1e9) {
        secs += Math.floor(fraction / 1e9);
        fraction %= 1e9;
      }
      if (secs > MAX_SECONDS) {
        this.rejected.badTime++;
        continue;
      }

      if (row === capacity) {
        batch.length = row;
        batch = out.rotate();
        ({ series, seconds, nanos, values } = batch);
        capacity = seconds.length;
        row = 0;
      }
      series[row] = table.series[entry]!;
      seconds[row] = secs;
      nanos[row] = fraction;
      values[row] = value;
      if (exact !== undefined) (batch.exact ??= new Map()).set(row, exact);
      row++;
      batch.length = row;
    }
    reader.offset = at;
  }

  /** The entry of the tail at the reader's offset, which is moved behind it. */
  #intern(
    table: SeriesTable,
    bytes: Uint8Array,
    view: DataView,
    reader: PostcardReader,
    metricId: number,
    sender: string,
  ): number {
    const start = reader.offset;
    const length = skipTail(reader);
    const hash = hashTail(view, start, length, metricId);
    const known = table.find(hash, metricId, view, start, length);
    if (known >= 0) return known;

    const end = reader.offset;
    reader.offset = start;
    const resourceKind = readText(table, bytes, view, reader);
    const resourceId = readText(table, bytes, view, reader);
    const consumerKind = readText(table, bytes, view, reader);
    const consumerId = readText(table, bytes, view, reader);
    const attributesHash = hashTail(view, reader.offset, end - reader.offset, 0);
    let attributes = table.findAttributes(attributesHash, bytes, reader.offset, end);
    if (!attributes) {
      const encoded = bytes.slice(reader.offset, end);
      const decoded = reader.sequence((r): Attribute => [readText(table, bytes, view, r), readValue(r)]);
      // A hop passes the name of the first client on: it is not replaced by the hop's.
      if (!decoded.some(([name]) => name === CLIENT_ATTRIBUTE)) decoded.push([CLIENT_ATTRIBUTE, sender]);
      table.keepAttributes(attributesHash, encoded, decoded);
      attributes = decoded;
    }
    reader.offset = end;

    const metric = this.#metrics[metricId];
    if (!metric) return table.add(hash, metricId, bytes, start, length, ENTRY_UNKNOWN_METRIC, null);
    const { maxNameBytes = Infinity } = this.#limits;
    if (hasLongName({ resourceKind, consumerKind, attributes }, maxNameBytes)) {
      return table.add(hash, metricId, bytes, start, length, ENTRY_LONG_NAME, null);
    }
    const series = new Series(metric, resourceKind, resourceId, consumerKind, consumerId, attributes);
    return table.add(hash, metricId, bytes, start, length, VALUE[metric.type], series);
  }
}
