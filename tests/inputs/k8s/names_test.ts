import assert from "node:assert/strict";
import { ApiError } from "../../../lib/inputs/k8s/api.ts";
import { config } from "../../../lib/inputs/k8s/config.ts";
import { PodKnowledge } from "../../../lib/inputs/k8s/knowledge.ts";
import type { PodList } from "../../../lib/inputs/k8s/pod_list.ts";
import { PodNames } from "../../../lib/inputs/k8s/pod_names.ts";
import { Findings } from "../../../lib/inputs/polling/findings.ts";
import { FakeClock, settle } from "../../kit/fake_clock.ts";
import { logTo } from "../../kit/measuring.ts";

/** Names, and an API that answers as the test says. */
function kit() {
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = logTo(lines);
  const pods = new Map<string, PodList["pods"] extends ReadonlyMap<string, infer P> ? P : never>();
  const containers = new Map<string, string>();
  const api = {
    url: "https://api/api/v1/pods",
    node: "n",
    isKubelet: false,
    problem: null as ApiError | null,
    lists: 0,
    // deno-lint-ignore require-await
    async list(): Promise<PodList> {
      api.lists++;
      if (api.problem) throw api.problem;
      return { pods: new Map(pods), containers: new Map(containers) };
    },
  };
  const findings = new Findings(log);
  const names = new PodNames(api, { clock, log, findings });
  const add = (uid: string) => void pods.set(uid, { uid, name: `name of ${uid}`, namespace: "a", node: "n" });
  /** Polls each second for a time, asking for these. */
  const poll = async (seconds: number, ...uids: string[]) => {
    for (let i = 0; i < seconds; i++) {
      clock.spend(1000);
      for (const uid of uids) names.pod(uid);
      names.tick();
      await settle();
    }
  };
  return { names, api, lines, findings, add, poll, pods, containers };
}

Deno.test("the list is asked for when a pod has no name, at most once in ten seconds, and not while all have one", async () => {
  const { names, api, add, poll } = kit();
  await poll(30);
  assert.equal(api.lists, 0);
  add("a");
  await poll(1, "a");
  assert.equal(api.lists, 1);
  assert.equal(names.pod("a")?.name, "name of a");
  await poll(100, "a");
  assert.equal(api.lists, 1);
  add("b");
  await poll(1, "a", "b");
  assert.equal(names.pod("b")?.name, "name of b");
  add("c");
  await poll(5, "c");
  assert.equal(names.pod("c"), undefined);
  await poll(5, "c");
  assert.equal(names.pod("c")?.name, "name of c");
  assert.equal(api.lists, 3);
});

Deno.test("what no list has, such as the container that keeps a pod, is asked for less and less, and then no more", async () => {
  const { api, add, poll } = kit();
  add("a");
  await poll(4000, "a", "pause");
  assert.equal(api.lists, 6);
  add("b");
  await poll(1, "a", "pause", "b");
  assert.equal(api.lists, 7);
});

