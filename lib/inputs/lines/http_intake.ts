/**
 * Lines over HTTP, as InfluxDB's clients post them: `/write` of version 1, `/api/v2/write` of version 2. A request is
 * answered with success when its points are safe in the journal.
 *
 * https://docs.influxdata.com/influxdb/v2/api/v2/#operation/PostWrite
 */
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { delay } from "@std/async/delay";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { within } from "../../base/waiting.ts";
import type { RequestBody } from "../../http/body.ts";
import { HttpError, type HttpRequest, type HttpResponse, textResponse } from "../../http/head.ts";
import type { HttpPeer } from "../../http/server.ts";
import type { Admission } from "../../intake/admission/admission.ts";
import type { Gatherer } from "../../intake/gatherer.ts";
import { TIME_UNITS, type TimeUnit } from "../decoding/numbers.ts";
import type { LineProblems } from "../decoding/problems.ts";
import { type LineDecoder, LinePosition } from "./line_decoder.ts";
import { codeOf, Dialect, type Failure } from "./http_dialect.ts";
import { RateLimits } from "./rate_limits.ts";

/** How long a request waits for room in the pipe, and for its points to be safe, in ms. */
const ROOM_MS = 2000;
const SAFE_MS = 15_000;
/** Lines are decoded for so long before others get their turn, in ms. */
const TURN_MS = 10;
/** Bytes that are decoded at a time. */
const SLICE_BYTES = 64 * 1024;
/** Bodies that are in memory at a time, in sizes of the largest one. */
const MAX_BODIES = 4;
const MAX_QUERY_BYTES = 64 * 1024;
const unpack = promisify(gunzip) as unknown as (
  bytes: Uint8Array,
  options: { maxOutputLength: number },
) => Promise<Uint8Array<ArrayBuffer>>;

export interface HttpIntakeOptions {
  readonly log: Logger;
  readonly clock: Clock;
  readonly gatherer: Gatherer;
  readonly admission: Admission;
  readonly decoder: LineDecoder;
  /** Counts problems, and says them. */
  problemsOf(peer: string): LineProblems;
  /** Of times, where a request does not say it. */
  readonly scale: TimeUnit | undefined;
  /** Bytes of a body, before and after it is unpacked. */
  maxBodyBytes(): number;
  maxLineBytes(): number;
  /** Of one address; `Infinity` for no limit. */
  bytesPerSecond(): number;
  /** Of one address, while there is no room for them. */
  newSeriesPerSecond(): number;
  untilDurable(): Promise<void>;
  readonly stats: { requests: number; refusedRequests: number };
}

export class HttpIntake {
  readonly #options: HttpIntakeOptions;
  readonly #rates: RateLimits;
  readonly #seriesRates: RateLimits;
  /** Bytes of the bodies that are in memory, or may come to be. */
  #heldBytes = 0;

  constructor(options: HttpIntakeOptions) {
    this.#options = options;
    this.#rates = new RateLimits(options.clock);
    this.#seriesRates = new RateLimits(options.clock);
  }

  async answer(request: HttpRequest, peer: HttpPeer, body: RequestBody): Promise<HttpResponse> {
    const dialect = Dialect.of(request);
    if (!dialect) {
      return textResponse(404, "Not found; lines are taken by POST /write and POST /api/v2/write.");
    }
    const { admission, stats } = this.#options;
    const reason = admission.recheck(peer, null);
    if (reason !== undefined) {
      admission.refuse({ address: peer.hostname, reason });
      return dialect.error(403, "forbidden", `this client is refused: ${reason}`);
    }
    if (dialect.kind === "ping" || dialect.kind === "health") return dialect.hello();
    if (!admission.checkTokens(peer, dialect.tokens)) {
      stats.refusedRequests++;
      const given = dialect.tokens.length > 0 ? "its token is not valid" : "it has no token";
      admission.refuse({ address: peer.hostname, reason: given });
      return dialect.error(401, "unauthorized", `unauthorized: ${given}`, { "www-authenticate": "Token" });
    }
    if (dialect.kind === "query") {
      return dialect.answerQuery(new TextDecoder().decode(await body.read(MAX_QUERY_BYTES)));
    }
    if (request.method !== "POST") {
      return dialect.error(405, "method not allowed", "lines are taken by POST", { allow: "POST" });
    }
    stats.requests++;
    try {
      return await this.#write(dialect, request, peer, body);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      stats.refusedRequests++;
      return dialect.error(error.status, codeOf(error.status), error.message, error.headers);
    }
  }

