/**
 * The relay client: sends all points to a relay server, ours or a real Alumet agent, and is an output like any other.
 *
 * A server of ours acknowledges batches (see {@linkcode ./delivery.ts}), a real one does not
 * (see {@linkcode ./sending.ts}); what a connection did not bring there is sent again on the next one.
 */
import { deadline } from "@std/async/deadline";
import { retry, RetryError } from "@std/async/retry";
import { addressProblem, isLoopback, parseAddress } from "./address.ts";
import type { Advice } from "./config/advice.ts";
import { Delivery } from "./delivery.ts";
import { dial, type Dialled, explainTls } from "./dial.ts";
import { formatDuration } from "./duration.ts";
import { EXIT, ExitError, messageOf } from "./errors.ts";
import { FrameReader } from "./frames.ts";
import type { BatchReader } from "./journal.ts";
import type { Logger } from "./log.ts";
import { Outbox } from "./outbox.ts";
import { definePlugin, type Output, type PluginContext } from "./plugin.ts";
import { PointEncoder } from "./point_encoder.ts";
import { PostcardReader } from "./postcard.ts";
import {
  acknowledges,
  ALUMET_VERSION,
  type ControlMessage,
  encodeFrame,
  type GreetResponse,
  MESSAGE_END,
  OUR_RELAY_VERSION,
  PROTOCOL_VERSION,
  readControlMessage,
  type Welcome,
} from "./protocol.ts";
import {
  duration,
  flag,
  type Infer,
  integer,
  live,
  number,
  oneOrMore,
  optional,
  table,
  text,
} from "./schema.ts";
import { Secret } from "./secrets.ts";
import { type DeliveryStats, Sending } from "./sending.ts";

/** An answer to the greeting has no reason to be larger than this. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** How long a server has to close its side at the end, in ms. */
const MAX_CLOSE_MS = 1000;
/** As many tries as there will ever be. */
const PATIENT_TIMES = 1_000_000_000;

const retryConfig = live(table({
  max_times: integer({
    doc: "Retries to connect after a failure; 0 for none.",
    default: 8,
    min: 0,
    max: 65_535,
  }),
  initial_delay: duration({ doc: "Wait after the first and after the second retry.", default: "500ms" }),
  max_delay: duration({ doc: "Wait between retries after the second.", default: "4s", min: "1ms" }),
  multiplier: optional(
    number({
      doc: "With this, the n-th wait is initial_delay * multiplier^(n-1), up to max_delay.",
      default: 2,
      min: 1,
    }),
  ),
  jitter: number({
    doc: "Share of each wait that is cut off at random, so that clients do not come back all at once.",
    default: 0.1,
    min: 0,
    max: 1,
  }),
}, {
  doc: "What happens when the server cannot be reached.",
  check: ({ initial_delay, max_delay }) => {
    if (initial_delay > max_delay) {
      return { key: "initial_delay", problem: "must not be longer than max_delay" };
    }
  },
}));

