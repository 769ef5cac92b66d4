import assert from "node:assert/strict";
import { rustRegex } from "../../../lib/inputs/procfs/regex.ts";
import { values } from "../../kit/measuring.ts";
import type { OpenFile } from "../../../lib/inputs/polling/files.ts";
import { pids, processesOf } from "../../kit/processes.ts";
import { Tree } from "../../kit/tree.ts";

Deno.test("a process that ends between two polls is dropped, and its files are closed", () => {
  using tree = new Tree();
  using kit = processesOf(tree);
  kit.discover();
  const kept = kit.files.kept;
  tree.remove("proc/77");
  kit.at(1000);
  assert.deepEqual(pids(kit.poll()).sort(), [1, 2]);
  assert.equal(kit.processes.stats.processesEnded, 1);
  assert.equal(kit.processes.stats.processes, 2);
  assert.equal(kit.files.kept, kept - 2);
  assert.equal(kit.discover().length, 0);
  assert.equal(kit.processes.stats.processesFound, 3);
});

Deno.test("a pid that is used again is another process, whether a poll or a discovery sees it first", () => {
  using tree = new Tree();
  tree.start(100, { user: 50, starttime: 1000 });
  using kit = processesOf(tree, [{ pid: 100 }]);
  kit.discover();
  tree.start(100, { user: 7, starttime: 2000 });
  kit.at(1000);
  assert.equal(kit.poll().length, 0, "these values are not those of the old process");
  assert.equal(values(kit.discover())[3], 70_000_000, "the total of the new one");
  tree.start(100, { user: 9, starttime: 3000 });
  kit.at(2000);
  kit.discover();
  kit.at(3000);
  assert.equal(values(kit.discover())[3], 90_000_000);
  assert.equal(kit.processes.stats.processesEnded, 2);
  assert.equal(kit.processes.stats.processes, 1);
});

Deno.test("the first group whose conditions hold takes a process", () => {
  using tree = new Tree();
  tree.start(100, { ppid: 77 });
  tree.start(101, { ppid: 77 });
  tree.start(102, { ppid: 5 });
  Deno.symlinkSync("/usr/bin/python3.12", `${tree.proc}/101/exe`);
  Deno.symlinkSync("/usr/bin/Python3 (deleted)", `${tree.proc}/102/exe`);
  using kit = processesOf(tree, [
    { pid: 1 },
    { exe: rustRegex("python"), ppid: 77 },
    { ppid: 77 },
    { exe: rustRegex("(?i)python") },
  ]);
  // 2 and 77 have no executable that can be read, as kernel threads.
  assert.deepEqual(pids(kit.discover()).sort(), [1, 100, 101, 102]);
  kit.at(1000);
  assert.deepEqual([0, 1, 2, 3].map((group) => pids(kit.poll(group))), [[1], [101], [100], [102]]);
  assert.equal(kit.lines.length, 0);
});

Deno.test("a process that no group takes is looked at again when it gets another parent", () => {
  using tree = new Tree();
  tree.start(100, { ppid: 50 });
  using kit = processesOf(tree, [{ ppid: 9 }]);
  assert.deepEqual(pids(kit.discover()), []);
  tree.start(100, { ppid: 9 });
  assert.deepEqual(pids(kit.discover()), [100]);
  tree.start(100, { ppid: 10 });
  kit.at(1000);
  assert.deepEqual(pids(kit.poll()), [100], "it stays, with what it has used so far");
});

