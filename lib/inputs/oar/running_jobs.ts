/** The jobs of OAR that run now, for the points of everything that cannot be told apart by job. */
import type { ControlGroups, Group } from "../cgroups/groups.ts";
import type { Attribute } from "../polling/points.ts";
import { oarJobOf } from "./job_path.ts";

/** The folders in which OAR makes the groups of jobs. */
const HOMES = /(?:^|\/)(?:oar|oar\.slice)(?:\/|$)/;

export class RunningJobs {
  /** How many groups there are of each job: one in each hierarchy. */
  readonly #groups = new Map<bigint, number>();
  /** Folders and groups of OAR's that are there. */
  #homes = 0;
  #attributes: readonly Attribute[] = [];
  #revision = 0;
  readonly #listening: Disposable;

  constructor(groups: Pick<ControlGroups, "listen">) {
    this.#listening = groups.listen({
      opened: (group) => this.#count(group, 1),
      closed: (group) => this.#count(group, -1),
    });
  }

  /** Changes when a job begins or ends. */
  get revision(): number {
    return this.#revision;
  }

  /** `involved_jobs`, which is empty if no job runs; nothing on machines that OAR does not use. */
  get attributes(): readonly Attribute[] {
    return this.#attributes;
  }

  #count({ path }: Group, step: 1 | -1): void {
    if (!HOMES.test(path)) return;
    this.#homes += step;
    const job = oarJobOf(path);
    if (job?.isItself) {
      const count = (this.#groups.get(job.id) ?? 0) + step;
      if (count > 0) this.#groups.set(job.id, count);
      else this.#groups.delete(job.id);
    }
    const ids = [...this.#groups.keys()].sort((a, b) => a < b ? -1 : 1);
    const attributes: readonly Attribute[] = this.#homes > 0 ? [["involved_jobs", ids]] : [];
    if (String(attributes) === String(this.#attributes)) return;
    this.#attributes = attributes;
    this.#revision++;
  }

  close(): void {
    this.#listening[Symbol.dispose]();
  }
}
