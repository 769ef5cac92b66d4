/** Which job of Slurm, and which part of it, a control group is (https://slurm.schedmd.com/cgroup_v2.html). */
import type { Attribute } from "../polling/points.ts";

/** Levels of a job, from the top. */
export const LEVELS = ["job", "step", "substep", "task"] as const;

export interface JobGroup {
  readonly level: typeof LEVELS[number];
  /** Whether the group is this level itself; otherwise it is below it, and no level of Slurm's. */
  readonly isItself: boolean;
  readonly attributes: readonly Attribute[];
}

/** `/slurm/uid_1001/job_42`, where several slurmd run on a machine `/slurm_NODE/uid_1001/job_42`. */
const V1 = /(?:^|\/)slurm(?:_[^/]+)?\/uid_(\d{1,10})\/job_(\d{1,10})(?=\/|$)(.*)$/;
/** `/system.slice/slurmstepd.scope/job_42`, or `NODE_slurmstepd.scope`. */
const V2 = /\/(?:[^/]+_)?slurmstepd\.scope\/job_(\d{1,10})(?=\/|$)(.*)$/;
/** `/step_0/user/task_0`; version 1 has no `user`. */
const PARTS = /^(?:\/step_([^/]+)(?:\/(user|slurm))?(?:\/task_([^/]+))?)?/;

/** `undefined` where the path is not in a job. */
export function jobGroupOf(path: string): JobGroup | undefined {
  const v1 = V1.exec(path);
  const v2 = v1 ? null : V2.exec(path);
  const [job, rest] = v1?.slice(2) ?? v2?.slice(1) ?? [];
  if (job === undefined) return undefined;
  const attributes: Attribute[] = v1 ? [["user_id", BigInt(v1[1])]] : [];
  attributes.push(["job_id", BigInt(job)]);
  const [all, step, subStep, task] = PARTS.exec(rest)!;
  let level: JobGroup["level"] = "job";
  if (step !== undefined) {
    level = "step";
    attributes.push(["step", step]);
  }
  if (subStep !== undefined) {
    level = "substep";
    attributes.push(["sub_step", subStep]);
  }
  if (task !== undefined) {
    level = "task";
    attributes.push(["task", task]);
  }
  return { level, isItself: all.length === rest.length, attributes };
}
