/**
 * The server's side of the handshake: TLS or not, the versions of both ends, and whether the client is accepted. A
 * client of ours greets like any other, then introduces itself in a second message (see docs/protocol.md).
 */
import type { Peer } from "../net/networks.ts";
import type { ClientRecord } from "../points/origins.ts";
import type { Grant } from "../intake/admission/tokens.ts";
import { messageOf } from "../base/errors.ts";
import type { FrameReader } from "../wire/frames.ts";
import { AcknowledgedReceiver } from "./acknowledged.ts";
import { PostcardReader } from "../postcard.ts";
import {
  acknowledges,
  ALUMET_VERSION,
  encodeFrame,
  type Greet,
  type Hello,
  MESSAGE,
  MESSAGE_END,
  OUR_RELAY_VERSION,
  PLAIN_MESSAGE_END,
  PROTOCOL_VERSION,
  ProtocolViolation,
  readControlMessage,
} from "../wire/protocol.ts";
import type { ServerShared } from "./shared.ts";
import { TLS_HANDSHAKE } from "../intake/tls.ts";
import { type Transport, writeAll } from "../net/transport.ts";

/** A client with the right version, whose greeting has been answered. */
export interface Greeted {
  readonly name: string;
  /** What it may do; `null` for a client of ours, which has not introduced itself yet. */
  readonly grant: Grant | null;
  /** Its versions, for the log. */
  readonly versions: { readonly alumet: string; readonly relay: string };
}

export class ServerHandshake {
  readonly #shared: ServerShared;
  readonly #peer: Peer;
  readonly #address: string;
  readonly #unwanted: string | undefined;
  /** The connection uses TLS. */
  #secure = false;
  /** What the client may do; `null` until it is accepted. */
  #grant: Grant | null = null;

  /**
   * @param address Of the client, for the log.
   * @param unwanted Why its address is refused, if it is.
   */
  constructor(shared: ServerShared, peer: Peer, address: string, unwanted: string | undefined) {
    this.#shared = shared;
    this.#peer = peer;
    this.#address = address;
    this.#unwanted = unwanted;
  }

  /**
   * Reads the first bytes, and starts TLS if the client speaks it.
   *
   * @returns the connection to use from now on.
   * @throws {ProtocolViolation} if TLS fails.
   */
  async begin(conn: Transport, frames: FrameReader): Promise<Transport> {
    const space = frames.space();
    const count = await conn.read(space);
    if (count === null) return conn;
    const { tls, stats } = this.#shared;
    if (space[0] !== TLS_HANDSHAKE) {
      frames.received(count);
      stats.bytes += count;
      return conn;
    }
    if (!tls) {
      throw new ProtocolViolation(
        "it speaks TLS, and this server has no certificate (plugins.relay-server.tls.cert)",
      );
    }
    try {
      const secured = await tls.terminator.secure(conn, space.slice(0, count));
      this.#secure = true;
      return secured;
    } catch (error) {
      throw new ProtocolViolation(`no TLS connection: ${messageOf(error)}`);
    }
  }

