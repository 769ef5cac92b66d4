/**
 * Posts bodies over HTTP for outputs: tries until the target has taken a body or refused it permanently, with backoff and
 * Retry-After, a time limit for each try, gzip, and a log that says once, and then once a minute, what is wrong.
 *
 *     const sender = await HttpSender.open({
 *       target: "InfluxDB at http://db:8086",
 *       url: "http://db:8086/write?db=alumet",
 *       headers: () => ({ "content-type": "text/plain; charset=utf-8", authorization: `Token ${token}` }),
 *       secrets: () => [token],
 *     }, context);
 *     const { verdict, reply } = await sender.post(body, signal);
 *     // "taken": commit; "refused": set aside what it refuses, by reply.status and reply.text
 *
 * One request at a time is under way for one caller, so what it sends stays in order; several callers may post at once.
 */
import { type Backoff, backoffMs, DEFAULT_BACKOFF } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { EXIT, ExitError, messageOf, requestProblem } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { onAbort, TimeLimit } from "../../base/waiting.ts";
import { judgeStatus, retryAfterMs, type Verdict } from "./verdict.ts";

/** How much of an answer is kept, in bytes: some servers repeat in it what they do not like. */
const MAX_REPLY_BYTES = 1024 * 1024;
/** How much of an answer stands in the log, in characters. */
const MAX_SHOWN = 300;
/** gzip's fastest: twice the size of its best, at a third of the time. */
const GZIP_LEVEL = 1;

/** The answer to one request. */
export interface HttpReply {
  readonly status: number;
  readonly headers: Headers;
  /** The body's first MiB. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same as text, or what {@linkcode HttpSenderOptions.textOf} makes of it. */
  readonly text: string;
}

/** What has become of a body. */
export interface HttpOutcome {
  readonly verdict: "taken" | "refused";
  readonly reply: HttpReply;
  /** How often it was tried. */
  readonly tries: number;
}

export interface HttpSenderOptions {
  /** What is written to, for the log: `InfluxDB at http://db:8086`. Without secrets. */
  target: string;
  /** Where to post to. Without secrets. */
  url: string;
  /** The headers of the next try: asked each time, so that a token that has changed is used. */
  headers: () => Record<string, string>;
  /** Texts that are replaced by `***` in the log, should the target repeat them. @default none */
  secrets?: () => readonly string[];
  /** Compress bodies. @default {true} */
  gzip?: boolean;
  /** The longest that one try may take, its answer included, in ms. @default {30000} */
  timeoutMs?: number;
  /** @default {DEFAULT_BACKOFF} */
  backoff?: Backoff;
  /** PEM of the certificate authorities to trust beside the system's. @default none */
  caCerts?: readonly string[];
  /** What an answer means. @default what {@linkcode judgeStatus} says of its status */
  judge?: (reply: HttpReply) => Verdict;
  /** What an answer says, where its body is not text. @default its body as UTF-8 */
  textOf?: (bytes: Uint8Array, headers: Headers) => string | undefined;
  /** What somebody should do about an answer that is judged `misconfigured`: `check plugins.influxdb.token`. */
  advise?: (reply: HttpReply) => string | undefined;
  /** Called before a try that follows a failure, for example to read a token file again. */
  beforeRetry?: () => void | Promise<void>;
}

/** What one try has shown. */
export interface HttpProbe {
  /** `later` where there was no answer. */
  readonly verdict: Verdict;
  /** `undefined` where there was no answer. */
  readonly reply?: HttpReply;
}

/** Decides what an answer means; `verdict` is what it means if nothing else is known. `unclear` is tried again. */
export type Judge = (reply: HttpReply, verdict: Verdict) => Verdict | Promise<Verdict>;

/** Counters since the start. */
export interface HttpStats extends Record<string, number> {
  /** Tries, those that failed included. */
  requests: number;
  /** Tries that the target neither took nor refused. */
  failedRequests: number;
  /** Bytes of the bodies that were answered, as they were sent. */
  bytes: number;
}

interface Failure {
  readonly misconfigured: boolean;
  readonly reason: string;
  /** What the target asks for. */
  readonly waitMs?: number;
  /** The connection broke before there was an answer: a kept connection may just have been closed. */
  readonly transport: boolean;
}

