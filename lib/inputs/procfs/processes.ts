/** Which processes are measured: found in /proc, sorted into groups, polled group by group. */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { onlineCpus } from "../polling/cpus.ts";
import { DENIED } from "../polling/files.ts";
import type { Points } from "../polling/points.ts";
import {
  MeasuredProcess,
  type MemoryMode,
  type Outcome,
  type ProcessContext,
  readStat,
  statFile,
} from "./process.ts";

/** Processes that are measured in the same way. A condition that is not given holds for all. */
export interface ProcessGroupOptions {
  readonly pid?: number;
  readonly ppid?: number;
  /** Must match in the path of the executable. */
  readonly exe?: RegExp;
  readonly memoryMode: MemoryMode;
  pollIntervalMs: number;
}

/** Counters since the start, except `processes`. */
export interface ProcessStats {
  /** Processes that are measured now. */
  processes: number;
  processesFound: number;
  processesEnded: number;
  /** Processes with a file that may not be read. */
  permissionDenied: number;
  /** Measurements that failed because this process had too many open files. */
  tooManyOpenFiles: number;
}

type Subject = "stat" | "exe" | "memory";

const DENIED_MESSAGES: Readonly<Record<Subject, string>> = {
  stat: "Some processes are not measured: permission denied; see hidepid in man 5 proc",
  exe: "Some processes are in no group with exe_regex: permission denied; CAP_SYS_PTRACE would allow it",
  memory: "The memory of some processes is not measured: permission denied; CAP_SYS_PTRACE would allow it",
};

/** One group, and its processes. */
class ProcessGroup {
  readonly processes: MeasuredProcess[] = [];
  /** What was said once of this group. */
  readonly said = new Set<Subject>();

  constructor(readonly options: ProcessGroupOptions) {}
}

/** A pid that was seen, and the process that had it. */
interface Known {
  /** Ticks from the start of the system to that of the process; -1 where they may not be read. */
  starttime: number;
  ppid: number;
  group: ProcessGroup | null;
  process: MeasuredProcess | null;
  /** The discovery that saw it last. */
  seen: number;
}

/**
 * Finds processes ({@linkcode Processes.discover}) and measures them ({@linkcode Processes.poll}).
 *
 * A process is measured when it is found, so that one that ends soon has at least one measurement, and then at each
 * poll of its group; the first of these is left out if less than half an interval has passed since. A process stays
 * in the first group that takes it. One that none takes is looked at again when it gets another parent.
 */
export class Processes {
  readonly stats: ProcessStats = {
    processes: 0,
    processesFound: 0,
    processesEnded: 0,
    permissionDenied: 0,
    tooManyOpenFiles: 0,
  };
  readonly #context: ProcessContext;
  readonly #groups: readonly ProcessGroup[];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #known = new Map<number, Known>();
  readonly #said = new Set<Subject>();
  #discoveries = 0;
  /** Monotonic time of the last discovery. */
  #discoveredMs = -Infinity;

  constructor(
    context: ProcessContext,
    groups: readonly ProcessGroupOptions[],
    clock: Clock,
    log: Logger,
  ) {
    this.#context = context;
    this.#groups = groups.map((options) => new ProcessGroup(options));
    this.#clock = clock;
    this.#log = log;
  }

  /** Sets the pace at which the group is polled from now on. */
  setPollInterval(index: number, ms: number): void {
    this.#groups[index].options.pollIntervalMs = ms;
  }

  /** Looks for processes that have begun or ended, and measures the new ones. */
  discover(points: Points): void {
    const { files } = this.#context;
    this.#context.cpus = onlineCpus(files) ?? this.#context.cpus;
    const seen = ++this.#discoveries;
    const previousMs = this.#discoveredMs;
    this.#discoveredMs = this.#clock.monotonicMs();
    const errors: unknown[] = [];
    for (const { name } of Deno.readDirSync(files.proc)) {
      const pid = pidOf(name);
      if (pid === 0) continue;
      const known = this.#known.get(pid);
      try {
        // Its group has read the process since, and notices by itself when it ends.
        const wasRead = known?.process && known.process.measuredMs >= previousMs;
        if (known && (wasRead || this.#isSame(pid, known))) {
          known.seen = seen;
          continue;
        }
        if (known) this.#forget(pid, known);
        this.#meet(pid, points);
      } catch (error) {
        errors.push(error);
        if (known) known.seen = seen;
      }
    }
    for (const [pid, known] of this.#known) if (known.seen !== seen) this.#forget(pid, known);
    // One process that cannot be read for an unknown reason must not hide the others.
    if (errors.length > 0) throw errors[0];
  }

  /** Measures the processes of one group, by its place in the list. */
  poll(index: number, points: Points, last: boolean): void {
    const group = this.#groups[index];
    const nowMs = this.#clock.monotonicMs();
    const { processes } = group;
    let kept = 0;
    const errors: unknown[] = [];
    for (const process of processes) {
      let goesOn = true;
      try {
        goesOn = this.#measure(group, process, points, nowMs, last);
      } catch (error) {
        errors.push(error);
      }
      if (goesOn) processes[kept++] = process;
      else this.#known.delete(process.pid);
    }
    processes.length = kept;
    // As above.
    if (errors.length > 0) throw errors[0];
  }

  /** Whether the process goes on. */
  #measure(
    group: ProcessGroup,
    process: MeasuredProcess,
    points: Points,
    nowMs: number,
    last: boolean,
  ): boolean {
    // In less time, a tick of the CPU time is a spike of the percentage.
    const early = nowMs - process.measuredMs < group.options.pollIntervalMs / 2;
    if (early && !last) return true;
    const deniedBefore = process.memoryDenied;
    const outcome = process.measure(points, nowMs, !early);
    if (process.memoryDenied && !deniedBefore) this.#denied(group, "memory", `${process.pid}/smaps_rollup`);
    return this.#continues(group, process, outcome);
  }

  #continues(group: ProcessGroup, process: MeasuredProcess, outcome: Outcome): boolean {
    switch (outcome) {
      case "measured":
        return true;
      case "too_many_open":
        this.stats.tooManyOpenFiles++;
        return true;
      case "denied":
        this.#denied(group, "stat", `${process.pid}/stat`);
        break;
      case "ended":
        this.stats.processesEnded++;
    }
    process.close();
    this.stats.processes--;
    return false;
  }

