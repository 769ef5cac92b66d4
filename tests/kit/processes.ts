/** Processes of a tree, found and measured at times that a test says. */
import type { Clock } from "../../lib/base/clock.ts";
import { ProcFiles, type ProcRoots } from "../../lib/inputs/polling/files.ts";
import { registerProcessMetrics } from "../../lib/inputs/procfs/process.ts";
import { ProcessStat } from "../../lib/inputs/procfs/process_stat.ts";
import { Processes, type ProcessGroupOptions } from "../../lib/inputs/procfs/processes.ts";
import type { Batch } from "../../lib/points/measurement.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { collect, logTo, T } from "./measuring.ts";

export interface ProcessKit extends Disposable {
  processes: Processes;
  files: ProcFiles;
  lines: string[];
  /** Sets the clock, in ms. */
  at(ms: number): void;
  discover(): Batch;
  poll(group?: number, last?: boolean): Batch;
}

export function processesOf(roots: ProcRoots, groups: Partial<ProcessGroupOptions>[] = [{}]): ProcessKit {
  let nowMs = 0;
  const clock: Clock = { now: () => T, monotonicMs: () => nowMs, sleep: () => Promise.resolve() };
  const lines: string[] = [];
  const files = new ProcFiles(roots);
  const context = {
    files,
    metrics: registerProcessMetrics(new MetricRegistry()),
    pageSize: 4096,
    ticksPerSecond: 100,
    cpus: 1,
    stat: new ProcessStat(),
  };
  const complete = groups.map((group) => ({ memoryMode: "quick" as const, pollIntervalMs: 1000, ...group }));
  const processes = new Processes(context, complete, clock, logTo(lines));
  return {
    processes,
    files,
    lines,
    at: (ms) => nowMs = ms,
    discover: () => collect((points) => processes.discover(points)),
    poll: (group = 0, last = false) => collect((points) => processes.poll(group, points, last)),
    [Symbol.dispose]: () => processes.close(),
  };
}

/** The processes in a batch, in order. */
export function pids(batch: Batch): number[] {
  return [
    ...new Set(Array.from({ length: batch.length }, (_, row) => Number(batch.seriesAt(row).consumerId))),
  ];
}
