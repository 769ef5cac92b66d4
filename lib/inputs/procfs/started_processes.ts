/** CPU and memory of the processes that `exec` and `watch` name, with their descendants. */
import type { Points } from "../polling/points.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { watchedProcesses } from "../polling/watched_processes.ts";
import { MeasuredProcess, type MemoryMode, type ProcessContext, readStat, statFile } from "./process.ts";

/** The most processes that are measured at once: a command may start any number. */
const MOST_PROCESSES = 16_384;

export class StartedProcesses implements PolledSource {
  readonly name = "processes";
  readonly #context: ProcessContext;
  readonly #memoryMode: MemoryMode;
  readonly #measuring: Measuring;
  readonly #processes = new Map<number, MeasuredProcess>();
  readonly #listening: Disposable;

  constructor(context: ProcessContext, memoryMode: MemoryMode, measuring: Measuring) {
    this.#context = context;
    this.#memoryMode = memoryMode;
    this.#measuring = measuring;
    const watched = measuring.shared.of(watchedProcesses);
    if (!watched.isExpected) {
      measuring.log.warn(
        'No process is measured: with strategy = "event", the commands exec and watch name them',
      );
    }
    this.#listening = watched.listen({
      started: (pid) => this.#started(pid),
      ended: (pid) => this.#ended(pid),
    });
  }

  #started(pid: number): void {
    if (this.#processes.size >= MOST_PROCESSES) return;
    const file = statFile(this.#context.files, pid);
    if (readStat(this.#context, file) !== "measured") return file.close();
    this.#ended(pid);
    this.#processes.set(pid, new MeasuredProcess(this.#context, pid, file, this.#memoryMode));
  }

  #ended(pid: number): void {
    this.#processes.get(pid)?.close();
    this.#processes.delete(pid);
  }

  poll(points: Points): void {
    const nowMs = this.#measuring.clock.monotonicMs();
    for (const [pid, process] of this.#processes) {
      const outcome = process.measure(points, nowMs, true);
      if (outcome === "ended" || outcome === "denied") this.#ended(pid);
    }
  }

  close(): void {
    this.#listening[Symbol.dispose]();
    for (const process of this.#processes.values()) process.close();
    this.#processes.clear();
  }
}
