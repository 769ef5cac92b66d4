/** The transform behind {@linkcode ../rates.ts}. */
import { Complaint } from "../../base/complaint.ts";
import type { Logger } from "../../base/log.ts";
import type { Batch, Metric } from "../../points/measurement.ts";
import type { ClientRecord } from "../../points/origins.ts";
import type { MetricRegistry } from "../../points/registry.ts";
import { SeriesColumn } from "../../points/series_column.ts";
import { SERIES_FLAGS, type SeriesStore } from "../../points/series_store.ts";
import { rateUnit, unitFactor } from "../../points/units.ts";
import type { PluginContext, StagedTransform, StageOutput } from "../../plugin.ts";
import { DerivedSeries } from "../derived_series.ts";
import { memoryOf } from "../memory.ts";
import { MetricNames, Pattern } from "../metric_names.ts";
import { RulesBySeries } from "../rules_by_series.ts";
import type { RateRule, RatesConfig } from "./config.ts";
import { LastPoints } from "./last_points.ts";

const TICK_MS = 1000;
/** Points of a series that are remembered: the last one, and those that came late after it. */
const MAX_POINTS_OF_SERIES = 8;

/** What is made of the points of a metric. */
interface Making {
  readonly metric: Metric;
  /** What a value per second is multiplied by. */
  readonly factor: number;
  readonly isCounter: boolean;
  readonly isRate: boolean;
  readonly keep: boolean;
}

export class Rates implements StagedTransform {
  readonly tickMs = TICK_MS;
  /** Points that are not younger than the one before in their series, and counters that went back. */
  readonly stats = { latePoints: 0, resets: 0 };
  readonly #retentionTicks: number;
  readonly #maxBytes: number;
  readonly #names: MetricNames;
  readonly #rules: RulesBySeries<RateRule, Making>;
  readonly #derived: DerivedSeries;
  readonly #log: Logger;
  readonly #complaint: Complaint;
  readonly #last = new LastPoints();
  #now = 0;
  #store: SeriesStore | null = null;
  /** By series: the slot of its last point, and one. */
  #slots!: SeriesColumn;

  constructor(
    config: RatesConfig,
    { registry, log, clock }: Pick<PluginContext, "registry" | "log" | "clock">,
  ) {
    const { rules, retention_time } = config;
    this.#retentionTicks = Math.ceil(retention_time / TICK_MS);
    this.#maxBytes = memoryOf(config);
    this.#log = log;
    this.#complaint = new Complaint(clock);
    this.#names = new MetricNames(rules.flatMap(({ metric = [] }) => metric), log, clock);
    this.#rules = new RulesBySeries(rules, this.#names, (rule, metric) => makingOf(rule, metric, registry));
    this.#derived = new DerivedSeries((store, series) =>
      store.withMetric(series, this.#rules.at(series)!.metric)
    );
    if (rules.length === 0) log.warn("rates changes nothing: it has no rules");
  }

  get neededFrom(): number {
    const { oldest, places } = this.#last;
    return oldest < 0 ? Infinity : places[oldest];
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
    if (batch.store !== this.#store) {
      this.#store = batch.store;
      this.#slots = new SeriesColumn(batch.store);
    }
    this.#rules.places.of(batch, start, end);
    for (let row = start; row < end; row++) {
      const making = this.#rules.at(batch.series[row]);
      if (making === undefined || making.keep) out.pass(batch, row);
      if (making !== undefined) this.#takeRow(batch, row, client, place, making, out);
    }
  }

