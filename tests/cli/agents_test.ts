import assert from "node:assert/strict";
import { tableLine } from "../../lib/cli/agents/tap.ts";
import { age, bytes, short, watts } from "../../lib/cli/agents/text.ts";
import { sorted, topScreen } from "../../lib/cli/agents/top_screen.ts";
import type { Status } from "../../lib/seeing/api.ts";
import type { HostRow } from "../../lib/seeing/live/hosts.ts";
import { python3 } from "../kit/needs.ts";
import { PROGRAM, Program, runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";

Deno.test("numbers are written as people read them", () => {
  assert.deepEqual([0, 1.26, 99, 1234, 12_345, 1e7, 2.5e9].map(short), [
    "0",
    "1.3",
    "99",
    "1.2k",
    "12k",
    "10M",
    "2.5G",
  ]);
  assert.deepEqual([null, 1.25, 999, 1200, 3e6].map(watts), ["", "1.3 W", "999.0 W", "1.20 kW", "3.00 MW"]);
  assert.deepEqual([3, 150, 7200, 400_000].map(age), ["3s", "3m", "2h", "5d"]);
  assert.deepEqual([12, 2048, 3 * 2 ** 20].map(bytes), ["12 bytes", "2.0 KiB", "3.0 MiB"]);
});

const host = (name: string, more: Partial<HostRow> = {}): HostRow => ({
  name,
  isLocal: false,
  state: "live",
  connected: true,
  last_contact: 1000,
  silent_seconds: 1,
  points: 10,
  points_per_second: 1,
  pending_points: 0,
  watts: null,
  version: "alumet-relay",
  address: "192.0.2.1:1234",
  ...more,
});

const STATUS = {
  host: "server",
  role: "server",
  started: 0,
  now: 7200,
  ready: true,
  problems: [],
  outputs: [{ name: "csv", pending_points: 5000, lag_seconds: 130, target_away: true, dead_letters: 2 }],
} as unknown as Status;

const HOSTS = [
  host("node-10", { watts: 50 }),
  host("node-2", { watts: 1500, points_per_second: 4321 }),
  host("long-gone", { state: "silent", silent_seconds: 9000 }),
  host("just-gone", { state: "silent", silent_seconds: 12 }),
];

Deno.test("hosts that fell silent last come first, and names are sorted by their numbers", () => {
  const names = (sort: "state" | "power" | "name", filter = "") =>
    sorted(HOSTS, { sort, filter }).map(({ name }) => name);
  assert.deepEqual(names("state"), ["just-gone", "long-gone", "node-2", "node-10"]);
  assert.deepEqual(names("power"), ["node-2", "node-10", "just-gone", "long-gone"]);
  assert.deepEqual(names("name", "NODE"), ["node-2", "node-10"]);
});

Deno.test("the screen of top fits terminals of 40 columns and more, whatever hosts are called", () => {
  const hostile = host("\x1b[2Jevil\u202e\n".repeat(50), { version: "\x1b[31m" });
  for (const columns of [20, 40, 50, 64, 80, 100, 200]) {
    const lines = topScreen(STATUS, [...HOSTS, hostile], {
      ...{ columns, rows: 8, sort: "state", filter: "", from: 0, color: false },
    });
    assert.equal(lines.length, 8 - 1 + 1, `${columns}`);
    for (const line of lines) {
      assert.ok([...line].length <= Math.max(40, columns), `${columns}: ${line}`);
      // deno-lint-ignore no-control-regex
      assert.doesNotMatch(line, /[\x00-\x1f\u202e]/);
    }
  }
  const [first, second, third] = topScreen(STATUS, HOSTS, {
    ...{ columns: 80, sort: "state", filter: "", from: 0, color: false },
  });
  assert.equal(first, "server server, up 2h");
  assert.equal(second, "4 hosts, 2 silent, 1.55 kW, 4.3k points/s");
  assert.equal(third, "→ csv: 5.0k wait, 2m, TARGET AWAY, 2 dead letters");
});

Deno.test("a point is a line of the table of tap, without control characters", () => {
  const line = tableLine(JSON.stringify({
    ...{
      metric: "rapl",
      type: "f64",
      unit: { base: "J", prefix: "milli" },
      time: "2026-01-02T03:04:05.123456789Z",
    },
    ...{
      value: 7.5,
      resource_kind: "dram",
      resource_id: "0",
      consumer_kind: "local_machine",
      consumer_id: "",
    },
    attributes: [["domain", "str", "a\nb"], ["relay_client", "str", "node-1"]],
  }));
  assert.match(line, /^03:04:05\.123456 node-1 +rapl +7\.5 mJ +dram 0 domain=a\\nb\n$/);
});

/** Runs `top` on a terminal of that size. @param steps What to wait for, and what to type then. */
async function onTerminal(
  columns: number,
  rows: number,
  steps: [expected: string, keys: string][],
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; text: string }> {
  const driver = new URL("../kit/terminal.py", import.meta.url).pathname;
  const command = [driver, String(columns), String(rows), JSON.stringify(steps), ...PROGRAM, "top", ...args];
  const options = { program: ["python3"], env: { TERM: "xterm", ...env } };
  const { stdout, stderr, code } = await runProgram(command, options);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

// deno-lint-ignore no-control-regex
const COMMANDS = /\x1b\[[?\d;]*[A-Za-z]/g;
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/** What keys do in `top`, and what it is like on terminals of all kinds. */
async function useTerminals(directory: string): Promise<void> {
  const [host] = Deno.hostname();
  // Sort by name, search for what is not there, forget the search, quit: each is drawn at once.
  const keys = await onTerminal(80, 24, [
    ["q quit", "n"],
    [`● ${host}`, "/"],
    ["/\\x1b\\[K", "no-such-host"],
    ["/no-such-host", "\x1b"],
    ["q quit", "q"],
  ], [directory]);
  assert.equal(keys.code, 0);
  assert.ok(
    keys.text.startsWith("\x1b[?1049h") && keys.text.endsWith(LEAVE),
    JSON.stringify(keys.text.slice(-50)),
  );
  const searching = keys.text.split("\x1b[H").find((screen) => screen.includes("/no-such-host"))!;
  assert.ok(searching.includes("rate/s") && !searching.includes("●"), searching);

  // Ctrl-C, on a small terminal without colours: nothing is wider or higher, and the terminal is left as it was.
  const small = await onTerminal(42, 6, [["rate/s", "\x03"]], [directory], { NO_COLOR: "1" });
  assert.ok(small.text.endsWith(LEAVE), JSON.stringify(small.text.slice(-50)));
  assert.equal(small.code, 0);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(small.text, /\x1b\[\d+m/);
  const [, screen] = small.text.split("\x1b[H");
  const lines = screen.replace(LEAVE, "").replaceAll(COMMANDS, "").split(/\r*\n/);
  assert.ok(lines.some((line) => line.startsWith(`● ${host}`)), JSON.stringify(lines));
  assert.ok(lines.length <= 6 && lines.every((line) => line.length <= 42), JSON.stringify(lines));

  // Plain lines, once.
  const dumb = await onTerminal(80, 24, [], [directory], { TERM: "dumb" });
  assert.deepEqual([dumb.code, dumb.text.includes("\x1b")], [0, false]);
  assert.match(dumb.text, /^ {2}host +power +rate\/s/m);
}

Deno.test("status, top and tap find a running process in its state directory, without any configuration", async () => {
  await using dir = new TempDir();
  const state = ["--state-dir", dir.path];
  {
    const { code, stderr } = await runProgram(["status", ...state]);
    assert.equal(code, 69);
    assert.match(stderr, /There are no running processes in /);
  }
  await using agent = new Program([
    ...["--plugins", "procfs,csv", "--output-file", dir.file("out.csv"), ...state],
    ...["--config-override", "plugins.procfs.kernel.poll_interval=100ms"],
  ]);
  await agent.line(/"Running"/);
  const status = await runProgram(["status", ...state]);
  assert.equal(status.code, 0, status.stderr);
  assert.match(status.stdout, /^local +ready\nProcess +\d+ on /);
  const isUpToDate = async () => /^→ csv +up to date$/m.test((await runProgram(["status", ...state])).stdout);
  await until(isUpToDate);
  const json = JSON.parse((await runProgram(["status", "--json", ...state])).stdout);
  assert.deepEqual([json.length, json[0].role, json[0].pid], [1, "local", agent.pid]);

  const top = await runProgram(["top", `${dir.path}/local`]);
  assert.equal(top.code, 0, top.stderr);
  assert.match(top.stdout, /^ {2}host +power +rate\/s/m);
  assert.match(top.stdout, new RegExp(`^● ${Deno.hostname().slice(0, 10)}`, "m"));

  if (!python3()) await useTerminals(`${dir.path}/local`);

  const tap = ["tap", ...state, "--metric", "kernel_cpu*", "--rate", "5", "--client", Deno.hostname()];
  const piped = await runProgram(["-c", `"$@" | head -n 3`, "sh", ...PROGRAM, ...tap], { program: ["sh"] });
  const points = piped.stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(points.map(({ metric }) => metric), new Array(3).fill("kernel_cpu_time"));
  assert.equal(await agent.stop(), 0);
  assert.deepEqual([...Deno.readDirSync(`${dir.path}/local`)].map(({ name }) => name), ["lock"]);
});

Deno.test("what tap is asked for is checked", async () => {
  const format = await runProgram(["tap", "--format", "csv"]);
  assert.deepEqual([format.code, /use one of table, json, influx/.test(format.stderr)], [64, true]);
  const rate = await runProgram(["tap", "--rate", "fast"]);
  assert.deepEqual([rate.code, /it is a number of points per second/.test(rate.stderr)], [64, true]);
});
