/** Kernel, memory, network and processes of a Linux machine, as /proc shows them (man 5 proc). */
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { untilAborted } from "../base/waiting.ts";
import { type BatchSink, definePlugin, type Input, type PluginContext } from "../plugin.ts";
import { type PolledSource, pollLoop, type PollStats } from "./polling/loop.ts";
import { config, type ProcfsConfig } from "./procfs/config.ts";
import { ProcFiles, type ProcRoots } from "./polling/files.ts";
import { KernelSource } from "./procfs/kernel.ts";
import { MemorySource } from "./procfs/memory.ts";
import { NetworkSource } from "./procfs/network.ts";
import { registerProcessMetrics } from "./procfs/process.ts";
import { ProcessStat } from "./procfs/process_stat.ts";
import { Processes } from "./procfs/processes.ts";
import { rustRegex } from "./procfs/regex.ts";
import { onlineCpus, systemFacts } from "./procfs/system.ts";

/** What is polled at one pace. */
interface Group {
  readonly sources: PolledSource[];
  readonly intervalMs: number;
  readonly flushIntervalMs?: number;
}

/** The tables of the sources of the whole system, in the order in which Alumet registers their metrics. */
const SYSTEM_TABLES = ["kernel", "memory", "network"] as const;

type SystemTable = typeof SYSTEM_TABLES[number];

interface SystemSource {
  readonly source: PolledSource & { close(): void };
  /** The keys that it was made with; another interval needs no other source. */
  readonly madeWith: string;
}

/** The input, with the roots of /proc and /sys as parameters, for tests and benchmarks. */
export class ProcfsInput implements Input {
  readonly #context: PluginContext;
  readonly #files: ProcFiles;
  readonly #ticksPerSecond: number;
  readonly #system = new Map<SystemTable, SystemSource>();
  readonly #pollStats: PollStats = { polls: 0, missedPolls: 0, failedPolls: 0, points: 0 };
  /** When the next poll of each loop that runs is due, in ms of the clock. */
  readonly #due = new Map<Group, number>();
  #config: ProcfsConfig;
  #processes: Processes | null = null;
  /** Ends the loops that run, for others to go on. */
  #regroup = new AbortController();

  /**
   * Registers the metrics of the parts that are enabled, in the order in which Alumet does. Files that are missing are
   * no data.
   *
   * @throws {ExitError} if there is no /proc, or it may not be read.
   */
  constructor(config: ProcfsConfig, context: PluginContext, roots: ProcRoots = {}) {
    this.#context = context;
    this.#config = config;
    const files = this.#files = openProc(roots);
    const { pageSize, ticksPerSecond } = systemFacts(files);
    this.#ticksPerSecond = ticksPerSecond;
    const { log, registry } = context;
    this.#openSystem();
    const { processes } = config;
    if (!processes.enabled) return;

    const metrics = registerProcessMetrics(registry);
    if (processes.strategy === "event") {
      log.warn('No process will be measured: with strategy = "event", nothing starts measurements yet');
      return;
    }
    const cpus = onlineCpus(files) ?? navigator.hardwareConcurrency;
    const groups = processes.groups.map((group) => ({
      pid: group.pid,
      ppid: group.ppid,
      exe: group.exe_regex === "" ? undefined : rustRegex(group.exe_regex),
      memoryMode: group.memory_mode,
      pollIntervalMs: group.poll_interval,
    }));
    files.onLimit = () => {
      log.warn(
        "Some files in /proc are opened anew at each poll, which takes longer: raise the limit of open files",
        {
          kept: files.kept,
        },
      );
    };
    const processContext = { files, metrics, pageSize, ticksPerSecond, cpus, stat: new ProcessStat() };
    this.#processes = new Processes(processContext, groups, context.clock, log);
  }

