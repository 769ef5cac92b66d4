/** What the path of a group says by itself: the container that it is, or the unit of systemd. */
import type { Attribute } from "../polling/points.ts";

/** What runtimes put before the id of a container in the name of its group. */
const RUNTIMES: Readonly<Record<string, string>> = {
  "docker-": "docker",
  "cri-containerd-": "containerd",
  "nerdctl-": "containerd",
  "crio-": "cri-o",
  "libpod-": "podman",
};

const CONTAINER = /^(docker-|cri-containerd-|nerdctl-|crio-|libpod-)?([0-9a-f]{64})(?:\.scope)?$/;
/** Slices are left out: they are levels, not what runs in them. */
const UNIT = /\.(?:service|scope|socket|mount|swap)$/;

/** The container that a group is, or is in. */
export interface Container {
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** `docker`, `podman`, `containerd`, `cri-o`; `undefined` where the path does not say. */
  readonly runtime: string | undefined;
}

/** The innermost container that the path names. */
export function containerIn(path: string): Container | undefined {
  const parts = path.split("/");
  for (let i = parts.length - 1; i > 0; i--) {
    const match = CONTAINER.exec(parts[i]);
    if (!match) continue;
    const runtime = match[1] ? RUNTIMES[match[1]] : parts[i - 1] === "docker" ? "docker" : undefined;
    return { id: match[2], runtime };
  }
  return undefined;
}

/** The attributes of the points of a container. */
export function containerAttributes({ id, runtime }: Container): Attribute[] {
  const attributes: Attribute[] = [["container_id", id]];
  if (runtime !== undefined) attributes.push(["container_runtime", runtime]);
  return attributes;
}

/** The attributes of a group: its container, or else its unit. */
export function pathAttributes(path: string): readonly Attribute[] {
  const container = containerIn(path);
  if (container) return containerAttributes(container);
  const unit = path.split("/").findLast((part) => UNIT.test(part));
  return unit === undefined ? [] : [["systemd_unit", unit]];
}
