/** The control groups of a process, by its file /proc/PID/cgroup (man 7 cgroups). */

interface Line {
  readonly isV2: boolean;
  readonly controllers: readonly string[];
  readonly path: string;
}

function linesOf(text: string): Line[] {
  return [...text.matchAll(/^(\d+):([^:]*):(\/.*)$/gm)].map(([, id, controllers, path]) => ({
    isV2: id === "0" && controllers === "",
    controllers: controllers.split(","),
    path,
  }));
}

/** All paths, version 2 first. */
export function groupsOfProcess(text: string): string[] {
  const lines = linesOf(text);
  const paths = [...lines.filter(({ isV2 }) => isV2), ...lines.filter(({ isV2 }) => !isV2)];
  return [...new Set(paths.map(({ path }) => path))];
}

/**
 * The path of the group that the input for groups measures: that of version 1 where it has memory or CPU time, as on
 * machines with both versions. `undefined` where there is none, or where it is outside of this container.
 */
export function groupOfProcess(text: string): string | undefined {
  const lines = linesOf(text);
  const has = (controller: string) => lines.find(({ controllers }) => controllers.includes(controller));
  const line = has("memory") ?? has("cpuacct") ?? has("cpu") ?? lines.find(({ isV2 }) => isV2) ?? lines[0];
  return line === undefined || line.path.startsWith("/..") ? undefined : line.path;
}
