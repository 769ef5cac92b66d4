/** Acknowledged delivery as a server sees it. */
import assert from "node:assert/strict";
import { ClientTable } from "../../lib/points/origins.ts";
import { Batch } from "../../lib/points/measurement.ts";
import { encodeFrame } from "../../lib/wire/protocol.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { AcknowledgedClient } from "../kit/acknowledged.ts";
import { Chance } from "../kit/bytes.ts";
import { Collector } from "../kit/collector.ts";
import { metricOf } from "../kit/decode.ts";
import { batchOf, instanceOf, numbered, series } from "../kit/points.ts";
import { TestServer } from "../kit/test_server.ts";
import { PATIENCE_MS, pause, until } from "../kit/waiting.ts";

const upTo = (count: number, first = 0) => Array.from({ length: count }, (_, i) => first + i);

/** The values that a server has, as numbers. */
function valuesOf({ points }: TestServer): number[] {
  return points.map(({ value }) => Number(value));
}

Deno.test("a batch that arrives twice is taken once, and acknowledged both times", async () => {
  await using server = new TestServer();
  {
    await using client = await AcknowledgedClient.connect(server.port, "node-1");
    assert.equal(client.welcome.sequence, 0);
    await client.send(3, numbered(10));
    await client.send(7, numbered(10, 10));
    await client.acknowledgedUpTo(7);
  }
  await using again = await AcknowledgedClient.connect(server.port, "node-1");
  assert.equal(again.welcome.sequence, 7);
  // The stream goes on behind what is dropped: what it has defined is known.
  await again.send(7, numbered(10, 10));
  await again.send(9, numbered(10, 20));
  await again.acknowledgedUpTo(9);
  assert.deepEqual(valuesOf(server), upTo(30));
  assert.equal(server.server.stats.duplicatePoints, 10);
  const record = server.clients.get("node-1", instanceOf("node-1"));
  assert.deepEqual([record.receivedPoints, record.duplicatePoints, record.accepted], [40, 10, 9]);
});

Deno.test("equal numbers of another instance are other batches", async () => {
  await using server = new TestServer();
  await using a = await AcknowledgedClient.connect(server.port, "a");
  await using b = await AcknowledgedClient.connect(server.port, "b");
  await using c = await AcknowledgedClient.connect(server.port, "a", "f".repeat(32));
  for (const [n, client] of [a, b, c].entries()) {
    await client.send(1, numbered(2, n * 2));
    await client.acknowledgedUpTo(1);
  }
  assert.deepEqual(valuesOf(server), upTo(6));
});

Deno.test("a client that has another client_name after a restart continues with its numbers", async () => {
  await using server = new TestServer();
  {
    await using before = await AcknowledgedClient.connect(server.port, "before");
    await before.send(1, numbered(2));
    await before.send(2, numbered(2, 2));
    await before.acknowledgedUpTo(2);
  }
  await using after = await AcknowledgedClient.connect(server.port, "after", instanceOf("before"));
  assert.equal(after.welcome.sequence, 2, "it is told what the server has of it");
  await after.send(2, numbered(2, 2));
  await after.send(3, numbered(2, 4));
  await after.acknowledgedUpTo(3);
  assert.deepEqual(valuesOf(server), upTo(6));
  assert.deepEqual(server.points.map(({ attributes }) => attributes.at(-1)![1]), [
    ...["before", "before", "before", "before", "after", "after"],
  ]);
  assert.equal(
    server.logs.matching(/INFO.*The client has a new name client=after .*before=before/).length,
    1,
  );
});

Deno.test("while the old connection of a client is still open, the new one stores each batch once", async () => {
  await using server = new TestServer();
  server.collector.holdsBack = true;
  await using old = await AcknowledgedClient.connect(server.port, "n");
  await old.send(1, numbered(5));
  await until(() => server.points.length === 5);
  await using young = await AcknowledgedClient.connect(server.port, "n");
  assert.equal(young.welcome.sequence, 0, "nothing is safe yet");
  await young.send(1, numbered(5));
  await young.send(2, numbered(5, 5));
  await until(() => server.points.length === 10);
  await old.send(2, numbered(5, 5));
  await old.send(3, numbered(5, 10));
  await young.send(3, numbered(5, 10));
  await until(() => server.server.stats.duplicatePoints === 15 && server.points.length === 15);
  server.collector.makeSafe();
  await Promise.all([old.acknowledgedUpTo(3), young.acknowledgedUpTo(3)]);
  assert.deepEqual(valuesOf(server), upTo(15));
});

