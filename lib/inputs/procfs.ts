/** Kernel, memory, network and processes of a Linux machine, as /proc shows them (man 5 proc). */
import { EXIT, ExitError, messageOf } from "../errors.ts";
import { type BatchSink, definePlugin, type Input, type PluginContext } from "../plugin.ts";
import { type PolledSource, pollLoop, type PollStats } from "./poll.ts";
import { config, type ProcfsConfig } from "./procfs/config.ts";
import { ProcFiles, type ProcRoots } from "./procfs/files.ts";
import { KernelSource } from "./procfs/kernel.ts";
import { MemorySource } from "./procfs/memory.ts";
import { NetworkSource } from "./procfs/network.ts";
import { registerProcessMetrics } from "./procfs/process.ts";
import { ProcessStat } from "./procfs/process_stat.ts";
import { Processes } from "./procfs/processes.ts";
import { rustRegex } from "./procfs/regex.ts";
import { onlineCpus, systemFacts } from "./procfs/system.ts";

/** What is polled at one pace. */
interface Part {
  readonly sources: PolledSource[];
  readonly intervalMs: number;
  readonly flushIntervalMs?: number;
}

/** The input, with the roots of /proc and /sys as parameters, for tests and benchmarks. */
export class ProcfsInput implements Input {
  readonly #context: PluginContext;
  readonly #parts: Part[] = [];
  readonly #closing: { close(): void }[] = [];
  readonly #pollStats: PollStats = { polls: 0, missedPolls: 0, failedPolls: 0, points: 0 };
  #processes: Processes | null = null;

  /**
   * Registers the metrics of the parts that are enabled, in the order in which Alumet does. Files that are missing are
   * no data.
   *
   * @throws {ExitError} if there is no /proc, or it may not be read.
   */
  constructor(config: ProcfsConfig, context: PluginContext, roots: ProcRoots = {}) {
    this.#context = context;
    const { log, registry } = context;
    const files = openProc(roots);
    const { pageSize, ticksPerSecond } = systemFacts(files);
    const { kernel, memory, network, processes } = config;
    if (kernel.enabled) {
      this.#add(kernel.poll_interval, new KernelSource(files, registry, log, ticksPerSecond));
    }
    if (memory.enabled) {
      this.#add(memory.poll_interval, new MemorySource(files, registry, log, memory.metrics));
    }
    if (network.enabled) this.#add(network.poll_interval, new NetworkSource(files, registry, log));
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
    const found = this.#processes = new Processes(processContext, groups, context.clock, log);
    this.#closing.push(found);
    // First in the list: the polls of the groups at the start are those of processes that this one has found.
    this.#parts.push({
      sources: [{ name: "processes", poll: (batch, t, last) => last ? undefined : found.discover(batch, t) }],
      intervalMs: processes.refresh_interval,
    });
    processes.groups.forEach((group, i) => {
      this.#parts.push({
        sources: [{
          name: `group ${i + 1} of processes`,
          poll: (batch, t, last) => found.poll(i, batch, t, last),
        }],
        intervalMs: group.poll_interval,
        flushIntervalMs: group.flush_interval,
      });
    });
  }

  /** Adds a source of the whole system. Those of one interval share a timer: waking up costs more than the poll. */
  #add(intervalMs: number, source: PolledSource & { close(): void }): void {
    const part = this.#parts.find((part) => part.intervalMs === intervalMs);
    if (part) part.sources.push(source);
    else this.#parts.push({ sources: [source], intervalMs });
    this.#closing.push(source);
  }

  get stats(): Readonly<Record<string, number>> {
    return { ...this.#pollStats, ...this.#processes?.stats };
  }

  async run(sink: BatchSink, stop: AbortSignal): Promise<void> {
    const { clock, log } = this.#context;
    const failed = new AbortController();
    const signal = AbortSignal.any([stop, failed.signal]);
    const loops = this.#parts.map(async (part) => {
      try {
        await pollLoop({ ...part, clock, log, stats: this.#pollStats }, sink, signal);
      } catch (error) {
        failed.abort();
        throw error;
      }
    });
    if (loops.length === 0) loops.push(untilAborted(stop));
    const results = await Promise.allSettled(loops);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    for (const source of this.#closing) source.close();
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
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
  description: "Kernel, memory, network and processes of this machine, from /proc",
  config,
  // deno-lint-ignore require-await
  async open(config: ProcfsConfig, context: PluginContext): Promise<Input> {
    return new ProcfsInput(config, context);
  },
});
