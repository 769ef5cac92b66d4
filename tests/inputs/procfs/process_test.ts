import assert from "node:assert/strict";
import type { OpenFile } from "../../../lib/inputs/polling/files.ts";
import type { Batch } from "../../../lib/points/measurement.ts";
import { rows, values } from "../../kit/measuring.ts";
import { pids, processesOf } from "../../kit/processes.ts";
import { Tree } from "../../kit/tree.ts";

Deno.test("a process is measured when it is found, with its total CPU time, and cpu_percent from then on", () => {
  using tree = new Tree();
  using kit = processesOf(tree, [{ pid: 77 }]);
  const row = (metric: string, kind: string, value: number) =>
    `${metric}{kind=${kind}} local_machine process:77 ${value}`;
  const memory = [
    row("memory_usage", "resident", 844 * 4096),
    row("memory_usage", "shared", 512 * 4096),
    row("memory_usage", "virtual", 5213 * 4096),
  ];
  assert.deepEqual(rows(kit.discover()), [
    ...memory,
    row("cpu_time_delta", "user", 300_000_000),
    row("cpu_time_delta", "system", 200_000_000),
    row("cpu_time_delta", "guest", 100_000_000),
  ]);
  tree.edit("proc/77/stat", " 30 20 ", " 80 40 ");
  kit.at(2000);
  assert.deepEqual(rows(kit.poll()), [
    ...memory,
    row("cpu_time_delta", "user", 500_000_000),
    row("cpu_time_delta", "system", 200_000_000),
    row("cpu_time_delta", "guest", 0),
    // 0.5 s and 0.2 s of 2 s, on two CPUs.
    row("cpu_percent", "user", 12.5),
    row("cpu_percent", "system", 5),
    row("cpu_percent", "total", 17.5),
  ]);
});

Deno.test("the first poll after a process was found is left out if it comes early, but not the last one", () => {
  using tree = new Tree();
  using kit = processesOf(tree, [{ pid: 77 }]);
  kit.discover();
  kit.at(499);
  assert.equal(kit.poll().length, 0);
  const last = rows(kit.poll(0, true));
  assert.equal(last.length, 6);
  assert.ok(!last.some((row) => row.startsWith("cpu_percent")), "too little time for a percentage");
  using other = processesOf(tree, [{ pid: 77 }]);
  other.discover();
  other.at(500);
  assert.equal(other.poll().length, 9, "half of the interval is not early");
});

Deno.test("statm is read when stat shows that the process has run or has other memory, and each tenth time", () => {
  using tree = new Tree();
  using kit = processesOf(tree, [{ pid: 77 }]);
  let ms = 0;
  const resident = () => {
    kit.at(ms += 1000);
    return values(kit.poll())[0] / 4096;
  };
  kit.discover();
  const changes = [
    [" 53 0 0 0 30 20 ", " 54 0 0 0 30 20 "],
    [" 54 0 0 0 30 20 ", " 54 0 1 0 30 20 "],
    [" 54 0 1 0 30 20 ", " 54 0 1 0 31 20 "],
    [" 54 0 1 0 31 20 ", " 54 0 1 0 31 21 "],
    [" 21352448 844 ", " 21352448 840 "],
    [" 21352448 840 ", " 21356544 840 "],
  ];
  changes.forEach(([before, after], n) => {
    tree.write("proc/77/statm", `5213 ${n} 0 10 0 4868 0\n`);
    tree.edit("proc/77/stat", before, after);
    assert.equal(resident(), n);
  });
  tree.write("proc/77/statm", "5213 99 0 10 0 4868 0\n");
  for (let n = 1; n < 10; n++) assert.equal(resident(), 5);
  assert.equal(resident(), 99);
});

