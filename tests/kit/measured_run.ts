import type { MeasuredRun } from "../../lib/cli/exec/report.ts";

/** What was measured of a command that has ended well, apart from what is given. */
export function measuredRun(more: Partial<MeasuredRun> = {}): MeasuredRun {
  return {
    exitCode: 0,
    seconds: 2,
    cpuSeconds: 3,
    machineCpuSeconds: 6,
    peakBytes: 2 ** 20,
    energy: [],
    counts: [],
    ...more,
  };
}
