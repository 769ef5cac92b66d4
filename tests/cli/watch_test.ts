/** What `watch` measures of a running process, and what `exec` and `watch` give to other inputs and outputs. */
import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { ProcessTree } from "../../lib/cli/exec/process_tree.ts";
import type { Report } from "../../lib/cli/exec/report.ts";
import { systemPerfEvents } from "../../lib/inputs/polling/perf_events.ts";
import { watchedProcesses } from "../../lib/inputs/polling/watched_processes.ts";
import { definePlugin, type InputPlugin } from "../../lib/plugin.ts";
import { table } from "../../lib/schema.ts";
import { untilAborted } from "../../lib/base/waiting.ts";
import { PROGRAM } from "../kit/process.ts";
import { kernelAllows, linux, type Need } from "../kit/needs.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { Tree } from "../kit/tree.ts";
import { until } from "../kit/waiting.ts";
import { usageError } from "./running.ts";

/** Runs a command in this process. */
async function run(...args: string[]) {
  let err = "";
  const code = await main(args, { stderr: (text) => err += text, env: () => undefined });
  return { code, err };
}

/**
 * The same with one input alone, which calls `begun` when inputs run, and `found` when a descendant of the process is
 * found.
 */
async function runWith(begun: () => void, found: () => void, ...args: string[]) {
  let err = "";
  const input = definePlugin<Record<never, never>, InputPlugin<Record<never, never>>>({
    name: "begin",
    kind: "input",
    isLocal: true,
    measuresEnergy: true,
    description: "Says when inputs run",
    config: table({}, { doc: "Nothing." }),
    open(_, { shared }) {
      shared.of(watchedProcesses).listen({
        started: (_, isRoot) => isRoot ? undefined : found(),
        ended: () => {},
      });
      return Promise.resolve({
        run: async (_, stop) => {
          begun();
          await untilAborted(stop);
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      });
    },
  });
  const plugins = () => Promise.resolve([input]);
  const code = await main(args, { stderr: (text) => err += text, env: () => undefined, plugins });
  return { code, err };
}

/** The report, which is all that is said. */
const reportOf = (err: string) => {
  assert.equal(err.split("\n").length, 2, err);
  return JSON.parse(err) as Report;
};

const BURN = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";

/** A shell that waits for a line before it runs the script. */
function waiting(script: string) {
  const child = new Deno.Command("sh", { args: ["-c", `read go; ${script}`], stdin: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  return { child, writer, go: () => void writer.write(new TextEncoder().encode("go\n")) };
}

Deno.test("a running process is measured until it ends, with what it starts meanwhile", async () => {
  // What it starts is found by a look, which sees what it has used by then.
  const { child, go, writer } = waiting(`${BURN}; sleep 1000 & read go; kill $!`);
  const { code, err } = await runWith(go, go, "watch", "--json", String(child.pid));
  await child.status;
  await writer.close().catch(() => {});
  assert.equal(code, 0, err);
  const report = reportOf(err);
  assert.equal(report.exit_code, null);
  assert.match(report.command[0], /sh$/);
  assert.ok(report.cpu_time_s.mean > 0.02 && report.cpu_time_s.mean < 60, err);
  assert.ok(report.peak_memory_bytes! > 100_000, err);
});

Deno.test("what a process has used before it is watched does not count, and its last look does", () => {
  using host = new Tree();
  host.start(500_000, { user: 1000 });
  host.start(500_001, { user: 500, ppid: 500_000 });
  const told: string[] = [];
  const tree = new ProcessTree(500_000, host.proc, {
    started: (pid, isRoot) => told.push(`${pid} ${isRoot}`),
    ended: (pid) => told.push(`${pid} ended`),
  });
  tree.look();
  const before = tree.cpuSeconds();
  assert.equal(before, 15);
  host.start(500_000, { user: 1030 });
  host.start(500_001, { user: 570, ppid: 500_000 });
  host.start(500_002, { user: 5, ppid: 500_001 });
  tree.look();
  host.remove("proc/500000");
  host.start(500_001, { user: 580, ppid: 1 });
  tree.look();
  assert.ok(!tree.isRunning);
  assert.ok(Math.abs(tree.cpuSeconds() - before - (0.3 + 0.8 + 0.05)) < 1e-9, String(tree.cpuSeconds()));
  tree.endAll();
  assert.deepEqual(told.slice(0, 4), ["500000 true", "500001 false", "500002 false", "500000 ended"]);
  assert.deepEqual(told.slice(4).sort(), ["500001 ended", "500002 ended"]);
});

Deno.test("a signal ends the watching, and not the process", async () => {
  await using dir = new TempDir();
  const { child, go, writer } = waiting("exit 5");
  const out = dir.file("points.csv");
  const [command, ...args] = [...PROGRAM, "watch", "--json", "--output-file", out, String(child.pid)];
  const watching = new Deno.Command(command, { args, stdout: "null", stderr: "piped" }).spawn();
  // It listens to signals before it opens outputs: the default action would end it without a report.
  await until(() => [...Deno.readDirSync(dir.path)].length > 0);
  watching.kill("SIGINT");
  const [{ code }, err] = await Promise.all([watching.status, new Response(watching.stderr).text()]);
  assert.equal(code, 0, err);
  assert.equal(reportOf(err).exit_code, null);
  go();
  assert.equal((await child.status).code, 5, "the process went on");
  await writer.close().catch(() => {});
});

Deno.test("watch names what is missing", async () => {
  for (const [args, what] of [[[], "nothing"], [["make"], "make"], [["0"], "0"]] as const) {
    const { code, err } = await run("watch", ...args);
    assert.equal(code, 64);
    assert.equal(err, `Cannot watch ${what}: write alumet-relay watch PID, with the number of a process\n`);
  }
  await usageError(["watch", "--repeat", "2", "1"], /^Cannot use --repeat with watch: only exec takes it/);
  const { code, err } = await run("watch", "4999999");
  assert.equal(code, 69);
  assert.equal(err, "Cannot watch 4999999: there is no such process\n");
});

Deno.test("--ignore-exit-code makes the exit code 0, and the report has that of the program", async () => {
  const { code, err } = await run("exec", "--json", "--ignore-exit-code", "--", "sh", "-c", "exit 7");
  assert.equal(code, 0);
  assert.equal(reportOf(err).exit_code, 7);
});

Deno.test("a mistyped program is named with the one that is probably meant", async () => {
  await using dir = new TempDir();
  await Deno.writeTextFile(dir.file("build.sh"), "#!/nonexistent/sh\n", { mode: 0o755 });
  const cases: [string, RegExp][] = [
    ["slep", /there is no such program in PATH; did you mean sleep\?$/m],
    [dir.file("biuld.sh"), /there is no such file; did you mean .*\/build\.sh\?$/m],
    [dir.file("build.sh"), /the program that its first line names does not exist$/m],
    [
      "main.ts",
      /there is no such program in PATH; did you mean \.\/main\.ts, which is in this directory\?$/m,
    ],
  ];
  for (const [command, message] of cases) {
    const { code, err } = await run("exec", "--", command);
    assert.equal(code, 127, err);
    assert.match(err, message);
  }
});

Deno.test("with --output-file the points of all inputs that are enabled go there, those of the command's processes, too", async () => {
  await using dir = new TempDir();
  await Deno.writeTextFile(
    dir.file("c.toml"),
    "[plugins.procfs]\nkernel.enabled = false\nmemory.enabled = false\nnetwork.enabled = false\n" +
      'processes = { strategy = "event", events = { poll_interval = "5ms", flush_interval = "5ms" } }\n' +
      // Not named by a flag, so it is left out.
      `[plugins.sqlite]\npath = "${dir.file("no.sqlite")}"\n`,
  );
  const out = dir.file("points.csv");
  // Both shells run until they are measured: on a busy machine that takes longer than any loop of theirs.
  const stored = (pid: string) => `grep -q "^cpu_time_delta.*;process;${pid};" ${out}`;
  const script = `echo $$ > ${dir.file("pids")}; (exec sh -c 'echo $$ >> ${dir.file("pids")};` +
    ` until ${stored("$$")} && ${stored("$PPID")}; do sleep 0.02; done'); true`;
  const { code, err } = await run(
    "exec",
    "--json",
    "--config",
    dir.file("c.toml"),
    "--output-file",
    out,
    "--",
    "sh",
    "-c",
    script,
  );
  assert.equal(code, 0, err);
  const rows = (await Deno.readTextFile(out)).split("\n");
  const pids = (await Deno.readTextFile(dir.file("pids"))).trim().split("\n");
  assert.equal(pids.length, 2);
  for (const pid of pids) {
    assert.ok(
      rows.some((row) => row.startsWith("cpu_time_delta") && row.includes(`;process;${pid};`)),
      `${pid}: ${rows[0]}`,
    );
  }
  await assert.rejects(Deno.stat(dir.file("no.sqlite")), Deno.errors.NotFound);
});

/** This process may count events of its own. */
const counting: Need = () => {
  const perf = systemPerfEvents();
  const event = { type: 1, config: 2n, config1: 0n, config2: 0n, flags: 0x60n, readFormat: 0n };
  const descriptor = perf?.openCounter(event, { id: 0, isGroup: false, cpu: -1, leader: -1 }) ?? -1;
  if (descriptor >= 0) perf!.close(descriptor);
  return descriptor >= 0 ? undefined : "needs perf events (kernel.perf_event_paranoid, seccomp)";
};

Deno.test({
  name: "with the input perf, exec prints what was counted for the command",
  ...kernelAllows(linux, counting),
  async fn() {
    const args = [
      "--plugins",
      "perf",
      "--config-override",
      'plugins.perf.events=["PAGE_FAULTS"]',
      "--",
      "sh",
      "-c",
      ":",
    ];
    const json = await run("exec", "--json", ...args);
    const [{ what, count }] = reportOf(json.err).counts;
    assert.equal(what, "perf_page_faults");
    assert.ok(count.mean > 10, json.err);
    const { err } = await run("exec", "--repeat", "2", ...args);
    assert.match(err, /^perf_page_faults +[\d.]+ ± [\d.]+$/m);
  },
});