  /** Opens the sources of the whole system that the configuration wants, and closes the others. */
  #openSystem(): void {
    const { log, registry } = this.#context;
    const { kernel, memory, network } = this.#config;
    const open: Record<SystemTable, () => SystemSource["source"]> = {
      kernel: () => new KernelSource(this.#files, registry, log, this.#ticksPerSecond),
      memory: () => new MemorySource(this.#files, registry, log, memory.metrics),
      network: () => new NetworkSource(this.#files, registry, log),
    };
    for (const table of SYSTEM_TABLES) {
      const { enabled, poll_interval: _, ...rest } = { kernel, memory, network }[table];
      const madeWith = JSON.stringify(rest);
      const before = this.#system.get(table);
      if (enabled && before?.madeWith === madeWith) continue;
      before?.source.close();
      this.#system.delete(table);
      if (enabled) this.#system.set(table, { source: open[table](), madeWith });
    }
  }

  #groups(): Group[] {
    const groups: Group[] = [];
    for (const table of SYSTEM_TABLES) {
      const source = this.#system.get(table)?.source;
      if (!source) continue;
      const intervalMs = this.#config[table].poll_interval;
      // Those of one interval share a timer: waking up costs more than the poll.
      const group = groups.find((group) => group.intervalMs === intervalMs);
      if (group) group.sources.push(source);
      else groups.push({ sources: [source], intervalMs });
    }
    const found = this.#processes;
    if (!found) return groups;
    const { refresh_interval, groups: configured } = this.#config.processes;
    // First in the list: the polls of the groups at the start are those of processes that this one has found.
    groups.push({
      sources: [{ name: "processes", poll: (batch, t, last) => last ? undefined : found.discover(batch, t) }],
      intervalMs: refresh_interval,
    });
    configured.forEach((group, i) => {
      groups.push({
        sources: [{
          name: `group ${i + 1} of processes`,
          poll: (batch, t, last) => found.poll(i, batch, t, last),
        }],
        intervalMs: group.poll_interval,
        flushIntervalMs: group.flush_interval,
      });
    });
    return groups;
  }

  get stats(): Readonly<Record<string, number>> {
    return { ...this.#pollStats, ...this.#processes?.stats };
  }

  get stalledSince(): number | undefined {
    const lateMs = this.#context.clock.monotonicMs() - Math.min(...this.#due.values());
    return lateMs > 0 ? performance.now() - lateMs : undefined;
  }

  reconfigure(config: ProcfsConfig): void {
    this.#config = config;
    this.#openSystem();
    config.processes.groups.forEach(({ poll_interval }, i) => {
      this.#processes?.setPollInterval(i, poll_interval);
    });
    this.#regroup.abort();
  }

  async run(sink: BatchSink, stop: AbortSignal): Promise<void> {
    do {
      this.#regroup = new AbortController();
      await this.#poll(sink, stop, this.#regroup.signal);
    } while (!stop.aborted);
  }

  async #poll(sink: BatchSink, stop: AbortSignal, leave: AbortSignal): Promise<void> {
    const { clock, log } = this.#context;
    const failed = new AbortController();
    const signal = AbortSignal.any([stop, failed.signal]);
    const loops = this.#groups().map(async (group) => {
      const onDue = (ms: number) => void this.#due.set(group, ms);
      try {
        await pollLoop({ ...group, clock, log, stats: this.#pollStats, leave, onDue }, sink, signal);
      } catch (error) {
        failed.abort();
        throw error;
      } finally {
        this.#due.delete(group);
      }
    });
    if (loops.length === 0) loops.push(untilAborted(AbortSignal.any([stop, leave])));
    const results = await Promise.allSettled(loops);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { source } of this.#system.values()) source.close();
    this.#processes?.close();
  }
}

function openProc(roots: ProcRoots): ProcFiles {
  const path = roots.proc ?? "/proc";
  try {
    for (const _ of Deno.readDirSync(path)) break;
    return new ProcFiles(roots);
  } catch (error) {
    const hint = error instanceof Deno.errors.NotFound
      ? "procfs needs Linux, with /proc mounted"
      : "reading it takes all permissions of Deno (--allow-all)";
    throw new ExitError(EXIT.unavailable, `Cannot read ${path}: ${messageOf(error)}; ${hint}`, {
      cause: error,
    });
  }
}

export const procfs = definePlugin({
  name: "procfs",
  kind: "input",
  isLocal: true,
  description: "Kernel, memory, network and processes of this machine, from /proc",
  config,
  // deno-lint-ignore require-await
  async open(config: ProcfsConfig, context: PluginContext): Promise<Input> {
    return new ProcfsInput(config, context);
  },
});
