/** Asks Kwollect for the newest values of a node, and gives each of them once, with its own time. */
import { isInTime, type Timestamp } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { requestProblem } from "../../base/errors.ts";
import { Secret } from "../../base/secrets.ts";
import { TimeLimit } from "../../base/waiting.ts";
import { textOf } from "../../http/answer.ts";
import {
  type Attribute,
  f64Metric,
  type Metric,
  type Points,
  type Series,
  seriesOf,
} from "../polling/points.ts";
import { Retry } from "../polling/retry.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import type { KwollectConfig } from "./config.ts";
import { compare, unitOf, type Value, valuesOf } from "./values.ts";

/** The largest answer, in bytes. */
const MOST_BYTES = 16 * 1024 * 1024;
/** Series of one node, at most: values of further ones are left out. */
const MOST_SERIES = 4096;
/** The last poll does not wait longer, in ms. */
const LAST_MS = 500;

/** A series, and the time of its newest value that was taken. */
interface Known {
  readonly series: Series;
  newest: Timestamp;
}

export class KwollectSource implements PolledSource {
  readonly name = "kwollect-input";
  readonly #config: KwollectConfig;
  readonly #measuring: Measuring;
  readonly #metrics: ReadonlyMap<string, Metric>;
  readonly #password: Secret;
  readonly #start: Timestamp;
  readonly #retry: Retry;
  readonly #complaint: Complaint;
  readonly #closed = new AbortController();
  readonly #series = new Map<string, Known>();
  /** The question that is under way: there is never a second one. */
  #asking: Promise<void> | null = null;
  /** What was read and is not yet a point. */
  #values: readonly Value[] = [];

  /** Registers the metrics. @throws {ExitError} if the file with the password cannot be used */
  constructor(config: KwollectConfig, measuring: Measuring) {
    const { registry, clock } = measuring;
    this.#config = config;
    this.#measuring = measuring;
    this.#metrics = new Map(config.metrics.map((name) => [
      name,
      registry.register(f64Metric(name, unitOf(name), "Measured by Kwollect")),
    ]));
    const { password, password_file } = config;
    this.#password = new Secret(password, password_file, "plugins.kwollect-input.password_file");
    this.#start = clock.now();
    this.#retry = new Retry(clock);
    this.#complaint = new Complaint(clock);
  }

  async gather(last: boolean): Promise<void> {
    if (!this.#asking && this.#retry.isDue) this.#asking = this.#ask().finally(() => this.#asking = null);
    if (!this.#asking) return;
    if (!last) return await this.#asking;
    if (!await isInTime(this.#asking, LAST_MS, this.#measuring.clock)) this.#closed.abort();
  }

  async #ask(): Promise<void> {
    const { log, findings } = this.#measuring;
    const { api_url: file, hostname } = this.#config;
    const what = `metrics of node ${hostname}`;
    try {
      this.#values = valuesOf(await this.#get());
      this.#retry.succeeded();
      findings.measured(what, file);
      this.#complaint.end(() => log.info("Kwollect answers again", { url: file }));
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      this.#retry.failed();
      // The URL has its own field, and its query would make each problem another one.
      const problem = requestProblem(error);
      findings.failed(what, file, problem);
      this.#complaint.add((failed) => log.warn(`Cannot ask Kwollect: ${problem}`, { url: file, failed }));
    }
  }

  async #get(): Promise<unknown> {
    const { site, hostname, metrics, api_url, login, look_back, timeout } = this.#config;
    const { seconds: now } = this.#measuring.clock.now();
    const url = new URL(`${api_url.replace(/\/+$/, "")}/sites/${site}/metrics`);
    url.search = new URLSearchParams({
      nodes: hostname,
      metrics: metrics.join(),
      start_time: String(Math.floor(Math.max(this.#start.seconds, now - look_back / 1000))),
      end_time: String(now + 1),
    }).toString();
    const headers: Record<string, string> = { accept: "application/json", "user-agent": "alumet-relay" };
    if (login !== "") {
      const problem = this.#password.refresh();
      if (problem !== undefined) throw new Error(problem);
      const pair = new TextEncoder().encode(`${login}:${this.#password.value}`);
      headers.authorization = `Basic ${pair.toBase64()}`;
    }
    using limit = new TimeLimit(timeout, this.#closed.signal);
    try {
      // A redirection would give the password to whoever is named there.
      const response = await fetch(url, { headers, signal: limit.signal, redirect: "manual" });
      if (response.status !== 200) {
        await response.body?.cancel();
        throw new Error(`HTTP ${response.status}`);
      }
      return JSON.parse(await textOf(response, MOST_BYTES));
    } catch (error) {
      if (limit.isOver) throw new Error(`no answer within ${timeout} ms`);
      throw error instanceof SyntaxError ? new Error("the answer is not JSON") : error;
    }
  }

  poll(points: Points): void {
    const values = this.#values;
    this.#values = [];
    const pollTime = points.time;
    for (const value of values) {
      const known = this.#knownOf(value);
      if (!known || compare(value.time, known.newest) <= 0) continue;
      known.newest = value.time;
      points.time = value.time;
      points.f64(known.series, value.value);
    }
    points.time = pollTime;
  }

  #knownOf({ metric: name, device, origin }: Value): Known | undefined {
    const metric = this.#metrics.get(name);
    if (!metric) return undefined;
    const key = `${name}\0${device}\0${origin}`;
    let known = this.#series.get(key);
    if (!known && this.#series.size < MOST_SERIES) {
      const attributes: Attribute[] = [["metric_id", name]];
      const series = seriesOf(metric, {
        resourceKind: "device_id",
        resourceId: device,
        ...origin === "" ? {} : { consumerKind: "device_origin", consumerId: origin },
        attributes,
      });
      // What was measured before the start was perhaps taken by an earlier process.
      this.#series.set(key, known = { series, newest: this.#start });
    }
    return known;
  }

  /** Ends a question that is under way. */
  close(): void {
    this.#closed.abort();
  }
}
