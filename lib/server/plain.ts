/**
 * The server's end of a connection to a real Alumet client: metrics under its own numbers, and points. Nothing is
 * acknowledged. {@linkcode ./acknowledged.ts} takes what a client of ours sends.
 */
import type { BatchBuilder } from "../points/batch_builder.ts";
import type { ClientMetrics } from "./client_metrics.ts";
import type { ClientRecord, ClientTable } from "../points/origins.ts";
import type { FrameReader } from "../wire/frames.ts";
import { PointDecoder, type RejectedPoints } from "../wire/point_decoder.ts";
import { PostcardReader } from "../postcard.ts";
import {
  MAX_METRIC_ID,
  MESSAGE,
  PLAIN_MESSAGE_END,
  ProtocolViolation,
  readControlMessage,
  type RegisterMetrics,
} from "../wire/protocol.ts";
import { RegistryError } from "../points/registry.ts";

export interface PlainReceiverOptions {
  /** The name that the client greeted with. */
  name: string;
  /** Whether it may pass on points of other clients, under their names. */
  forward: boolean;
  metrics: ClientMetrics;
  clients: ClientTable;
  builder: BatchBuilder;
  /** Bytes of kinds and of keys of attributes. */
  maxNameBytes: number;
  /** Counters to update. */
  stats: { points: number; rejectedPoints: number };
  onRefusedMetric: (problem: string) => void;
}

/** Takes the points of a real Alumet agent. */
export class PlainReceiver implements Disposable {
  readonly #options: PlainReceiverOptions;
  readonly #decoder: PointDecoder;
  /** The sender of the last message, its encoded name, and its record. */
  #sender = "";
  #senderBytes: Uint8Array = new Uint8Array(0);
  #client: ClientRecord | null = null;

  constructor(options: PlainReceiverOptions) {
    this.#options = options;
    const { name: owner, builder: { store }, maxNameBytes } = options;
    this.#decoder = new PointDecoder({ store, owner, maxNameBytes });
  }

  /** Points that were refused so far, by reason. */
  get rejected(): Readonly<RejectedPoints> {
    return this.#decoder.rejected;
  }

  /**
   * Takes the message that `frames` has found.
   *
   * @returns how many points of it are kept.
   * @throws {ProtocolViolation} if the client may not send it.
   * @throws {PostcardError} if it is malformed; nothing of it is kept then.
   */
  take(frames: FrameReader): number {
    const { bytes, view, start, end } = frames;
    const { name, forward, builder, clients, stats } = this.#options;
    const at = this.#readSender(bytes, start, end);
    // The discriminant is one byte, unless a peer encodes it longer than necessary.
    const reader = new PostcardReader(bytes, at, end);
    const discriminant = reader.discriminant(PLAIN_MESSAGE_END);
    if (this.#sender !== name && !forward) {
      throw new ProtocolViolation(`it may not send under the name ${this.#sender}`);
    }
    if (discriminant === MESSAGE.sendMeasurements) {
      const before = builder.length;
      const bytesBefore = builder.store.newBytes;
      const count = this.#decoder.decode(bytes, view, reader.offset, end, this.#sender, builder);
      const kept = builder.length - before;
      builder.charge(builder.store.newBytes - bytesBefore);
      stats.points += kept;
      stats.rejectedPoints += count - kept;
      const client = this.#client ??= clients.get(this.#sender);
      client.receivedPoints += count;
      client.rejectedPoints += count - kept;
      client.lastContactMs = Date.now();
      builder.credit(client);
      return kept;
    }
    if (discriminant !== MESSAGE.registerMetrics) {
      throw new ProtocolViolation(`unexpected message number ${discriminant}`);
    }
    this.#registerMetrics(readControlMessage(reader, discriminant) as RegisterMetrics);
    return 0;
  }

  /** Sets `#sender`; decodes the name only if it differs from the last one. @returns the offset behind it */
  #readSender(bytes: Uint8Array, start: number, end: number): number {
    const known = this.#senderBytes;
    const after = start + known.length;
    if (known.length > 0 && after <= end) {
      let i = 0;
      while (i < known.length && known[i] === bytes[start + i]) i++;
      if (i === known.length) return after;
    }
    const reader = new PostcardReader(bytes, start, end);
    this.#sender = reader.string();
    this.#client = null;
    this.#senderBytes = bytes.slice(start, reader.offset);
    return reader.offset;
  }

  #registerMetrics(message: RegisterMetrics): void {
    const { name: client, metrics, onRefusedMetric } = this.#options;
    for (const { id, name, type, unit } of message.metrics) {
      if (id > MAX_METRIC_ID) {
        throw new ProtocolViolation(`metric ${name} has the id ${id}, the largest one is ${MAX_METRIC_ID}`);
      }
      try {
        this.#decoder.setMetric(id, metrics.register({ name, type, unit }, client, this.#sender));
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        onRefusedMetric(error.message);
      }
    }
  }

  /** Lets the names of its senders go. */
  [Symbol.dispose](): void {
    this.#decoder.close();
  }
}
