import assert from "node:assert/strict";
import { DrmClients } from "../../../lib/inputs/drm/clients.ts";
import { parseFdInfo } from "../../../lib/inputs/drm/fdinfo.ts";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { linux, needs } from "../../kit/needs.ts";
import { Tree } from "../../kit/tree.ts";

const DEVICE = "0000:03:00.0";

function fdinfo(client: number, { gfx = 0, vram = 1 } = {}): string {
  return [
    "drm-driver:\tamdgpu",
    `drm-client-id:\t${client}`,
    `drm-pdev:\t${DEVICE}`,
    `drm-memory-vram:\t${vram} KiB`,
    `drm-engine-gfx:\t${gfx} ns`,
    "",
  ].join("\n");
}

function kit() {
  const tree = new Tree(null);
  const clock = new FakeClock();
  const files = new ProcFiles(tree, clock);
  let denied = 0;
  const clients = new DrmClients({ files, clock, onDenied: () => denied++ });
  return {
    tree,
    files,
    clients,
    get denied() {
      return denied;
    },
    /** Starts a process that has a GPU open, and `others` files besides. */
    start(pid: number, client: number, others = 0) {
      for (let fd = 0; fd < others; fd++) tree.link(`proc/${pid}/fd/${fd}`, "/dev/null");
      tree.link(`proc/${pid}/fd/${others}`, "/dev/dri/renderD128");
      tree.write(`proc/${pid}/fdinfo/${others}`, fdinfo(client));
    },
    /** The processes that use the GPU, a second later. */
    pids() {
      clock.spend(1000);
      return clients.use(["amdgpu"]).map(({ pid }) => pid);
    },
    [Symbol.dispose]() {
      clients.close();
      tree[Symbol.dispose]();
    },
  };
}

Deno.test({
  name: "a few files are looked at in each poll: those of new processes first, and in the end all of them",
  ...needs(linux),
  fn() {
    using k = kit();
    for (let pid = 1; pid <= 10; pid++) k.start(pid, pid, 199);
    let rounds = 1;
    while (k.pids().length < 10) assert.ok(rounds++ < 10);
    assert.equal(rounds, 5, "each process has 200 files");
    k.start(11, 11);
    k.pids();
    k.pids();
    assert.ok(k.pids().includes(11), "it is seen when processes are listed the next time");
  },
});

Deno.test({
  name: "a file that becomes another one, or is closed, is forgotten",
  ...needs(linux),
  fn() {
    using k = kit();
    k.start(1, 1);
    assert.deepEqual(k.pids(), [1]);
    k.tree.write("proc/1/fdinfo/0", "pos:\t0\nflags:\t0\n");
    assert.deepEqual(k.pids(), []);
    k.tree.write("proc/1/fdinfo/0", fdinfo(2));
    assert.deepEqual(k.pids(), [1], "it is looked at again and again");
    k.tree.write("proc/1/fdinfo/0", fdinfo(2).replace("amdgpu", "nouveau"));
    k.pids();
    k.clients.close();
    assert.deepEqual([k.clients.size, k.files.kept], [0, 0]);
  },
});

Deno.test({
  name: "2,000 processes that come and go leave nothing behind",
  ...needs(linux),
  fn() {
    using k = kit();
    for (let n = 0; n < 20; n++) {
      const pids = Array.from({ length: 100 }, (_, i) => 1 + n * 100 + i);
      for (const pid of pids) k.start(pid, pid);
      while (k.clients.size < pids.length) k.pids();
      for (const pid of pids) k.tree.remove(`proc/${pid}`);
      k.pids();
    }
    assert.deepEqual([k.clients.size, k.files.kept], [0, 0]);
  },
});

Deno.test("memory is what is resident, or else by its older name, or else what is reserved; other regions are left out", () => {
  const memory = (lines: string) =>
    parseFdInfo(fdinfo(1, { vram: 7 }).replace(/drm-memory.*/, lines))!.memory;
  assert.deepEqual(memory("drm-total-vram0: 8 MiB\ndrm-resident-vram0: 5 KiB\ndrm-memory-gtt: 3"), {
    vram: 5 * 1024,
    gtt: 3,
    cpu: 0,
  });
  assert.deepEqual(memory("drm-memory-gds: 5 KiB\ndrm-total-system: 1 GiB"), {
    vram: 0,
    gtt: 0,
    cpu: 2 ** 30,
  });
  assert.equal(parseFdInfo("pos: 0\n"), undefined);
  assert.equal(parseFdInfo(fdinfo(1).replace(DEVICE, "../../etc")), undefined);
});
