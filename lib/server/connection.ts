/**
 * One client of the relay server: the handshake, then messages until it leaves, within limits of time and memory.
 * {@linkcode ./handshake.ts} identifies the client, {@linkcode ./acknowledged.ts} and {@linkcode ./plain.ts} take its
 * messages.
 */
import { formatAddress } from "../net/address.ts";
import type { Peer } from "../net/networks.ts";
import { Pacer } from "../intake/admission/pacer.ts";
import { ReadSinceStop } from "../intake/arrived.ts";
import { BatchCodecError } from "../batches/codec.ts";
import { messageOf } from "../base/errors.ts";
import { FrameError, FrameReader } from "../wire/frames.ts";
import type { AcknowledgedReceiver } from "./acknowledged.ts";
import type { Logger } from "../base/log.ts";
import type { ClientConnectionInfo } from "../plugin.ts";
import { closeQuietly } from "../base/waiting.ts";
import { PostcardError } from "../postcard.ts";
import { ProtocolViolation } from "../wire/protocol.ts";
import { PlainReceiver } from "./plain.ts";
import type { ServerShared } from "./shared.ts";
import { type Greeted, ServerHandshake } from "./handshake.ts";
import type { AcceptedTransport, Transport } from "../net/transport.ts";

/** The largest frame before the handshake, in bytes. */
const MAX_GREETING_BYTES = 64 * 1024;
/** Frames above this size count against the budget for large frames. */
const LARGE_FRAME_BYTES = 512 * 1024;
/** How long a client has to read the last answer and to close, in ms. */
const MAX_CLOSE_MS = 1000;

/** Serves one client; {@linkcode ClientConnection.finished} never rejects. */
export class ClientConnection {
  /** Resolves when the conversation is over and everything that was received has been passed on. */
  readonly finished: Promise<void>;
  #conn: Transport;
  /** The socket, of which `#conn` may be the other side of TLS. */
  readonly #socket: AcceptedTransport;
  readonly #shared: ServerShared;
  readonly #frames: FrameReader;
  readonly #address: string;
  readonly #peer: Peer;
  readonly #handshake: ServerHandshake;
  #pacer: Pacer | null = null;
  /** For series that are new although the client has more than its share of memory. */
  #seriesPacer: Pacer | null = null;
  /** Ends such waits when the connection is closed; most connections have none. */
  #closing: AbortController | null = null;
  #log: Logger;
  /** The name that the client greeted with. */
  #name: string | null = null;
  /** It is a client of ours, which introduces itself in a second message. */
  #isOurs = false;
  /** Its versions, until it is accepted. */
  #versions: Greeted["versions"] = { alumet: "", relay: "" };
  #isAdmitted = false;
  /** Set once it is admitted. */
  #info: ClientConnectionInfo | null = null;
  /** Takes the messages of a client of ours, or of a real agent: one of them is set once the client is accepted. */
  #acknowledged: AcknowledgedReceiver | null = null;
  #plain: PlainReceiver | null = null;
  /** By when more must arrive; `Infinity` while the peer may be silent. In `performance.now()` ms. */
  #deadline: number;
  #deadlineReason = "";
  /** The deadline that had passed at the last sweep. */
  #overdue = NaN;
  /** What it reads at a stop; `null` before. */
  #drain: ReadSinceStop | null = null;
  /** Received data is ignored. */
  #deaf = false;
  /** Reading is paused: the pipe is full, or others use the memory. */
  #waiting = false;
  #drainEnd = Infinity;
  /** At a stop, by when it reads what the peer sends. */
  #readEnd = Infinity;
  #closed = false;
  #budgeted = 0;
  #refusedMetrics = 0;
  #reported = { unknownMetric: 0, wrongKind: 0, badTime: 0, longName: 0 };

