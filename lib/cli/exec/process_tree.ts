/** A process and all of its descendants, by looking at /proc now and then (man 5 proc_pid_stat). */

/** Ticks in a second, of all that /proc shows. */
const TICKS = 100;

interface Process {
  readonly ppid: number;
  /** Distinguishes it from another process that gets its number. */
  readonly startTicks: number;
  /** CPU time, its own and that of the children that it has waited for. */
  readonly ticks: number;
}

/** Told of processes in a tree. */
export interface TreeListener {
  started(pid: number, isRoot: boolean): void;
  ended(pid: number): void;
}

export class ProcessTree {
  /** The most memory that all processes together have held at a look, or one process at any time, in bytes. */
  peakBytes = 0;
  readonly #root: number;
  readonly #proc: string;
  /** Those that ran at the last look. */
  #alive = new Map<number, Process>();
  readonly #listener: TreeListener | undefined;
  /** CPU time of those that have ended, and for which no ancestor has waited. */
  #adoptedTicks = 0;
  /** CPU time of the root, when it was seen last. */
  #rootTicks = 0;
  #isRootGone = false;

  /** @param root The number of a process that nobody has waited for. */
  constructor(root: number, proc = "/proc", listener?: TreeListener) {
    this.#root = root;
    this.#proc = proc;
    this.#listener = listener;
    const stat = parseStat(read(`${proc}/${root}/stat`) ?? "");
    if (stat) {
      this.#alive.set(root, stat);
      this.#rootTicks = stat.ticks;
      listener?.started(root, true);
    }
    this.#lookAtMemory();
  }

  /** Whether the root ran when it was seen last. */
  get isRunning(): boolean {
    return !this.#isRootGone && this.#alive.has(this.#root);
  }

  /** Finds new descendants, and takes what all of them use. */
  look(): void {
    const processes = readProcesses(this.#proc);
    const childrenOf = Map.groupBy(processes.keys(), (pid) => processes.get(pid)!.ppid);
    const before = this.#alive;
    const pending = [...before].filter(([pid, { startTicks }]) =>
      processes.get(pid)?.startTicks === startTicks
    ).map(([pid]) => pid);
    const alive = this.#alive = new Map<number, Process>();
    for (let pid; (pid = pending.pop()) !== undefined;) {
      if (alive.has(pid)) continue;
      alive.set(pid, processes.get(pid)!);
      pending.push(...childrenOf.get(pid) ?? []);
    }
    for (const [pid, { ppid, startTicks, ticks }] of before) {
      if (alive.get(pid)?.startTicks === startTicks) continue;
      // Init has adopted it; for others their parents have waited.
      if (pid !== this.#root && !before.has(ppid)) this.#adoptedTicks += ticks;
      this.#listener?.ended(pid);
    }
    for (const [pid, { startTicks }] of alive) {
      if (before.get(pid)?.startTicks !== startTicks) this.#listener?.started(pid, false);
    }
    this.#rootTicks = alive.get(this.#root)?.ticks ?? this.#rootTicks;
    this.#lookAtMemory();
  }

  /** Takes what those that were found have used by now, which costs less than to look for others. */
  refresh(): void {
    for (const [pid, { startTicks }] of this.#alive) {
      const now = parseStat(read(`${this.#proc}/${pid}/stat`) ?? "");
      if (now?.startTicks === startTicks) this.#alive.set(pid, now);
      else if (pid === this.#root) this.#isRootGone = true;
    }
    this.#rootTicks = this.#alive.get(this.#root)?.ticks ?? this.#rootTicks;
  }

  #lookAtMemory(): void {
    let sum = 0;
    for (const pid of this.#alive.keys()) {
      const status = read(`${this.#proc}/${pid}/status`) ?? "";
      sum += bytesOf(status, "VmRSS");
      this.peakBytes = Math.max(this.peakBytes, bytesOf(status, "VmHWM"));
    }
    this.peakBytes = Math.max(this.peakBytes, sum);
  }

  /**
   * The CPU time of descendants for which no ancestor has waited, in seconds, once the root has ended: those that still
   * run, and those that init has adopted, as they were when they were last seen.
   */
  unwaitedCpuSeconds(): number {
    let ticks = this.#adoptedTicks;
    for (const [pid, process] of this.#alive) if (pid !== this.#root) ticks += process.ticks;
    return ticks / TICKS;
  }

  /** The CPU time of all that were ever seen, in seconds, those that have ended as they were when they were seen last. */
  cpuSeconds(): number {
    return this.#rootTicks / TICKS + this.unwaitedCpuSeconds();
  }

  /** The listener is told that all have ended. */
  endAll(): void {
    for (const pid of this.#alive.keys()) this.#listener?.ended(pid);
  }
}

/** The time for which the CPUs of the machine have worked since it was started, in seconds; idle and stolen time is none. */
export function machineCpuSeconds(proc = "/proc"): number {
  const [, ...fields] = (read(`${proc}/stat`) ?? "").split("\n", 1)[0].trim().split(/\s+/);
  const [user, nice, system, , , interrupts, softInterrupts] = fields.map(Number);
  return (user + nice + system + interrupts + softInterrupts) / TICKS;
}

function readProcesses(proc: string): Map<number, Process> {
  const processes = new Map<number, Process>();
  for (const { name } of Deno.readDirSync(proc)) {
    const pid = Number(name);
    const process = pid > 0 ? parseStat(read(`${proc}/${name}/stat`) ?? "") : undefined;
    if (process) processes.set(pid, process);
  }
  return processes;
}

/** The name, in parentheses, may contain blanks and parentheses; no field after it does. */
function parseStat(stat: string): Process | undefined {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  if (fields.length < 20) return undefined;
  const [utime, stime, cutime, cstime] = fields.slice(11, 15);
  return { ppid: fields[1], startTicks: fields[19], ticks: utime + stime + cutime + cstime };
}

function bytesOf(status: string, field: string): number {
  const [, kibibytes] = new RegExp(`^${field}:\\s*(\\d+) kB$`, "m").exec(status) ?? [];
  return 1024 * Number(kibibytes ?? 0);
}

/** A process may end at any time. */
function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}
