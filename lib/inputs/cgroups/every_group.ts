/** What the input `cgroups` measures: every group that no other input of this process claims. */
import type { Attribute } from "../polling/points.ts";
import type { Group } from "./groups.ts";
import { pathAttributes } from "./path_facts.ts";
import type { GroupDescriber } from "./source.ts";

export class EveryGroup implements GroupDescriber {
  readonly #describes: boolean;

  /** @param describes Whether points have the container or the unit of their group as attributes. */
  constructor(describes: boolean) {
    this.#describes = describes;
  }

  describe(path: string): readonly Attribute[] {
    return this.#describes ? pathAttributes(path) : [];
  }

  what({ hierarchy }: Group): string {
    return `control groups, version ${hierarchy.version}`;
  }
}
