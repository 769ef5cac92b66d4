/** The sources of procfs: three of the whole system, and those of the processes. */
import { EXIT, ExitError, messageOf } from "../../base/errors.ts";
import { onlineCpus } from "../polling/cpus.ts";
import type { Measuring, Sources, WantedSource } from "../polling/source.ts";
import type { ProcfsConfig } from "./config.ts";
import { KernelSource } from "./kernel.ts";
import { MemorySource } from "./memory.ts";
import { NetworkSource } from "./network.ts";
import { type ProcessContext, registerProcessMetrics } from "./process.ts";
import { ProcessStat } from "./process_stat.ts";
import { Processes } from "./processes.ts";
import { rustRegex } from "./regex.ts";
import { StartedProcesses } from "./started_processes.ts";
import { type SystemFacts, systemFacts } from "./system.ts";

export class ProcfsSources implements Sources<ProcfsConfig> {
  readonly #measuring: Measuring;
  readonly #facts: SystemFacts;
  #processes: Processes | null = null;

  /** @throws {ExitError} if there is no /proc, or it may not be read. */
  constructor(measuring: Measuring) {
    requireProc(measuring.files.proc);
    this.#measuring = measuring;
    this.#facts = systemFacts(measuring.files);
  }

  readonly gauges = ["processes"];

  get stats(): Readonly<Record<string, number>> {
    return { ...this.#processes?.stats };
  }

  /** The order is that in which Alumet registers the metrics. */
  wanted({ kernel, memory, network, processes }: ProcfsConfig): WantedSource[] {
    const measuring = this.#measuring;
    const wanted: WantedSource[] = [];
    if (kernel.enabled) {
      wanted.push({
        name: "kernel",
        intervalMs: kernel.poll_interval,
        open: () => new KernelSource(measuring, this.#facts.ticksPerSecond),
      });
    }
    if (memory.enabled) {
      wanted.push({
        name: "memory",
        intervalMs: memory.poll_interval,
        madeWith: memory.metrics,
        open: () => new MemorySource(measuring, memory.metrics),
      });
    }
    if (network.enabled) {
      wanted.push({
        name: "network",
        intervalMs: network.poll_interval,
        open: () => new NetworkSource(measuring),
      });
    }
    if (processes.enabled && processes.strategy === "watcher") {
      wanted.push(...this.#wantedProcesses(processes));
    }
    if (processes.enabled && processes.strategy === "event") {
      const { poll_interval, flush_interval, memory_mode } = processes.events;
      wanted.push({
        name: "processes",
        intervalMs: poll_interval,
        flushIntervalMs: flush_interval,
        madeWith: memory_mode,
        open: () => new StartedProcesses(this.#processContext(), memory_mode, measuring),
      });
    }
    return wanted;
  }

  /** One source finds processes, and one for each group measures them. */
  #wantedProcesses({ refresh_interval, groups }: ProcfsConfig["processes"]): WantedSource[] {
    groups.forEach(({ poll_interval }, i) => this.#processes?.setPollInterval(i, poll_interval));
    return [
      {
        // First in the list: the first polls of the groups measure the processes that this one has found.
        name: "processes",
        intervalMs: refresh_interval,
        open: () => {
          const processes = this.#processes = this.#openProcesses(groups);
          return {
            name: "processes",
            poll: (points, last) => last ? undefined : processes.discover(points),
            close: () => processes.close(),
          };
        },
      },
      ...groups.map(({ poll_interval, flush_interval }, i): WantedSource => {
        const name = `group ${i + 1} of processes`;
        return {
          name,
          intervalMs: poll_interval,
          flushIntervalMs: flush_interval,
          open: () => ({ name, poll: (points, last) => this.#processes!.poll(i, points, last) }),
        };
      }),
    ];
  }

  #openProcesses(groups: ProcfsConfig["processes"]["groups"]): Processes {
    const { clock, log } = this.#measuring;
    const options = groups.map((group) => ({
      pid: group.pid,
      ppid: group.ppid,
      exe: group.exe_regex === "" ? undefined : rustRegex(group.exe_regex),
      memoryMode: group.memory_mode,
      pollIntervalMs: group.poll_interval,
    }));
    return new Processes(this.#processContext(), options, clock, log);
  }

  #processContext(): ProcessContext {
    const { files, registry, findings } = this.#measuring;
    findings.usual("processes", files.proc);
    return {
      files,
      metrics: registerProcessMetrics(registry),
      ...this.#facts,
      cpus: onlineCpus(files) ?? navigator.hardwareConcurrency,
      stat: new ProcessStat(),
    };
  }
}

function requireProc(path: string): void {
  try {
    for (const _ of Deno.readDirSync(path)) break;
  } catch (error) {
    const hint = error instanceof Deno.errors.NotFound
      ? "procfs needs Linux, with /proc mounted"
      : "reading it takes all permissions of Deno (--allow-all)";
    throw new ExitError(EXIT.unavailable, `Cannot read ${path}: ${messageOf(error)}; ${hint}`, {
      cause: error,
    });
  }
}
