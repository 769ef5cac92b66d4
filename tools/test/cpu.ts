/** What processes cost. */

/** The processor time of all processes that this one has started and that have ended, in ms; 0 where it is unknown. */
export function childrenCpuMs(): number {
  return statMs("self", 13);
}

/** The processor time of a process that runs, in ms; 0 where it is unknown. */
export function processCpuMs(pid: number): number {
  return statMs(pid, 11);
}

/** Two times of a process, in user mode and in the kernel, by the place of the first one behind the name in `stat`. */
function statMs(pid: number | "self", place: number): number {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[place]) + Number(fields[place + 1])) * 10;
  } catch {
    return 0;
  }
}

/** The processor time of the children of a shell, in ms, from what its command `times` says; 0 where that is nothing. */
export function cpuMsOf(times: string): number {
  // The second line is about the children: "0m1.230000s 0m0.250000s", in user mode and in the kernel.
  const children = times.split("\n")[1] ?? "";
  const parts = Array.from(children.matchAll(/(\d+)m([\d.]+)s/g));
  return parts.reduce((ms, [, minutes, seconds]) => ms + (Number(minutes) * 60 + Number(seconds)) * 1000, 0);
}
