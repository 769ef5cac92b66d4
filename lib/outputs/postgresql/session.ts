/** One connection to the database: made by whichever way the settings allow, with a limit for each answer. */
import { abortable } from "@std/async/abortable";
import { Timer } from "../../base/timers.ts";
import { TimeLimit, within } from "../../base/waiting.ts";
import { ChunkPool, CopyIn, type FillChunk } from "./copy_in.ts";
import type { Client, ClientClass, ClientOptions, QueryResult } from "./pg.ts";
import type { Encryption, Host, Settings } from "./settings.ts";
import { describe, INVALID_PASSWORD, sqlstateOf } from "./sqlstate.ts";

/** Bytes of COPY data in one write. */
const CHUNK_BYTES = 64 * 1024;
/** How much longer than the database's own limit an answer may take, in ms. */
const GRACE_MS = 5000;
/** How long the server may take to hear that we leave, in ms. */
const GOODBYE_MS = 500;
/** The oldest version that has all that we use. */
const OLDEST_VERSION = 12;

/** What the server says of itself and of this session. */
export interface Backend {
  readonly pid: number;
  /** With the pid, says which process it is. */
  readonly started: string;
  /** Such as 150018. */
  readonly version: number;
  readonly readOnly: boolean;
  /** Commits are not waited for; each transaction has to ask for it. */
  readonly asynchronous: boolean;
}

/** The server is there, or at least not known to be away, and says nothing. */
class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

/** No connection was made. `attempts` says of each address why. */
class ConnectError extends Error {
  override readonly name = "ConnectError";
}

const BACKEND = `SELECT pg_backend_pid() AS pid,
  (SELECT backend_start::text FROM pg_stat_get_activity(pg_backend_pid())) AS started,
  current_setting('server_version_num') AS version,
  current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery() AS read_only,
  current_setting('synchronous_commit') = 'off' AS asynchronous`;

const SAID = { plain: "unencrypted", tls: "encrypted" } as const;

/** Ways to talk, in the order of libpq; the next one is only tried after one that the server has not taken. */
function waysOf(host: Host, { mode }: Encryption): ("plain" | "tls")[] {
  if (host.host.startsWith("/")) return ["plain"];
  if (mode === "disable") return ["plain"];
  if (mode === "allow") return ["plain", "tls"];
  return mode === "prefer" ? ["tls", "plain"] : ["tls"];
}

/**
 * Whether a server that has not let us in this way might let us in that way: not one that is not there, and not one that
 * was shown a wrong password, which would then go over the wire in the open.
 */
function isWorthAnotherWay(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  if (error instanceof NoAnswer || code === INVALID_PASSWORD) return false;
  return typeof code !== "string" || sqlstateOf(error) !== "" || code === "ECONNRESET" || code === "EPIPE" ||
    code.startsWith("ERR_");
}

function tlsOf({ mode, authorities, certificate, key }: Encryption): ClientOptions["ssl"] {
  const login = certificate !== null && key !== null ? { cert: certificate, key } : {};
  if (mode !== "verify-ca" && mode !== "verify-full") return { rejectUnauthorized: false, ...login };
  return {
    rejectUnauthorized: true,
    ...(authorities === null ? {} : { ca: authorities }),
    ...(mode === "verify-ca" ? { checkServerIdentity: () => undefined } : {}),
    ...login,
  };
}

export class Session implements AsyncDisposable {
  readonly #client: Client;
  readonly #timeoutMs: number;
  #chunks: ChunkPool | null = null;
  #lost = false;

  private constructor(
    client: Client,
    readonly host: Host,
    readonly backend: Backend,
    readonly encrypted: boolean,
    timeoutMs: number,
  ) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
    client.on("end", () => this.#lost = true);
    client.on("error", () => this.#lost = true);
  }

  /**
   * Connects to the first server of the list that can be written to.
   *
   * @param timeoutMs For each statement.
   * @throws {ConnectError} that says of each server why not.
   */
  static async open(settings: Settings, timeoutMs: number, signal?: AbortSignal): Promise<Session> {
    const { default: pg } = await import("pg") as unknown as { default: { Client: ClientClass } };
    const failures: string[] = [];
    const encryption = settings.encryption();
    let cause: unknown;
    for (const host of settings.hosts) {
      let failure = "";
      for (const way of waysOf(host, encryption)) {
        signal?.throwIfAborted();
        try {
          const session = await Session.#connect(
            pg.Client,
            settings,
            host,
            way === "tls" && tlsOf(encryption),
            timeoutMs,
            signal,
          );
          if (!session.backend.readOnly) return session;
          await session[Symbol.asyncDispose]();
          failure = "it can only be read from";
          break;
        } catch (error) {
          cause = error;
          const text = describe(error);
          failure = failure === "" || failure === text ? text : `${failure}; ${SAID[way]}: ${text}`;
          if (!isWorthAnotherWay(error)) break;
        }
      }
      failures.push(settings.hosts.length > 1 ? `${host.host}:${host.port}: ${failure}` : failure);
    }
    throw new ConnectError(failures.join(" | "), { cause });
  }

