/** Messages for tests; those with measurements are written by hand rather than by the code under test. */
import { type AttributeValue, LOCAL_MACHINE } from "../../lib/points/measurement.ts";
import { PostcardWriter } from "../../lib/postcard.ts";
import { encodeFrame, MESSAGE, type WireMetric } from "../../lib/wire/protocol.ts";

export interface WirePoint {
  /** The id under which the metric was registered. */
  readonly metric: number;
  /** A bigint is u64. */
  readonly value: number | bigint;
  readonly seconds?: number;
  readonly nanos?: number;
  readonly resourceKind?: string;
  readonly resourceId?: string;
  readonly consumerKind?: string;
  readonly consumerId?: string;
  readonly attributes?: readonly (readonly [name: string, value: AttributeValue])[];
}

function putValue(writer: PostcardWriter, value: AttributeValue): void {
  if (typeof value === "number") writer.discriminant(0).f64(value);
  else if (typeof value === "bigint") writer.discriminant(1).u64(value);
  else if (typeof value === "boolean") writer.discriminant(2).bool(value);
  else if (typeof value === "string") writer.discriminant(3).string(value);
  else {
    writer.discriminant(4).u64(value.length);
    for (const item of value) writer.u64(item);
  }
}

/** A frame of protocol 2 with these points. */
export function measurementFrame(sender: string, points: readonly WirePoint[]): Uint8Array<ArrayBuffer> {
  const writer = new PostcardWriter().raw(new Uint8Array(4)).string(sender).discriminant(
    MESSAGE.sendMeasurements,
  );
  writer.u64(points.length);
  for (const point of points) {
    const { metric, value, seconds = 1_700_000_000, nanos = 0, attributes = [] } = point;
    writer.u64(metric).u64(seconds).u32(nanos);
    putValue(writer, value);
    writer.string(point.resourceKind ?? LOCAL_MACHINE).string(point.resourceId ?? "");
    writer.string(point.consumerKind ?? LOCAL_MACHINE).string(point.consumerId ?? "");
    writer.u64(attributes.length);
    for (const [name, value] of attributes) {
      writer.string(name);
      putValue(writer, value);
    }
  }
  const frame = writer.written;
  new DataView(frame.buffer).setUint32(0, frame.length - 4);
  return frame;
}

export const COUNTER: WireMetric = { id: 0, name: "counter", type: "u64", unit: { base: "1", prefix: "" } };

/** A frame with points of metric 0 whose values are the numbers from `first` on. */
export function countingFrame(sender: string, first: number, count: number, id = 0): Uint8Array<ArrayBuffer> {
  const writer = new PostcardWriter().raw(new Uint8Array(4)).string(sender).discriminant(
    MESSAGE.sendMeasurements,
  );
  writer.u64(count);
  for (let n = first; n < first + count; n++) {
    writer.u64(id).u64(1_700_000_000).u32(n % 1e9).discriminant(1).u64(n);
    writer.string("local_machine").string("").string("local_machine").string("").u64(0);
  }
  const frame = writer.written;
  new DataView(frame.buffer).setUint32(0, frame.length - 4);
  return frame;
}

export function greeting(
  name: string,
  protocolVersion = 2,
  relayVersion = "0.6.0",
): Uint8Array<ArrayBuffer> {
  return encodeFrame(name, { type: "greet", alumetVersion: "0.9.5", relayVersion, protocolVersion });
}

/** What a server answers to a greeting. */
export function acceptance(relayVersion: string): Uint8Array<ArrayBuffer> {
  return encodeFrame("", {
    type: "greetResponse",
    accept: true,
    alumetVersion: "0.9.5",
    relayVersion,
    protocolVersion: 2,
  });
}
