import assert from "node:assert/strict";
import type { Clock } from "../../../lib/base/clock.ts";
import { procfs, ProcfsInput } from "../../../lib/inputs/procfs.ts";
import { config } from "../../../lib/inputs/procfs/config.ts";
import {
  type OpenFile,
  openFilesLimit,
  ProcFiles,
  type ProcRoots,
} from "../../../lib/inputs/polling/files.ts";
import { KernelSource } from "../../../lib/inputs/procfs/kernel.ts";
import { MemorySource, snakeCase } from "../../../lib/inputs/procfs/memory.ts";
import { NetworkSource } from "../../../lib/inputs/procfs/network.ts";
import { registerProcessMetrics } from "../../../lib/inputs/procfs/process.ts";
import { ProcessStat } from "../../../lib/inputs/procfs/process_stat.ts";
import { Processes, type ProcessGroupOptions } from "../../../lib/inputs/procfs/processes.ts";
import { rustRegex, rustRegexProblem } from "../../../lib/inputs/procfs/regex.ts";
import { countCpus, parseAuxv, systemFacts } from "../../../lib/inputs/procfs/system.ts";
import { createLogger } from "../../../lib/base/log.ts";
import { Batch } from "../../../lib/points/measurement.ts";
import { type MetricDefinition, MetricRegistry } from "../../../lib/points/registry.ts";
import { unitUniqueName } from "../../../lib/points/units.ts";
import type { Problem } from "../../../lib/schema.ts";
import { contextWith } from "../../kit/context.ts";
import { pause } from "../../kit/waiting.ts";

const TESTDATA = new URL("../../testdata/", import.meta.url).pathname;
const T = { seconds: 1_795_456_886, nanos: 123_456_000 };
const linux = Deno.build.os === "linux";

/** A copy of the trees in testdata, to be changed. */
class ProcTree implements Disposable {
  readonly root = Deno.makeTempDirSync({ prefix: "procfs_test_" });
  readonly proc = `${this.root}/proc`;
  readonly sys = `${this.root}/proc_sys`;

  constructor() {
    for (const name of ["proc", "proc_sys"]) this.#copy(name);
  }

