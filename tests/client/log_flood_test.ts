import assert from "node:assert/strict";
import { configOf, TestClient } from "../kit/client.ts";
import { HandServer } from "../kit/peer.ts";
import { acceptance } from "../kit/wire.ts";

Deno.test("a server that takes the client and closes at once, again and again, is news at first and then once a minute", async () => {
  await using server = new HandServer();
  const tries = 200;
  await using client = new TestClient(
    configOf(server.port, { retry: { max_times: 2, initial_delay: 1, max_delay: 2 } }),
    undefined,
    undefined,
    true,
  );
  for (let n = 0; n < tries; n++) {
    await using peer = await server.accept();
    await peer.body();
    await peer.send(acceptance("0.6.0"));
  }
  client.abort.abort();
  await client.done;
  const minutes = 1 + Math.floor(performance.now() / 60_000);
  for (const kind of [/INFO.*Connected to/, /INFO.*The relay server is back/, /WARN.*Connection lost/]) {
    const lines = client.logs.matching(kind);
    assert.ok(lines.length >= 1 && lines.length <= 10 + minutes + 1, `${lines.length} lines: ${kind}`);
  }
  const leftOut = client.logs.lines.map((line) => Number(/left_out=(\d+)/.exec(line)?.[1] ?? 0));
  assert.ok(leftOut.reduce((a, b) => a + b) > tries, "what is left out is counted");
});
