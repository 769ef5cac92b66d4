/** An exporter that runs, for tests. */
import { MemoryJournal } from "../../../lib/journal.ts";
import type { Batch } from "../../../lib/points/measurement.ts";
import { PrometheusExporter } from "../../../lib/outputs/prometheus/exporter.ts";
import type { PrometheusConfig } from "../../../lib/outputs/prometheus/config.ts";
import { prometheusExporter } from "../../../lib/outputs/prometheus_exporter.ts";
import { contextWith } from "../../kit/context.ts";
import { metricOf } from "../../kit/decode.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { type Page, readPage } from "../../kit/prometheus.ts";
import { pause, until } from "../../kit/waiting.ts";

export const DEFAULTS = prometheusExporter.config.defaultValue();
export const POWER = metricOf("power", "f64", { base: "W", prefix: "" });
export const COUNT = metricOf("count");
export const TEXT = "text/plain; version=0.0.4; charset=utf-8";
export const OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/** What Prometheus 2.42 asks for. */
export const PROMETHEUS_ACCEPT =
  "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;" +
  "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/** A clock that a test sets. */
export class HandClock {
  ms = 0;
  now = () => ({ seconds: 1_700_000_000, nanos: 0 });
  monotonicMs = () => this.ms;
  sleep = () => pause(0);
}

/** An exporter that runs on a free port of 127.0.0.1, and a journal before it. */
export class Running implements AsyncDisposable {
  readonly journal = new MemoryJournal({ limitBytes: 1e9 });
  readonly logs = new LogLines();
  readonly clock = new HandClock();
  readonly exporter: PrometheusExporter;
  readonly #running: Promise<void>;

  constructor(config: Partial<PrometheusConfig> = {}) {
    const context = contextWith({ log: this.logs.log, clock: this.clock });
    this.exporter = new PrometheusExporter({ ...DEFAULTS, host: "127.0.0.1", port: 0, ...config }, context);
    this.#running = this.exporter.run(this.journal.reader(), new AbortController().signal);
  }

  get url(): string {
    return `http://127.0.0.1:${this.exporter.port}`;
  }

  /** Waits until the exporter has taken it. */
  async take(batch: Batch): Promise<void> {
    await this.journal.append(batch);
    await until(() => this.journal.pendingPoints === 0);
  }

  async get(headers: Record<string, string> = {}, path = "/metrics"): Promise<Response> {
    return await fetch(this.url + path, { headers });
  }

  async page(): Promise<Page> {
    return readPage(await (await this.get()).text());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.journal.end();
    await this.#running;
    await this.exporter[Symbol.asyncDispose]();
  }
}
