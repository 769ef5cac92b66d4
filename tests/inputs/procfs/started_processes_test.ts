import assert from "node:assert/strict";
import { procfs } from "../../../lib/inputs/procfs.ts";
import type { ProcfsConfig } from "../../../lib/inputs/procfs/config.ts";
import { ProcfsSources } from "../../../lib/inputs/procfs/input.ts";
import type { ProcRoots } from "../../../lib/inputs/polling/files.ts";
import { watchedProcesses } from "../../../lib/inputs/polling/watched_processes.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { closing, measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";

function kit({ isExpected = true, open }: { isExpected?: boolean; open?: ProcRoots["open"] } = {}) {
  const host = new Tree();
  const lines: string[] = [];
  const clock = new FakeClock();
  const { proc, sys } = host;
  const measuring = measuringOf({ proc, sys, ...open && { open } }, lines, clock);
  const watched = measuring.shared.of(watchedProcesses);
  watched.isExpected = isExpected;
  const defaults = procfs.config.defaultValue() as ProcfsConfig;
  const config: ProcfsConfig = { ...defaults, processes: { ...defaults.processes, strategy: "event" } };
  const wanted = new ProcfsSources(measuring).wanted(config).find(({ name }) => name === "processes")!;
  const source = closing(wanted.open());
  const poll = () => rows(pollOnce(source)).filter((row) => !row.startsWith("memory"));
  return { host, lines, clock, measuring, watched, wanted, source, poll };
}

Deno.test("with the strategy event a process is measured from its start event to its end, first with all that it has used", () => {
  const { host, clock, watched, wanted, source, poll } = kit();
  using _ = host;
  using __ = source;
  assert.equal(wanted.intervalMs, 1000);
  host.start(70_000, { user: 5 });
  assert.deepEqual(poll(), []);
  watched.started(70_000, true);
  assert.deepEqual(poll(), [
    "cpu_time_delta{kind=user} local_machine process:70000 50000000",
    "cpu_time_delta{kind=system} local_machine process:70000 0",
    "cpu_time_delta{kind=guest} local_machine process:70000 0",
  ]);
  clock.spend(1000);
  host.start(70_000, { user: 25 });
  const second = poll();
  assert.equal(second[0], "cpu_time_delta{kind=user} local_machine process:70000 200000000");
  assert.equal(second.filter((row) => row.startsWith("cpu_percent")).length, 3);
  watched.ended(70_000);
  assert.deepEqual(poll(), []);
});

Deno.test("one process that is gone costs no other, and a number that comes again is another process", () => {
  const { host, watched, source, poll, measuring } = kit();
  using _ = host;
  using __ = source;
  host.start(70_000, { user: 5 });
  host.start(70_001, { user: 5 });
  watched.started(69_999, true);
  watched.started(70_000, true);
  watched.started(70_001, false);
  assert.equal(poll().length, 6);
  host.start(70_000, { user: 1, starttime: 2000 });
  assert.equal(poll().filter((row) => row.includes("70000")).length, 0);
  watched.ended(70_000);
  watched.started(70_000, false);
  assert.match(poll().find((row) => row.includes("70000"))!, / 10000000$/);
  watched.ended(70_000);
  watched.ended(70_001);
  assert.equal(measuring.files.kept, 0);
});

Deno.test("without exec and watch the strategy event measures no process, and the log says so", () => {
  const { host, lines, source } = kit({ isExpected: false });
  using _ = host;
  using __ = source;
  assert.match(
    lines.join(""),
    /WARN.*No process is measured: with strategy = "event", the commands exec and watch name them/,
  );
});

Deno.test("a process whose number another one has got, or that may not be read, has no points, and no file is open", () => {
  const { host, watched, source, poll, measuring, clock } = kit();
  using _ = host;
  using __ = source;
  for (const pid of [70_000, 70_001]) host.start(pid, { user: 5 });
  for (const pid of [70_000, 70_001]) watched.started(pid, true);
  assert.equal(poll().length, 6);
  clock.spend(1000);
  host.remove("proc/70000");
  assert.ok(poll().every((row) => row.includes("70001")));
  watched.ended(70_001);
  assert.deepEqual([poll(), measuring.files.kept], [[], 0]);
});

Deno.test("16,384 processes are measured at most", () => {
  using tree = new Tree();
  tree.start(1, { user: 5 });
  const stat = Deno.readFileSync(`${tree.proc}/1/stat`);
  let opened = 0;
  const { host, watched, source } = kit({
    open() {
      opened++;
      const readSync = (buffer: Uint8Array) => (buffer.set(stat), stat.length);
      return { readSync, seekSync: () => 0, close: () => {} };
    },
  });
  using _ = host;
  using __ = source;
  for (let pid = 1; pid <= 16_400; pid++) watched.started(pid, true);
  assert.equal(opened, 16_384);
});
