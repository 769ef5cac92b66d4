/** Measures what a process and its descendants use, from now until it ends. */
import type { WatchedProcesses } from "../../inputs/polling/watched_processes.ts";
import { machineCpuSeconds, ProcessTree } from "./process_tree.ts";
import { lookUntil, type ProgramRun } from "./program.ts";

/** Resolves when the process has ended, or the signal is aborted. */
export async function watchProcess(
  pid: number,
  signal: AbortSignal,
  processes: WatchedProcesses,
): Promise<ProgramRun> {
  const beganMs = performance.now();
  const machine = machineCpuSeconds();
  const tree = new ProcessTree(pid, "/proc", processes);
  tree.look();
  const before = tree.cpuSeconds();
  await lookUntil(signal, tree);
  tree.look();
  const run = {
    exitCode: null,
    seconds: (performance.now() - beganMs) / 1000,
    cpuSeconds: tree.cpuSeconds() - before,
    machineCpuSeconds: machineCpuSeconds() - machine,
    peakBytes: tree.peakBytes,
  };
  tree.endAll();
  return run;
}