Deno.test("slow_but_accurate has the memory of smaps_rollup, and none for kernel threads", () => {
  using tree = new Tree();
  using kit = processesOf(tree, [{ memoryMode: "slow_but_accurate" }]);
  const found = rows(kit.discover()).filter((row) => row.startsWith("memory"));
  const row = (pid: number, kind: string, value: number) =>
    `memory_usage{kind=${kind}} local_machine process:${pid} ${value}`;
  assert.deepEqual(found.filter((row) => row.includes(":1 ")), [
    row(1, "proportional", 5123 * 1024),
    row(1, "resident", 11476 * 1024),
    row(1, "shared", 6432 * 1024),
    row(1, "virtual", 42176512),
  ]);
  assert.deepEqual(found.filter((row) => row.includes(":2 ")), [
    row(2, "proportional", 0),
    row(2, "resident", 0),
    row(2, "shared", 0),
    row(2, "virtual", 0),
  ]);
});

Deno.test("without a smaps_rollup, a process has the rest of its points", () => {
  using tree = new Tree();
  using kit = processesOf(tree, [{ pid: 1, memoryMode: "slow_but_accurate" }]);
  tree.remove("proc/1/smaps_rollup");
  assert.deepEqual(rows(kit.discover()).map((row) => row.split(" ")[0]), [
    "memory_usage{kind=virtual}",
    "cpu_time_delta{kind=user}",
    "cpu_time_delta{kind=system}",
    "cpu_time_delta{kind=guest}",
  ]);
});

Deno.test("a process without guest time has no point of that kind", () => {
  using tree = new Tree();
  tree.edit("proc/77/stat", /( \S+){10}\n/, "\n");
  using kit = processesOf(tree, [{ pid: 77 }]);
  assert.ok(!rows(kit.discover()).some((row) => row.includes("guest")));
});

Deno.test("CPU time that goes back has no point, and counts from there", () => {
  using tree = new Tree();
  tree.start(100, { user: 50 });
  using kit = processesOf(tree, [{ pid: 100 }]);
  kit.discover();
  const user = (batch: Batch) =>
    rows(batch).filter((row) => row.includes("kind=user")).map((row) => row.split(" ").at(-1));
  tree.start(100, { user: 40 });
  kit.at(1000);
  assert.deepEqual(user(kit.poll()), []);
  tree.start(100, { user: 41 });
  kit.at(2000);
  assert.deepEqual(user(kit.poll()), ["10000000", "0.5"]);
});

Deno.test("CPU time of more than 104 days is exact", () => {
  using tree = new Tree();
  tree.start(100, { user: 1234567890123 });
  using kit = processesOf(tree, [{ pid: 100 }]);
  assert.match(rows(kit.discover())[3], / 12345678901230000000$/);
});

Deno.test("a process that ends in the middle of a poll has no half of its points", () => {
  using tree = new Tree();
  using kit = processesOf(tree, [{ pid: 77 }]);
  kit.discover();
  tree.edit("proc/77/stat", " 30 20 ", " 31 20 ");
  tree.write("proc/77/statm", "");
  tree.remove("proc/77/statm");
  kit.at(1000);
  assert.equal(kit.poll().length, 0);
  assert.equal(kit.processes.stats.processesEnded, 1);
  tree.remove("proc/77");
  assert.equal(kit.discover().length, 0);
});

Deno.test("ESRCH from a file that is still open means that the process has ended", () => {
  using tree = new Tree();
  let ended = false;
  const open = (path: string): OpenFile => {
    const file = Deno.openSync(path);
    return {
      readSync(buffer) {
        if (ended && path.includes("/77/")) throw new Error("No such process (os error 3)");
        return file.readSync(buffer);
      },
      seekSync: (offset, whence) => file.seekSync(offset, whence),
      close: () => file.close(),
    };
  };
  using kit = processesOf({ ...tree, proc: tree.proc, open });
  kit.discover();
  ended = true;
  kit.at(1000);
  assert.deepEqual(pids(kit.poll()).sort(), [1, 2]);
  assert.equal(kit.lines.length, 0);
});
