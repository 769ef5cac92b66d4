/** What the files of one control group become. */
import assert from "node:assert/strict";
import { Cgroup, registerCgroupMetrics } from "../../../lib/inputs/cgroups/group.ts";
import type { Hierarchy } from "../../../lib/inputs/cgroups/hierarchies.ts";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import type { Attribute } from "../../../lib/points/measurement.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { collect, rows } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";

interface Options {
  version?: 1 | 2;
  has?: ("cpu" | "memory" | "pressure")[];
  bornAfterMs?: number;
  cpus?: number;
  attributes?: readonly Attribute[];
}

/** A group with files that a test writes. */
function groupOf(
  { version = 2, has = ["cpu", "memory", "pressure"], bornAfterMs, cpus = 2, attributes = [] }: Options = {},
) {
  const tree = new Tree(null);
  const hierarchy = {
    version,
    hasCpu: has.includes("cpu"),
    hasMemory: has.includes("memory"),
    hasPressure: has.includes("pressure"),
  } as Hierarchy;
  const group = new Cgroup(
    { files: new ProcFiles(tree), metrics: registerCgroupMetrics(new MetricRegistry()), cpus },
    { hierarchy, path: "/a", folder: `${tree.sys}/a` },
    attributes,
    bornAfterMs,
  );
  const lines: string[] = [];
  return {
    tree,
    group,
    /** Writes files, and measures. */
    at(ms: number, files: Record<string, string> = {}): string[] {
      for (const [name, text] of Object.entries(files)) tree.write(`sys/a/${name}`, text);
      const points = rows(collect((points) => void (this.isThere = group.measure(points, ms)), lines));
      assert.deepEqual(lines, [], "no value is refused");
      return points.map((row) => row.replace(" local_machine cgroup:/a", ""));
    },
    isThere: true,
    [Symbol.dispose]() {
      group.close();
      tree[Symbol.dispose]();
    },
  };
}

const cpuStat = (usage: number, user = 0, system = 0) =>
  `usage_usec ${usage}\nuser_usec ${user}\nsystem_usec ${system}\nnr_periods 0\n`;

Deno.test("CPU time is in microseconds with version 2, and becomes nanoseconds and percent of all CPUs", () => {
  using g = groupOf({ has: ["cpu"] });
  assert.deepEqual(g.at(1000, { "cpu.stat": cpuStat(5_000_000, 3_000_000, 2_000_000) }), []);
  assert.deepEqual(g.at(3000, { "cpu.stat": cpuStat(6_000_000, 3_750_000, 2_250_000) }), [
    "cpu_time_delta{kind=total} 1000000000",
    "cpu_percent{kind=total} 25",
    "cpu_time_delta{kind=system} 250000000",
    "cpu_percent{kind=system} 6.25",
    "cpu_time_delta{kind=user} 750000000",
    "cpu_percent{kind=user} 18.75",
  ]);
  assert.deepEqual(g.at(3000, { "cpu.stat": cpuStat(6_000_001, 3_750_000, 2_250_000) }), [
    "cpu_time_delta{kind=total} 1000",
    "cpu_time_delta{kind=system} 0",
    "cpu_time_delta{kind=user} 0",
  ], "in no time there is no percentage");
  assert.deepEqual(g.at(4000, { "cpu.stat": "usage_usec 5\nuser_usec 3750000\n" }), [
    "cpu_time_delta{kind=user} 0",
    "cpu_percent{kind=user} 0",
  ], "what went back, and what is not there");
  assert.deepEqual(g.at(5000, { "cpu.stat": cpuStat(6, 3_750_000, 2_250_000) }), [
    "cpu_time_delta{kind=total} 1000",
    "cpu_percent{kind=total} 0.00005",
    "cpu_time_delta{kind=user} 0",
    "cpu_percent{kind=user} 0",
  ]);
});

Deno.test("CPU time is in nanoseconds with version 1, and of no kind but the total", () => {
  using g = groupOf({ version: 1, has: ["cpu"], cpus: 4 });
  assert.deepEqual(g.at(0, { "cpuacct.usage": "18446744073709551000\n" }), []);
  assert.ok(g.isThere);
  assert.deepEqual(g.at(1000, { "cpuacct.usage": "18446744073709551615\n" }), [
    "cpu_time_delta{kind=total} 615",
    "cpu_percent{kind=total} 0.000015375",
  ]);
});

Deno.test("a group whose CPU time is gone is gone, whatever its version, and one without a controller is not", () => {
  for (const version of [1, 2] as const) {
    using g = groupOf({ version, has: ["cpu"] });
    assert.deepEqual(g.at(0), []);
    assert.ok(!g.isThere);
    g.at(1000, { "cpu.stat": cpuStat(1), "cpuacct.usage": "1\n" });
    assert.ok(g.isThere);
  }
  using g = groupOf({ has: [] });
  assert.deepEqual(g.at(0), []);
  assert.ok(g.isThere);
});

Deno.test("all that a group has used is new where it was seen to appear, if it can have used so much since then", () => {
  for (const [usage, isNew] of [[600_000, true], [600_001, false]] as const) {
    using g = groupOf({ has: ["cpu"], bornAfterMs: 1000, cpus: 3 });
    const first = g.at(1100, { "cpu.stat": cpuStat(usage) });
    assert.deepEqual(first, [
      ...isNew ? ["cpu_time_delta{kind=total} 600000000"] : [],
      "cpu_time_delta{kind=system} 0",
      "cpu_time_delta{kind=user} 0",
    ], "100 ms, and 100 ms of tolerance, of three CPUs");
    assert.equal(g.at(2100, { "cpu.stat": cpuStat(usage + 3e6) })[1], "cpu_percent{kind=total} 100");
  }
});

