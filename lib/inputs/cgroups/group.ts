/** One group: its files, its series, and what it had used at the last measurement. */
import { GONE, ProcFile, type ProcFiles } from "../polling/files.ts";
import {
  type Attribute,
  attributes as attributesOf,
  BYTE,
  f64Metric,
  type Metric,
  MICROSECOND,
  NANOSECOND,
  PERCENT,
  type Points,
  type Series,
  seriesOf,
  u64Metric,
  UNITY,
} from "../polling/points.ts";
import { bytesOf, difference, eachLabelled, product, type U64 } from "../polling/scan.ts";
import type { MetricRegistry } from "../../points/registry.ts";
import type { Group } from "./groups.ts";
import type { Hierarchy } from "./hierarchies.ts";

/** Entries of memory.stat in the order of the points, and whether they count. */
const MEMORY_STAT: readonly (readonly [entry: string, metric: string, unit: typeof BYTE, counts: boolean])[] =
  [
    ["anon", "cgroup_memory_anonymous", BYTE, false],
    ["file", "cgroup_memory_file", BYTE, false],
    ["kernel_stack", "cgroup_memory_kernel_stack", BYTE, false],
    ["pagetables", "cgroup_memory_pagetables", BYTE, false],
    ["slab_reclaimable", "cgroup_slab_reclaimable", BYTE, false],
    ["pswpin", "cgroup_pswpin", UNITY, true],
    ["pswpout", "cgroup_pswpout", UNITY, true],
  ];

/** The metrics of groups, in the order of their registration. */
export interface CgroupMetrics {
  readonly cpuTime: Metric;
  readonly cpuPercent: Metric;
  readonly memory: Metric;
  readonly memoryMax: Metric;
  readonly memoryStat: readonly Metric[];
  readonly swap: Metric;
  readonly swapMax: Metric;
  readonly pressure: readonly Metric[];
}

export function registerCgroupMetrics(registry: MetricRegistry): CgroupMetrics {
  const u64 = (name: string, unit: typeof BYTE, description: string) =>
    registry.register(u64Metric(name, unit, description));
  const f64 = (name: string, unit: typeof BYTE, description: string) =>
    registry.register(f64Metric(name, unit, description));
  return {
    cpuTime: u64(
      "cpu_time_delta",
      NANOSECOND,
      "Time spent executing on the CPU since the previous measurement",
    ),
    cpuPercent: f64("cpu_percent", PERCENT, "CPU usage percent"),
    memory: u64("memory_usage", BYTE, "Memory usage"),
    memoryMax: f64("memory_max", BYTE, "Limit of the memory usage, -1 where there is none"),
    memoryStat: MEMORY_STAT.map(([entry, name, unit]) => u64(name, unit, `${entry} of memory.stat`)),
    swap: u64("cgroup_memory_swap_current", BYTE, "Swap usage"),
    swapMax: f64("cgroup_memory_swap_max", BYTE, "Limit of the swap usage, -1 where there is none"),
    pressure: ["some", "full"].map((line) =>
      u64(`io_pressure_${line}_total`, MICROSECOND, "Time of waiting for I/O since the previous measurement")
    ),
  };
}

const KINDS = attributesOf("kind", ["total", "system", "user"]);
const CPU_STAT = ["usage_usec ", "system_usec ", "user_usec "].map(bytesOf);
const MEMORY_ENTRIES = MEMORY_STAT.map(([entry]) => bytesOf(`${entry} `));
const PRESSURE_LINES = ["some ", "full "].map(bytesOf);
const TOTAL = bytesOf("total=");

const NS_PER_US = 1000;

/** How much later than a poll its values may be read, in ms. */
const TOLERANCE_MS = 100;

/** How long a file is left alone that is not there or cannot be read, in ms: a controller may be enabled later. */
const TRY_AGAIN_MS = 60_000;

/** A file that a group may have. */
class OptionalFile {
  readonly #file: ProcFile;
  #skipUntilMs = -Infinity;

  constructor(files: ProcFiles, path: string) {
    this.#file = new ProcFile(files, path);
  }

