/**
 * The `opentelemetry` output. One request is under way at a time, so the points of a series arrive in their order. A
 * batch is committed when the receiver has taken all its points, or has refused them and they are set aside. What is
 * sent twice because an answer was lost may be there twice: OTLP has nothing against it.
 */
import denoConfig from "../../../deno.json" with { type: "json" };
import type { DeadLetters } from "../../dead_letters.ts";
import { messageOf } from "../../errors.ts";
import type { BatchReader } from "../../journal.ts";
import { type Batch, reserveCacheSlots } from "../../measurement.ts";
import type { Output, PluginContext } from "../../plugin.ts";
import { CONTENT_TOO_LARGE, type Verdict } from "../http_retry.ts";
import type { HttpReply, HttpSender } from "../http_sender.ts";
import type { OpenTelemetryConfig } from "./config.ts";
import { readExportResponse } from "./messages.ts";
import { openReceiver, type ReceiverOptions } from "./receiver.ts";
import { CACHE_SLOTS, hasTime, PointList, RequestEncoder } from "./request.ts";

/** Bytes of one request before it is compressed, about; a single point may be larger. Collectors take 20 MiB. */
const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
/**
 * Requests that may be spent on finding the points because of which one was refused. A receiver should take the others,
 * and say how many it has rejected; some refuse the request.
 */
const MAX_SIFTING_REQUESTS = 64;
/** How often a partial success is said, in ms. */
const COMPLAIN_MS = 60_000;

type OpenTelemetryContext = Pick<PluginContext, "log" | "clock" | "deadLetters">;

export interface OpenTelemetryStats extends Record<string, number> {
  /** Points that the receiver has taken. */
  points: number;
  /** Points of these that it says it has thrown away. */
  rejectedPoints: number;
  /** Points that it has refused, or that cannot be sent. */
  refusedPoints: number;
  requests: number;
  failedRequests: number;
  bytes: number;
}

export class OpenTelemetryOutput implements Output {
  #config: OpenTelemetryConfig;
  readonly #context: OpenTelemetryContext;
  readonly #deadLetters: DeadLetters;
  readonly #encoder: RequestEncoder;
  readonly #sender: HttpSender;
  /** What is being gathered, and what is under way. */
  #points: PointList;
  #spare: PointList;
  /** When the first batch of what is being gathered came, in monotonic ms. */
  #since = 0;
  #sending: Promise<void> = Promise.resolve();
  #taken = 0;
  #rejected = 0;
  #complained = -Infinity;
  #unsaid = 0;
  /** The receiver has taken something of us: what it refuses now is not because of its address or our rights. */
  #proven = false;

