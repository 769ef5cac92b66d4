/** The keys of `[plugins.slurm]`: names and defaults are those of Alumet. */
import { choice, duration, flag, type Infer, optional, table } from "../../schema.ts";
import { annotateKey, asAlumet, groupKeys } from "../cgroups/keys.ts";

export const config = table({
  ...groupKeys,
  ignore_non_jobs: flag({
    doc:
      "Measure the groups of jobs alone. Otherwise all groups are measured, those of jobs with their attributes.",
    default: true,
  }),
  jobs_monitoring_level: choice(["job", "step", "substep", "task"], {
    doc:
      "The lowest level that is measured, with those above it. A level contains those below it: do not add levels.",
    default: "job",
  }),
  add_source_in_pause_state: flag({
    doc:
      "Alumet's agents wait for a command before they measure a job. Here, jobs are measured from their beginning.",
    default: false,
  }),
  ...annotateKey,
  cgroupv1_refresh_interval: optional(duration({
    doc: "Is not used: groups are found at the next poll, with either version.",
    unset: "not used",
    default: "30s",
  })),
}, { ...asAlumet, doc: "The jobs of Slurm on this machine, by their control groups." });

export type SlurmConfig = Infer<typeof config>;
