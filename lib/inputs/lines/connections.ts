/** Lines over TCP and Unix sockets: who sends faster than the pipe takes has to wait. */
import type { Admission } from "../../intake/admission/admission.ts";
import { Pacer } from "../../intake/admission/pacer.ts";
import { ReadSinceStop } from "../../intake/arrived.ts";
import type { Gatherer } from "../../intake/gatherer.ts";
import type { TlsTerminator } from "../../intake/tls.ts";
import { messageOf } from "../../base/errors.ts";
import type { LogFields, Logger } from "../../base/log.ts";
import { Timer } from "../../base/timers.ts";
import { closeQuietly, TimeLimit } from "../../base/waiting.ts";
import { formatAddress } from "../../net/address.ts";
import { accepted } from "../../net/listen.ts";
import type { Transport } from "../../net/transport.ts";
import type { LineStream } from "./line_stream.ts";

/** At a stop, silence after which no more lines are expected, in ms. */
const DRAIN_IDLE_MS = 100;
/** How long the handshake of TLS may take, in ms. */
const HANDSHAKE_MS = 10_000;

export interface ConnectionOptions {
  readonly log: Logger;
  readonly gatherer: Gatherer;
  readonly admission: Admission;
  readonly terminator: TlsTerminator | undefined;
  /** Of one connection; `Infinity` for no limit. */
  bytesPerSecond(): number;
  /** Of one connection, while there is no room for them. */
  newSeriesPerSecond(): number;
  /** Open connections, at most. */
  readonly maxConnections: number;
  /** At a stop, the longest time to read, in ms. */
  drainMs(): number;
  /** @param sender Whose share of memory new series take; `undefined`: that of the input. */
  newStream(from: LogFields, sender?: string): LineStream;
  /** Counts open connections. */
  onChange(change: 1 | -1): void;
}

export type Listener = { accept(): Promise<Deno.TcpConn | Deno.UnixConn>; close(): void };

/** The connections of one listening socket. */
export class LineConnections {
  readonly #listener: Listener;
  readonly #options: ConnectionOptions;
  readonly #open = new Map<Promise<void>, { conn: Transport }>();
  #isListening = true;

  constructor(listener: Listener, options: ConnectionOptions) {
    this.#listener = listener;
    this.#options = options;
  }

  /** Takes lines until the stop, and then what has arrived. */
  async run(stop: AbortSignal): Promise<void> {
    for await (const conn of accepted(this.#listener, () => this.#isListening, this.#options.log)) {
      const held = { conn: conn as Transport };
      this.#options.onChange(1);
      const served: Promise<void> = this.#serve(conn, held, stop).finally(() => {
        this.#open.delete(served);
        this.#options.onChange(-1);
      });
      this.#open.set(served, held);
    }
    await Promise.all(this.#open.keys());
  }

  /** No more connections are accepted. */
  stop(): void {
    if (!this.#isListening) return;
    this.#isListening = false;
    this.#listener.close();
  }

  /** Ends everything at once. */
  close(): void {
    this.stop();
    for (const { conn } of this.#open.values()) closeQuietly(conn);
  }

  /** Never rejects. */
  async #serve(
    conn: Deno.TcpConn | Deno.UnixConn,
    held: { conn: Transport },
    stop: AbortSignal,
  ): Promise<void> {
    const { admission, log, terminator } = this.#options;
    if (!("hostname" in conn.remoteAddr)) {
      if (this.#open.size < this.#options.maxConnections) {
        return await this.#read(held, this.#options.newStream({}), stop);
      }
      admission.refuse({ reason: "there are too many connections (limits.connections)" });
      return conn.close();
    }
    // A socket for both families shows IPv4 as IPv6.
    const hostname = conn.remoteAddr.hostname.replace(/^::ffff:(?=[\d.]+$)/, "");
    const address = formatAddress({ hostname, port: conn.remoteAddr.port });
    const peer = { hostname };
    try {
      const reason = admission.arrived(peer) ?? admission.check({ ...peer, name: "tcp", token: undefined });
      if (typeof reason === "string") return admission.refuse({ address, reason });
      if (terminator) {
        using limit = new TimeLimit(HANDSHAKE_MS);
        limit.signal.addEventListener("abort", () => closeQuietly(conn));
        held.conn = await terminator.secure(conn, new Uint8Array(0));
      }
      await this.#read(held, this.#options.newStream({ address }, hostname), stop);
    } catch (error) {
      log.warn("A connection has failed", { address, reason: messageOf(error) });
    } finally {
      admission.left(peer);
      closeQuietly(held.conn);
    }
  }

  async #read(held: { conn: Transport }, stream: LineStream, stop: AbortSignal): Promise<void> {
    const { gatherer, bytesPerSecond, newSeriesPerSecond, drainMs } = this.#options;
    const { store } = gatherer.builder;
    const seriesPacer = new Pacer(newSeriesPerSecond());
    const rate = bytesPerSecond();
    const pacer = rate === Infinity ? null : new Pacer(rate);
    let drainEnd = Infinity;
    const readSinceStop = new ReadSinceStop();
    try {
      while (true) {
        if (stop.aborted) drainEnd = Math.min(drainEnd, performance.now() + drainMs());
        const count = await this.#readSome(held.conn, stream.space, stop);
        if (count === null) break;
        const { excess } = store;
        stream.received(count);
        const newSeries = store.excess - excess;
        await gatherer.gathered();
        await pacer?.after(count, stop);
        if (newSeries > 0) await seriesPacer.after(newSeries, stop);
        if (stop.aborted && readSinceStop.add(count) || performance.now() > drainEnd) break;
      }
      stream.end();
      await gatherer.gathered();
    } catch {
      // The connection broke: a line that was cut may be half a number.
      stream.drop();
    } finally {
      closeQuietly(held.conn);
    }
  }

  /** Reads; at a stop only what comes at once. @returns the number of bytes, `null` at the end */
  async #readSome(conn: Transport, space: Uint8Array, stop: AbortSignal): Promise<number | null> {
    let timer: Disposable | undefined;
    const onStop = () => {
      timer = Timer.afterArrivals(DRAIN_IDLE_MS, () => closeQuietly(conn));
    };
    if (stop.aborted) onStop();
    else stop.addEventListener("abort", onStop, { once: true });
    try {
      return await conn.read(space);
    } finally {
      stop.removeEventListener("abort", onStop);
      timer?.[Symbol.dispose]();
    }
  }
}
