/** One client of the relay server: the handshake, then messages until it leaves. */
import { formatAddress } from "./address.ts";
import { messageOf } from "./errors.ts";
import { FrameError, FrameReader } from "./frames.ts";
import type { Logger } from "./log.ts";
import { PointDecoder } from "./point_decoder.ts";
import { PostcardError, PostcardReader } from "./postcard.ts";
import {
  acknowledges,
  ALUMET_VERSION,
  encodeFrame,
  type Greet,
  type Hello,
  MAX_METRIC_ID,
  MESSAGE,
  MESSAGE_END,
  OUR_RELAY_VERSION,
  PROTOCOL_VERSION,
  readControlMessage,
  type RegisterMetrics,
} from "./protocol.ts";
import type { Peer } from "./admission/networks.ts";
import { Pacer } from "./admission/pacer.ts";
import type { Grant } from "./admission/tokens.ts";
import { BatchCodecError } from "./batch_codec.ts";
import type { ClientRecord } from "./clients.ts";
import { Intake } from "./intake.ts";
import { TLS_HANDSHAKE } from "./tls_terminator.ts";
import { type Transport, writeAll } from "./transport.ts";
import { RegistryError } from "./registry.ts";
import type { ServerShared } from "./server.ts";

/** Before the handshake a frame has no reason to be larger than this. */
const MAX_GREETING_BYTES = 64 * 1024;
/** Frames above this are counted in the budget for large ones. */
const LARGE_FRAME_BYTES = 512 * 1024;
/** A client that does not take our answer within this time is not there. */
const MAX_CLOSE_MS = 1000;

/** Why a conversation was ended by us. */
class ProtocolViolation extends Error {
  override readonly name = "ProtocolViolation";
}

/** Serves one client; {@linkcode ClientConnection.finished} never rejects. */
export class ClientConnection {
  /** Resolves when the conversation is over and all that was received of it has been passed on. */
  readonly finished: Promise<void>;
  #conn: Transport;
  /** What is said cannot be read on the way. */
  #secure = false;
  readonly #shared: ServerShared;
  readonly #decoder: PointDecoder;
  readonly #frames = new FrameReader();
  readonly #address: string;
  readonly #peer: Peer;
  /** Why its address is not let in, if it is not. */
  readonly #unwanted: string | undefined;
  #grant: Grant | null = null;
  #pacer: Pacer | null = null;
  #log: Logger;
  /** The name that the client greeted with. */
  #name: string | null = null;
  /** A client of ours: what it sends is acknowledged. */
  #intake: Intake | null = null;
  #acknowledges = false;
  /** The sender of the last message, and its bytes. */
  #sender = "";
  #senderBytes: Uint8Array = new Uint8Array(0);
  #client: ClientRecord | null = null;
  /** When the peer must have said more; `Infinity` while it may be silent. In `performance.now()` ms. */
  #deadline: number;
  #deadlineReason = "";
  #draining = false;
  /** What comes is not looked at any more. */
  #deaf = false;
  /** Nothing is read of this peer for now: the pipe is full, or others have the memory. */
  #waiting = false;
  #drainEnd = Infinity;
  #closed = false;
  #budgeted = 0;
  #refusedMetrics = 0;
  #reported = { unknownMetric: 0, wrongKind: 0, badTime: 0, longName: 0 };

  constructor(conn: Deno.TcpConn, shared: ServerShared) {
    this.#conn = conn;
    this.#shared = shared;
    this.#log = shared.log;
    this.#decoder = new PointDecoder(shared.tables, shared.limits);
    const { hostname: shown, port } = conn.remoteAddr as Deno.NetAddr;
    // A socket that takes both families shows IPv4 as IPv6.
    const hostname = shown.replace(/^::ffff:(?=[\d.]+$)/, "");
    this.#address = formatAddress({ hostname, port });
    this.#peer = { hostname, scope: shared.scope };
    this.#unwanted = shared.admission.arrived(this.#peer);
    this.#deadline = performance.now() + shared.limits.handshakeMs;
    this.#deadlineReason = `no whole greeting within ${shared.limits.handshakeMs} ms`;
    shared.strangers.add(this);
    this.finished = this.#serve();
  }

