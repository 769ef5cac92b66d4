import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { PROGRAM, shell } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { TestServer } from "../kit/test_server.ts";
import { until } from "../kit/waiting.ts";
import { freePort } from "../kit/ports.ts";

interface Sent {
  code: number;
  said: string;
}

/** For a machine that is busy. */
const PATIENTLY = ["--timeout", "90s"];

/** Runs `send` in this process. */
async function send(...args: string[]): Promise<Sent> {
  let said = "";
  const patience = args.includes("--timeout") ? [] : PATIENTLY;
  const code = await main(["send", ...patience, ...args], {
    stderr: (text) => said += text,
    env: () => undefined,
  });
  return { code, said };
}

const to = (server: TestServer) => ["--relay-out", `127.0.0.1:${server.port}`];

Deno.test("send ends with 0 when the server has acknowledged the points, and says nothing", async () => {
  await using server = new TestServer();
  assert.deepEqual(await send(...to(server), "lab_temperature,room=1 value=21.5 5"), { code: 0, said: "" });
  const [{ metric, seconds, nanos, value, attributes }] = server.points;
  assert.equal(metric, "lab_temperature");
  assert.deepEqual([seconds, nanos, value], [0, 5, 21.5]);
  assert.deepEqual(attributes, [["room", "1"], ["relay_client", Deno.hostname()]]);
});

Deno.test("without an acknowledgement send gives up after its time, and ends with 69", async () => {
  await using server = new TestServer();
  server.collector.holdsBack = true;
  const { code, said } = await send(...to(server), "--timeout", "300ms", "a value=1");
  assert.equal(code, 69);
  assert.match(said, /1 points could not be written in time and are given up/);
  const away = await send("--relay-out", `127.0.0.1:${freePort()}`, "--timeout", "300ms", "a value=1");
  assert.equal(away.code, 69);
});

Deno.test("a bad line is named, all others are sent, and send ends with 65", async () => {
  await using server = new TestServer();
  const { code, said } = await send(...to(server), "a value=1 0\nnothing\nb value=2 0");
  assert.equal(code, 65);
  assert.match(said, /Cannot read a line, it is left out from=stdin line=2 reason="it has no fields"/);
  assert.deepEqual(server.points.map(({ metric }) => metric), ["a", "b"]);
});

Deno.test("the configuration names the server and the client, and has rules", async () => {
  await using directory = new TempDir();
  await using server = new TestServer();
  const path = directory.file("client.toml");
  Deno.writeTextFileSync(
    path,
    `[plugins.relay-client]\nclient_name = "node-7"\nrelay_server = "127.0.0.1:${server.port}"\n` +
      `[plugins.lines]\nunix = "/run/unused.sock"\n[[plugins.lines.rules]]\nmetric = "a"\nunit = "W"\n`,
  );
  assert.equal((await send("--config", path, "a value=1")).code, 0);
  const [{ metric, attributes }] = server.points;
  assert.equal(metric, "a");
  // The server has it with the unit of the rule.
  const unit = { base: "W", prefix: "" };
  server.registry.register({ name: "a", type: "f64", unit });
  assert.deepEqual(attributes, [["relay_client", "node-7"]]);
});

Deno.test("a command line without a server, or with a time that is none, is wrong", async () => {
  const without = await send("a value=1");
  assert.equal(without.code, 64);
  assert.match(without.said, /no server is named; write alumet-relay send --relay-out HOST:PORT/);
  const wrong = await send("--relay-out", "127.0.0.1:1", "--timeout", "soon", "a value=1");
  assert.equal(wrong.code, 64);
  assert.match(wrong.said, /Cannot use --timeout soon/);
});

Deno.test("send takes what a pipe has, however much it is", async () => {
  await using server = new TestServer();
  const program = PROGRAM.map((word) => `'${word}'`).join(" ");
  const text = `seq 1 100000 | sed 's/.*/a value=& &/' | ${program} send ${
    [...PATIENTLY, ...to(server)].join(" ")
  }`;
  await shell("sh", "-c", text);
  assert.equal(server.points.length, 100_000);
  assert.equal(server.points.at(-1)!.value, 100_000);
});

Deno.test("a signal before everything is read ends send with 69, and what was read is sent", async () => {
  await using server = new TestServer();
  const [first, ...rest] = PROGRAM;
  const child = new Deno.Command(first, {
    args: [...rest, "send", ...PATIENTLY, ...to(server)],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("a value=1 0\n"));
  await until(() => server.points.length === 1);
  child.kill("SIGTERM");
  const { code, stderr } = await child.output();
  await writer.abort().catch(() => {});
  assert.equal(code, 69);
  assert.match(new TextDecoder().decode(stderr), /Not everything was read and sent: a signal came/);
});