  /** Starts the scanner on the whole content; false where there is none. */
  read(nowMs: number): boolean {
    if (nowMs < this.#skipUntilMs) return false;
    if (this.#file.tryRead() > 0) return true;
    this.#skipUntilMs = nowMs + TRY_AGAIN_MS;
    return false;
  }

  close(): void {
    this.#file.close();
  }
}

/** What counters had at the last measurement, by their places. */
type Counters = (U64 | undefined)[];

export interface GroupContext {
  readonly files: ProcFiles;
  readonly metrics: CgroupMetrics;
  /** CPUs of the machine, which are 100 %. */
  cpus: number;
}

export class Cgroup {
  readonly #context: GroupContext;
  readonly #hierarchy: Hierarchy;
  readonly #cpuFile: ProcFile;
  readonly #files: Readonly<
    Record<"memory" | "max" | "swap" | "swapMax" | "stat" | "pressure", OptionalFile>
  >;
  readonly #series = new Map<Metric, Series[]>();
  readonly #consumer: { readonly consumerKind: string; readonly consumerId: string };
  #attributes: readonly Attribute[];
  readonly #cpuBefore: Counters;
  readonly #statBefore: Counters;
  readonly #pressureBefore: Counters;
  #measuredMs = -Infinity;
  readonly #bornAfterMs: number | undefined;

  /**
   * @param attributes Those of all of its points.
   * @param bornAfterMs Since when it may exist, where this process has seen it appear: all that it has used is new.
   */
  constructor(
    context: GroupContext,
    { hierarchy, path, folder }: Group,
    attributes: readonly Attribute[],
    bornAfterMs: number | undefined,
  ) {
    const { files } = context;
    this.#context = context;
    this.#hierarchy = hierarchy;
    this.#consumer = { consumerKind: "cgroup", consumerId: path };
    this.#attributes = attributes;
    const file = (name: string) => new OptionalFile(files, `${folder}/${name}`);
    const isV2 = hierarchy.version === 2;
    this.#cpuFile = new ProcFile(files, `${folder}/${isV2 ? "cpu.stat" : "cpuacct.usage"}`);
    this.#files = {
      memory: file(isV2 ? "memory.current" : "memory.usage_in_bytes"),
      max: file("memory.max"),
      swap: file("memory.swap.current"),
      swapMax: file("memory.swap.max"),
      stat: file("memory.stat"),
      pressure: file("io.pressure"),
    };
    this.#bornAfterMs = bornAfterMs;
    const zeros = (list: readonly unknown[]): Counters => bornAfterMs === undefined ? [] : list.map(() => 0);
    this.#cpuBefore = zeros(CPU_STAT);
    this.#statBefore = zeros(MEMORY_STAT);
    this.#pressureBefore = zeros(PRESSURE_LINES);
  }

  /** Appends the points of this group. False if it seems to be gone. */
  measure(points: Points, nowMs: number): boolean {
    const { hasCpu, hasMemory, hasPressure, version } = this.#hierarchy;
    const isThere = !hasCpu || (version === 2 ? this.#cpuStat(points, nowMs) : this.#cpuacct(points, nowMs));
    if (hasMemory) this.#memory(points, nowMs, version === 2);
    if (hasPressure) this.#pressure(points, nowMs);
    this.#measuredMs = nowMs;
    return isThere;
  }

  /** From now on its points have these attributes. */
  describe(attributes: readonly Attribute[]): void {
    const isSame = attributes.length === this.#attributes.length &&
      attributes.every(([name, value], i) =>
        name === this.#attributes[i][0] && value === this.#attributes[i][1]
      );
    if (isSame) return;
    this.#attributes = attributes;
    this.#series.clear();
  }

  #of(metric: Metric, index = 0): Series {
    let list = this.#series.get(metric);
    if (!list) this.#series.set(metric, list = []);
    const kinds = metric === this.#context.metrics.cpuTime || metric === this.#context.metrics.cpuPercent;
    return list[index] ??= seriesOf(metric, {
      ...this.#consumer,
      attributes: kinds ? [...this.#attributes, ...KINDS[index]] : this.#attributes,
    });
  }

  /** Version 2, in microseconds. */
  #cpuStat(points: Points, nowMs: number): boolean {
    const length = this.#cpuFile.tryRead();
    if (length === GONE) return false;
    const values: Counters = [];
    eachLabelled(this.#context.files.scanner, CPU_STAT, (i, value) => {
      values[i] = product(value, NS_PER_US);
    });
    for (let kind = 0; kind < CPU_STAT.length; kind++) this.#cpu(points, nowMs, kind, values[kind]);
    return true;
  }

