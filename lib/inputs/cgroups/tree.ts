/** The groups of one hierarchy, as they come and go. */
import type { Clock } from "../../base/clock.ts";
import { DirectoryWatch } from "../polling/directory_watch.ts";

/** How often everything is read again although nothing was reported, in ms. */
const SCAN_AGAIN_MS = 60_000;
/** Without reports of the kernel: the shortest time between two scans, in ms, and how many times as long as a scan. */
const UNWATCHED_SCAN_MS = 1000;
const UNWATCHED_SHARE = 20;
/** The most groups that are measured, of each hierarchy. */
export const MOST_GROUPS = 16_384;

/** A group that is there. */
interface Node<G> {
  readonly group: G;
  /** The names of the groups in it, as they were read last. */
  children: ReadonlySet<string>;
  isWatched: boolean;
}

export interface TreeOptions<G> {
  /** The folder of the root. */
  readonly root: string;
  readonly clock: Clock;
  /**
   * A group has been found. `path` is that below the root, `/` for the root itself. `bornAfterMs`: it was not there at
   * that time of the clock; `undefined`: it may always have been there.
   */
  readonly open: (path: string, folder: string, bornAfterMs: number | undefined) => G;
  readonly close: (group: G) => void;
  /** The most groups that are measured. @default {16384} */
  readonly mostGroups?: number;
  /** Told once when there are more. */
  readonly onTooMany: () => void;
  /** @default that of the kernel */
  readonly watch?: DirectoryWatch | null;
}

export class CgroupTree<G> {
  readonly #options: TreeOptions<G>;
  readonly #watch: DirectoryWatch | null;
  readonly #mostGroups: number;
  /** By the path below the root, in the order in which they were found. */
  readonly #nodes = new Map<string, Node<G>>();
  #scannedMs = -Infinity;
  #refreshedMs: number | undefined;
  #scanTookMs = 0;
  /** Whether every group is watched. */
  #isWatched = false;
  #isTooLarge = false;

  constructor(options: TreeOptions<G>) {
    this.#options = options;
    this.#watch = options.watch === undefined ? DirectoryWatch.open() : options.watch;
    this.#mostGroups = options.mostGroups ?? MOST_GROUPS;
  }

  /** The folder of the root. */
  get root(): string {
    return this.#options.root;
  }

  get groups(): Iterable<G> {
    return Array.from(this.#nodes.values(), ({ group }) => group);
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Finds what has come and gone. */
  refresh(): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const changes = this.#watch ? this.#watch.changes() : null;
    const ageMs = nowMs - this.#scannedMs;
    const isDue = this.#isWatched
      ? changes === null || ageMs >= SCAN_AGAIN_MS
      : ageMs >= Math.max(UNWATCHED_SCAN_MS, UNWATCHED_SHARE * this.#scanTookMs);
    if (isDue) {
      this.#isWatched = this.#watch !== null;
      this.#visit("/", true);
      this.#scannedMs = nowMs;
      this.#scanTookMs = clock.monotonicMs() - nowMs;
    } else {
      for (const folder of changes ?? []) this.#visit(this.#pathOf(folder), false);
    }
    this.#refreshedMs = nowMs;
  }

  #folderOf(path: string): string {
    return path === "/" ? this.#options.root : this.#options.root + path;
  }

  #pathOf(folder: string): string {
    return folder.slice(this.#options.root.length) || "/";
  }

  /** Reads the folder of a group, and those of its new children (`deep`: of all). */
  #visit(path: string, deep: boolean): void {
    const folder = this.#folderOf(path);
    let node = this.#nodes.get(path);
    if (!node && this.#nodes.size >= this.#mostGroups) {
      if (!this.#isTooLarge) this.#options.onTooMany();
      this.#isTooLarge = true;
      return;
    }
    // First the watch, then the list: a child that is created in between is in one of them.
    const isWatched = node?.isWatched || (this.#watch?.add(folder) ?? false);
    if (!isWatched) this.#isWatched = false;
    const children = foldersIn(folder);
    if (!children) {
      this.#forget(path);
      return;
    }
    if (!node) {
      // What was left out before is not new.
      const group = this.#options.open(path, folder, this.#isTooLarge ? undefined : this.#refreshedMs);
      this.#nodes.set(path, node = { group, children: new Set(), isWatched });
    }
    node.isWatched = isWatched;
    const before = node.children;
    node.children = new Set(children);
    for (const name of children) {
      const child = childOf(path, name);
      if (deep || !this.#nodes.has(child)) this.#visit(child, deep);
    }
    for (const name of before) if (!node.children.has(name)) this.#forget(childOf(path, name));
  }

  /** Looks whether the group is still there. */
  check(path: string): void {
    if (this.#nodes.has(path)) this.#visit(path, false);
  }

  /** The group is gone, with all below it. */
  #forget(path: string): void {
    const node = this.#nodes.get(path);
    if (!node) return;
    this.#nodes.delete(path);
    for (const name of node.children) this.#forget(childOf(path, name));
    this.#options.close(node.group);
  }

  close(): void {
    this.#forget("/");
    this.#watch?.close();
  }
}

function childOf(path: string, name: string): string {
  return path === "/" ? `/${name}` : `${path}/${name}`;
}

/** The names of the folders in a folder, in order; `null` where it is gone or cannot be read. */
function foldersIn(folder: string): string[] | null {
  try {
    const names: string[] = [];
    for (const { name, isDirectory } of Deno.readDirSync(folder)) if (isDirectory) names.push(name);
    return names.sort();
  } catch {
    return null;
  }
}
