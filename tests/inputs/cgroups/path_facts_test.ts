import assert from "node:assert/strict";
import { containerIn, pathAttributes } from "../../../lib/inputs/cgroups/path_facts.ts";
import { hierarchiesOf, perfRootOf } from "../../../lib/inputs/cgroups/hierarchies.ts";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import { Tree } from "../../kit/tree.ts";

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

/** What is measured, and where events are counted, with these lines of /proc/mounts. */
function mounted(...lines: string[]) {
  using tree = new Tree(null);
  tree.write("proc/mounts", lines.map((line) => `${line} 0 0\n`).join(""));
  const files = new ProcFiles(tree);
  const below = (root: string | undefined) => root?.replace(tree.sys, "SYS");
  const measured = hierarchiesOf(files).map(({ version, root, hasCpu, hasMemory, hasPressure }) =>
    [`v${version}`, below(root), hasCpu && "cpu", hasMemory && "memory", hasPressure && "pressure"].filter(
      Boolean,
    )
      .join(" ")
  );
  return [below(perfRootOf(files)), ...measured];
}

Deno.test("hierarchies are found by their mounts: what version 1 has is taken from there, the rest from version 2", () => {
  const v1 = (name: string, options: string) => `cgroup /sys/fs/cgroup/${name} cgroup rw,${options}`;
  const v2 = (point: string) => `cgroup2 ${point} cgroup2 rw`;
  assert.deepEqual(mounted("proc /proc proc rw"), [undefined]);
  assert.deepEqual(mounted(""), [undefined]);
  assert.deepEqual(mounted("proc /proc proc rw,cpuacct,memory,perf_event", v2("/sys/fs/cgroup")), [
    "SYS/fs/cgroup",
    "v2 SYS/fs/cgroup cpu memory pressure",
  ]);
  assert.deepEqual(mounted(v2("/mnt/a\\040b"), v2("/mnt/c")), [
    "/mnt/a b",
    "v2 /mnt/a b cpu memory pressure",
  ]);
  assert.deepEqual(
    mounted(v1("cpu", "cpu,cpuacct"), v1("memory", "memory"), v1("perf", "perf_event"), v2("/v2")),
    [
      "SYS/fs/cgroup/perf",
      "v1 SYS/fs/cgroup/cpu cpu",
      "v1 SYS/fs/cgroup/memory memory",
      "v2 /v2 pressure",
    ],
  );
  assert.deepEqual(mounted(v1("all", "cpuacct,memory"), v1("again", "memory")), [
    undefined,
    "v1 SYS/fs/cgroup/all cpu memory",
  ]);
  assert.deepEqual(mounted(v1("memory", "memory"), v2("/v2")), [
    "/v2",
    "v1 SYS/fs/cgroup/memory memory",
    "v2 /v2 cpu pressure",
  ]);
});