Deno.test("only safe batches are acknowledged, and one acknowledgement covers many", async () => {
  await using server = new TestServer();
  server.collector.holdsBack = true;
  await using client = await AcknowledgedClient.connect(server.port, "n");
  for (let n = 1; n <= 20; n++) await client.send(n, numbered(1, n));
  await until(() => server.points.length === 20);
  let said = 0;
  const first = client.acknowledged().then((sequence) => said = sequence);
  await pause(50);
  assert.equal(said, 0);
  server.collector.makeSafe();
  assert.equal(await first, 20);
});

Deno.test("a batch without points is acknowledged like any other", async () => {
  await using server = new TestServer();
  await using client = await AcknowledgedClient.connect(server.port, "n");
  await client.send(1, new Batch(0));
  assert.equal(await client.acknowledged(), 1);
  await client.send(2, numbered(2));
  await client.send(3, new Batch(0));
  await client.acknowledgedUpTo(3);
  assert.deepEqual(valuesOf(server), [0, 1]);
});

Deno.test("batches of many clients share a batch of the server, and none is split", async () => {
  await using server = new TestServer();
  const chance = new Chance(7);
  const clients = await Promise.all(
    upTo(20).map((n) => AcknowledgedClient.connect(server.port, `client-${n}`)),
  );
  const expected = new Map<string, number[]>();
  await Promise.all(clients.map(async (client, n) => {
    let count = 0;
    for (let sequence = 1; sequence <= 30; sequence++) {
      const points = chance.int(sequence % 10 === 0 ? 6000 : 400);
      await client.send(sequence, numbered(points, count));
      count += points;
    }
    expected.set(`client-${n}`, upTo(count));
    await client.acknowledgedUpTo(30);
  }));
  const got = new Map<string, number[]>();
  for (const { attributes, value } of server.points) {
    const name = String(attributes.find(([key]) => key === "relay_client")![1]);
    if (!got.has(name)) got.set(name, []);
    got.get(name)!.push(Number(value));
  }
  assert.deepEqual(new Map([...got].sort()), new Map([...expected].sort()));
  for (const client of clients) await client[Symbol.asyncDispose]();
});

