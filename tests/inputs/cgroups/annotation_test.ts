import assert from "node:assert/strict";
import { Annotation } from "../../../lib/inputs/cgroups/annotation.ts";
import { groupsOfProcess } from "../../../lib/transforms/process_to_cgroup_bridge/process_groups.ts";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import { u64Metric, UNITY } from "../../../lib/inputs/polling/points.ts";
import { jobGroupOf } from "../../../lib/inputs/slurm/job_path.ts";
import { Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { ClientTable } from "../../../lib/points/origins.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { rows, T } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";

const JOB = "/system.slice/slurmstepd.scope/job_42";
const metric = new MetricRegistry().register(u64Metric("a", UNITY, ""));
const process = (pid: number, attributes: [string, string | bigint][] = []) =>
  seriesOf(metric, { consumerKind: "process", consumerId: String(pid), attributes });
const group = (path: string) => seriesOf(metric, { consumerKind: "cgroup", consumerId: path });

function kit() {
  const tree = new Tree(null);
  const clock = new FakeClock();
  let revision = 0;
  const annotation = new Annotation({
    files: new ProcFiles(tree),
    clock,
    attributesOf: (path) => jobGroupOf(path)?.attributes,
    revision: () => revision,
  });
  const batchOf = (...list: ReturnType<typeof process>[]) => {
    const batch = new Batch();
    for (const series of list) batch.pushU64(series, T.seconds, T.nanos, 2n ** 64n - 1n);
    return batch;
  };
  return {
    tree,
    clock,
    annotation,
    batchOf,
    change: () => void revision++,
    of: (...list: ReturnType<typeof process>[]) => rows(annotation.apply(batchOf(...list))),
    [Symbol.dispose]: () => tree[Symbol.dispose](),
  };
}

Deno.test("points about a group of a job, or a process in one, get the job's attributes; values stay exact", () => {
  using input = kit();
  input.tree.write("proc/7/cgroup", `0::${JOB}/step_0/user/task_0\n`);
  input.tree.write("proc/8/cgroup", "0::/user.slice\n");
  assert.deepEqual(input.of(group(`${JOB}/x`), process(7), process(8), seriesOf(metric), process(9)), [
    `a{job_id=42} local_machine cgroup:${JOB}/x 18446744073709551615`,
    "a{job_id=42 step=0 sub_step=user task=0} local_machine process:7 18446744073709551615",
    "a{} local_machine process:8 18446744073709551615",
    "a{} local_machine local_machine 18446744073709551615",
    "a{} local_machine process:9 18446744073709551615",
  ]);
});

Deno.test("an attribute that a point has stays as it is, and comes once", () => {
  using input = kit();
  input.tree.write("proc/7/cgroup", `0::${JOB}/step_0\n`);
  assert.deepEqual(input.of(process(7, [["job_id", 5n], ["kind", "total"]])), [
    "a{step=0 job_id=5 kind=total} local_machine process:7 18446744073709551615",
  ]);
});

Deno.test("a process that moves, or a number that another process gets, has its new job within ten seconds", async () => {
  using input = kit();
  input.tree.write("proc/7/cgroup", "0::/system.slice/slurmd.service\n");
  assert.match(input.of(process(7))[0], /^a\{\}/);
  input.tree.write("proc/7/cgroup", `0::${JOB}\n`);
  assert.match(input.of(process(7))[0], /^a\{\}/);
  await input.clock.advance(10_000);
  assert.match(input.of(process(7))[0], /^a\{job_id=42\}/);
  input.tree.write("proc/7/cgroup", `0::/system.slice/slurmstepd.scope/job_43\n`);
  input.change();
  assert.match(input.of(process(7))[0], /^a\{job_id=43\}/);
});

Deno.test("points of clients stay as they are: their groups and processes are on other machines", () => {
  using input = kit();
  const batch = input.batchOf(group(JOB));
  batch.credit(new ClientTable().local);
  assert.equal(input.annotation.apply(batch), batch);
});

Deno.test("the groups of a process are read of all hierarchies, version 2 first", () => {
  const text = "5:cpuset:/slurm/uid_0/job_1\n3:cpu,cpuacct:/\n1:name=systemd:/a:b\n0::/user.slice\n";
  assert.deepEqual(groupsOfProcess(text), ["/user.slice", "/slurm/uid_0/job_1", "/", "/a:b"]);
  assert.deepEqual(groupsOfProcess(""), []);
  assert.deepEqual(groupsOfProcess("x\n0::\n:::\n"), []);
});
