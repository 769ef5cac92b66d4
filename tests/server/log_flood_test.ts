/** Whoever connects as often as he likes gets a bounded number of lines in the log, and is counted. */
import assert from "node:assert/strict";
import { Tokens } from "../../lib/intake/admission/tokens.ts";
import { createLogger } from "../../lib/base/log.ts";
import { configOf, TestClient } from "../kit/client.ts";
import type { LogLines } from "../kit/log_lines.ts";
import { Peer } from "../kit/peer.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { TestServer } from "../kit/test_server.ts";
import { until } from "../kit/waiting.ts";
import { greeting } from "../kit/wire.ts";

const MINUTE_MS = 60_000;
/** Lines of one kind that are logged at once. */
const BURST = 20;
const STRANGERS = 60;

/** Lines of that kind, those that were left out included. */
function counted(logs: LogLines, kind: RegExp): number {
  const lines = logs.matching(kind);
  const leftOut = lines.reduce((sum, line) => sum + Number(/left_out=(\d+)/.exec(line)?.[1] ?? 0), 0);
  return leftOut + lines.filter((line) => !line.includes("(more of these)")).length;
}

const GARBAGE: [string, Uint8Array][] = [
  ["a request of HTTP", new TextEncoder().encode("GET / HTTP/1.1\r\nHost: relay\r\n\r\n")],
  ["a hello of TLS", Uint8Array.of(0x16, 3, 1, 0, 100, 1, 0, 0, 96, 3, 3)],
  ["a greeting that is none", Uint8Array.of(0, 0, 0, 4, 1, 65, 99, 0)],
];

for (const [what, bytes] of GARBAGE) {
  Deno.test(`strangers who send ${what} get 20 lines in all, however many come, and are counted`, async () => {
    const clock = { ms: 0, monotonicMs: () => clock.ms };
    const server = new TestServer({ clock });
    const send = async () => {
      await using peer = await Peer.connect(server.port);
      await peer.send(bytes);
      await peer.closed();
    };
    for (let n = 0; n < STRANGERS; n++) await send();
    await until(() => server.server.stats.clients === 0);
    assert.equal(server.logs.matching(/WARN/).length, BURST, server.logs.lines.join(""));
    clock.ms += MINUTE_MS;
    await send();
    await until(() => server.logs.matching(/WARN/).length === BURST + 1);
    assert.match(server.logs.matching(/WARN/).at(-1)!, new RegExp(`left_out=${STRANGERS - BURST}`));
    for (let n = 0; n < STRANGERS; n++) await send();
    await server.stop();
    assert.equal(counted(server.logs, /WARN.*Closing a connection/), 2 * STRANGERS + 1);
    assert.equal(server.logs.matching(/INFO.*Client/).length, 0);
  });
}

Deno.test("a client that is refused, and tries again for ever, gets one kind of lines, and 20 of them", async () => {
  await using folder = new TempDir();
  const path = folder.file("tokens");
  Deno.writeTextFileSync(path, "");
  const tokens = new Tokens(path, createLogger("test", { write: () => {} }));
  const clock = { ms: 0, monotonicMs: () => clock.ms };
  const server = new TestServer({ clock, admission: { tokens } });
  {
    await using client = new TestClient(configOf(server.port, { retry: { max_times: STRANGERS - 1 } }));
    await client.done;
  }
  await until(() => server.server.stats.clients === 0);
  assert.equal(server.logs.matching(/./).length, BURST, server.logs.lines.join(""));
  assert.equal(server.logs.matching(/WARN.*Refusing a client.*no token/).length, BURST);
  await server.stop();
  assert.equal(counted(server.logs, /Refusing a client/), STRANGERS);
});

Deno.test("clients that come and go all the time do not fill the log either", async () => {
  const server = new TestServer({ clock: { monotonicMs: () => 0 } });
  for (let n = 0; n < 1100; n++) {
    await using peer = await Peer.connect(server.port);
    await peer.send(greeting("restless"));
    await peer.answer();
  }
  await server.stop();
  assert.equal(counted(server.logs, /INFO.*Client connected/), 1100);
  assert.ok(server.logs.matching(/INFO.*Client connected/).length <= 1001);
});
