/** What a server owes its clients when it is stopped: there are no acknowledgements, so all that had arrived. */
import assert from "node:assert/strict";
import { linux, needs } from "../kit/needs.ts";
import { Peer } from "../kit/peer.ts";
import { freePort } from "../kit/ports.ts";
import { Program, shell } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { COUNTER, countingFrame } from "../kit/wire.ts";
import { Flood, IN_MEMORY, portOf, startServer } from "./relay.ts";

/** How many numbers there are of each client, which must be 0, 1, 2 … */
function countsOf(csv: string): Map<string, number> {
  const counts = new Map<string, number>();
  assert.ok(csv.endsWith("\n"), `the last row is whole: ${csv.slice(-200)}`);
  const [header, ...lines] = csv.slice(0, -1).split("\n");
  const client = header.split(";").indexOf("relay_client");
  for (const line of lines) {
    const values = line.split(";");
    const expected = counts.get(values[client]) ?? 0;
    if (Number(values[2]) !== expected) assert.fail(`${expected} is missing before: ${line}`);
    counts.set(values[client], expected + 1);
  }
  return counts;
}

/** Points of one message: a server that stops reads for some seconds, in which a busy machine does little. */
const LARGE = 4_000;

Deno.test("a server stopped under load writes all that had arrived, in whole rows", async () => {
  await using dir = new TempDir();
  const file = dir.file("measures.csv");
  await using server = await startServer(file);
  const port = portOf(server);
  await using stack = new AsyncDisposableStack();
  const connect = async (name: string) => stack.use(await Peer.client(port, name, [COUNTER]));
  const large = await connect("large");
  const quiet = await Promise.all(Array.from({ length: 20 }, (_, n) => connect(`quiet-${n}`)));
  const floods = await Promise.all(["load-0", "load-1", "load-2"].map(async (name) => {
    return new Flood(await connect(name), (n) => countingFrame(name, n * 50, 50));
  }));

  // One client has left when the server is stopped, others have said their last word and stay, others go on.
  await large.send(countingFrame("large", 0, LARGE));
  await large.conn.closeWrite();
  await Promise.all(quiet.map((peer, n) => peer.send(countingFrame(`quiet-${n}`, 0, 100 + n))));
  assert.equal(await server.stop("SIGTERM"), 0, server.log);
  await Promise.all(floods.map((flood) => flood.stop()));

  const counts = countsOf(await Deno.readTextFile(file));
  assert.equal(counts.get("large"), LARGE);
  quiet.forEach((_, n) => assert.equal(counts.get(`quiet-${n}`), 100 + n, server.log));
  floods.forEach(({ sent }, n) => {
    const count = counts.get(`load-${n}`)!;
    assert.ok(count > 0 && count % 50 === 0 && count <= sent * 50, `${count} points of ${sent} messages`);
  });
  const rows = [...counts.values()].reduce((a, b) => a + b);
  assert.equal(server.summary("relay-server").points, rows);
  assert.equal(server.summary("csv").points, rows);
});

Deno.test({
  name: "a server stopped while its output is stuck reads what had arrived once the output continues",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const fifo = dir.file("measures.csv");
    await shell("mkfifo", fifo);
    await using server = await startServer(fifo, { args: [...IN_MEMORY] });
    using pipe = await Deno.open(fifo);
    const port = portOf(server);
    await using loader = await Peer.client(port, "loader", [COUNTER]);
    await using waiting = await Peer.client(port, "waiting", [COUNTER]);
    await waiting.send(countingFrame("waiting", 0, 10));
    const flood = new Flood(loader, (n) => countingFrame("loader", n * 1000, 1000));
    // Nobody reads the file: the server stops reading its clients, and what they send stays in the kernel.
    await flood.stuck();
    const sending = new Flood(waiting, (n) => countingFrame("waiting", 10 + n * 1000, 1000), 3).done;

    server.signal("SIGTERM");
    await server.line(/Stopping/);
    const reading = new Response(pipe.readable).text();
    assert.equal(await server.exit(), 0, server.log);
    await sending;
    await flood.stop();
    const counts = countsOf(await reading);
    assert.equal(counts.get("waiting"), 3010, server.log);
    assert.ok(counts.get("loader")! > 1000);
  },
});

Deno.test({
  name: "a hop whose server is away stops at once, with or without points, since they are safe on disk",
  ...needs(linux),
  fn: async () => {
    for (const points of [0, 100]) {
      await using dir = new TempDir();
      await using hop = new Program([
        ...["--relay-in", "127.0.0.1:0", "--relay-out", `127.0.0.1:${freePort()}`],
        ...["--state-dir", dir.file("state"), "--config-override", 'shutdown_timeout="1h"'],
      ]);
      await hop.line(/"Running"/);
      await hop.line(/Cannot connect/);
      if (points > 0) {
        await using peer = await Peer.client(portOf(hop), "node-1", [COUNTER]);
        await peer.send(countingFrame("node-1", 0, points));
        await peer.conn.closeWrite();
        await peer.closed();
      }
      assert.equal(await hop.stop(), 0, hop.log);
      assert.equal(hop.matching(/did not finish in time|given up/).length, 0, hop.log);
      assert.equal(hop.matching(/"kept_in_journal":100/).length, points > 0 ? 1 : 0, hop.log);
    }
  },
});