  /**
   * Answers the greeting that `frames` has found.
   *
   * @returns `null` if the client is refused; the client has got an answer, and it has been logged.
   * @throws {ProtocolViolation} if it is not a greeting.
   */
  async greet(conn: Transport, frames: FrameReader): Promise<Greeted | null> {
    const reader = new PostcardReader(frames.bytes, frames.start, frames.end);
    const name = reader.string();
    const discriminant = reader.discriminant(PLAIN_MESSAGE_END);
    if (discriminant !== MESSAGE.greet) {
      throw new ProtocolViolation(`the first message is number ${discriminant}, not a greeting`);
    }
    const greet = readControlMessage(reader, discriminant) as Greet;
    // A client of ours is accepted or refused after its second message.
    const grant = acknowledges(greet.relayVersion) ? null : this.#admit(name);
    const refused = typeof grant === "string";
    const accept = greet.protocolVersion === PROTOCOL_VERSION && !refused;
    const answer = encodeFrame("", {
      type: "greetResponse",
      accept,
      alumetVersion: ALUMET_VERSION,
      relayVersion: OUR_RELAY_VERSION,
      protocolVersion: PROTOCOL_VERSION,
    });
    await writeAll(conn, answer);

    if (refused) return null;
    const versions = { alumet: greet.alumetVersion, relay: greet.relayVersion };
    if (accept) return { name, grant, versions };
    this.#shared.log.warn("Refusing a client: it speaks another version of the protocol", {
      client: name,
      address: this.#address,
      ...versions,
      its_version: greet.protocolVersion,
      our_version: PROTOCOL_VERSION,
    });
    return null;
  }

  /**
   * Handles the introduction of a client of ours, which `frames` has found: answers with what the server has of it.
   *
   * @returns what takes its batches; `null` if the client is refused, has got the reason, and it has been logged.
   * @throws {ProtocolViolation} if it is another message.
   */
  async welcome(
    conn: Transport,
    frames: FrameReader,
    name: string,
    onRefusedMetric: (problem: string) => void,
  ): Promise<AcknowledgedReceiver | null> {
    const reader = new PostcardReader(frames.bytes, frames.start, frames.end);
    reader.string();
    const discriminant = reader.discriminant(MESSAGE_END);
    if (discriminant !== MESSAGE.hello) {
      throw new ProtocolViolation(`message number ${discriminant} instead of an introduction`);
    }
    const { instance, token, previous, upstream } = readControlMessage(reader, discriminant) as Hello;
    const grant = this.#admit(name, token, this.#loopProblem(instance, upstream));
    if (typeof grant === "string") {
      await writeAll(conn, encodeFrame("", { type: "refuse", reason: grant }));
      return null;
    }
    const { clients, safety, metrics, gatherer, stats, limits, unacknowledged } = this.#shared;
    const maxSeries = Math.min(limits.maxSeries, gatherer.builder.store.maxSeriesOfStream);
    if (upstream) clients.upstream.add([instance, ...upstream]);
    const client = clients.get(name, instance);
    if (client.lastContactMs === 0) this.#noticeNewName(client);
    client.lastContactMs = Date.now();
    const sequence = await clients.sequenceOf(client, safety);
    const receiver = new AcknowledgedReceiver({
      conn,
      client,
      metrics,
      builder: gatherer.builder,
      safety,
      forward: grant.forward,
      maxSeries,
      maxNameBytes: limits.maxNameBytes,
      stats,
      onRefusedMetric,
      unacknowledged,
    }, sequence);
    if (previous !== undefined) {
      const fields = { client: name, address: this.#address, instance, previous };
      this.#shared.log.warn(
        "A client changed its instance id, because another client uses it as well",
        fields,
      );
    }
    const last = client.numbers.checks.upTo(sequence);
    await writeAll(conn, encodeFrame("", { type: "welcome", sequence, maxSeries, last }));
    return receiver;
  }

  /** A client whose `client_name` was changed continues with its numbers: only its name is new. */
  #noticeNewName(client: ClientRecord): void {
    let last: ClientRecord | undefined;
    for (const record of client.numbers.records) {
      if (record !== client && (!last || record.lastContactMs > last.lastContactMs)) last = record;
    }
    if (!last) return;
    const fields = { client: client.name, address: this.#address, before: last.name };
    this.#shared.log.info("The client has a new name", fields);
  }

  /** Why this client would be refused now, if it would be: networks or tokens may have changed. */
  recheck(): string | undefined {
    return this.#shared.admission.recheck(this.#peer, this.#grant);
  }

  /** Points of this client would come back here, if they would. */
  #loopProblem(instance: string, upstream: readonly string[] = []): string | undefined {
    const { identity } = this.#shared;
    if (instance === identity.id) {
      return "it is this server itself: its plugins.relay-client.relay_server must name another one";
    }
    if (!upstream.includes(identity.id)) return undefined;
    return "it gets points from this server, so they would go round in a loop: remove one of the connections " +
      "(plugins.relay-client.relay_server of each hop)";
  }

  /**
   * @param problem Why the client is refused anyway.
   * @returns what this client may do, or why it is refused; a refusal has been logged
   */
  #admit(name: string, token?: string, problem?: string): Grant | string {
    const { tls, admission } = this.#shared;
    let reason = this.#unwanted ?? problem;
    if (tls?.mode === "required" && !this.#secure) reason ??= "this server only accepts TLS connections";
    const grant = reason ?? admission.check({ ...this.#peer, name, token });
    if (typeof grant === "string") admission.refuse({ client: name, address: this.#address, reason: grant });
    else this.#grant = grant;
    return grant;
  }
}
