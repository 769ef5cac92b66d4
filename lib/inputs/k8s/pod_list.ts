/** What is used of a list of pods (v1 PodList), as the API server and the kubelet give it. */

export interface Pod {
  /** That of the API server: of a static pod it is not the one in the path of its group. */
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  /** The node that it runs on; `undefined` where the list does not say. */
  readonly node: string | undefined;
}

export interface PodList {
  /** By each uid that the path of a group may have. */
  readonly pods: ReadonlyMap<string, Pod>;
  /** Names of containers by their ids. */
  readonly containers: ReadonlyMap<string, string>;
}

/** Annotations with the uid that the group of a static pod has. */
const STATIC = ["kubernetes.io/config.mirror", "kubernetes.io/config.hash"];
const STATUSES = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"];

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function textIn(value: unknown, ...path: string[]): string | undefined {
  for (const name of path) value = member(value, name);
  return typeof value === "string" && value !== "" && value.isWellFormed() ? value : undefined;
}

function listIn(value: unknown, ...path: string[]): readonly unknown[] {
  for (const name of path) value = member(value, name);
  return Array.isArray(value) ? value : [];
}

/** Reads a list. Pods without a uid, a name or a namespace are left out. @throws if it is no list of pods */
export function podListOf(json: unknown): PodList {
  if (!Array.isArray(member(json, "items"))) {
    const message = textIn(json, "message");
    throw new SyntaxError(`the answer is not a list of pods${message === undefined ? "" : `: ${message}`}`);
  }
  const pods = new Map<string, Pod>();
  const containers = new Map<string, string>();
  for (const item of listIn(json, "items")) {
    const uid = textIn(item, "metadata", "uid");
    const name = textIn(item, "metadata", "name");
    const namespace = textIn(item, "metadata", "namespace");
    if (uid === undefined || name === undefined || namespace === undefined) continue;
    const pod: Pod = { uid, name, namespace, node: textIn(item, "spec", "nodeName") };
    pods.set(uid, pod);
    for (const annotation of STATIC) {
      const hash = textIn(item, "metadata", "annotations", annotation);
      if (hash !== undefined) pods.set(hash, pod);
    }
    for (const status of STATUSES.flatMap((statuses) => listIn(item, "status", statuses))) {
      // containerd://0123…
      const id = textIn(status, "containerID")?.split("//").at(-1);
      const containerName = textIn(status, "name");
      if (id !== undefined && containerName !== undefined) containers.set(id, containerName);
    }
  }
  return { pods, containers };
}