Deno.test("memory is what is used and what may be, -1 where there is no limit, and entries of memory.stat", () => {
  using g = groupOf({ has: ["memory"] });
  const stat = (swapped: number) =>
    "anon 1\nfile 2\nkernel_stack 3\npagetables 4\nslab_reclaimable 5\n" +
    `pswpin ${swapped}\npswpout ${10 * swapped}\nanon_thp 9\n`;
  const gauges = [
    "memory_usage{} 4096",
    "memory_max{} -1",
    "cgroup_memory_swap_current{} 7",
    "cgroup_memory_swap_max{} 8192",
    "cgroup_memory_anonymous{} 1",
    "cgroup_memory_file{} 2",
    "cgroup_memory_kernel_stack{} 3",
    "cgroup_memory_pagetables{} 4",
    "cgroup_slab_reclaimable{} 5",
  ];
  assert.deepEqual(
    g.at(0, {
      "memory.current": "4096\n",
      "memory.max": "max\n",
      "memory.swap.current": "7\n",
      "memory.swap.max": "8192\n",
      "memory.stat": stat(1),
    }),
    gauges,
  );
  assert.deepEqual(g.at(1000, { "memory.stat": stat(3) }), [
    ...gauges,
    "cgroup_pswpin{} 2",
    "cgroup_pswpout{} 20",
  ]);
  assert.deepEqual(g.at(2000, { "memory.stat": "anon 1\n", "memory.max": "x\n", "memory.current": "\n" }), [
    ...gauges.slice(2, 5),
  ]);
});

Deno.test("a limit that is not there is none, whatever was read before it", () => {
  using g = groupOf({ has: ["memory"] });
  for (let n = 0; n < 3; n++) {
    assert.deepEqual(g.at(n, { "memory.current": "4096\n", "memory.max": "max\n" }), [
      "memory_usage{} 4096",
      "memory_max{} -1",
    ]);
  }
});

Deno.test("version 1 has its memory in another file, and no more", () => {
  using g = groupOf({ version: 1, has: ["memory"] });
  assert.deepEqual(
    g.at(0, {
      "memory.usage_in_bytes": "4096\n",
      "memory.max": "1\n",
      "memory.current": "1\n",
      "memory.stat": "anon 1\n",
    }),
    ["memory_usage{} 4096"],
  );
});

Deno.test("waiting for I/O is what was added since the last time, of some and of all", () => {
  using g = groupOf({ has: ["pressure"] });
  const pressure = (some: number, full: number) =>
    `some avg10=0.00 total=${some}\nother total=5\nfull avg10=0.00 total=${full}\n`;
  assert.deepEqual(g.at(0, { "io.pressure": pressure(5, 6) }), []);
  assert.deepEqual(g.at(1000, { "io.pressure": pressure(7, 16) }), [
    "io_pressure_some_total{} 2",
    "io_pressure_full_total{} 10",
  ]);
  assert.deepEqual(g.at(2000, { "io.pressure": "some avg10=0.00\nfull total=17\n" }), [
    "io_pressure_full_total{} 1",
  ]);
  using born = groupOf({ has: ["pressure"], bornAfterMs: 0 });
  assert.deepEqual(born.at(0, { "io.pressure": pressure(5, 6) }), [
    "io_pressure_some_total{} 5",
    "io_pressure_full_total{} 6",
  ]);
});

Deno.test("a file that is not there is looked for again a minute later", () => {
  using g = groupOf({ version: 1, has: ["memory"] });
  const file = "memory.usage_in_bytes";
  assert.deepEqual(g.at(0), []);
  assert.deepEqual(g.at(59_999, { [file]: "5" }), []);
  assert.deepEqual(g.at(60_000), ["memory_usage{} 5"]);
  assert.deepEqual(g.at(60_001, { [file]: "6" }), ["memory_usage{} 6"]);
  assert.deepEqual(g.at(60_002, { [file]: "" }), []);
  assert.deepEqual(g.at(120_001, { [file]: "7" }), []);
  assert.deepEqual(g.at(120_002), ["memory_usage{} 7"]);
});

Deno.test("a group has its attributes in all of its points, and others when it is described again", () => {
  using g = groupOf({ version: 1, attributes: [["a", "1"], ["b", "2"]] });
  const attributes = (ms: number) =>
    g.at(ms, { "cpuacct.usage": "5", "memory.usage_in_bytes": "5" }).map((row) => /\{(.*)\}/.exec(row)![1]);
  attributes(0);
  assert.deepEqual(attributes(1000), ["a=1 b=2 kind=total", "a=1 b=2 kind=total", "a=1 b=2"]);
  for (const texts of ["a=1 b=3", "a=1 c=3", "a=1", "a=2", "b=2", "2=2", "a=1 b=2"]) {
    const next = texts.split(" ").map((text) => text.split("=") as [string, string]);
    g.group.describe(next);
    assert.deepEqual(attributes(2000).at(-1), texts);
    g.group.describe([...next]);
    assert.deepEqual(attributes(2000).at(-1), texts);
  }
});
