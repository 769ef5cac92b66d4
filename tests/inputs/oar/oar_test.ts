import assert from "node:assert/strict";
import { type AskName, UserNames } from "../../../lib/inputs/oar/user_names.ts";
import { oarJobOf } from "../../../lib/inputs/oar/job_path.ts";
import { openOar } from "../../../lib/inputs/oar/input.ts";
import { oar } from "../../../lib/inputs/oar.ts";
import { seriesOf } from "../../../lib/points/measurement.ts";
import { f64Metric, UNITY } from "../../../lib/inputs/polling/points.ts";
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
