/**
 * The transform behind {@linkcode ../aggregation.ts}. A window is completed by a point of its series that is younger than
 * its end and the grace, by one that is older by as much (a clock was set back), or by silence. What comes later opens
 * the window again: no point is lost, and the results of the same series and time add up.
 */
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Batch, Metric } from "../../points/measurement.ts";
import { CLIENT_ATTRIBUTE } from "../../points/measurement.ts";
import type { ClientRecord } from "../../points/origins.ts";
import type { MetricRegistry } from "../../points/registry.ts";
import { SeriesColumn } from "../../points/series_column.ts";
import { SERIES_FLAGS, type SeriesStore } from "../../points/series_store.ts";
import type { PluginContext, StagedTransform, StageOutput } from "../../plugin.ts";
import { BySeries } from "../by_series.ts";
import { DerivedSeries } from "../derived_series.ts";
import { memoryOf } from "../memory.ts";
import { MetricNames } from "../metric_names.ts";
import { type AggregationConfig, graceOf } from "./config.ts";
import { functionOf, type WindowContent, type WindowFunction, type WindowNeeds } from "./functions.ts";
import { groupingBy } from "./grouping.ts";
import { NONE, Windows } from "./windows.ts";

/** What is thought of a series. */
const LOOK = { passes: 1, counts: 2 } as const;
/** {@linkcode Windows.flags} */
const U64 = 1;
const LATE = 2;
const MAX_EXACT = 2 ** 53;
/** Silence is measured in this many ticks. */
const TICKS = 4;
const MIN_TICK_MS = 50;
const MAX_TICK_MS = 5000;

/** What one function makes. */
interface Result {
  readonly make: WindowFunction;
  /** By the metric of the points. */
  readonly metrics: Map<Metric, Metric>;
  readonly derived: DerivedSeries;
}

export class Aggregation implements StagedTransform {
  readonly tickMs: number;
  readonly completesAtStop: boolean;
  /** Points that were aggregated, results, and points that came when their window was complete. */
  readonly stats = { points: 0, results: 0, late: 0, completedEarly: 0, openWindows: 0 };
  readonly gauges = ["openWindows"];
  readonly #intervalMs: number;
  readonly #graceMs: number;
  readonly #silentTicks: number;
  readonly #maxBytes: number;
  readonly #names: MetricNames;
  readonly #looks: BySeries;
  readonly #group: DerivedSeries | null;
  /** Whose the results are, if a group may have series of many clients. */
  readonly #owner: ClientRecord | null;
  readonly #results: readonly Result[];
  readonly #registry: MetricRegistry;
  readonly #needs: WindowNeeds;
  readonly #log: Logger;
  readonly #complaint: Complaint;
  readonly #windows: Windows;
  #tick = 0;
  #store: SeriesStore | null = null;
  /** By series: its first window, and one. */
  #heads!: SeriesColumn;
  /** By series: the number of the latest window that is complete, and one, modulo 2^32. */
  #completed!: SeriesColumn;

