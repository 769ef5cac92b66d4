/** The CPUs of the machine, as /sys/devices/system/cpu lists them. */
import type { ProcFiles } from "./files.ts";

/** More CPUs than any kernel supports: a longer list is not one. */
const MOST_CPUS = 65_536;

/** The ranges of a list such as `0-3,8,10-11`; `undefined` if it is not such a list. */
function rangesOf(list: string): [first: number, last: number][] | undefined {
  const ranges: [number, number][] = [];
  for (const item of list.trim().split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(item);
    if (!match) return undefined;
    const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])];
    if (last < first || last >= MOST_CPUS) return undefined;
    ranges.push([first, last]);
  }
  return ranges;
}

/** How many CPUs a list such as `0-3,8,10-11` names; `undefined` if it is not such a list. */
export function countCpus(list: string): number | undefined {
  return rangesOf(list)?.reduce((count, [first, last]) => count + last - first + 1, 0);
}

/** The CPUs that a list such as `0-3,8,10-11` names; `undefined` if it is not such a list. */
export function cpusOf(list: string): number[] | undefined {
  return rangesOf(list)?.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i)
  );
}

/** CPUs that are online in the whole machine (whatever this process may use), if /sys says so. */
export function onlineCpus(files: ProcFiles): number | undefined {
  return countCpus(files.text(`${files.sys}/devices/system/cpu/online`) ?? "");
}

/** Where a CPU sits. */
export interface CpuPlace {
  /** The package (socket), by its number. */
  readonly socket: number;
  /** The die within the package. */
  readonly die: number;
}

/** The place of a CPU; `undefined` where /sys does not say it. */
export function placeOf(files: ProcFiles, cpu: number): CpuPlace | undefined {
  const read = (name: string) =>
    files.text(`${files.sys}/devices/system/cpu/cpu${cpu}/topology/${name}`)?.trim();
  const socket = read("physical_package_id") ?? "";
  if (!/^\d{1,5}$/.test(socket)) return undefined;
  const die = read("die_id") ?? "";
  return { socket: Number(socket), die: /^\d{1,5}$/.test(die) ? Number(die) : 0 };
}
