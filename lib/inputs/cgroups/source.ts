/** Measures groups: each input that does so says which ones, and what it knows of them. */
import { onlineCpus } from "../polling/cpus.ts";
import type { Attribute, Points } from "../polling/points.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { Cgroup, type GroupContext, registerCgroupMetrics } from "./group.ts";
import { type Claim, ControlGroups, type Group } from "./groups.ts";

/** Which groups an input measures. */
export interface GroupDescriber {
  /** The attributes of the points of a group; `undefined`: it is not measured. */
  describe(path: string): readonly Attribute[] | undefined;
  /** Whether the input claims the group, so that no other one measures it. @default it claims none */
  readonly takes?: Claim;
  /** Changes when a group that was described may be described otherwise. @default it never does */
  readonly revision?: number;
  /** Called before the groups of a poll are measured. */
  begin?(): void;
  /** What the groups are, for the log; they are named once for each hierarchy. */
  what(group: Group): string;
}

/** A group that is there. */
interface Known {
  /** Others have been told of it. */
  isTold: boolean;
  /** `null`: it is not measured. */
  measured: Cgroup | null;
  /** Changes of descriptions and claims until it was described. */
  revision: number;
}

export class GroupsSource implements PolledSource {
  readonly #measuring: Measuring;
  readonly #describer: GroupDescriber;
  readonly #groups: ControlGroups;
  /** `null`: nothing is measured, but groups are found for others. */
  readonly #context: GroupContext | null;
  readonly #known = new Map<Group, Known>();
  readonly #claim: Disposable | undefined;
  readonly #listening: Disposable;

  /** @param measures Whether it measures; otherwise groups are only found, and what is known of them is told. */
  constructor(readonly name: string, measuring: Measuring, describer: GroupDescriber, measures = true) {
    const { files, registry } = measuring;
    this.#measuring = measuring;
    this.#describer = describer;
    this.#groups = ControlGroups.of(measuring);
    this.#context = measures
      ? {
        files,
        metrics: registerCgroupMetrics(registry),
        cpus: onlineCpus(files) ?? navigator.hardwareConcurrency,
      }
      : null;
    this.#claim = measures && describer.takes ? this.#groups.claim(describer.takes) : undefined;
    this.#listening = this.#groups.listen({
      opened: (group, bornAfterMs) => this.#opened(group, bornAfterMs),
      closed: (group) => {
        const known = this.#known.get(group);
        if (known) this.#forget(group, known);
        this.#known.delete(group);
      },
    });
  }

  #opened(group: Group, bornAfterMs: number | undefined): void {
    const known: Known = { measured: null, isTold: false, revision: NaN };
    this.#known.set(group, known);
    this.#describe(group, known, bornAfterMs);
  }

  #describe(group: Group, known: Known, bornAfterMs: number | undefined): void {
    const revision = (this.#describer.revision ?? 0) + this.#groups.revision;
    if (known.revision === revision) return;
    known.revision = revision;
    const isTaken = this.#groups.isClaimed(group.path, this.#describer.takes);
    const attributes = isTaken ? undefined : this.#describer.describe(group.path);
    if (!attributes) return this.#forget(group, known);
    this.#groups.tell(group.path, attributes, !known.isTold);
    known.isTold = true;
    if (known.measured) known.measured.describe(attributes);
    else if (this.#context) {
      known.measured = new Cgroup(this.#context, group, attributes, bornAfterMs);
      this.#measuring.findings.measured(this.#describer.what(group), group.hierarchy.root);
    }
  }

  /** It is not measured any more. */
  #forget({ path }: Group, known: Known): void {
    known.measured?.close();
    known.measured = null;
    if (known.isTold) this.#groups.untell(path);
    known.isTold = false;
  }

  get isIdle(): boolean {
    return this.#groups.size === 0;
  }

  poll(points: Points): void {
    const { clock, files } = this.#measuring;
    const context = this.#context;
    if (this.#groups.refresh() && context) context.cpus = onlineCpus(files) ?? context.cpus;
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
    for (const [group, known] of this.#known) this.#forget(group, known);
    this.#known.clear();
    this.#listening[Symbol.dispose]();
    this.#claim?.[Symbol.dispose]();
  }
}
