/**
 * The `influxdb` output. One request is under way at a time, so points arrive in their order; the next one is rendered
 * meanwhile. A batch is committed when the server has taken all its points, or has refused them and they are set aside.
 * What is sent twice because an answer was lost is stored once: the same series at the same time is the same point.
 */
import type { DeadLetters } from "../../dead_letters.ts";
import type { BatchReader } from "../../journal.ts";
import { type Batch, reserveCacheSlots } from "../../measurement.ts";
import type { Output, PluginContext } from "../../plugin.ts";
import type { Verdict } from "../http_retry.ts";
import type { HttpReply } from "../http_sender.ts";
import type { InfluxConfig } from "./config.ts";
import { CACHE_SLOTS, LineRenderer, Lines } from "./lines.ts";
import { cutOf, refusalOf } from "./refusals.ts";
import { InfluxServer, type ServerOptions } from "./server.ts";

/** Bytes of one request before it is compressed, about; a single point may be larger. */
const MAX_REQUEST_BYTES = 4 * 1024 * 1024;

/** Points that are taken for one request, where most of them cannot be written, as a multiple of its size. */
const MAX_TAKEN = 4;

type InfluxContext = Pick<PluginContext, "log" | "clock" | "deadLetters">;

export interface InfluxStats extends Record<string, number> {
  /** Points that the server has taken. */
  points: number;
  /** Points that it has refused, or that cannot be written. */
  refusedPoints: number;
  requests: number;
  failedRequests: number;
  bytes: number;
}

export class InfluxOutput implements Output {
  #config: InfluxConfig;
  readonly #server: InfluxServer;
  readonly #context: InfluxContext;
  readonly #deadLetters: DeadLetters;
  readonly #slot = reserveCacheSlots(CACHE_SLOTS);
  #renderer: LineRenderer | null = null;
  /** What is being filled, and what is under way. */
  #lines: Lines;
  #spare: Lines;
  /** Points of the batches that were taken since, those that cannot be written among them. */
  #taken = 0;
  /** When the first row of what is being filled came, in monotonic ms. */
  #since = 0;
  #sending: Promise<void> = Promise.resolve();
  /** Set when something went wrong that is not the server's doing, or at the end. */
  #stop = new AbortController();
  #points = 0;
  /** The server has taken something of us: what it refuses now is not because of its address or our rights. */
  #proven = false;

  private constructor(config: InfluxConfig, server: InfluxServer, context: InfluxContext) {
    this.#config = config;
    this.#server = server;
    this.#context = context;
    this.#deadLetters = context.deadLetters;
    this.#lines = new Lines(config.batch_size, MAX_REQUEST_BYTES);
    this.#spare = new Lines(config.batch_size, MAX_REQUEST_BYTES);
  }

  /** Does not look for the server. @throws {ExitError} 78 if a file that the configuration names cannot be used. */
  static async open(
    config: InfluxConfig,
    context: InfluxContext,
    options: ServerOptions = {},
  ): Promise<InfluxOutput> {
    if (config.attributes_as === "field") {
      context.log.info(
        "Attributes are fields: of points that differ in nothing else, InfluxDB keeps the last one",
      );
    }
    return new InfluxOutput(config, await InfluxServer.open(config, context, options), context);
  }

  get stats(): InfluxStats {
    const { requests, failedRequests, bytes } = this.#server.sender.stats;
    return {
      points: this.#points,
      refusedPoints: this.#deadLetters.refusedPoints,
      requests,
      failedRequests,
      bytes,
    };
  }

  reconfigure(config: InfluxConfig): void {
    this.#config = config;
    this.#server.reconfigure(config);
  }

  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    const stop = this.#stop = new AbortController();
    const abort = () => stop.abort(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    try {
      await this.#pump(reader, stop.signal);
      await this.#sending;
    } catch (error) {
      stop.abort(error);
      await this.#sending.catch(() => {});
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async #pump(reader: BatchReader, signal: AbortSignal): Promise<void> {
    const now = () => this.#context.clock.monotonicMs();
    const due = () => this.#since + this.#config.flush_interval;
    while (true) {
      const state = await reader.wait(
        this.#isEmpty ? Infinity : due() - now(),
        signal,
      );
      signal.throwIfAborted();
      for (let batch; state === "ready" && (batch = reader.next());) {
        await this.#take(batch, reader, signal);
        if (now() >= due()) break;
      }
      if (!this.#isEmpty && (state !== "ready" || now() >= due())) {
        await this.#flush(reader, signal);
      }
      if (state !== "ended") continue;
      // There will be no better moment.
      this.#server.sender.hurry();
      return;
    }
  }

  get #isEmpty(): boolean {
    return this.#lines.batches.length === 0 && this.#lines.finished === 0;
  }

  async #take(batch: Batch, reader: BatchReader, signal: AbortSignal): Promise<void> {
    if (this.#isEmpty) this.#since = this.#context.clock.monotonicMs();
    if (batch.length > 0) {
      this.#renderer ??= await this.#makeRenderer(signal);
      for (let row = this.#renderer.render(batch, 0, this.#lines); row < batch.length;) {
        await this.#flush(reader, signal);
        this.#since = this.#context.clock.monotonicMs();
        row = this.#renderer.render(batch, row, this.#lines);
      }
    }
    this.#lines.finished++;
    this.#taken += batch.length;
    const { batch_size } = this.#config;
    if (this.#lines.count === batch_size || this.#taken > MAX_TAKEN * batch_size) {
      await this.#flush(reader, signal);
    }
  }

