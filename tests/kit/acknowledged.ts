/** Both ends of acknowledged delivery, that say what a test wants. */
import { BatchDecoder, BatchEncoder } from "../../lib/batches/codec.ts";
import type { Batch } from "../../lib/points/measurement.ts";
import { PostcardReader, PostcardWriter } from "../../lib/postcard.ts";
import {
  type Acknowledge,
  encodeFrame,
  type Hello,
  MESSAGE,
  MESSAGE_END,
  OUR_RELAY_VERSION,
  readSequence,
  type Welcome,
} from "../../lib/wire/protocol.ts";
import { type HandServer, Peer } from "./peer.ts";
import { instanceOf } from "./points.ts";
import { acceptance, greeting } from "./wire.ts";

export function framed(writer: PostcardWriter): Uint8Array<ArrayBuffer> {
  const frame = writer.written;
  new DataView(frame.buffer, frame.byteOffset).setUint32(0, frame.length - 4);
  return frame;
}

/** An acknowledged client that a test drives by hand. */
export class AcknowledgedClient implements AsyncDisposable {
  readonly encoder = new BatchEncoder();
  #last = 0;

  private constructor(readonly peer: Peer, readonly welcome: Welcome) {}

  static async connect(
    port: number,
    name: string,
    instance = instanceOf(name),
    token = "",
  ): Promise<AcknowledgedClient> {
    const peer = await Peer.connect(port);
    await peer.send(greeting(name, 2, OUR_RELAY_VERSION));
    await peer.answer();
    await peer.send(encodeFrame(name, { type: "hello", instance, token }));
    return new AcknowledgedClient(peer, (await peer.control()).message as Welcome);
  }

  /** One message, not sent. */
  frame(sequence: number, batch: Batch): Uint8Array<ArrayBuffer> {
    const writer = new PostcardWriter().raw(new Uint8Array(4)).string("").discriminant(MESSAGE.batch);
    writer.u64(sequence - this.#last).raw(this.encoder.encode(batch));
    this.#last = sequence;
    return framed(writer);
  }

  async send(sequence: number, batch: Batch): Promise<void> {
    await this.peer.send(this.frame(sequence, batch));
  }

  /** The next acknowledgement. */
  async acknowledged(): Promise<number> {
    return ((await this.peer.control()).message as Acknowledge).sequence;
  }

  /** Reads acknowledgements up to that one. */
  async acknowledgedUpTo(sequence: number): Promise<void> {
    while (await this.acknowledged() < sequence);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer[Symbol.asyncDispose]();
  }
}

/** An acknowledging server that a test drives by hand. */
export class AcknowledgingServer implements AsyncDisposable {
  readonly decoder = new BatchDecoder();
  #last = 0;

  private constructor(readonly peer: Peer, readonly hello: Hello) {}

  /** Accepts the next client, and says that it has everything up to `sequence`. */
  static async accept(server: HandServer, sequence = 0, maxSeries = 65_536): Promise<AcknowledgingServer> {
    const peer = await server.accept();
    await peer.body();
    await peer.send(acceptance(OUR_RELAY_VERSION));
    const hello = (await peer.control()).message as Hello;
    await peer.send(encodeFrame("", { type: "welcome", sequence, maxSeries }));
    return new AcknowledgingServer(peer, hello);
  }

  /** The next batch, or `null` at the end. */
  async receive(): Promise<{ sequence: number; values: number[]; batch: Batch } | null> {
    const body = await this.peer.body();
    if (!body) return null;
    const reader = new PostcardReader(body);
    reader.string();
    const discriminant = reader.discriminant(MESSAGE_END);
    if (discriminant !== MESSAGE.batch) throw new Error(`message ${discriminant}`);
    this.#last += readSequence(reader);
    const batch = this.decoder.decode(body, reader.offset);
    return { sequence: this.#last, batch, values: [...batch.values.subarray(0, batch.length)] };
  }

  async acknowledge(sequence: number): Promise<void> {
    await this.peer.send(encodeFrame("", { type: "acknowledge", sequence }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer[Symbol.asyncDispose]();
  }
}