const config = table({
  client_name: text({
    doc: "The name of this client: the attribute relay_client of its points.",
    default: () => Deno.hostname(),
    defaultDoc: "the name of this host",
    check: (value) => value === "" ? "must not be empty" : undefined,
  }),
  relay_server: oneOrMore(text({
    doc:
      "The server, by IP address or by name, and its port. Or a list of servers, which are tried in order.",
    default: "[::1]:50051",
    check: (value) => addressProblem(value),
  })),
  buffer_max_length: live(integer({
    doc: "Bytes of encoded measurements that are gathered before all are sent; 0 sends them as they come.",
    default: 4096,
    min: 0,
    max: 30_000_000,
  })),
  buffer_timeout: live(duration({
    doc: "Longest wait before measurements are sent all the same.",
    default: "30s",
  })),
  token: text({
    doc:
      "Shows the server that this client may use its name (alumet-relay token new NAME). It is only sent in TLS, or " +
      "to this host itself.",
    default: "",
    secret: true,
  }),
  token_file: text({ doc: "A file with the token, instead.", default: "", secretFile: true }),
  tls: table({
    enable: flag({ doc: "Speak TLS to the server, which must be one of ours.", default: false }),
    ca: text({
      doc: "PEM file of the CAs that may have signed the server's certificate. Empty: those of the system.",
      default: "",
    }),
    server_name: text({
      doc: "The name in the server's certificate, where it is not the one in relay_server.",
      default: "",
    }),
    cert: text({
      doc: "A certificate of this client, a PEM file, for servers that ask for one.",
      default: "",
    }),
    key: text({ doc: "Its private key, a PEM file.", default: "", secretFile: true }),
  }, {
    doc: "TLS. Files are read again for each connection.",
    check: ({ cert, key }) => {
      if ((cert === "") !== (key === "")) {
        return { key: cert === "" ? "cert" : "key", problem: "must be given with the other of cert and key" };
      }
    },
  }),
  retry: retryConfig,
}, {
  doc: "Sends measurements to a relay server.",
  check: ({ token, token_file }) => {
    if (token !== "" && token_file !== "") {
      return { key: "token_file", problem: "must not be given with token" };
    }
  },
});

export type RelayClientConfig = Infer<typeof config>;
export type RetryConfig = RelayClientConfig["retry"];

/** Timeouts that are not configured, in milliseconds. */
export interface ClientLimits {
  /** To connect to one address. @default {10000} */
  connectMs: number;
  /** To resolve the server's name. @default {10000} */
  resolveMs: number;
  /** From the connection to the server's whole answer. @default {10000} */
  handshakeMs: number;
  /** A server that has something to acknowledge, and gives no sign of life for so long, is gone. @default {20000} */
  silenceMs: number;
}

export const DEFAULT_LIMITS: ClientLimits = {
  connectMs: 10_000,
  resolveMs: 10_000,
  handshakeMs: 10_000,
  silenceMs: 20_000,
};

/** The two ways of sending, and what they share. */
interface Ways {
  readonly outbox: Outbox;
  /** To real Alumet servers. */
  readonly sending: Sending;
  /** To servers of ours. */
  readonly delivery: Delivery;
}

/** The connection was made, and then lost. */
class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** The server will never take us. */
class Refused extends Error {
  override readonly name = "Refused";
}

/**
 * Calls `attempt` until it returns, `max_times` retries at most, with the waits that {@linkcode RetryConfig} says.
 *
 * @throws {RetryError} when all attempts have failed; its `cause` is the last failure.
 * @throws {Refused} at once.
 */
export async function retrying<T>(
  attempt: () => Promise<T>,
  { max_times, initial_delay, max_delay, multiplier, jitter }: RetryConfig,
  signal: AbortSignal,
): Promise<T> {
  const options = { jitter, signal, isRetriable: (error: unknown) => !(error instanceof Refused) };
  if (multiplier !== undefined) {
    return await retry(attempt, {
      ...options,
      minTimeout: initial_delay,
      maxTimeout: max_delay,
      multiplier,
      maxAttempts: max_times + 1,
    });
  }
  let carried: RetryError;
  try {
    return await retry(attempt, {
      ...options,
      minTimeout: initial_delay,
      maxTimeout: max_delay,
      multiplier: 1,
      maxAttempts: Math.min(max_times, 2) + 1,
    });
  } catch (error) {
    if (!(error instanceof RetryError) || max_times <= 2) throw error;
    carried = error;
  }
  // The failure of the second retry is the first of this series, so that its wait is max_delay.
  let first = true;
  return await retry(() => {
    if (!first) return attempt();
    first = false;
    throw carried.cause;
  }, { ...options, minTimeout: max_delay, maxTimeout: max_delay, multiplier: 1, maxAttempts: max_times - 1 });
}

type ClientContext = Pick<PluginContext, "log" | "fail" | "keepsOnDisk" | "identity">;