  /** The process stops: what has arrived is still read, then the connection is closed. */
  drain(): void {
    const now = performance.now();
    this.#draining = true;
    this.#drainEnd = now + this.#shared.limits.drainMs;
    this.#deadline = this.#waiting
      ? this.#drainEnd
      : Math.min(this.#deadline, now + this.#shared.limits.drainIdleMs);
    this.#deadlineReason = "";
  }

  /** Ends the connection at once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#conn.close();
    } catch { /* it is closed already */ }
  }

  /** Closes the connection when its deadline has passed. */
  sweep(now: number): void {
    if (this.#closed) return;
    this.#intake?.beat(now, this.#shared.limits.signOfLifeMs);
    if (now < this.#deadline) {
      if (this.#deaf && !this.#intake!.waiting) this.#leave(now);
      return;
    }
    if (this.#draining && this.#intake && !this.#deaf) {
      // All that has arrived is taken. The client is told when it is safe, or it would send it again.
      this.#deaf = true;
      this.#deadline = this.#drainEnd;
      return;
    }
    if (this.#deadlineReason) {
      this.#log.warn("Closing a connection", this.#fields({ reason: this.#deadlineReason }));
    }
    this.close();
  }

  /** Tells a client of ours what has become safe. */
  acknowledge(): void {
    if (!this.#closed) this.#intake?.acknowledge();
  }

  /** The client has its last acknowledgement: it gets some time to read it and to close. */
  #leave(now: number): void {
    if (this.#drainEnd === 0) return;
    this.#drainEnd = 0;
    this.#deadline = now + MAX_CLOSE_MS;
    this.#conn.closeWrite().catch(() => {});
  }

  /** Says once what was refused since the last time. */
  report(): void {
    const { unknownMetric, wrongKind, badTime, longName: plain } = this.#decoder.rejected;
    const longName = plain + (this.#intake?.longNames ?? 0);
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
    const conn = this.#conn as Deno.TcpConn;
    /** We have ended it: what is behind that place is not looked at. */
    let broken = false;
    try {
      conn.setNoDelay();
      conn.setKeepAlive();
    } catch { /* gone already; the first read will say so */ }
    try {
      if (!this.#shared.admission.isFlooded) {
        await this.#begin();
        await this.#converse();
      }
    } catch (error) {
      // Reading fails when the deadline closes the socket; that has been said.
      if (!this.#closed) {
        const ours = error instanceof ProtocolViolation || error instanceof PostcardError ||
          error instanceof FrameError || error instanceof BatchCodecError;
        broken = ours;
        if (ours || error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe) {
          this.#log.warn("Closing a connection", this.#fields({ reason: messageOf(error) }));
        } else this.#log.error("A connection failed", this.#fields({ reason: String(error) }));
      }
    } finally {
      this.close();
      this.#shared.strangers.delete(this);
      this.#shared.admission.left(this.#peer);
      // Messages before one that broke off the conversation are good.
      if (!this.#shared.builder.isEmpty) await this.#shared.gathered();
      const partial = this.#frames.partialBytes;
      if (partial > 0 && this.#name !== null && !broken) {
        this.#log.info(
          "A client left in the middle of a message, which is dropped",
          this.#fields({ bytes: partial }),
        );
      }
      this.report();
      this.#decoder.close();
      this.#giveBudget();
      if (this.#name !== null) {
        const left = this.#shared.names.get(this.#name)! - 1;
        if (left > 0) this.#shared.names.set(this.#name, left);
        else this.#shared.names.delete(this.#name);
        this.#log.info("Client disconnected", this.#fields({}));
      }
    }
  }

  /** The first bytes say whether the client speaks TLS. */
  async #begin(): Promise<void> {
    const frames = this.#frames;
    const space = frames.space();
    const count = await this.#conn.read(space);
    if (count === null) return;
    const { tls } = this.#shared;
    if (space[0] !== TLS_HANDSHAKE) {
      frames.received(count);
      this.#shared.stats.bytes += count;
      return;
    }
    if (!tls) {
      throw new ProtocolViolation(
        "it speaks TLS, and there is no certificate (plugins.relay-server.tls.cert)",
      );
    }
    try {
      this.#conn = await tls.terminator.secure(this.#conn, space.slice(0, count));
    } catch (error) {
      throw new ProtocolViolation(`no TLS connection: ${messageOf(error)}`);
    }
    this.#secure = true;
  }

  async #converse(): Promise<void> {
    const frames = this.#frames;
    const { limits, stats } = this.#shared;
    // The first bytes are there already.
    for (let begun = false;; begun = true) {
      let pause: Promise<void> | undefined;
      if (begun) {
        const count = await this.#conn.read(frames.space());
        if (count === null) return;
        if (this.#deaf) continue;
        stats.bytes += count;
        frames.received(count, this.#shared.bufferBytes());
        pause = this.#pacer?.after(count);
      }

      let points = 0;
      while (frames.next()) {
        if (this.#name === null) {
          if (!await this.#handshake()) return;
        } else if (this.#acknowledges && !this.#intake) {
          if (!await this.#hello()) return;
        } else points += this.#message();
        if (points > 0 && this.#shared.first) await this.#room(this.#shared.gathered());
      }
      if (this.#name === null && frames.partialFrameBytes > MAX_GREETING_BYTES) {
        throw new ProtocolViolation(`the greeting has ${frames.partialFrameBytes} bytes`);
      }
      if (points > 0 || this.#intake?.waiting) await this.#room(this.#shared.gathered());

      const partial = frames.partialFrameBytes;
      if (partial !== this.#budgeted && (partial > LARGE_FRAME_BYTES || this.#budgeted > 0)) {
        await this.#budget(partial);
      }
      if (pause) await this.#room(pause);
      if (this.#draining) this.#deadline = Math.min(performance.now() + limits.drainIdleMs, this.#drainEnd);
      else if (this.#name !== null && (this.#intake || !this.#acknowledges)) {
        const partial = frames.partialBytes > 0;
        const patienceMs = partial ? limits.frameMs : limits.idleMs;
        this.#deadline = performance.now() + patienceMs;
        this.#deadlineReason = `silent for ${patienceMs} ms${partial ? " in the middle of a message" : ""}`;
      }
    }
  }

  /** Waits for room. The peer is not the one who is slow then. */
  async #room(room: Promise<void> | void): Promise<void> {
    if (!room) return;
    this.#waiting = true;
    this.#deadline = this.#drainEnd;
    this.#deadlineReason = "";
    await room;
    this.#waiting = false;
  }

  /** Takes from, or gives back to, the budget for large frames. Waits while others use it. */
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

  /** Answers the greeting. @returns whether the conversation goes on. */
  async #handshake(): Promise<boolean> {
    const reader = new PostcardReader(this.#frames.bytes, this.#frames.start, this.#frames.end);
    const sender = reader.string();
    const discriminant = reader.discriminant(4);
    if (discriminant !== MESSAGE.greet) {
      throw new ProtocolViolation(`the first message is number ${discriminant}, not a greeting`);
    }
    const greet = readControlMessage(reader, discriminant) as Greet;
    const { limits } = this.#shared;
    // A client of ours says more, and is told more, before it is taken.
    const refused = !acknowledges(greet.relayVersion) && this.#refusal(sender) !== undefined;
    const accept = greet.protocolVersion === PROTOCOL_VERSION && !refused;
    const answer = encodeFrame("", {
      type: "greetResponse",
      accept,
      alumetVersion: ALUMET_VERSION,
      relayVersion: OUR_RELAY_VERSION,
      protocolVersion: PROTOCOL_VERSION,
    });
    await writeAll(this.#conn, answer);

    const versions = { alumet: greet.alumetVersion, relay: greet.relayVersion };
    if (refused) {
      await this.#closeGently();
      return false;
    }
    if (!accept) {
      this.#log.warn("Refusing a client: it speaks another version of the protocol", {
        client: sender,
        address: this.#address,
        ...versions,
        its_version: greet.protocolVersion,
        our_version: PROTOCOL_VERSION,
      });
      await this.#closeGently();
      return false;
    }
    this.#name = sender;
    this.#pacer = limits.bytesPerSecond < Infinity ? new Pacer(limits.bytesPerSecond) : null;
    this.#acknowledges = acknowledges(greet.relayVersion);
    // A client of ours has not said all yet.
    if (!this.#acknowledges) {
      this.#deadline = performance.now() + limits.idleMs;
      this.#deadlineReason = `silent for ${limits.idleMs} ms`;
      this.#shared.strangers.delete(this);
    }
    const others = this.#shared.names.get(sender) ?? 0;
    this.#shared.names.set(sender, others + 1);
    this.#log.info("Client connected", this.#fields(versions));
    if (others > 0) {
      this.#log.warn(
        "Another connection has the same client name",
        this.#fields({ connections: others + 1 }),
      );
    }
    return true;
  }

  /** A client of ours says who it is, and is told what we have of it. */
  async #hello(): Promise<boolean> {
    const reader = new PostcardReader(this.#frames.bytes, this.#frames.start, this.#frames.end);
    reader.string();
    const discriminant = reader.discriminant(MESSAGE_END);
    if (discriminant !== MESSAGE.hello) {
      throw new ProtocolViolation(`message number ${discriminant} where it should say who it is`);
    }
    const { instance, token } = readControlMessage(reader, discriminant) as Hello;
    const refusal = this.#refusal(this.#name!, token);
    if (refusal) {
      await writeAll(this.#conn, encodeFrame("", { type: "refuse", reason: refusal }));
      await this.#closeGently();
      return false;
    }
    const { clients, safety, metrics, builder, limits: { maxSeries, maxNameBytes } } = this.#shared;
    const client = clients.get(this.#name!, instance);
    client.lastContactMs = Date.now();
    const sequence = await clients.sequenceOf(client, safety);
    const options = {
      conn: this.#conn,
      client,
      metrics,
      builder,
      safety,
      forward: this.#grant!.forward,
      maxSeries,
      maxNameBytes,
      onRefusedMetric: (problem: string) => this.#refuseMetric(problem),
    };
    const intake = new Intake(options, sequence);
    await writeAll(this.#conn, encodeFrame("", { type: "welcome", sequence, maxSeries }));
    this.#intake = intake;
    this.#shared.strangers.delete(this);
    return true;
  }

  /** Why this client is not taken, if so; it has been logged. */
  #refusal(name: string, token?: string): string | undefined {
    const { tls, admission } = this.#shared;
    let reason = this.#unwanted;
    if (tls?.mode === "required" && !this.#secure) reason ??= "this server only takes TLS connections";
    if (reason === undefined) {
      const grant = admission.check({ ...this.#peer, name, token });
      if (typeof grant === "string") reason = grant;
      else this.#grant = grant;
    }
    if (reason !== undefined) admission.refuse({ client: name, address: this.#address, reason });
    return reason;
  }

  /** Closes so that the peer can still read our answer: not before it has closed, or a second has passed. */
  async #closeGently(): Promise<void> {
    await this.#conn.closeWrite();
    this.#deadline = performance.now() + MAX_CLOSE_MS;
    this.#deadlineReason = "";
    const scratch = new Uint8Array(4096);
    while (await this.#conn.read(scratch) !== null);
  }

  /** Takes the message that `#frames` has found. @returns how many points it had. */
  #message(): number {
    const { bytes, view, start, end } = this.#frames;
    const { stats, builder } = this.#shared;
    const at = this.#readSender(bytes, start, end);
    // The discriminant is one byte, unless a peer writes it longer than it needs to be.
    const reader = new PostcardReader(bytes, at, end);
    if (this.#intake) {
      const discriminant = reader.discriminant(MESSAGE_END);
      if (discriminant !== MESSAGE.batch) {
        throw new ProtocolViolation(`unexpected message number ${discriminant}`);
      }
      const { client } = this.#intake;
      const { duplicatePoints, rejectedPoints } = client;
      const points = this.#intake.take(reader, bytes);
      stats.points += points;
      stats.duplicatePoints += client.duplicatePoints - duplicatePoints;
      stats.rejectedPoints += client.rejectedPoints - rejectedPoints;
      return points;
    }
    const discriminant = reader.discriminant(4);
    if (this.#sender !== this.#name && !this.#grant!.forward) {
      throw new ProtocolViolation(`it may not send under the name ${this.#sender}`);
    }
    if (discriminant === MESSAGE.sendMeasurements) {
      const before = builder.length;
      const count = this.#decoder.decode(bytes, view, reader.offset, end, this.#sender, builder);
      const kept = builder.length - before;
      stats.points += kept;
      stats.rejectedPoints += count - kept;
      const client = this.#client ??= this.#shared.clients.get(this.#sender);
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

  /** Sets `#sender`; a name is decoded only when it is not the one of the last message. @returns the place behind it. */
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
    for (const { id, name, type, unit } of message.metrics) {
      if (id > MAX_METRIC_ID) {
        throw new ProtocolViolation(`metric ${name} has the id ${id}, the largest one is ${MAX_METRIC_ID}`);
      }
      try {
        const metric = this.#shared.metrics.register({ name, type, unit }, this.#name!, this.#sender);
        this.#decoder.setMetric(id, metric);
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        this.#refuseMetric(error.message);
      }
    }
  }

  #refuseMetric(problem: string): void {
    if (this.#refusedMetrics++ === 0) this.#log.warn(problem, this.#fields({}));
  }
}