Deno.test("10,000 processes that come and go leave nothing behind", () => {
  using tree = new Tree(null);
  const alive = new Set<number>();
  let openFiles = 0;
  /** Its file has no content any more when a process has ended, whether it is open or not. */
  const open = (path: string): OpenFile => {
    const [, pid, name] = /(\d+)\/(\w+)$/.exec(path)!;
    if (!alive.has(Number(pid))) throw new Deno.errors.NotFound();
    openFiles++;
    return {
      readSync(buffer) {
        if (!alive.has(Number(pid))) throw new Error("No such process (os error 3)");
        const text = name === "stat" ? `${pid} (a) S 1 ${"1 ".repeat(48)}` : "1000 100 50 1 0 10 0\n";
        return new TextEncoder().encodeInto(text, buffer).written;
      },
      seekSync: () => 0,
      close: () => openFiles--,
    };
  };
  using kit = processesOf({ proc: tree.proc, sys: tree.sys, open });
  const folder = (pid: number) => `${tree.proc}/${pid}`;
  for (let i = 0; i < 100; i++) Deno.mkdirSync(folder(1000 + i), { recursive: true });
  for (let first = 1000; first < 11_000; first += 100) {
    for (let i = 0; i < 100; i++) alive.add(first + i);
    kit.at(20 * first);
    assert.equal(pids(kit.discover()).length, 100);
    alive.clear();
    for (let i = 0; i < 100; i++) Deno.renameSync(folder(first + i), folder(first + 100 + i));
    kit.at(20 * first + 1000);
    assert.equal(kit.poll().length, 0);
  }
  const { processes, processesFound, processesEnded } = kit.processes.stats;
  assert.deepEqual([processes, processesFound, processesEnded], [0, 10_000, 10_000]);
  assert.deepEqual([kit.files.kept, openFiles], [0, 0]);
});

/** A machine with these processes alone. */
function treeOf(...pids: number[]): Tree {
  const tree = new Tree();
  for (const pid of [1, 2, 77]) tree.remove(`proc/${pid}`);
  for (const pid of pids) tree.start(pid);
  return tree;
}

Deno.test("a process whose folder is there without its stat has ended, and is none where it was not known", () => {
  using tree = treeOf(100);
  using kit = processesOf(tree);
  kit.discover();
  tree.remove("proc/100/stat");
  for (const ms of [1000, 2000]) {
    kit.at(ms);
    assert.equal(kit.discover().length, 0);
  }
  const { processes, processesFound, processesEnded } = kit.processes.stats;
  assert.deepEqual([processes, processesFound, processesEnded], [0, 1, 1]);
});

Deno.test("a process that is measured goes on when it gets another parent", () => {
  using tree = treeOf(100);
  using kit = processesOf(tree);
  kit.discover();
  tree.start(100, { ppid: 5 });
  for (const ms of [1000, 2000]) {
    kit.at(ms);
    kit.discover();
  }
  assert.deepEqual([kit.processes.stats.processesFound, kit.processes.stats.processesEnded], [1, 0]);
});

Deno.test("a process that cannot be opened for want of files is counted, and found when there are some", () => {
  using tree = treeOf(100, 101);
  let isFull = true;
  const open = (path: string): OpenFile => {
    if (isFull) throw Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
    return Deno.openSync(path);
  };
  using kit = processesOf({ ...tree, proc: tree.proc, open });
  assert.equal(kit.discover().length, 0);
  assert.deepEqual([kit.processes.stats.tooManyOpenFiles, kit.processes.stats.processesFound], [2, 0]);
  isFull = false;
  kit.at(1000);
  assert.deepEqual(pids(kit.discover()).sort(), [100, 101]);
});

Deno.test("a process without an executable fits no expression, whatever that is", () => {
  using tree = treeOf(100);
  using kit = processesOf(tree, [{ exe: rustRegex("null|undefined") }]);
  assert.equal(kit.discover().length, 0);
});

Deno.test("a process that is gone leaves its neighbours where they are", () => {
  using tree = treeOf(100, 101, 102);
  using kit = processesOf(tree);
  const [gone, ...others] = pids(kit.discover());
  tree.remove(`proc/${gone}`);
  kit.at(1000);
  kit.discover();
  assert.deepEqual(pids(kit.poll()), others);
  kit.processes.close();
  assert.deepEqual([kit.processes.stats.processes, kit.files.kept], [0, 0]);
});
