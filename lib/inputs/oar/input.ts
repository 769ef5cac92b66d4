/** The source of the input `oar`. */
import { ControlGroups } from "../cgroups/groups.ts";
import { KnownGroups } from "../cgroups/known_groups.ts";
import type { Measuring, Sources } from "../polling/source.ts";
import type { OarConfig } from "./config.ts";
import { OarKnowledge } from "./knowledge.ts";
import { RunningJobs } from "./running_jobs.ts";
import { type AskName, UserNames } from "./user_names.ts";

/** @param askName Asks for the names of users. @default the command `id` */
export function openOar(config: OarConfig, measuring: Measuring, askName?: AskName): Sources<OarConfig> {
  const running = new RunningJobs(ControlGroups.of(measuring));
  return new KnownGroups("oar", config, measuring, new OarKnowledge(config, new UserNames(askName), running));
}
