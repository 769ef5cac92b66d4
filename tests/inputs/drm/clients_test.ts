import assert from "node:assert/strict";
import { type ClientsOptions, DrmClients } from "../../../lib/inputs/drm/clients.ts";
import { DrmSource } from "../../../lib/inputs/drm/source.ts";
import { parseFdInfo } from "../../../lib/inputs/drm/fdinfo.ts";
import { DENIED, ProcFiles } from "../../../lib/inputs/polling/files.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
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

function kit(options: Partial<ClientsOptions> = {}) {
  const tree = new Tree(null);
  const clock = new FakeClock();
  const files = new ProcFiles(tree, clock);
  let denied = 0;
  const clients = new DrmClients({ files, clock, onDenied: () => denied++, ...options });
  return {
    tree,
    clock,
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

Deno.test({
  name: "what a process uses of a GPU is added up over its files, since the last time that each was there",
  ...needs(linux),
  fn() {
    using k = kit();
    const info = (client: number, gfx: number, cycles = "") => fdinfo(client, { gfx, vram: client }) + cycles;
    const file = (pid: number, fd: number, text: string) => {
      k.tree.write(`proc/${pid}/fdinfo/${fd}`, text);
    };
    for (const pid of [20, 5]) for (const fd of [3, 4]) k.tree.link(`proc/${pid}/fd/${fd}`, "/dev/dri/card0");
    const cycles = (used: number, total: number) =>
      `drm-cycles-ccs: ${used}\ndrm-total-cycles-ccs: ${total}\n`;
    // It is no file of a GPU, whatever it says.
    k.tree.link("proc/20/fd/5", "/dev/null");
    k.tree.write("proc/20/fdinfo/5", info(7, 7));
    k.tree.write("proc/20/comm", "make\n");
    k.tree.write("proc/5/comm", "0123456789".repeat(7));
    file(20, 3, info(1, 100));
    file(20, 4, info(2, 1000, cycles(10, 100)));
    file(5, 3, info(3, 7).replace("drm-memory-vram", "drm-memory-gtt"));
    file(5, 4, info(4, 0).replace("drm-memory-vram", "drm-memory-cpu"));
    const use = () => {
      k.clock.spend(500);
      return k.clients.use(["amdgpu"]).map(({ pid, name, device, memory, engines }) =>
        [pid, name, device, ...Object.values(memory), ...engines].join(" ")
      );
    };
    const begin = [`5 ${"0123456789".repeat(6)}0123 ${DEVICE} 0 3072 4096`, `20 make ${DEVICE} 3072 0 0`];
    assert.deepEqual(use(), begin);
    k.tree.write("proc/20/comm", "another\n");
    file(20, 3, info(1, 150));
    file(20, 4, info(2, 1007, cycles(60, 300)));
    // A quarter of the cycles in half a second; a name is read once.
    assert.deepEqual(use(), [`${begin[0]} gfx,0`, `${begin[1]} gfx,57 ccs,125000000`]);
    file(20, 3, info(1, 140));
    file(20, 4, info(2, 1010, cycles(61, 300)));
    assert.deepEqual(use(), [`${begin[0]} gfx,0`, `${begin[1]} gfx,3`], "what went back has no value");
    file(20, 4, info(2, 1010, cycles(61, 300)));
    assert.deepEqual(use()[1], `${begin[1]} gfx,0 ccs,0`);
    file(20, 4, info(2, 1010, cycles(62, 301)));
    assert.deepEqual(use()[1], `${begin[1]} gfx,0 ccs,500000000`, "all of them");
  },
});

Deno.test({
  name: "processes are listed every two seconds, and a name is kept as long as its process is there",
  ...needs(linux),
  fn() {
    using k = kit();
    const pids = (ms: number) => {
      k.clock.spend(ms);
      return k.clients.use(["amdgpu"]).map(({ pid }) => pid);
    };
    k.start(9, 9);
    assert.deepEqual(pids(0), [9]);
    for (const pid of [1, 2]) k.start(pid, pid);
    assert.deepEqual(pids(1999), [9]);
    assert.deepEqual(pids(1), [1, 2, 9]);
    assert.equal(k.clients.nameOf(3), undefined);
    for (const name of ["first", "second"]) {
      for (const pid of [1, 3]) k.tree.write(`proc/${pid}/comm`, `${name}\n`);
      assert.deepEqual([k.clients.nameOf(1), k.clients.nameOf(3)], ["first", name]);
    }
    k.tree.remove("proc/1");
    assert.deepEqual(pids(2000), [2, 9]);
    k.tree.write("proc/1/comm", "third\n");
    assert.equal(k.clients.nameOf(1), "third");
  },
});

Deno.test({
  name: "a process that may not be looked at is left alone until it is listed as a new one, which is told",
  ...needs(linux),
  fn() {
    for (const what of ["names", "link"] as const) {
      using k = kit();
      k.start(1, 1);
      k.start(2, 2);
      const real = k.files[what].bind(k.files);
      let asked = 0;
      Object.assign(k.files, {
        [what]: (path: string) => path.includes("/1/") ? (asked++, DENIED) : real(path),
      });
      for (let n = 0; n < 3; n++) assert.deepEqual(k.pids(), [2]);
      assert.deepEqual([asked, k.denied], [1, 1], what);
    }
  },
});

Deno.test({
  name: "so many files of GPUs are read at most",
  ...needs(linux),
  fn() {
    using k = kit({ mostClients: 2 });
    for (const pid of [1, 2, 3]) k.start(pid, pid);
    assert.deepEqual(k.pids(), [1, 2]);
    assert.equal(k.clients.size, 2);
  },
});

/** GPUs of Intel and AMD, and the ROCm driver's numbers of one that computes; polled as often as the test says. */
function gpus(drivers: readonly ("xe" | "amdgpu")[], processes: boolean) {
  const tree = new Tree(null);
  const clock = new FakeClock();
  clock.spend(1e6);
  for (const [n, driver] of ["xe", "amdgpu"].entries()) {
    const device = `sys/devices/0000:0${n}:00.0`;
    for (const card of [`card${n}`, `card${n}-DP-1`]) {
      tree.link(`sys/class/drm/${card}/device`, `${tree.root}/${device}`);
    }
    tree.link(`${device}/driver`, `../../${driver}`);
  }
  tree.write("sys/class/drm/version", "drm 1.1.0\n");
  const kfd = "sys/class/kfd/kfd";
  tree.write(`${kfd}/topology/nodes/1/gpu_id`, "77\n");
  tree.write(
    `${kfd}/topology/nodes/1/properties`,
    "simd_count 8\nsimd_per_cu 4\nlocation_id 256\ndomain 0\n",
  );
  tree.write(`${kfd}/proc/5/stats_77/cu_occupancy`, "1\n");
  tree.write("proc/5/comm", "solver\n");
  const measuring = measuringOf(tree, [], clock);
  const source = new DrmSource({ name: "gpu", vendor: "A", drivers, processes }, measuring);
  return {
    tree,
    findings: measuring.findings,
    write: (n: number, files: Record<string, string>) => {
      for (const [path, text] of Object.entries(files)) {
        tree.write(`sys/devices/0000:0${n}:00.0/${path}`, `${text}\n`);
      }
    },
    poll: (ms = 0) => {
      clock.spend(ms);
      return rows(pollOnce(source));
    },
    [Symbol.dispose]() {
      source.close();
      tree[Symbol.dispose]();
    },
  };
}

Deno.test({
  name: "a GPU is active while it is not idle, where time has passed and its counter goes on",
  ...needs(linux),
  fn() {
    using k = gpus(["xe"], false);
    const idle = (ms: number, idleMs: number) => {
      k.write(0, { "tile0/gt0/gtidle/idle_residency_ms": String(idleMs) });
      return k.poll(ms).map((row) => row.replace(/.* /, ""));
    };
    assert.deepEqual(idle(0, 1000), []);
    assert.deepEqual([idle(1000, 1750), idle(1000, 1750), idle(1000, 2750)], [["25"], ["100"], ["0"]]);
    // More than the time that has passed, none at all, and back.
    assert.deepEqual([idle(1000, 4250), idle(0, 4260), idle(1000, 100), idle(1000, 600)], [["0"], [], [], [
      "50",
    ]]);
  },
});

Deno.test({
  name: "a GPU is measured once, by its driver, and its memory exactly",
  ...needs(linux),
  fn() {
    using k = gpus(["amdgpu"], false);
    const bytes = 2n ** 60n + 1n;
    k.write(1, { mem_info_vram_used: String(bytes) });
    assert.deepEqual(k.poll(), [
      `amd_gpu_memory_usage{memory_type=memory_video_computing} gpu:0000:01:00.0 local_machine ${bytes}`,
    ]);
  },
});

Deno.test({
  name: "a GPU that sleeps is found, and nothing of it is opened until it is awake",
  ...needs(linux),
  fn() {
    using k = gpus(["amdgpu"], false);
    k.write(1, { mem_info_vram_used: "5", "power/runtime_status": "suspended" });
    assert.deepEqual(k.poll(), []);
    assert.match(k.findings.list[0].problem!, /it sleeps/);
    k.write(1, { "power/runtime_status": "active" });
    assert.equal(k.poll(60_000).length, 1);
    assert.equal(k.findings.list.filter(({ problem }) => problem).length, 0);
  },
});

Deno.test({
  name: "what processes occupy of a GPU is measured of AMD's, where processes are",
  ...needs(linux),
  fn() {
    const occupied = (drivers: readonly ("xe" | "amdgpu")[], processes: boolean) => {
      using k = gpus(drivers, processes);
      return k.poll().filter((row) => row.includes("occupancy"));
    };
    assert.deepEqual(occupied(["amdgpu"], true), [
      "amd_gpu_process_compute_unit_occupancy{process_name=solver} gpu:0000:01:00.0 process:5 50",
    ]);
    assert.deepEqual([occupied(["amdgpu"], false), occupied(["xe"], true)], [[], []]);
  },
});