Deno.test("while the API is away it is asked every ten to eighty seconds, the log says so once a minute, and when it is back", async () => {
  const { names, api, add, poll, lines, findings } = kit();
  api.problem = new ApiError("HTTP 403: the service account may not list pods", "allow it");
  add("a");
  await poll(600, "a");
  assert.ok(api.lists >= 8 && api.lists <= 12, `${api.lists} requests`);
  assert.ok(lines.length >= 8 && lines.length <= 12, lines.join(""));
  assert.match(lines[0], /WARN.*Cannot ask Kubernetes.* problem="HTTP 403: the service.*advice="allow it"/);
  assert.equal(findings.list[0].problem, "HTTP 403: the service account may not list pods");
  assert.equal(findings.list[0].allow, "allow it");
  api.problem = null;
  await poll(80, "a");
  assert.equal(names.pod("a")?.name, "name of a");
  assert.match(lines.at(-1)!, /INFO.*The names of pods are known again/);
  assert.equal(findings.list[0].problem, undefined);
});

Deno.test("10,000 pods that come and go leave nothing behind, whether the API answers or not", async () => {
  for (const isAway of [false, true]) {
    const { names, api, add, poll, pods } = kit();
    if (isAway) api.problem = new ApiError("away");
    for (let round = 0; round < 100; round++) {
      const uids = Array.from({ length: 100 }, (_, i) => `${round} ${i}`);
      uids.forEach(add);
      await poll(100, ...uids);
      if (!isAway) assert.ok(uids.every((uid) => names.pod(uid)));
      for (const uid of uids) pods.delete(uid);
    }
    await poll(100, "last");
    assert.ok(names.remembered < 400, `${names.remembered} names are remembered`);
  }
});

Deno.test("a node of which Kubernetes knows no pod is probably named otherwise, and the log says which key to check", async () => {
  const { poll, lines } = kit();
  await poll(1, "a");
  assert.match(
    lines.join(""),
    /WARN.*Kubernetes knows no pod on this node: check plugins.k8s.k8s_node node=n/,
  );
});

Deno.test("nothing is known of a group that is no pod's, and of a pod without a name its number and this node", async () => {
  const { names, add, poll, containers: named } = kit();
  const values = { ...config.defaultValue(), k8s_node: "here", annotate_containers: false };
  const [pods, containers] = [false, true].map((annotate_containers) =>
    new PodKnowledge({ ...values, annotate_containers }, names)
  );
  const uid = "12345678-1234-1234-1234-123456789abc";
  const id = "c".repeat(64);
  const pod = `/kubepods.slice/kubepods-pod${uid.replaceAll("-", "_")}.slice`;
  const container = `${pod}/cri-containerd-${id}.scope`;
  const of = (knowledge: PodKnowledge, path: string) =>
    knowledge.attributesAt(path)?.map(([name, value]) => `${name}=${value}`).join(" ");
  assert.deepEqual([of(pods, "/x"), pods.takes("/x"), pods.describe("/x")], [undefined, false, undefined]);
  assert.equal(of(pods, pod), `uid=${uid} node=here`);
  assert.deepEqual([pods.takes(pod), pods.takes(container), containers.takes(container)], [
    true,
    false,
    true,
  ]);
  const facts = `container_id=${id} container_runtime=containerd`;
  assert.equal(of(containers, container), `uid=${uid} node=here ${facts}`);
  add(uid);
  named.set(id, "main");
  await poll(20, uid);
  const inWords = `uid=${uid} name=name of ${uid} namespace=a node=n`;
  assert.deepEqual([of(pods, pod), of(pods, container)], [inWords, inWords]);
  assert.equal(of(containers, container), `${inWords} container_name=main ${facts}`);
  await names.close();
});

Deno.test("requests and answers are counted, and what is remembered is what is known and what is missing", async () => {
  const { names, api, add, containers, poll } = kit();
  assert.deepEqual([names.stats, names.revision, names.remembered], [
    { requests: 0, answeredRequests: 0, failedRequests: 0 },
    0,
    0,
  ]);
  assert.deepEqual([names.pod("a"), names.container("c")], [undefined, undefined]);
  assert.equal(names.remembered, 2);
  add("a");
  containers.set("c", "main");
  await poll(1);
  assert.deepEqual([names.pod("a")?.name, names.container("c")], ["name of a", "main"]);
  // Both, and that they were asked for.
  assert.deepEqual([names.stats.answeredRequests, names.revision, names.remembered], [1, 1, 4]);
  api.problem = new ApiError("it is away");
  await poll(10, "b");
  assert.deepEqual([names.stats, names.revision], [
    { requests: 2, answeredRequests: 1, failedRequests: 1 },
    2,
  ]);
  await names.close();
});

Deno.test("after a failure it is asked ten seconds later, whatever was before it", async () => {
  const { names, api, add, poll } = kit();
  add("other");
  /** How many lists there are so many seconds later, while the API answers or does not. */
  const lists = async (seconds: number, isAway = false) => {
    api.problem = isAway ? new ApiError("it is away") : null;
    await poll(seconds, "a");
    return api.lists;
  };
  // Two lists without the name: the next one is 40 s later.
  assert.deepEqual([await lists(21), await lists(39)], [2, 2]);
  assert.deepEqual([await lists(1, true), await lists(9, true), await lists(1, true)], [3, 3, 4]);
  // The second failure: 20 s. Then it answers, and the next list is 80 s later, as if nothing had been.
  assert.deepEqual([await lists(19), await lists(1), await lists(79)], [4, 5, 5]);
  assert.deepEqual([await lists(1, true), await lists(9, true), await lists(1, true)], [6, 6, 7]);
  await names.close();
});

Deno.test("where the first answer is a failure, the next is asked for ten seconds later", async () => {
  const { names, api, poll } = kit();
  api.problem = new ApiError("it is away");
  const lists: number[] = [];
  for (const seconds of [1, 9, 1, 19, 1]) {
    await poll(seconds, "a");
    lists.push(api.lists);
  }
  assert.deepEqual(lists, [1, 1, 2, 2, 3]);
  await names.close();
});

Deno.test("while an answer is waited for nothing is asked, nor after the end, which is no failure", async () => {
  const { names, api, poll } = kit();
  const { promise, reject } = Promise.withResolvers<never>();
  let asked = 0;
  api.list = () => (asked++, promise);
  await poll(100, "a");
  assert.equal(asked, 1);
  const closing = names.close();
  reject(new Error("it was aborted"));
  await closing;
  await poll(100, "b");
  assert.deepEqual([asked, names.stats.failedRequests], [1, 0]);
});
