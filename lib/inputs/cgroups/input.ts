/** The source of the input `cgroups`. */
import type { Measuring, Sources, WantedSource } from "../polling/source.ts";
import type { CgroupsConfig } from "./config.ts";
import { EveryGroup } from "./every_group.ts";
import { GroupsSource } from "./source.ts";

export class CgroupsSources implements Sources<CgroupsConfig> {
  readonly #measuring: Measuring;

  constructor(measuring: Measuring) {
    this.#measuring = measuring;
  }

  wanted({ poll_interval, disable_sources, describe_groups }: CgroupsConfig): WantedSource[] {
    const open = () =>
      new GroupsSource("cgroups", this.#measuring, new EveryGroup(describe_groups), !disable_sources);
    return [{
      name: "cgroups",
      intervalMs: poll_interval,
      madeWith: [disable_sources, describe_groups],
      open,
    }];
  }
}
