/**
 * The `influxdb` output. Points are written in their order, by {@linkcode RequestLoop}. A batch is committed when the
 * server has taken all its points, or has refused them and they are set aside. What is sent twice because an answer was
 * lost is stored once: the same series at the same time is the same point.
 */
import type { DeadLetters } from "../../plugin.ts";
import type { BatchReader } from "../../journal.ts";
import type { Output, PluginContext } from "../../plugin.ts";
import { ControlledSender } from "../http/control.ts";
import { RequestLoop } from "../http/loop.ts";
import { deliver, type Pile } from "../http/sifting.ts";
import { SeriesTexts } from "../rendering/series_texts.ts";
import type { InfluxConfig } from "./config.ts";
import { LineRenderer, Lines } from "./lines.ts";
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
  readonly #sender: ControlledSender;
  readonly #context: InfluxContext;
  readonly #deadLetters: DeadLetters;
  readonly #texts = new SeriesTexts();
  #renderer: LineRenderer | null = null;
  readonly #loop: RequestLoop<Lines>;
  #points = 0;

  private constructor(config: InfluxConfig, server: InfluxServer, context: InfluxContext) {
    this.#config = config;
    this.#server = server;
    this.#context = context;
    this.#deadLetters = context.deadLetters;
    this.#sender = new ControlledSender(server.sender, context.clock, () => new Uint8Array());
    this.#loop = new RequestLoop({
      create: () => new Lines(config.batch_size, MAX_REQUEST_BYTES),
      flushIntervalMs: () => this.#config.flush_interval,
      // How u64 are written depends on the server, so the first point waits for it.
      fill: async (lines, batch, from, signal) =>
        (this.#renderer ??= await this.#makeRenderer(signal)).render(batch, from, lines),
      isFull: (lines, taken) => lines.length === config.batch_size || taken > MAX_TAKEN * config.batch_size,
      deliver: (lines, signal) => deliver(this.#pileOf(lines), this.#sender, signal),
      hurry: () => server.sender.hurry(),
    }, context);
  }

  /** Does not look for the server. @throws {ExitError} 78 if a file that the configuration names cannot be used. */
  static async open(
    config: InfluxConfig,
    context: InfluxContext,
    options: ServerOptions = {},
  ): Promise<InfluxOutput> {
    if (config.attributes_as === "field") {
      context.log.info(
        "Attributes are fields: of points that differ in nothing else, InfluxDB keeps only the last one",
      );
    }
    return new InfluxOutput(config, await InfluxServer.open(config, context, options), context);
  }

  get isTargetAway(): boolean {
    return this.#server.sender.isWaiting;
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

  run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    return this.#loop.run(reader, signal);
  }

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
      this.#texts,
    );
  }

  #pileOf(lines: Lines): Pile {
    const decoder = new TextDecoder();
    const metricOf = (i: number) => lines.batch(i).metricAt(lines.rows[i]);
    const byTime = (i: number, j: number) => {
      const [a, b, row, other] = [lines.batch(i), lines.batch(j), lines.rows[i], lines.rows[j]];
      return a.seconds[row] - b.seconds[other] || a.nanos[row] - b.nanos[other];
    };
    return {
      length: lines.length,
      whole: () => ({ bytes: lines.bytes, length: lines.length, alone: (i) => lines.line(i).slice() }),
      part: (some) => ({
        bytes: join(lines, some),
        length: some.length,
        alone: (i) => lines.line(some[i]).slice(),
      }),
      // A fault is mostly that of a metric (its type), or of a time (it is too old): those lines stand together then.
      // Points of one series and one time stay in their order, others may change places.
      order() {
        const groups = Map.groupBy(Array.from({ length: lines.length }, (_, i) => i), metricOf);
        return [...groups.values()].flatMap((group) => group.sort(byTime));
      },
      taken: (count) => void (this.#points += count),
      setAside: (i, reason) => this.#deadLetters.add(lines.batch(i), lines.rows[i], reason),
      readRefusal(reply, some) {
        const { all, reason, unreadable } = refusalOf(reply, some.length);
        const named = new Map<number, string>();
        if (unreadable.size > 0) {
          for (const i of some) {
            const why = unreadable.get(decoder.decode(lines.line(i)).trimEnd());
            if (why !== undefined) named.set(i, why);
          }
        }
        return { all, reason, named, cut: cutOf(some.map(metricOf)) };
      },
    };
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
