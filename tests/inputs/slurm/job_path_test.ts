import assert from "node:assert/strict";
import { config, type SlurmConfig } from "../../../lib/inputs/slurm/config.ts";
import { jobGroupOf } from "../../../lib/inputs/slurm/job_path.ts";
import { SlurmKnowledge } from "../../../lib/inputs/slurm/knowledge.ts";

const of = (path: string) => {
  const group = jobGroupOf(path);
  return group && [
    `${group.level}${group.isItself ? "" : " below"}`,
    ...group.attributes.map(([name, value]) => `${name}=${value}`),
  ].join(" ");
};

Deno.test("a path says which level of which job it is, with both versions of control groups", () => {
  const V2 = "/system.slice/slurmstepd.scope";
  assert.equal(of(`${V2}/job_42`), "job job_id=42");
  assert.equal(of(`${V2}/job_42/step_batch`), "step job_id=42 step=batch");
  assert.equal(of(`${V2}/job_42/step_0/slurm`), "substep job_id=42 step=0 sub_step=slurm");
  assert.equal(
    of(`${V2}/job_42/step_0/user/task_special`),
    "task job_id=42 step=0 sub_step=user task=special",
  );
  assert.equal(
    of(`${V2}/job_42/step_0/user/task_0/mine/task_1`),
    "task below job_id=42 step=0 sub_step=user task=0",
  );
  assert.equal(of(`${V2}/job_42/other`), "job below job_id=42");
  assert.equal(of("/system.slice/node3_slurmstepd.scope/job_7/step_1"), "step job_id=7 step=1");
  assert.equal(of("/slurm/uid_1001/job_42"), "job user_id=1001 job_id=42");
  assert.equal(of("/slurm/uid_1001/job_42/step_0/task_3"), "task user_id=1001 job_id=42 step=0 task=3");
  assert.equal(of("/slurm_node3/uid_0/job_1"), "job user_id=0 job_id=1");
});

Deno.test("what only looks like a job is none", () => {
  for (
    const path of [
      "/",
      "/job_42",
      "/system.slice/job_42",
      "/system.slice/slurmstepd.scope",
      "/system.slice/slurmstepd.scope/system",
      "/system.slice/slurmstepd.scope/job_",
      "/system.slice/slurmstepd.scope/job_4x",
      "/system.slice/slurmstepd.scope/job_99999999999",
      "/slurm/uid_x/job_1",
      "/slurm/job_1",
    ]
  ) assert.equal(of(path), undefined, path);
});

Deno.test("groups of jobs are measured down to a level, and others on request", () => {
  const knowledge = (jobs_monitoring_level: SlurmConfig["jobs_monitoring_level"], ignore_non_jobs = true) =>
    new SlurmKnowledge({ ...config.defaultValue(), jobs_monitoring_level, ignore_non_jobs });
  const job = "/system.slice/slurmstepd.scope/job_42";
  const paths = [
    job,
    `${job}/step_0`,
    `${job}/step_0/user`,
    `${job}/step_0/user/task_0`,
    `${job}/other`,
    "/x",
  ];
  const taken = (of: SlurmKnowledge) => {
    for (const path of paths) assert.equal(of.takes(path), of.describe(path) !== undefined, path);
    return paths.filter((path) => of.takes(path)).length;
  };
  const levels = ["job", "step", "substep", "task"] as const;
  assert.deepEqual(levels.map((level) => taken(knowledge(level))), [1, 2, 3, 4]);
  assert.deepEqual([taken(knowledge("job", false)), knowledge("job", false).describe("/x")], [2, []]);
  const [all] = [knowledge("job")];
  assert.deepEqual([all.attributesAt(`${job}/other`), all.attributesAt("/x")], [
    [["job_id", 42n]],
    undefined,
  ]);
});