Deno.test("a malformed batch closes its connection, and loses nothing that was taken before", async () => {
  await using server = new TestServer();
  await using good = await AcknowledgedClient.connect(server.port, "good");
  await using bad = await AcknowledgedClient.connect(server.port, "bad");
  await good.send(1, numbered(10));
  await bad.send(1, numbered(10, 10));
  await bad.acknowledgedUpTo(1);
  const frame = bad.frame(2, numbered(10, 20));
  frame[frame.length - 1] ^= 0x55;
  frame.fill(0xff, 8, 14);
  await bad.peer.send(frame);
  await bad.peer.closed();
  await good.send(2, numbered(10, 20));
  await good.acknowledgedUpTo(2);
  await using back = await AcknowledgedClient.connect(server.port, "bad");
  assert.equal(back.welcome.sequence, 1);
  await back.send(2, numbered(1, 99));
  await back.acknowledgedUpTo(2);
  assert.equal(server.points.length, 31);
  assert.equal(server.logs.matching(/WARN.*Closing a connection.*client="?bad/).length, 1);
});

Deno.test("a message outside acknowledged delivery closes the connection", async () => {
  await using server = new TestServer();
  const instead: Uint8Array[] = [
    encodeFrame("n", { type: "registerMetrics", metrics: [] }),
    encodeFrame("", { type: "acknowledge", sequence: 1 }),
  ];
  for (const frame of instead) {
    await using client = await AcknowledgedClient.connect(server.port, "n");
    await client.peer.send(frame);
    await client.peer.closed();
  }
  {
    await using client = await AcknowledgedClient.connect(server.port, "n");
    await client.send(2, numbered(1));
    // A number that does not ascend.
    const frame = client.frame(2, numbered(1));
    await client.peer.send(frame);
    await client.peer.closed();
  }
  assert.equal(server.logs.matching(/WARN.*Closing a connection/).length, 3);
});

Deno.test("a metric that does not fit loses its points, and they are counted", async () => {
  const full = new MetricRegistry(1);
  await using server = new TestServer({ registry: full });
  await using client = await AcknowledgedClient.connect(server.port, "n");
  const [a, b] = [series(metricOf("a")), series(metricOf("b"))];
  await client.send(1, batchOf([[a, 1], [b, 2], [a, 3], [b, 2n ** 60n], [a, 2n ** 61n]]));
  await client.acknowledgedUpTo(1);
  assert.deepEqual(server.points.map(({ value }) => value), [1n, 3n, 2n ** 61n]);
  const record = server.clients.get("n", instanceOf("n"));
  assert.deepEqual([record.receivedPoints, record.rejectedPoints], [5, 2]);
  assert.equal(server.server.stats.rejectedPoints, 2);
});

Deno.test("a server whose pipe is full gives signs of life", async () => {
  await using server = new TestServer({ signOfLifeMs: 60 });
  server.collector.holdsBack = true;
  await using client = await AcknowledgedClient.connect(server.port, "n");
  await client.send(1, numbered(1));
  assert.equal(await client.acknowledged(), 0);
  assert.equal(await client.acknowledged(), 0);
  server.collector.makeSafe();
  await client.acknowledgedUpTo(1);
});

Deno.test("a server that stops acknowledges what it has taken before it closes", async () => {
  const clients = new ClientTable();
  const server = new TestServer({ clients, drainMs: PATIENCE_MS });
  server.collector.holdsBack = true;
  await using client = await AcknowledgedClient.connect(server.port, "n");
  await client.send(1, numbered(10));
  await until(() => server.points.length === 10);
  const stopped = server.stop();
  await pause(100);
  server.collector.makeSafe();
  await client.acknowledgedUpTo(1);
  await client.peer.closed();
  await client.peer[Symbol.asyncDispose]();
  await stopped;
});

Deno.test("a server that stops does not wait forever for what cannot become safe", async () => {
  const server = new TestServer({ drainMs: 200 });
  server.collector.holdsBack = true;
  await using client = await AcknowledgedClient.connect(server.port, "n");
  await client.send(1, numbered(10));
  await until(() => server.points.length === 10);
  await server.stop();
  await client.peer.closed();
});

Deno.test("acknowledge = stored waits for each output, and asks the outputs what they have of a client", async () => {
  const clients = new ClientTable();
  await using server = new TestServer({ clients, safety: "stored" });
  server.collector.clients = undefined;
  clients.addOutput("a");
  clients.addOutput("b");
  clients.sources.push(({ name }) => Promise.resolve(name === "n" ? 4 : 0));
  clients.sources.push(() => Promise.reject(new Error("down")));
  await using client = await AcknowledgedClient.connect(server.port, "n");
  assert.equal(client.welcome.sequence, 4);
  await client.send(4, numbered(2));
  await client.send(5, numbered(2, 2));
  await until(() => server.points.length === 2);
  assert.deepEqual(valuesOf(server), [2, 3], "batch 4 is stored already");
  const record = clients.get("n", instanceOf("n"));
  const batch = numbered(2, 2);
  batch.credit(record, 5);
  clients.makeDurable(batch);
  clients.settle(batch, "a", "stored");
  clients.progress();
  let said = -1;
  const answer = client.acknowledgedUpTo(5).then(() => said = 5);
  await pause(40);
  assert.equal(said, -1);
  clients.settle(batch, "b", "stored");
  clients.progress();
  await answer;
});

Deno.test("a message after the handover of a server is neither taken nor counted", async () => {
  let handOver = () => {};
  class Ending extends Collector {
    override push(batch: Batch): void {
      void super.push(batch);
      handOver();
    }
  }
  await using server = new TestServer({ sink: new Ending() });
  await using client = await AcknowledgedClient.connect(server.port, "n");
  handOver = () => server.server.handOver();
  // They come together.
  await client.peer.send(Uint8Array.of(...client.frame(1, numbered(5)), ...client.frame(2, numbered(5, 5))));
  await client.peer.closed();
  assert.equal(server.points.length, 5);
  assert.equal(server.server.stats.points, 5);
  assert.equal(server.clients.get("n", instanceOf("n")).receivedPoints, 5);
});

Deno.test("at the handover a server passes on what it has gathered, and nothing later", async () => {
  const server = new TestServer();
  server.collector.holdsBack = true;
  await using client = await AcknowledgedClient.connect(server.port, "n");
  await client.send(1, numbered(5));
  await until(() => server.points.length === 5);
  for (let sequence = 2; sequence < 40; sequence++) {
    await client.send(sequence, numbered(5, 5 * sequence));
    if (server.server.stats.points > server.points.length) break;
  }
  server.server.handOver();
  assert.equal(server.points.length, server.server.stats.points);
  const { length } = server.points;
  await client.peer.closed();
  await pause(20);
  assert.equal(server.points.length, length);
  await server.stop();
});
