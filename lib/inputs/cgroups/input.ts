/** The source of the input `cgroups`. */
import type { Measuring, Sources, WantedSource } from "../polling/source.ts";
import type { CgroupsConfig } from "./config.ts";
import { EveryGroup } from "./every_group.ts";
import { ControlGroups } from "./groups.ts";
import { GroupsSource } from "./source.ts";

export class CgroupsSources implements Sources<CgroupsConfig> {
  readonly #measuring: Measuring;

  constructor(measuring: Measuring) {
    this.#measuring = measuring;
  }

  wanted({ poll_interval, disable_sources, describe_groups }: CgroupsConfig): WantedSource[] {
    if (disable_sources) return [];
    const measuring = this.#measuring;
    const open = () =>
      new GroupsSource("cgroups", measuring, new EveryGroup(ControlGroups.of(measuring), describe_groups));
    return [{ name: "cgroups", intervalMs: poll_interval, madeWith: describe_groups, open }];
  }
}
