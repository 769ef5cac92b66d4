/** What the input `cgroups` measures: every group that no other input of this process measures. */
import type { Attribute } from "../polling/points.ts";
import type { ControlGroups, Group } from "./groups.ts";
import { pathAttributes } from "./path_facts.ts";
import type { GroupDescriber } from "./source.ts";

export class EveryGroup implements GroupDescriber {
  readonly #groups: ControlGroups;
  readonly #describes: boolean;

  /** @param describes Whether points have the container or the unit of their group as attributes. */
  constructor(groups: ControlGroups, describes: boolean) {
    this.#groups = groups;
    this.#describes = describes;
  }

  get revision(): number {
    return this.#groups.revision;
  }

  describe(path: string): readonly Attribute[] | undefined {
    if (this.#groups.isClaimed(path)) return undefined;
    return this.#describes ? pathAttributes(path) : [];
  }

  what({ hierarchy }: Group): string {
    return `control groups, version ${hierarchy.version}`;
  }
}
