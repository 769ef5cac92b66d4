/** Scrapes exporters, each at its own pace. A page is decoded while it arrives, piece by piece, so that nothing is held up. */
import { delay } from "@std/async/delay";
import type { Clock } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { requestProblem } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { Timer } from "../../base/timers.ts";
import { closeQuietly, TimeLimit } from "../../base/waiting.ts";
import { Gatherer } from "../../intake/gatherer.ts";
import type { BatchSink, Finding, Input, PluginContext } from "../../plugin.ts";
import { Naming } from "../decoding/naming.ts";
import { ProblemLog } from "../decoding/problems.ts";
import { MetricRules } from "../decoding/rules.ts";
import type { ScrapeConfig, ScrapeTarget } from "./config.ts";
import { ExpositionDecoder } from "./exposition_decoder.ts";

/** What is asked for, in the order of preference. */
const ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
/** Lines are decoded for so long before others get their turn, in ms. */
const TURN_MS = 2;
/** Bytes of a page that are decoded at a time. */
const SLICE_BYTES = 8 * 1024;
const MINUTE_MS = 60_000;
const LF = 10;

/** What the input has done since it started. */
export interface ScrapeStats extends Record<string, number> {
  scrapes: number;
  failedScrapes: number;
  /** Scrapes that were due while the one before was not done. */
  missedScrapes: number;
  points: number;
  badLines: number;
  refusedPoints: number;
  skippedTexts: number;
}

export class ScrapeInput implements Input {
  readonly stats: ScrapeStats = {
    scrapes: 0,
    failedScrapes: 0,
    missedScrapes: 0,
    points: 0,
    badLines: 0,
    refusedPoints: 0,
    skippedTexts: 0,
  };
  readonly #gatherer = new Gatherer();
  readonly #naming: Naming;
  readonly #problems: ProblemLog;
  readonly #targets: readonly Exporter[];
  readonly firstPoll: Promise<void>;