export class HttpSender implements Disposable {
  readonly stats: HttpStats = { requests: 0, failedRequests: 0, bytes: 0 };
  readonly #options: HttpSenderOptions;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #client: Deno.HttpClient;
  readonly #gzip: ((bytes: Uint8Array) => Uint8Array) | null;
  /** Failures in a row, and since when, in monotonic ms. */
  #failures = 0;
  #failingSince = 0;
  readonly #complaint: Complaint;
  #closed = false;
  /** Callers that wait before they try again. */
  #waits = 0;
  /** Ends the present wait. */
  #hurry = new AbortController();

  private constructor(
    options: HttpSenderOptions,
    { log, clock }: { log: Logger; clock: Clock },
    gzip: ((bytes: Uint8Array) => Uint8Array) | null,
  ) {
    this.#options = options;
    this.#log = log;
    this.#clock = clock;
    this.#complaint = new Complaint(clock);
    this.#gzip = gzip;
    try {
      this.#client = Deno.createHttpClient({ caCerts: [...options.caCerts ?? []] });
    } catch (error) {
      throw new ExitError(
        EXIT.config,
        `Cannot use the certificate authorities for ${options.target}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /** Does not look for the target. @throws {ExitError} 78 if the certificate authorities cannot be used. */
  static async open(
    options: HttpSenderOptions,
    context: { log: Logger; clock: Clock },
  ): Promise<HttpSender> {
    if (!(options.gzip ?? true)) return new HttpSender(options, context, null);
    // Loaded by those who need it alone.
    const { gzipSync } = await import("node:zlib");
    return new HttpSender(options, context, (bytes) => gzipSync(bytes, { level: GZIP_LEVEL }));
  }

  /** The last try has failed. */
  get failing(): boolean {
    return this.#failures > 0;
  }

  /** Ends the wait for the next try: for a stop, when there will be no better moment. */
  hurry(): void {
    this.#hurry.abort();
    this.#hurry = new AbortController();
  }

  /**
   * Posts until the target has taken the body or refused it; `bytes` must not change before.
   *
   * @param judge What an answer to this body means. @default what it means for every body
   * @throws the signal's reason once it is aborted, and nothing else.
   */
  async post(bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal, judge?: Judge): Promise<HttpOutcome> {
    const { body, next } = this.#requestOf(bytes);
    const outcome = await this.#persist(signal, next, (reply) => {
      const verdict = this.#usualVerdict(reply);
      return judge?.(reply, verdict) ?? verdict;
    });
    this.stats.bytes += body.length;
    return outcome;
  }

  /** Posts once, and neither waits nor logs. @throws the signal's reason once it is aborted, and nothing else. */
  async probe(bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<HttpProbe> {
    signal.throwIfAborted();
    const { url, init } = this.#requestOf(bytes).next();
    this.stats.requests++;
    const result = await this.#try(url, init, signal);
    signal.throwIfAborted();
    if ("headers" in result) return { verdict: this.#usualVerdict(result), reply: result };
    this.stats.failedRequests++;
    return { verdict: "later" };
  }

  #usualVerdict(reply: HttpReply): Verdict {
    return this.#options.judge?.(reply) ?? judgeStatus(reply.status);
  }

  /** What is sent, and what makes the next try: the headers may have changed. */
  #requestOf(bytes: Uint8Array<ArrayBuffer>) {
    const body = (this.#gzip?.(bytes) ?? bytes) as Uint8Array<ArrayBuffer>;
    const { url } = this.#options;
    const headers = () => ({ ...this.#options.headers(), ...this.#gzip && { "content-encoding": "gzip" } });
    return { body, next: () => ({ url, init: { method: "POST", headers: headers(), body } }) };
  }

  /** Gets another address of the same target, as patiently. @throws the signal's reason once it is aborted. */
  async get(
    url: string,
    signal: AbortSignal,
    judge: (reply: HttpReply) => Verdict = ({ status }) => judgeStatus(status),
  ): Promise<HttpOutcome> {
    return await this.#persist(signal, () => ({ url, init: { headers: this.#options.headers() } }), judge);
  }

  /** It waits before it tries again. */
  get isWaiting(): boolean {
    return this.#waits > 0;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#client.close();
  }

  async #persist(
    signal: AbortSignal,
    request: () => { url: string; init: RequestInit },
    judge: (reply: HttpReply) => Verdict | Promise<Verdict>,
  ): Promise<HttpOutcome> {
    for (let tries = 1, reset = false;; tries++) {
      signal.throwIfAborted();
      const { url, init } = request();
      this.stats.requests++;
      const result = await this.#try(url, init, signal);
      let failure: Failure;
      if ("headers" in result) {
        const verdict = await judge(result);
        if (verdict === "taken" || verdict === "refused") {
          this.#works();
          return { verdict, reply: result, tries };
        }
        failure = this.#failureOf(result, verdict);
      } else failure = result;
      this.stats.failedRequests++;
      signal.throwIfAborted();
      // A target may close a connection at the moment at which it is used again: that is not a failure.
      if (failure.transport && this.#failures === 0 && !reset) {
        reset = true;
        continue;
      }
      await this.#waitAfter(failure, signal);
      await this.#options.beforeRetry?.();
    }
  }

  async #try(url: string, init: RequestInit, signal: AbortSignal): Promise<HttpReply | Failure> {
    const { timeoutMs = 30_000 } = this.#options;
    using limit = new TimeLimit(timeoutMs, signal);
    try {
      const response = await fetch(url, {
        ...init,
        signal: limit.signal,
        redirect: "manual",
        client: this.#client,
      });
      const bytes = await readSome(response);
      return {
        status: response.status,
        headers: response.headers,
        bytes,
        text: this.#options.textOf?.(bytes, response.headers) ?? new TextDecoder().decode(bytes),
      };
    } catch (error) {
      if (limit.isOver) {
        return { reason: `no answer within ${timeoutMs / 1000} s`, misconfigured: false, transport: false };
      }
      return { reason: requestProblem(error), misconfigured: false, transport: true };
    }
  }

  #failureOf(reply: HttpReply, verdict: Verdict): Failure {
    const { status, text, headers } = reply;
    const misconfigured = verdict === "misconfigured";
    const said = this.#shown(text);
    const to = headers.get("location");
    const advice = misconfigured ? this.#options.advise?.(reply) : undefined;
    return {
      misconfigured,
      transport: false,
      reason: `status ${status}` + (to ? `, a redirect to ${this.#shown(to)}` : "") + (said && `: ${said}`) +
        (advice ? `; ${advice}` : ""),
      waitMs: retryAfterMs(headers.get("retry-after")),
    };
  }

  /** What the target said, short and without secrets. */
  #shown(text: string): string {
    let shown = text;
    for (const secret of this.#options.secrets?.() ?? []) if (secret) shown = shown.replaceAll(secret, "***");
    shown = shown.trim();
    return shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}…` : shown;
  }

  async #waitAfter(failure: Failure, signal: AbortSignal): Promise<void> {
    const now = this.#clock.monotonicMs();
    if (this.#failures++ === 0) this.#failingSince = now;
    const { backoff = DEFAULT_BACKOFF, target } = this.#options;
    const waitMs = Math.max(backoffMs(backoff, this.#failures), failure.waitMs ?? 0);
    this.#complaint.add(() => {
      const fields = { reason: failure.reason, tries: this.#failures, next_try_ms: Math.round(waitMs) };
      if (failure.misconfigured) {
        this.#log.error(`${target} refuses every request: keeping the points and trying again`, fields);
      } else this.#log.warn(`Cannot write to ${target}: keeping the points and trying again`, fields);
    });
    const end = new AbortController();
    {
      using _aborted = onAbort(signal, () => end.abort());
      using _hurried = onAbort(this.#hurry.signal, () => end.abort());
      this.#waits++;
      await this.#clock.sleep(waitMs, end.signal);
      this.#waits--;
    }
    signal.throwIfAborted();
  }

  #works(): void {
    if (this.#failures === 0) return;
    const seconds = (this.#clock.monotonicMs() - this.#failingSince) / 1000;
    this.#complaint.end(() => {
      this.#log.info(`${this.#options.target} answers again`, {
        tries: this.#failures,
        after_s: Number(seconds.toFixed(1)),
      });
    });
    this.#failures = 0;
  }
}

/** The beginning of a body. All of it is read, if that is little: the connection can then be used again. */
async function readSome(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  while (reader && length < MAX_REPLY_BYTES) {
    const { value, done } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
  }
  if (length >= MAX_REPLY_BYTES) await reader?.cancel();
  const bytes = new Uint8Array(Math.min(length, MAX_REPLY_BYTES));
  let at = 0;
  for (const part of parts) {
    const some = part.subarray(0, bytes.length - at);
    bytes.set(some, at);
    at += some.length;
  }
  return bytes;
}
