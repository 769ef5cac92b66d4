/** Peers that say what a test wants: one end of a connection, and a listener whose connections are answered by hand. */
import { type IntervalClock, PROCESS_CLOCK } from "../../lib/base/clock.ts";
import { FrameReader } from "../../lib/wire/frames.ts";
import { PostcardReader } from "../../lib/postcard.ts";
import {
  type ControlMessage,
  encodeFrame,
  type GreetResponse,
  MESSAGE_END,
  readControlMessage,
  type WireMetric,
} from "../../lib/wire/protocol.ts";
import { until } from "./waiting.ts";
import { freePort } from "./ports.ts";
import { acceptance, greeting } from "./wire.ts";

/** The server's side of nothing: a listener whose connections a test answers by hand. */
export class HandServer implements AsyncDisposable {
  readonly listener: Deno.TcpListener;
  readonly #conns: Deno.TcpConn[] = [];

  /** @param port Another one may listen there later. @default one that nobody else is given */
  constructor(port = freePort()) {
    this.listener = Deno.listen({ hostname: "127.0.0.1", port });
  }

  get port(): number {
    return (this.listener.addr as Deno.NetAddr).port;
  }

  async accept(): Promise<Peer> {
    const conn = await this.listener.accept();
    this.#conns.push(conn);
    return new Peer(conn);
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    for (const closable of [this.listener, ...this.#conns]) {
      try {
        closable.close();
      } catch { /* closed by the test */ }
    }
  }
}

/** One end of a connection, that says what a test wants. */
export class Peer implements AsyncDisposable {
  readonly frames = new FrameReader();

  constructor(readonly conn: Deno.TcpConn) {}

  static async connect(port: number): Promise<Peer> {
    return new Peer(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** Connects, greets, reads the answer, and registers metrics. */
  static async client(port: number, name: string, metrics: WireMetric[] = []): Promise<Peer> {
    const peer = await Peer.connect(port);
    await peer.send(greeting(name));
    await peer.answer();
    if (metrics.length > 0) await peer.send(encodeFrame(name, { type: "registerMetrics", metrics }));
    return peer;
  }

  async send(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) done += await this.conn.write(bytes.subarray(done));
  }

  /** The next frame's body, or `null` at the end. */
  async body(): Promise<Uint8Array | null> {
    while (!this.frames.next()) {
      let count: number | null;
      try {
        count = await this.conn.read(this.frames.space());
      } catch (error) {
        if (error instanceof Deno.errors.ConnectionReset) return null;
        throw error;
      }
      if (count === null) return null;
      this.frames.received(count);
    }
    return this.frames.bytes.slice(this.frames.start, this.frames.end);
  }

  /** The next frame as a control message. */
  async control(): Promise<{ sender: string; message: ControlMessage }> {
    const body = await this.body();
    if (!body) throw new Error("The connection was closed");
    const reader = new PostcardReader(body);
    const sender = reader.string();
    return { sender, message: readControlMessage(reader, reader.discriminant(MESSAGE_END)) };
  }

  async answer(): Promise<GreetResponse> {
    return (await this.control()).message as GreetResponse;
  }

  /** Resolves when the other side has closed. */
  async closed(): Promise<void> {
    while (await this.body() !== null);
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.conn.close();
    } catch { /* closed before */ }
  }
}

/**
 * A server with the defect of a real one: it looks at one message per read of its socket, and drops what it has not
 * looked at when the connection ends.
 */
export class OneMessagePerRead {
  readonly bodies: Uint8Array[] = [];
  readonly done: Promise<void>;

  constructor(readonly peer: Peer) {
    this.done = this.#serve();
  }

  async #serve(): Promise<void> {
    const { conn, frames } = this.peer;
    for (let greeted = false;;) {
      const count = await conn.read(frames.space());
      if (count === null) return;
      frames.received(count);
      if (!frames.next()) continue;
      if (greeted) this.bodies.push(frames.bytes.slice(frames.start, frames.end));
      else await this.peer.send(acceptance("0.6.0"));
      greeted = true;
    }
  }
}

/** A clock whose waits end when a real server has read one message more: no machine is too busy for what is tested. */
export class ReadingClock implements IntervalClock {
  /** What a client has waited for, in ms. */
  readonly waitsMs: number[] = [];
  server: OneMessagePerRead | undefined;

  monotonicMs(): number {
    return PROCESS_CLOCK.monotonicMs();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const messages = this.waitsMs.push(ms);
    await until(() => signal?.aborted || this.server!.bodies.length >= messages);
  }
}
