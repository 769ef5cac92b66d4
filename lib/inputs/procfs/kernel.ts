/** CPU times, context switches, forks and states of the whole system, from /proc/stat (man 5 proc_stat). */
import type { Logger } from "../../base/log.ts";
import { ProcFile } from "../polling/files.ts";
import {
  attributes,
  type Metric,
  MILLISECOND,
  type Points,
  type Series,
  seriesOf,
  u64Metric,
  UNITY,
} from "../polling/points.ts";
import { bytesOf, difference, product, type Scanner, type U64 } from "../polling/scan.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";

/** States in the order of the points. Those that an old kernel lacks are at the end, and have no points. */
const STATES = ["user", "nice", "system", "idle", "irq", "softirq", "steal", "guest", "guest_nice"];
const STATE_ATTRIBUTES = attributes("cpu_state", STATES);
/** The column after `idle`, which the manual calls unreliable. */
const IOWAIT_COLUMN = 4;

const CPU = bytesOf("cpu");
const CTXT = bytesOf("ctxt ");
const PROCESSES = bytesOf("processes ");
const PROCS_RUNNING = bytesOf("procs_running ");
const PROCS_BLOCKED = bytesOf("procs_blocked ");

/** One line of CPU times. */
interface CpuLine {
  readonly series: readonly Series[];
  /** Ticks at the poll before, by state; empty before the first. */
  readonly before: U64[];
  /** The poll that saw it last. */
  seen: number;
}

/** The line of all CPUs together; the others have the number of their CPU. */
const ALL_CPUS = -1;

/** Deltas since the poll before: nothing at the first poll. */
export class KernelSource implements PolledSource {
  readonly name = "kernel";
  readonly #file: ProcFile;
  readonly #scanner: Scanner;
  readonly #log: Logger;
  readonly #msPerTick: number;
  readonly #cpuTime: Metric;
  readonly #contextSwitches: Series;
  readonly #newForks: Series;
  readonly #running: Series;
  readonly #blocked: Series;
  readonly #cpus = new Map<number, CpuLine>();
  #contextSwitchesBefore: U64 | undefined;
  #newForksBefore: U64 | undefined;
  #polls = 0;
  #saidNoData = false;

  /** Registers the metrics. */
  constructor({ files, registry, log, findings }: Measuring, ticksPerSecond: number) {
    this.#file = new ProcFile(files, `${files.proc}/stat`);
    this.#scanner = files.scanner;
    this.#log = log;
    this.#msPerTick = 1000 / ticksPerSecond;
    const unity = (name: string, description: string) =>
      seriesOf(registry.register(u64Metric(name, UNITY, description)));
    this.#cpuTime = registry.register(u64Metric("kernel_cpu_time", MILLISECOND, "busy CPU time"));
    this.#contextSwitches = unity("kernel_context_switches", "number of context switches");
    this.#newForks = unity("kernel_new_forks", "number of fork operations");
    this.#running = unity("kernel_n_procs_running", "number of processes in a runnable state");
    this.#blocked = unity(
      "kernel_n_procs_blocked",
      "numbers of processes that are blocked on I/O operations",
    );
    findings.usual("CPU times of the system", this.#file.path);
  }

  poll(points: Points): void {
    if (this.#file.read(true) <= 0) {
      if (!this.#saidNoData) this.#log.debug("No data", { file: this.#file.path });
      this.#saidNoData = true;
      return;
    }
    const first = this.#polls++ === 0;
    const scanner = this.#scanner;
    do {
      if (scanner.startsWith(CPU)) {
        scanner.position += CPU.length;
        this.#cpuLine(points);
      } else if (scanner.startsWith(CTXT)) {
        scanner.position += CTXT.length;
        const now = scanner.number();
        pushDifference(points, this.#contextSwitches, now, this.#contextSwitchesBefore);
        this.#contextSwitchesBefore = now;
      } else if (scanner.startsWith(PROCESSES)) {
        scanner.position += PROCESSES.length;
        const now = scanner.number();
        pushDifference(points, this.#newForks, now, this.#newForksBefore);
        this.#newForksBefore = now;
      } else if (!first && scanner.startsWith(PROCS_RUNNING)) {
        scanner.position += PROCS_RUNNING.length;
        pushDifference(points, this.#running, scanner.number(), 0);
      } else if (!first && scanner.startsWith(PROCS_BLOCKED)) {
        scanner.position += PROCS_BLOCKED.length;
        pushDifference(points, this.#blocked, scanner.number(), 0);
      }
    } while (scanner.nextLine());
    // A CPU that went offline starts from a new baseline when it comes back.
    for (const [id, line] of this.#cpus) if (line.seen !== this.#polls) this.#cpus.delete(id);
  }

  /** `cpu` or `cpuN`, and the ticks. A state that went back has no point, and a new baseline. */
  #cpuLine(points: Points): void {
    const scanner = this.#scanner;
    const hasId = scanner.bytes[scanner.position] !== 32;
    const id = hasId ? scanner.number() : ALL_CPUS;
    if (!Number.isSafeInteger(id)) return;
    this.#states(points, id as number);
  }

  #states(points: Points, id: number): void {
    const scanner = this.#scanner;
    let line = this.#cpus.get(id);
    if (!line) this.#cpus.set(id, line = this.#newCpu(id));
    line.seen = this.#polls;
    for (let column = 0, state = 0; state < STATES.length; column++) {
      const now = scanner.number();
      if (now === undefined) break;
      if (column === IOWAIT_COLUMN) continue;
      const before = line.before[state];
      const ticks = before === undefined ? undefined : difference(now, before);
      if (ticks !== undefined) points.u64(line.series[state], product(ticks, this.#msPerTick));
      line.before[state] = now;
      state++;
    }
  }

  #newCpu(id: number): CpuLine {
    const resource = id === ALL_CPUS ? {} : { resourceKind: "cpu_core", resourceId: String(id) };
    const series = STATE_ATTRIBUTES.map((attributes) => seriesOf(this.#cpuTime, { ...resource, attributes }));
    return { series, before: [], seen: 0 };
  }

  close(): void {
    this.#file.close();
  }
}

function pushDifference(points: Points, series: Series, now: U64 | undefined, before: U64 | undefined): void {
  if (now === undefined || before === undefined) return;
  const value = difference(now, before);
  if (value !== undefined) points.u64(series, value);
}
