import assert from "node:assert/strict";
import { ControlGroups } from "../../../lib/inputs/cgroups/groups.ts";
import { perfRootOf } from "../../../lib/inputs/cgroups/hierarchies.ts";
import { perf } from "../../../lib/inputs/perf.ts";
import type { PerfConfig } from "../../../lib/inputs/perf/config.ts";
import { PerfSource } from "../../../lib/inputs/perf/source.ts";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import {
  EACCES,
  EMFILE,
  EPERM,
  ESRCH,
  type PerfCounter,
  type PerfCounters,
  type PerfTarget,
  systemPerfEvents,
} from "../../../lib/inputs/polling/perf_events.ts";
import { watchedProcesses } from "../../../lib/inputs/polling/watched_processes.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { FakePerf } from "../../kit/fake_perf.ts";
import { closing, collect, measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { kernelAllows, linux, type Need } from "../../kit/needs.ts";
import { Tree } from "../../kit/tree.ts";

const EVENTS = ["CPU_CYCLES", "INSTRUCTIONS"];

function kit(keys: Partial<PerfConfig> = {}, events: PerfCounters | null = new FakePerf(), roots = {}) {
  const lines: string[] = [];
  const clock = new FakeClock();
  const measuring = measuringOf(roots, lines, clock);
  const config = { ...perf.config.defaultValue() as PerfConfig, events: EVENTS, ...keys };
  const source = closing(new PerfSource(config, measuring, events));
  return {
    lines,
    clock,
    source,
    groups: ControlGroups.of(measuring),
    processes: measuring.shared.of(watchedProcesses),
    findings: () => measuring.findings.list,
    poll: () => rows(pollOnce(source)),
    [Symbol.dispose]: () => source[Symbol.dispose](),
  };
}

/** The process may have so many files open. */
function limitFiles(tree: Tree, files: number): void {
  tree.write(
    "proc/self/limits",
    `Max open files            ${files}                  ${files}                  files\n`,
  );
}

/** A machine with two CPUs. */
function machine(): Tree {
  const tree = new Tree(null);
  tree.write("proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
  tree.write("sys/devices/system/cpu/online", "0,2\n");
  return tree;
}

Deno.test("events are counted for each group that another input knows, on each CPU, with what it knows of it", () => {
  using tree = machine();
  const events = new FakePerf();
  using input = kit({}, events, tree);
  input.groups.tell("/a", [["job_id", 5n]], true);
  input.poll();
  assert.equal(events.openNow, 4);
  events.count(100, 50, [10, 3]);
  assert.deepEqual(input.poll(), [
    "perf_cpu_cycles{job_id=5} cpu_core:0 cgroup:/a 20",
    "perf_instructions{job_id=5} cpu_core:0 cgroup:/a 6",
    "perf_cpu_cycles{job_id=5} cpu_core:2 cgroup:/a 20",
    "perf_instructions{job_id=5} cpu_core:2 cgroup:/a 6",
  ]);
  input.groups.tell("/a", [["job_id", 5n], ["user", "toto"]], false);
  assert.match(input.poll()[0], /^perf_cpu_cycles\{job_id=5 user=toto\} .* 0$/);
  // What was counted until its end comes with the next poll.
  events.count(100, 100, [7, 1]);
  input.groups.untell("/a");
  assert.match(input.poll()[0], / cgroup:\/a 7$/);
  assert.equal(events.openNow, 0);
  assert.deepEqual(input.poll(), []);
});

Deno.test("with per_cpu = false a group has one point for each event, the sum over the CPUs", () => {
  using tree = machine();
  const events = new FakePerf();
  using input = kit({ per_cpu: false }, events, tree);
  input.groups.tell("/", [], true);
  input.poll();
  events.count(100, 100, [10, 3]);
  assert.deepEqual(input.poll(), [
    "perf_cpu_cycles{} local_machine cgroup:/ 20",
    "perf_instructions{} local_machine cgroup:/ 6",
  ]);
});

Deno.test("another set of online CPUs, and a group that could not be counted, are taken up within a minute", async () => {
  using tree = machine();
  const events = new FakePerf();
  events.refuseFolder = (path) => path.endsWith("/late");
  using input = kit({}, events, tree);
  input.groups.tell("/a", [], true);
  input.groups.tell("/late", [], true);
  input.poll();
  assert.equal(events.openNow, 4);
  tree.write("sys/devices/system/cpu/online", "0-2\n");
  events.refuseFolder = () => false;
  await input.clock.advance(60_000);
  input.poll();
  assert.equal(events.openNow, 12);
});

Deno.test("10,000 groups that come and go leave no descriptor behind, and too many at once are refused", () => {
  using tree = machine();
  limitFiles(tree, 400);
  const events = new FakePerf();
  using input = kit({}, events, tree);
  input.poll();
  for (let round = 0; round < 100; round++) {
    for (let i = 0; i < 100; i++) input.groups.tell(`/${round}/${i}`, [], true);
    input.poll();
    assert.equal(events.openNow, 200);
    for (let i = 0; i < 100; i++) input.groups.untell(`/${round}/${i}`);
    input.poll();
    assert.equal(events.openNow, 0);
  }
  assert.equal(input.lines.length, 1);
  assert.match(
    input.lines[0],
    /WARN.*Some control groups are not counted: too many files would be open limit=200/,
  );
});

Deno.test("what may not be counted is said once, with the command that allows it", () => {
  using tree = machine();
  const events = new FakePerf();
  events.refuse = (_, { isGroup }) => isGroup ? EACCES : undefined;
  using input = kit({}, events, tree);
  input.groups.tell("/a", [], true);
  input.groups.tell("/b", [], true);
  assert.deepEqual(input.poll(), []);
  assert.equal(input.lines.length, 1);
  assert.match(
    input.lines[0],
    /WARN.*Cannot read events of control groups: permission denied .*allow="sudo sysctl kernel.perf_event_paranoid=0"/,
  );
  assert.equal(events.openNow, 0);
});

Deno.test("a group is counted on all CPUs or not at all: half a sum would be wrong", () => {
  using tree = machine();
  const events = new FakePerf();
  events.refuse = ({ config }, { cpu }) => cpu === 2 && config === 1n ? EMFILE : undefined;
  using input = kit({}, events, tree);
  input.groups.tell("/a", [], true);
  input.poll();
  assert.equal(events.openNow, 0);
});

Deno.test("an event that this machine does not have is left out, and the others are counted", () => {
  using tree = machine();
  const events = new FakePerf();
  events.refuse = ({ config }) => config === 0n ? -2 : undefined;
  using input = kit({}, events, tree);
  input.groups.tell("/a", [], true);
  input.poll();
  events.count(1, 1, [10, 3]);
  assert.match(input.poll()[0], /^perf_instructions\{\} cpu_core:0 cgroup:\/a 3$/);
  assert.match(
    input.lines.join(""),
    /Cannot count the event CPU_CYCLES: this machine does not have it \(error 2\)/,
  );
  using nothing = kit({}, null, tree);
  assert.deepEqual(nothing.poll(), []);
  assert.match(nothing.findings()[0].problem!, /no C library/);
});

Deno.test("an event is tried on this process itself, on any CPU, and closed again, be its descriptor 0", () => {
  using tree = machine();
  for (const error of [0, EPERM, EACCES, EMFILE]) {
    const asked: string[] = [];
    const closed: number[] = [];
    const events = Object.assign(new FakePerf(), {
      openCounter: (_: PerfCounter, { id, isGroup, cpu, leader }: PerfTarget) => {
        asked.push(`${id} ${isGroup} ${cpu} ${leader}`);
        return error;
      },
      close: (descriptor: number) => void closed.push(descriptor),
    });
    using input = kit({ events: ["CPU_CYCLES"] }, events, tree);
    assert.deepEqual([asked, closed], [["0 false -1 -1"], error === 0 ? [0] : []]);
    assert.ok(!input.source.isIdle);
    assert.deepEqual(
      input.findings().map(({ problem }) => problem),
      [undefined],
      "whether it may is another question",
    );
  }
  using idle = kit({ events: ["no such event"] }, new FakePerf(), tree);
  assert.ok(idle.source.isIdle);
  assert.deepEqual(idle.poll(), []);
});

/** A machine with processes of so many threads. */
function machineWith(threads: Record<number, number>): Tree {
  const tree = machine();
  for (const [pid, count] of Object.entries(threads)) {
    for (let n = 0; n < count; n++) tree.write(`proc/${pid}/task/${Number(pid) + n}/comm`, "x\n");
  }
  return tree;
}

Deno.test("a process that is asked for is counted by its threads until its end, its descendants with it", () => {
  using tree = machineWith({ 10: 2, 20: 1, 30: 1 });
  const events = new FakePerf();
  using input = kit({}, events, tree);
  for (const [pid, isRoot] of [[10, true], [20, true], [30, false]] as const) {
    input.processes.started(pid, isRoot);
  }
  assert.equal(events.openNow, 2 * 3);
  events.count(100, 100, [10, 3]);
  const rows = [
    "perf_cpu_cycles{} local_machine process:10 20",
    "perf_instructions{} local_machine process:10 6",
  ];
  const others = rows.map((row) => row.replace(":10", ":20").replace(/\d+$/, (n) => String(Number(n) / 2)));
  assert.deepEqual(input.poll(), [...rows, ...others]);
  // It stays as it is when CPUs and groups are looked at again.
  let opened = 0;
  events.refuse = () => (opened++, undefined);
  input.clock.spend(60_000);
  events.count(100, 100, [10, 3]);
  input.processes.ended(10);
  assert.deepEqual([input.poll(), opened], [[...rows, ...others], 0]);
  assert.equal(events.openNow, 2);
  events.isUnreadable = true;
  const lines: string[] = [];
  assert.equal(collect((points) => input.source.poll(points), lines).length, 0);
  assert.deepEqual(lines, [], "no value is refused: there is none");
});

Deno.test("a process that has ended meanwhile is not counted, one that may not be is said, and the others are", () => {
  for (const [error, said] of [[ESRCH, 0], [EPERM, 1], [EACCES, 1]]) {
    using tree = machineWith({ 10: 1, 20: 1 });
    const events = new FakePerf();
    using input = kit({}, events, tree);
    events.refuse = (_, { id }) => id === 10 ? error : undefined;
    for (const pid of [10, 20]) input.processes.started(pid, true);
    assert.equal(input.poll().length, 2);
    const warnings = input.lines.filter((line) => /WARN.*Cannot read events of processes/.test(line));
    assert.deepEqual([warnings.length, input.lines.length], [said, said]);
  }
});

Deno.test("the first groups take as many files as there is room for", () => {
  for (const [files, counted] of [[8, 4], [7, 0]]) {
    using tree = machine();
    limitFiles(tree, files);
    const events = new FakePerf();
    using input = kit({}, events, tree);
    input.groups.tell("/a", [], true);
    input.poll();
    assert.equal(events.openNow, counted);
  }
});

Deno.test("a command is counted with what was opened before it began, once for each command", () => {
  using tree = machineWith({ 10: 2, 20: 1 });
  const events = new FakePerf();
  using input = kit({ events: ["INSTRUCTIONS"] }, events, tree);
  input.processes.prepare();
  input.processes.prepare();
  assert.equal(events.openNow, 1, "those of a command that did not begin are closed");
  input.processes.started(10, true);
  assert.equal(events.openNow, 1);
  events.count(100, 100, [10, 3]);
  assert.deepEqual(input.poll(), ["perf_instructions{} local_machine process:10 3"]);
  input.processes.started(20, true);
  assert.equal(events.openNow, 2, "what was not prepared is counted by its threads");
  assert.deepEqual(input.lines, []);
  events.refuse = () => EACCES;
  input.processes.prepare();
  input.processes.started(10, true);
  assert.match(input.lines.join(""), /WARN.*Cannot read events of commands: permission denied/);
});

Deno.test("without events, a C library or control groups nothing is counted, and nothing fails", () => {
  using tree = machineWith({ 10: 1 });
  const events = new FakePerf();
  for (const [names, perf] of [[["no such event"], events], [EVENTS, null]] as const) {
    using input = kit({ events: [...names] }, perf, tree);
    input.processes.prepare();
    input.processes.started(10, true);
    input.groups.tell("/a", [], true);
    assert.deepEqual(input.poll(), []);
  }
  tree.write("proc/mounts", "");
  using input = kit({}, events, tree);
  input.groups.tell("/a", [], true);
  assert.deepEqual([input.poll(), events.openNow], [[], 0]);
});

Deno.test("groups are counted from the first poll on, then at once, and are not opened again each minute", () => {
  using tree = machine();
  tree.write("sys/devices/system/cpu/online", "1\n");
  const events = new FakePerf();
  using input = kit({}, events, tree);
  input.groups.tell("/a", [], true);
  assert.equal(events.openNow, 0);
  input.poll();
  assert.equal(events.openNow, 2);
  input.groups.tell("/b", [], true);
  assert.equal(events.openNow, 4);
  let opened = 0;
  events.refuse = () => (opened++, undefined);
  input.groups.tell("/b", [["job_id", 5n]], false);
  input.clock.spend(60_000);
  input.poll();
  assert.deepEqual([opened, events.openNow], [0, 4]);
  // What failed is tried again after a minute, and not before.
  events.refuseFolder = () => (opened++, true);
  input.groups.tell("/c", [], true);
  const tried = [1, 59_998, 1].map((ms) => (input.clock.spend(ms), input.poll(), opened));
  assert.deepEqual(tried, [1, 1, 2]);
});

Deno.test("groups take as many files as there is room for, those of all polls counted", () => {
  for (const [files, groups] of [[14, 1], [16, 2]]) {
    using tree = machine();
    limitFiles(tree, files);
    const events = new FakePerf();
    using input = kit({}, events, tree);
    for (const path of ["/a", "/b", "/c"]) {
      input.poll();
      input.groups.tell(path, [], true);
    }
    // Each takes two events on two CPUs.
    assert.equal(events.openNow, 4 * groups);
  }
});

/** Runs a shell that starts another one, which computes in a child of its own. */
const SCRIPT = "for n in 1 2; do (i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done); done; true";
const SOFTWARE = { events: ["TASK_CLOCK#u:k", "PAGE_FAULTS#u:k", "CONTEXT_SWITCHES#u:k"] };

/** The sum of a metric over points. */
const sum = (rows: readonly string[], metric: string) =>
  rows.filter((row) => row.startsWith(metric)).reduce((sum, row) => sum + Number(row.split(" ").at(-1)), 0);

/** This process may count events of its own. */
const counting: Need = () => {
  const { processes, poll, ...input } = kit(SOFTWARE, systemPerfEvents());
  using _ = input;
  processes.started(Deno.pid, true);
  return poll().length > 0 ? undefined : "needs perf events (kernel.perf_event_paranoid, seccomp)";
};

Deno.test({
  name: "a command is counted from its first instruction to its last, with its children",
  ...kernelAllows(linux, counting),
  async fn() {
    using input = kit(SOFTWARE, systemPerfEvents());
    input.processes.prepare();
    const child = new Deno.Command("sh", { args: ["-c", `${SCRIPT}; times`], stdout: "piped" }).spawn();
    input.processes.started(child.pid, true);
    const first = input.poll();
    const { stdout } = await child.output();
    input.processes.ended(child.pid);
    const counts = [...first, ...input.poll()];
    assert.deepEqual(input.poll(), []);
    const seconds = [...new TextDecoder().decode(stdout).matchAll(/(\d+)m([\d.]+)s/g)]
      .reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0);
    const counted = sum(counts, "perf_task_clock") / 1e9;
    assert.ok(
      Math.abs(counted - seconds) < 0.05 + 0.3 * seconds,
      `${counted} s, the shell says ${seconds} s`,
    );
    assert.ok(sum(counts, "perf_page_faults") > 100, counts.join("\n"));
  },
});

Deno.test({
  name: "a process that runs already is counted from now on, with what its threads start",
  ...kernelAllows(linux, counting),
  async fn() {
    using input = kit(SOFTWARE, systemPerfEvents());
    const child = new Deno.Command("sh", { args: ["-c", `read go; ${SCRIPT}`], stdin: "piped" }).spawn();
    input.processes.started(child.pid, true);
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("go\n"));
    await writer.close();
    await child.status;
    input.processes.ended(child.pid);
    const counts = input.poll();
    assert.ok(sum(counts, "perf_task_clock") > 1e6, counts.join("\n"));
    assert.ok(counts.every((row) => row.includes(` local_machine process:${child.pid} `)));
  },
});

