/** Points of processes for their control groups. */
import assert from "node:assert/strict";
import { type Attribute, Batch, seriesOf } from "../../lib/points/measurement.ts";
import { ClientTable, LOCAL_ORIGIN } from "../../lib/points/origins.ts";
import { SeriesStore } from "../../lib/points/series_store.ts";
import { config } from "../../lib/transforms/process_to_cgroup_bridge/config.ts";
import { groupOfProcess } from "../../lib/transforms/process_to_cgroup_bridge/process_groups.ts";
import { Bridge } from "../../lib/transforms/process_to_cgroup_bridge/transform.ts";
import { contextWith } from "../kit/context.ts";
import { metricOf } from "../kit/decode.ts";
import { FakeClock } from "../kit/fake_clock.ts";
import { batchOf } from "../kit/points.ts";
import { TempDir } from "../kit/temp_dir.ts";

const SHARED = "/system.slice/shared.slice";
const SINGLE = "/system.slice/single.slice";
const a = metricOf("a");
const b = metricOf("b", "f64");

/** Processes 1 and 2 share a group, 3 has one of its own. */
async function processes(): Promise<TempDir> {
  const dir = new TempDir();
  for (const [pid, path] of [[1, SHARED], [2, SHARED], [3, SINGLE]] as const) {
    await Deno.mkdir(`${dir.path}/${pid}`);
    await Deno.writeTextFile(`${dir.path}/${pid}/cgroup`, `0::${path}\n`);
  }
  return dir;
}

const of = (metric = a, pid = 1, attributes: Attribute[] = []) =>
  seriesOf(metric, { consumerKind: "process", consumerId: String(pid), attributes });
const bridge = (dir: TempDir, values: Record<string, unknown> = {}, clock = new FakeClock()) =>
  new Bridge(
    config.check({ processes_metrics: ["a", "b"], ...values }, [], ({ message }) => assert.fail(message)),
    contextWith({ clock }),
    dir.path,
  );

/** The points of Alumet's tests: both metrics of three processes at one time, one metric of two at another. */
const POINTS = () =>
  batchOf([
    ...[1, 2, 3].flatMap((pid) =>
      [a, b].map((metric) => [of(metric, pid), pid, 10] as [ReturnType<typeof of>, number, number])
    ),
    ...[1, 2].map((pid) => [of(a, pid), pid, 20] as [ReturnType<typeof of>, number, number]),
  ]);

/** What is there of groups, in words. */
const groups = (batch: Batch) =>
  Array.from({ length: batch.length }, (_, row) => {
    const { metric, consumerKind, consumerId } = batch.seriesAt(row);
    return consumerKind === "cgroup"
      ? [`${metric.name} ${consumerId} ${batch.seconds[row]}: ${batch.values[row]}`]
      : [];
  }).flat().sort();

Deno.test("the groups of Alumet's tests, with sums", async () => {
  await using dir = await processes();
  const result = bridge(dir).apply(POINTS());
  assert.equal(result.length, 8 + 5);
  assert.deepEqual(groups(result), [
    `a ${SHARED} 10: 3`,
    `a ${SHARED} 20: 3`,
    `a ${SINGLE} 10: 3`,
    `b ${SHARED} 10: 3`,
    `b ${SINGLE} 10: 3`,
  ]);
});

Deno.test("only the metrics that are named, without merging, without the originals", async () => {
  await using dir = await processes();
  assert.equal(groups(bridge(dir, { processes_metrics: ["a"] }).apply(POINTS())).length, 3);
  assert.equal(groups(bridge(dir, { merge_similar_cgroups: false }).apply(POINTS())).length, 8);
  const alone = bridge(dir, { keep_processed_measurements: false }).apply(POINTS());
  assert.equal(alone.length, 5);
  const other = batchOf([[of(metricOf("c")), 1], [seriesOf(a), 1]]);
  const transform = bridge(dir);
  assert.equal(transform.apply(other), other);
});

Deno.test("a process that is not there keeps its point, and is counted", async () => {
  await using dir = await processes();
  const transform = bridge(dir, { keep_processed_measurements: false });
  const result = transform.apply(batchOf([[of(a, 42), 7], [of(a, 1), 8]]));
  assert.deepEqual([...result.values.subarray(0, result.length)], [7, 8]);
  assert.equal(transform.stats.unknownProcesses, 1);
});

Deno.test("the mean and the maximum keep the type", async () => {
  await using dir = await processes();
  const merged = (merge: string) => groups(bridge(dir, { merge }).apply(POINTS())).slice(0, 4);
  assert.deepEqual(merged("mean"), [
    `a ${SHARED} 10: 1`,
    `a ${SHARED} 20: 1`,
    `a ${SINGLE} 10: 3`,
    `b ${SHARED} 10: 1.5`,
  ]);
  assert.deepEqual(merged("max")[0], `a ${SHARED} 10: 2`);
});

Deno.test("sums above 2^53 are exact, and end at the largest u64", async () => {
  await using dir = await processes();
  const sum = (one: bigint, other: bigint) => {
    const result = bridge(dir, { keep_processed_measurements: false }).apply(
      batchOf([[of(a, 1), one], [of(a, 2), other]]),
    );
    return result.exactValue(0);
  };
  assert.equal(sum(2n ** 53n - 1n, 2n), 2n ** 53n + 1n);
  assert.equal(sum(2n ** 60n + 1n, 2n ** 60n), 2n ** 61n + 1n);
  assert.equal(sum(2n ** 64n - 1n, 5n), 2n ** 64n - 1n);
});

