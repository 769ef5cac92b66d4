/** How much memory this process may use: that of the machine, or less where its cgroup says so. */

const PROC = "/proc";
const CGROUPS = "/sys/fs/cgroup";
/** What this process takes beside everything that it remembers: its program, its heap, its buffers. */
const OWN_BYTES = 150 * 1024 * 1024;
/** What something that is remembered may take, at least and at most, where the configuration does not say it. */
const MIN_SHARE_BYTES = 4 * 1024 ** 2;
const MAX_SHARE_BYTES = 1024 ** 3;
/** What is taken for the memory of a machine that does not tell. */
const UNKNOWN_BYTES = 1024 * 1024 * 1024;

/**
 * What the compiled program has in its environment: with it the runtime gives V8 a heap that suits the memory of the
 * cgroup, not only that of the machine. Whatever this program starts does not get it.
 */
export const CGROUP_VARIABLE = { name: "DENO_USE_CGROUPS", value: "alumet-relay" } as const;

/** Takes the variable out of the environment that programs get from this one. */
export function hideCgroupVariable(): void {
  const { name, value } = CGROUP_VARIABLE;
  if (Deno.env.get(name) === value) Deno.env.delete(name);
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

/** The limit in a file of a cgroup, in bytes; `Infinity` for none. */
function limitIn(path: string): number {
  const text = read(path).trim();
  return /^\d+$/.test(text) ? Number(text) : Infinity;
}

/** The least limit of a cgroup and of those around it. */
function limitOf(root: string, cgroup: string, file: string): number {
  const parts = cgroup.split("/").filter((part) => part !== "" && part !== "..");
  let limit = limitIn(`${root}/${file}`);
  for (let n = 1; n <= parts.length; n++) {
    limit = Math.min(limit, limitIn(`${root}/${parts.slice(0, n).join("/")}/${file}`));
  }
  return limit;
}

/**
 * Bytes of memory that this process may use.
 *
 * @param proc Where /proc is, and @param cgroups where the file systems of cgroups are.
 */
export function usableMemoryBytes(proc = PROC, cgroups = CGROUPS): number {
  const total = Number(/^MemTotal:\s+(\d+) kB$/m.exec(read(`${proc}/meminfo`))?.[1] ?? NaN) * 1024;
  let limit = Number.isNaN(total) ? UNKNOWN_BYTES : total;
  for (const line of read(`${proc}/self/cgroup`).split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === "") {
      // Above `memory.high` the kernel slows the process down until it uses less.
      for (const file of ["memory.max", "memory.high"]) limit = Math.min(limit, limitOf(cgroups, path, file));
    } else if (controllers?.split(",").includes("memory")) {
      limit = Math.min(limit, limitOf(`${cgroups}/memory`, path, "memory.limit_in_bytes"));
    }
  }
  return limit;
}

/** What something may take that has `1 / part` of the memory beyond the program's own, in bytes. */
export function memoryShare(usableBytes: number, part: number): number {
  return Math.max(MIN_SHARE_BYTES, Math.min(MAX_SHARE_BYTES, (usableBytes - OWN_BYTES) / part));
}