  #takeRow(
    batch: Batch,
    row: number,
    client: ClientRecord,
    place: number,
    making: Making,
    out: StageOutput,
  ): void {
    const last = this.#last;
    const series = batch.series[row];
    const first = this.#slots.values[series] - 1;
    if (first < 0) {
      this.#slots.values[series] = this.#add(batch, row, place) + 1;
      batch.store.pin(series);
      this.#last.seriesBytes += batch.store.bytesOf(series);
      return;
    }
    let before = first;
    while (before >= 0 && !follows(batch, row, before, last, making)) before = last.next[before] - 1;
    if (before < 0 || elapsedSince(batch, row, before, last) <= 0) this.stats.latePoints++;
    if (before < 0) return this.#addLate(first, batch, row, place);
    const value = making.isCounter ? this.#difference(batch, row, before) : batch.values[row];
    const result = making.isRate
      ? Number(value) / elapsedSince(batch, row, before, last) * making.factor
      : value;
    const derived = this.#derived.of(batch.store, series);
    out.add(client, derived, batch.seconds[row], batch.nanos[row], result);
    for (let late = last.next[first] - 1, next; late >= 0; late = next) {
      next = last.next[late] - 1;
      last.remove(late);
    }
    last.next[first] = 0;
    last.renew(first);
    this.#put(first, batch, row, place);
  }

  #add(batch: Batch, row: number, place: number): number {
    const slot = this.#last.add();
    this.#last.series[slot] = batch.series[row];
    this.#put(slot, batch, row, place);
    return slot;
  }

  /**
   * Keeps a point that follows none of its series. If the next one follows it alone, the clock was set back; otherwise it
   * was late.
   */
  #addLate(first: number, batch: Batch, row: number, place: number): void {
    const last = this.#last;
    let count = 1;
    let slot = first;
    for (; last.next[slot] !== 0; slot = last.next[slot] - 1) count++;
    // First, because it may replace the column that is written to.
    const added = this.#add(batch, row, place);
    last.next[slot] = added + 1;
    // The latest ones, so what is kept after a restart does not depend on where reading begins.
    if (count === MAX_POINTS_OF_SERIES) this.#forget(first);
  }

  #put(slot: number, batch: Batch, row: number, place: number): void {
    const last = this.#last;
    last.seconds[slot] = batch.seconds[row];
    last.nanos[slot] = batch.nanos[row];
    last.values[slot] = batch.values[row];
    last.places[slot] = place;
    last.ticks[slot] = this.#now;
    const exact = batch.exact?.get(row);
    if (exact !== undefined) last.exact.set(slot, exact);
    else if (last.exact.size > 0) last.exact.delete(slot);
  }

  /** What a counter has counted since the last point. */
  #difference(batch: Batch, row: number, slot: number): number | bigint {
    const last = this.#last;
    const exact = batch.exact?.get(row);
    const isExact = (exact !== undefined || last.exact.has(slot)) &&
      (batch.store.flags[batch.series[row]] & SERIES_FLAGS.u64) !== 0;
    if (isExact) {
      const now = exact ?? BigInt(batch.values[row]);
      const before = last.exact.get(slot) ?? BigInt(last.values[slot]);
      if (now < before) this.stats.resets++;
      return now < before ? now : now - before;
    }
    const value = batch.values[row];
    if (!(value < last.values[slot])) return value - last.values[slot];
    // It has begun at 0 again.
    this.stats.resets++;
    return value;
  }

  /** Forgets what came first: what is kept then does not depend on where reading begins after a restart. */
  settle(): void {
    const last = this.#last;
    const before = last.size;
    while (last.bytes > this.#maxBytes) this.#forget(last.oldest);
    if (last.size === before) return;
    this.#complaint.add((points) => {
      this.#log.warn(
        "Last points of series are forgotten, because they take more than plugins.rates.memory",
        {
          points,
        },
      );
    }, before - last.size);
  }

  tick(_out: StageOutput): void {
    this.#now++;
    const last = this.#last;
    const limit = this.#now - this.#retentionTicks;
    while (last.oldest >= 0 && last.ticks[last.oldest] < limit) this.#forget(last.oldest);
  }

  /** A last point makes nothing by itself. */
  flush(_out: StageOutput): void {
    while (this.#last.oldest >= 0) this.#forget(this.#last.oldest);
  }

  /** Forgets the last point of a series: the first one that came late after it takes its place. */
  #forget(slot: number): void {
    const series = this.#last.series[slot];
    const next = this.#last.next[slot];
    this.#slots.values[series] = next;
    if (next === 0) {
      this.#store!.unpin(series);
      this.#last.seriesBytes -= this.#store!.bytesOf(series);
    }
    this.#last.remove(slot);
  }
}

function elapsedSince(batch: Batch, row: number, slot: number, { seconds, nanos }: LastPoints): number {
  return batch.seconds[row] - seconds[slot] + (batch.nanos[row] - nanos[slot]) / 1e9;
}

/**
 * Whether a point comes after another one. Whatever follows a point also follows those that were late after that point:
 * so which ones are late does not depend on where reading begins after a restart.
 */
function follows(batch: Batch, row: number, slot: number, last: LastPoints, making: Making): boolean {
  if (elapsedSince(batch, row, slot, last) > 0) return true;
  // A counter that has grown is that of a clock that was set back.
  return making.isCounter && !making.isRate && batch.values[row] >= last.values[slot];
}

function makingOf(rule: RateRule, metric: Metric, registry: MetricRegistry): Making {
  const isRate = rule.as !== "difference";
  const suffix = isRate ? "rate" : "difference";
  const name = rule.rename === undefined
    ? `${metric.name}_${suffix}`
    : new Pattern(rule.metric ?? "*").fill(rule.rename, metric.name);
  const { description } = metric;
  const unit = isRate ? rateUnit(metric.unit) : metric.unit;
  const type = isRate ? "f64" : metric.type;
  return {
    metric: registry.register({ name, type, unit, description }, suffix),
    // CPU seconds by second are a number.
    factor: metric.unit.base === "s" ? unitFactor(metric.unit) ?? 1 : 1,
    isCounter: rule.as !== "rate",
    isRate,
    keep: rule.keep,
  };
}