  constructor(conn: AcceptedTransport, shared: ServerShared) {
    this.#conn = this.#socket = conn;
    this.#shared = shared;
    this.#frames = new FrameReader(shared.maxMessageBytes, shared.lentBuffers);
    this.#log = shared.log;
    const { hostname: shown, port } = conn.remoteAddr as Deno.NetAddr;
    // A socket for both families shows IPv4 as IPv6.
    const hostname = shown.replace(/^::ffff:(?=[\d.]+$)/, "");
    this.#address = formatAddress({ hostname, port });
    this.#peer = { hostname, scope: shared.scope };
    this.#handshake = new ServerHandshake(
      shared,
      this.#peer,
      this.#address,
      shared.admission.arrived(this.#peer),
    );
    this.#deadline = performance.now() + shared.limits.handshakeMs;
    this.#deadlineReason = `no whole greeting within ${shared.limits.handshakeMs} ms`;
    shared.strangers.add(this);
    this.finished = this.#serve();
  }

  /** The process stops: reads what has arrived, then closes the connection. */
  drain(): void {
    const now = performance.now();
    this.#drain = new ReadSinceStop();
    this.#drainEnd = this.#readEnd = now + this.#shared.drainMs();
    this.#deadline = this.#waiting
      ? this.#drainEnd
      : Math.min(this.#deadline, now + this.#shared.limits.drainIdleMs);
    this.#deadlineReason = "";
  }

  /** Ends the connection at once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing?.abort();
    closeQuietly(this.#conn);
  }

  /** Closes the connection if its client would not be accepted any more. */
  recheck(): void {
    const reason = this.#closed ? undefined : this.#handshake.recheck();
    if (reason === undefined) return;
    this.#log.warn("Closing a connection", this.#fields({ reason }));
    this.close();
  }

  /** Closes the connection when its deadline has passed. */
  sweep(now: number): void {
    if (this.#closed) return;
    this.#acknowledged?.beat(now, this.#shared.limits.signOfLifeMs);
    if (now < this.#deadline) {
      if (this.#deaf && !this.#acknowledged!.waiting) this.#leave(now);
      return;
    }
    if (this.#overdue !== this.#deadline) {
      // A process that had no time to read has not heard what was said: it reads until the next sweep.
      this.#overdue = this.#deadline;
      return;
    }
    if (this.#drain && this.#acknowledged && !this.#deaf) {
      // Everything that arrived has been taken. The client waits for the acknowledgement, or it would send it again.
      this.#deaf = true;
      this.#deadline = this.#drainEnd;
      return;
    }
    if (this.#deadlineReason) {
      this.#log.warn("Closing a connection", this.#fields({ reason: this.#deadlineReason }));
    }
    this.close();
  }

  /** Everything is acknowledged: gives the client some time to read that and to close. */
  #leave(now: number): void {
    if (this.#drainEnd === 0) return;
    this.#drainEnd = 0;
    this.#deadline = now + MAX_CLOSE_MS;
    this.#conn.closeWrite().catch(() => {});
  }

  /** Logs what was refused since the last report. */
  report(): void {
    const { unknownMetric = 0, wrongKind = 0, badTime = 0, longName = this.#acknowledged?.longNames ?? 0 } =
      this.#plain?.rejected ?? {};
    const fields = {
      unknown_metric: unknownMetric - this.#reported.unknownMetric,
      wrong_kind_of_value: wrongKind - this.#reported.wrongKind,
      time_out_of_range: badTime - this.#reported.badTime,
      name_too_long: longName - this.#reported.longName,
    };
    this.#reported = { unknownMetric, wrongKind, badTime, longName };
    const points = Object.values(fields).reduce((sum, count) => sum + count, 0);
    if (points > 0) this.#log.warn("Points were refused", this.#fields({ points, ...fields }));
    if (this.#refusedMetrics > 0) {
      this.#log.warn("Metrics were refused", this.#fields({ metrics: this.#refusedMetrics }));
      this.#refusedMetrics = 0;
    }
  }

  #fields(more: Record<string, string | number>): Record<string, string | number> {
    return { client: this.#name ?? "?", address: this.#address, ...more };
  }

  async #serve(): Promise<void> {
    const { gatherer } = this.#shared;
    /** This end closed it because of an error: the rest of the data is ignored. */
    let broken = false;
    try {
      this.#socket.setNoDelay();
      this.#socket.setKeepAlive();
    } catch { /* already gone; the first read fails */ }
    try {
      if (!this.#shared.admission.isFlooded) {
        this.#conn = await this.#handshake.begin(this.#conn, this.#frames);
        // What was closed meanwhile was the connection without TLS.
        if (this.#closed) closeQuietly(this.#conn);
        await this.#converse();
      }
    } catch (error) {
      // Reading fails when the deadline closes the socket; that has been logged.
      if (!this.#closed) {
        const isViolation = error instanceof ProtocolViolation || error instanceof PostcardError ||
          error instanceof FrameError || error instanceof BatchCodecError;
        broken = isViolation;
        if (
          isViolation || error instanceof Deno.errors.ConnectionReset ||
          error instanceof Deno.errors.BrokenPipe
        ) {
          this.#log.warn("Closing a connection", this.#fields({ reason: messageOf(error) }));
        } else this.#log.error("A connection failed", this.#fields({ reason: String(error) }));
      }
    } finally {
      this.close();
      this.#shared.strangers.delete(this);
      this.#shared.admission.left(this.#peer);
      // The messages before the one that ended the conversation are valid.
      if (!gatherer.builder.isEmpty) await gatherer.gathered();
      const partial = this.#frames.partialBytes;
      if (partial > 0 && this.#name !== null && !broken) {
        this.#log.info(
          "A client left in the middle of a message, which is dropped",
          this.#fields({ bytes: partial }),
        );
      }
      this.report();
      this.#frames[Symbol.dispose]();
      this.#plain?.[Symbol.dispose]();
      this.#acknowledged?.[Symbol.dispose]();
      this.#giveBudget();
      if (this.#isAdmitted) this.#left();
    }
  }

  async #converse(): Promise<void> {
    const frames = this.#frames;
    const { gatherer, limits, stats } = this.#shared;
    // The first bytes have been read already.
    for (let begun = false;; begun = true) {
      let pause: Promise<void> | undefined;
      if (begun) {
        const count = await this.#conn.read(frames.space());
        if (count === null) return;
        if (this.#deaf) continue;
        stats.bytes += count;
        if (this.#drain?.add(count)) this.#readEnd = Math.min(this.#readEnd, performance.now());
        frames.received(count, this.#shared.bufferBytes());
        pause = this.#pacer?.after(count, this.#closingSignal);
      }

      let points = 0;
      // After the handover nothing more is taken.
      while (!gatherer.isClosed && frames.next()) {
        if (this.#name === null) {
          if (!await this.#greeted()) return;
        } else if (this.#isOurs && !this.#acknowledged) {
          if (!await this.#introduced()) return;
        } else {
          const before = gatherer.builder.store.excess;
          points += (this.#acknowledged ?? this.#plain!).take(frames);
          const excess = gatherer.builder.store.excess - before;
          if (excess > 0) await this.#room(this.#slowDown(excess));
        }
        if (points > 0 && gatherer.isFirst) await this.#room(gatherer.gathered());
      }
      if (this.#name === null && frames.partialFrameBytes > MAX_GREETING_BYTES) {
        throw new ProtocolViolation(`the greeting has ${frames.partialFrameBytes} bytes`);
      }
      frames.giveBack();
      if (points > 0 || this.#acknowledged?.waiting) await this.#room(gatherer.gathered());

      const partial = frames.partialFrameBytes;
      if (partial !== this.#budgeted && (partial > LARGE_FRAME_BYTES || this.#budgeted > 0)) {
        await this.#budget(partial);
      }
      if (pause) await this.#room(pause);
      if (this.#drain) this.#deadline = Math.min(performance.now() + limits.drainIdleMs, this.#readEnd);
      else if (this.#name !== null && (this.#acknowledged || !this.#isOurs)) {
        const partial = frames.partialBytes > 0;
        const patienceMs = partial ? limits.frameMs : limits.idleMs;
        this.#deadline = performance.now() + patienceMs;
        this.#deadlineReason = `silent for ${patienceMs} ms${partial ? " in the middle of a message" : ""}`;
      }
    }
  }

  /** The client has brought series that there is no room for: what it brings next waits. */
  #slowDown(series: number): Promise<void> | undefined {
    this.#seriesPacer ??= new Pacer(this.#shared.limits.newSeriesPerSecond);
    return this.#seriesPacer.after(series, this.#closingSignal);
  }

  get #closingSignal(): AbortSignal {
    return (this.#closing ??= new AbortController()).signal;
  }

  /** Waits for room; meanwhile the peer has no deadline. */
  async #room(room: Promise<void> | void): Promise<void> {
    if (!room) return;
    this.#waiting = true;
    this.#deadline = this.#drainEnd;
    this.#deadlineReason = "";
    await room;
    this.#waiting = false;
  }

  /** Adjusts the share of the budget for large frames. Waits while others use it. */
  async #budget(bytes: number): Promise<void> {
    this.#giveBudget();
    if (bytes <= LARGE_FRAME_BYTES || bytes > this.#frames.maxBodyBytes) return;
    await this.#room(this.#shared.frames.take(bytes));
    this.#budgeted = bytes;
  }

  #giveBudget(): void {
    if (this.#budgeted > 0) this.#shared.frames.give(this.#budgeted);
    this.#budgeted = 0;
  }

  /** Handles the greeting. @returns whether the conversation continues. */
  async #greeted(): Promise<boolean> {
    const greeted = await this.#handshake.greet(this.#conn, this.#frames);
    if (!greeted) {
      await this.#closeGently();
      return false;
    }
    const { name, grant, versions } = greeted;
    const { limits, metrics, clients, gatherer, stats } = this.#shared;
    this.#name = name;
    this.#pacer = limits.bytesPerSecond < Infinity ? new Pacer(limits.bytesPerSecond) : null;
    this.#isOurs = grant === null;
    if (grant) {
      this.#plain = new PlainReceiver({
        name,
        forward: grant.forward,
        metrics,
        clients,
        builder: gatherer.builder,
        maxNameBytes: limits.maxNameBytes,
        stats,
        onRefusedMetric: (problem) => this.#refuseMetric(problem),
      });
      this.#deadline = performance.now() + limits.idleMs;
      this.#deadlineReason = `silent for ${limits.idleMs} ms`;
      this.#admitted(versions);
    } else this.#versions = versions;
    return true;
  }

  /** Handles the introduction of a client of ours. @returns whether the conversation continues. */
  async #introduced(): Promise<boolean> {
    this.#acknowledged = await this.#handshake.welcome(
      this.#conn,
      this.#frames,
      this.#name!,
      (problem) => this.#refuseMetric(problem),
    );
    if (!this.#acknowledged) {
      await this.#closeGently();
      return false;
    }
    this.#admitted(this.#versions);
    return true;
  }

  /** The client is accepted. A refused client has one line in the log, that of its refusal. */
  #admitted(versions: Greeted["versions"]): void {
    const { names, strangers } = this.#shared;
    const name = this.#name!;
    strangers.delete(this);
    this.#isAdmitted = true;
    const version = this.#isOurs ? "alumet-relay" : `Alumet ${versions.alumet}`;
    this.#info = { address: this.#address, version };
    const same = names.get(name) ?? new Set();
    names.set(name, same.add(this.#info));
    const connections = same.size;
    this.#log.info("Client connected", this.#fields(versions));
    if (connections === 1) return;
    this.#log.warn("Another connection has the same client name", this.#fields({ connections }));
  }

  #left(): void {
    const { names } = this.#shared;
    const name = this.#name!;
    const same = names.get(name)!;
    same.delete(this.#info!);
    if (same.size === 0) names.delete(name);
    this.#log.info("Client disconnected", this.#fields({}));
  }

  /** Lets the peer read the answer: closes when the peer has closed, or after a second. */
  async #closeGently(): Promise<void> {
    await this.#conn.closeWrite();
    this.#deadline = performance.now() + MAX_CLOSE_MS;
    this.#deadlineReason = "";
    const scratch = new Uint8Array(4096);
    while (await this.#conn.read(scratch) !== null);
  }

  #refuseMetric(problem: string): void {
    if (this.#refusedMetrics++ > 0) return;
    this.#log.warn("A metric is refused", this.#fields({ reason: problem }));
  }
}
