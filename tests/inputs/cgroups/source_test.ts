import assert from "node:assert/strict";
import { CgroupsSources } from "../../../lib/inputs/cgroups/input.ts";
import { slurm } from "../../../lib/inputs/slurm.ts";
import { openSlurm } from "../../../lib/inputs/slurm/input.ts";
import { closing, measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";

const JOB = "system.slice/slurmstepd.scope/job_42";

Deno.test("a group is measured once: what knows most of it does, and while that is off, cgroups", () => {
  using tree = new Tree(null);
  tree.write("proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
  for (const path of ["", `/${JOB}`, `/${JOB}/step_0`]) {
    tree.write(`sys/fs/cgroup${path}/cpu.stat`, "usage_usec 0\n");
    tree.write(`sys/fs/cgroup${path}/memory.current`, "1\n");
  }
  const measuring = measuringOf(tree);
  const cgroupsConfig = { poll_interval: 1000, disable_sources: false, describe_groups: false };
  using all = closing(new CgroupsSources(measuring).wanted(cgroupsConfig)[0].open());
  const config = slurm.config.defaultValue() as Parameters<typeof openSlurm>[0];
  const jobs = openSlurm(config, measuring);
  const consumers = (source: Parameters<typeof pollOnce>[0]) =>
    rows(pollOnce(source)).filter((row) => row.startsWith("memory_usage")).map((row) =>
      row.match(/cgroup:(\S+)/)![1]
    );
  const everything = [
    "/",
    "/system.slice",
    "/system.slice/slurmstepd.scope",
    `/${JOB}`,
    `/${JOB}/step_0`,
  ].filter((path) => path === "/" || path.includes("job_42"));
  assert.deepEqual(consumers(all), everything);
  {
    using measured = closing(jobs.wanted(config)[0].open());
    assert.deepEqual(consumers(measured), [`/${JOB}`]);
    assert.deepEqual(consumers(all), ["/", `/${JOB}/step_0`]);
  }
  {
    using found = closing(jobs.wanted({ ...config, disable_sources: true })[0].open());
    assert.deepEqual(consumers(found), []);
    assert.deepEqual(consumers(all), everything);
  }
});

Deno.test("2,000 jobs that come and go leave no file and no group behind", () => {
  using tree = new Tree(null);
  tree.write("proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
  const measuring = measuringOf(tree);
  const config = slurm.config.defaultValue() as Parameters<typeof openSlurm>[0];
  using source = closing(openSlurm(config, measuring).wanted(config)[0].open());
  const folder = `${tree.sys}/fs/cgroup/system.slice/slurmstepd.scope`;
  Deno.mkdirSync(folder, { recursive: true });
  pollOnce(source);
  const before = measuring.files.kept;
  for (let round = 0; round < 10; round++) {
    const jobs = Array.from({ length: 200 }, (_, i) => `${folder}/job_${200 * round + i}`);
    for (const job of jobs) {
      Deno.mkdirSync(job);
      Deno.writeTextFileSync(`${job}/cpu.stat`, "usage_usec 0\n");
    }
    assert.equal(pollOnce(source).length, 200);
    for (const job of jobs) Deno.removeSync(job, { recursive: true });
    assert.equal(pollOnce(source).length, 0);
    assert.equal(measuring.files.kept, before);
  }
});

Deno.test("an input that knows of groups changes points of others on request alone", async () => {
  using tree = new Tree(null);
  const config = slurm.config.defaultValue() as Parameters<typeof openSlurm>[0];
  for (const annotate_foreign_measurements of [false, true]) {
    const sources = openSlurm({ ...config, annotate_foreign_measurements }, measuringOf(tree));
    assert.equal(sources.transform !== undefined, annotate_foreign_measurements);
    await sources.close?.();
  }
});

Deno.test("slurm says that it cannot begin in a pause, where that is asked for", () => {
  using tree = new Tree(null);
  const config = slurm.config.defaultValue() as Parameters<typeof openSlurm>[0];
  const lines: string[] = [];
  for (const add_source_in_pause_state of [false, true]) {
    openSlurm({ ...config, add_source_in_pause_state }, measuringOf(tree, lines));
  }
  assert.equal(lines.length, 1);
  assert.match(lines[0], /WARN.*add_source_in_pause_state has no effect here/);
});
