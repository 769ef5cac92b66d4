/**
 * The messages of the relay protocol, version 2, and their frames: see docs/protocol.md. Measurements have a codec of
 * their own, on columns: {@linkcode ./point_decoder.ts} and {@linkcode ./point_encoder.ts}.
 */
import type { BatchCheck } from "../points/batch_check.ts";
import type { Metric, ValueType } from "../points/measurement.ts";
import { PostcardError, type PostcardReader, PostcardWriter } from "../postcard.ts";

/** The version that both ends must agree on. */
export const PROTOCOL_VERSION = 2;
/** A frame's body is refused above this many bytes. */
export const MAX_BODY_BYTES = 32_000_000;
/** The length before each body: u32, big-endian. */
export const FRAME_HEADER_BYTES = 4;
/** Versions of the real agent that we are compatible with; peers only log them. */
export const ALUMET_VERSION = "0.9.5";
const RELAY_PLUGIN_VERSION = "0.6.0";
/**
 * What this program is compatible with, that it speaks version 1 of acknowledged delivery, and that series in the stream
 * of a client may take the places of others. Other alumet-relays look for these marks in the build metadata of the version
 * (https://semver.org/#spec-item-10); real agents only log it.
 */
export const OUR_RELAY_VERSION = `${RELAY_PLUGIN_VERSION}+ack.1.reuse.1`;

/** The peer says what it may not say; its connection cannot go on. */
export class ProtocolViolation extends Error {
  override readonly name = "ProtocolViolation";
}

/** Whether a peer of that version speaks acknowledged delivery. */
export function acknowledges(relayVersion: string): boolean {
  return /^[^+]*\+(?:.*\.)?ack\.1(?:\.|$)/.test(relayVersion);
}

/** Whether a peer of that version knows series that take the places of others. */
export function reusesPlaces(relayVersion: string): boolean {
  return /^[^+]*\+(?:.*\.)?reuse\.1(?:\.|$)/.test(relayVersion);
}

/** Clients number their metrics from 0 to this. */
export const MAX_METRIC_ID = 65_535;

/** Discriminants of the message enum: the first four are the protocol's, the others those of acknowledged delivery. */
export const MESSAGE = {
  greet: 0,
  greetResponse: 1,
  registerMetrics: 2,
  sendMeasurements: 3,
  hello: 16,
  welcome: 17,
  batch: 18,
  acknowledge: 19,
  refuse: 20,
} as const;
/** More than the largest discriminant of the protocol. */
export const PLAIN_MESSAGE_END = 4;
/** More than the largest discriminant of all. */
export const MESSAGE_END = 21;
/** Bytes of an instance id. */
export const INSTANCE_BYTES = 16;

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
export interface WireMetric extends Omit<Metric, "description"> {
  readonly id: number;
}

export interface RegisterMetrics {
  readonly type: "registerMetrics";
  readonly metrics: readonly WireMetric[];
}

/** The client's first message in acknowledged delivery. */
export interface Hello {
  readonly type: "hello";
  /** 32 hexadecimal digits. */
  readonly instance: string;
  /** Shows that the client may use its name; `""` where it has none. */
  readonly token: string;
  /** The instance id that the client had before, if it found that another client uses that one as well. */
  readonly previous?: string | undefined;
  /** Of a hop: the instance ids of the hops that it gets points from, directly or over others. */
  readonly upstream?: readonly string[] | undefined;
}

/** The server's answer to {@linkcode Hello}. */
export interface Welcome {
  readonly type: "welcome";
  /** The client's last batch that is safe at the server; 0 for none. */
  readonly sequence: number;
  /** The dictionary of the client's stream must not have more series than this at one time. */
  readonly maxSeries: number;
  /** What the server took for the client's last batch up to `sequence`, if it remembers that. */
  readonly last?: BatchCheck | undefined;
}

/** Instead of {@linkcode Welcome}: the server does not take this client, and closes. */
export interface Refuse {
  readonly type: "refuse";
  /** For the client's log. */
  readonly reason: string;
}

/** All batches of the client up to that number are safe. Said again as a sign of life while some are not. */
export interface Acknowledge {
  readonly type: "acknowledge";
  readonly sequence: number;
}

/** Every message but measurements. */
export type ControlMessage = Greet | GreetResponse | RegisterMetrics | Hello | Welcome | Refuse | Acknowledge;

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
    case MESSAGE.hello:
      return {
        type: "hello",
        instance: readInstance(reader),
        token: reader.string(),
        previous: isMore(reader) && reader.bool() ? readInstance(reader) : undefined,
        upstream: isMore(reader) && reader.bool() ? reader.sequence(readInstance) : undefined,
      };
    case MESSAGE.welcome:
      return {
        type: "welcome",
        sequence: readSequence(reader),
        maxSeries: reader.u32(),
        last: isMore(reader) ? readCheck(reader) : undefined,
      };
    case MESSAGE.refuse:
      return { type: "refuse", reason: reader.string() };
    case MESSAGE.acknowledge:
      return { type: "acknowledge", sequence: readSequence(reader) };
    default:
      throw new PostcardError(
        "bad_discriminant",
        reader.offset,
        `message ${discriminant} is not a control message`,
      );
  }
}

/** Whether a field follows that earlier versions do not send. They ignore what later ones append. */
function isMore(reader: PostcardReader): boolean {
  return reader.remaining > 0;
}

/** Number 0 stands for none. */
function readCheck(reader: PostcardReader): BatchCheck | undefined {
  const sequence = readSequence(reader);
  const check = reader.u32();
  return sequence > 0 ? { sequence, check } : undefined;
}

function readInstance(reader: PostcardReader): string {
  let text = "";
  for (let n = 0; n < INSTANCE_BYTES; n++) text += reader.u8().toString(16).padStart(2, "0");
  return text;
}

/** The number of a batch: at most 2^53 - 1. */
export function readSequence(reader: PostcardReader): number {
  const sequence = reader.u64Number();
  if (typeof sequence === "bigint") {
    throw new PostcardError("bad_varint", reader.offset, `${sequence} is no number of a batch`);
  }
  return sequence;
}

function instanceBytes(instance: string): Uint8Array {
  return Uint8Array.from(
    { length: INSTANCE_BYTES },
    (_, i) => parseInt(instance.slice(2 * i, 2 * i + 2), 16),
  );
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
    case "hello":
      writer.discriminant(MESSAGE.hello).raw(instanceBytes(message.instance)).string(message.token);
      writer.bool(message.previous !== undefined);
      if (message.previous !== undefined) writer.raw(instanceBytes(message.previous));
      writer.bool(message.upstream !== undefined);
      if (message.upstream !== undefined) {
        writer.sequence(message.upstream, (w, instance) => void w.raw(instanceBytes(instance)));
      }
      break;
    case "welcome":
      writer.discriminant(MESSAGE.welcome).u64(message.sequence).u32(message.maxSeries);
      writer.u64(message.last?.sequence ?? 0).u32(message.last?.check ?? 0);
      break;
    case "refuse":
      writer.discriminant(MESSAGE.refuse).string(message.reason);
      break;
    case "acknowledge":
      writer.discriminant(MESSAGE.acknowledge).u64(message.sequence);
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