  static async #connect(
    Client: ClientClass,
    settings: Settings,
    host: Host,
    ssl: ClientOptions["ssl"],
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Session> {
    const client = new Client({
      ...host,
      user: settings.user,
      database: settings.database,
      password: () => {
        const password = settings.password(host);
        if (password === undefined) throw new Error("the server asks for a password, and none is configured");
        return password;
      },
      ssl,
      application_name: settings.applicationName,
      options: settings.options,
      connectionTimeoutMillis: 0,
      keepAlive: true,
    });
    // A connection that is lost between two statements is seen by the next one.
    client.on("error", () => {});
    using limit = new TimeLimit(settings.connectTimeoutMs, signal);
    try {
      await abortable(client.connect(), limit.signal);
      const backend = client.query<
        { pid: number; started: string; version: string; read_only: boolean; asynchronous: boolean }
      >(BACKEND);
      const { rows: [row] } = await abortable(backend, limit.signal);
      const version = Number(row.version);
      if (version < OLDEST_VERSION * 10_000) {
        throw new Error(`it is PostgreSQL ${Math.floor(version / 10_000)}, ${OLDEST_VERSION} is needed`);
      }
      const { pid, started, read_only: readOnly, asynchronous } = row;
      return new Session(
        client,
        host,
        { pid, started, version, readOnly, asynchronous },
        ssl !== false,
        timeoutMs,
      );
    } catch (error) {
      await closed(client, true);
      if (limit.isOver) throw new NoAnswer(`no answer within ${settings.connectTimeoutMs / 1000} s`);
      throw error;
    }
  }

  /** The connection is gone, or in an unknown state. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Runs a statement, or several without values. @throws what the database says. */
  query<R = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>> {
    return this.#limited(
      values ? this.#client.query<R>(text, values) : this.#client.query<R>(text),
    );
  }

  /** Runs several statements. */
  async statements(text: string): Promise<QueryResult[]> {
    const results = await this.query(text) as QueryResult | QueryResult[];
    return Array.isArray(results) ? results : [results];
  }

  /** Runs statements with one `COPY … FROM STDIN (FORMAT binary)` among them. @returns their tags. */
  copy(text: string, fill: FillChunk): Promise<string[]> {
    this.#chunks ??= new ChunkPool(CHUNK_BYTES);
    return this.#limited(this.#client.query(new CopyIn(text, this.#chunks, fill)).done);
  }

  /** Cuts the connection. */
  destroy(reason = "cut"): void {
    this.#lost = true;
    cut(this.#client, reason);
  }

  async #limited<T>(answer: Promise<T>): Promise<T> {
    const limitMs = this.#timeoutMs + GRACE_MS;
    using _limit = Timer.after(limitMs, () => this.destroy(`no answer within ${limitMs / 1000} s`));
    try {
      return await answer;
    } catch (error) {
      // After anything but an answer of the database, the state of the connection is unknown.
      if (sqlstateOf(error) === "") this.#lost = true;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closed(this.#client, this.#lost);
  }
}

/** Cuts a connection. One that is just being made would be forgotten open: it is cut when it is there. */
function cut({ connection: { stream } }: Client, reason?: string): void {
  const destroy = () => stream.destroy(reason === undefined ? undefined : new Error(reason));
  if (stream.connecting) stream.once("connect", destroy);
  else destroy();
}

/** Ends a connection, with a goodbye unless it is `lost`. */
async function closed(client: Client, lost: boolean): Promise<void> {
  const { stream } = client.connection;
  const ended = new Promise<void>((resolve) => {
    if (stream.closed) resolve();
    else stream.once("close", () => resolve());
  });
  if (lost) cut(client);
  else client.end().catch(() => {});
  if (!await within(ended, GOODBYE_MS)) cut(client);
}