  async #write(
    dialect: Dialect,
    request: HttpRequest,
    peer: HttpPeer,
    body: RequestBody,
  ): Promise<HttpResponse> {
    const { gatherer, maxBodyBytes, bytesPerSecond, scale: usual } = this.#options;
    const given = dialect.precision;
    const scale = given === undefined ? usual : TIME_UNITS[given];
    if (given !== undefined && scale === undefined) {
      throw new HttpError(400, `the precision ${JSON.stringify(given)} is not known`);
    }
    const encoding = request.headers.get("content-encoding")?.toLowerCase() ?? "identity";
    if (encoding !== "gzip" && encoding !== "identity" && encoding !== "") {
      throw new HttpError(415, `the encoding ${JSON.stringify(encoding)} is not known; there is gzip`);
    }
    const limit = maxBodyBytes();
    const waitMs = this.#rates.waitMs(peer.hostname, bytesPerSecond());
    if (waitMs > 0) {
      throw new HttpError(429, "this address sends more than limits.bytes_per_second", retryAfter(waitMs));
    }
    this.#checkNewSeries(peer.hostname, "nothing of this request is written");
    // Nothing is taken that would have to wait in memory.
    if (gatherer.blocked && !await within(gatherer.blocked, ROOM_MS)) throw full();
    const bytes = encoding === "gzip" ? 2 * limit : Math.min(limit, body.length ?? limit);
    if (this.#heldBytes > 0 && this.#heldBytes + bytes > MAX_BODIES * limit) {
      throw new HttpError(503, "too many large requests at once", retryAfter(1000));
    }
    this.#heldBytes += bytes;
    try {
      const received = await body.read(limit);
      this.#rates.took(peer.hostname, received.length, bytesPerSecond());
      const lines = encoding === "gzip" ? await gunzipped(received, limit) : received;
      const failure = await this.#take(lines, scale, peer.hostname);
      await this.#untilSafe();
      return failure ? dialect.badLines(failure) : dialect.success();
    } finally {
      this.#heldBytes -= bytes;
    }
  }

  /** Decodes a body piece by piece, so that nothing else is held up. */
  async #take(
    bytes: Uint8Array<ArrayBuffer>,
    scale: TimeUnit | undefined,
    address: string,
  ): Promise<Failure | null> {
    const { clock, decoder, gatherer, maxLineBytes, newSeriesPerSecond } = this.#options;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const position = new LinePosition();
    const outcome: { failure: Failure | null } = { failure: null };
    const counting = this.#options.problemsOf(address);
    const add = (line: number, reason: string) => {
      if (outcome.failure) outcome.failure.count++;
      else outcome.failure = { line, reason, count: 1 };
    };
    const problems: LineProblems = {
      badLine(line, reason) {
        add(line, reason);
        counting.badLine(line, reason);
      },
      refusedPoint(line, reason) {
        add(line, reason);
        counting.refusedPoint(line, reason);
      },
    };
    const options = { scale, now: clock.now(), problems, sender: address };
    const { store } = gatherer.builder;
    let began = clock.monotonicMs();
    let size = SLICE_BYTES;
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + size);
      const { excess } = store;
      const next = decoder.decode(bytes, view, at, end, position, {
        ...options,
        isFinal: end === bytes.length,
      });
      if (next > at) size = SLICE_BYTES;
      else if (size < maxLineBytes()) size *= 2;
      else {
        decoder.skip(position, `it is longer than ${maxLineBytes()} bytes (limits.line_length)`, problems);
      }
      at = next;
      void gatherer.gathered();
      this.#seriesRates.took(address, store.excess - excess, newSeriesPerSecond());
      if (at < bytes.length) {
        this.#checkNewSeries(address, `of this request only the first ${position.line} lines are written`);
      }
      if (gatherer.blocked && !await within(gatherer.blocked, SAFE_MS)) throw full();
      if (clock.monotonicMs() - began > TURN_MS) {
        await delay(0);
        began = clock.monotonicMs();
      }
    }
    return outcome.failure;
  }

  /** @throws {HttpError} if the address has brought too many new series */
  #checkNewSeries(address: string, what: string): void {
    const waitMs = this.#seriesRates.waitMs(address, this.#options.newSeriesPerSecond());
    if (waitMs === 0) return;
    throw new HttpError(
      429,
      `this address brings more new series than there is room for (limits.new_series_per_second): ${what}`,
      retryAfter(waitMs),
    );
  }

  /** Waits until what was taken is safe. */
  async #untilSafe(): Promise<void> {
    const { gatherer, untilDurable } = this.#options;
    const safe = gatherer.passedOn().then(() => untilDurable());
    if (await within(safe, SAFE_MS)) return;
    throw new HttpError(503, "the points are not safe yet; send them again", retryAfter(5000));
  }
}

function full(): HttpError {
  return new HttpError(503, "there is no room for more points at present; send them again", retryAfter(1000));
}

function retryAfter(ms: number): Record<string, string> {
  return { "retry-after": String(Math.max(1, Math.ceil(ms / 1000))) };
}

async function gunzipped(bytes: Uint8Array, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await unpack(bytes, { maxOutputLength: limit });
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") {
      throw new HttpError(413, `the body has more than ${limit} bytes when it is unpacked (limits.body)`);
    }
    throw new HttpError(400, "the body is not gzip");
  }
}
