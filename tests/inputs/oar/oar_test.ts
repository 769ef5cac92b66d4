import assert from "node:assert/strict";
import type { Group, GroupListener } from "../../../lib/inputs/cgroups/groups.ts";
import { OarKnowledge } from "../../../lib/inputs/oar/knowledge.ts";
import { RunningJobs } from "../../../lib/inputs/oar/running_jobs.ts";
import { type AskName, UserNames } from "../../../lib/inputs/oar/user_names.ts";
import { oarJobOf } from "../../../lib/inputs/oar/job_path.ts";
import { openOar } from "../../../lib/inputs/oar/input.ts";
import { oar } from "../../../lib/inputs/oar.ts";
import { seriesOf } from "../../../lib/points/measurement.ts";
import { f64Metric, UNITY } from "../../../lib/inputs/polling/points.ts";
import { settle } from "../../kit/fake_clock.ts";
import { collect, measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";
import { until } from "../../kit/waiting.ts";

const MOUNTS = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
const SLICE = "sys/fs/cgroup/oar.slice/oar-u1000.slice";

/** The input on a machine with OAR 3. */
function kit(askName: AskName, keys = {}) {
  const tree = new Tree(null);
  tree.write("proc/mounts", MOUNTS);
  tree.write("sys/fs/cgroup/cgroup.procs", "");
  const measuring = measuringOf(tree);
  const config = { ...oar.config.defaultValue() as Parameters<typeof openOar>[0], ...keys };
  const sources = openOar(config, measuring, askName);
  const [wanted] = sources.wanted(config);
  const source = wanted.open();
  const metric = measuring.registry.register(f64Metric("power", UNITY, ""));
  const job = (id: number) => {
    tree.write(`${SLICE}/oar-u1000-j${id}/cpu.stat`, "usage_usec 0\n");
    tree.write(`${SLICE}/oar-u1000-j${id}/memory.current`, "4096\n");
  };
  /** The attributes of a point of another input after the transform. */
  const annotated = (rest: Parameters<typeof seriesOf>[1] = {}) => {
    const batch = collect((points) => points.f64(seriesOf(metric, rest), 1));
    return rows(sources.transform!.apply(batch))[0].match(/\{(.*)\}/)![1];
  };
  return {
    tree,
    job,
    annotated,
    poll: () => rows(pollOnce(source)),
    async [Symbol.asyncDispose]() {
      source.close?.();
      await sources.close?.();
      tree[Symbol.dispose]();
    },
  };
}

Deno.test("a path says which job of OAR it is, of which user", () => {
  const of = (path: string) => {
    const job = oarJobOf(path);
    return job && `${job.user} ${job.id} ${job.isItself}`;
  };
  assert.equal(of("/oar/toto_42"), "toto 42 true");
  assert.equal(of("/oar/a-b_c9_43/x"), "a-b_c9 43 false");
  assert.equal(of("/oar.slice/oar-u1000.slice/oar-u1000-j42"), "1000 42 true");
  assert.equal(of("/oar.slice/oar-u1000.slice/oar-u1000-j42.slice/a.scope"), "1000 42 false");
  for (const path of ["/oar", "/oar/42", "/oar/toto", "/oar.slice/oar-u1-j2", "/x/oar-u1-j2"]) {
    assert.equal(of(path), undefined, path);
  }
});

Deno.test("the name of a job's user is asked for once, beside the polls, and added when it is known", async () => {
  const asked: number[] = [];
  let answer = (_: string) => {};
  await using input = kit((uid) => {
    asked.push(uid);
    return new Promise((resolve) => answer = resolve);
  });
  input.job(42);
  assert.deepEqual(input.poll(), [
    "memory_usage{user_id=1000 job_id=42} local_machine cgroup:/oar.slice/oar-u1000.slice/oar-u1000-j42 4096",
  ]);
  input.job(43);
  input.poll();
  answer("toto");
  await until(() => input.poll().every((row) => row.includes("user=toto")));
  assert.deepEqual(asked, [1000]);
});

Deno.test("what has no job has the list of those that run, where OAR is used, with disable_sources, too", async () => {
  await using input = kit(() => Promise.resolve(undefined), { disable_sources: true });
  input.poll();
  assert.equal(input.annotated(), "", "OAR is not used");
  input.job(9);
  input.job(42);
  input.tree.write(`${SLICE}/oar-u1000-j42/below/cpu.stat`, "");
  assert.deepEqual(input.poll(), [], "nothing is measured");
  assert.equal(input.annotated(), "involved_jobs=9,42");
  assert.equal(input.annotated({ attributes: [["job_id", 5n]] }), "job_id=5");
  // The end of a group below it does not end the job.
  input.tree.remove(`${SLICE}/oar-u1000-j42/below`);
  input.poll();
  assert.equal(input.annotated(), "involved_jobs=9,42");
  input.tree.remove(`${SLICE}/oar-u1000-j42`);
  input.tree.remove(`${SLICE}/oar-u1000-j9`);
  input.poll();
  assert.equal(input.annotated(), "involved_jobs=");
});

Deno.test("the name of this machine's root is found by the command id, and none for a number without a user", async () => {
  const names = new UserNames();
  names.of(0);
  names.of(4_000_000_000);
  await until(() => names.of(0) !== undefined);
  assert.equal(names.of(0), "root");
  assert.equal(names.of(4_000_000_000), undefined);
  await names.close();
});

/** Jobs that run, by groups that the test opens and closes. */
function runningJobs() {
  let listener: GroupListener | undefined;
  const jobs = new RunningJobs({
    listen: (given) => {
      listener = given;
      return { [Symbol.dispose]: () => void (listener = undefined) };
    },
  });
  const group = (path: string) => ({ path, folder: path, hierarchy: {} as Group["hierarchy"] });
  return {
    jobs,
    open: (path: string) => listener!.opened(group(path), undefined),
    close: (path: string) => listener!.closed(group(path)),
    get said() {
      return `${jobs.revision}: ${jobs.attributes.map(([name, value]) => `${name}=${value}`)}`;
    },
    get isListening() {
      return listener !== undefined;
    },
  };
}

Deno.test("the list of jobs is in their order, changes when one begins or ends, and ends with OAR's folders", () => {
  const running = runningJobs();
  const [home, other, job, nine] = ["/oar.slice", "/x", "/oar.slice/oar-u1.slice/oar-u1-j42", "/oar/toto_9"];
  assert.equal(running.said, "0: ");
  running.open(other);
  assert.equal(running.said, "0: ");
  running.open(home);
  assert.equal(running.said, "1: involved_jobs=");
  // One in each hierarchy.
  running.open(job);
  running.open(job);
  assert.equal(running.said, "2: involved_jobs=42");
  running.open(nine);
  assert.equal(running.said, "3: involved_jobs=9,42");
  running.close(job);
  assert.equal(running.said, "3: involved_jobs=9,42");
  running.close(job);
  assert.equal(running.said, "4: involved_jobs=9");
  running.close(nine);
  running.close(home);
  running.close(other);
  assert.equal(running.said, "6: ");
  running.jobs.close();
  assert.ok(!running.isListening);
});

Deno.test("what is known of a group is that of its job, with the user's name or number, and nothing of others", async () => {
  const running = runningJobs();
  const users = new UserNames((uid) => Promise.resolve(uid === 1000 ? "toto" : undefined));
  const config = oar.config.defaultValue() as ConstructorParameters<typeof OarKnowledge>[0];
  const knowledge = new OarKnowledge(config, users, running.jobs);
  const of = (path: string) =>
    knowledge.attributesAt(path)?.map(([name, value]) => `${name}=${value}`).join(" ");
  const slice = "/oar.slice/oar-u1000.slice/oar-u1000-j42";
  assert.deepEqual([of("/x"), of("/oar/a_7/below"), of(slice)], [
    undefined,
    "user=a job_id=7",
    "user_id=1000 job_id=42",
  ]);
  running.open(slice);
  assert.equal(knowledge.revision, 1);
  await settle();
  assert.equal(knowledge.revision, 2, "the name is known");
  assert.equal(of(slice), "user_id=1000 job_id=42 user=toto");
  assert.deepEqual([knowledge.takes("/x"), knowledge.takes(slice), knowledge.takes(`${slice}/x`)], [
    false,
    true,
    false,
  ]);
  assert.deepEqual([knowledge.describe("/x"), knowledge.describe(`${slice}/x`)], [undefined, undefined]);
  const all = new OarKnowledge({ ...config, jobs_only: false }, users, running.jobs);
  assert.deepEqual([all.takes("/x"), all.takes(`${slice}/x`), all.describe("/x")], [true, false, []]);
  await knowledge.close();
});
