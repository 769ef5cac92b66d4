/** Metrics that a configuration names, also by patterns: what is thought of each is found out once. */
import type { MonotonicClock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Batch, Metric } from "../points/measurement.ts";
import type { SeriesStore } from "../points/series_store.ts";

/** How long a name may take to occur before the log says that it has not, in ms. */
const PATIENCE_MS = 60_000;

/** A text in which `*` stands for any characters, none included. */
export class Pattern {
  readonly #expression: RegExp;

  constructor(readonly text: string) {
    const quoted = text.split("*").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
    this.#expression = new RegExp(`^${quoted.join("([^]*)")}$`);
  }

  matches(text: string): boolean {
    return this.#expression.test(text);
  }

  /** A text with each of its `*` replaced by what the same `*` of this pattern stands for in another text, which matches. */
  fill(template: string, text: string): string {
    const [, ...parts] = this.#expression.exec(text)!;
    return template.replaceAll("*", () => parts.shift() ?? "");
  }
}

/** How many `*` a text has. */
export function countStars(text: string): number {
  return text.split("*").length - 1;
}

/** A value for each metric, found out when the metric first occurs: a metric is known by its number in the store. */
export class ByMetric<T> {
  #store: SeriesStore | null = null;
  #values: (T | undefined)[] = [];

  constructor(readonly find: (metric: Metric) => T) {}

  of(batch: Batch, row: number): T {
    const { store } = batch;
    if (store !== this.#store) {
      this.#store = store;
      this.#values = [];
    }
    const series = batch.series[row];
    const number = store.metrics[series];
    return this.#values[number] ??= this.find(store.metricOf(series));
  }
}

/** Patterns of names, and which of them have occurred. */
export class MetricNames {
  readonly #patterns: readonly Pattern[];
  readonly #unseen: Set<Pattern>;
  readonly #log: Logger;
  readonly #clock: MonotonicClock;
  readonly #startMs: number;

  constructor(names: readonly string[], log: Logger, clock: MonotonicClock) {
    this.#patterns = names.map((name) => new Pattern(name));
    this.#unseen = new Set(this.#patterns);
    this.#log = log;
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
  }

  /** Whether one of the patterns is that of the name. */
  has(name: string): boolean {
    let found = false;
    for (const pattern of this.#patterns) {
      if (!pattern.matches(name)) continue;
      found = true;
      this.#unseen.delete(pattern);
    }
    return found;
  }

  /** Says once, after a minute, which names have not occurred. To be called with each batch. */
  check(): void {
    if (this.#unseen.size === 0 || this.#clock.monotonicMs() - this.#startMs < PATIENCE_MS) return;
    this.#log.warn("Metrics that the configuration names have not occurred so far", {
      metrics: [...this.#unseen].map(({ text }) => text).join(","),
    });
    this.#unseen.clear();
  }
}
