import assert from "node:assert/strict";
import { Annotation, type AnnotationOptions } from "../../../lib/inputs/cgroups/annotation.ts";
import { groupsOfProcess } from "../../../lib/transforms/process_to_cgroup_bridge/process_groups.ts";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import { u64Metric, UNITY } from "../../../lib/inputs/polling/points.ts";
import { jobGroupOf } from "../../../lib/inputs/slurm/job_path.ts";
import { Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { ClientTable } from "../../../lib/points/origins.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { SeriesStore } from "../../../lib/points/series_store.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { rows, T } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";

const JOB = "/system.slice/slurmstepd.scope/job_42";
const metric = new MetricRegistry().register(u64Metric("a", UNITY, ""));
const process = (pid: number, attributes: [string, string | bigint][] = []) =>
  seriesOf(metric, { consumerKind: "process", consumerId: String(pid), attributes });
const group = (path: string) => seriesOf(metric, { consumerKind: "cgroup", consumerId: path });

function kit(options: Partial<AnnotationOptions> = {}) {
  const tree = new Tree(null);
  const clock = new FakeClock();
  let revision = 0;
  const annotation = new Annotation({
    files: new ProcFiles(tree),
    clock,
    attributesOf: (path) => jobGroupOf(path)?.attributes,
    revision: () => revision,
    ...options,
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

Deno.test("a batch that nothing is known of is handed on as it is, and one known row is enough", () => {
  using input = kit();
  const batch = input.batchOf(seriesOf(metric), process(9), group("/user.slice"));
  assert.equal(input.annotation.apply(batch), batch);
  assert.equal(input.annotation.apply(batch), batch);
  assert.deepEqual(input.of(seriesOf(metric), group(JOB)).map((row) => row.split(" ")[0]), [
    "a{}",
    "a{job_id=42}",
  ]);
});

Deno.test("only a process with a number has a group", () => {
  using input = kit();
  for (const id of ["7", "self"]) input.tree.write(`proc/${id}/cgroup`, `0::${JOB}\n`);
  const consumers = [["job", "7"], ["process", "self"], ["process", "7"]];
  const list = consumers.map(([consumerKind, consumerId]) => seriesOf(metric, { consumerKind, consumerId }));
  assert.deepEqual(input.of(...list).map((row) => row.split(" ")[0]), ["a{}", "a{}", "a{job_id=42}"]);
});

Deno.test("what was found out is believed for ten seconds, as long as its series is there", async () => {
  using input = kit();
  const store = new SeriesStore();
  const series = process(7);
  /** The attributes of a point, which is not kept. */
  const annotated = () => {
    const batch = new Batch(4, null, store);
    batch.pushU64(series, T.seconds, T.nanos, 1n);
    const out = input.annotation.apply(batch);
    const [row] = rows(out);
    for (const each of new Set([out, batch])) each.release();
    return row.replace(/^a\{(.*)\}.*/, "$1");
  };
  input.tree.write("proc/7/cgroup", `0::${JOB}\n`);
  assert.equal(annotated(), "job_id=42");
  input.tree.write("proc/7/cgroup", `0::${JOB}3\n`);
  assert.equal(annotated(), "job_id=42");
  // The point comes, and is not annotated, until what was made of it is given back.
  for (let i = 0; i < 400; i++) {
    store.tick();
    const batch = new Batch(4, null, store);
    batch.pushU64(series, T.seconds, T.nanos, 1n);
    batch.release();
  }
  assert.equal(store.size, 1);
  assert.equal(annotated(), "job_id=423");
  input.tree.write("proc/7/cgroup", `0::${JOB}\n`);
  await input.clock.advance(9_999);
  assert.equal(annotated(), "job_id=423");
  await input.clock.advance(1);
  assert.equal(annotated(), "job_id=42");
});

Deno.test("what all points get is added where it is missing, also where nothing is known of groups", () => {
  let attributes: [string, string][] = [["jobs", "1"]];
  const everywhere = { unless: "job_id", attributes: () => attributes };
  using input = kit({ everywhere });
  const list = [group(JOB), seriesOf(metric), process(9, [["job_id", 5n]]), process(9, [["jobs", "2"]])];
  const names = (rows: string[]) => rows.map((row) => row.replace(/^a\{(.*)\}.*/, "$1"));
  assert.deepEqual(names(input.of(...list)), ["job_id=42", "jobs=1", "job_id=5", "jobs=2"]);
  attributes = [];
  input.change();
  assert.deepEqual(names(input.of(...list)), ["job_id=42", "", "job_id=5", "jobs=2"]);
  using alone = kit({ everywhere, attributesOf: undefined as never });
  const batch = alone.batchOf(...list);
  assert.equal(alone.annotation.apply(batch), batch, "there is nothing to add");
  for (const texts of ["jobs=1", "jobs=1 users=2"]) {
    attributes = texts.split(" ").map((text) => text.split("=") as [string, string]);
    alone.change();
    assert.deepEqual(names(alone.of(...list)), [
      texts,
      texts,
      "job_id=5",
      [...texts.split(" ").slice(1), "jobs=2"].join(" "),
    ]);
  }
});
