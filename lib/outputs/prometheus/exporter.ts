/** The output behind {@linkcode ../prometheus_exporter.ts}: batches go into the store, pages come out of it. */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { formatAddress, parseAddress } from "../../net/address.ts";
import type { Clock } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { type HttpRequest, type HttpResponse, textResponse } from "../../http/head.ts";
import { type HttpLimits, HttpServer } from "../../http/server.ts";
import type { BatchReader } from "../../journal.ts";
import { listen } from "../../net/listen.ts";
import type { Logger } from "../../base/log.ts";
import type { Output, PluginContext } from "../../plugin.ts";
import { addressText, type PrometheusConfig } from "./config.ts";
import { renderPage } from "./exposition.ts";
import { acceptsGzip, chooseFormat, CONTENT_TYPE } from "../../http/negotiation.ts";
import { ExposedStore, type StoreStats } from "./exposed_store.ts";

/** All names and labels together, in UTF-16 units: a bound on what hostile attributes can take. */
const MAX_HEAD_LENGTH = 64 * 1024 * 1024;
/** Different pages that are rendered or sent at the same time; further scrapes are answered 503. */
const MAX_PAGES = 8;
/** How often series are looked through for those that have stopped, in ms: a tenth of `stale_after` within these. */
const MIN_SWEEP_MS = 100;
const MAX_SWEEP_MS = 10_000;
/** Batches are taken for so long before scrapes get their turn, in ms. */
const TURN_MS = 20;
/** A page of 2 MB takes 5 ms, and a tenth of its size. */
const GZIP_LEVEL = 4;

const compress = promisify(gzip) as unknown as (
  bytes: Uint8Array,
  options: { level: number },
) => Promise<Uint8Array<ArrayBuffer>>;

const HINT = `<!DOCTYPE html>
<html lang="en"><head><title>alumet-relay</title></head><body>
<h1>alumet-relay</h1>
<p><a href="/metrics">/metrics</a> has the last value of every series, for Prometheus to scrape.</p>
</body></html>
`;

/** A page that is rendered or sent; scrapes that ask for the same one share it. */
interface Page {
  readonly key: string;
  readonly body: Promise<Uint8Array<ArrayBuffer>>;
  scrapes: number;
}

export interface ExporterStats extends StoreStats {
  scrapes: number;
  /** Scrapes that were answered 503. */
  refusedScrapes: number;
}

/**
 * Holds the last value of every series, and shows them at `/metrics`. A batch is committed when it has been taken: a
 * scrape shows what is, not what was, and cannot come too late for anything.
 */
export class PrometheusExporter implements Output {
  #config: PrometheusConfig;
  readonly #store: ExposedStore;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #server: HttpServer;
  readonly #pages = new Map<string, Page>();
  #scrapes = 0;
  #refusedScrapes = 0;
  readonly #complaint: Complaint;
  /** Points that the complaint has been told of. */
  #toldRefused = 0;

  /** @throws {ExitError} when the address cannot be listened on. */
  constructor(
    config: PrometheusConfig,
    context: Pick<PluginContext, "log" | "clock">,
    limits: Partial<HttpLimits> = {},
  ) {
    this.#config = config;
    this.#log = context.log;
    this.#clock = context.clock;
    this.#complaint = new Complaint(context.clock);
    this.#store = new ExposedStore(config, { series: config.max_series, headLength: MAX_HEAD_LENGTH });
    const address = parseAddress(addressText(config.host, config.port), { listen: true });
    const listener = listen(address, {
      key: "plugins.prometheus-exporter.host and port",
      open: Deno.listen,
      log: context.log,
    });
    this.#server = new HttpServer(listener, (request) => this.#answer(request), context.log, limits);
    const url = `http://${formatAddress({ ...address, port: this.port })}/metrics`;
    context.log.info("Listening for scrapes", { url });
  }

  get port(): number {
    return this.#server.address.port;
  }

  readonly gauges = ["series"];

  get stats(): ExporterStats {
    return { ...this.#store.stats, scrapes: this.#scrapes, refusedScrapes: this.#refusedScrapes };
  }

  reconfigure(config: PrometheusConfig): void {
    this.#config = config;
    this.#store.maxSeries = config.max_series;
  }

  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    const sweepMs = () => Math.min(MAX_SWEEP_MS, Math.max(MIN_SWEEP_MS, this.#config.stale_after / 10));
    let sweepAt = this.#clock.monotonicMs() + sweepMs();
    while (true) {
      const state = await reader.wait(Math.max(0, sweepAt - this.#clock.monotonicMs()), signal);
      if (state === "aborted") return;
      const began = this.#clock.monotonicMs();
      let now = began;
      for (let batch; now < began + TURN_MS && (batch = reader.next()); now = this.#clock.monotonicMs()) {
        this.#store.take(batch, now);
        reader.commit(1);
      }
      if (state === "ended") return;
      if (now >= began + TURN_MS) await this.#clock.sleep(0, signal);
      if (now >= sweepAt) {
        this.#sweep();
        this.#complain();
        sweepAt = now + sweepMs();
      }
    }
  }

  #sweep(): void {
    this.#store.sweep(this.#clock.monotonicMs() - this.#config.stale_after);
  }

  #complain(): void {
    const { refused, series } = this.#store.stats;
    const more = refused - this.#toldRefused;
    this.#toldRefused = refused;
    if (more === 0) return;
    this.#complaint.add((points) => {
      this.#log.warn("Too many series, new ones are not shown until others stop", {
        series,
        max_series: this.#config.max_series,
        points,
      });
    }, more);
  }

  #answer(request: HttpRequest): HttpResponse | Promise<HttpResponse> {
    if (request.path === "/metrics") return this.#scrape(request);
    if (request.path === "/") {
      return { ...textResponse(200, HINT), headers: { "content-type": "text/html; charset=utf-8" } };
    }
    return textResponse(404, "Not found; the page is /metrics.");
  }

  async #scrape({ headers }: HttpRequest): Promise<HttpResponse> {
    this.#sweep();
    const format = chooseFormat(headers.get("accept"));
    const gzipped = acceptsGzip(headers.get("accept-encoding"));
    const key = `${this.#store.version} ${format} ${gzipped}`;
    let page = this.#pages.get(key);
    if (!page) {
      if (this.#pages.size >= MAX_PAGES) {
        this.#refusedScrapes++;
        return textResponse(503, "Too many scrapes at once; try again.", { "retry-after": "1" });
      }
      const { families, pageBytes } = this.#store;
      const bytes = renderPage(families, format, this.#config.timestamps, pageBytes);
      const body = gzipped ? compress(bytes, { level: GZIP_LEVEL }) : Promise.resolve(bytes);
      this.#pages.set(key, page = { key, body, scrapes: 0 });
    }
    this.#scrapes++;
    const held = page;
    held.scrapes++;
    return {
      status: 200,
      headers: {
        "content-type": CONTENT_TYPE[format],
        vary: "accept, accept-encoding",
        ...gzipped ? { "content-encoding": "gzip" } : {},
      },
      body: await held.body,
      release: () => {
        if (--held.scrapes === 0) this.#pages.delete(held.key);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}
