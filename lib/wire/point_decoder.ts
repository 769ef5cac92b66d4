/**
 * Decodes measurements into columns: the hot path of the server. Nothing is allocated per point. A point is recognised
 * by the bytes of its tail, which are nearly always those of the series that followed last time; text is not decoded.
 */
import type { BatchBuilder } from "../points/batch_builder.ts";
import { MAX_SECONDS, type Metric } from "../points/measurement.ts";
import { NO_CLIENT } from "../points/client_names.ts";
import { hashTail } from "../points/hash.ts";
import { SERIES_FLAGS, type SeriesStore, seriesStore } from "../points/series_store.ts";
import { checkTexts, readValue, skipTail, VALUE } from "../points/tail.ts";
import { PostcardError, PostcardReader } from "../postcard.ts";
import { MAX_METRIC_ID } from "./protocol.ts";

/** Senders that one connection may speak for before all of them are forgotten. */
const MAX_SENDERS = 4096;

/** Points that were refused, by reason. */
export interface RejectedPoints {
  unknownMetric: number;
  wrongKind: number;
  badTime: number;
  /** A kind or the key of an attribute is too long. */
  longName: number;
}

export interface PointDecoderOptions {
  /** Where the series are. @default that of the process */
  store?: SeriesStore;
  /** The client whose share of memory new series take. @default {""} this process */
  owner?: string;
  /** Bytes of kinds and of keys of attributes. @default {Infinity} */
  maxNameBytes?: number;
}

/** Whose name is in messages of this connection. */
interface Sender {
  /** Its number in the store, which is held. */
  readonly client: number;
  /** The series of its last point. */
  last: number;
}

/** Usual lengths of a time: seconds of five bytes, nanoseconds of three to five. They are compared by three words. */
const MIN_TIME_BYTES = 8;
const MAX_TIME_BYTES = 10;

/** Marks of points that are refused, instead of the number of a series. */
const UNKNOWN_METRIC = 1;
const LONG_NAME = 2;

/** The decoder of one connection: its metric ids, and what came last of whom. */
export class PointDecoder {
  readonly rejected: RejectedPoints = { unknownMetric: 0, wrongKind: 0, badTime: 0, longName: 0 };
  readonly store: SeriesStore;
  /** By the ids of this connection, numbers in the store; -1 for ids that are not registered. */
  #metrics = new Int32Array(16).fill(-1);
  readonly #senders = new Map<string, Sender>();
  readonly #owner: number;
  readonly #maxNameBytes: number;

  constructor({ store = seriesStore, owner = "", maxNameBytes = Infinity }: PointDecoderOptions = {}) {
    this.store = store;
    this.#owner = owner === "" ? NO_CLIENT : store.names.hold(owner);
    this.#maxNameBytes = maxNameBytes;
  }

