/**
 * Encodes points for SendMeasurements: the hot path of the client. A series has the bytes in which it goes over the
 * wire; they are copied. Metrics are numbered in the order in which they appear; the numbers hold for the life of the
 * encoder, so a new connection only needs the definitions again.
 */
import { enlarged } from "../base/bytes.ts";
import { NO_CLIENT } from "../points/client_names.ts";
import { type Batch, CLIENT_ATTRIBUTE } from "../points/measurement.ts";
import { SERIES_FLAGS, type SeriesStore, seriesStore } from "../points/series_store.ts";
import { VALUE, writeTail } from "../points/tail.ts";
import { PostcardWriter, putVarint, varintLength } from "../postcard.ts";
import { isAlumetUnit, unitDisplayName } from "../points/units.ts";
import {
  encodeFrame,
  FRAME_HEADER_BYTES,
  MAX_BODY_BYTES,
  MAX_METRIC_ID,
  MESSAGE,
  type WireMetric,
} from "./protocol.ts";

/** Longest run of numbers in a point: time (10 + 5), kind (1), value (10). */
const MAX_NUMBERS_BYTES = 26;
/** A RegisterMetrics frame is cut above this. */
const MAX_REGISTRATION_BYTES = 1024 * 1024;

/** A series whose attributes name a client in an unusual place: that one is the sender. */
interface Odd {
  readonly generation: number;
  readonly sender: string;
  /** Its tail without that attribute. */
  readonly tail: Uint8Array;
}

/** How many of those are remembered. */
const MAX_ODD = 1024;

/** Why {@linkcode PointEncoder.add} stopped. */
export type AddResult =
  /** The whole batch is in. */
  | "done"
  /** The next point does not fit: the frame must go first. */
  | "full"
  /** The next point is from another sender: the frame must go first. */
  | "sender";

/** Gathers points for one frame after another. */
export class PointEncoder {
  /** Points that cannot be sent: too large for a frame, or of more metrics than the protocol has numbers for. */
  unsendable = 0;
  /** Points in the frame that is being gathered. */
  points = 0;
  /** Row of the batch that comes next, after {@linkcode PointEncoder.add}. */
  nextRow = 0;
  readonly #clientName: string;
  readonly #store: SeriesStore;
  /** Varints of the ids of metrics, by their numbers in the store; `null` where the protocol has none. */
  readonly #heads: (Uint8Array | null | undefined)[] = [];
  readonly #odd = new Map<number, Odd>();
  readonly #metrics: WireMetric[] = [];
  #bytes = new Uint8Array(8192);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  /** Room for the frame's header before the points. */
  #headroom = 0;
  /** Whom the points in the frame are from, and how that begins the body. */
  #sender: string | undefined;
  /** Its number in the store, if the series say it. */
  #senderNumber = -1;
  #prefix: Uint8Array = new Uint8Array(0);

  /** @param clientName Sender of the points that did not come from another client. */
  constructor(clientName: string, store: SeriesStore = seriesStore) {
    this.#clientName = clientName;
    this.#store = store;
  }

  /** Bytes of encoded points. */
  get byteLength(): number {
    return this.#length - this.#headroom;
  }

  /** Number of metrics that points have been encoded with. */
  get metricCount(): number {
    return this.#metrics.length;
  }

