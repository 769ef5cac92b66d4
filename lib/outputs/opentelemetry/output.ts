/**
 * The `opentelemetry` output. The points of a series are sent in their order, by {@linkcode RequestLoop}. A batch is
 * committed when the receiver has taken all its points, or has refused them and they are set aside. What is sent twice
 * because an answer was lost may be there twice: OTLP has nothing against it.
 */
import { valueProblem } from "../rendering/u64.ts";
import denoConfig from "../../../deno.json" with { type: "json" };
import type { DeadLetters } from "../../plugin.ts";
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import type { BatchReader } from "../../journal.ts";
import type { Batch } from "../../points/measurement.ts";
import type { Output, PluginContext } from "../../plugin.ts";
import { ControlledSender } from "../http/control.ts";
import { RequestLoop } from "../http/loop.ts";
import { deliver, type Pile } from "../http/sifting.ts";
import { CONTENT_TOO_LARGE } from "../http/verdict.ts";
import type { HttpReply, HttpSender } from "../http/sender.ts";
import type { OpenTelemetryConfig } from "./config.ts";
import { readExportResponse } from "./messages.ts";
import { openReceiver, type ReceiverOptions } from "./receiver.ts";
import { hasTime, PointList, RequestEncoder } from "./request.ts";

/** Bytes of one request before it is compressed, about; a single point may be larger. Collectors take 20 MiB. */
const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
/**
 * How often points may be parted, by two requests each time, to find those because of which a request was refused. A
 * receiver should take the others, and say how many it has rejected; some refuse the request.
 */
const MAX_PARTED = 32;

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
  readonly #control: ControlledSender;
  readonly #loop: RequestLoop<PointList>;
  #taken = 0;
  #rejected = 0;
  readonly #complaint: Complaint;

  private constructor(config: OpenTelemetryConfig, sender: HttpSender, context: OpenTelemetryContext) {
    this.#config = config;
    this.#sender = sender;
    this.#context = context;
    this.#complaint = new Complaint(context.clock);
    this.#deadLetters = context.deadLetters;
    this.#encoder = new RequestEncoder({
      prefix: config.prefix,
      suffix: config.suffix,
      unitDisplayName: config.use_unit_display_name,
      attributes: config.add_attributes_to_labels,
      serviceName: config.service_name,
      localClient: Deno.hostname(),
      version: denoConfig.version,
    });
    this.#control = new ControlledSender(sender, context.clock, () => this.#encoder.empty());
    this.#loop = new RequestLoop({
      create: () => new PointList(config.batch_size),
      flushIntervalMs: () => this.#config.flush_interval,
      fill: (points, batch, from) => this.#fill(points, batch, from),
      isFull: (points) => points.length === points.capacity,
      deliver: (points, signal) => this.#deliver(points, signal),
      hurry: () => sender.hurry(),
    }, context);
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

  get isTargetAway(): boolean {
    return this.#sender.isWaiting;
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

  run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    return this.#loop.run(reader, signal);
  }

  /** Gathers rows of a batch, but for those whose time OTLP does not have. */
  #fill(points: PointList, batch: Batch, from: number): number {
    let row = from;
    for (; row < batch.length && points.length < points.capacity; row++) {
      const problem = hasTime(batch.seconds[row], batch.nanos[row])
        ? valueProblem(batch, row)
        : "the time is after 2554-07-21, where that of OTLP ends";
      if (problem === undefined) points.push(batch, row);
      else this.#deadLetters.add(batch, row, problem);
    }
    return row;
  }

  /** Delivers points, in more than one request where one would be too large. */
  async #deliver(points: PointList, signal: AbortSignal): Promise<void> {
    const bytes = this.#encoder.encode(points);
    const { length } = points;
    if (bytes.length <= MAX_REQUEST_BYTES || length === 1) {
      return await deliver(this.#pileOf(points, bytes), this.#control, signal);
    }
    await this.#deliver(points.pick(range(0, length >>> 1)), signal);
    await this.#deliver(points.pick(range(length >>> 1, length)), signal);
  }

  #pileOf(points: PointList, bytes: Uint8Array<ArrayBuffer>): Pile {
    const encoder = this.#encoder;
    const alone = (i: number) => encoder.encode(points, i, i + 1);
    return {
      length: points.length,
      maxParted: MAX_PARTED,
      whole: () => ({ bytes, length: points.length, alone }),
      part: (some) => ({
        bytes: encoder.encode(points.pick(some)),
        length: some.length,
        alone: (i) => alone(some[i]),
      }),
      taken: (count, reply) => this.#count(reply, count),
      setAside: (i, reason) => this.#deadLetters.add(points.batch(i), points.row(i), reason),
      readRefusal: ({ status, text }) => ({
        all: false,
        isTooLarge: status === CONTENT_TOO_LARGE,
        reason: `status ${status}: ${text.trim()}`,
      }),
    };
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
    if (rejectedPoints === 0 && message === "") return;
    this.#complaint.add((points) => {
      // Without rejected points it is a warning (OTLP 1.9, "Partial Success").
      this.#context.log.warn(
        points > 0 ? "The receiver rejected points" : "The receiver warns",
        { points: points || undefined, reason: message },
      );
    }, rejectedPoints);
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#sender[Symbol.dispose]();
  }
}

/** The numbers `from … to-1`. */
function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
