import assert from "node:assert/strict";
import { containerIn, pathAttributes } from "../../../lib/inputs/cgroups/path_facts.ts";

const ID = "0123456789abcdef".repeat(4);
const OTHER = "f".repeat(64);

Deno.test("a path names its innermost container, whatever runtime and driver made its group", () => {
  const of = (path: string) => {
    const { id, runtime } = containerIn(path) ?? {};
    return [id, runtime];
  };
  assert.deepEqual(of(`/system.slice/docker-${ID}.scope`), [ID, "docker"]);
  assert.deepEqual(of(`/docker/${ID}`), [ID, "docker"]);
  assert.deepEqual(of(`/${ID}`), [ID, undefined]);
  assert.deepEqual(of(`/docker/${OTHER}/docker/${ID}/init.scope`), [ID, "docker"]);
  assert.deepEqual(
    of(`/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${ID}.scope/container`),
    [
      ID,
      "podman",
    ],
  );
  assert.deepEqual(of(`/machine.slice/libpod-${ID}.scope`), [ID, "podman"]);
  assert.deepEqual(of(`/kubepods.slice/kubepods-pod1.slice/cri-containerd-${ID}.scope`), [ID, "containerd"]);
  assert.deepEqual(of(`/kubepods/besteffort/pod1/${ID}`), [ID, undefined]);
  assert.deepEqual(of(`/kubepods/besteffort/pod1/crio-${ID}`), [ID, "cri-o"]);
  // What watches a container is not in it.
  assert.equal(containerIn(`/machine.slice/libpod-conmon-${ID}.scope`), undefined);
  assert.equal(containerIn(`/machine.slice/crio-conmon-${ID}.scope`), undefined);
  for (const path of ["/", "", "/docker", `/docker/${ID}0`, `/docker/${ID.toUpperCase()}`]) {
    assert.equal(containerIn(path), undefined, path);
  }
});

Deno.test("a group has its container as attributes, or else the unit of systemd that it belongs to", () => {
  const cases: [string, [string, string][]][] = [
    [`/system.slice/docker-${ID}.scope`, [["container_id", ID], ["container_runtime", "docker"]]],
    [`/kubepods/pod1/${ID}`, [["container_id", ID]]],
    ["/system.slice/nginx.service", [["systemd_unit", "nginx.service"]]],
    ["/system.slice/systemd-udevd.service/udev", [["systemd_unit", "systemd-udevd.service"]]],
    ["/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope", [["systemd_unit", "a.scope"]]],
    ["/user.slice/user-1000.slice", []],
    ["/", []],
  ];
  for (const [path, attributes] of cases) assert.deepEqual(pathAttributes(path), attributes, path);
});
