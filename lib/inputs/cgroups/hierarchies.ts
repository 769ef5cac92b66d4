/** Where control groups are mounted (man 7 cgroups). */
import type { ProcFiles } from "../polling/files.ts";

export interface Hierarchy {
  readonly version: 1 | 2;
  /** The folder of its root. */
  readonly root: string;
  /** Whether its groups have CPU time, memory, pressure; what another hierarchy has is left to that one. */
  readonly hasCpu: boolean;
  readonly hasMemory: boolean;
  readonly hasPressure: boolean;
}

interface Mount {
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** The lines of /proc/mounts (man 5 fstab): blanks in paths are written as `\040`. */
function* mountsOf(text: string): Generator<Mount> {
  for (const line of text.split("\n")) {
    const [, point, type, options] = line.split(" ");
    if (options === undefined) continue;
    yield {
      point: point.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(parseInt(digits, 8))),
      type,
      options: options.split(","),
    };
  }
}

/** The folder of the root where events can be counted for groups; `undefined` where there is none. */
export function perfRootOf(files: ProcFiles): string | undefined {
  const mounts = [...mountsOf(files.text(`${files.proc}/mounts`) ?? "")];
  const mount = mounts.find(({ type, options }) => type === "cgroup" && options.includes("perf_event")) ??
    mounts.find(({ type }) => type === "cgroup2");
  return mount && rootOf(files, mount);
}

function rootOf(files: ProcFiles, { point }: Mount): string {
  return point.startsWith("/sys/") ? files.sys + point.slice(4) : point;
}

/**
 * The hierarchies that measure something. Of several mounts of one, the first is taken. Machines with both versions have
 * the same paths in both: what version 1 has is taken from there, the rest from version 2.
 */
export function hierarchiesOf(files: ProcFiles): Hierarchy[] {
  const mounts = [...mountsOf(files.text(`${files.proc}/mounts`) ?? "")];
  const v1 = (controller: string) =>
    mounts.find(({ type, options }) => type === "cgroup" && options.includes(controller));
  const cpuacct = v1("cpuacct");
  const memory = v1("memory");
  const hierarchies = [...new Set([cpuacct, memory])].filter((mount) => mount !== undefined).map((
    mount,
  ): Hierarchy => ({
    version: 1,
    root: rootOf(files, mount),
    hasCpu: mount === cpuacct,
    hasMemory: mount === memory,
    hasPressure: false,
  }));
  const v2 = mounts.find(({ type }) => type === "cgroup2");
  if (v2) {
    hierarchies.push({
      version: 2,
      root: rootOf(files, v2),
      hasCpu: !cpuacct,
      hasMemory: !memory,
      hasPressure: true,
    });
  }
  return hierarchies;
}