  /** How u64 are written depends on the server, so the first point waits for it. */
  async #makeRenderer(signal: AbortSignal): Promise<LineRenderer> {
    const { attributes_as, attributes_as_tags, attributes_as_fields } = this.#config;
    const unsigned = await this.#server.hasUnsigned(signal);
    this.#context.log.debug("Writing u64 as", { field: unsigned ? "unsigned" : "integer" });
    const format = {
      attributesAs: attributes_as,
      asTags: new Set(attributes_as_tags),
      asFields: new Set(attributes_as_fields),
      unsigned,
    };
    return new LineRenderer(
      format,
      (batch, row, reason) => this.#deadLetters.add(batch, row, reason),
      this.#slot,
    );
  }

  /** Sends what has been rendered, when the request before has ended; rendering goes on meanwhile. */
  async #flush(reader: BatchReader, signal: AbortSignal): Promise<void> {
    await this.#sending;
    const lines = this.#lines;
    this.#taken = 0;
    this.#lines = this.#spare;
    this.#spare = lines;
    this.#sending = this.#send(lines, reader, signal);
    // Whoever waits for a batch meanwhile is told.
    this.#sending.catch((error) => this.#stop.abort(error));
  }

  async #send(lines: Lines, reader: BatchReader, signal: AbortSignal): Promise<void> {
    if (lines.count > 0) await this.#deliver(lines, signal);
    if (this.#deadLetters.pending > 0) await this.#deadLetters.sync();
    signal.throwIfAborted();
    const { finished } = lines;
    lines.clear();
    reader.commit(finished);
  }

  async #deliver(lines: Lines, signal: AbortSignal): Promise<void> {
    const { sender } = this.#server;
    let { verdict, reply } = await sender.post(lines.bytes, signal);
    if (verdict === "refused" && !this.#proven && await this.#refusesNothing(reply, signal)) {
      // It says the same of a request without points: not these points are the reason.
      const same = (other: HttpReply): Verdict | undefined =>
        other.status === reply.status && other.text === reply.text ? "misconfigured" : undefined;
      ({ verdict, reply } = await sender.post(lines.bytes, signal, same));
    }
    this.#proven = true;
    if (verdict === "taken") this.#points += lines.count;
    else await this.#sift(lines, reply, signal);
  }

  /** Whether the server refuses a request without points with the same words. */
  async #refusesNothing(reply: HttpReply, signal: AbortSignal): Promise<boolean> {
    const control = await this.#server.sender.post(new Uint8Array(), signal);
    return control.verdict === "refused" && control.reply.status === reply.status &&
      control.reply.text === reply.text;
  }

  /** Finds the lines that are refused, sets them aside, and writes the others. */
  async #sift(lines: Lines, reply: HttpReply, signal: AbortSignal): Promise<void> {
    const metricOf = (i: number) => lines.batch(i).series[lines.rows[i]].metric;
    // A fault is mostly that of a metric (its type), or of a time (it is too old): those lines stand together then.
    // Points of one series and one time stay in their order, others may change places.
    const groups = Map.groupBy(Array.from({ length: lines.count }, (_, i) => i), metricOf);
    const byTime = (i: number, j: number) => {
      const [a, b, row, other] = [lines.batch(i), lines.batch(j), lines.rows[i], lines.rows[j]];
      return a.seconds[row] - b.seconds[other] || a.nanos[row] - b.nanos[other];
    };
    const sorted = [...groups.values()].flatMap((group) => group.sort(byTime));
    const decoder = new TextDecoder();
    const refuse = (i: number, reason: string) =>
      this.#deadLetters.add(lines.batch(i), lines.rows[i], reason);

    const settle = async (some: readonly number[], reply: HttpReply): Promise<void> => {
      const { all, reason, unreadable } = refusalOf(reply, some.length);
      if (all) {
        for (const i of some) refuse(i, reason);
        return;
      }
      const left = unreadable.size === 0 ? some : some.filter((i) => {
        const why = unreadable.get(decoder.decode(lines.line(i)).trimEnd());
        if (why !== undefined) refuse(i, why);
        return why === undefined;
      });
      if (left.length < some.length) return await write(left);
      const cut = cutOf(some.map(metricOf));
      await write(some.slice(0, cut));
      await write(some.slice(cut));
    };
    const write = async (some: readonly number[]): Promise<void> => {
      if (some.length === 0) return;
      const { verdict, reply } = await this.#server.sender.post(join(lines, some), signal);
      if (verdict === "taken") this.#points += some.length;
      else await settle(some, reply);
    };
    await settle(sorted, reply);
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#server[Symbol.dispose]();
  }
}

/** Some of the lines, as one body. */
function join(lines: Lines, some: readonly number[]): Uint8Array<ArrayBuffer> {
  const parts = some.map((i) => lines.line(i));
  const body = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}
