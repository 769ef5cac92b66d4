import assert from "node:assert/strict";
import { runAgent } from "../../../lib/agent.ts";
import { Shared } from "../../../lib/base/shared.ts";
import { parseCommand } from "../../../lib/inputs/socket_control/command.ts";
import { socketControl } from "../../../lib/inputs/socket_control.ts";
import { csv } from "../../../lib/outputs/csv.ts";
import { contextWith } from "../../kit/context.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { linux, needs } from "../../kit/needs.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { Tree } from "../../kit/tree.ts";
import { until } from "../../kit/waiting.ts";
import { uptime } from "../polling/uptime.ts";

/** Sends text, ends the connection's writing side, and reads all answers. */
async function ask(path: string, text: string): Promise<string> {
  using conn = await Deno.connect({ transport: "unix", path });
  const bytes = new TextEncoder().encode(text);
  const answers = new Response(conn.readable).text();
  try {
    for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
    await conn.closeWrite();
  } catch { /* the other side has closed: its answer says why */ }
  return await answers;
}

/** An input with one source, uptime/uptime, polled each second, and the socket. */
async function controlled(dir: TempDir) {
  const tree = new Tree(null);
  tree.write("proc/uptime", "5.5 1.0\n");
  const clock = new FakeClock();
  const shared = new Shared();
  const path = dir.file("control.sock");
  let stops = 0;
  const context = contextWith({ clock, shared, stop: () => void stops++ });
  const input = await uptime.open({ poll_interval: 1000 }, context, tree);
  const control = await socketControl.open({ socket_path: path }, context);
  let polls = 0;
  const stop = new AbortController();
  const running = [input, control].map((one) =>
    one.run({
      push(batch) {
        polls += batch.length;
        batch.release();
      },
    }, stop.signal)
  );
  return {
    path,
    clock,
    input,
    stops: () => stops,
    /** Polls in the next time, in ms. */
    async pollsIn(ms: number) {
      const before = polls;
      await clock.advance(ms);
      return polls - before;
    },
    polls: () => polls,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(running);
      await control[Symbol.asyncDispose]();
      await input[Symbol.asyncDispose]();
      tree[Symbol.dispose]();
    },
  };
}

Deno.test({
  name: "a source is paused, resumed, polled at once and at another pace, also over a reload",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    await using k = await controlled(dir);
    await until(() => k.polls() === 1);
    assert.equal(await ask(k.path, "status\n"), "sources/uptime/uptime running 1s\nok\n");
    assert.equal(await ask(k.path, "control sources/up*/* pause\n"), "ok\n");
    assert.equal(await k.pollsIn(3000), 0);
    k.input.reconfigure!({ poll_interval: 500 });
    assert.equal(await k.pollsIn(3000), 0, "it stays paused over a reload");
    assert.equal(await ask(k.path, "status\n"), "sources/uptime/uptime paused 500ms\nok\n");
    assert.equal(await ask(k.path, "control src/uptime resume\ncontrol all set-period 2 s\n"), "ok\nok\n");
    await k.clock.advance(0);
    assert.equal(await k.pollsIn(4000), 2);
    const polls = k.polls();
    assert.equal(await ask(k.path, "control any trigger-now\n"), "ok\n");
    await until(() => k.polls() === polls + 1);
    assert.equal(
      await ask(k.path, "control sources/rapl pause\n"),
      "error: no source has such a name; status lists them\n",
    );
  },
});

Deno.test({
  name: "each wrong line is answered with what is wrong, and the connection goes on",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    await using k = await controlled(dir);
    const answers = await ask(
      k.path,
      "\n  \nnonsense\ncontrol out pause\ncontrol src set-period soon\nstatus",
    );
    assert.match(
      answers,
      /^error: not a command; .*\nerror: transforms and outputs cannot .*\nerror: not a duration: .*\nsources\/.*\nok\n$/,
    );
    assert.match(
      await ask(k.path, "x".repeat(10_000) + "\nstatus\n"),
      /^error: a line is longer than 4096 bytes\nsources\/.*\nok\n$/,
    );
    assert.equal(
      await ask(k.path, "status\n".repeat(2000)),
      "sources/uptime/uptime running 1s\nok\n".repeat(2000),
    );
    assert.equal(k.stops(), 0);
    assert.equal(await ask(k.path, "shutdown\n"), "ok\n");
    assert.equal(k.stops(), 1);
  },
});

Deno.test({
  name: "the socket has mode 0600, and is removed at the end",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    {
      await using k = await controlled(dir);
      assert.equal(Deno.statSync(k.path).mode! & 0o777, 0o600);
      await assert.rejects(controlled(dir), /another process listens on it/);
    }
    assert.throws(() => Deno.statSync(dir.file("control.sock")), Deno.errors.NotFound);
  },
});

Deno.test({
  name: "more connections than 16 are refused with the reason",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    await using k = await controlled(dir);
    const open: Deno.UnixConn[] = [];
    for (let i = 0; i < 16; i++) open.push(await Deno.connect({ transport: "unix", path: k.path }));
    assert.equal(await ask(k.path, ""), "error: too many connections\n");
    for (const conn of open) conn.close();
    await until(async () => await ask(k.path, "") === "");
  },
});

Deno.test({
  name: "shutdown stops the agent in order, with exit code 0",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const logs = new LogLines();
    const socket_path = dir.file("control.sock");
    const output = {
      ...csv.config.defaultValue(),
      output_path: dir.file("out.csv"),
    };
    const done = runAgent(
      {
        general: { shutdown_timeout: 90_000 },
        plugins: [{ plugin: socketControl, config: { socket_path } }, { plugin: csv, config: output }],
      },
      logs.log,
      { signals: false },
    );
    await until(() => logs.matching(/Running/).length > 0);
    assert.equal(await ask(socket_path, "shutdown\n"), "ok\n");
    assert.equal(await done, 0, logs.lines.join(""));
  },
});

Deno.test("lines that are no command are refused, with what is wrong", () => {
  const wrong: [line: string, problem: RegExp][] = [
    ["control", /not a command/],
    ["control all", /not a command/],
    ["shutdown now", /not a command/],
    ["control all fly", /"fly" is not an action/],
    ["control all stop", /cannot be stopped; pause it/],
    ["control all pause now", /too much at the end: "now"/],
    ["control constructor pause", /is not a pattern/],
    ["control sources/a/b/c pause", /is not a pattern/],
    ["control sources// pause", /is not a pattern/],
    ["control all set-period", /not a duration/],
    ["control all set-period 0s", /between 1ms and 24 days/],
    ["control all set-period 30d", /between 1ms and 24 days/],
  ];
  for (const [line, problem] of wrong) assert.throws(() => parseCommand(line), problem, line);
  assert.deepEqual(parseCommand("control src/a/b set-poll-interval 1m 30s"), {
    do: "interval",
    pattern: { plugin: "a", source: "b" },
    ms: 90_000,
  });
});