  /** Version 1, in nanoseconds. */
  #cpuacct(points: Points, nowMs: number): boolean {
    if (this.#cpuFile.tryRead() === GONE) return false;
    this.#cpu(points, nowMs, 0, this.#context.files.scanner.number());
    return true;
  }

  #cpu(points: Points, nowMs: number, kind: number, now: U64 | undefined): void {
    const ns = this.#since(this.#cpuBefore, kind, now);
    if (ns === undefined) return;
    const { metrics, cpus } = this.#context;
    const isFirst = this.#measuredMs === -Infinity;
    // A group that was renamed, or that could not be seen before, has used more than it can have since then.
    if (isFirst && Number(ns) > 1e6 * cpus * (nowMs - this.#bornAfterMs! + TOLERANCE_MS)) return;
    points.u64(this.#of(metrics.cpuTime, kind), ns);
    const elapsedNs = (nowMs - this.#measuredMs) * 1e6;
    if (!isFirst && elapsedNs > 0) {
      points.f64(this.#of(metrics.cpuPercent, kind), 100 * Number(ns) / elapsedNs / cpus);
    }
  }

  /** The difference to the value before; `undefined` where there is none, or where it went back. */
  #since(before: Counters, index: number, now: U64 | undefined): U64 | undefined {
    const last = before[index];
    before[index] = now;
    return now === undefined || last === undefined ? undefined : difference(now, last);
  }

  #memory(points: Points, nowMs: number, isV2: boolean): void {
    const { metrics, files: { scanner } } = this.#context;
    this.#gauge(points, nowMs, this.#files.memory, metrics.memory);
    if (!isV2) return;
    this.#limit(points, nowMs, this.#files.max, metrics.memoryMax);
    this.#gauge(points, nowMs, this.#files.swap, metrics.swap);
    this.#limit(points, nowMs, this.#files.swapMax, metrics.swapMax);
    if (!this.#files.stat.read(nowMs)) return;
    const values: Counters = [];
    eachLabelled(scanner, MEMORY_ENTRIES, (i, value) => {
      values[i] = value;
    });
    MEMORY_STAT.forEach(([, , , counts], i) => {
      const value = counts ? this.#since(this.#statBefore, i, values[i]) : values[i];
      if (value !== undefined) points.u64(this.#of(metrics.memoryStat[i]), value);
    });
  }

  #gauge(points: Points, nowMs: number, file: OptionalFile, metric: Metric): void {
    const value = file.read(nowMs) ? this.#context.files.scanner.number() : undefined;
    if (value !== undefined) points.u64(this.#of(metric), value);
  }

  /** A number, or `max`. */
  #limit(points: Points, nowMs: number, file: OptionalFile, metric: Metric): void {
    if (!file.read(nowMs)) return;
    const { scanner } = this.#context.files;
    const value = scanner.startsWith(MAX) ? -1 : scanner.number();
    if (value !== undefined) points.f64(this.#of(metric), Number(value));
  }

  #pressure(points: Points, nowMs: number): void {
    if (!this.#files.pressure.read(nowMs)) return;
    const { metrics, files: { scanner } } = this.#context;
    do {
      const line = PRESSURE_LINES.findIndex((label) => scanner.startsWith(label));
      if (line < 0 || !scanner.skipTo(TOTAL)) continue;
      const value = this.#since(this.#pressureBefore, line, scanner.number());
      if (value !== undefined) points.u64(this.#of(metrics.pressure[line]), value);
    } while (scanner.nextLine());
  }

  close(): void {
    this.#cpuFile.close();
    for (const file of Object.values(this.#files)) file.close();
  }
}

const MAX = bytesOf("max");