  /**
   * Frames that register the metrics from number `first` on.
   *
   * Real servers throw a client out whose units are not Alumet's own: a metric with another unit is registered without
   * one, and has it in its name.
   */
  *registrations(first: number): Generator<Uint8Array<ArrayBuffer>> {
    const metrics = this.#metrics.map(withOwnUnit);
    let size = 0;
    for (let i = first; i < metrics.length; i++) {
      const { name, unit } = metrics[i];
      size += 3 * (name.length + unit.base.length + unit.prefix.length) + 16;
      if (size > MAX_REGISTRATION_BYTES || i === metrics.length - 1) {
        yield encodeFrame(this.#clientName, {
          type: "registerMetrics",
          metrics: metrics.slice(first, i + 1),
        });
        first = i + 1;
        size = 0;
      }
    }
  }

  #headOf(series: number): Uint8Array | null {
    const number = this.#store.metrics[series];
    let head = this.#heads[number];
    if (head === undefined) {
      const id = this.#metrics.length;
      head = id <= MAX_METRIC_ID ? new PostcardWriter(16).u64(id).written.slice() : null;
      this.#heads[number] = head;
      const { name, type, unit } = this.#store.metricOf(series);
      if (head !== null) this.#metrics.push({ id, name, type, unit });
    }
    return head;
  }

  #isOdd(series: number): boolean {
    const { clients, flags } = this.#store;
    return clients[series] === NO_CLIENT && (flags[series] & SERIES_FLAGS.namesClient) !== 0;
  }

  #oddOf(series: number): Odd {
    const generation = this.#store.generations[series];
    let odd = this.#odd.get(series);
    if (odd?.generation !== generation) {
      const definition = this.#store.definitionOf(series);
      const { attributes } = definition;
      const at = attributes.findLastIndex(([name]) => name === CLIENT_ATTRIBUTE);
      const value = attributes[at][1];
      const isName = typeof value === "string";
      const rest = isName ? attributes.filter((_, i) => i !== at) : attributes;
      const writer = new PostcardWriter(128);
      writeTail(writer, { ...definition, attributes: rest }, rest.length);
      odd = { generation, sender: isName ? value : this.#clientName, tail: writer.written.slice() };
      if (this.#odd.size >= MAX_ODD) this.#odd.clear();
      this.#odd.set(series, odd);
    }
    return odd;
  }

  /** The name under which points of a series are sent. */
  senderOf(series: number): string {
    if (this.#isOdd(series)) return this.#oddOf(series).sender;
    const client = this.#store.clients[series];
    return client === NO_CLIENT ? this.#clientName : this.#store.names.nameOf(client);
  }

  #tailLength(series: number): number {
    return this.#isOdd(series) ? this.#oddOf(series).tail.length : this.#store.tailLength[series];
  }

  /** Whether the points of a series have a place in the protocol and in a frame. */
  #isSendable(series: number, head: Uint8Array | null): head is Uint8Array {
    const length = this.#tailLength(series);
    return head !== null && (length < MAX_BODY_BYTES / 8 ||
      length + 3 * this.senderOf(series).length + 64 <= MAX_BODY_BYTES);
  }

  /** Bytes that the points of a batch take when they are encoded. */
  measure(batch: Batch): number {
    const { series, seconds, nanos, values, exact, length } = batch;
    const { flags } = this.#store;
    let bytes = 0;
    for (let row = 0; row < length; row++) {
      const number = series[row];
      const head = this.#headOf(number);
      if (!this.#isSendable(number, head)) continue;
      bytes += head.length + varintLength(seconds[row]) + varintLength(nanos[row]) + 1 +
        this.#tailLength(number);
      if ((flags[number] & SERIES_FLAGS.u64) === 0) bytes += 8;
      else {
        const big = exact?.get(row);
        if (big === undefined) bytes += varintLength(values[row]);
        // The double next to a large number may need one byte more than the number itself.
        else bytes += 8 + (big >= 2 ** 56 ? 1 : 0) + (big >= 2 ** 63 ? 1 : 0);
      }
    }
    return bytes;
  }

  /**
   * Encodes the points of a batch from `row` on; {@linkcode PointEncoder.nextRow} says where it stopped.
   *
   * @param maxBytes Encoded points in one frame; a single point may be larger.
   */
  add(batch: Batch, row: number, maxBytes: number): AddResult {
    const { series, seconds, nanos, values, length } = batch;
    const { clients, tailStart, tailLength, flags, arena } = this.#store;
    // The number may be somebody else's by now.
    this.#senderNumber = -1;
    for (; row < length; row++) {
      const number = series[row];
      const head = this.#headOf(number);
      if (!this.#isSendable(number, head)) {
        this.unsendable++;
        continue;
      }
      const odd = this.#isOdd(number) ? this.#oddOf(number) : null;
      const senderNumber = odd ? -1 : clients[number];
      if (this.points === 0) this.#begin(this.senderOf(number), senderNumber);
      else if (senderNumber < 0 || senderNumber !== this.#senderNumber) {
        if (this.senderOf(number) !== this.#sender) {
          this.nextRow = row;
          return "sender";
        }
        this.#senderNumber = senderNumber;
      }
      const tail = odd ? odd.tail : arena.bytes;
      const tailFrom = odd ? 0 : tailStart[number];
      const tailBytes = odd ? odd.tail.length : tailLength[number];
      const start = this.#length;
      this.#reserve(head.length + MAX_NUMBERS_BYTES + tailBytes);
      const bytes = this.#bytes;
      let at = start;
      for (let i = 0; i < head.length; i++) bytes[at++] = head[i];
      at = putVarint(bytes, at, seconds[row]);
      at = putVarint(bytes, at, nanos[row]);
      if ((flags[number] & SERIES_FLAGS.u64) === 0) {
        bytes[at++] = VALUE.f64;
        this.#view.setFloat64(at, values[row], true);
        at += 8;
      } else {
        bytes[at++] = VALUE.u64;
        const exact = batch.exact === null ? undefined : batch.exact.get(row);
        at = exact === undefined ? putVarint(bytes, at, values[row]) : putBigVarint(bytes, at, exact);
      }
      if (tailBytes < 64) { for (let i = 0; i < tailBytes; i++) bytes[at + i] = tail[tailFrom + i]; }
      else bytes.set(tail.subarray(tailFrom, tailFrom + tailBytes), at);
      at += tailBytes;

      const limit = Math.min(maxBytes, MAX_BODY_BYTES - this.#headroom);
      if (at - this.#headroom > limit && this.points > 0) {
        this.nextRow = row;
        return "full";
      }
      this.#length = at;
      this.points++;
    }
    this.nextRow = row;
    return "done";
  }

  /**
   * The frame with all points that were added, header included; valid until {@linkcode PointEncoder.clear}. There must
   * be points.
   */
  frame(): Uint8Array<ArrayBuffer> {
    // Sender and discriminant end where the headroom ends, less the room that the count does not need.
    const count = varintLength(this.points);
    const start = this.#headroom - count - this.#prefix.length - FRAME_HEADER_BYTES;
    this.#view.setUint32(start, this.#length - start - FRAME_HEADER_BYTES);
    this.#bytes.set(this.#prefix, start + FRAME_HEADER_BYTES);
    putVarint(this.#bytes, this.#headroom - count, this.points);
    return this.#bytes.subarray(start, this.#length);
  }

  /** Begins the next frame. */
  clear(): void {
    this.points = 0;
    this.#length = this.#headroom;
  }

  #begin(sender: string, senderNumber: number): void {
    this.#senderNumber = senderNumber;
    if (sender !== this.#sender) {
      this.#sender = sender;
      this.#prefix = new PostcardWriter().string(sender).discriminant(MESSAGE.sendMeasurements).written
        .slice();
      this.#headroom = FRAME_HEADER_BYTES + this.#prefix.length + 5;
    }
    this.#length = this.#headroom;
    this.#reserve(0);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    this.#bytes = enlarged(this.#bytes, this.#length, needed);
    this.#view = new DataView(this.#bytes.buffer);
  }
}

function withOwnUnit(metric: WireMetric): WireMetric {
  if (isAlumetUnit(metric.unit)) return metric;
  const { base } = metric.unit;
  // The name of the base and not its sign, which may not be ASCII.
  const prefix = unitDisplayName({ ...metric.unit, base: "" });
  return {
    ...metric,
    name: `${metric.name}_${prefix}${base}`,
    unit: { base: "1", prefix: "" },
  };
}

function putBigVarint(bytes: Uint8Array, at: number, value: bigint): number {
  while (value >= 128n) {
    bytes[at++] = Number(value & 0x7fn) | 0x80;
    value >>= 7n;
  }
  bytes[at++] = Number(value);
  return at;
}
