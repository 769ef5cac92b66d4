/** What the files of one process become. */
import assert from "node:assert/strict";
import { ProcFiles, type ProcRoots } from "../../../lib/inputs/polling/files.ts";
import {
  MeasuredProcess,
  type MemoryMode,
  type Outcome,
  readStat,
  registerProcessMetrics,
  statFile,
} from "../../../lib/inputs/procfs/process.ts";
import { ProcessStat } from "../../../lib/inputs/procfs/process_stat.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { collect, rows } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";

interface Fields {
  starttime?: number;
  minflt?: number;
  user?: number;
  system?: number;
  guest?: number;
  vsize?: number;
}

function statOf(
  { starttime = 99, minflt = 0, user = 0, system = 0, guest = 0, vsize = 8192 }: Fields = {},
): string {
  return `7 (a) S 1 1 1 0 -1 0 ${minflt} 0 0 0 ${user} ${system} 0 0 20 0 1 0 ${starttime} ${vsize} 1` +
    " 0".repeat(18) + ` ${guest} 0\n`;
}

/** The process 7 of a tree, which is measured when a test says so. */
function measured(
  { mode = "quick", fields, denied }: { mode?: MemoryMode; fields?: Fields; denied?: RegExp } = {},
) {
  const tree = new Tree(null);
  tree.write("proc/7/stat", statOf(fields));
  tree.write("proc/7/statm", "3 2 1 0 0 0 0\n");
  let refused = 0;
  const open: ProcRoots["open"] = (path) => {
    if (denied?.test(path)) {
      refused++;
      throw new Deno.errors.PermissionDenied("EACCES");
    }
    return Deno.openSync(path);
  };
  const context = {
    files: new ProcFiles({ proc: tree.proc, open }),
    metrics: registerProcessMetrics(new MetricRegistry()),
    pageSize: 4096,
    ticksPerSecond: 100,
    cpus: 2,
    stat: new ProcessStat(),
  };
  const file = statFile(context.files, 7);
  assert.equal(readStat(context, file), "measured");
  const process = new MeasuredProcess(context, 7, file, mode);
  let outcome: Outcome = "measured";
  return {
    tree,
    process,
    /** How often a file was not opened. */
    get refused() {
      return refused;
    },
    get outcome() {
      return outcome;
    },
    /** Its points a second later than the last ones. */
    at(second: number, fields?: Fields, percent = true): string[] {
      if (fields) tree.write("proc/7/stat", statOf(fields));
      const lines: string[] = [];
      const points = rows(
        collect((points) => void (outcome = process.measure(points, 1000 * second, percent)), lines),
      );
      assert.deepEqual(lines, [], "no value is refused");
      return points.map((row) =>
        row.replace(" local_machine process:7", "").replace(/(\w+)\{kind=(\w+)\}/, "$1 $2")
      );
    },
    [Symbol.dispose]() {
      process.close();
      tree[Symbol.dispose]();
    },
  };
}

const memory = (resident: number, shared: number, virtual: number) => [
  `memory_usage resident ${resident}`,
  `memory_usage shared ${shared}`,
  `memory_usage virtual ${virtual}`,
];

Deno.test("CPU time is in ticks, and its percentage is of all CPUs, where nothing went back", () => {
  using p = measured();
  const cpu = (second: number, fields: Fields) =>
    p.at(second, fields).filter((row) => !row.startsWith("memory"));
  assert.deepEqual(cpu(1, { user: 5, system: 7, guest: 2 }), [
    "cpu_time_delta user 50000000",
    "cpu_time_delta system 70000000",
    "cpu_time_delta guest 20000000",
  ]);
  assert.deepEqual(cpu(2, { user: 5, system: 107, guest: 2 }), [
    "cpu_time_delta user 0",
    "cpu_time_delta system 1000000000",
    "cpu_time_delta guest 0",
    "cpu_percent user 0",
    "cpu_percent system 50",
    "cpu_percent total 50",
  ]);
  assert.deepEqual(cpu(3, { user: 4, system: 108, guest: 1 }), ["cpu_time_delta system 10000000"]);
  assert.deepEqual(cpu(4, { user: 5, system: 107, guest: 2 }), [
    "cpu_time_delta user 10000000",
    "cpu_time_delta guest 10000000",
  ]);
  assert.equal(
    p.at(5, { user: 6, system: 107, guest: 2 }, false).filter((row) => /percent/.test(row)).length,
    0,
  );
});

