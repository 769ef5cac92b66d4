/** The source of the input `slurm`. */
import { KnownGroups } from "../cgroups/known_groups.ts";
import type { Measuring, Sources } from "../polling/source.ts";
import type { SlurmConfig } from "./config.ts";
import { SlurmKnowledge } from "./knowledge.ts";

export function openSlurm(config: SlurmConfig, measuring: Measuring): Sources<SlurmConfig> {
  if (config.add_source_in_pause_state) {
    measuring.log.warn(
      "Jobs are measured from their beginning: add_source_in_pause_state has no effect here",
    );
  }
  return new KnownGroups("slurm", config, measuring, new SlurmKnowledge(config));
}