  constructor(
    config: AggregationConfig,
    { registry, log, clock, clients }: Pick<PluginContext, "registry" | "log" | "clock" | "clients">,
  ) {
    const { interval, metrics, group_by, function: functions } = config;
    this.#intervalMs = interval;
    this.#graceMs = graceOf(config);
    const silenceMs = interval + this.#graceMs;
    this.tickMs = Math.min(MAX_TICK_MS, Math.max(MIN_TICK_MS, silenceMs / TICKS));
    // The last point may have come right before a tick.
    this.#silentTicks = Math.ceil(silenceMs / this.tickMs) + 1;
    this.completesAtStop = config.complete_at_stop;
    this.#maxBytes = memoryOf(config);
    this.#log = log;
    this.#complaint = new Complaint(clock);
    this.#names = new MetricNames(metrics, log, clock);
    this.#looks = new BySeries((store, series) => this.#lookAt(store.metricOf(series)));
    this.#group = group_by ? new DerivedSeries(groupingBy(group_by)) : null;
    this.#owner = group_by && !group_by.includes(CLIENT_ATTRIBUTE) ? clients.local : null;
    this.#registry = registry;
    this.#results = functions.map((name) => {
      const make = functionOf(name)!;
      const metrics = new Map<Metric, Metric>();
      const derived = new DerivedSeries((store, series) =>
        store.withMetric(series, metrics.get(store.metricOf(series))!)
      );
      return { make, metrics, derived };
    });
    const needs = (what: keyof WindowNeeds) => this.#results.some(({ make }) => make.needs === what);
    this.#needs = { extremes: needs("extremes"), last: needs("last"), values: needs("values") };
    this.#windows = new Windows(this.#needs);
  }

  get neededFrom(): number {
    const { oldest, place } = this.#windows;
    return oldest === NONE ? Infinity : place[oldest];
  }

  take(
    batch: Batch,
    start: number,
    end: number,
    client: ClientRecord,
    place: number,
    out: StageOutput,
  ): void {
    this.#names.check();
    if (batch.store !== this.#store) this.#begin(batch.store);
    const windows = this.#windows;
    const { extremes, last, values: all } = this.#needs;
    const { series, seconds, nanos, values } = batch;
    let points = 0;
    this.#looks.of(batch, start, end);
    for (let row = start; row < end; row++) {
      if (this.#looks.at(series[row]) === LOOK.passes) {
        out.pass(batch, row);
        continue;
      }
      const base = this.#group === null ? series[row] : this.#group.of(batch.store, series[row]);
      const ms = seconds[row] * 1000 + Math.floor(nanos[row] / 1e6);
      let window = this.#heads.values[base] - 1;
      if (window < 0 || ms < windows.start[window] || ms >= windows.limit[window]) {
        window = this.#find(base, ms, client, place, out);
      }
      const value = values[row];
      windows.tick[window] = this.#tick;
      const count = windows.count[window]++;
      if (last) windows.last[window] = value;
      if (extremes) {
        if (count === 0) windows.min[window] = windows.max[window] = value;
        else if (value < windows.min[window]) windows.min[window] = value;
        else if (value > windows.max[window]) windows.max[window] = value;
      }
      const sum = windows.sum[window] + value;
      if (sum < MAX_EXACT || (windows.flags[window] & U64) === 0) windows.sum[window] = sum;
      else this.#addExact(window, batch, row);
      points++;
      if (all) {
        windows.values[window]!.push(value);
        windows.valueCount++;
      }
    }
    this.stats.points += points;
    this.stats.openWindows = windows.size;
  }

  settle(out: StageOutput): void {
    const windows = this.#windows;
    if (windows.bytes <= this.#maxBytes) return;
    this.stats.completedEarly += windows.size;
    this.#complaint.add((count) => {
      this.#log.warn("Windows are completed early, because they take more than plugins.aggregation.memory", {
        windows: count,
      });
    }, windows.size);
    this.flush(out);
  }

  tick(out: StageOutput): void {
    this.#tick = (this.#tick + 1) >>> 0;
    const windows = this.#windows;
    for (let window = windows.oldest, next; window !== NONE; window = next) {
      next = windows.younger[window];
      if ((this.#tick - windows.tick[window]) >>> 0 >= this.#silentTicks) this.#complete(window, out);
    }
    this.stats.openWindows = windows.size;
  }

  flush(out: StageOutput): void {
    while (this.#windows.oldest !== NONE) this.#complete(this.#windows.oldest, out);
    this.stats.openWindows = 0;
  }

  #lookAt(metric: Metric): number {
    if (!this.#names.has(metric.name)) return LOOK.passes;
    try {
      for (const { make, metrics } of this.#results) {
        if (!metrics.has(metric)) metrics.set(metric, resultMetric(metric, make, this.#registry));
      }
      return LOOK.counts;
    } catch (error) {
      this.#log.error("A metric is not aggregated", { metric: metric.name, error: messageOf(error) });
      return LOOK.passes;
    }
  }

  #begin(store: SeriesStore): void {
    this.#store = store;
    this.#heads = new SeriesColumn(store);
    this.#completed = new SeriesColumn(store);
  }

  /** The window of a time, which is opened if need be. It is the first one of its series then. */
  #find(base: number, ms: number, client: ClientRecord, place: number, out: StageOutput): number {
    const windows = this.#windows;
    const number = Math.floor(ms / this.#intervalMs);
    const start = number * this.#intervalMs;
    const reach = this.#intervalMs + this.#graceMs;
    let found = NONE;
    for (let window = this.#heads.values[base] - 1, next; window >= 0; window = next) {
      next = windows.sibling[window];
      const other = windows.start[window];
      if (other === start) found = window;
      else if (ms >= other + reach || start < other - reach) this.#complete(window, out);
    }
    if (found !== NONE) this.#unlink(found);
    else found = this.#open(base, number, client, place);
    let limit = start + this.#intervalMs;
    const first = this.#heads.values[base] - 1;
    for (let window = first; window >= 0; window = windows.sibling[window]) {
      limit = Math.min(limit, windows.start[window] + reach);
    }
    windows.limit[found] = limit;
    windows.sibling[found] = first;
    this.#heads.values[base] = found + 1;
    return found;
  }

  #open(base: number, number: number, client: ClientRecord, place: number): number {
    const store = this.#store!;
    const windows = this.#windows;
    const window = windows.open();
    const completed = this.#completed.values[base];
    const isLate = completed !== 0 && ((completed - (number + 1)) | 0) >= 0;
    store.pin(base);
    windows.seriesBytes += store.bytesOf(base);
    windows.base[window] = base;
    windows.start[window] = number * this.#intervalMs;
    windows.place[window] = place;
    windows.count[window] = 0;
    windows.sum[window] = 0;
    windows.flags[window] = (store.flags[base] & SERIES_FLAGS.u64 ? U64 : 0) | (isLate ? LATE : 0);
    windows.client[window] = this.#owner ?? client;
    if (this.#needs.values) windows.values[window] = [];
    return window;
  }

  /** The sum of integers is 2^53 or more. */
  #addExact(window: number, batch: Batch, row: number): void {
    const windows = this.#windows;
    const value = batch.exactValue(row);
    const exact = windows.exact.get(window);
    if (exact) {
      exact.sum += value;
      if (value < exact.min) exact.min = value;
      if (value > exact.max) exact.max = value;
      exact.last = value;
      return;
    }
    // What came before is exact, and so is its sum, which is less than 2^53.
    const rounded = batch.values[row];
    const of = (known: number) => known === rounded ? value : BigInt(known);
    const { extremes } = this.#needs;
    windows.exact.set(window, {
      sum: BigInt(windows.sum[window]) + value,
      min: extremes ? of(windows.min[window]) : 0n,
      max: extremes ? of(windows.max[window]) : 0n,
      last: value,
    });
    // Every later point comes here, too.
    windows.sum[window] = Infinity;
  }

  #unlink(window: number): void {
    const windows = this.#windows;
    const { values } = this.#heads;
    const base = windows.base[window];
    if (values[base] === window + 1) {
      values[base] = windows.sibling[window] + 1;
      return;
    }
    let before = values[base] - 1;
    while (windows.sibling[before] !== window) before = windows.sibling[before];
    windows.sibling[before] = windows.sibling[window];
  }

  #complete(window: number, out: StageOutput): void {
    const windows = this.#windows;
    const store = this.#store!;
    const base = windows.base[window];
    const start = windows.start[window];
    const count = windows.count[window];
    this.#unlink(window);
    const seconds = Math.floor(start / 1000);
    const nanos = (start - seconds * 1000) * 1e6;
    const metric = store.metricOf(base);
    const content: WindowContent = {
      isU64: (windows.flags[window] & U64) !== 0,
      count,
      sum: windows.sum[window],
      min: this.#needs.extremes ? windows.min[window] : 0,
      max: this.#needs.extremes ? windows.max[window] : 0,
      last: this.#needs.last ? windows.last[window] : 0,
      values: windows.values[window] ?? [],
      exact: windows.exact.get(window),
      intervalMs: this.#intervalMs,
    };
    for (const { make, derived } of this.#results) {
      const value = make.of(content, metric);
      out.add(windows.client[window]!, derived.of(store, base), seconds, nanos, value);
    }
    this.stats.results += this.#results.length;
    if (windows.flags[window] & LATE) this.stats.late += count;
    const number = start / this.#intervalMs + 1;
    const completed = this.#completed.values[base];
    if (completed === 0 || ((number - completed) | 0) > 0) this.#completed.values[base] = number >>> 0;
    store.unpin(base);
    windows.seriesBytes -= store.bytesOf(base);
    windows.close(window);
  }
}

/** The metric of the results of a function. */
function resultMetric(metric: Metric, make: WindowFunction, registry: MetricRegistry): Metric {
  return registry.register({
    name: `${metric.name}_${make.suffix}`,
    type: make.type ?? metric.type,
    unit: make.unit?.(metric.unit) ?? metric.unit,
    description: metric.description,
  }, "aggregation");
}