Deno.test("a kernel that does not count guest time has no points of it, however often it is asked", () => {
  using p = measured();
  p.tree.write("proc/7/stat", statOf().replace(/( \S+){20}\n/, "\n"));
  for (const second of [1, 2, 3]) {
    assert.equal(p.at(second).filter((row) => row.includes("guest")).length, 0);
    assert.equal(p.outcome, "measured");
  }
});

Deno.test("memory of statm is in pages, three kinds of it, and none of a kernel thread", () => {
  using p = measured();
  assert.deepEqual(p.at(1).slice(0, 3), memory(8192, 4096, 12288));
  assert.deepEqual(p.at(2, { vsize: 0, minflt: 1 }).slice(0, 4), [
    ...memory(0, 0, 0),
    "cpu_time_delta user 0",
  ]);
  using thread = measured({ fields: { vsize: 0 } });
  thread.tree.remove("proc/7/statm");
  assert.deepEqual(thread.at(1).slice(0, 3), memory(0, 0, 0));
});

Deno.test("statm is read again after ten measurements, of each process at another one", () => {
  for (const minflt of [0, 5]) {
    using p = measured({ fields: { minflt } });
    p.at(0);
    const read: number[] = [];
    for (let n = 1; n <= 23; n++) {
      p.tree.write("proc/7/statm", `3 ${100 + n} 1 0 0 0 0\n`);
      if (p.at(n)[0] === `memory_usage resident ${4096 * (100 + n)}`) read.push(n);
    }
    assert.deepEqual(read, [3, 13, 23], "the process 7 is seven ahead at first");
  }
});

Deno.test("a process that has ended, is another one, or has no memory that is read whole, has no points", () => {
  for (
    const [change, outcome] of [
      [(tree: Tree) => tree.write("proc/7/stat", statOf({ starttime: 100 })), "ended"],
      [(tree: Tree) => tree.write("proc/7/stat", "7 (a"), "ended"],
      [(tree: Tree) => tree.remove("proc/7"), "ended"],
      [(tree: Tree) => tree.write("proc/7/statm", ""), "ended"],
      [(tree: Tree) => tree.write("proc/7/statm", "3 2\n"), "ended"],
      [(tree: Tree) => tree.write("proc/7/statm", "3\n"), "ended"],
      [(tree: Tree) => tree.write("proc/7/statm", "x\n"), "ended"],
    ] as const
  ) {
    using p = measured();
    change(p.tree);
    assert.deepEqual(p.at(1), []);
    assert.equal(p.outcome, outcome);
  }
});

Deno.test("where statm may not be read the process has the rest of its points", () => {
  using p = measured({ denied: /statm$/ });
  assert.deepEqual(
    p.at(1).map((row) => row.split(" ")[0]),
    Array.from({ length: 3 }, () => "cpu_time_delta"),
  );
  assert.equal(p.outcome, "measured");
});

Deno.test("memory of smaps_rollup is what it says, and what it may not say is asked for once", () => {
  const ROLLUP = "5-6 ---p 0 0 0 [rollup]\nRss: 8 kB\nPss: 4 kB\nShared_Clean: 1 kB\nShared_Dirty: 2 kB\n";
  using p = measured({ mode: "slow_but_accurate" });
  p.tree.write("proc/7/smaps_rollup", ROLLUP);
  assert.deepEqual(p.at(1).slice(0, 4), [
    "memory_usage proportional 4096",
    "memory_usage resident 8192",
    "memory_usage shared 3072",
    "memory_usage virtual 8192",
  ]);
  assert.ok(!p.process.memoryDenied);
  for (const [n, line] of ["Shared_Clean: 1 kB\n", "Shared_Dirty: 2 kB\n"].entries()) {
    p.tree.write("proc/7/smaps_rollup", line);
    assert.deepEqual(p.at(2 + n)[0], "memory_usage virtual 8192", "a part is no sum");
  }
  assert.equal(p.at(4, { vsize: 0 })[0], "memory_usage proportional 0");
  using denied = measured({ mode: "slow_but_accurate", denied: /smaps_rollup$/ });
  assert.equal(denied.at(1)[0], "memory_usage virtual 8192");
  assert.ok(denied.process.memoryDenied);
  assert.equal(denied.at(2)[0], "memory_usage virtual 8192");
  assert.equal(denied.refused, 1);
  using small = measured({ mode: "slow_but_accurate", fields: { vsize: 1 } });
  small.tree.write("proc/7/smaps_rollup", ROLLUP);
  assert.equal(small.at(1)[3], "memory_usage virtual 1");
});
