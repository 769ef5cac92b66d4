/** Servers and clients within the test's process, and peers that say anything at all. */
import { type AdmissionOptions, OPEN } from "../../lib/server/admission/admission.ts";
import { ClientTable, type Origin } from "../../lib/points/origins.ts";
import { FrameReader } from "../../lib/wire/frames.ts";
import { MemoryJournal, type MemoryJournalOptions } from "../../lib/journal.ts";
import type { Safety } from "../../lib/server/acknowledged.ts";
import { createLogger, type Logger } from "../../lib/base/log.ts";
import type { Batch } from "../../lib/points/measurement.ts";
import { PostcardReader, PostcardWriter } from "../../lib/postcard.ts";
import {
  type ControlMessage,
  encodeFrame,
  type GreetResponse,
  MESSAGE,
  MESSAGE_END,
  readControlMessage,
  type WireMetric,
} from "../../lib/wire/protocol.ts";
import type { BatchSink } from "../../lib/plugin.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { DEFAULT_LIMITS, RelayServer, type ServerLimits, type ServerShared } from "../../lib/server.ts";
import { pointsOf } from "./decode.ts";

export type Point = ReturnType<typeof pointsOf>[number];

/** A log that is kept. */
export class LogLines {
  readonly lines: string[] = [];
  readonly log: Logger = createLogger("test", {
    level: "trace",
    write: (line) => this.lines.push(line.slice(25)),
  });

  matching(pattern: RegExp): string[] {
    return this.lines.filter((line) => pattern.test(line));
  }
}

/** Waits until `condition` holds; fails after `ms`. */
export async function until(condition: () => boolean, ms = 10_000, what = String(condition)): Promise<void> {
  const deadline = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Keeps all points that are pushed to it. */
export class Collector implements BatchSink {
  /** Told that what is pushed is safe. */
  clients: ClientTable | undefined;
  /** What is pushed is not safe before {@linkcode Collector.makeSafe} is called. */
  holdsBack = false;
  #unsafe: Origin[] = [];
  readonly points: Point[] = [];
  readonly batches: number[] = [];
  /** While set, producers wait. */
  gate: Promise<void> | undefined;

  makeSafe(): void {
    this.clients?.makeDurable({ origins: this.#unsafe.splice(0) });
    this.clients?.progress();
  }

  push(batch: Batch): Promise<void> | void {
    this.points.push(...pointsOf(batch, true));
    this.batches.push(batch.length);
    this.#unsafe.push(...batch.origins);
    if (!this.holdsBack) this.makeSafe();
    batch.release();
    return this.gate;
  }
}

export interface TestServerOptions {
  port?: number;
  sink?: Collector;
  clients?: ClientTable;
  registry?: MetricRegistry;
  safety?: Safety;
  admission?: Partial<AdmissionOptions>;
  scope?: string;
  tls?: ServerShared["tls"];
}

/** A relay server on a port of 127.0.0.1, into a collector. */
export class TestServer implements AsyncDisposable {
  readonly collector: Collector;
  readonly logs = new LogLines();
  readonly registry: MetricRegistry;
  readonly clients: ClientTable;
  readonly server: RelayServer;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: Partial<ServerLimits> & TestServerOptions = {}) {
    const {
      port = 0,
      sink = new Collector(),
      clients = new ClientTable(),
      registry,
      safety,
      tls,
      admission,
      scope,
      ...limits
    } = options;
    this.registry = registry ?? new MetricRegistry();
    this.collector = sink;
    this.clients = sink.clients = clients;
    const listener = Deno.listen({ hostname: "127.0.0.1", port });
    const context = { log: this.logs.log, registry: this.registry, clients };
    this.server = new RelayServer(listener, context, { ...DEFAULT_LIMITS, ...limits }, {
      safety,
      admission: { ...OPEN, ...admission },
      scope,
      tls,
    });
    this.#running = this.server.run(this.collector, this.#stop.signal);
  }

  get port(): number {
    return this.server.address.port;
  }

  get points(): Point[] {
    return this.collector.points;
  }

  /** Stops in good order. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.server[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** The server's side of nothing: a listener whose connections a test answers by hand. */
export class HandServer implements AsyncDisposable {
  readonly listener: Deno.TcpListener;
  readonly #conns: Deno.TcpConn[] = [];

  constructor(port = 0) {
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

export function greeting(
  name: string,
  protocolVersion = 2,
  relayVersion = "0.6.0",
): Uint8Array<ArrayBuffer> {
  return encodeFrame(name, { type: "greet", alumetVersion: "0.9.5", relayVersion, protocolVersion });
}

/** What a server of ours, or a real one, answers to a greeting. */
export function acceptance(relayVersion: string): Uint8Array<ArrayBuffer> {
  return encodeFrame("", {
    type: "greetResponse",
    accept: true,
    alumetVersion: "0.9.5",
    relayVersion,
    protocolVersion: 2,
  });
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

export function journalOf(options: Partial<MemoryJournalOptions> = {}): MemoryJournal {
  return new MemoryJournal({ limitBytes: 1e9, ...options });
}
