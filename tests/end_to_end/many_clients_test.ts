/** A server with very many clients, and with more of them than it has file descriptors for. */
import assert from "node:assert/strict";
import { encodeFrame, type WireMetric } from "../../lib/wire/protocol.ts";
import { linux, needs } from "../kit/needs.ts";
import { Peer } from "../kit/peer.ts";
import { cpuSeconds, peakMemory } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { PATIENCE_MS, pause, until } from "../kit/waiting.ts";
import { COUNTER, countingFrame, greeting } from "../kit/wire.ts";
import { manyFiles, portOf, readRows, startServer } from "./relay.ts";

const CLIENTS = 1000;
const MEMORY_LIMIT = 200e6;

Deno.test({
  name: "1,000 clients at once, each with metric ids of its own, are served in less than 200 MB",
  ...needs(linux, manyFiles(CLIENTS)),
  async fn() {
    const FRAMES = 5;
    const POINTS = 10;
    await using dir = new TempDir();
    const file = dir.file("measures.csv");
    await using server = await startServer(file);
    const port = portOf(server);
    await using stack = new AsyncDisposableStack();
    const peers = await Promise.all(Array.from({ length: CLIENTS }, async (_, n) => {
      const peer = stack.use(await Peer.connect(port));
      await peer.send(greeting(`client-${n}`));
      await peer.answer();
      return peer;
    }));
    await server.line(/Client connected/, { count: CLIENTS });
    assert.equal(server.matching(/Client disconnected/).length, 0, "all are connected at once");

    // What is metric 7n for client n is another metric, or none, for each other one.
    const name = (n: number) => `client-${n}`;
    const idOf = (n: number) => (n * 7) % 65_536;
    await Promise.all(peers.map(async (peer, n) => {
      const metrics: WireMetric[] = [
        { ...COUNTER, id: idOf(n), name: `own-${n}` },
        { ...COUNTER, id: idOf(n) + 1, name: "shared" },
      ];
      await peer.send(encodeFrame(name(n), { type: "registerMetrics", metrics }));
      for (let frame = 0; frame < FRAMES; frame++) {
        const first = n * 1000 + frame * POINTS;
        await peer.send(countingFrame(name(n), first, POINTS, idOf(n) + frame % 2));
      }
      await peer.conn.closeWrite();
      await peer.closed();
    }));
    const memory = peakMemory(server.pid);
    assert.equal(await server.stop(), 0, server.log);

    const expected = peers.flatMap((_, n) =>
      Array.from({ length: FRAMES * POINTS }, (_, i) => {
        const metric = Math.floor(i / POINTS) % 2 === 0 ? `own-${n}` : "shared";
        return `${metric} ${n * 1000 + i} ${name(n)}`;
      })
    );
    const rows = (await readRows(file)).map(({ metric, value, relay_client }) =>
      `${metric} ${value} ${relay_client}`
    );
    assert.equal(rows.length, expected.length);
    assert.deepEqual(new Set(rows), new Set(expected));
    assert.ok(memory < MEMORY_LIMIT, `${memory} bytes`);
    assert.equal(server.summary("relay-server").connections, CLIENTS);
  },
});

/** How much a number grows within a second and a half. */
async function rest(read: () => number): Promise<number> {
  const before = read();
  // The time is tested: what a process does in it.
  await pause(1500);
  return read() - before;
}

Deno.test({
  name:
    "without free file descriptors a server serves its clients, idles, and accepts others when some leave",
  ...needs(linux),
  async fn() {
    const CLIENTS = 100;
    await using dir = new TempDir();
    const file = dir.file("measures.csv");
    await using server = await startServer(file, {
      wrapper: ["bash", "-c", 'ulimit -n 64; exec "$@"', "bash"],
    });
    const port = portOf(server);
    await using stack = new AsyncDisposableStack();
    const served = new Set<number>();
    const peers = await Promise.all(Array.from({ length: CLIENTS }, async (_, n) => {
      const peer = stack.use(await Peer.connect(port));
      await peer.send(greeting(`client-${n}`));
      return peer;
    }));
    const serving = peers.map(async (peer, n) => {
      await peer.answer();
      served.add(n);
      await peer.send(encodeFrame(`client-${n}`, { type: "registerMetrics", metrics: [COUNTER] }));
      await peer.send(countingFrame(`client-${n}`, n, 1));
    });
    const all = Promise.all(serving);
    all.catch(() => {});

    const { level, reason } = await server.line(/Cannot accept connections/);
    assert.equal(level, "error");
    assert.match(String(reason), /Too many open files|os error 24/);
    assert.equal(
      await rest(() => cpuSeconds(server.pid)) < 0.5,
      true,
      "it takes little CPU time while it waits",
    );
    const first = served.size;
    assert.ok(first > 20 && first < 64, `${first} of ${CLIENTS} are served`);
    assert.equal(
      server.matching(/Cannot accept connections/).length,
      1,
      "it does not complain ten times a second",
    );

    for (let left = 0; served.size < CLIENTS;) {
      const before = served.size;
      for (const n of [...served].slice(left, left += 10)) {
        await serving[n];
        await peers[n].conn.closeWrite();
        await peers[n].closed();
        peers[n].conn.close();
      }
      await until(() => served.size > before, PATIENCE_MS, "those who wait are served");
    }
    await all;
    assert.equal(await server.stop(), 0, server.log);
    const values = (await readRows(file)).map(({ value, relay_client }) => `${value} ${relay_client}`);
    assert.deepEqual(new Set(values), new Set(peers.map((_, n) => `${n} client-${n}`)));
    assert.equal(values.length, CLIENTS);
    assert.equal(server.summary("relay-server").connections, CLIENTS);
  },
});
