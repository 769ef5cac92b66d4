/** CPU and memory of one process. */
import type { MetricRegistry } from "../../points/registry.ts";
import { DENIED, ProcFile, type ProcFiles, TOO_MANY_OPEN } from "../polling/files.ts";
import {
  attributes,
  BYTE,
  f64Metric,
  type Metric,
  NANOSECOND,
  PERCENT,
  type Points,
  type Series,
  seriesOf,
  u64Metric,
} from "../polling/points.ts";
import { bytesOf, eachLabelled, product, sum, type U64 } from "../polling/scan.ts";
import type { ProcessStat } from "./process_stat.ts";

/** Where the memory of a process is read: statm (quick) or smaps_rollup (slow, but exact). */
export type MemoryMode = "quick" | "slow_but_accurate";

/** The metrics of processes, in the order of their registration. */
export interface ProcessMetrics {
  readonly cpuTime: Metric;
  readonly cpuPercent: Metric;
  readonly memory: Metric;
}

export function registerProcessMetrics(registry: MetricRegistry): ProcessMetrics {
  return {
    cpuTime: registry.register(
      u64Metric(
        "cpu_time_delta",
        NANOSECOND,
        "Time spent executing on the CPU since the previous measurement",
      ),
    ),
    cpuPercent: registry.register(f64Metric("cpu_percent", PERCENT, "CPU usage percent")),
    memory: registry.register(u64Metric("memory_usage", BYTE, "Memory usage")),
  };
}

/** What the measurements of all processes share. */
export interface ProcessContext {
  readonly files: ProcFiles;
  readonly metrics: ProcessMetrics;
  readonly pageSize: number;
  readonly ticksPerSecond: number;
  /** CPUs among which `cpu_percent` is divided. */
  cpus: number;
  /** Scratch: the fields that were read last. */
  readonly stat: ProcessStat;
}

/** After this many measurements, statm is read even if stat has not changed. */
const STATM_MAX_AGE = 10;

/** The result of an attempt to measure. */
export type Outcome = "measured" | "ended" | "denied" | "too_many_open";

const MEMORY_KINDS = attributes("kind", ["resident", "shared", "virtual", "proportional"]);
const CPU_KINDS = attributes("kind", ["user", "system", "guest"]);
const PERCENT_KINDS = attributes("kind", ["user", "system", "total"]);

/** Entries of smaps_rollup, by their places in {@linkcode rollup}. */
const ROLLUP = ["Rss:", "Pss:", "Shared_Clean:", "Shared_Dirty:"].map(bytesOf);
const rollup: (U64 | undefined)[] = ROLLUP.map(() => undefined);
const takeRollup = (label: number, value: U64): void => {
  rollup[label] = value;
};

/** Opens /proc/PID/stat. */
export function statFile(files: ProcFiles, pid: number): ProcFile {
  return new ProcFile(files, `${files.proc}/${pid}/stat`);
}

/** Reads the file into `context.stat`. */
export function readStat(context: ProcessContext, file: ProcFile): Outcome {
  const length = file.read();
  if (length > 0) return context.stat.parse(context.files.buffer, length) ? "measured" : "ended";
  return outcomeOf(length);
}

function outcomeOf(failure: number): Outcome {
  return failure === TOO_MANY_OPEN ? "too_many_open" : failure === DENIED ? "denied" : "ended";
}

/** A process that is measured: its files, its series, and what it had used at the last measurement. */
export class MeasuredProcess {
  /** Distinguishes this process from a later one with the same pid. */
  readonly starttime: number;
  /** Monotonic time of the last measurement, in ms; -Infinity before the first. */
  measuredMs = -Infinity;
  /** Its memory may not be read. */
  memoryDenied = false;
  readonly #context: ProcessContext;
  readonly #statFile: ProcFile;
  readonly #memoryFile: ProcFile;
  readonly #memoryMode: MemoryMode;
  readonly #memorySeries: readonly Series[];
  readonly #cpuSeries: readonly Series[];
  readonly #percentSeries: readonly Series[];
  /** What statm said: resident, shared, virtual, in bytes; and the fields of stat at that time. */
  readonly #memory: U64[] = [0, 0, 0];
  #minflt = -1;
  #majflt = -1;
  #rss = -1;
  #vsize: U64 = -1;
  /** Measurements since statm was read. */
  #statmAge = 0;
  #utime = 0;
  #stime = 0;
  #guestTime = 0;

  /** `context.stat` has the fields of `file`. */
  constructor(context: ProcessContext, readonly pid: number, file: ProcFile, memoryMode: MemoryMode) {
    const { files, metrics } = context;
    this.#context = context;
    this.starttime = context.stat.starttime;
    this.#statFile = file;
    this.#memoryMode = memoryMode;
    const memoryFile = memoryMode === "quick" ? "statm" : "smaps_rollup";
    this.#memoryFile = new ProcFile(files, `${files.proc}/${pid}/${memoryFile}`);
    const consumer = { consumerKind: "process", consumerId: String(pid) };
    const make = (metric: Metric) => (attributes: Series["attributes"]) =>
      seriesOf(metric, { ...consumer, attributes });
    const kinds = memoryMode === "quick" ? MEMORY_KINDS.slice(0, 3) : MEMORY_KINDS;
    this.#memorySeries = kinds.map(make(metrics.memory));
    this.#cpuSeries = CPU_KINDS.map(make(metrics.cpuTime));
    this.#percentSeries = PERCENT_KINDS.map(make(metrics.cpuPercent));
  }

