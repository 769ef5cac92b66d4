/** What a person meets who types something: exit codes, and what is said. */
import assert from "node:assert/strict";
import denoConfig from "../../deno.json" with { type: "json" };
import { encodeFrame } from "../../lib/wire/protocol.ts";
import { linux, needs } from "../kit/needs.ts";
import { HandServer } from "../kit/peer.ts";
import { freePort } from "../kit/ports.ts";
import { binary, Program, runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { childrenCpuMs } from "../../tools/test/cpu.ts";
import { clientKeys, greeted, IN_MEMORY } from "./relay.ts";

const KEEP_TRYING = clientKeys({
  "retry.initial_delay": "50ms",
  "retry.max_delay": "100ms",
  "retry.max_times": 1000,
});

Deno.test("without arguments and without a file the program says what to type, exit code 64", async () => {
  await using dir = new TempDir();
  const { code, stdout, stderr } = await runProgram([], { cwd: dir.path, env: { ALUMET_CONFIG: "" } });
  assert.equal(code, 64);
  assert.equal(stdout, "");
  assert.match(stderr, /^Nothing to do: .*Try one of:\n/);
  for (const line of ["--relay-in :50051", "--relay-out HOST:50051", "--help"]) {
    assert.ok(stderr.includes(`\n  alumet-relay ${line} `), stderr);
  }
});

Deno.test("an unknown flag is answered with the nearest one, exit code 64", async () => {
  const { code, stderr } = await runProgram(["--relay-inn", "[::]:50051"]);
  assert.equal(code, 64);
  assert.match(stderr, /Unknown flag --relay-inn; did you mean --relay-in\?/);
});

Deno.test("all mistakes in the file are reported, each with file, line, key and the nearest known key, exit code 78", async () => {
  await using dir = new TempDir();
  await Deno.writeTextFile(
    dir.file("alumet-config.toml"),
    '[plugins.relay-client]\nrelay_servr = "localhost:50051"\nbuffer_timeout = "soon"\n\n[plugins.procfs]\n',
  );
  const { code, stderr } = await runProgram([], { cwd: dir.path });
  assert.equal(code, 78);
  assert.match(stderr, /ERROR .*alumet-config\.toml:2: .*relay_servr: .*relay_server/);
  assert.match(stderr, /ERROR .*alumet-config\.toml:3: .*buffer_timeout: .*soon/);
});

Deno.test({
  name:
    "a server that is down, without a journal on disk: exit code 69 with the address, the tries and the lost points",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const address = `127.0.0.1:${freePort()}`;
    const { code, stderr } = await runProgram([
      ...["--relay-out", address],
      ...clientKeys({ "retry.max_times": 1, "retry.initial_delay": "10ms", "retry.max_delay": "20ms" }),
      ...IN_MEMORY,
    ], { cwd: dir.path });
    assert.equal(code, 69);
    const last = stderr.trimEnd().split("\n").at(-1)!;
    assert.match(
      last,
      new RegExp(`ERROR .*${address} .*relay_server.* 2 tries.*refused.* (\\d+) points are given up`),
    );
    assert.ok(Number(/(\d+) points are/.exec(last)![1]) > 10, last);
  },
});

Deno.test({
  name: "a server with another protocol version: exit code 69 at once, with both versions",
  ...needs(linux),
  async fn() {
    await using server = new HandServer();
    await using client = new Program(["--relay-out", `127.0.0.1:${server.port}`]);
    const peer = await greeted(server, client);
    await peer.send(encodeFrame("", {
      type: "greetResponse",
      accept: false,
      alumetVersion: "1.0.0",
      relayVersion: "1.0.0",
      protocolVersion: 3,
    }));
    assert.equal(await client.exit(), 69, client.log);
    const { level, message } = client.lines.at(-1)!;
    assert.equal(level, "error");
    assert.match(message, new RegExp(`127\\.0\\.0\\.1:${server.port} .*version 3 .*version 2`));
  },
});

for (const where of ["between two tries", "before the server has answered"] as const) {
  Deno.test({
    name: `Ctrl-C of a client ${where} ends it within its shutdown_timeout, and says what is lost`,
    ...needs(linux),
    async fn() {
      await using silent = new HandServer();
      const port = where === "between two tries" ? freePort() : silent.port;
      await using client = new Program([
        ...["--relay-out", `127.0.0.1:${port}`, ...KEEP_TRYING],
        ...["--config-override", "shutdown_timeout=500ms", ...IN_MEMORY],
      ]);
      if (where === "between two tries") await client.line(/Cannot connect/);
      else await greeted(silent, client);
      assert.equal(await client.stop("SIGINT"), 69, client.log);
      const { level, message, given_up } = client.lines.at(-1)!;
      assert.equal(level, "error");
      assert.match(message, /^\d+ points could not be written in time and are given up$/);
      assert.equal(given_up, client.measuredPoints);
    },
  });
}

Deno.test({
  name:
    "Ctrl-C of a client whose server is down keeps its measurements on disk and says how many, exit code 0",
  ...needs(linux),
  async fn() {
    await using client = new Program([
      ...["--relay-out", `127.0.0.1:${freePort()}`, ...KEEP_TRYING],
      ...["--config-override", "shutdown_timeout=500ms"],
    ]);
    await client.line(/Cannot connect/);
    assert.equal(await client.stop("SIGINT"), 0, client.log);
    const { message, kept_in_journal } = client.lines.at(-1)!;
    assert.equal(message, "Stopped");
    assert.equal(kept_in_journal, client.measuredPoints);
    assert.deepEqual(client.matching(/"error"/), []);
  },
});

for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
  Deno.test({
    name: `a second ${signal} ends the program at once, exit code ${code}`,
    ...needs(linux),
    async fn() {
      await using client = new Program([
        ...["--relay-out", `127.0.0.1:${freePort()}`, ...KEEP_TRYING],
        // What is in memory alone keeps it from ending before.
        ...["--config-override", "shutdown_timeout=1h", ...IN_MEMORY],
      ]);
      await client.line(/Cannot connect/);
      client.signal("SIGTERM");
      await client.line(/Stopping/);
      assert.equal(await client.stop(signal), code, client.log);
      await client.line(/Stopping at once/);
    },
  });
}

Deno.test(`--help and --version answer${binary ? ", in less than 150 ms of a processor" : ""}`, async () => {
  for (
    const [args, answer] of [
      [["--version"], new RegExp(`^alumet-relay ${denoConfig.version}\\n$`)],
      [["--help"], /^alumet-relay[^]*Usage[^]*--relay-in[^]*--relay-out/i],
    ] as const
  ) {
    let best = Infinity;
    for (let n = 0; n < (binary ? 5 : 1); n++) {
      const before = binary ? childrenCpuMs() : 0;
      const { code, stdout, stderr } = await runProgram(args);
      assert.equal(code, 0);
      assert.equal(stderr, "");
      assert.match(stdout, answer);
      if (binary) best = Math.min(best, childrenCpuMs() - before);
    }
    // Not the time on the clock: others may keep the processors busy.
    if (binary) assert.ok(best < 150, `${args}: ${best} ms`);
  }
});
