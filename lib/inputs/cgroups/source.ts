/** Measures the groups of all hierarchies. */
import { onlineCpus } from "../polling/cpus.ts";
import { Devices } from "../polling/devices.ts";
import type { Points } from "../polling/points.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { Cgroup, type GroupContext, registerCgroupMetrics } from "./group.ts";
import { hierarchiesOf, type Hierarchy } from "./hierarchies.ts";
import { CgroupTree, MOST_GROUPS } from "./tree.ts";

export class CgroupsSource implements PolledSource {
  readonly name = "cgroups";
  readonly #measuring: Measuring;
  readonly #context: GroupContext;
  readonly #trees: Devices<CgroupTree<Cgroup>>;

  /** Registers the metrics. */
  constructor(measuring: Measuring) {
    const { files, registry, clock } = measuring;
    this.#measuring = measuring;
    this.#context = {
      files,
      metrics: registerCgroupMetrics(registry),
      cpus: onlineCpus(files) ?? navigator.hardwareConcurrency,
    };
    this.#trees = new Devices(clock, () =>
      hierarchiesOf(files).map((hierarchy) => ({
        key: JSON.stringify(hierarchy),
        open: () => this.#open(hierarchy),
      })));
  }

  #open(hierarchy: Hierarchy): CgroupTree<Cgroup> {
    const { clock, findings, log } = this.#measuring;
    findings.measured(`control groups, version ${hierarchy.version}`, hierarchy.root);
    return new CgroupTree<Cgroup>({
      root: hierarchy.root,
      clock,
      open: (path, folder, bornAfterMs) => new Cgroup(this.#context, hierarchy, path, folder, bornAfterMs),
      close: (group) => group.close(),
      onTooMany: () =>
        log.warn("Some control groups are not measured: there are too many", { measured: MOST_GROUPS }),
    });
  }

  get isIdle(): boolean {
    return this.#trees.size === 0;
  }

  poll(points: Points): void {
    const { clock, files } = this.#measuring;
    if (this.#trees.refresh()) this.#context.cpus = onlineCpus(files) ?? this.#context.cpus;
    const nowMs = clock.monotonicMs();
    for (const tree of this.#trees) {
      tree.refresh();
      for (const group of tree.groups) if (!group.measure(points, nowMs)) tree.check(group.path);
    }
  }

  close(): void {
    this.#trees.close();
  }
}
