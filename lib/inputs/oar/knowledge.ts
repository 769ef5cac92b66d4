/** What is known of the groups of OAR's jobs. */
import type { Group } from "../cgroups/groups.ts";
import type { GroupKnowledge } from "../cgroups/known_groups.ts";
import type { Attribute } from "../polling/points.ts";
import type { OarConfig } from "./config.ts";
import { type OarJob, oarJobOf } from "./job_path.ts";
import type { RunningJobs } from "./running_jobs.ts";
import type { UserNames } from "./user_names.ts";

export class OarKnowledge implements GroupKnowledge {
  readonly #onlyJobs: boolean;
  readonly #users: UserNames;
  readonly #running: RunningJobs;
  readonly everywhere = { unless: "job_id", attributes: () => this.#running.attributes };

  constructor({ jobs_only }: OarConfig, users: UserNames, running: RunningJobs) {
    this.#onlyJobs = jobs_only;
    this.#users = users;
    this.#running = running;
  }

  get revision(): number {
    return this.#users.revision + this.#running.revision;
  }

  describe(path: string): readonly Attribute[] | undefined {
    const job = oarJobOf(path);
    if (!job) return this.#onlyJobs ? undefined : [];
    return job.isItself ? this.#attributesOf(job) : undefined;
  }

  readonly takes = (path: string) => {
    const job = oarJobOf(path);
    return job ? job.isItself : !this.#onlyJobs;
  };

  attributesAt(path: string): readonly Attribute[] | undefined {
    const job = oarJobOf(path);
    return job && this.#attributesOf(job);
  }

  #attributesOf({ user, id }: OarJob): Attribute[] {
    if (typeof user === "string") return [["user", user], ["job_id", id]];
    const attributes: Attribute[] = [["user_id", BigInt(user)], ["job_id", id]];
    const name = this.#users.of(user);
    if (name !== undefined) attributes.push(["user", name]);
    return attributes;
  }

  what({ path, hierarchy }: Group): string {
    return oarJobOf(path) ? "jobs of OAR" : `control groups, version ${hierarchy.version}`;
  }

  async close(): Promise<void> {
    this.#running.close();
    await this.#users.close();
  }
}