  /** Whether the pid is still that of the process that was found. */
  #isSame(pid: number, known: Known): boolean {
    const context = this.#context;
    const { process } = known;
    let outcome: Outcome;
    if (process) {
      outcome = process.read();
    } else {
      const file = statFile(context.files, pid);
      outcome = readStat(context, file);
      file.close();
    }
    if (outcome === "too_many_open") return true;
    if (outcome === "denied") return known.starttime === -1;
    const { starttime, ppid } = context.stat;
    if (outcome !== "measured" || starttime !== known.starttime) return false;
    return process !== null || ppid === known.ppid;
  }

  #meet(pid: number, points: Points): void {
    const context = this.#context;
    const file = statFile(context.files, pid);
    const outcome = readStat(context, file);
    if (outcome === "ended" || outcome === "too_many_open") {
      if (outcome === "too_many_open") this.stats.tooManyOpenFiles++;
      return file.close();
    }
    const known: Known = { starttime: -1, ppid: -1, group: null, process: null, seen: this.#discoveries };
    this.#known.set(pid, known);
    if (outcome === "denied") return this.#denied(null, "stat", `${pid}/stat`);

    known.starttime = context.stat.starttime;
    known.ppid = context.stat.ppid;
    const group = known.group = this.#groupOf(pid, known.ppid);
    if (!group) return file.close();
    const process = known.process = new MeasuredProcess(context, pid, file, group.options.memoryMode);
    this.stats.processes++;
    this.stats.processesFound++;
    group.processes.push(process);
    if (!this.#measure(group, process, points, this.#clock.monotonicMs(), false)) {
      group.processes.pop();
      this.#known.delete(pid);
    }
  }

  /** The first group that takes the process. */
  #groupOf(pid: number, ppid: number): ProcessGroup | null {
    let exe: string | null | undefined;
    for (const group of this.#groups) {
      const { options } = group;
      if (options.pid !== undefined && options.pid !== pid) continue;
      if (options.ppid !== undefined && options.ppid !== ppid) continue;
      if (options.exe) {
        if (exe === undefined) exe = this.#exeOf(pid, group);
        if (exe === null || !options.exe.test(exe)) continue;
      }
      return group;
    }
    return null;
  }

  /** The path of the executable, `null` where there is none (a kernel thread) or where it may not be read. */
  #exeOf(pid: number, group: ProcessGroup): string | null {
    const path = this.#context.files.link(`${this.#context.files.proc}/${pid}/exe`);
    if (typeof path === "string") return path;
    if (path === DENIED) this.#denied(group, "exe", `${pid}/exe`);
    return null;
  }

  #denied(group: ProcessGroup | null, what: Subject, file: string): void {
    this.stats.permissionDenied++;
    const said = group ? group.said : this.#said;
    const fields = { file: `${this.#context.files.proc}/${file}` };
    if (said.has(what)) return this.#log.debug("Permission denied", fields);
    said.add(what);
    this.#log.warn(`${DENIED_MESSAGES[what]} (others are logged at debug)`, fields);
  }

  #forget(pid: number, { process, group }: Known): void {
    this.#known.delete(pid);
    if (!process || !group) return;
    group.processes.splice(group.processes.indexOf(process), 1);
    this.#continues(group, process, "ended");
  }

  /** Closes all files. */
  close(): void {
    for (const { process } of this.#known.values()) process?.close();
    this.#known.clear();
    for (const group of this.#groups) group.processes.length = 0;
    this.stats.processes = 0;
  }
}

/** The number that a name is, or 0. */
function pidOf(name: string): number {
  const first = name.charCodeAt(0);
  return first >= 49 && first <= 57 ? Number(name) || 0 : 0;
}