/** The relay client of one server. */
export class RelayClient implements Output {
  #config: RelayClientConfig;
  /** What {@linkcode Ways} are given. */
  readonly #buffer: { maxBytes: number; timeoutMs: number };
  readonly #limits: ClientLimits;
  readonly #log: Logger;
  readonly #fail: (error: Error) => void;
  readonly #keepsOnDisk: boolean;
  /** The retries are exhausted, and what is measured is kept on disk: there is a try every max_delay. */
  #patient = false;
  readonly #identity: ClientContext["identity"];
  readonly #token: Secret;
  readonly #stats: DeliveryStats = {
    sent_points: 0,
    sent_messages: 0,
    sent_bytes: 0,
    acknowledged_points: 0,
    resent_points: 0,
    unsendable_points: 0,
  };
  #connections = 0;
  #conn: Dialled | null = null;
  #attempts = 0;

  constructor(
    config: RelayClientConfig,
    { log, fail, keepsOnDisk, identity }: ClientContext,
    limits = DEFAULT_LIMITS,
  ) {
    this.#config = config;
    this.#buffer = { maxBytes: config.buffer_max_length, timeoutMs: config.buffer_timeout };
    this.#limits = limits;
    this.#log = log;
    this.#fail = fail;
    this.#keepsOnDisk = keepsOnDisk;
    this.#identity = identity;
    this.#token = new Secret(config.token, config.token_file, "plugins.relay-client.token_file");
  }

  get stats(): Readonly<Record<string, number>> {
    return { ...this.#stats, connections: this.#connections };
  }

  reconfigure(config: RelayClientConfig): void {
    this.#config = config;
    this.#buffer.maxBytes = config.buffer_max_length;
    this.#buffer.timeoutMs = config.buffer_timeout;
  }

  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    const onAbort = () => this.#close();
    signal.addEventListener("abort", onAbort, { once: true });
    const { client_name } = this.#config;
    const buffer = this.#buffer;
    const outbox = new Outbox(reader);
    const ways: Ways = {
      outbox,
      sending: new Sending(outbox, new PointEncoder(client_name), buffer, this.#stats),
      delivery: new Delivery(outbox, buffer, this.#stats, this.#log),
    };
    try {
      // Each turn is a connection that held, or the end of the retries; they count anew.
      while (!await this.#connected(ways, signal));
    } catch (error) {
      if (signal.aborted) return;
      this.#fail(this.#givingUp(error));
      // The rest of the process is told to stop; until it does, what comes is not taken.
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#close();
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
      return await retrying(() => this.#tryServers(ways, signal), this.#patient ? patience : retry, signal);
    } catch (error) {
      if (!(error instanceof RetryError) || !this.#keepsOnDisk) throw error;
      if (!this.#patient) {
        this.#log.error(`${this.#givingUp(error).message}; measurements are kept on disk, trying on`, {
          every: formatDuration(retry.max_delay),
        });
      }
      this.#patient = true;
      return false;
    }
  }

  /** The first server that takes this client. @throws what the last one failed with, if there is none. */
  async #tryServers(ways: Ways, signal: AbortSignal): Promise<boolean> {
    this.#attempts++;
    let failure: unknown;
    for (const server of this.#config.relay_server) {
      try {
        return await this.#session(server, ways, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        const isLost = error instanceof ConnectionLost;
        // A refusal is final where no other server may take us.
        if (!(error instanceof Refused)) {
          this.#log[this.#patient && !isLost ? "debug" : "warn"](
            isLost ? "Connection lost" : "Cannot connect",
            { server, attempt: this.#attempts, reason: messageOf(error) },
          );
        } else if (this.#config.relay_server.length > 1) this.#log.error(error.message);
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
   * One connection, from the name's resolution to its end.
   *
   * @returns `true` when everything has been sent, `false` when the connection was lost after it had held for
   * `max_delay`. @throws when it failed before.
   */
  async #session(server: string, ways: Ways, signal: AbortSignal): Promise<boolean> {
    const conn = await dial(server, {
      ...this.#limits,
      tls: this.#config.tls.enable ? this.#config.tls : undefined,
      log: this.#log,
      signal,
    });
    this.#conn = conn;
    const lost = new AbortController();
    let began = Infinity;
    try {
      const { frames, welcome } = await this.#handshake(server, conn, ways.outbox.reader);
      began = performance.now();
      this.#connections++;
      const { sending, delivery } = ways;
      const watch = this.#watch(conn, frames, welcome ? delivery : null, lost);
      const either = AbortSignal.any([signal, lost.signal]);
      try {
        if (welcome) {
          sending.reset();
          await delivery.run(conn, welcome, either);
        } else await sending.run(conn, either);
        await conn.closeWrite();
        await deadline(watch, MAX_CLOSE_MS, { signal }).catch(() => {});
        return true;
      } finally {
        this.#close();
        await watch;
      }
    } catch (error) {
      if (signal.aborted || began === Infinity) throw error;
      const io = error === lost.signal.reason ||
        Object.values(Deno.errors).some((type) => error instanceof type);
      const reason = messageOf(io ? lost.signal.reason : error);
      if (performance.now() - began < this.#config.retry.max_delay) throw new ConnectionLost(reason);
      this.#patient = false;
      this.#log.warn("Connection lost", { server, reason });
      return false;
    } finally {
      this.#close();
    }
  }

  /** Greets; a server of ours is told who this is, and says what it has. */
  async #handshake(
    server: string,
    conn: Dialled,
    reader: BatchReader,
  ): Promise<{ frames: FrameReader; welcome: Welcome | null }> {
    const { client_name } = this.#config;
    const frames = new FrameReader(MAX_ANSWER_BYTES);
    const { handshakeMs } = this.#limits;
    const greeting = encodeFrame(client_name, {
      type: "greet",
      alumetVersion: ALUMET_VERSION,
      relayVersion: OUR_RELAY_VERSION,
      protocolVersion: PROTOCOL_VERSION,
    });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#close();
    }, handshakeMs);
    let answer: GreetResponse;
    let welcome: Welcome | null = null;
    try {
      await write(conn, greeting);
      answer = await readAnswer(conn, frames, "greetResponse");
      if (answer.accept && acknowledges(answer.relayVersion)) {
        await write(
          conn,
          encodeFrame(client_name, {
            type: "hello",
            instance: this.#identity.id,
            token: this.#tokenFor(server, conn),
          }),
        );
        const reply = await readAnswer(conn, frames, "welcome", "refuse");
        if (reply.type === "refuse") throw new Error(`the server refuses this client: ${reply.reason}`);
        welcome = reply;
      }
    } catch (error) {
      if (late) {
        throw new Error(`the server accepted, and did not answer within ${formatDuration(handshakeMs)}`);
      }
      // In TLS 1.3 a server that does not like our certificate says so after the handshake.
      if (/fatal alert/.test(messageOf(error))) {
        throw new Error(explainTls(messageOf(error)), { cause: error });
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
    const versions = { server_alumet: answer.alumetVersion, server_relay: answer.relayVersion };
    if (!answer.accept) {
      throw new Refused(
        `The relay server ${server} refuses this client: it speaks version ${answer.protocolVersion} of the ` +
          `protocol, this client version ${PROTOCOL_VERSION}; run versions that agree at both ends`,
      );
    }
    if (welcome && welcome.sequence > reader.lastPosition + 1) {
      // Its numbers would be used for other points, which the server would take for duplicates.
      // What the journal kept from before is the same.
      if (reader.position < 0) reader.resumeAfter(welcome.sequence - 1);
      const instance = this.#identity.id;
      await this.#identity.renewId();
      this.#log.error(
        "The server has more of this client than its journal ever had: was the state directory restored or copied? " +
          "It goes on under a new instance id",
        { server, instance },
      );
      throw new Error("the instance id has been renewed");
    }
    const kept = reader.pendingPoints;
    this.#log.info("Connected to the relay server", { server, ...versions });
    if (this.#patient) {
      this.#log.info("The relay server is back, what was kept is sent", { points: kept });
    }
    return { frames, welcome };
  }

  /** The token, where nobody on the way can read it. @throws where somebody could. */
  #tokenFor(server: string, conn: Dialled): string {
    const problem = this.#token.refresh();
    if (problem) this.#log.error(`${problem}; going on with the token before`);
    if (this.#token.value === "" || this.#config.tls.enable) return this.#token.value;
    const { hostname } = conn.remoteAddr as Deno.NetAddr;
    if (isLoopback(hostname)) return this.#token.value;
    throw new Error(
      `the token is not sent to ${server} in clear text: set plugins.relay-client.tls.enable, or remove the token`,
    );
  }

  /** Reads acknowledgements until the server's end of the connection, and says so. Never rejects. */
  async #watch(
    conn: Dialled,
    frames: FrameReader,
    delivery: Delivery | null,
    lost: AbortController,
  ): Promise<void> {
    let reason = "the server closed the connection";
    let heard = performance.now();
    const { silenceMs } = this.#limits;
    const timer = setInterval(() => {
      if (!delivery?.waiting) heard = performance.now();
      else if (performance.now() - heard > silenceMs) {
        reason = `the server has been silent for ${formatDuration(silenceMs)}`;
        this.#close();
      }
    }, silenceMs / 4);
    try {
      while (true) {
        const count = await conn.read(frames.space());
        if (count === null) break;
        heard = performance.now();
        frames.received(count);
        while (frames.next()) {
          if (!delivery) continue;
          delivery.acknowledge(readMessage(frames, "acknowledge").sequence);
        }
      }
    } catch (error) {
      if (this.#conn) reason = messageOf(error);
    }
    clearInterval(timer);
    lost.abort(new ConnectionLost(reason));
    // A write may still wait for a peer that has gone.
    this.#close();
  }

  #close(): void {
    try {
      this.#conn?.close();
    } catch { /* closed before */ }
    this.#conn = null;
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
  }
}

async function write(conn: Dialled, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
}

type MessageOf<T extends ControlMessage["type"]> = Extract<ControlMessage, { type: T }>;

/** The message in the frame that was found. @throws if it is none of these. */
function readMessage<T extends ControlMessage["type"]>(frames: FrameReader, ...types: T[]): MessageOf<T> {
  const reader = new PostcardReader(frames.bytes, frames.start, frames.end);
  reader.string();
  const discriminant = reader.discriminant(MESSAGE_END);
  const message = readControlMessage(reader, discriminant);
  if (!(types as string[]).includes(message.type)) {
    throw new Error(`the server sent message number ${discriminant}, not ${types[0]}`);
  }
  return message as MessageOf<T>;
}

/** The server's next message. */
async function readAnswer<T extends ControlMessage["type"]>(
  conn: Dialled,
  frames: FrameReader,
  ...types: T[]
): Promise<MessageOf<T>> {
  while (!frames.next()) {
    const count = await conn.read(frames.space());
    if (count === null) {
      throw new Error(`the server closed the connection instead of answering (${types[0]})`);
    }
    frames.received(count);
  }
  return readMessage(frames, ...types);
}

export const relayClient = definePlugin({
  name: "relay-client",
  kind: "output",
  description: "Sends measurements to a relay server over TCP",
  config,
  // deno-lint-ignore require-await
  open: async (options: RelayClientConfig, context: PluginContext): Promise<Output> =>
    new RelayClient(options, context),
  advise({ relay_server, token, token_file, tls }: RelayClientConfig): Advice[] {
    if (tls.enable || (token === "" && token_file === "")) return [];
    return relay_server.filter((server) => !isLoopback(parseAddress(server).hostname)).map((server) => ({
      path: ["relay_server"],
      problem: `${server} is not told the token, which everybody on the way could read: set tls.enable`,
    }));
  },
});
