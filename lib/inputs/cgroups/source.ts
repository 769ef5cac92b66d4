/** Measures groups: each input that does so says which ones, and what it knows of them. */
import { onlineCpus } from "../polling/cpus.ts";
import type { Attribute, Points } from "../polling/points.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { Cgroup, type GroupContext, registerCgroupMetrics } from "./group.ts";
import { ControlGroups, type Group } from "./groups.ts";

/** Which groups an input measures. */
export interface GroupDescriber {
  /** The attributes of the points of a group; `undefined`: it is not measured. */
  describe(path: string): readonly Attribute[] | undefined;
  /** Changes when a group that was described may be described otherwise. @default it never does */
  readonly revision?: number;
  /** Called before the groups of a poll are measured. */
  begin?(): void;
  /** What the groups are, for the log; they are named once for each hierarchy. */
  what(group: Group): string;
}

/** A group that is there. */
interface Known {
  readonly bornAfterMs: number | undefined;
  /** `null`: it is not measured. */
  measured: Cgroup | null;
  /** That of the describer, when it described the group. */
  revision: number;
}

export class GroupsSource implements PolledSource {
  readonly #measuring: Measuring;
  readonly #describer: GroupDescriber;
  readonly #groups: ControlGroups;
  readonly #context: GroupContext;
  readonly #known = new Map<Group, Known>();
  readonly #listening: Disposable;

  /** Registers the metrics. */
  constructor(readonly name: string, measuring: Measuring, describer: GroupDescriber) {
    const { files, registry } = measuring;
    this.#measuring = measuring;
    this.#describer = describer;
    this.#groups = ControlGroups.of(measuring);
    this.#context = {
      files,
      metrics: registerCgroupMetrics(registry),
      cpus: onlineCpus(files) ?? navigator.hardwareConcurrency,
    };
    this.#listening = this.#groups.listen({
      opened: (group, bornAfterMs) => this.#opened(group, bornAfterMs),
      closed: (group) => {
        this.#known.get(group)?.measured?.close();
        this.#known.delete(group);
      },
    });
  }

  #opened(group: Group, bornAfterMs: number | undefined): void {
    const known: Known = { bornAfterMs, measured: null, revision: NaN };
    this.#known.set(group, known);
    this.#describe(group, known, bornAfterMs);
  }

  #describe(group: Group, known: Known, bornAfterMs: number | undefined): void {
    const { revision = 0 } = this.#describer;
    if (known.revision === revision) return;
    known.revision = revision;
    const attributes = this.#describer.describe(group.path);
    if (!attributes) {
      known.measured?.close();
      known.measured = null;
    } else if (known.measured) {
      known.measured.describe(attributes);
    } else {
      known.measured = new Cgroup(this.#context, group, attributes, bornAfterMs);
      this.#measuring.findings.measured(this.#describer.what(group), group.hierarchy.root);
    }
  }

  get isIdle(): boolean {
    return this.#groups.size === 0;
  }

  poll(points: Points): void {
    const { clock, files } = this.#measuring;
    if (this.#groups.refresh()) this.#context.cpus = onlineCpus(files) ?? this.#context.cpus;
    this.#describer.begin?.();
    const nowMs = clock.monotonicMs();
    const gone: Group[] = [];
    for (const [group, known] of this.#known) {
      this.#describe(group, known, undefined);
      if (known.measured && !known.measured.measure(points, nowMs)) gone.push(group);
    }
    for (const group of gone) this.#groups.check(group);
  }

  close(): void {
    for (const { measured } of this.#known.values()) measured?.close();
    this.#known.clear();
    this.#listening[Symbol.dispose]();
  }
}
