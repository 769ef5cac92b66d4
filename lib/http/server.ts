/**
 * Serves pages over HTTP/1.1, on TCP (also with TLS) and on Unix sockets: GET, HEAD and POST, complete bodies and those
 * that are made while they are sent, persistent connections.
 *
 * `Deno.serve` and the `node:http` of Deno 2.6 have no time limits: a peer that sends half a request, or does not read
 * its answer, holds its connection and its memory as long as it likes. Here each step has a time limit, and the number
 * of connections is bounded.
 */
import {
  type BodyWriter,
  endOfHead,
  formatChunk,
  formatResponseHead,
  HttpError,
  type HttpRequest,
  type HttpResponse,
  LAST_CHUNK,
  parseRequestHead,
  type RequestHead,
  textResponse,
} from "./head.ts";
import { RequestBody } from "./body.ts";
import { PROCESS_CLOCK } from "../base/clock.ts";
import { BoundedLog } from "../base/complaint.ts";
import { Timer } from "../base/timers.ts";
import { closeQuietly, within } from "../base/waiting.ts";
import { connectionsWithin } from "../net/descriptors.ts";
import { accepted } from "../net/listen.ts";
import type { Transport } from "../net/transport.ts";
import type { Logger } from "../base/log.ts";

/** Limits of the server; times are in milliseconds. */
export interface HttpLimits {
  /**
   * Open connections, at most. For a new one, the connection that has waited longest for its next request is closed;
   * if all are being answered, the new one gets 503. @default {64}
   */
  connections: number;
  /** Of them, those of one address; a further one gets 503. @default {Infinity} */
  connectionsPerAddress: number;
  /** Bytes of a request's head. @default {16384} */
  headBytes: number;
  /** From a connection, or from the first byte of a further request, to the end of the request's head. @default {10000} */
  headMs: number;
  /** Silence between two requests of a connection. @default {300000} */
  idleMs: number;
  /** Until an answer has been read by the peer. @default {30000} */
  answerMs: number;
  /** Until the body of a request has come. @default {60000} */
  bodyMs: number;
}

const HTTP_LIMITS: HttpLimits = {
  connections: 64,
  connectionsPerAddress: Infinity,
  headBytes: 16 * 1024,
  headMs: 10_000,
  idleMs: 300_000,
  answerMs: 30_000,
  bodyMs: 60_000,
};

/** Who asks: the address of a peer on the network; empty for one on a Unix socket. */
export interface HttpPeer {
  readonly hostname: string;
}

/**
 * Makes a page, or takes a body. An {@linkcode HttpError} is answered with its status, another error is logged and
 * answered with 500.
 */
export type HttpHandler = (
  request: HttpRequest,
  peer: HttpPeer,
  body: RequestBody,
) => HttpResponse | Promise<HttpResponse>;

/** What there is beside the limits. */
export interface HttpOptions {
  /** Starts TLS on a new connection. @throws if the peer does not speak it. @default no TLS */
  secure?: (conn: Transport) => Promise<Transport>;
  /** Whether it takes POST. @default {false} */
  takesPosts?: boolean;
  /** How long unfinished answers may take at the end, in ms. @default {500} */
  lastAnswersMs?: () => number;
}

/** Bytes of one write: what a peer that does not read keeps in memory. */
const WRITE_BYTES = 64 * 1024;
/**
 * Closing a connection does not end a write that waits for its peer (Deno only cancels reads): the socket exists until
 * the peer reads or leaves. With this number of them, new connections are closed without an answer.
 */
const MAX_STUCK_WRITES = 256;
/** How long unfinished answers may take at the end, in ms, where nothing depends on them. */
const LAST_ANSWERS_MS = 500;
/** How much of an unused body is read, so that the answer arrives before the connection is reset. */
const DISCARD_BYTES = 256 * 1024;
const DISCARD_MS = 1000;

const encoder = new TextEncoder();

const CONTINUE = encoder.encode("HTTP/1.1 100 Continue\r\n\r\n");

/** The peer has gone within a body. */
class BrokenConnection extends Error {
  override readonly name = "BrokenConnection";
}