  /** To be called once, when the connection has ended. */
  close(): void {
    this.#forgetSenders();
    this.store.names.release(this.#owner);
  }

  #forgetSenders(): void {
    for (const { client } of this.#senders.values()) this.store.names.release(client);
    this.#senders.clear();
  }

  /** Points that carry `id` are of this metric from now on. */
  setMetric(id: number, metric: Metric): void {
    if (id >= this.#metrics.length) {
      const larger = new Int32Array(2 * id).fill(-1);
      larger.set(this.#metrics);
      this.#metrics = larger;
    }
    this.#metrics[id] = this.store.metricNumber(metric);
  }

  #sender(name: string): Sender {
    let sender = this.#senders.get(name);
    if (!sender) {
      if (this.#senders.size >= MAX_SENDERS) this.#forgetSenders();
      sender = { client: this.store.names.hold(name), last: 0 };
      this.#senders.set(name, sender);
    }
    return sender;
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
    } finally {
      // A batch without points must not keep series from being given back.
      if (out.current.length === 0) out.current.truncate(0);
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
    const store = this.store;
    const from = this.#sender(sender);
    const { client } = from;
    const numbers = this.#metrics;
    let { metrics, clients, tailStart, tailLength, following, seen, flags, epoch } = store;
    let tails = store.arena.view;
    let { last } = from;
    const end = reader.end;
    let at = reader.offset;
    let batch = out.current;
    batch.begin();
    let row = batch.length;
    let { series, seconds, nanos, values } = batch;
    let capacity = seconds.length;
    let secs = 0;
    let fraction = 0;
    /** The bytes of the last time; of no length where it is an unusual one. */
    let timeAt = at;
    let timeLength = 0;

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

      // Points that were measured together have the bytes of their time in common.
      const lastWordOfTime = timeLength - 4;
      if (
        timeLength > 0 && view.getInt32(at) === view.getInt32(timeAt) &&
        view.getInt32(at + 4) === view.getInt32(timeAt + 4) &&
        view.getInt32(at + lastWordOfTime) === view.getInt32(timeAt + lastWordOfTime)
      ) at += timeLength;
      else {
        timeAt = at;
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

        fraction = 0;
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
        if (fraction >= 1e9) {
          secs += Math.floor(fraction / 1e9);
          fraction %= 1e9;
        }
        timeLength = at - timeAt;
        if (timeLength < MIN_TIME_BYTES || timeLength > MAX_TIME_BYTES) timeLength = 0;
      }

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
          // Not a value that a point can have: it is refused below, but its bytes must be valid.
          reader.offset = at - 1;
          readValue(reader);
        }
        at = reader.offset;
      }
      if (at >= end) throw new PostcardError("end_of_input", pointStart, "a point is not complete");

      // The tail. A tail that begins with the bytes of a whole tail is that tail.
      const metric = metricId < numbers.length ? numbers[metricId] : -1;
      let number = following[last];
      let known = false;
      if (metrics[number] === metric && clients[number] === client) {
        const lastWord = tailLength[number] - 4;
        if (at + lastWord + 4 <= end) {
          const tail = tailStart[number];
          let i = 0;
          while (i < lastWord && tails.getInt32(tail + i, true) === view.getInt32(at + i, true)) i += 4;
          known = i >= lastWord &&
            tails.getInt32(tail + lastWord, true) === view.getInt32(at + lastWord, true);
          if (known) at += lastWord + 4;
        }
      }
      if (!known) {
        reader.offset = at;
        number = this.#find(bytes, view, reader, metric, client, last);
        at = reader.offset;
        if (number === UNKNOWN_METRIC || number === LONG_NAME) {
          if (number === UNKNOWN_METRIC) this.rejected.unknownMetric++;
          else this.rejected.longName++;
          continue;
        }
        // A new series may have made the columns grow.
        ({ metrics, clients, tailStart, tailLength, following, seen, flags, epoch } = store);
        tails = store.arena.view;
        store.alternative[last] = following[last];
        following[last] = number;
      }
      last = number;

      if ((flags[number] & SERIES_FLAGS.u64 ? VALUE.u64 : VALUE.f64) !== kind) {
        this.rejected.wrongKind++;
        continue;
      }
      if (secs > MAX_SECONDS) {
        this.rejected.badTime++;
        continue;
      }

      if (row === capacity) {
        batch.length = row;
        batch = out.rotate();
        batch.begin();
        ({ series, seconds, nanos, values } = batch);
        capacity = seconds.length;
        row = 0;
      }
      seen[number] = epoch;
      series[row] = number;
      seconds[row] = secs;
      nanos[row] = fraction;
      values[row] = value;
      if (exact !== undefined) (batch.exact ??= new Map()).set(row, exact);
      row++;
      batch.length = row;
    }
    reader.offset = at;
    from.last = last;
  }

  /**
   * The series of the tail at the reader's offset, which is moved behind it; or why the point is refused.
   *
   * @param last The series of the point before it.
   */
  #find(
    bytes: Uint8Array,
    view: DataView,
    reader: PostcardReader,
    metric: number,
    client: number,
    last: number,
  ): number {
    const { store } = this;
    const start = reader.offset;
    const { longestName, namesClient } = skipTail(bytes, reader);
    const length = reader.offset - start;
    if (metric < 0 || longestName > this.#maxNameBytes) {
      checkTexts(bytes, start, reader.offset);
      return metric < 0 ? UNKNOWN_METRIC : LONG_NAME;
    }
    // A hop passes the name of the first client on: it is not replaced by the hop's.
    if (namesClient) client = NO_CLIENT;
    const alternative = store.alternative[last];
    if (store.matches(alternative, metric, client, view, start, length)) return alternative;
    const hash = hashTail(view, start, length, metric, client);
    const known = store.find(metric, client, view, start, length, hash);
    if (known !== 0) return known;
    checkTexts(bytes, start, reader.offset);
    return store.intern(metric, client, this.#owner, bytes, view, start, length, namesClient, hash);
  }
}