  /** Reads `context.stat` of this process; `ended` also if its pid is that of another process by now. */
  read(): Outcome {
    const outcome = readStat(this.#context, this.#statFile);
    return outcome === "measured" && this.#context.stat.starttime !== this.starttime ? "ended" : outcome;
  }

  /**
   * Appends the points of this process, memory first. CPU times are those since the last measurement; the first ones
   * are those since the start of the process. `percent`: whether enough time has passed for `cpu_percent`, which the
   * first measurement never has.
   */
  measure(points: Points, nowMs: number, percent: boolean): Outcome {
    const outcome = this.read();
    if (outcome !== "measured") return outcome;
    if (this.#memoryMode === "slow_but_accurate") this.#pushRollup(points);
    else if (!this.#pushStatm(points)) return "ended";
    this.#pushCpu(points, nowMs, percent);
    return "measured";
  }

  /** False if the process has ended since its stat was read. */
  #pushStatm(points: Points): boolean {
    if (this.#mayHaveOtherMemory()) {
      const outcome = this.#readStatm();
      if (outcome !== "measured") return outcome !== "ended";
    }
    for (let i = 0; i < 3; i++) points.u64(this.#memorySeries[i], this.#memory[i]);
    return true;
  }

  /**
   * Whether statm may have changed. Reading it is a quarter of the cost of a poll, and most processes sleep: memory
   * cannot grow without page faults, nor shrink without a trace in the sizes of stat, except for the few pages that the
   * kernel has not added up yet. So it is read when one of these has changed, or CPU time was used, and after
   * {@linkcode STATM_MAX_AGE} measurements.
   */
  #mayHaveOtherMemory(): boolean {
    const { stat } = this.#context;
    const same = stat.minflt === this.#minflt && stat.majflt === this.#majflt && stat.rss === this.#rss &&
      stat.vsize === this.#vsize && stat.utime === this.#utime && stat.stime === this.#stime;
    return !same || ++this.#statmAge >= STATM_MAX_AGE;
  }

  #readStatm(): Outcome {
    const { files: { scanner }, pageSize, stat } = this.#context;
    // A kernel thread has no memory to read.
    if (stat.vsize === 0) {
      this.#memory.fill(0);
    } else {
      const length = this.#memoryFile.read();
      if (length <= 0) return outcomeOf(length);
      const size = scanner.number();
      const resident = scanner.number();
      const shared = scanner.number();
      if (size === undefined || resident === undefined || shared === undefined) return "ended";
      this.#memory[0] = product(resident, pageSize);
      this.#memory[1] = product(shared, pageSize);
      this.#memory[2] = product(size, pageSize);
    }
    // Processes that are found together read it at different polls.
    this.#statmAge = this.#minflt < 0 ? this.pid % STATM_MAX_AGE : 0;
    this.#minflt = stat.minflt;
    this.#majflt = stat.majflt;
    this.#rss = stat.rss;
    this.#vsize = stat.vsize;
    return "measured";
  }

  /** Where smaps_rollup cannot be read, only its values are missing. */
  #pushRollup(points: Points): void {
    const { files: { scanner }, stat: { vsize } } = this.#context;
    // A kernel thread has no memory, and its smaps_rollup cannot be read though it can be opened.
    rollup.fill(vsize === 0 ? 0 : undefined);
    if (vsize !== 0 && !this.memoryDenied) {
      const length = this.#memoryFile.read();
      if (length === DENIED) this.memoryDenied = true;
      eachLabelled(scanner, ROLLUP, takeRollup);
    }
    const [rss, pss, clean, dirty] = rollup;
    if (pss !== undefined) points.u64(this.#memorySeries[3], pss);
    if (rss !== undefined) points.u64(this.#memorySeries[0], rss);
    if (clean !== undefined && dirty !== undefined) {
      points.u64(this.#memorySeries[1], sum(clean, dirty));
    }
    points.u64(this.#memorySeries[2], vsize);
  }

  /** A time that went back has no point, and a new baseline; one that is not a number (NaN) is refused as a point. */
  #pushCpu(points: Points, nowMs: number, percent: boolean): void {
    const { stat, ticksPerSecond, cpus } = this.#context;
    const nsPerTick = 1e9 / ticksPerSecond;
    const user = stat.utime - this.#utime;
    const system = stat.stime - this.#stime;
    const guest = stat.guestTime - this.#guestTime;
    const [userSeries, systemSeries, guestSeries] = this.#cpuSeries;
    if (!(user < 0)) points.u64(userSeries, product(user, nsPerTick));
    if (!(system < 0)) points.u64(systemSeries, product(system, nsPerTick));
    if (stat.guestTime !== -1 && !(guest < 0)) points.u64(guestSeries, product(guest, nsPerTick));
    if (percent && !(user < 0) && !(system < 0) && this.measuredMs > -Infinity) {
      const perTick = 100 * 1000 / ticksPerSecond / (nowMs - this.measuredMs) / cpus;
      points.f64(this.#percentSeries[0], user * perTick);
      points.f64(this.#percentSeries[1], system * perTick);
      points.f64(this.#percentSeries[2], (user + system) * perTick);
    }
    this.#utime = stat.utime;
    this.#stime = stat.stime;
    this.#guestTime = stat.guestTime;
    this.measuredMs = nowMs;
  }

  /** Closes the files. */
  close(): void {
    this.#statFile.close();
    this.#memoryFile.close();
  }
}
