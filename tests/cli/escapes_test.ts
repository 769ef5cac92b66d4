/** Nothing that comes from the network reaches a log or a terminal raw, on whatever way. */
import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { encodeLetter } from "../../lib/dead_letters/codec.ts";
import { createLogger } from "../../lib/base/log.ts";
import { seriesOf } from "../../lib/points/measurement.ts";
import { encodeFrame } from "../../lib/wire/protocol.ts";
import { AcknowledgedClient } from "../kit/acknowledged.ts";
import { metricOf } from "../kit/decode.ts";
import { HandServer, Peer } from "../kit/peer.ts";
import { batchOf } from "../kit/points.ts";
import { Program, runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { acceptance, COUNTER, greeting } from "../kit/wire.ts";
import { clientKeys, IN_MEMORY, POLL_FAST, portOf, startServer } from "../end_to_end/relay.ts";

/** Clears a screen (in two ways), rings, ends a line, turns the direction of writing, and is a line of its own. */
const EVIL = "evil\x1b[2J\x9b2J\x07\r\nERROR forged\u202e\u2066\u2028\x7f\x00end";
// deno-lint-ignore no-control-regex
const RAW = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

/** It was said, and not raw. */
function assertShown(text: string, least = 1): void {
  const raw = RAW.exec(text);
  assert.equal(
    raw,
    null,
    `a raw ${JSON.stringify(raw?.[0])}: ${JSON.stringify(text.slice(Math.max(0, (raw?.index ?? 0) - 80)))}`,
  );
  assert.ok(!/^ERROR forged/m.test(text), "a forged line");
  const said = text.match(/evil\\u001b\[2J\\u009b2J\\u0007/g)?.length ?? 0;
  assert.ok(said >= least, `said ${said} times, not ${least}: ${text}`);
}

for (const format of ["text", "json"]) {
  Deno.test(`a server's log shows names, versions and metrics of clients escaped: ${format}`, async () => {
    await using dir = new TempDir();
    const limits = ["--config-override", "plugins.relay-server.limits.metrics_per_client=1"];
    await using server = new Program([
      ...["--relay-in", "127.0.0.1:0", "--output-file", dir.file("m.csv")],
      ...["--log-format", format, "--log-level", "trace", ...limits],
    ]);
    const line = (await server.line(/Listening for relay clients/)).text;
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(line)![1]);
    {
      await using peer = await Peer.connect(port);
      await peer.send(
        encodeFrame(EVIL, { type: "greet", alumetVersion: EVIL, relayVersion: EVIL, protocolVersion: 2 }),
      );
      await peer.answer();
      const metric = (id: number) => ({ ...COUNTER, id, name: `${id}${EVIL}` });
      await peer.send(
        encodeFrame(EVIL, { type: "registerMetrics", metrics: [metric(0), metric(1), metric(2)] }),
      );
      // A message from a sender that may not be, and one that is none.
      await peer.send(
        encodeFrame(EVIL, { type: "greet", alumetVersion: EVIL, relayVersion: "", protocolVersion: 2 }),
      );
      await peer.closed();
    }
    {
      await using peer = await Peer.connect(port);
      await peer.send(greeting(EVIL, 99));
      await peer.answer();
    }
    {
      await using client = await AcknowledgedClient.connect(port, EVIL);
      const evil = seriesOf(metricOf(`x${EVIL}`), {
        resourceKind: EVIL,
        consumerId: EVIL,
        attributes: [[EVIL, EVIL]],
      });
      await client.send(1, batchOf([[evil, 1]]));
      await client.acknowledgedUpTo(1);
    }
    await using long = await Peer.connect(port);
    await long.send(greeting(EVIL + "x".repeat(300)));
    await long.answer();
    await server.line(/its name has/);
    assert.equal(await server.stop(), 0);
    assertShown(server.lines.map(({ text }) => text).join("\n"), 12);
  });

  Deno.test(`a client's log and last words show what a server says escaped: ${format}`, async () => {
    await using server = new HandServer();
    const flags = [...POLL_FAST, ...IN_MEMORY, ...clientKeys({ "retry.max_times": 0 })];
    const running = runProgram([
      "--relay-out",
      `127.0.0.1:${server.port}`,
      ...flags,
      "--log-format",
      format,
      "--log-level",
      "trace",
    ]);
    const peer = await server.accept();
    await peer.body();
    await peer.send(acceptance("0.6.0+ack.1"));
    await peer.body();
    await peer.send(encodeFrame("", { type: "refuse", reason: EVIL }));
    const { code, stdout, stderr } = await running;
    assert.equal(code, 69);
    assert.equal(stdout, "");
    assertShown(stderr, 2);
  });

  Deno.test(`the versions of a server are shown escaped: ${format}`, async () => {
    await using server = new HandServer();
    await using client = new Program([
      ...["--relay-out", `127.0.0.1:${server.port}`, ...POLL_FAST, ...IN_MEMORY],
      ...["--log-format", format],
    ]);
    const peer = await server.accept();
    await peer.body();
    await peer.send(acceptance(EVIL));
    await client.line(/Connected to the relay server/);
    await client.stop();
    assertShown(client.lines.map(({ text }) => text).join("\n"));
  });
}

Deno.test("dead-letters list and show print refused points escaped, and show prints valid JSON", async () => {
  await using dir = new TempDir();
  const directory = dir.file("server/dead-letters/influxdb");
  await Deno.mkdir(directory, { recursive: true });
  const evil = seriesOf(metricOf(EVIL), { resourceKind: EVIL, consumerId: EVIL, attributes: [[EVIL, EVIL]] });
  const letter = encodeLetter(batchOf([[evil, 1]]), 0, EVIL, 1_700_000_000_000);
  await Deno.writeTextFile(`${directory}/0000000001.jsonl`, `${letter}\n`);
  for (const name of ["list", "show"]) {
    let said = "";
    const code = await main(["dead-letters", name, "--state-dir", dir.path], {
      stdout: (text) => (said += text, true),
      stderr: (text) => void (said += text),
      env: () => undefined,
    });
    assert.equal(code, 0, said);
    assertShown(said);
    if (name === "show") assert.deepEqual(JSON.parse(said), JSON.parse(letter));
  }
});

Deno.test("a log in JSON has every character, and none of them raw", () => {
  let line = "";
  createLogger("part", { format: "json", write: (text) => line = text }).warn(EVIL, { [EVIL]: EVIL });
  assertShown(line, 3);
  assert.equal(JSON.parse(line).message, EVIL);
  assert.equal(JSON.parse(line)[EVIL], EVIL);
});

Deno.test("journal dump prints points escaped, as valid JSON", async () => {
  await using dir = new TempDir();
  const state = dir.file("state");
  await using server = await startServer(dir.file("m.csv"), { args: ["--state-dir", state] });
  {
    await using client = await AcknowledgedClient.connect(portOf(server), EVIL);
    const evil = seriesOf(metricOf(EVIL), {
      resourceKind: EVIL,
      consumerId: EVIL,
      attributes: [[EVIL, EVIL]],
    });
    await client.send(1, batchOf([[evil, 1]]));
    await client.acknowledgedUpTo(1);
  }
  assert.equal(await server.stop("SIGKILL"), "SIGKILL");
  const { code, stdout, stderr } = await runProgram(["journal", "dump", "--state-dir", state]);
  assert.equal(code, 0, stderr);
  assertShown(stdout + stderr, 6);
  assert.equal(JSON.parse(stdout.split("\n")[0]).client, EVIL);
});