  constructor(
    config: ScrapeConfig,
    { log, clock, registry }: Pick<PluginContext, "log" | "clock" | "registry">,
  ) {
    const { limits, targets, rules } = config;
    this.#naming = new Naming({
      input: "scrape",
      registry,
      store: this.#gatherer.builder.store,
      rules: new MetricRules(rules),
      maxMetrics: limits.metrics,
      maxNameBytes: limits.name_length,
    });
    this.#problems = new ProblemLog(log, clock, this.stats);
    this.#targets = targets.map((target) =>
      new Exporter(target, {
        log,
        clock,
        limits,
        gatherer: this.#gatherer,
        stats: this.stats,
        decoder: new ExpositionDecoder({
          naming: this.#naming,
          out: this.#gatherer.builder,
          differences: target.counters === "differences",
          instance: target.instance ?? new URL(target.url).host,
          problems: this.#problems.of({ url: target.url }),
          stats: this.stats,
        }),
      })
    );
    this.firstPoll = Promise.all(this.#targets.map(({ firstScrape }) => firstScrape)).then(() => {});
  }

  get findings(): readonly Finding[] {
    return this.#targets.flatMap(({ finding }) => finding ?? []);
  }

  async run(sink: BatchSink, stop: AbortSignal): Promise<void> {
    this.#gatherer.start(sink);
    try {
      using _report = Timer.every(MINUTE_MS, () => this.#problems.catchUp());
      await Promise.all(this.#targets.map((target) => target.run(stop)));
      await this.#gatherer.flush();
    } finally {
      this.#problems.catchUp();
    }
  }

  handOver(): void {
    this.#gatherer.close();
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.#gatherer[Symbol.dispose]();
    this.#naming[Symbol.dispose]();
  }
}

interface ExporterOptions {
  readonly log: Logger;
  readonly clock: Clock;
  readonly limits: ScrapeConfig["limits"];
  readonly gatherer: Gatherer;
  readonly stats: ScrapeStats;
  readonly decoder: ExpositionDecoder;
}

/** One exporter. */
class Exporter {
  /** What the last scrape has found. */
  finding: Finding | null = null;
  readonly #first = Promise.withResolvers<void>();
  readonly #target: ScrapeTarget;
  readonly #options: ExporterOptions;
  readonly #failed: Complaint;
  readonly #missed: Complaint;
  /** Holds what has come of a page and is not decoded. */
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;

  constructor(target: ScrapeTarget, options: ExporterOptions) {
    this.#target = target;
    this.#options = options;
    this.#failed = new Complaint(options.clock);
    this.#missed = new Complaint(options.clock);
    this.#bytes = new Uint8Array(options.limits.line_length + SLICE_BYTES);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Resolves when the first scrape has ended, in whatever way. */
  get firstScrape(): Promise<void> {
    return this.#first.promise;
  }

  /** Scrapes at once, and then at `start + n * interval`; a late scrape does not move those after it. */
  async run(stop: AbortSignal): Promise<void> {
    const { clock, log, stats } = this.#options;
    const { url, poll_interval: intervalMs } = this.#target;
    const startMs = clock.monotonicMs();
    for (let tick = 0; !stop.aborted;) {
      stats.scrapes++;
      try {
        await this.#scrape(stop);
        this.finding = { what: `a page with ${this.#options.decoder.points} values`, file: url };
        this.#failed.end(() => log.info("The exporter can be scraped again", { url }));
      } catch (error) {
        if (stop.aborted) return;
        stats.failedScrapes++;
        this.finding = { what: "an exporter", file: url, problem: requestProblem(error) };
        this.#failed.add((times) => log.warn("Cannot scrape", { url, reason: requestProblem(error), times }));
      } finally {
        this.#first.resolve();
      }
      const next = Math.floor((clock.monotonicMs() - startMs) / intervalMs) + 1;
      const missed = next - tick - 1;
      if (missed > 0) {
        stats.missedScrapes += missed;
        this.#missed.add((skipped) => {
          log.warn("Skipped scrapes: the one before, or handing over its points, took too long", {
            url,
            skipped,
          });
        }, missed);
      }
      tick = next;
      await clock.sleep(startMs + tick * intervalMs - clock.monotonicMs(), stop);
    }
  }

  async #scrape(stop: AbortSignal): Promise<void> {
    const { clock, decoder } = this.#options;
    const { url, timeout, token_file, ca } = this.#target;
    using limit = new TimeLimit(timeout, stop);
    const headers: Record<string, string> = { accept: ACCEPT, "user-agent": "alumet-relay" };
    if (token_file !== "") headers.authorization = `Bearer ${(await Deno.readTextFile(token_file)).trim()}`;
    const client = ca === "" ? undefined : Deno.createHttpClient({ caCerts: [await Deno.readTextFile(ca)] });
    try {
      const time = clock.now();
      const response = await fetch(url, { headers, signal: limit.signal, client });
      if (!response.ok || response.body === null) {
        await response.body?.cancel();
        throw new Error(`it answers with status ${response.status}`);
      }
      const isOpenMetrics = (response.headers.get("content-type") ?? "").includes("openmetrics");
      decoder.begin(time, isOpenMetrics);
      await this.#read(response.body);
      if (isOpenMetrics && !decoder.hasEnded) throw new Error("the page is not complete: it has no # EOF");
    } catch (error) {
      if (limit.isOver) throw new Error(`no whole page within ${timeout} ms`);
      throw error;
    } finally {
      closeQuietly(client);
    }
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const { decoder, limits, gatherer, clock } = this.#options;
    const bytes = this.#bytes;
    let length = 0;
    let total = 0;
    let isSkipping = false;
    let began = clock.monotonicMs();
    for await (let chunk of body) {
      total += chunk.length;
      // What is left of the stream is cancelled.
      if (total > limits.body) throw new Error(`the page has more than ${limits.body} bytes (limits.body)`);
      while (chunk.length > 0) {
        const count = Math.min(chunk.length, SLICE_BYTES, bytes.length - length);
        bytes.set(chunk.subarray(0, count), length);
        length += count;
        chunk = chunk.subarray(count);
        const end = bytes.subarray(0, length).lastIndexOf(LF) + 1;
        if (end > 0) {
          let start = 0;
          if (isSkipping) start = bytes.indexOf(LF);
          isSkipping = false;
          decoder.decode(bytes, this.#view, start, end);
          bytes.copyWithin(0, end, length);
          length -= end;
        }
        if (length >= limits.line_length) {
          if (!isSkipping) {
            decoder.skipped(`it is longer than ${limits.line_length} bytes (limits.line_length)`);
          }
          isSkipping = true;
          length = 0;
        }
        await gatherer.gathered();
        if (clock.monotonicMs() - began > TURN_MS) {
          await delay(0);
          began = clock.monotonicMs();
        }
      }
    }
    if (length > 0 && !isSkipping) decoder.decode(bytes, this.#view, 0, length);
    await gatherer.gathered();
  }
}
