/** What is known of the groups of Slurm's jobs: all by their paths. */
import type { Group } from "../cgroups/groups.ts";
import type { GroupKnowledge } from "../cgroups/known_groups.ts";
import type { Attribute } from "../polling/points.ts";
import type { SlurmConfig } from "./config.ts";
import { jobGroupOf, LEVELS } from "./job_path.ts";

export class SlurmKnowledge implements GroupKnowledge {
  readonly #lowest: number;
  readonly #onlyJobs: boolean;

  constructor({ jobs_monitoring_level, ignore_non_jobs }: SlurmConfig) {
    this.#lowest = LEVELS.indexOf(jobs_monitoring_level);
    this.#onlyJobs = ignore_non_jobs;
  }

  describe(path: string): readonly Attribute[] | undefined {
    const group = jobGroupOf(path);
    if (!group) return this.#onlyJobs ? undefined : [];
    const isMeasured = group.isItself && LEVELS.indexOf(group.level) <= this.#lowest;
    return isMeasured ? group.attributes : undefined;
  }

  readonly takes = (path: string) => this.describe(path) !== undefined;

  attributesAt(path: string): readonly Attribute[] | undefined {
    return jobGroupOf(path)?.attributes;
  }

  what({ path, hierarchy }: Group): string {
    return jobGroupOf(path) ? "jobs of Slurm" : `control groups, version ${hierarchy.version}`;
  }
}
