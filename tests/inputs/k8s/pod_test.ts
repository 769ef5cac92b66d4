import assert from "node:assert/strict";
import { podListOf } from "../../../lib/inputs/k8s/pod_list.ts";
import { podGroupOf } from "../../../lib/inputs/k8s/pod_path.ts";
import { config } from "../../../lib/inputs/k8s/config.ts";
import type { Problem } from "../../../lib/schema.ts";

const UID = "69fd10c5-8f65-4dbb-b4dd-9d3d0a6d83a5";
const SLICE = `kubepods-burstable-pod${UID.replaceAll("-", "_")}.slice`;
const HASH = "0123456789abcdef".repeat(2);
const ID = "0123456789abcdef".repeat(4);

Deno.test("a path says which pod and container it is, with both drivers of the kubelet, in a nested cluster, too", () => {
  const of = (path: string) => {
    const group = podGroupOf(path);
    return group && `${group.uid}${group.isPod ? "" : ` ${group.container?.id ?? "below"}`}`;
  };
  const systemd = `/kubepods.slice/kubepods-burstable.slice/${SLICE}`;
  assert.equal(of(systemd), UID);
  assert.equal(of(`${systemd}/cri-containerd-${ID}.scope`), `${UID} ${ID}`);
  assert.equal(of(`${systemd}/crio-${ID}.scope/container`), `${UID} ${ID}`);
  assert.equal(of(`${systemd}/init.scope`), `${UID} below`);
  assert.equal(of(`/kubepods.slice/kubepods-pod${HASH}.slice`), HASH);
  assert.equal(of(`/kubepods/besteffort/pod${UID}`), UID);
  assert.equal(of(`/pod${UID}`), UID);
  assert.equal(of(`/kubepods/pod${UID}/${ID}`), `${UID} ${ID}`);
  assert.equal(of(`/docker/${ID}/kubelet.slice/kubelet-kubepods.slice/kubelet-${SLICE}`), UID);
  assert.equal(of(`/kubepods/pod${HASH}/${ID}/kubepods/pod${UID}`), UID);
  for (
    const path of ["/", "/kubepods.slice", "/kubepods", "/machine.slice/podman.slice", "/pod1", `/xpod${UID}`]
  ) {
    assert.equal(of(path), undefined, path);
  }
});

Deno.test("whatever is in a list of pods, what is read of it are texts", () => {
  const good = {
    items: [{
      metadata: { uid: UID, name: "a", namespace: "b", annotations: { "kubernetes.io/config.hash": HASH } },
      spec: { nodeName: "n" },
      status: { containerStatuses: [{ name: "c", containerID: `containerd://${ID}` }] },
    }],
  };
  const { pods, containers } = podListOf(good);
  assert.deepEqual([...pods.keys()], [UID, HASH]);
  assert.deepEqual([...containers], [[ID, "c"]]);
  const text = JSON.stringify(good);
  const places = [...text.matchAll(/"[^"]*"|\[|\{/g)].map(({ index }) => index);
  for (const place of places) {
    for (const value of ["null", "5", "1e400", "[]", "{}", '"\\ud800"', '""', '{"__proto__": {"uid": 5}}']) {
      const rest = text.slice(place).replace(/^"[^"]*"|^\[.*\]|^\{.*\}/s, value);
      let json: unknown;
      try {
        json = JSON.parse(text.slice(0, place) + rest);
      } catch {
        continue;
      }
      let list;
      try {
        list = podListOf(json);
      } catch (error) {
        assert.ok(error instanceof SyntaxError, `${error}`);
        continue;
      }
      for (const [uid, pod] of list.pods) {
        for (const part of [uid, pod.uid, pod.name, pod.namespace, pod.node ?? "n"]) {
          assert.ok(typeof part === "string" && part !== "" && part.isWellFormed());
        }
      }
      for (const [id, name] of list.containers) assert.ok(id.isWellFormed() && name !== "");
    }
  }
  assert.throws(() => podListOf({ kind: "Status", message: "no" }), {
    message: "the answer is not a list of pods: no",
  });
});

Deno.test("token_retrieval is a word or a table, as Alumet has it", () => {
  const check = (token_retrieval: unknown) => {
    const problems: Problem[] = [];
    const { token_retrieval: value } = config.check(
      { token_retrieval },
      [],
      (problem) => problems.push(problem),
    );
    return problems.length > 0 ? problems.map(({ message }) => message).join() : value;
  };
  assert.equal(check("kubectl"), "kubectl");
  assert.deepEqual(check({ file: "/t" }), { file: "/t", kubectl: undefined });
  assert.deepEqual(check({ kubectl: {} }), {
    file: undefined,
    kubectl: { service_account: "alumet-reader", namespace: "alumet" },
  });
  assert.match(String(check({})), /expected either \{ file = /);
  assert.match(String(check({ file: "/t", kubectl: {} })), /expected either/);
  assert.match(String(check("nothing")), /expected "auto", "file" or "kubectl"/);
  assert.match(String(check(5)), /expected "auto", "file" or "kubectl"/);
});
