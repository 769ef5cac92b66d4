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
const MEMORY_LIMIT = 300e6;

Deno.test({
  name: "1,000 clients at once, each with metric ids of its own, are served in less than 300 MB",
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
    assert.deepEqual(server.soFar(/Client disconnected/), [], "all are connected at once");

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
  name: "a server with few file descriptors refuses clients beyond them, and accepts others when some leave",
  ...needs(linux),
  async fn() {
    const CLIENTS = 200;
    await using dir = new TempDir();
    const file = dir.file("measures.csv");
    await using server = await startServer(file, {
      wrapper: ["bash", "-c", 'ulimit -n 128; exec "$@"', "bash"],
    });
    const port = portOf(server);
    await server.line(/limit of open files allows fewer connections/);
    await using stack = new AsyncDisposableStack();
    const expected: string[] = [];
    /** Connects, and sends a point if it is accepted. */
    const client = async (n: number): Promise<Peer | undefined> => {
      const name = `client-${n}`;
      const peer = stack.use(await Peer.connect(port));
      try {
        await peer.send(greeting(name));
        if (!(await peer.answer()).accept) throw new Error("refused");
      } catch {
        // Far beyond the limit a server closes without an answer. Who stays would count for a second.
        peer.conn.close();
        return undefined;
      }
      await peer.send(encodeFrame(name, { type: "registerMetrics", metrics: [COUNTER] }));
      await peer.send(countingFrame(name, n, 1));
      expected.push(`${n} ${name}`);
      return peer;
    };
    const first = (await Promise.all(Array.from({ length: CLIENTS }, (_, n) => client(n))))
      .filter((peer) => peer !== undefined);
    assert.ok(first.length > 10 && first.length < 128, `${first.length} of ${CLIENTS} are accepted`);
    let idle = Infinity;
    // What it does for those that it has refused may take a moment.
    const isIdle = async () => (idle = await rest(() => cpuSeconds(server.pid))) < 0.5;
    await until(isIdle, PATIENCE_MS, () => `it takes little CPU time while it is full: ${idle} s`);

    for (const peer of first) {
      await peer.conn.closeWrite();
      await peer.closed();
      peer.conn.close();
    }
    await server.line(/Client disconnected/, { count: first.length });
    for (let n = CLIENTS; n < CLIENTS + 10; n++) assert.ok(await client(n), `client ${n} is accepted`);
    await until(() => Deno.readTextFileSync(file).split("\n").length > expected.length + 1, PATIENCE_MS);
    assert.equal(await server.stop(), 0, server.log);
    const values = (await readRows(file)).map(({ value, relay_client }) => `${value} ${relay_client}`);
    assert.deepEqual(values.sort(), expected.sort());
  },
});