export class HttpServer implements AsyncDisposable {
  readonly #listener: Deno.TcpListener | Deno.UnixListener;
  readonly #handler: HttpHandler;
  readonly #log: Logger;
  readonly #limits: HttpLimits;
  readonly #options: HttpOptions;
  readonly #connections = new Set<HttpConnection>();
  readonly #accepting: Promise<void>;
  #listening = true;
  #stuckWrites = 0;

  /** @param listener The socket to accept from; it is closed with the server. */
  constructor(
    listener: Deno.TcpListener | Deno.UnixListener,
    handler: HttpHandler,
    log: Logger,
    limits: Partial<HttpLimits> = {},
    options: HttpOptions = {},
  ) {
    this.#listener = listener;
    this.#options = options;
    this.#handler = handler;
    this.#log = new BoundedLog(log, PROCESS_CLOCK);
    const all = { ...HTTP_LIMITS, ...limits };
    this.#limits = { ...all, connections: connectionsWithin(all.connections) };
    this.#accepting = this.#accept();
  }

  /** Of a server on TCP. */
  get address(): Deno.NetAddr {
    return this.#listener.addr as Deno.NetAddr;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#connections.size;
  }

  async #accept(): Promise<void> {
    const listener: { accept(): Promise<Deno.TcpConn | Deno.UnixConn> } = this.#listener;
    for await (const conn of accepted(listener, () => this.#listening, this.#log)) {
      if (this.#stuckWrites >= MAX_STUCK_WRITES) {
        conn.close();
        continue;
      }
      const refused = this.#connections.size >= this.#limits.connections && !this.#makeRoom();
      const connection = new HttpConnection(
        conn,
        this.#limits,
        this.#options,
        (request, peer, body) => this.#answer(request, peer, body),
        (change) => this.#stuckWrites += change,
      );
      this.#connections.add(connection);
      const isCrowd = this.#connectionsOf(connection.hostname) > this.#limits.connectionsPerAddress;
      const serving = refused || isCrowd ? connection.refuse() : connection.serve();
      serving.finally(() => this.#connections.delete(connection));
    }
  }

  /** Connections of an address that are open now. */
  #connectionsOf(hostname: string): number {
    if (this.#limits.connectionsPerAddress === Infinity) return 0;
    return [...this.#connections].filter((connection) => connection.hostname === hostname).length;
  }

  /** Closes the connection that has waited longest. */
  #makeRoom(): boolean {
    let oldest: HttpConnection | undefined;
    for (const connection of this.#connections) {
      if (!connection.answering && (!oldest || connection.waitingSince < oldest.waitingSince)) {
        oldest = connection;
      }
    }
    if (!oldest) return false;
    oldest.close();
    this.#connections.delete(oldest);
    return true;
  }

  async #answer(request: HttpRequest, peer: HttpPeer, body: RequestBody): Promise<HttpResponse> {
    try {
      return await this.#handler(request, peer, body);
    } catch (error) {
      if (error instanceof BrokenConnection) throw error;
      if (error instanceof HttpError) return textResponse(error.status, error.message, error.headers);
      this.#log.error("Internal error while making a page", {
        path: request.path,
        error: String((error as Error)?.stack ?? error),
      });
      return textResponse(500, "Internal error; see the log.");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#listening) {
      this.#listening = false;
      this.#listener.close();
    }
    const answering = [];
    for (const connection of this.#connections) {
      connection.finish();
      if (connection.answering) answering.push(connection.ended);
    }
    const { lastAnswersMs = () => LAST_ANSWERS_MS } = this.#options;
    await within(Promise.all(answering), lastAnswersMs());
    for (const connection of this.#connections) connection.close();
    await Promise.all([...this.#connections].map(({ ended }) => ended));
    await this.#accepting;
  }
}

/** One peer: its requests are answered one after another. */
class HttpConnection {
  /** A request has been read, and its answer is not completely written. */
  answering = false;
  /** By `performance.now()`. */
  waitingSince = performance.now();
  readonly ended: Promise<void>;
  readonly #end: () => void;
  #conn: Transport;
  readonly #peer: HttpPeer;
  readonly #limits: HttpLimits;
  readonly #options: HttpOptions;
  readonly #handler: HttpHandler;
  readonly #onStuck: (change: 1 | -1) => void;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #length = 0;
  #last = false;
  #timer: Timer | undefined;
  #closed = false;
  /** Gives up the current write. */
  #abandon: (() => void) | null = null;
  /** Ends the body that is being made. */
  readonly #streaming = new AbortController();

  /** @param onStuck Is called for a write that continues after the connection was closed, and at its end. */
  constructor(
    conn: Deno.TcpConn | Deno.UnixConn,
    limits: HttpLimits,
    options: HttpOptions,
    handler: HttpHandler,
    onStuck: (change: 1 | -1) => void,
  ) {
    this.#conn = conn;
    const { remoteAddr } = conn;
    // A socket for both families shows IPv4 as IPv6.
    const hostname = "hostname" in remoteAddr ? remoteAddr.hostname.replace(/^::ffff:(?=[\d.]+$)/, "") : "";
    this.#peer = { hostname };
    if ("setNoDelay" in conn) setNoDelay(conn);
    this.#limits = limits;
    this.#options = options;
    this.#handler = handler;
    this.#onStuck = onStuck;
    this.#buffer = new Uint8Array(limits.headBytes);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
  }

  /** The address of the peer. */
  get hostname(): string {
    return this.#peer.hostname;
  }

  /** Answers until the peer leaves, a limit is reached, or the connection breaks. Does not throw. */
  async serve(): Promise<void> {
    await this.#until(async () => {
      this.#deadline(this.#limits.headMs);
      await this.#secure();
      while (!this.#last && await this.#next());
    });
  }

  /** Answers that there are too many connections. Does not throw. */
  async refuse(): Promise<void> {
    this.answering = true;
    await this.#until(async () => {
      this.#deadline(DISCARD_MS);
      await this.#send(
        textResponse(503, "Too many connections; try again.", { "retry-after": "1" }),
        true,
        false,
      );
      await this.#discard();
    });
  }

  async #secure(): Promise<void> {
    const { secure } = this.#options;
    if (!secure) return;
    const conn = await secure(this.#conn);
    this.#conn = conn;
    // Its limit was reached meanwhile.
    if (this.#closed) closeQuietly(conn);
  }

  /** Ends the connection after the current answer. */
  finish(): void {
    this.#last = true;
    this.#streaming.abort();
    if (!this.answering) this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    closeQuietly(this.#conn);
    this.#streaming.abort();
    this.#abandon?.();
  }

  async #until(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch {
      /* the peer is gone, or was too slow */
    } finally {
      this.close();
      this.#end();
    }
  }

  #deadline(ms: number): void {
    this.#timer?.[Symbol.dispose]();
    if (!this.#closed) this.#timer = Timer.after(ms, () => this.close());
  }

  /** Reads a request and answers it. @returns whether another one may follow */
  async #next(): Promise<boolean> {
    let head;
    try {
      const end = await this.#readHead();
      if (end < 0) return false;
      head = parseRequestHead(this.#buffer.subarray(0, end), this.#options.takesPosts);
      this.#buffer.copyWithin(0, end, this.#length);
      this.#length -= end;
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.answering = true;
      this.#deadline(this.#limits.answerMs);
      await this.#send(textResponse(error.status, error.message, error.headers), true, false);
      await this.#discard();
      return false;
    }
    const { request } = head;
    this.answering = true;
    this.#deadline(this.#limits.answerMs);
    const body = this.#bodyOf(head);
    const response = await this.#handler(request, this.#peer, body);
    const keepAlive = head.keepAlive && body.isRead && !this.#last && !response.stream;
    const withBody = request.method !== "HEAD";
    try {
      if (response.stream) await this.#stream(response, withBody, head.takesChunks);
      else await this.#send(response, withBody, keepAlive);
    } finally {
      response.release?.();
    }
    if (!keepAlive) {
      await this.#discard();
      return false;
    }
    this.answering = false;
    this.waitingSince = performance.now();
    this.#deadline(this.#length > 0 ? this.#limits.headMs : this.#limits.idleMs);
    return true;
  }

  /** The body behind a head: first what is in the buffer, then what comes. */
  #bodyOf({ body, request }: RequestHead): RequestBody {
    const endMs = performance.now() + this.#limits.bodyMs;
    const receive = async (into: Uint8Array) => {
      // A peer that is silent has as long as for a head.
      this.#deadline(Math.min(this.#limits.headMs, endMs - performance.now()));
      const count = await this.#conn.read(into).catch(() => null);
      if (count === null) throw new BrokenConnection();
      this.#deadline(this.#limits.answerMs);
      return count;
    };
    const read = async (into: Uint8Array) => {
      if (this.#length === 0) {
        if (into.length >= this.#buffer.length) return await receive(into);
        this.#length = await receive(this.#buffer);
      }
      const count = Math.min(this.#length, into.length);
      into.set(this.#buffer.subarray(0, count));
      this.#buffer.copyWithin(0, count, this.#length);
      this.#length -= count;
      return count;
    };
    const isExpected = request.headers.get("expect")?.toLowerCase() === "100-continue";
    return new RequestBody(body, { read }, async () => {
      if (isExpected && this.#length === 0) await this.#write(CONTINUE);
    });
  }

  /** @returns where the head ends in the buffer, or -1 if the peer has closed the connection */
  async #readHead(): Promise<number> {
    while (true) {
      // Empty lines before a request are skipped (RFC 9112, section 2.2).
      let start = 0;
      while (start < this.#length && (this.#buffer[start] === 13 || this.#buffer[start] === 10)) start++;
      this.#buffer.copyWithin(0, start, this.#length);
      this.#length -= start;

      const end = endOfHead(this.#buffer.subarray(0, this.#length));
      if (end >= 0) return end;
      if (this.#length === this.#buffer.length) {
        throw new HttpError(431, "The head of the request is too long.");
      }
      const count = await this.#conn.read(this.#buffer.subarray(this.#length));
      if (count === null) return -1;
      if (this.#length === 0) this.#deadline(this.#limits.headMs);
      this.#length += count;
    }
  }

  async #send(response: HttpResponse, withBody: boolean, keepAlive: boolean): Promise<void> {
    await this.#write(formatResponseHead(response, keepAlive));
    if (withBody) await this.#write(response.body);
  }

  /** Sends a body while it is made: each part has the time of an answer, and the whole has no limit. */
  async #stream(response: HttpResponse, withBody: boolean, takesChunks: boolean): Promise<void> {
    const { signal } = this.#streaming;
    await this.#write(formatResponseHead(response, false, takesChunks));
    if (!withBody || signal.aborted) return;
    this.#timer?.[Symbol.dispose]();
    void this.#watch();
    const writer: BodyWriter = {
      signal,
      write: async (part) => {
        const bytes = typeof part === "string" ? encoder.encode(part) : part;
        if (bytes.length === 0) return;
        this.#deadline(this.#limits.answerMs);
        await this.#write(takesChunks ? formatChunk(bytes) : bytes);
        this.#timer?.[Symbol.dispose]();
      },
    };
    await response.stream!(writer);
    this.#deadline(this.#limits.answerMs);
    if (takesChunks) await this.#write(LAST_CHUNK);
  }

  /** Closes the connection when its peer does. */
  async #watch(): Promise<void> {
    try {
      while (await this.#conn.read(this.#buffer) !== null);
    } catch { /* it is closed */ }
    this.close();
  }

  /** @throws if the connection breaks, or is closed. */
  async #write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      // A copy: a write that is stuck holds its whole buffer.
      done += await this.#writePart(bytes.slice(done, done + WRITE_BYTES));
    }
  }

  #writePart(part: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      let stuck = false;
      this.#abandon = () => {
        stuck = true;
        this.#onStuck(1);
        reject(new Error("closed"));
      };
      this.#conn.write(part).finally(() => {
        this.#abandon = null;
        if (stuck) this.#onStuck(-1);
      }).then(resolve, reject);
    });
  }

  /** Ends this side, and waits a moment for the peer: closing at once could reset the connection before it has read. */
  async #discard(): Promise<void> {
    await this.#conn.closeWrite();
    this.#deadline(DISCARD_MS);
    for (let left = DISCARD_BYTES; left > 0;) {
      const count = await this.#conn.read(this.#buffer);
      if (count === null) return;
      left -= count;
    }
  }
}

/** Sends small answers at once. */
function setNoDelay(conn: Deno.TcpConn): void {
  try {
    conn.setNoDelay(true);
  } catch { /* it is gone already; the first read fails */ }
}
