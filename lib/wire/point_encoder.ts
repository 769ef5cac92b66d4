/**
 * Encodes points for SendMeasurements: the hot path of the client. What repeats in a series is encoded once and copied
 * from then on. Metrics are numbered in the order in which they appear; the numbers hold for the life of the encoder,
 * so a new connection only needs the definitions again.
 */
import { enlarged } from "../base/bytes.ts";
import {
  type Batch,
  CLIENT_ATTRIBUTE,
  type Metric,
  reserveCacheSlots,
  type Series,
} from "../points/measurement.ts";
import { PostcardWriter, putVarint, varintLength } from "../postcard.ts";
import { isAlumetUnit, unitDisplayName } from "../points/units.ts";
import {
  encodeFrame,
  FRAME_HEADER_BYTES,
  MAX_BODY_BYTES,
  MAX_METRIC_ID,
  MESSAGE,
  VALUE,
  type WireMetric,
  writeValue,
} from "./protocol.ts";

/** Longest run of numbers in a point: time (10 + 5), kind (1), value (10). */
const MAX_NUMBERS_BYTES = 26;
/** A RegisterMetrics frame is cut above this. */
const MAX_REGISTRATION_BYTES = 1024 * 1024;

/** A series as it goes over the wire. */
interface EncodedSeries {
  readonly encoder: PointEncoder;
  readonly sender: string;
  /** `false` where the protocol has no number for the metric, or no frame is large enough. */
  readonly sendable: boolean;
  readonly isF64: boolean;
  /** Varint of the metric's id. */
  readonly head: Uint8Array;
  /** From the resource kind to the last attribute. */
  readonly tail: Uint8Array;
}

const slot = reserveCacheSlots();

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
  readonly #ids = new Map<Metric, number>();
  readonly #metrics: WireMetric[] = [];
  #bytes = new Uint8Array(8192);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  /** Room for the frame's header before the points. */
  #headroom = 0;
  /** Whom the points in the frame are from, and how that begins the body. */
  #sender: string | undefined;
  #prefix: Uint8Array = new Uint8Array(0);

  /** @param clientName Sender of the points that did not come from another client. */
  constructor(clientName: string) {
    this.#clientName = clientName;
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

  #encodeSeries(series: Series): EncodedSeries {
    const { metric } = series;
    const id = this.#ids.get(metric) ?? this.#metrics.length;
    if (id === this.#metrics.length && id <= MAX_METRIC_ID) {
      this.#ids.set(metric, id);
      this.#metrics.push({ id, name: metric.name, type: metric.type, unit: metric.unit });
    }
    // Points that a server passes on go under the name of the client that measured them: then a server of any kind
    // calls them by that name.
    let sender = this.#clientName;
    let { attributes } = series;
    const origin = attributes.findLastIndex(([name]) => name === CLIENT_ATTRIBUTE);
    if (origin >= 0 && typeof attributes[origin][1] === "string") {
      sender = attributes[origin][1];
      attributes = attributes.filter((_, i) => i !== origin);
    }
    const writer = new PostcardWriter();
    writer.string(series.resourceKind).string(series.resourceId);
    writer.string(series.consumerKind).string(series.consumerId);
    writer.sequence(attributes, (w, [name, value]) => writeValue(w.string(name), value));
    const encoded: EncodedSeries = {
      encoder: this,
      sender,
      sendable: id <= MAX_METRIC_ID && writer.length + 3 * sender.length + 64 <= MAX_BODY_BYTES,
      isF64: metric.type === "f64",
      head: new PostcardWriter().u64(id).written.slice(),
      tail: writer.written.slice(),
    };
    series.cache[slot] = encoded;
    return encoded;
  }

  #encodedOf(series: Series): EncodedSeries {
    const encoded = series.cache[slot] as EncodedSeries | undefined;
    return encoded?.encoder === this ? encoded : this.#encodeSeries(series);
  }

  /** The name under which points of this series are sent. */
  senderOf(series: Series): string {
    return this.#encodedOf(series).sender;
  }

  /** Bytes that the points of a batch take when they are encoded. */
  measure(batch: Batch): number {
    const { series, seconds, nanos, values, exact, length } = batch;
    let bytes = 0;
    for (let row = 0; row < length; row++) {
      const { sendable, isF64, head, tail } = this.#encodedOf(series[row]);
      if (!sendable) continue;
      bytes += head.length + varintLength(seconds[row]) + varintLength(nanos[row]) + 1 + tail.length;
      if (isF64) bytes += 8;
      else {bytes += exact?.has(row)
          ? 8 + (values[row] >= 2 ** 56 ? 1 : 0) + (values[row] >= 2 ** 63 ? 1 : 0)
          : varintLength(values[row]);}
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
    for (; row < length; row++) {
      const encoded = this.#encodedOf(series[row]);
      if (!encoded.sendable) {
        this.unsendable++;
        continue;
      }
      if (this.points === 0) this.#begin(encoded.sender);
      else if (encoded.sender !== this.#sender) {
        this.nextRow = row;
        return "sender";
      }
      const { head, tail } = encoded;
      const start = this.#length;
      this.#reserve(head.length + MAX_NUMBERS_BYTES + tail.length);
      const bytes = this.#bytes;
      let at = start;
      for (let i = 0; i < head.length; i++) bytes[at++] = head[i];
      at = putVarint(bytes, at, seconds[row]);
      at = putVarint(bytes, at, nanos[row]);
      if (encoded.isF64) {
        bytes[at++] = VALUE.f64;
        this.#view.setFloat64(at, values[row], true);
        at += 8;
      } else {
        bytes[at++] = VALUE.u64;
        const exact = batch.exact === null ? undefined : batch.exact.get(row);
        at = exact === undefined ? putVarint(bytes, at, values[row]) : putBigVarint(bytes, at, exact);
      }
      if (tail.length < 64) { for (let i = 0; i < tail.length; i++) bytes[at + i] = tail[i]; }
      else bytes.set(tail, at);
      at += tail.length;

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

  #begin(sender: string): void {
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
  return {
    ...metric,
    name: `${metric.name}_${unitDisplayName(metric.unit)}`,
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