  private constructor(config: OpenTelemetryConfig, sender: HttpSender, context: OpenTelemetryContext) {
    this.#config = config;
    this.#sender = sender;
    this.#context = context;
    this.#deadLetters = context.deadLetters;
    this.#points = new PointList(config.batch_size);
    this.#spare = new PointList(config.batch_size);
    this.#encoder = new RequestEncoder({
      prefix: config.prefix,
      suffix: config.suffix,
      unitDisplayName: config.use_unit_display_name,
      attributes: config.add_attributes_to_labels,
      serviceName: config.service_name,
      localClient: Deno.hostname(),
      version: denoConfig.version,
    }, reserveCacheSlots(CACHE_SLOTS));
  }

  /** Does not look for the receiver. @throws {ExitError} 78 if a file that the configuration names cannot be used. */
  static async open(
    config: OpenTelemetryConfig,
    context: OpenTelemetryContext,
    options: ReceiverOptions = {},
  ): Promise<OpenTelemetryOutput> {
    const sender = await openReceiver(config, context, denoConfig.version, options);
    return new OpenTelemetryOutput(config, sender, context);
  }

  get stats(): OpenTelemetryStats {
    const { requests, failedRequests, bytes } = this.#sender.stats;
    return {
      points: this.#taken,
      rejectedPoints: this.#rejected,
      refusedPoints: this.#deadLetters.refusedPoints,
      requests,
      failedRequests,
      bytes,
    };
  }

  reconfigure(config: OpenTelemetryConfig): void {
    this.#config = config;
  }

  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    // Aborted with the signal, or when sending has failed while batches are waited for.
    const stop = new AbortController();
    const abort = () => stop.abort(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    try {
      await this.#pump(reader, stop);
      await this.#sending;
    } catch (error) {
      stop.abort(error);
      await this.#sending.catch(() => {});
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async #pump(reader: BatchReader, stop: AbortController): Promise<void> {
    const { clock } = this.#context;
    const { signal } = stop;
    while (true) {
      const { flush_interval } = this.#config;
      const waitMs = this.#isEmpty ? Infinity : this.#since + flush_interval - clock.monotonicMs();
      const state = await reader.wait(waitMs, signal);
      signal.throwIfAborted();
      // There will be no better moment than now.
      if (state === "ended") this.#sender.hurry();
      for (let batch; state === "ready" && (batch = reader.next());) {
        await this.#take(batch, reader, stop);
        if (clock.monotonicMs() >= this.#since + flush_interval) break;
      }
      if (!this.#isEmpty && (state !== "ready" || clock.monotonicMs() >= this.#since + flush_interval)) {
        await this.#flush(reader, stop);
      }
      if (state === "ended") return;
    }
  }

  get #isEmpty(): boolean {
    return this.#points.length === 0 && this.#points.finished === 0;
  }

  async #take(batch: Batch, reader: BatchReader, stop: AbortController): Promise<void> {
    if (this.#isEmpty) this.#since = this.#context.clock.monotonicMs();
    for (let row = 0; row < batch.length; row++) {
      if (this.#points.length === this.#points.capacity) {
        await this.#flush(reader, stop);
        this.#since = this.#context.clock.monotonicMs();
      }
      if (hasTime(batch.seconds[row], batch.nanos[row])) this.#points.push(batch, row);
      else this.#deadLetters.add(batch, row, "the time is after 2554-07-21, where that of OTLP ends");
    }
    this.#points.finished++;
    if (this.#points.length === this.#points.capacity) await this.#flush(reader, stop);
  }

  /** Sends what has been gathered, when the request before has ended; gathering goes on meanwhile. */
  async #flush(reader: BatchReader, stop: AbortController): Promise<void> {
    await this.#sending;
    const points = this.#points;
    this.#points = this.#spare;
    this.#spare = points;
    this.#sending = this.#send(points, reader, stop.signal);
    // Whoever waits for a batch meanwhile is told.
    this.#sending.catch((error) => stop.abort(error));
  }

  async #send(points: PointList, reader: BatchReader, signal: AbortSignal): Promise<void> {
    if (points.length > 0) {
      await this.#deliver(points, 0, points.length, signal, { left: MAX_SIFTING_REQUESTS });
    }
    if (this.#deadLetters.pending > 0) await this.#deadLetters.sync();
    signal.throwIfAborted();
    const { finished } = points;
    points.clear();
    reader.commit(finished);
  }

  /** Delivers the points `from … to-1`, in more than one request where one does not do. */
  async #deliver(
    points: PointList,
    from: number,
    to: number,
    signal: AbortSignal,
    sifting: { left: number },
  ): Promise<void> {
    const halves = async () => {
      const middle = (from + to) >>> 1;
      await this.#deliver(points, from, middle, signal, sifting);
      await this.#deliver(points, middle, to, signal, sifting);
    };
    const bytes = this.#encoder.encode(points, from, to);
    if (bytes.length > MAX_REQUEST_BYTES && to - from > 1) return await halves();

    let { verdict, reply } = await this.#sender.post(bytes, signal);
    if (verdict === "refused" && !this.#proven && await this.#refusesNothing(reply, signal)) {
      // It says the same of a request without points: not these points are the reason.
      const same = (other: HttpReply): Verdict | undefined =>
        other.status === reply.status && other.text === reply.text ? "misconfigured" : undefined;
      ({ verdict, reply } = await this.#sender.post(bytes, signal, same));
    }
    this.#proven = true;
    if (verdict === "taken") return this.#count(reply, to - from);
    if (to - from > 1 && (reply.status === CONTENT_TOO_LARGE || sifting.left >= 2)) {
      if (reply.status !== CONTENT_TOO_LARGE) sifting.left -= 2;
      return await halves();
    }
    const reason = `status ${reply.status}: ${reply.text.trim()}`;
    for (let i = from; i < to; i++) this.#deadLetters.add(points.batch(i), points.row(i), reason);
  }

  async #refusesNothing(reply: HttpReply, signal: AbortSignal): Promise<boolean> {
    const control = await this.#sender.post(this.#encoder.empty(), signal);
    return control.verdict === "refused" && control.reply.status === reply.status &&
      control.reply.text === reply.text;
  }

  #count({ bytes, headers }: HttpReply, count: number): void {
    this.#taken += count;
    if (bytes.length === 0 || !/^application\/x-protobuf\b/i.test(headers.get("content-type") ?? "")) return;
    let response;
    try {
      response = readExportResponse(bytes);
    } catch (error) {
      this.#context.log.debug("Cannot read the answer of the receiver", { reason: messageOf(error) });
      return;
    }
    const { rejectedPoints, message } = response;
    this.#rejected += rejectedPoints;
    this.#unsaid += rejectedPoints;
    const now = this.#context.clock.monotonicMs();
    if (rejectedPoints === 0 && message === "" || now < this.#complained + COMPLAIN_MS) return;
    this.#complained = now;
    // Without rejected points it is a warning (OTLP 1.9, "Partial Success").
    this.#context.log.warn(
      rejectedPoints > 0 ? "The receiver has thrown points away" : "The receiver has something to say",
      { points: this.#unsaid || undefined, reason: message },
    );
    this.#unsaid = 0;
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#sender[Symbol.dispose]();
  }
}