Deno.test("points with other attributes or resources are not merged", async () => {
  await using dir = await processes();
  const gpu = (id: string, pid: number) =>
    seriesOf(a, { resourceKind: "gpu", resourceId: id, consumerKind: "process", consumerId: String(pid) });
  const result = bridge(dir, { keep_processed_measurements: false }).apply(batchOf([
    [of(a, 1, [["context", "compute"]]), 1],
    [of(a, 2, [["context", "graphics"]]), 2],
    [gpu("0", 1), 3],
    [gpu("0", 2), 4],
    [gpu("1", 1), 5],
  ]));
  assert.deepEqual([...result.values.subarray(0, result.length)], [1, 2, 7, 5]);
});

Deno.test("a process that moves has another group after a second", async () => {
  await using dir = await processes();
  const clock = new FakeClock();
  const transform = bridge(dir, {}, clock);
  const point = () => batchOf([[of(a, 1), 1]]);
  assert.match(groups(transform.apply(point()))[0], /shared/);
  await Deno.writeTextFile(`${dir.path}/1/cgroup`, "0::/moved\n");
  assert.match(groups(transform.apply(point()))[0], /shared/);
  clock.spend(1000);
  assert.match(groups(transform.apply(point()))[0], /moved/);
});

Deno.test("the points of clients pass, because their processes are on other machines", async () => {
  await using dir = await processes();
  const batch = batchOf([[of(a, 1), 1]]);
  batch.credit(new ClientTable().get("n", "0".repeat(32)), 1);
  assert.equal(bridge(dir).apply(batch), batch);
});

Deno.test("of version 1, memory and CPU time come first; a path outside of the container is none", () => {
  assert.equal(groupOfProcess("0::/a.b/x:y\n"), "/a.b/x:y");
  const both = "12:pids:/pids\n3:cpu,cpuacct:/cpu\n2:memory:/memory\n0::/v2\n";
  assert.equal(groupOfProcess(both), "/memory");
  assert.equal(groupOfProcess(both.replace("2:memory:/memory\n", "")), "/cpu");
  assert.equal(groupOfProcess("12:pids:/pids\n0::/v2\n"), "/v2");
  assert.equal(groupOfProcess("5::/odd\n0::/v2\n"), "/v2", "the number of version 2 is 0");
  assert.equal(groupOfProcess("12:pids:/pids\n"), "/pids");
  assert.equal(groupOfProcess("0::/../../x\n"), undefined);
  assert.equal(groupOfProcess(""), undefined);
});

Deno.test("of a batch of several senders only the own points are bridged, and counted", async () => {
  await using dir = await processes();
  const transform = bridge(dir, { keep_processed_measurements: false });
  assert.deepEqual(transform.stats, { bridgedPoints: 0, unknownProcesses: 0 });
  const clients = new ClientTable();
  const [sender, own] = ["n", LOCAL_ORIGIN].map((name) => clients.get(name, "0".repeat(32)));
  const batch = batchOf([]);
  for (const [n, client] of [sender, own, sender, own].entries()) {
    batch.push(of(a, 1), n, 0, n);
    batch.credit(client, n);
  }
  const result = transform.apply(batch);
  assert.deepEqual(groups(result), [`a ${SHARED} 1: 1`, `a ${SHARED} 3: 3`]);
  assert.equal(result.length, 4);
  assert.deepEqual(transform.stats, { bridgedPoints: 2, unknownProcesses: 0 });
});

Deno.test("what has the number of a process and is none passes", async () => {
  await using dir = await processes();
  const thread = seriesOf(a, { consumerKind: "thread", consumerId: "1" });
  // Behind the end of the batch is what it had before.
  const batch = batchOf([[thread, 1], [of(b, 0), 1], [thread, 1]]);
  batch.truncate(2);
  assert.equal(bridge(dir).apply(batch), batch);
});

Deno.test("a sum of floats beyond 2^53 is the sum of the floats", async () => {
  await using dir = await processes();
  const points = batchOf([[of(b, 1), 2 ** 60], [of(b, 2), 0.5]]);
  assert.deepEqual(groups(bridge(dir).apply(points)), [`b ${SHARED} 1700000000: ${2 ** 60}`]);
});

Deno.test("a series of a group is another one when its number, or that of the process's series, was given back", async () => {
  await using dir = await processes();
  const transform = bridge(dir);
  const store = new SeriesStore();
  const bridged = (metric: typeof a, pid: number) => {
    const batch = new Batch(1, null, store);
    batch.push(of(metric, pid), 10, 0, 1);
    const result = transform.apply(batch);
    const numbers = [...result.series.subarray(0, 2)];
    const words = groups(result)[0];
    result.release();
    batch.release();
    return { words, numbers };
  };
  const idle = () => {
    for (let n = 0; n < 400; n++) store.tick();
  };
  const [process, group] = bridged(a, 1).numbers;
  store.pin(process);
  idle();
  // The group's series is given back, and its number is another's.
  const [other] = bridged(b, 3).numbers;
  assert.equal(other, group);
  assert.equal(bridged(a, 1).words, `a ${SHARED} 10: 1`);
  store.unpin(process);
  // The process's series is given back, and its number is that of another process of the group.
  const before = bridged(a, 1).numbers;
  store.pin(before[1]);
  idle();
  const after = bridged(b, 2);
  assert.equal(after.numbers[0], before[0]);
  assert.equal(after.words, `b ${SHARED} 10: 1`);
});

Deno.test("no metrics are a mistake", () => {
  const problems: string[] = [];
  config.check({}, [], ({ message }) => problems.push(message));
  assert.match(problems.join(), /name the metrics/);
});