const NAME = `alumet-relay-perf-${Deno.pid}`;
const root = perfRootOf(new ProcFiles());

/** The kernel lets this process make groups, and count for them. */
const countedGroups: Need = () => {
  try {
    Deno.mkdirSync(`${root}/${NAME}`);
  } catch {
    return "needs the right to make control groups (root)";
  }
  try {
    using input = kit(SOFTWARE, systemPerfEvents());
    input.groups.tell(`/${NAME}`, [], true);
    return input.poll().length > 0 ? undefined : "needs perf events of control groups (root, seccomp)";
  } finally {
    Deno.removeSync(`${root}/${NAME}`);
  }
};

Deno.test({
  name: "a group of the kernel is counted for the processes in it, and for no others",
  ...kernelAllows(linux, countedGroups),
  async fn() {
    using input = kit(SOFTWARE, systemPerfEvents());
    const folder = `${root}/${NAME}`;
    Deno.mkdirSync(folder);
    try {
      input.groups.tell(`/${NAME}`, [], true);
      const idle = input.poll();
      assert.equal(sum(idle, "perf_task_clock"), 0);
      const script = `echo $$ > ${folder}/cgroup.procs; ${SCRIPT}`;
      await new Deno.Command("sh", { args: ["-c", script] }).output();
      const counts = input.poll();
      assert.ok(sum(counts, "perf_task_clock") > 1e6, counts.join("\n"));
      assert.ok(counts.every((row) => / cpu_core:\d+ cgroup:\/alumet-relay-perf-/.test(row)));
    } finally {
      Deno.removeSync(folder);
    }
  },
});
