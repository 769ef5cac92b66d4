/** The control groups of the machine, found once for all inputs of this process that measure some of them. */
import type { Attribute } from "../polling/points.ts";
import { Devices } from "../polling/devices.ts";
import type { Measuring } from "../polling/source.ts";
import { hierarchiesOf, type Hierarchy } from "./hierarchies.ts";
import { CgroupTree, MOST_GROUPS } from "./tree.ts";

/** A group in one of its hierarchies. */
export interface Group {
  readonly hierarchy: Hierarchy;
  /** Below the root of the hierarchy; `/` is the root itself. */
  readonly path: string;
  readonly folder: string;
}

/** Told of groups that appear and vanish. */
export interface GroupListener {
  /** @param bornAfterMs It was not there at that time of the clock; `undefined`: it may always have been there. */
  opened(group: Group, bornAfterMs: number | undefined): void;
  closed(group: Group): void;
}

/** A group that an input measures or knows, in whatever hierarchies it is. */
export interface ToldGroup {
  readonly path: string;
  /** What the input knows of it. */
  readonly attributes: readonly Attribute[];
}

/** Told of the groups that inputs measure or know. */
export interface ToldListener {
  /** The group is there, or more is known of it. */
  told(group: ToldGroup): void;
  gone(path: string): void;
}

/** Decides whether an input measures the group with this path. */
export type Claim = (path: string) => boolean;

export class ControlGroups {
  readonly #trees: Devices<CgroupTree<Group>>;
  readonly #listeners = new Set<GroupListener>();
  readonly #claims = new Set<Claim>();
  readonly #told = new Map<string, ToldGroup & { times: number }>();
  readonly #toldListeners = new Set<ToldListener>();
  #revision = 0;

  constructor({ files, clock, log }: Measuring) {
    const open = (hierarchy: Hierarchy) =>
      new CgroupTree<Group>({
        root: hierarchy.root,
        clock,
        open: (path, folder, bornAfterMs) => {
          const group = { hierarchy, path, folder };
          for (const listener of this.#listeners) listener.opened(group, bornAfterMs);
          return group;
        },
        close: (group) => {
          for (const listener of this.#listeners) listener.closed(group);
        },
        onTooMany: () =>
          log.warn("Some control groups are not measured: there are too many", { measured: MOST_GROUPS }),
      });
    this.#trees = new Devices(clock, () =>
      hierarchiesOf(files).map((hierarchy) => ({
        key: JSON.stringify(hierarchy),
        open: () => open(hierarchy),
      })));
  }

  /** Those that the inputs of this process share. */
  static of(measuring: Measuring): ControlGroups {
    const { groups } = measuring.shared.of(place);
    return groups ?? (measuring.shared.of(place).groups = new ControlGroups(measuring));
  }

  /** The hierarchies that were found. */
  get size(): number {
    return this.#trees.size;
  }

  /** Finds what has come and gone. @returns whether hierarchies were looked for, too: once a minute */
  refresh(): boolean {
    const hasLooked = this.#trees.refresh();
    for (const tree of this.#trees) tree.refresh();
    return hasLooked;
  }

  /** Looks whether the group is still there. */
  check({ hierarchy, path }: Group): void {
    for (const tree of this.#trees) if (tree.root === hierarchy.root) tree.check(path);
  }

  /** Tells of the groups that are there, and from now on. With the last listener all files are closed. */
  listen(listener: GroupListener): Disposable {
    this.#listeners.add(listener);
    for (const tree of this.#trees) for (const group of tree.groups) listener.opened(group, undefined);
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
        if (this.#listeners.size === 0) this.#trees.close();
      },
    };
  }

  /** An input knows a group: to be called for each hierarchy, and again when more is known. */
  tell(path: string, attributes: readonly Attribute[], isNew: boolean): void {
    const known = this.#told.get(path);
    const group = { path, attributes, times: (known?.times ?? 0) + (isNew ? 1 : 0) };
    this.#told.set(path, group);
    if (!known || known.attributes !== attributes) {
      for (const listener of this.#toldListeners) listener.told(group);
    }
  }

  /** The input no longer knows it, in one of its hierarchies. */
  untell(path: string): void {
    const known = this.#told.get(path);
    if (!known || --known.times > 0) return;
    this.#told.delete(path);
    for (const listener of this.#toldListeners) listener.gone(path);
  }

  /** Tells of the groups that are known, and from now on. */
  listenToTold(listener: ToldListener): Disposable {
    this.#toldListeners.add(listener);
    for (const group of this.#told.values()) listener.told(group);
    return { [Symbol.dispose]: () => void this.#toldListeners.delete(listener) };
  }

  /** Changes when other groups are claimed. */
  get revision(): number {
    return this.#revision;
  }

  /** An input measures these groups, so that those that measure every group leave them out. */
  claim(claim: Claim): Disposable {
    this.#claims.add(claim);
    this.#revision++;
    return {
      [Symbol.dispose]: () => {
        if (this.#claims.delete(claim)) this.#revision++;
      },
    };
  }

  /** Whether another input measures the group. Of two that claim one, the first does. */
  isClaimed(path: string, own: Claim | undefined): boolean {
    for (const claim of this.#claims) {
      if (claim === own) return false;
      if (claim(path)) return true;
    }
    return false;
  }
}

/** Where the inputs of a process find the same object. */
const place = (): { groups?: ControlGroups } => ({});
