/**
 * The messages of the relay protocol, version 2, and their frames: see docs/protocol.md. Measurements have a codec of
 * their own, on columns: {@linkcode ./point_decoder.ts} and {@linkcode ./point_encoder.ts}.
 */
import type { AttributeValue, Unit, ValueType } from "./measurement.ts";
import { PostcardError, type PostcardReader, PostcardWriter } from "./postcard.ts";

/** The version that both ends must agree on. */
export const PROTOCOL_VERSION = 2;
/** A frame's body is refused above this many bytes. */
export const MAX_BODY_BYTES = 32_000_000;
/** The length before each body: u32, big-endian. */
export const FRAME_HEADER_BYTES = 4;
/** Versions of the real agent that we are compatible with; peers only log them. */
export const ALUMET_VERSION = "0.9.5";
export const RELAY_PLUGIN_VERSION = "0.6.0";
/**
 * What this program is compatible with, and that it takes messages however they come. Peers of ours look for the mark,
 * in the build metadata of the version (https://semver.org/#spec-item-10); real agents only log it.
 */
export const OUR_RELAY_VERSION = `${RELAY_PLUGIN_VERSION}+stream.1`;

/** Whether a version is one of ours, whose server takes messages back to back. */
export function takesStreams(relayVersion: string): boolean {
  return /\+(?:.*\.)?stream\.[1-9]/.test(relayVersion);
}

/** Clients number their metrics from 0 to this. */
export const MAX_METRIC_ID = 65_535;

/** Discriminants of the message enum. */
export const MESSAGE = { greet: 0, greetResponse: 1, registerMetrics: 2, sendMeasurements: 3 } as const;
/** Discriminants of the value enum. */
export const VALUE = { f64: 0, u64: 1, bool: 2, str: 3, listU64: 4 } as const;

export interface Greet {
  readonly type: "greet";
  readonly alumetVersion: string;
  readonly relayVersion: string;
  readonly protocolVersion: number;
}

export interface GreetResponse {
  readonly type: "greetResponse";
  readonly accept: boolean;
  readonly alumetVersion: string;
  readonly relayVersion: string;
  readonly protocolVersion: number;
}

/** A metric under the number that its sender uses on this connection. */
export interface WireMetric {
  readonly id: number;
  readonly name: string;
  readonly type: ValueType;
  readonly unit: Unit;
}

export interface RegisterMetrics {
  readonly type: "registerMetrics";
  readonly metrics: readonly WireMetric[];
}

/** Every message but the measurements. */
export type ControlMessage = Greet | GreetResponse | RegisterMetrics;

const VALUE_TYPES: readonly ValueType[] = ["f64", "u64"];

/** Reads the content of a control message, behind the sender and the discriminant. */
export function readControlMessage(reader: PostcardReader, discriminant: number): ControlMessage {
  switch (discriminant) {
    case MESSAGE.greet:
      return {
        type: "greet",
        alumetVersion: reader.string(),
        relayVersion: reader.string(),
        protocolVersion: reader.u32(),
      };
    case MESSAGE.greetResponse:
      return {
        type: "greetResponse",
        accept: reader.bool(),
        alumetVersion: reader.string(),
        relayVersion: reader.string(),
        protocolVersion: reader.u32(),
      };
    case MESSAGE.registerMetrics:
      return {
        type: "registerMetrics",
        metrics: reader.sequence((r) => ({
          // An id that is out of range is the caller's to refuse; beyond 2^53 its exact value does not matter.
          id: Number(r.u64Number()),
          name: r.string(),
          type: VALUE_TYPES[r.discriminant(2)],
          unit: { base: r.string(), prefix: r.string() },
        })),
      };
    default:
      throw new PostcardError(
        "bad_discriminant",
        reader.offset,
        `message ${discriminant} is not a control message`,
      );
  }
}

function writeControlMessage(writer: PostcardWriter, message: ControlMessage): void {
  switch (message.type) {
    case "greet":
      writer.discriminant(MESSAGE.greet);
      writer.string(message.alumetVersion).string(message.relayVersion).u32(message.protocolVersion);
      break;
    case "greetResponse":
      writer.discriminant(MESSAGE.greetResponse).bool(message.accept);
      writer.string(message.alumetVersion).string(message.relayVersion).u32(message.protocolVersion);
      break;
    case "registerMetrics":
      writer.discriminant(MESSAGE.registerMetrics).sequence(message.metrics, (w, metric) => {
        w.u64(metric.id).string(metric.name).discriminant(VALUE_TYPES.indexOf(metric.type));
        w.string(metric.unit.base).string(metric.unit.prefix);
      });
      break;
  }
}

/** A whole frame, header included. */
export function encodeFrame(sender: string, message: ControlMessage): Uint8Array<ArrayBuffer> {
  const writer = new PostcardWriter();
  writer.raw(new Uint8Array(FRAME_HEADER_BYTES)).string(sender);
  writeControlMessage(writer, message);
  const frame = writer.written;
  new DataView(frame.buffer, frame.byteOffset).setUint32(0, frame.length - FRAME_HEADER_BYTES);
  return frame;
}

/** Writes a value with its discriminant: f64 for a number, u64 for a bigint. */
export function writeValue(writer: PostcardWriter, value: AttributeValue): void {
  if (typeof value === "number") writer.discriminant(VALUE.f64).f64(value);
  else if (typeof value === "bigint") writer.discriminant(VALUE.u64).u64(value);
  else if (typeof value === "boolean") writer.discriminant(VALUE.bool).bool(value);
  else if (typeof value === "string") writer.discriminant(VALUE.str).string(value);
  else writer.discriminant(VALUE.listU64).sequence(value, (w, item) => w.u64(item));
}

/** The inverse of {@linkcode writeValue}. */
export function readValue(reader: PostcardReader): AttributeValue {
  switch (reader.discriminant(5)) {
    case VALUE.f64:
      return reader.f64();
    case VALUE.u64:
      return reader.u64();
    case VALUE.bool:
      return reader.bool();
    case VALUE.str:
      return reader.string();
    default:
      return reader.sequence((r) => r.u64());
  }
}
