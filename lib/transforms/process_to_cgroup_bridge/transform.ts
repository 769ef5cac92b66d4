/** The transform behind {@linkcode ../process_to_cgroup_bridge.ts}. */
import type { MonotonicClock } from "../../base/clock.ts";
import type { Batch } from "../../points/measurement.ts";
import { isOwn } from "../../points/origins.ts";
import { SERIES_FLAGS, type SeriesStore } from "../../points/series_store.ts";
import type { PluginContext, Transform } from "../../plugin.ts";
import { BySeries } from "../by_series.ts";
import { MetricNames } from "../metric_names.ts";
import { Rewriter, type Rewriting } from "../rewriting.ts";
import type { BridgeConfig } from "./config.ts";
import { groupOfProcess } from "./process_groups.ts";

/** How long it is believed that a process is in a group, in ms: about a poll. */
const BELIEVED_MS = 1000;
const MAX_U64 = 2n ** 64n - 1n;

/** What is known of a series that is not translated; for others, the number of the process behind it. */
const PASSES = 1;

/** A series of a group, for one of a process. */
interface Target {
  readonly path: string;
  readonly generation: number;
  readonly series: number;
  readonly seriesGeneration: number;
}

/** The points of a group that become one. */
interface Merged {
  readonly series: number;
  readonly seconds: number;
  readonly nanos: number;
  value: number;
  /** The same, if it is above 2^53. */
  exact: bigint | null;
  count: number;
}

export class Bridge implements Transform {
  readonly stats = { bridgedPoints: 0, unknownProcesses: 0 };
  readonly #config: BridgeConfig;
  readonly #proc: string;
  readonly #clock: MonotonicClock;
  readonly #names: MetricNames;
  readonly #rewriter = new Rewriter();
  readonly #processes: BySeries;
  /** The groups of processes; `undefined` for those without. */
  readonly #groups = new Map<number, string | undefined>();
  #believedUntilMs = -Infinity;
  /** By series of processes. */
  readonly #targets = new Map<number, Target>();
  readonly #merged = new Map<string, Merged>();
  readonly #rewriting: Rewriting = {
    keep: (batch, row) =>
      this.#config.keep_processed_measurements || this.#isForeign(row) ||
      this.#groupAt(batch, row) === undefined,
    derive: (batch, row, out) => this.#derive(batch, row, out),
    finish: (out) => this.#finish(out),
  };
  /** The rows of clients. */
  #foreign: readonly { readonly start: number; readonly end: number }[] = [];

  /** @param proc The folder of the kernel's files of processes. */
  constructor(
    config: BridgeConfig,
    { log, clock }: Pick<PluginContext, "log" | "clock">,
    proc = "/proc",
  ) {
    this.#config = config;
    this.#proc = proc;
    this.#clock = clock;
    this.#names = new MetricNames(config.processes_metrics, log, clock);
    this.#processes = new BySeries((store, series) => this.#processOf(store, series));
  }

  apply(batch: Batch): Batch {
    this.#names.check();
    const processes = this.#processes.of(batch);
    const { series, length, origins } = batch;
    // The processes of clients are on other machines.
    this.#foreign = origins.filter(({ client }) => !isOwn(client));
    let row = 0;
    while (row < length && (processes[series[row]] === PASSES || this.#isForeign(row))) row++;
    if (row === length) return batch;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#believedUntilMs) {
      this.#groups.clear();
      this.#believedUntilMs = nowMs + BELIEVED_MS;
    }
    return this.#rewriter.rewrite(batch, this.#rewriting);
  }

  #isForeign(row: number): boolean {
    return this.#foreign.some(({ start, end }) => row >= start && row < end);
  }

  #processOf(store: SeriesStore, series: number): number {
    const { metric, consumerKind, consumerId } = store.definitionOf(series);
    const isNamed = this.#names.has(metric.name);
    const isProcess = consumerKind === "process" && /^[1-9]\d{0,8}$/.test(consumerId);
    return isNamed && isProcess ? PASSES + Number(consumerId) : PASSES;
  }

  /** The path of the group that a row gets a point for. */
  #groupAt(batch: Batch, row: number): string | undefined {
    const pid = this.#processes.at(batch.series[row]) - PASSES;
    if (pid === 0) return undefined;
    if (!this.#groups.has(pid)) this.#groups.set(pid, this.#readGroup(pid));
    return this.#groups.get(pid);
  }

  #readGroup(pid: number): string | undefined {
    try {
      return groupOfProcess(Deno.readTextFileSync(`${this.#proc}/${pid}/cgroup`));
    } catch {
      // The process has ended.
      return undefined;
    }
  }

  #derive(batch: Batch, row: number, out: Batch): void {
    if (this.#isForeign(row) || this.#processes.at(batch.series[row]) === PASSES) return;
    const path = this.#groupAt(batch, row);
    if (path === undefined) return void this.stats.unknownProcesses++;
    this.stats.bridgedPoints++;
    const series = this.#targetOf(batch.store, batch.series[row], path);
    if (this.#config.merge_similar_cgroups) this.#merge(batch, row, series);
    else out.pushFrom(batch, row, series);
  }

  #targetOf(store: SeriesStore, series: number, path: string): number {
    const known = this.#targets.get(series);
    if (
      known?.path === path && known.generation === store.generations[series] &&
      known.seriesGeneration === store.generations[known.series]
    ) return known.series;
    // Processes come and go.
    if (this.#targets.size > store.size) this.#targets.clear();
    const definition = store.definitionOf(series);
    const made = store.internDefinition(
      { ...definition, consumerKind: "cgroup", consumerId: path },
      store.ownerOf(series),
    );
    this.#targets.set(series, {
      path,
      generation: store.generations[series],
      series: made,
      seriesGeneration: store.generations[made],
    });
    return made;
  }

  #merge(batch: Batch, row: number, series: number): void {
    const [seconds, nanos, value] = [batch.seconds[row], batch.nanos[row], batch.values[row]];
    const exact = batch.exact?.get(row) ?? null;
    // As Alumet: times that differ by less than a millisecond are one.
    const key = `${series} ${seconds} ${Math.floor(nanos / 1e6)}`;
    const merged = this.#merged.get(key);
    if (!merged) {
      this.#merged.set(key, { series, seconds, nanos, value, exact, count: 1 });
      return;
    }
    merged.count++;
    const isMax = this.#config.merge === "max";
    const isU64 = (batch.store.flags[series] & SERIES_FLAGS.u64) !== 0;
    const sum = merged.value + value;
    if (isU64 && (exact !== null || merged.exact !== null || sum > Number.MAX_SAFE_INTEGER)) {
      const [a, b] = [merged.exact ?? BigInt(merged.value), exact ?? BigInt(value)];
      merged.exact = isMax ? (a > b ? a : b) : a + b;
      merged.value = Number(merged.exact);
    } else merged.value = isMax ? Math.max(merged.value, value) : sum;
  }

  #finish(out: Batch): void {
    for (const { series, seconds, nanos, value, exact, count } of this.#merged.values()) {
      const isMean = this.#config.merge === "mean";
      if (exact !== null) {
        const whole = isMean ? exact / BigInt(count) : exact;
        out.pushExact(series, seconds, nanos, whole > MAX_U64 ? MAX_U64 : whole);
        continue;
      }
      const isU64 = (out.store.flags[series] & SERIES_FLAGS.u64) !== 0;
      const mean = isU64 ? Math.floor(value / count) : value / count;
      out.pushNumber(series, seconds, nanos, isMean ? mean : value);
    }
    this.#merged.clear();
  }
}
