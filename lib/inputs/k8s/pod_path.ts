/** Which pod, and which container of it, a control group is, with both of the kubelet's drivers. */
import { type Container, containerIn } from "../cgroups/path_facts.ts";

export interface PodGroup {
  /** As the path has it: of a static pod it is the hash of its configuration. */
  readonly uid: string;
  /** Whether the group is that of the pod itself; otherwise it is below it. */
  readonly isPod: boolean;
  readonly container: Container | undefined;
}

/**
 * systemd: `…-pod69fd10c5_8f65_4dbb_b4dd_9d3d0a6d83a5.slice`; cgroupfs: `pod69fd10c5-8f65-4dbb-b4dd-9d3d0a6d83a5` below a
 * folder of the kubelet's.
 */
const SYSTEMD = /(?:^|-)pod([0-9a-zA-Z_]{32,64})\.slice$/;
const CGROUPFS = /^pod([0-9a-zA-Z-]{32,64})$/;

/** `undefined` where the path is not in a pod. */
export function podGroupOf(path: string): PodGroup | undefined {
  const parts = path.split("/");
  // The innermost: a node may itself be a container in a pod.
  for (let i = parts.length - 1; i > 0; i--) {
    const uid = SYSTEMD.exec(parts[i])?.[1].replaceAll("_", "-") ?? CGROUPFS.exec(parts[i])?.[1];
    if (uid === undefined) continue;
    const below = parts.slice(i + 1);
    return {
      uid,
      isPod: below.length === 0,
      container: below.length === 0 ? undefined : containerIn(`/${below.join("/")}`),
    };
  }
  return undefined;
}
