/**
 * The relay client: sends all points to a relay server, ours or a real Alumet agent, and is an output like any other.
 *
 * A server of ours acknowledges batches (see {@linkcode ./client/acknowledged.ts}), a real one does not
 * (see {@linkcode ./client/plain.ts}). What did not arrive on one connection is sent again on the next.
 */
import { RetryError } from "@std/async/retry";
import { isLoopback } from "./net/address.ts";
import { Declined, greet, readMessage, Refused, type Welcomed } from "./client/handshake.ts";
import { AcknowledgedSender } from "./client/acknowledged.ts";
import { dial, type Dialled } from "./client/dial.ts";
import { formatDuration } from "./base/duration.ts";
import { type IntervalClock, PROCESS_CLOCK } from "./base/clock.ts";
import { BoundedLog, type LineLimits } from "./base/complaint.ts";
import { EXIT, ExitError, messageOf } from "./base/errors.ts";
import { Timer } from "./base/timers.ts";
import type { FrameReader } from "./wire/frames.ts";
import type { BatchReader } from "./journal.ts";
import { closeQuietly, EitherSignal, onAbort, withTimeLimit } from "./base/waiting.ts";
import { Outbox, type SenderStats } from "./client/outbox.ts";
import type { Output, PluginContext } from "./plugin.ts";
import type { Upstream } from "./points/upstream.ts";
import { PointEncoder } from "./wire/point_encoder.ts";
import { type RelayClientConfig, TLS_KEYS, usesTls } from "./client/config.ts";
import { retrying } from "./client/retrying.ts";
import { Secret } from "./base/secrets.ts";
import { PlainSender } from "./client/plain.ts";

/** How long a server has to close its side at the end, in ms. */
const MAX_CLOSE_MS = 1000;
/** Retries without an end. */
const PATIENT_TIMES = 1_000_000_000;

/** Of each kind: a server that is away for long, or refuses this client, is news at first. */
const LOG_LIMITS: LineLimits = {
  error: { burst: 10, perMinute: 1 },
  warn: { burst: 10, perMinute: 1 },
  info: { burst: 10, perMinute: 1 },
};

/** Timeouts that are not configured, in milliseconds. */
export interface ClientLimits {
  /** To connect to one address. @default {10000} */
  connectMs: number;
  /** To resolve the server's name. @default {10000} */
  resolveMs: number;
  /** From the connection to the server's whole answer. @default {10000} */
  handshakeMs: number;
  /** Silence after which a server that owes an acknowledgement counts as gone. @default {20000} */
  silenceMs: number;
  /** Time without a new acknowledgement after which the log says that a server takes nothing. @default {30000} */
  stalledMs: number;
}

export const DEFAULT_LIMITS: ClientLimits = {
  connectMs: 10_000,
  resolveMs: 10_000,
  handshakeMs: 10_000,
  silenceMs: 20_000,
  stalledMs: 30_000,
};

/** The two ways of sending, and what they share. */
interface Ways {
  readonly outbox: Outbox;
  /** To real Alumet servers. */
  readonly plain: PlainSender;
  /** To servers of ours. */
  readonly acknowledged: AcknowledgedSender;
}

/** A connection was established, and then lost. */
class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** The server has to know more about this hop than it was told. */
class NewIntroduction extends Error {
  override readonly name = "NewIntroduction";
}

type ClientContext =
  & Pick<PluginContext, "log" | "fail" | "keepsOnDisk" | "identity" | "clients">
  & { readonly clock?: IntervalClock };

