/** Points as they pass, for whoever looks at them. The pipe never waits: what comes too fast is dropped, and counted. */
import type { RunningAgent } from "../agent/settings.ts";
import { matchesGlob } from "../base/glob.ts";
import { printableJson } from "../base/log.ts";
import { Wakeup } from "../base/waiting.ts";
import { pointToJson } from "../dead_letters/codec.ts";
import { type BodyWriter, type HttpRequest, type HttpResponse, textResponse } from "../http/head.ts";
import { type LineFormat, prefixOf } from "../outputs/influxdb/lines.ts";
import { formatF64 } from "../outputs/rendering/numbers.ts";
import type { Batch } from "../points/measurement.ts";
import { SeriesColumn } from "../points/series_column.ts";
import { type SeriesStore, seriesStore } from "../points/series_store.ts";
import type { View } from "./view.ts";

const MAX_TAPS = 4;
/** Lines that wait for a reader. */
const MAX_WAITING = 5000;
/** Points per second, unless the reader asks for another number, and at most. */
const DEFAULT_RATE = 1000;
const MAX_RATE = 100_000;
/** How often is said how many points were dropped, in ms. */
const REPORT_MS = 1000;

const LINE_FORMAT: LineFormat = {
  attributesAs: "tag",
  asTags: new Set(),
  asFields: new Set(),
  unsigned: true,
};

export interface TapOptions {
  /** Patterns with `*` and `?`; all if they are not given. */
  readonly client?: string | undefined;
  readonly metric?: string | undefined;
  /** Points per second, at most. */
  readonly rate: number;
  readonly format: "json" | "influx";
}

/** A test of names by a pattern; all pass if there is none. */
function matcher(pattern: string | undefined): (text: string) => boolean {
  return pattern === undefined ? () => true : (text) => matchesGlob(text, pattern);
}

/** What is known of a series. */
const MATCHES = 1;
const DIFFERS = 2;

export class Tap {
  /** Since the last {@linkcode takeDropped}. */
  #dropped = 0;
  #lines: string[] = [];
  readonly wakeup = new Wakeup();
  readonly #options: TapOptions;
  readonly #localName: string;
  readonly #store: SeriesStore;
  readonly #known: SeriesColumn;
  readonly #isClient: (name: string) => boolean;
  readonly #isMetric: (name: string) => boolean;
  readonly #nowMs: () => number;
  /** Points that may pass now. */
  #credit: number;
  #creditMs: number;

  /** @param localName The host of points without a client. */
  constructor(
    options: TapOptions,
    localName: string,
    nowMs: () => number = () => performance.now(),
    store: SeriesStore = seriesStore,
  ) {
    this.#options = options;
    this.#localName = localName;
    this.#store = store;
    this.#known = new SeriesColumn(store);
    this.#isClient = matcher(options.client);
    this.#isMetric = matcher(options.metric);
    this.#nowMs = nowMs;
    this.#credit = options.rate;
    this.#creditMs = nowMs();
  }

  take(batch: Batch): void {
    const now = this.#nowMs();
    const { rate } = this.#options;
    this.#credit = Math.min(rate, this.#credit + (now - this.#creditMs) / 1000 * rate);
    this.#creditMs = now;
    for (let row = 0; row < batch.length; row++) {
      const number = batch.series[row];
      let known = this.#known.values[number];
      if (known === 0) known = this.#known.values[number] = this.#look(number);
      if (known === DIFFERS) continue;
      if (this.#credit < 1 || this.#lines.length >= MAX_WAITING) {
        this.#dropped++;
        continue;
      }
      this.#credit--;
      this.#lines.push(this.#render(batch, row));
    }
    if (this.#lines.length > 0) this.wakeup.wake();
  }

  #look(number: number): number {
    const client = this.#store.clientAttributeOf(number)?.[1];
    const isWanted = this.#isMetric(this.#store.metricOf(number).name) &&
      this.#isClient(client === undefined ? this.#localName : String(client));
    return isWanted ? MATCHES : DIFFERS;
  }

  #render(batch: Batch, row: number): string {
    if (this.#options.format === "json") return printableJson(pointToJson(batch, row));
    const series = batch.seriesAt(row);
    const isU64 = series.metric.type === "u64";
    const value = isU64 ? `${batch.exactValue(row)}u` : formatF64(batch.values[row]);
    const nanos = String(batch.nanos[row]).padStart(9, "0");
    return `${prefixOf(series, LINE_FORMAT)}${value} ${batch.seconds[row]}${nanos}`;
  }

  /** The lines since the last call. */
  takeLines(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  /** How many points were dropped since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }
}

/** `undefined` if the query makes no sense. */
function optionsOf(query: string): TapOptions | undefined {
  const parameters = new URLSearchParams(query);
  const rate = Number(parameters.get("rate") ?? DEFAULT_RATE);
  const format = parameters.get("format") ?? "json";
  if (!(rate > 0) || rate > MAX_RATE || format !== "json" && format !== "influx") return undefined;
  return {
    client: parameters.get("client") ?? undefined,
    metric: parameters.get("metric") ?? undefined,
    rate,
    format,
  };
}

/** The page that sends points as they pass, one a line. */
export function tapPage(
  view: View,
  nowMs: () => number = () => performance.now(),
): (request: HttpRequest) => HttpResponse {
  let taps = 0;
  return ({ query }) => {
    const options = optionsOf(query);
    if (!options) {
      return textResponse(400, `rate is a number up to ${MAX_RATE}, format is json or influx.`);
    }
    const { agent } = view;
    if (!agent || taps >= MAX_TAPS) {
      const problem = agent ? "Others look at the points already; try again." : "The process is starting.";
      return textResponse(503, problem, { "retry-after": "1" });
    }
    taps++;
    return {
      status: 200,
      headers: {
        "content-type": options.format === "json" ? "application/x-ndjson" : "text/plain; charset=utf-8",
      },
      body: new Uint8Array(),
      stream: (writer) =>
        send(agent, new Tap(options, view.facts.host, nowMs), options.format, writer, nowMs),
      release: () => void taps--,
    };
  };
}

async function send(
  agent: RunningAgent,
  tap: Tap,
  format: TapOptions["format"],
  writer: BodyWriter,
  nowMs: () => number,
): Promise<void> {
  using _ = agent.watch((batch) => tap.take(batch));
  let reportMs = nowMs() + REPORT_MS;
  while (!writer.signal.aborted) {
    await tap.wakeup.wait(REPORT_MS, writer.signal);
    let text = tap.takeLines().map((line) => line + "\n").join("");
    if (nowMs() >= reportMs) {
      reportMs = nowMs() + REPORT_MS;
      const dropped = tap.takeDropped();
      if (dropped > 0) {
        text += format === "json" ? `{"dropped":${dropped}}\n` : `# ${dropped} points dropped\n`;
      }
    }
    await writer.write(text);
  }
}
