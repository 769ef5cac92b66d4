/** The server: its address, what proves that we may write to it, and what it can do. */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { Secret } from "../../base/secrets.ts";
import { authoritiesIn } from "../http/keys.ts";
import type { Backoff } from "../../base/backoff.ts";
import { judgeStatus, type Verdict } from "../http/verdict.ts";
import { type HttpReply, HttpSender } from "../http/sender.ts";
import type { InfluxConfig } from "./config.ts";

export interface ServerOptions {
  /** Waits after failures: short in tests. */
  backoff?: Backoff;
}

/** Where lines are posted to. */
export function writeUrl(config: InfluxConfig): string {
  const url = new URL(config.host);
  const base = url.pathname.replace(/\/+$/, "");
  if (config.api === "v1") {
    url.pathname = `${base}/write`;
    url.searchParams.set("db", config.database);
    if (config.retention_policy !== "") url.searchParams.set("rp", config.retention_policy);
  } else {
    url.pathname = `${base}/api/v2/write`;
    if (config.org !== "") url.searchParams.set("org", config.org);
    url.searchParams.set("bucket", config.bucket);
  }
  url.searchParams.set("precision", "ns");
  return url.href;
}

/** What says in its answer which server it is. */
function pingUrl(config: InfluxConfig): string {
  const url = new URL(config.host);
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/ping`;
  return url.href;
}

/**
 * Whether a server has unsigned fields, by the headers of its answer: InfluxDB 1 has none (but for builds with a flag),
 * InfluxDB 2 and later and VictoriaMetrics have. Who does not say what he is is taken for a server of his API's time.
 */
export function hasUnsigned(headers: Headers, api: InfluxConfig["api"]): boolean {
  // VictoriaMetrics calls itself InfluxDB 1.8.
  if (headers.has("x-server-hostname")) return true;
  const version = headers.get("x-influxdb-version");
  if (version === null) return api === "v2";
  return !/^v?[01]\./.test(version);
}

/** What InfluxDB 2 calls an error of its own, though it is that of a point. */
const CONFLICT = /field type conflict/;

/** What an answer to a write means: InfluxDB answers without words when it has taken points, so a login page is not its answer. */
export function judge({ status, text }: HttpReply): Verdict {
  const verdict = judgeStatus(status);
  if (verdict === "taken") return text.trim() === "" ? "taken" : "misconfigured";
  return status === 500 && CONFLICT.test(text) ? "refused" : verdict;
}

/** What an answer to a ping means: whether it may come from InfluxDB. */
function judgePing({ status, text }: HttpReply): Verdict {
  if (status >= 500 || status === 429) return "later";
  return judgeStatus(status) === "taken" && /^\s*</.test(text) ? "misconfigured" : "taken";
}

/** One server with one place to write to. */
export class InfluxServer implements Disposable {
  readonly sender: HttpSender;
  readonly #config: InfluxConfig;
  readonly #token: Secret;
  readonly #password: Secret;
  readonly #log: Logger;

  private constructor(
    config: InfluxConfig,
    sender: HttpSender,
    [token, password]: readonly [Secret, Secret],
    log: Logger,
  ) {
    this.#config = config;
    this.sender = sender;
    this.#token = token;
    this.#password = password;
    this.#log = log;
  }

  /** @throws {ExitError} 78 if a file with a secret or with certificates cannot be used. */
  static async open(
    config: InfluxConfig,
    context: { log: Logger; clock: Clock },
    options: ServerOptions = {},
  ): Promise<InfluxServer> {
    const token = new Secret(config.token, config.token_file, "plugins.influxdb.token_file");
    const password = new Secret(config.password, config.password_file, "plugins.influxdb.password_file");
    const refresh = () => {
      for (const secret of [token, password]) {
        const problem = secret.refresh();
        if (problem !== undefined) context.log.debug(problem);
      }
    };
    const authorization = () => {
      if (token.value !== "") return { authorization: `Token ${token.value}` };
      if (config.username === "") return undefined;
      return { authorization: `Basic ${base64(`${config.username}:${password.value}`)}` };
    };
    const sender = await HttpSender.open({
      target: `${
        config.api === "v1" ? `database ${config.database}` : `bucket ${config.bucket}`
      } at ${config.host}`,
      url: writeUrl(config),
      headers: () => ({
        "content-type": "text/plain; charset=utf-8",
        "accept": "application/json",
        ...authorization(),
      }),
      secrets: () => [token.value, password.value, authorization()?.authorization ?? ""],
      gzip: config.gzip,
      timeoutMs: config.timeout,
      backoff: options.backoff,
      caCerts: authoritiesIn(config.ca_file, "plugins.influxdb.ca_file"),
      judge,
      advise: (reply) => adviceFor(reply, config),
      beforeRetry: refresh,
    }, context);
    return new InfluxServer(config, sender, [token, password], context.log);
  }

  /** Other secrets, from the next request on. */
  reconfigure(config: InfluxConfig): void {
    const problems = [
      this.#token.change(config.token, config.token_file),
      this.#password.change(config.password, config.password_file),
    ];
    for (const problem of problems) if (problem !== undefined) this.#log.error(problem);
    this.sender.hurry();
  }

  /** Asks until there is an answer. @throws the signal's reason once it is aborted. */
  async hasUnsigned(signal: AbortSignal): Promise<boolean> {
    const { unsigned, api } = this.#config;
    if (unsigned !== "auto") return unsigned === "unsigned";
    const { reply } = await this.sender.get(pingUrl(this.#config), signal, judgePing);
    return hasUnsigned(reply.headers, api);
  }

  [Symbol.dispose](): void {
    this.sender[Symbol.dispose]();
  }
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function adviceFor({ status, headers }: HttpReply, config: InfluxConfig): string | undefined {
  const keys = (...names: string[]) =>
    `check ${names.map((name) => `plugins.influxdb.${name}`).join(" and ")}`;
  if (status === 401 || status === 403 || status === 407) {
    return config.username === ""
      ? keys(config.token_file === "" ? "token" : "token_file")
      : keys("username", "password");
  }
  if (status === 404 || status === 405) {
    // A server that has nothing at this address, or no such database.
    const isV1 = /^v?1\./.test(headers.get("x-influxdb-version") ?? "");
    if (config.api === "v2") {
      return isV1 ? 'this server needs api = "v1" and database' : keys("host", "org", "bucket");
    }
    return keys("host", "database") + "; a database is made with CREATE DATABASE";
  }
  if (status >= 300 && status < 400) return keys("host");
  if (status < 300) return `this is not an answer of InfluxDB; ${keys("host")}`;
}