  #copy(path: string): void {
    Deno.mkdirSync(`${this.root}/${path}`);
    for (const { name, isDirectory } of Deno.readDirSync(TESTDATA + path)) {
      if (isDirectory) this.#copy(`${path}/${name}`);
      else Deno.copyFileSync(`${TESTDATA}${path}/${name}`, `${this.root}/${path}/${name}`);
    }
  }

  read(path: string): string {
    return Deno.readTextFileSync(`${this.proc}/${path}`);
  }

  write(path: string, text: string): void {
    Deno.writeTextFileSync(`${this.proc}/${path}`, text);
  }

  /** Replaces text in a file. */
  edit(path: string, from: string | RegExp, to: string): void {
    const before = this.read(path);
    const after = before.replace(from, to);
    assert.notEqual(after, before, `${from} is not in ${path}`);
    this.write(path, after);
  }

  remove(path: string): void {
    Deno.removeSync(`${this.proc}/${path}`, { recursive: true });
  }

  /** Adds a process that has used `user` ticks. */
  start(pid: number, { user = 0, ppid = 1, starttime = 1000, name = "a" } = {}): void {
    Deno.mkdirSync(`${this.proc}/${pid}`, { recursive: true });
    const rest = `-1 4194304 0 0 0 0 ${user} 0 0 0 20 0 1 0 ${starttime} 4096000 100` + " 0".repeat(28);
    this.write(`${pid}/stat`, `${pid} (${name}) S ${ppid} 1 1 0 ${rest}\n`);
    this.write(`${pid}/statm`, "1000 100 50 1 0 10 0\n");
  }

  /** Ends a process: a file of it that is still open has nothing to read. */
  end(pid: number): void {
    for (const { name } of Deno.readDirSync(`${this.proc}/${pid}`)) this.write(`${pid}/${name}`, "");
    this.remove(`${pid}`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

/** `metric{attribute=value …} resource consumer value` for each row. */
function rows(batch: Batch): string[] {
  return Array.from({ length: batch.length }, (_, row) => {
    assert.equal(batch.seconds[row], T.seconds);
    assert.equal(batch.nanos[row], T.nanos);
    const { metric, resourceKind, resourceId, consumerKind, consumerId, attributes } = batch.series[row];
    const list = attributes.map(([name, value]) => `${name}=${value}`).join(" ");
    const resource = resourceId === "" ? resourceKind : `${resourceKind}:${resourceId}`;
    const consumer = consumerId === "" ? consumerKind : `${consumerKind}:${consumerId}`;
    const value = metric.type === "u64" ? batch.exactValue(row) : batch.values[row];
    return `${metric.name}{${list}} ${resource} ${consumer} ${value}`;
  });
}

function values(batch: Batch): number[] {
  return [...batch.values.subarray(0, batch.length)];
}

function logTo(lines: string[]) {
  return createLogger("test", { level: "debug", write: (line) => lines.push(line) });
}

/** Polls a source into a new batch. */
function pollOnce(source: { poll(batch: Batch, t: typeof T): void }): Batch {
  const batch = new Batch();
  source.poll(batch, T);
  return batch;
}

// ---- Kernel

function kernelOf(tree: ProcTree, lines: string[] = []) {
  const files = new ProcFiles(tree);
  const source = new KernelSource(files, new MetricRegistry(), logTo(lines), 100);
  return Object.assign(source, { [Symbol.dispose]: () => source.close() });
}

Deno.test("kernel has nothing at the first poll, and then the differences, in Alumet's order", () => {
  using tree = new ProcTree();
  using kernel = kernelOf(tree);
  assert.deepEqual(rows(pollOnce(kernel)), []);
  tree.write(
    "stat",
    "cpu  1001 22 303 40100 999 7 72 11 94 15\n" +
      "cpu0 601 11 202 20040 300 3 41 6 52 8\n" +
      "cpu1 400 11 101 20060 200 4 31 5 42 7\n" +
      "ctxt 295648\nprocesses 4470\nprocs_running 3\nprocs_blocked 0\n",
  );
  const states = (resource: string, ...ms: number[]) =>
    ["user", "nice", "system", "idle", "irq", "softirq", "steal", "guest", "guest_nice"].map((state, i) =>
      `kernel_cpu_time{cpu_state=${state}} ${resource} local_machine ${ms[i]}`
    );
  assert.deepEqual(rows(pollOnce(kernel)), [
    ...states("local_machine", 10, 20, 30, 1000, 10, 20, 30, 40, 50),
    ...states("cpu_core:0", 10, 10, 20, 400, 0, 10, 20, 20, 30),
    ...states("cpu_core:1", 0, 10, 10, 600, 10, 10, 10, 20, 20),
    "kernel_context_switches{} local_machine local_machine 100",
    "kernel_new_forks{} local_machine local_machine 3",
    "kernel_n_procs_running{} local_machine local_machine 3",
    "kernel_n_procs_blocked{} local_machine local_machine 0",
  ]);
});

Deno.test("CPUs are told apart by their numbers: one that goes offline moves no other, one that comes starts anew", () => {
  using tree = new ProcTree();
  using kernel = kernelOf(tree);
  pollOnce(kernel);
  const idleOf = (batch: Batch) =>
    rows(batch).filter((row) => row.includes("=idle} cpu_core")).map((row) => row.replace(/.*cpu_core/, ""));
  tree.write("stat", "cpu1 400 10 100 20007 200 3 30 4 40 5\ncpu2 1 1 1 1000 1 1 1 1 1 1\n");
  assert.deepEqual(idleOf(pollOnce(kernel)), [":1 local_machine 70"]);
  tree.write(
    "stat",
    "cpu0 0 0 0 5 0 0 0 0 0 0\ncpu1 400 10 100 20008 200 3 30 4 40 5\ncpu2 1 1 1 1002 1 1 1 1 1 1\n",
  );
  assert.deepEqual(idleOf(pollOnce(kernel)), [":1 local_machine 10", ":2 local_machine 20"]);
});

Deno.test("a kernel counter that goes back has no point, and counts from there", () => {
  using tree = new ProcTree();
  using kernel = kernelOf(tree);
  pollOnce(kernel);
  tree.write("stat", "cpu 1000 20 300 39990 0 6 70 8 90 10\nctxt 5\nprocesses 4468\n");
  const back = rows(pollOnce(kernel));
  assert.ok(!back.some((row) => row.includes("idle") || row.includes("context_switches")));
  assert.ok(back.some((row) => row.startsWith("kernel_new_forks") && row.endsWith(" 1")));
  tree.write("stat", "cpu 1000 20 300 39991 0 6 70 8 90 10\nctxt 6\nprocesses 4468\n");
  const after = rows(pollOnce(kernel));
  assert.ok(after.includes("kernel_cpu_time{cpu_state=idle} local_machine local_machine 10"));
  assert.ok(after.includes("kernel_context_switches{} local_machine local_machine 1"));
});

Deno.test("states and lines that a kernel does not have are no data", () => {
  using tree = new ProcTree();
  using kernel = kernelOf(tree);
  tree.write("stat", "cpu 1 2 3 4\nctxt x\n");
  pollOnce(kernel);
  assert.equal(pollOnce(kernel).length, 4);
});

Deno.test("a /proc/stat of many interrupts is read whole", () => {
  using tree = new ProcTree();
  using kernel = kernelOf(tree);
  tree.edit("stat", /intr .*/, "intr 1" + " 0".repeat(200_000));
  pollOnce(kernel);
  assert.equal(rows(pollOnce(kernel)).at(-1), "kernel_n_procs_blocked{} local_machine local_machine 1");
});

Deno.test("files that are missing are no data, at debug", () => {
  using tree = new ProcTree();
  for (const path of ["stat", "meminfo", "net"]) tree.remove(path);
  const lines: string[] = [];
  using kernel = kernelOf(tree, lines);
  const files = new ProcFiles(tree);
  const registry = new MetricRegistry();
  const sources = [
    kernel,
    new MemorySource(files, registry, logTo(lines), ["MemTotal"]),
    new NetworkSource(files, registry, logTo(lines)),
  ];
  for (const source of sources) assert.equal(pollOnce(source).length + pollOnce(source).length, 0);
  assert.equal(lines.length, 3, lines.join(""));
  for (const line of lines) assert.match(line, /DEBUG test: No data file=/);
});

// ---- Memory

function memoryOf(tree: ProcTree, entries: string[], lines: string[] = []) {
  const source = new MemorySource(new ProcFiles(tree), new MetricRegistry(), logTo(lines), entries);
  return Object.assign(source, { [Symbol.dispose]: () => source.close() });
}

Deno.test("memory has the entries in bytes, in the order of the file, from the first poll on", () => {
  using tree = new ProcTree();
  using memory = memoryOf(tree, ["Mapped", "MemTotal", "Active", "Inactive", "MemTotal"]);
  assert.deepEqual(rows(pollOnce(memory)), [
    "mem_total{} local_machine local_machine 25276502016",
    "active{} local_machine local_machine 452321280",
    "inactive{} local_machine local_machine 920977408",
    "mapped{} local_machine local_machine 22188032",
  ]);
  tree.edit("meminfo", /Mapped: .*/, "Mapped: 1 kB");
  assert.equal(values(pollOnce(memory)).at(-1), 1024);
});

Deno.test("memory entries without a unit, above 2^53 bytes, and with odd names are right; unknown ones are no data", () => {
  using tree = new ProcTree();
  const lines: string[] = [];
  using memory = memoryOf(tree, ["VmallocTotal", "HugePages_Total", "Active(anon)", "MemTotl"], lines);
  assert.deepEqual(rows(pollOnce(memory)), [
    "active(anon){} local_machine local_machine 1564672",
    "vmalloc_total{} local_machine local_machine 14073748835531776",
    "hugepages_total{} local_machine local_machine 7",
  ]);
  pollOnce(memory);
  assert.equal(lines.length, 1);
  assert.match(lines[0], /DEBUG .*No data .*entry=MemTotl/);
});

Deno.test("names of memory metrics are Alumet's", () => {
  const names = {
    a: "a",
    aa: "aa",
    aaa: "aaa",
    snake_case: "snake_case",
    camelCase: "camel_case",
    PascalCase: "pascal_case",
    SReclaimable: "s_reclaimable",
    NFS_Unstable: "nfs_unstable",
    Committed_AS: "committed_as",
    DirectMap4k: "direct_map4k",
    "": "",
    _: "_",
  };
  for (const [entry, name] of Object.entries(names)) assert.equal(snakeCase(entry), name);
});

// ---- Network

function networkOf(tree: ProcTree) {
  const source = new NetworkSource(new ProcFiles(tree), new MetricRegistry(), logTo([]));
  return Object.assign(source, { [Symbol.dispose]: () => source.close() });
}

Deno.test("network has nothing at the first poll, and then the differences, in Alumet's order", () => {
  using tree = new ProcTree();
  using network = networkOf(tree);
  assert.deepEqual(rows(pollOnce(network)), []);
  tree.edit("net/dev", /eth0: .*/, "eth0:122243655 2637 4 6 0 0 0 0 118975 1497 10 12 0 0 0 0");
  const row = (name: string, direction: string, device: string, value: number) =>
    `${name}{interface=${device} direction=${direction}} local_machine local_machine ${value}`;
  const expected = (device: string, values: number[]) =>
    ["rx", "tx"].flatMap((direction, d) =>
      ["network_bytes", "network_packets", "network_packet_drops", "network_errors"].map((name, i) =>
        row(name, direction, device, values[4 * d + i])
      )
    );
  assert.deepEqual(rows(pollOnce(network)), [
    ...expected("lo", [0, 0, 0, 0, 0, 0, 0, 0]),
    ...expected("eth0", [1, 2, 4, 3, 5, 6, 8, 7]),
  ]);
});

Deno.test("an interface that appears later is measured from 0, again when it comes back", () => {
  using tree = new ProcTree();
  using network = networkOf(tree);
  const without = tree.read("net/dev");
  pollOnce(network);
  tree.write("net/dev", without + " veth1: 11 12 13 14 0 0 0 0 15 16 17 18 0 0 0 0\n");
  const added = () => values(pollOnce(network)).slice(16);
  assert.deepEqual(added(), [11, 12, 14, 13, 15, 16, 18, 17]);
  assert.deepEqual(added(), [0, 0, 0, 0, 0, 0, 0, 0]);
  tree.write("net/dev", without);
  assert.deepEqual(added(), []);
  tree.write("net/dev", without + " veth1: 20 12 13 14 0 0 0 0 15 16 17 18 0 0 0 0\n");
  assert.deepEqual(added(), [20, 12, 14, 13, 15, 16, 18, 17]);
});

Deno.test("an interface whose counters go back has no points, and counts from there", () => {
  using tree = new ProcTree();
  using network = networkOf(tree);
  pollOnce(network);
  tree.edit("net/dev", /eth0: .*/, "eth0: 999999999999 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
  assert.equal(pollOnce(network).length, 8, "only lo");
  tree.edit("net/dev", /eth0: .*/, "eth0: 1000000000002 2 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
  assert.deepEqual(values(pollOnce(network)).slice(8), [3, 1, 0, 0, 0, 0, 0, 0]);
});

Deno.test("network counters above 2^53 are exact", () => {
  using tree = new ProcTree();
  using network = networkOf(tree);
  pollOnce(network);
  tree.edit("net/dev", /eth0: .*/, "eth0: 18446744073709551614 9007199254740992 0 0 0 0 0 0 9 9 9 9 0 0 0 0");
  pollOnce(network);
  tree.edit("net/dev", /eth0: .*/, "eth0: 18446744073709551615 9007199254740993 0 0 0 0 0 0 9 9 9 9 0 0 0 0");
  assert.deepEqual(values(pollOnce(network)).slice(8, 10), [1, 1]);
  const huge = " veth1: 18446744073709551615 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
  tree.write("net/dev", tree.read("net/dev") + huge);
  assert.match(rows(pollOnce(network))[16], / 18446744073709551615$/);
});

// ---- Processes

interface ProcessKit extends Disposable {
  processes: Processes;
  files: ProcFiles;
  lines: string[];
  /** Sets the clock, in ms. */
  at(ms: number): void;
  discover(): Batch;
  poll(group?: number, last?: boolean): Batch;
}

function processesOf(roots: ProcRoots, groups: Partial<ProcessGroupOptions>[] = [{}]): ProcessKit {
  let nowMs = 0;
  const clock: Clock = { now: () => T, monotonicMs: () => nowMs, sleep: () => Promise.resolve() };
  const lines: string[] = [];
  const files = new ProcFiles(roots);
  const context = {
    files,
    metrics: registerProcessMetrics(new MetricRegistry()),
    pageSize: 4096,
    ticksPerSecond: 100,
    cpus: 1,
    stat: new ProcessStat(),
  };
  const complete = groups.map((group) => ({ memoryMode: "quick" as const, pollIntervalMs: 1000, ...group }));
  const processes = new Processes(context, complete, clock, logTo(lines));
  const into = (fill: (batch: Batch) => void) => {
    const batch = new Batch();
    fill(batch);
    return batch;
  };
  return {
    processes,
    files,
    lines,
    at: (ms) => nowMs = ms,
    discover: () => into((batch) => processes.discover(batch, T)),
    poll: (group = 0, last = false) => into((batch) => processes.poll(group, batch, T, last)),
    [Symbol.dispose]: () => processes.close(),
  };
}

/** The processes in a batch, in order. */
function pids(batch: Batch): number[] {
  return [...new Set(batch.series.slice(0, batch.length).map((series) => Number(series.consumerId)))];
}

Deno.test("a process is measured when it is found, with its total CPU time, and cpu_percent from then on", () => {
  using tree = new ProcTree();
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
  tree.edit("77/stat", " 30 20 ", " 80 40 ");
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
  using tree = new ProcTree();
  using kit = processesOf(tree, [{ pid: 77 }]);
  kit.discover();
  kit.at(499);
  assert.equal(kit.poll().length, 0);
  const last = rows(kit.poll(0, true));
  assert.equal(last.length, 6);
  assert.ok(!last.some((row) => row.startsWith("cpu_percent")), "too little time for a percentage");
});

Deno.test("statm is read when stat shows that the process has run or has other memory, and each tenth time", () => {
  using tree = new ProcTree();
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
    tree.write("77/statm", `5213 ${n} 0 10 0 4868 0\n`);
    tree.edit("77/stat", before, after);
    assert.equal(resident(), n);
  });
  tree.write("77/statm", "5213 99 0 10 0 4868 0\n");
  for (let n = 1; n < 10; n++) assert.equal(resident(), 5);
  assert.equal(resident(), 99);
});

Deno.test("slow_but_accurate has the memory of smaps_rollup, and none for kernel threads", () => {
  using tree = new ProcTree();
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
  using tree = new ProcTree();
  using kit = processesOf(tree, [{ pid: 1, memoryMode: "slow_but_accurate" }]);
  tree.remove("1/smaps_rollup");
  assert.deepEqual(rows(kit.discover()).map((row) => row.split(" ")[0]), [
    "memory_usage{kind=virtual}",
    "cpu_time_delta{kind=user}",
    "cpu_time_delta{kind=system}",
    "cpu_time_delta{kind=guest}",
  ]);
});

Deno.test("permission denied is counted, and said once for each group", () => {
  using tree = new ProcTree();
  const open = (path: string) => {
    if (path.endsWith("smaps_rollup")) throw new Deno.errors.PermissionDenied("EACCES");
    return Deno.openSync(path);
  };
  tree.start(100);
  using kit = processesOf({ ...tree, proc: tree.proc, open }, [{ pid: 1 }, {
    memoryMode: "slow_but_accurate",
  }]);
  kit.discover();
  kit.at(1000);
  assert.deepEqual(rows(kit.poll(1)).filter((row) => /memory/.test(row) && /:(77|100)/.test(row)).length, 2);
  assert.equal(kit.processes.stats.permissionDenied, 2);
  assert.equal(kit.lines.filter((line) => line.includes("WARN")).length, 1);
  assert.equal(kit.lines.filter((line) => line.includes("DEBUG")).length, 1);
});

Deno.test("processes that may not be seen at all (hidepid) are counted once, and looked at again", () => {
  using tree = new ProcTree();
  let hidden = true;
  const open = (path: string) => {
    if (hidden && path.endsWith("/77/stat")) throw new Deno.errors.PermissionDenied("EPERM");
    return Deno.openSync(path);
  };
  using kit = processesOf({ ...tree, proc: tree.proc, open });
  assert.deepEqual(pids(kit.discover()).sort(), [1, 2]);
  kit.discover();
  assert.equal(kit.processes.stats.permissionDenied, 1);
  hidden = false;
  assert.deepEqual(pids(kit.discover()), [77]);
});

Deno.test("a name with blanks and parentheses does not shift the fields", () => {
  const stat = new ProcessStat();
  const bytes = (name: string) =>
    new TextEncoder().encode(
      `7 (${name}) S 4 1 1 0 -1 0 1 2 3 4 55 66 7 8 20 0 1 0 99 123456 5` + " 0".repeat(18) + " 42 0\n",
    );
  for (const name of ["(sd-pam) x)", "a b", ")", "1 (2) 3 4", "", "tmux: server"]) {
    const text = bytes(name);
    assert.ok(stat.parse(text, text.length));
    assert.deepEqual({ ...stat }, {
      ppid: 4,
      utime: 55,
      stime: 66,
      minflt: 1,
      majflt: 3,
      starttime: 99,
      vsize: 123456,
      rss: 5,
      guestTime: 42,
    });
  }
});

Deno.test("stat without guest time, cut short, or of much memory is parsed as far as it goes", () => {
  const stat = new ProcessStat();
  const parse = (text: string) => stat.parse(new TextEncoder().encode(text), text.length);
  const start = "7 (a) S 4 1 1 -1 -1 0 1 2 3 4 55 66 7 8 20 0 1 0 99 ";
  assert.ok(parse(start + "72057594037923840 5 0\n"));
  assert.equal(stat.guestTime, -1);
  assert.equal(stat.vsize, 72057594037923840n);
  assert.ok(!parse(start.trim()));
  assert.ok(!parse("7 (a"));
});

Deno.test("a process without guest time has no point of that kind", () => {
  using tree = new ProcTree();
  tree.edit("77/stat", /( \S+){10}\n/, "\n");
  using kit = processesOf(tree, [{ pid: 77 }]);
  assert.ok(!rows(kit.discover()).some((row) => row.includes("guest")));
});

Deno.test("CPU time that goes back has no point, and counts from there", () => {
  using tree = new ProcTree();
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
  using tree = new ProcTree();
  tree.start(100, { user: 1234567890123 });
  using kit = processesOf(tree, [{ pid: 100 }]);
  assert.match(rows(kit.discover())[3], / 12345678901230000000$/);
});

Deno.test("a process that ends between two polls is dropped, and its files are closed", () => {
  using tree = new ProcTree();
  using kit = processesOf(tree);
  kit.discover();
  const kept = kit.files.kept;
  tree.end(77);
  kit.at(1000);
  assert.deepEqual(pids(kit.poll()).sort(), [1, 2]);
  assert.equal(kit.processes.stats.processesEnded, 1);
  assert.equal(kit.processes.stats.processes, 2);
  assert.equal(kit.files.kept, kept - 2);
  assert.equal(kit.discover().length, 0);
  assert.equal(kit.processes.stats.processesFound, 3);
});

Deno.test("a process that ends in the middle of a poll has no half of its points", () => {
  using tree = new ProcTree();
  using kit = processesOf(tree, [{ pid: 77 }]);
  kit.discover();
  tree.edit("77/stat", " 30 20 ", " 31 20 ");
  tree.write("77/statm", "");
  tree.remove("77/statm");
  kit.at(1000);
  assert.equal(kit.poll().length, 0);
  assert.equal(kit.processes.stats.processesEnded, 1);
  tree.end(77);
  assert.equal(kit.discover().length, 0);
});

Deno.test("ESRCH from a file that is still open means that the process has ended", () => {
  using tree = new ProcTree();
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

Deno.test("a pid that is used again is another process, whether a poll or a discovery sees it first", () => {
  using tree = new ProcTree();
  tree.start(100, { user: 50, starttime: 1000 });
  using kit = processesOf(tree, [{ pid: 100 }]);
  kit.discover();
  tree.start(100, { user: 7, starttime: 2000 });
  kit.at(1000);
  assert.equal(kit.poll().length, 0, "these are no values of the old process");
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
  using tree = new ProcTree();
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
  using tree = new ProcTree();
  tree.start(100, { ppid: 50 });
  using kit = processesOf(tree, [{ ppid: 9 }]);
  assert.deepEqual(pids(kit.discover()), []);
  tree.start(100, { ppid: 9 });
  assert.deepEqual(pids(kit.discover()), [100]);
  tree.start(100, { ppid: 10 });
  kit.at(1000);
  assert.deepEqual(pids(kit.poll()), [100], "it stays, with what it has used so far");
});

Deno.test("with too many open files, files are opened at each poll, which is said once", () => {
  using tree = new ProcTree();
  for (let pid = 100; pid < 150; pid++) tree.start(pid);
  let opened = 0;
  const open = (path: string): OpenFile => {
    if (opened >= 40) throw Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
    const file = Deno.openSync(path);
    opened++;
    return {
      readSync: (buffer) => file.readSync(buffer),
      seekSync: (offset, whence) => file.seekSync(offset, whence),
      close() {
        opened--;
        file.close();
      },
    };
  };
  using kit = processesOf({ ...tree, proc: tree.proc, open });
  let said = 0;
  kit.files.onLimit = () => said++;
  assert.equal(pids(kit.discover()).length, 53);
  for (let n = 1; n < 4; n++) {
    kit.at(1000 * n);
    const batch = kit.poll();
    assert.equal(pids(batch).length, 53);
    assert.equal(batch.length, 53 * 9);
    assert.ok(opened < 40, "there is room for others");
  }
  assert.equal(said, 1);
  assert.equal(kit.processes.stats.tooManyOpenFiles, 0);
});

Deno.test("at most half of the files that may be open are kept open", () => {
  using tree = new ProcTree();
  tree.edit("self/limits", "1024 ", "8 ");
  for (let pid = 100; pid < 110; pid++) tree.start(pid);
  using kit = processesOf(tree);
  assert.equal(pids(kit.discover()).length, 13);
  assert.equal(kit.files.kept, 4);
  assert.equal(openFilesLimit("Max open files            unlimited            unlimited   files"), Infinity);
  assert.equal(openFilesLimit(undefined), 1024);
});

Deno.test("a process that cannot be read for an unknown reason does not keep others from being measured", () => {
  using tree = new ProcTree();
  let broken = false;
  const open = (path: string): OpenFile => {
    if (broken && path.includes("/77/")) {
      throw Object.assign(new Error("Input/output error"), { code: "EIO" });
    }
    return Deno.openSync(path);
  };
  tree.edit("self/limits", "1024 ", "0 ");
  using kit = processesOf({ ...tree, proc: tree.proc, open });
  kit.discover();
  broken = true;
  kit.at(1000);
  const batch = new Batch();
  assert.throws(() => kit.processes.poll(0, batch, T, false), /Input/);
  assert.deepEqual(pids(batch).sort(), [1, 2]);
  kit.at(2000);
  kit.discover();
  tree.start(100);
  kit.at(3000);
  const found = new Batch();
  assert.throws(() => kit.processes.discover(found, T), /Input/);
  assert.deepEqual(pids(found), [100]);
  broken = false;
  kit.at(4000);
  assert.deepEqual(pids(kit.poll()).sort(), [1, 100, 2, 77]);
});

Deno.test({
  name: "a real process is measured, and killed between two polls without an error",
  ignore: !linux,
  async fn() {
    const child = new Deno.Command("sleep", { args: ["100"] }).spawn();
    using kit = processesOf({}, [{ pid: child.pid }]);
    try {
      assert.deepEqual(pids(kit.discover()), [child.pid]);
      kit.at(1000);
      const [resident, , virtual] = values(kit.poll());
      assert.ok(resident > 100_000 && virtual > resident && virtual < 1e12);
    } finally {
      child.kill("SIGKILL");
      await child.status;
    }
    kit.at(2000);
    assert.equal(kit.poll().length, 0);
    assert.deepEqual(kit.lines, []);
    assert.equal(kit.processes.stats.processesEnded, 1);
  },
});

// ---- Facts, expressions, keys

Deno.test("page size and ticks come from the auxiliary vector", () => {
  const words = new BigUint64Array([33n, 1n, 6n, 65536n, 17n, 250n, 0n, 0n, 6n, 1n]);
  assert.deepEqual(parseAuxv(new Uint8Array(words.buffer)), { pageSize: 65536, ticksPerSecond: 250 });
  using tree = new ProcTree();
  assert.deepEqual(systemFacts(new ProcFiles(tree)), { pageSize: 4096, ticksPerSecond: 100 });
});

Deno.test("lists of CPUs are counted", () => {
  for (const [list, count] of [["0-1\n", 2], ["0", 1], ["0-3,8,10-11\n", 7]] as const) {
    assert.equal(countCpus(list), count);
  }
  for (const list of ["", "\n", "1-2-3", "a"]) assert.equal(countCpus(list), undefined);
});

Deno.test("expressions of Rust match what they match there", () => {
  const cases: [source: string, matching: string[], other: string[]][] = [
    ["", ["", "x"], []],
    ["python", ["/usr/bin/python3"], ["/usr/bin/Python"]],
    ["(?i)python", ["/usr/bin/PYTHON3"], ["/bin/perl"]],
    [r`(?is)^a.b$`, ["A\nB"], ["a\nbc"]],
    [r`(?m)^b$`, ["a\nb"], ["ab"]],
    [r`(?m)\Ab\z`, ["b"], ["a\nb", "b\na"]],
    [r`(?i:A)b`, ["ab", "Ab"], ["AB"]],
    [r`(?P<name>a+)/\z`, ["aa/"], ["aa/b"]],
    [r`^/usr/s?bin/[\w\-.]+$`, ["/usr/sbin/a-b.c"], ["/usr/bin/a b"]],
    [r`a\-b\_\ \#\/\"`, [`a-b_ #/"`], []],
    [r`[[:alpha:]_]+\d{2}$`, ["a_b12"], ["123"]],
    [r`[]a]b[^]c]`, ["]bd", "abd"], ["ab]", "abc"]],
    [r`\p{Lu}\pL\x{e9}\x41`, ["ÉtéA"], ["étéA"]],
    [r`[\[\]]`, ["[", "]"], ["a"]],
  ];
  for (const [source, matching, other] of cases) {
    assert.equal(rustRegexProblem(source), undefined, source);
    const expression = rustRegex(source);
    for (const text of matching) assert.ok(expression.test(text), `${source} matches ${text}`);
    for (const text of other) assert.ok(!expression.test(text), `${source} does not match ${text}`);
  }
});

function r(parts: TemplateStringsArray): string {
  return parts.raw[0];
}

Deno.test("expressions that are wrong, or have no counterpart, are refused with a reason", () => {
  for (
    const source of [
      "(",
      "a{2",
      "[a",
      "(?x)a b",
      "(?U)a+",
      "[a&&b]",
      "[a[bc]]",
      "[[:foo:]]",
      r`\Z`,
      r`a\<`,
      "*",
    ]
  ) {
    assert.match(
      rustRegexProblem(source) ?? "",
      /^this is no regular expression that can be used: ./,
      source,
    );
  }
});

function check(value: unknown) {
  const problems: Problem[] = [];
  return { config: config.check(value, [], (problem) => problems.push(problem)), problems };
}

Deno.test("the keys, the defaults and the recorded configuration are those of Alumet", () => {
  assert.deepEqual(config.defaultValue(), {
    kernel: { enabled: true, poll_interval: 5000 },
    memory: {
      enabled: true,
      poll_interval: 5000,
      metrics: [
        "MemTotal",
        "MemFree",
        "MemAvailable",
        "Cached",
        "SwapCached",
        "Active",
        "Inactive",
        "Mapped",
      ],
    },
    network: { enabled: true, poll_interval: 5000 },
    processes: {
      enabled: true,
      refresh_interval: 2000,
      strategy: "watcher",
      groups: [{
        pid: undefined,
        ppid: undefined,
        exe_regex: "",
        poll_interval: 2000,
        flush_interval: 4000,
        memory_mode: "quick",
      }],
      events: { poll_interval: 1000, flush_interval: 4000, memory_mode: "quick" },
    },
  });
  const recorded = check({
    kernel: { enabled: true, poll_interval: "500ms" },
    processes: {
      enabled: true,
      refresh_interval: "2s",
      strategy: "watcher",
      groups: [{ exe_regex: "", poll_interval: "500ms", flush_interval: "1s", memory_mode: "quick" }],
      events: { poll_interval: "1s", flush_interval: "4s", memory_mode: "quick" },
    },
  });
  assert.deepEqual(recorded.problems, []);
  assert.equal(recorded.config.processes.groups[0].flush_interval, 1000);
});

Deno.test("an expression that is wrong is a problem of its key", () => {
  const { problems } = check({ processes: { groups: [{ exe_regex: "ok" }, { exe_regex: "(" }] } });
  assert.deepEqual(problems.map(({ path }) => path.join(".")), ["processes.groups.1.exe_regex"]);
});

// ---- The plugin

class RecordingRegistry extends MetricRegistry {
  readonly registered: string[] = [];

  override register(definition: MetricDefinition, suffix?: string) {
    this.registered.push(`${definition.name} ${definition.type} ${unitUniqueName(definition.unit)}`);
    return super.register(definition, suffix);
  }
}

function contextOf(lines: string[] = []) {
  return contextWith({ log: logTo(lines), registry: new RecordingRegistry() });
}

Deno.test("opening registers the metrics of the recorded session, in their order", async () => {
  using tree = new ProcTree();
  const context = contextOf();
  await using _ = new ProcfsInput(config.defaultValue(), context, tree);
  assert.deepEqual(context.registry.registered, [
    "kernel_cpu_time u64 millis",
    "kernel_context_switches u64 1",
    "kernel_new_forks u64 1",
    "kernel_n_procs_running u64 1",
    "kernel_n_procs_blocked u64 1",
    "mem_total u64 By",
    "mem_free u64 By",
    "mem_available u64 By",
    "cached u64 By",
    "swap_cached u64 By",
    "active u64 By",
    "inactive u64 By",
    "mapped u64 By",
    "network_bytes u64 By",
    "network_packets u64 1",
    "network_packet_drops u64 1",
    "network_errors u64 1",
    "cpu_time_delta u64 nanos",
    "cpu_percent f64 %",
    "memory_usage u64 By",
  ]);
});

Deno.test("parts that are not enabled register nothing, and an input without parts waits for the stop", async () => {
  const settings = config.defaultValue();
  for (const part of [settings.kernel, settings.memory, settings.network, settings.processes]) {
    part.enabled = false;
  }
  using tree = new ProcTree();
  const context = contextOf();
  await using input = new ProcfsInput(settings, context, tree);
  assert.deepEqual(context.registry.registered, []);
  const stop = new AbortController();
  const running = input.run({ push: () => assert.fail() }, stop.signal);
  stop.abort();
  await running;
});

Deno.test("the strategy event measures no process, and says so", async () => {
  using tree = new ProcTree();
  const settings = config.defaultValue();
  settings.processes.strategy = "event";
  const lines: string[] = [];
  const stop = new AbortController();
  await using input = new ProcfsInput(settings, contextOf(lines), tree);
  stop.abort();
  const kinds = new Set<string>();
  await input.run({
    push: (batch) =>
      batch.series.slice(0, batch.length).forEach(({ consumerKind }) => kinds.add(consumerKind)),
  }, stop.signal);
  assert.deepEqual([...kinds], ["local_machine"]);
  assert.equal(lines.length, 1);
  assert.match(lines[0], /WARN .*No process will be measured/);
});

Deno.test("without /proc, opening fails and says what is needed", () => {
  assert.throws(
    () => new ProcfsInput(config.defaultValue(), contextOf(), { proc: "/nonexistent/proc" }),
    (error: Error & { exitCode: number }) => error.exitCode === 69 && /needs Linux/.test(error.message),
  );
});

Deno.test("an error of the sink ends all parts", async () => {
  using tree = new ProcTree();
  const context = contextOf();
  await using input = new ProcfsInput(config.defaultValue(), context, tree);
  const sink = { push: () => Promise.reject(new Error("full")) };
  const began = performance.now();
  await assert.rejects(input.run(sink, new AbortController().signal), /full/);
  assert.ok(performance.now() - began < 1000, "no part sleeps on");
});

Deno.test({
  name: "the plugin measures this machine, from the start to the stop",
  ignore: !linux,
  async fn() {
    const settings = config.defaultValue();
    for (const part of [settings.kernel, settings.memory, settings.network]) part.poll_interval = 10;
    settings.processes.groups[0].poll_interval = 10;
    settings.processes.groups[0].flush_interval = 20;
    const lines: string[] = [];
    const context = contextOf(lines);
    await using input = await procfs.open(settings, context);
    const stop = new AbortController();
    const seen = new Set<string>();
    let points = 0;
    const wanted = ["kernel_cpu_time", "mem_total", "cpu_time_delta", "cpu_percent", "memory_usage"];
    await input.run({
      push(batch) {
        points += batch.length;
        for (let row = 0; row < batch.length; row++) {
          const { metric } = batch.series[row];
          seen.add(metric.name);
          assert.ok(batch.values[row] >= 0 && Number.isFinite(batch.values[row]));
          assert.ok(Math.abs(batch.seconds[row] - Date.now() / 1000) < 60);
          if (metric.type === "u64") assert.ok(batch.exactValue(row) < 2n ** 64n);
        }
        batch.release();
        if (wanted.every((name) => seen.has(name))) stop.abort();
      },
    }, stop.signal);
    assert.equal(input.stats?.points, points);
    assert.ok(input.stats?.processes);
    assert.equal(input.stats?.failedPolls, 0);
    assert.ok(!lines.some((line) => line.includes("ERROR")));
  },
});

/** Runs the input, and counts the points of each metric. */
function running(input: ProcfsInput) {
  const stop = new AbortController();
  const counts = new Map<string, number>();
  const done = input.run({
    push(batch) {
      for (let row = 0; row < batch.length; row++) {
        const { name } = batch.series[row].metric;
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
      batch.release();
    },
  }, stop.signal);
  const count = (name: string) => counts.get(name) ?? 0;
  return {
    count,
    async stop() {
      stop.abort();
      await done;
    },
    /** Waits until there are `more` points than there were. */
    async grown(name: string, more: number): Promise<void> {
      const before = count(name);
      for (const began = performance.now(); count(name) < before + more;) {
        assert.ok(performance.now() - began < 10_000, `${count(name) - before} of ${more} points of ${name}`);
        await pause(5);
      }
    },
  };
}

Deno.test("intervals change while it runs, and processes keep what was known of them", async () => {
  using tree = new ProcTree();
  tree.start(500, { user: 100 });
  const settings = config.defaultValue();
  for (const part of [settings.kernel, settings.memory, settings.network, settings.processes.groups[0]]) {
    part.poll_interval = 3_600_000;
  }
  settings.processes.refresh_interval = 3_600_000;
  await using input = new ProcfsInput(settings, contextOf(), tree);
  const run = running(input);
  assert.equal(run.count("mem_total"), 1, "it is polled at once");
  assert.equal(input.stalledSince, undefined);

  const fast = structuredClone(settings);
  fast.memory.poll_interval = 5;
  fast.processes.groups[0].poll_interval = 5;
  fast.processes.groups[0].flush_interval = 5;
  input.reconfigure(fast);
  await run.grown("mem_total", 5);
  await run.grown("cpu_time_delta", 5);
  const kernel = run.count("kernel_context_switches");
  assert.ok(kernel <= 1, "the kernel's interval is an hour, and it was polled once more");
  const { processesFound, processesEnded } = input.stats;
  input.reconfigure(settings);
  await pause(50);
  const slow = run.count("mem_total");
  await pause(50);
  assert.equal(run.count("mem_total"), slow, "it is slow again");
  assert.deepEqual([input.stats.processesFound, input.stats.processesEnded], [
    processesFound,
    processesEnded,
  ]);
  await run.stop();
});

Deno.test("parts of the whole system are switched on and off while it runs, the others are not touched", async () => {
  using tree = new ProcTree();
  const settings = config.defaultValue();
  for (const part of [settings.kernel, settings.memory, settings.network]) part.poll_interval = 5;
  settings.processes.enabled = settings.kernel.enabled = false;
  const context = contextOf();
  await using input = new ProcfsInput(settings, context, tree);
  const run = running(input);
  await run.grown("network_bytes", 3);
  assert.equal(run.count("kernel_cpu_time"), 0);

  const other = structuredClone(settings);
  other.kernel.enabled = true;
  other.network.enabled = false;
  other.memory.metrics = ["MemFree"];
  input.reconfigure(other);
  const [total, network] = [run.count("mem_total"), run.count("network_bytes")];
  await run.grown("kernel_context_switches", 3);
  await run.grown("mem_free", 3);
  assert.deepEqual([run.count("mem_total"), run.count("network_bytes")], [total, network]);

  for (const part of [other.kernel, other.memory]) part.enabled = false;
  input.reconfigure(structuredClone(other));
  const free = run.count("mem_free");
  await pause(30);
  assert.equal(run.count("mem_free"), free, "nothing is left to poll");
  input.reconfigure(settings);
  await run.grown("network_bytes", 3);
  await run.stop();
});

Deno.test("a poll that is due and does not come is a stall, waiting for the sink is none", async () => {
  using tree = new ProcTree();
  const settings = config.defaultValue();
  settings.processes.enabled = settings.kernel.enabled = settings.network.enabled = false;
  settings.memory.poll_interval = 20;
  let ms = 0;
  const wakes: (() => void)[] = [];
  const clock: Clock = {
    now: () => T,
    monotonicMs: () => ms,
    sleep: (_, signal) =>
      new Promise((resolve) => {
        wakes.push(resolve);
        signal?.addEventListener("abort", () => resolve(), { once: true });
      }),
  };
  let full = false;
  await using input = new ProcfsInput(settings, { ...contextOf(), clock }, tree);
  const stop = new AbortController();
  const done = input.run({ push: () => full ? new Promise<void>(() => {}) : undefined }, stop.signal);
  await pause(1);
  assert.equal(input.stalledSince, undefined);
  ms = 1020;
  const stalledMs = performance.now() - input.stalledSince!;
  assert.ok(stalledMs > 999 && stalledMs < 1500, `${stalledMs}`);
  full = true;
  wakes.pop()!();
  await pause(1);
  ms = 100_000;
  assert.equal(input.stalledSince, undefined);
  stop.abort();
  await done;
  assert.equal(input.stalledSince, undefined);
});