/** The relay client of one server. */
export class RelayClient implements Output {
  /** A server identifies batches by their numbers in this journal. */
  readonly onlyDurable = true;
  #config: RelayClientConfig;
  /** What {@linkcode Ways} are given. */
  readonly #buffer: { maxBytes: number; timeoutMs: number };
  readonly #limits: ClientLimits;
  readonly #clock: IntervalClock;
  readonly #log: BoundedLog;
  readonly #fail: (error: Error) => void;
  readonly #keepsOnDisk: boolean;
  /** The retries are exhausted, and the journal on disk keeps the points: it retries every max_delay. */
  #patient = false;
  readonly #identity: ClientContext["identity"];
  readonly #upstream: Upstream;
  /** How many hops the server has been told of. */
  #introducedHops = 0;
  /** The id before, until a server has been told that it has changed. */
  #previousId: string | undefined;
  readonly #token: Secret;
  readonly #stats: SenderStats = {
    sentPoints: 0,
    sentMessages: 0,
    sentBytes: 0,
    acknowledgedPoints: 0,
    resentPoints: 0,
    unsendablePoints: 0,
  };
  #connections = 0;
  #conn: Dialled | null = null;
  /** The server that has accepted this client, while it is connected. */
  #server: string | undefined;
  #attempts = 0;
  /** Why a server did not want this client at the last try. */
  #declined: string | undefined;
  /** The last try has failed. */
  isTargetAway = false;

  constructor(
    config: RelayClientConfig,
    { log, clock = PROCESS_CLOCK, fail, keepsOnDisk, identity, clients }: ClientContext,
    limits = DEFAULT_LIMITS,
  ) {
    this.#config = config;
    this.#buffer = { maxBytes: config.buffer_max_length, timeoutMs: config.buffer_timeout };
    this.#limits = limits;
    this.#clock = clock;
    this.#log = new BoundedLog(log, clock, LOG_LIMITS);
    this.#fail = fail;
    this.#keepsOnDisk = keepsOnDisk;
    this.#identity = identity;
    this.#upstream = clients.upstream;
    this.#token = new Secret(config.token, config.token_file, "plugins.relay-client.token_file");
  }

  get stats(): Readonly<Record<string, number>> {
    return { ...this.#stats, connections: this.#connections };
  }

  get connectedTo(): string | undefined {
    return this.#server;
  }

  reconfigure(config: RelayClientConfig): void {
    this.#config = config;
    this.#buffer.maxBytes = config.buffer_max_length;
    this.#buffer.timeoutMs = config.buffer_timeout;
  }

  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    using _closing = onAbort(signal, () => this.#close());
    const { client_name } = this.#config;
    const buffer = this.#buffer;
    const outbox = new Outbox(reader);
    const ways: Ways = {
      outbox,
      plain: new PlainSender(outbox, new PointEncoder(client_name), buffer, this.#stats, this.#clock),
      acknowledged: new AcknowledgedSender(outbox, buffer, this.#stats, this.#log, this.#clock),
    };
    try {
      // Each turn is a connection that held, or the end of the retries; the next turn counts retries from zero.
      while (!await this.#connected(ways, signal));
    } catch (error) {
      if (signal.aborted) return;
      this.#fail(this.#givingUp(error));
      // The process stops now; until then this output takes no further points.
    } finally {
      this.#close();
      this.#log.catchUp();
    }
  }

  /** @returns whether everything has been sent and nothing more will come. */
  async #connected(ways: Ways, signal: AbortSignal): Promise<boolean> {
    this.#attempts = 0;
    const { retry } = this.#config;
    const patience = {
      ...retry,
      max_times: PATIENT_TIMES,
      initial_delay: retry.max_delay,
      multiplier: undefined,
    };
    try {
      return await retrying(
        () => this.#tryServers(ways, signal),
        this.#patient ? patience : retry,
        signal,
        (error) => !(error instanceof Refused),
        (error) => error instanceof Declined,
      );
    } catch (error) {
      if (!(error instanceof RetryError) || !this.#keepsOnDisk) throw error;
      if (!this.#patient) {
        this.#log.error("The relay server is away, measurements are kept on disk while it retries", {
          every: formatDuration(retry.max_delay),
          reason: this.#givingUp(error).message,
        });
      }
      this.#patient = true;
      return false;
    }
  }

  /** Connects to the first server that accepts this client. @throws the last failure, if none does. */
  async #tryServers(ways: Ways, signal: AbortSignal): Promise<boolean> {
    this.#attempts++;
    let failure: unknown;
    for (const server of this.#config.relay_server) {
      try {
        return await this.#session(server, ways, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        this.isTargetAway = true;
        const isLost = error instanceof ConnectionLost;
        // A refusal is final, unless another server may accept this client.
        if (!(error instanceof Refused)) {
          const reason = error instanceof Declined ? error.message : undefined;
          const isKnown = reason !== undefined && reason === this.#declined;
          this.#declined = reason;
          this.#log[(this.#patient || isKnown) && !isLost ? "debug" : "warn"](
            isLost ? "Connection lost" : "Cannot connect",
            { server, attempt: this.#attempts, reason: messageOf(error) },
          );
        } else if (this.#config.relay_server.length > 1) {
          this.#log.error("A relay server refuses this client", { server, reason: error.message });
        }
        if (!(failure instanceof Error) || !(error instanceof Refused)) failure = error;
        if (isLost) break;
      }
    }
    throw failure;
  }

  #givingUp(error: unknown): Error {
    const { relay_server, retry } = this.#config;
    if (error instanceof Refused) return new ExitError(EXIT.unavailable, error.message);
    if (!(error instanceof RetryError)) return error instanceof Error ? error : new Error(String(error));
    const tries = retry.max_times + 1;
    return new ExitError(
      EXIT.unavailable,
      `Cannot reach the relay server ${
        relay_server.join(", ")
      } (plugins.relay-client.relay_server): given up after ${tries} ` +
        `${tries === 1 ? "try" : "tries"}, the last one failed with: ${messageOf(error.cause)}`,
      { cause: error.cause },
    );
  }

  /**
   * One connection, from resolving the name to its end.
   *
   * @returns `true` when everything has been sent, `false` when the connection was lost after it had held for
   * `max_delay`. @throws when it failed earlier.
   */
  async #session(server: string, ways: Ways, signal: AbortSignal): Promise<boolean> {
    const conn = await dial(server, {
      ...this.#limits,
      connect: Deno.connect,
      tls: usesTls(this.#config.tls) ? { ...this.#config.tls, keys: TLS_KEYS } : undefined,
      log: this.#log,
      signal,
    });
    this.#conn = conn;
    const lost = new AbortController();
    let began = Infinity;
    try {
      const { frames, welcome } = await this.#handshake(server, conn, ways, signal);
      began = this.#clock.monotonicMs();
      this.#server = server;
      this.#declined = undefined;
      this.isTargetAway = false;
      this.#connections++;
      const { plain, acknowledged } = ways;
      const watch = this.#watch(server, conn, frames, welcome ? acknowledged : null, lost);
      using either = new EitherSignal(signal, lost.signal);
      const introduceAgain = () => {
        if (!welcome || this.#upstream.ids.length === this.#introducedHops) return;
        lost.abort(new NewIntroduction());
        // A write may be waiting for the server.
        this.#close();
      };
      using _ = this.#upstream.onChange(introduceAgain);
      introduceAgain();
      try {
        if (welcome) {
          plain.reset();
          await acknowledged.run(conn, welcome, either.signal);
        } else await plain.run(conn, either.signal);
        await conn.closeWrite();
        await withTimeLimit(watch, MAX_CLOSE_MS, signal).catch(() => {});
        return true;
      } finally {
        this.#close();
        await watch;
      }
    } catch (error) {
      if (signal.aborted || began === Infinity) throw error;
      if (lost.signal.reason instanceof NewIntroduction) {
        this.#log.info("Connecting again, because another hop sends to this one", { server });
        return false;
      }
      const io = error === lost.signal.reason ||
        Object.values(Deno.errors).some((type) => error instanceof type);
      const reason = messageOf(io ? lost.signal.reason : error);
      if (this.#clock.monotonicMs() - began < this.#config.retry.max_delay) throw new ConnectionLost(reason);
      this.#patient = false;
      this.#log.warn("Connection lost", { server, reason });
      return false;
    } finally {
      this.#close();
    }
  }

  /** @throws when the server does not accept this client. */
  async #handshake(
    server: string,
    conn: Dialled,
    ways: Ways,
    signal: AbortSignal,
  ): Promise<{ frames: FrameReader; welcome: Welcomed | null }> {
    const hops = this.#upstream.ids;
    this.#introducedHops = hops.length;
    const { frames, answer, welcome } = await greet(conn, {
      clientName: this.#config.client_name,
      instance: this.#identity.id,
      previous: this.#previousId,
      upstream: this.#upstream.receives ? hops : undefined,
      token: () => this.#tokenFor(server, conn),
      server,
      tlsKeys: TLS_KEYS,
      timeoutMs: this.#limits.handshakeMs,
    });
    const { reader } = ways.outbox;
    if (welcome) {
      this.#previousId = undefined;
      const isOwn = welcome.sequence === 0 || reader.isOwn(welcome.sequence - 1);
      if (!isOwn || !await ways.acknowledged.isSame(welcome, signal)) await this.#renewId(server, reader);
    }
    const kept = reader.pendingPoints;
    this.#log.info("Connected to the relay server", {
      server,
      server_alumet: answer.alumetVersion,
      server_relay: answer.relayVersion,
    });
    if (this.#patient) {
      this.#log.info("The relay server is back, sending what was kept", { points: kept });
    }
    return { frames, welcome };
  }

  /**
   * The server has batches under this client's id that are not this client's: its numbers would be taken for those of
   * the other one. Nothing is forgotten, everything that is kept is sent under a new id.
   *
   * @throws always: a new connection has to introduce the client again.
   */
  async #renewId(server: string, { pendingPoints }: BatchReader): Promise<never> {
    const instance = this.#identity.id;
    await this.#identity.renewId();
    this.#previousId = instance;
    this.#log.error(
      "The server has points of another client with the instance id of this one: was a machine cloned, or a state " +
        "directory copied or restored? Continuing under a new instance id",
      { server, instance, new_instance: this.#identity.id, kept_points: pendingPoints },
    );
    throw new Error("the instance id has been renewed");
  }

  /** The token, if the connection protects it. @throws if others on the network could read it. */
  #tokenFor(server: string, conn: Dialled): string {
    const problem = this.#token.refresh();
    if (problem) {
      this.#log.error("Cannot read the token again, the previous one stays in use", { reason: problem });
    }
    if (this.#token.value === "" || usesTls(this.#config.tls)) return this.#token.value;
    const { hostname } = conn.remoteAddr as Deno.NetAddr;
    if (isLoopback(hostname)) return this.#token.value;
    throw new Error(
      `the token is not sent to ${server} in clear text: set plugins.relay-client.tls.enable, or remove the token`,
    );
  }

  /** Reads acknowledgements until the server closes the connection, then aborts `lost`. Never rejects. */
  async #watch(
    server: string,
    conn: Dialled,
    frames: FrameReader,
    sender: AcknowledgedSender | null,
    lost: AbortController,
  ): Promise<void> {
    let reason = "the server closed the connection";
    const clock = this.#clock;
    let heard = clock.monotonicMs();
    // When the server last acknowledged something, or owed nothing.
    let moved = heard;
    // What was heard last when the silence was found too long. A process that had no time to read has not heard what
    // was said: it reads until it looks again.
    let overdue = NaN;
    let isStalled = false;
    const { silenceMs, stalledMs } = this.#limits;
    const timer = Timer.every(Math.min(silenceMs, stalledMs) / 4, () => {
      const now = clock.monotonicMs();
      if (!sender?.isUnanswered) heard = moved = now;
      else if (now - heard > silenceMs) {
        if (heard === overdue) {
          reason = `the server has been silent for ${formatDuration(silenceMs)}`;
          this.#close();
        }
        overdue = heard;
      }
      if (now - moved > stalledMs) {
        isStalled = true;
        this.#log.warn("The server takes no more points: its journal is full, or its outputs are behind", {
          server,
        });
      } else if (isStalled) {
        isStalled = false;
        this.#log.info("The server takes points again", { server });
      }
    });
    try {
      while (true) {
        const count = await conn.read(frames.space());
        if (count === null) break;
        heard = clock.monotonicMs();
        frames.received(count);
        while (frames.next()) {
          if (!sender) continue;
          if (sender.acknowledge(readMessage(frames, "acknowledge").sequence)) moved = heard;
        }
      }
    } catch (error) {
      if (this.#conn) reason = messageOf(error);
    }
    timer[Symbol.dispose]();
    lost.abort(new ConnectionLost(reason));
    // A write may still be waiting for a peer that is gone.
    this.#close();
  }

  #close(): void {
    closeQuietly(this.#conn);
    this.#conn = null;
    this.#server = undefined;
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
  }
}
