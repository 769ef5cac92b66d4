/** What `exec` measures of a program, and what it prints. */
import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import type { Energy } from "../../lib/cli/exec/energy.ts";
import { ProcessTree } from "../../lib/cli/exec/process_tree.ts";
import { type Report, reportOf, spreadOf, tableOf } from "../../lib/cli/exec/report.ts";
import { Signals } from "../../lib/cli/exec/signals.ts";
import { parseCommandLine } from "../../lib/cli/parse.ts";
import { hwmon } from "../../lib/inputs/hwmon.ts";
import type { PolledInputPlugin } from "../../lib/inputs/polling/declaration.ts";
import { rapl } from "../../lib/inputs/rapl.ts";
import { sqlite } from "../../lib/outputs/sqlite.ts";
import type { Plugin } from "../../lib/plugin.ts";
import { measuredRun } from "../kit/measured_run.ts";
import { binary, PROGRAM, runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { Tree } from "../kit/tree.ts";
import { until } from "../kit/waiting.ts";
import { usageError } from "./running.ts";

/** The input, on another machine. */
function on<C>(plugin: PolledInputPlugin<C>, tree: Tree): Plugin {
  return {
    ...plugin,
    open: (config: C, context: Parameters<typeof plugin.open>[1]) => plugin.open(config, context, tree),
  };
}

/** Runs `exec` in this process, with these inputs. */
async function exec(args: string[], plugins: Plugin[] = []) {
  let err = "";
  const code = await main(["exec", "--config-override", "plugins.sqlite.enable=false", ...args], {
    stderr: (text) => err += text,
    env: () => undefined,
    plugins: () => Promise.resolve([...plugins, sqlite]),
  });
  return { code, err };
}

async function execJson(args: string[], plugins: Plugin[] = []) {
  const { code, err } = await exec(["--json", ...args], plugins);
  assert.equal(err.split("\n").length, 2, err);
  return { code, report: JSON.parse(err) as Report };
}

const ZONE = "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj";
const BURN = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";

const energy = (joules: number): Energy => ({ input: "rapl", what: "energy of the package", joules });

Deno.test("means and deviations are those of the sample, and one value has no deviation", () => {
  assert.deepEqual(spreadOf([2, 4, 4, 4, 5, 5, 7, 9]), { mean: 5, deviation: Math.sqrt(32 / 7) });
  assert.deepEqual(spreadOf([3]), { mean: 3, deviation: null });
});

Deno.test("the program's share of energy is that of CPU time, at most all of it, and of CO₂ as well", () => {
  const intensity = { g_per_kwh: 36, country: null, year: null };
  const runs = [
    measuredRun({ energy: [energy(1000)] }),
    measuredRun({ machineCpuSeconds: 2, energy: [energy(3000)] }),
  ];
  const [line] = reportOf(["a"], runs, intensity).energy;
  assert.equal(line.joules.mean, 2000);
  assert.equal(line.share_joules!.mean, (500 + 3000) / 2);
  assert.ok(Math.abs(line.co2_g!.mean - 0.02) < 1e-9);
  assert.ok(Math.abs(line.share_co2_g!.mean - 0.0175) < 1e-9);
  const unknown = reportOf(["a"], [measuredRun({ machineCpuSeconds: 0, energy: [energy(1)] })], null);
  assert.equal(unknown.cpu_share, null);
  assert.deepEqual([unknown.energy[0].share_joules, unknown.energy[0].co2_g], [null, null]);
});

Deno.test("parts that one of the runs has not measured are left out", () => {
  assert.deepEqual(reportOf(["a"], [measuredRun({ energy: [energy(1)] }), measuredRun()], null).energy, []);
});

Deno.test("the table has a line for each quantity and each part of the machine", () => {
  const intensity = { g_per_kwh: 36, country: "France", year: 2023 };
  const runs = [measuredRun({ energy: [energy(1000)] }), measuredRun({ seconds: 4, energy: [energy(1000)] })];
  assert.equal(
    tableOf(reportOf(["make", "-j4", "\x1b[2J"], runs, intensity)),
    [
      "",
      "make -j4 \\u001b[2J: 2 runs, exit code 0",
      "duration           3 ± 1.414 s",
      "CPU time           3 ± 0 s (1 CPUs)",
      "peak memory        1 MiB",
      "share of CPU time  50 ± 0 % of the machine's",
      "carbon intensity   36 g CO₂ per kWh (France, 2023)",
      "energy                 machine     this command  CO₂ of this command",
      "energy of the package  1000 ± 0 J  500 ± 0 J     0.005 ± 0 g",
      "",
    ].join("\n"),
  );
});

Deno.test("a program that ended before it could be looked at has no peak memory, rather than none used", () => {
  const report = reportOf(["a"], [measuredRun({ peakBytes: 0 })], null);
  assert.equal(report.peak_memory_bytes, null);
  assert.match(tableOf(report), /^peak memory +not known$/m);
});

Deno.test("energy is counted from before the program begins to after it ends", async () => {
  using laptop = new Tree("rapl/intel_laptop/1");
  const before = Number(laptop.read(ZONE));
  // Without emptying the file before: a poll may come at any time.
  const write = `echo ${before + 5_000_000} 1<> ${laptop.root}/${ZONE}`;
  const { code, report } = await execJson(["--intensity", "72", "--", "sh", "-c", write], [on(rapl, laptop)]);
  assert.equal(code, 0);
  const part = report.energy.find(({ what }) => what === "energy of the package, socket 0");
  assert.equal(part?.joules.mean, 5);
  assert.ok(Math.abs(part!.co2_g!.mean - 0.0001) < 1e-12);
  assert.equal(report.energy.find(({ what }) => what === "energy of pp0, socket 0")?.joules.mean, 0);
});

Deno.test("power becomes energy by the time between polls", async () => {
  using board = new Tree("hwmon/arm_board/1");
  const { report } = await execJson(["sleep", "0.05"], [on(hwmon, board)]);
  const part = report.energy.find(({ what }) => what === "power of ina3221 (VDD_IN)")!;
  const watts = part.joules.mean / report.duration_s.mean;
  // The inputs run a little longer than the program.
  assert.ok(watts > 4 && part.joules.mean < 4.63 * 60, String(watts));
});

Deno.test("where no energy is measured, one line says so, and the rest is shown", async () => {
  using nothing = new Tree(null);
  for (const plugins of [[on(rapl, nothing)], []]) {
    const { code, err } = await exec(["--", "true"], plugins);
    assert.equal(code, 0);
    assert.match(err, /^No energy is measured here: alumet-relay probe prints what there is/m);
    assert.match(err, /^duration +\S+ s$/m);
  }
});

Deno.test("CPU time includes that of children and grandchildren", async () => {
  const waited = await execJson(["sh", "-c", `(sh -c '${BURN}; :'; ${BURN}); :`]);
  const { cpu_time_s, peak_memory_bytes, cpu_share } = waited.report;
  // Two loops take 0.1 s of CPU time each on a fast machine; a slow one takes more, but no minute.
  assert.ok(cpu_time_s.mean > 0.02 && cpu_time_s.mean < 60, String(cpu_time_s.mean));
  assert.ok(peak_memory_bytes! > 100_000, String(peak_memory_bytes));
  assert.ok(cpu_share === null || cpu_share.mean > 0 && cpu_share.mean <= 1);
});

Deno.test("a process that outlives the program counts with what it has used, one that another has waited for once", () => {
  using host = new Tree();
  host.start(500_000, { user: 100 });
  host.start(500_001, { user: 20, ppid: 500_000 });
  host.start(500_002, { user: 3, ppid: 500_001 });
  host.start(500_003, { user: 1000, ppid: 1 });
  host.write("proc/500000/status", "VmHWM:\t 300 kB\nVmRSS:\t 100 kB\n");
  host.write("proc/500001/status", "VmHWM:\t 10 kB\nVmRSS:\t 10 kB\n");
  const tree = new ProcessTree(500_000, host.proc);
  assert.equal(tree.peakBytes, 300 * 1024, "of one process");
  host.write("proc/500001/status", "VmHWM:\t 290 kB\nVmRSS:\t 290 kB\n");
  tree.look();
  assert.equal(tree.peakBytes, 390 * 1024, "of all together");
  // The program ends, and init adopts its child, which has waited for its own.
  host.remove("proc/500000");
  host.remove("proc/500002");
  host.start(500_001, { user: 23, ppid: 1 });
  tree.look();
  assert.equal(tree.unwaitedCpuSeconds(), 0.23);
  host.remove("proc/500001");
  tree.look();
  assert.equal(tree.unwaitedCpuSeconds(), 0.23, "as it was seen last");
  host.start(500_001, { user: 700, ppid: 1, starttime: 2000 });
  tree.look();
  assert.equal(tree.unwaitedCpuSeconds(), 0.23, "another process has its number");
});

Deno.test("the exit code is the program's, that of its signal, or says why it could not be started", async () => {
  await using dir = new TempDir();
  await Deno.writeTextFile(dir.file("text"), "text", { mode: 0o644 });
  const cases: [string[], number, RegExp][] = [
    [["sh", "-c", "exit 7"], 7, /: exit code 7$/m],
    [["sh", "-c", "kill -9 $$"], 137, /: exit code 137$/m],
    [
      ["alumet-relay-is-not-this"],
      127,
      /^alumet-relay: Cannot run alumet-\S+: there is no such program in PATH\n$/,
    ],
    [[dir.file("nothing")], 127, /there is no such file\n$/],
    [[dir.file("text")], 126, /it is not executable \(chmod \+x makes it so\)\n$/],
  ];
  for (const [command, expected, message] of cases) {
    const { code, err } = await exec(["--", ...command]);
    assert.equal(code, expected, err);
    assert.match(err, message);
  }
});

Deno.test("--repeat gives means and deviations, and ends with a run that fails", async () => {
  await using dir = new TempDir();
  const count = `echo >> ${dir.file("runs")}; [ $(wc -l < ${dir.file("runs")}) -lt 3 ] || exit 4`;
  const { code, report } = await execJson(["--repeat", "9", "--", "sh", "-c", count]);
  assert.deepEqual([code, report.exit_code, report.runs], [4, 4, 3]);
  assert.ok(report.duration_s.deviation !== null);
});

Deno.test("--report writes into a file, and runs nothing if it cannot", async () => {
  await using dir = new TempDir();
  const { code, err } = await exec(["--json", "--report", dir.file("a.json"), "true"]);
  assert.deepEqual([code, err], [0, ""]);
  assert.deepEqual(JSON.parse(await Deno.readTextFile(dir.file("a.json"))).command, ["true"]);
  const failed = await exec(["--report", dir.file("no/a.json"), "touch", dir.file("ran")]);
  assert.equal(failed.code, 69);
  assert.match(failed.err, /^Cannot write the report to /);
  await assert.rejects(Deno.stat(dir.file("ran")), Deno.errors.NotFound);
});

Deno.test("all words behind exec are the program's, with or without --", () => {
  for (
    const args of [["exec", "make", "-j4", "--config", "a"], ["exec", "--", "make", "-j4", "--config", "a"]]
  ) {
    assert.deepEqual(parseCommandLine(args).program, ["make", "-j4", "--config", "a"]);
  }
  const line = parseCommandLine(["--country", "FR", "exec", "--repeat", "3", "exec", "--repeat", "4"]);
  assert.deepEqual([line.value("country"), line.values("repeat"), line.program], ["FR", ["3"], [
    "exec",
    "--repeat",
    "4",
  ]]);
  assert.deepEqual(parseCommandLine(["help", "exec"]).program, []);
});

Deno.test("wrong flags of exec are usage errors", async () => {
  const cases: [string[], RegExp][] = [
    [[], /^Cannot run nothing: write alumet-relay exec -- COMMAND ARGS$/m],
    [["--country", "XX", "true"], /^Cannot use --country XX: expected a code of ISO 3166/m],
    [["--country", "FR", "--intensity", "5", "true"], /^Cannot use both --country and --intensity/m],
    [["--intensity", "-5x", "true"], /--intensity/],
    [["--intensity=many", "true"], /^Cannot use --intensity many: expected g of CO₂ per kWh/m],
    [["--repeat", "0", "true"], /^Cannot use --repeat 0: expected a number from 1 to/m],
  ];
  for (const [args, message] of cases) {
    const { code, err } = await exec(args);
    assert.equal(code, 64, err);
    assert.match(err, message);
  }
  await usageError(["run", "--repeat", "3"], "Cannot use --repeat with run: only exec takes it");
});

/** Starts `exec` in a process of its own, and waits until the program says that it is ready. */
async function startReady(script: string, dir: TempDir) {
  const [command, ...args] = [...PROGRAM, "exec", "--json", "--", "sh", "-c", `${script}`];
  const child = new Deno.Command(command, {
    args,
    cwd: dir.path,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let out = "";
  await until(async () => (out += (await reader.read()).value ?? "").includes("ready"));
  return { child, rest: () => reader.read().then(({ value }) => value ?? ""), reader };
}

Deno.test("signals are handed on, and the program decides what becomes of it", async () => {
  await using dir = new TempDir();
  for (const signal of ["SIGTERM", "SIGHUP", "SIGUSR1"] as const) {
    const name = signal.slice(3);
    const script = `trap 'echo got ${name}; exit 9' ${name}; echo ready; while :; do sleep 0.02; done`;
    const { child, rest, reader } = await startReady(script, dir);
    child.kill(signal);
    assert.equal(await rest(), `got ${name}\n`);
    await reader.cancel();
    const [{ code }, err] = await Promise.all([child.status, new Response(child.stderr).text()]);
    assert.equal(code, 9, err);
    assert.equal(JSON.parse(err).exit_code, 9);
  }
  const { child, reader } = await startReady("echo ready; exec sleep 100", dir);
  child.kill("SIGINT");
  await reader.cancel();
  const [{ code }] = await Promise.all([child.status, child.stderr.cancel()]);
  assert.equal(code, 130);
});

Deno.test("a signal that comes before the program begins is handed on to the first run alone", async () => {
  const taken: string[] = [];
  const child = { kill: (name: string) => void taken.push(name) } as unknown as Deno.ChildProcess;
  using signals = new Signals();
  Deno.kill(Deno.pid, "SIGUSR2");
  await until(() => {
    signals.child = child;
    signals.child = null;
    return taken.length > 0;
  });
  for (let run = 2; run < 5; run++) {
    signals.child = child;
    signals.child = null;
  }
  assert.deepEqual(taken, ["SIGUSR2"]);
});

Deno.test("standard streams are the program's, and what is ignored under nohup stays ignored", async () => {
  const script = "trap '' HUP; echo in | \"$@\"";
  const { code, stdout, stderr } = await runProgram(
    ["sh", "-c", "cat; grep SigIgn /proc/self/status; echo err >&2"],
    { wrapper: ["sh", "-c", script, "sh"], program: [...PROGRAM, "exec", "--json", "--"] },
  );
  assert.equal(code, 0, stderr);
  const [first, ignored] = stdout.split("\n");
  assert.equal(first, "in");
  // Deno 2.9 takes SIGHUP for its inspector, now after the program has looked whether it is ignored, now before.
  if (binary || Deno.version.deno.startsWith("2.6.")) {
    assert.equal(BigInt(`0x${ignored.replace("SigIgn:", "").trim()}`) & 1n, 1n, ignored);
  }
  assert.match(stderr, /^err\n\{"command":/);
});
