import assert from "node:assert/strict";
import { ClientTable } from "../../lib/points/origins.ts";
import { DEFAULT_LIMITS } from "../../lib/client.ts";
import { Batch, seriesOf } from "../../lib/points/measurement.ts";
import { encodeFrame, OUR_RELAY_VERSION } from "../../lib/wire/protocol.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { AcknowledgedClient, AcknowledgingServer } from "../kit/acknowledged.ts";
import { Chance } from "../kit/bytes.ts";
import { configOf, TestClient } from "../kit/client.ts";
import { Collector } from "../kit/collector.ts";
import { metricOf, pointsOf } from "../kit/decode.ts";
import { journalOf, open, withDirectory } from "../kit/journal.ts";
import { HandServer, OneMessagePerRead, Peer } from "../kit/peer.ts";
import { batchOf, instanceOf, numbered, series } from "../kit/points.ts";
import { freePort } from "../kit/ports.ts";
import { sessionBatches } from "../kit/session.ts";
import { TestServer } from "../kit/test_server.ts";
import { pause, until } from "../kit/waiting.ts";
import { greeting } from "../kit/wire.ts";

const upTo = (count: number, first = 0) => Array.from({ length: count }, (_, i) => first + i);
const quick = { retry: { max_times: 1000, initial_delay: 2, max_delay: 5 } };

/** The values that a server has, as numbers. */
function valuesOf({ points }: TestServer): number[] {
  return points.map(({ value }) => Number(value));
}

Deno.test("a client keeps a batch until the server has acknowledged it", async () => {
  await using listener = new HandServer();
  await using client = new TestClient(configOf(listener.port));
  await using server = await AcknowledgingServer.accept(listener);
  assert.equal(server.hello.instance, client.journal.id);
  for (let n = 0; n < 3; n++) client.push(numbered(10, n * 10));
  for (let n = 0; n < 3; n++) {
    const { sequence, values } = (await server.receive())!;
    assert.deepEqual([sequence, values], [n + 1, upTo(10, n * 10)]);
  }
  await pause(30);
  assert.equal(client.journal.pendingPoints, 30);
  await server.acknowledge(2);
  await until(() => client.journal.pendingPoints === 10);
  await server.acknowledge(2);
  await server.acknowledge(3);
  await until(() => client.journal.pendingPoints === 0);
  assert.equal(client.client.stats.acknowledgedPoints, 30);
});

Deno.test("unacknowledged batches are sent again on the next connection, those that the server has are not", async () => {
  await using listener = new HandServer();
  await using client = new TestClient(configOf(listener.port, quick));
  {
    await using server = await AcknowledgingServer.accept(listener);
    for (let n = 0; n < 5; n++) client.push(numbered(4, n * 4));
    for (let n = 0; n < 5; n++) await server.receive();
    await server.acknowledge(1);
    await until(() => client.client.stats.acknowledgedPoints === 4);
  }
  // The acknowledgement of 2 and 3 was lost with the connection.
  await using server = await AcknowledgingServer.accept(listener, 3);
  client.push(numbered(4, 20));
  for (const sequence of [4, 5, 6]) {
    const received = (await server.receive())!;
    assert.deepEqual([received.sequence, received.values], [sequence, upTo(4, (sequence - 1) * 4)]);
  }
  assert.equal(client.client.stats.resentPoints, 8);
  assert.equal(client.client.stats.sentPoints, 24);
  await server.acknowledge(6);
  await client.finish();
  assert.equal(client.journal.pendingPoints, 0);
});

Deno.test("at the end a client waits until everything it sent is acknowledged", async () => {
  await using listener = new HandServer();
  await using client = new TestClient(configOf(listener.port));
  await using server = await AcknowledgingServer.accept(listener);
  client.push(numbered(5));
  client.journal.end();
  await server.receive();
  let done = false;
  void client.done.then(() => done = true);
  await pause(50);
  assert.ok(!done);
  await server.acknowledge(1);
  assert.equal(await server.receive(), null);
  await server.peer[Symbol.asyncDispose]();
  await client.done;
});

Deno.test("a client sends no more than its window until the server acknowledges", async () => {
  await using listener = new HandServer();
  const journal = journalOf();
  await using client = new TestClient(configOf(listener.port), journal);
  await using server = await AcknowledgingServer.accept(listener);
  for (let n = 0; n < 100; n++) client.push(numbered(10_000, n * 10_000));
  let received = 0;
  void (async () => {
    while (await server.receive()) received++;
  })().catch(() => {});
  await until(() => received === 27);
  await pause(50);
  assert.equal(received, 27, "262,144 points, and the batch that fills them up");
  await server.acknowledge(10);
  await until(() => received === 37);
});

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

Deno.test("a batch that no message can carry is given up and logged, and the others are sent", async () => {
  await using server = new TestServer();
  await using client = new TestClient(configOf(server.port));
  client.push(numbered(3));
  client.push(batchOf([[series(metricOf("m")), 1, -5]]));
  client.push(numbered(3, 3));
  await client.finish();
  assert.deepEqual(valuesOf(server), upTo(6));
  assert.equal(client.client.stats.unsendablePoints, 1);
  assert.equal(client.logs.matching(/ERROR.*cannot be sent and is given up/).length, 1);
});

Deno.test("a server that stays silent while it owes an acknowledgement is given up, one with signs of life is not", async () => {
  await using listener = new HandServer();
  const limits = { ...DEFAULT_LIMITS, silenceMs: 120 };
  await using client = new TestClient(configOf(listener.port, quick), journalOf(), limits);
  await using silent = await AcknowledgingServer.accept(listener);
  // With nothing under way a server has nothing to say.
  // The time is tested: more than twice the silence that is given up.
  await pause(300);
  assert.equal(client.client.stats.connections, 1);
  client.push(numbered(1));
  await silent.receive();
  await using server = await AcknowledgingServer.accept(listener);
  assert.deepEqual((await server.receive())!.values, [0]);
  for (let n = 0; n < 8; n++) {
    await server.acknowledge(0);
    await pause(50);
  }
  assert.equal(client.client.stats.connections, 2);
  assert.equal(client.logs.matching(/silent for 120ms/).length, 1);
});

Deno.test("the log says when a server that lives takes no more points, and when it takes some again", async () => {
  await using listener = new HandServer();
  const limits = { ...DEFAULT_LIMITS, stalledMs: 100 };
  await using client = new TestClient(configOf(listener.port, quick), journalOf(), limits);
  await using server = await AcknowledgingServer.accept(listener);
  client.push(numbered(1));
  await server.receive();
  // Signs of life, as a server gives them whose journal is full.
  await until(async () => {
    await server.acknowledge(0);
    return client.logs.matching(/WARN.*takes no more points: its journal is full/).length > 0;
  });
  await server.acknowledge(1);
  await until(() => client.logs.matching(/INFO.*takes points again/).length === 1);
  assert.equal(client.client.stats.connections, 1);
});

Deno.test("a server that owes nothing may be silent as long as the client gathers points", async () => {
  await using listener = new HandServer();
  const limits = { ...DEFAULT_LIMITS, silenceMs: 60 };
  const gathering = { ...quick, buffer_max_length: 4096, buffer_timeout: 400 };
  await using client = new TestClient(configOf(listener.port, gathering), journalOf(), limits);
  await using server = await AcknowledgingServer.accept(listener);
  client.push(numbered(1));
  assert.deepEqual((await server.receive())!.values, [0]);
  await server.acknowledge(1);
  await until(() => client.journal.pendingPoints === 0);
  const { connections, sentPoints, resentPoints } = client.client.stats;
  assert.deepEqual([connections, sentPoints, resentPoints], [1, 1, 0]);
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
  const server = new TestServer({ clients });
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

Deno.test("a client whose server has more than its journal continues under a new instance id, and loses nothing", async () => {
  await using listener = new HandServer();
  await using client = new TestClient(configOf(listener.port, quick));
  const { id } = client.journal;
  client.push(numbered(3));
  await using before = await AcknowledgingServer.accept(listener, 1000);
  assert.equal(before.hello.instance, id);
  assert.equal(await before.receive(), null);
  await using server = await AcknowledgingServer.accept(listener, 0);
  assert.notEqual(server.hello.instance, id);
  assert.deepEqual((await server.receive())!.values, upTo(3));
  assert.equal(client.logs.matching(/ERROR.*was a machine cloned/).length, 1);
});

Deno.test("a client changes from a server of ours to a real one and back, and loses nothing", async () => {
  await using listener = new HandServer();
  await using client = new TestClient(configOf(listener.port, quick));
  {
    await using ours = await AcknowledgingServer.accept(listener);
    client.push(numbered(5));
    client.push(numbered(5, 5));
    await ours.receive();
    await ours.receive();
    await ours.acknowledge(1);
    await until(() => client.client.stats.acknowledgedPoints === 5);
  }
  const peer = await listener.accept();
  const real = new OneMessagePerRead(peer);
  real.done.catch(() => {});
  client.push(numbered(5, 10));
  await until(() => client.journal.pendingPoints === 0);
  assert.equal(real.bodies.length, 2, "the metrics, and the ten points that are left");
  await peer[Symbol.asyncDispose]();
  await using ours = await AcknowledgingServer.accept(listener, 1);
  client.push(numbered(5, 15));
  assert.deepEqual((await ours.receive())!.values, upTo(5, 15));
  await ours.acknowledge(4);
  await client.finish();
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

Deno.test("the client obeys maxSeries: a stream that would exceed it starts again", async () => {
  await using listener = new HandServer();
  await using client = new TestClient(configOf(listener.port));
  await using server = await AcknowledgingServer.accept(listener, 0, 10);
  const metric = metricOf("m");
  const values: number[] = [];
  for (let n = 0; n < 10; n++) {
    client.push(batchOf(upTo(7).map((i) => [seriesOf(metric, { resourceId: `${n}-${i}` }), n * 7 + i])));
    values.push(...(await server.receive())!.values);
    assert.ok(server.decoder.seriesCount <= 10);
  }
  assert.deepEqual(values, upTo(70));
  await server.acknowledge(10);
});

Deno.test("points of a client keep its name behind a hop", async () => {
  await using last = new TestServer();
  const journal = journalOf();
  await using hop = new TestServer({ clients: journal.clients });
  hop.collector.push = (batch) => journal.append(batch);
  await using passing = new TestClient(configOf(last.port, { client_name: "hop" }), journal);
  await using origin = new TestClient(configOf(hop.port, { client_name: "origin" }));
  origin.push(numbered(4));
  await origin.finish();
  assert.deepEqual(
    last.points.map(({ attributes }) => attributes),
    upTo(4).map(() => [["relay_client", "origin"]]),
  );
  await hop.stop();
  await passing.finish();
});

Deno.test("connections that break at random places neither lose nor double a point", async () => {
  const chance = new Chance(20261123);
  const clients = new ClientTable();
  const points: number[] = [];
  let server: TestServer | undefined;
  const port = freePort();
  await using client = new TestClient(configOf(port, quick));
  let pushed = 0;
  for (let life = 0; life < 25; life++) {
    server = new TestServer({ port, clients });
    for (let n = chance.int(30); n > 0; n--) {
      const count = chance.int(500);
      client.push(numbered(count, pushed));
      pushed += count;
      if (chance.int(4) === 0) await pause(chance.int(8));
    }
    await pause(chance.int(40));
    // All connections break, wherever they are; what the server has taken stays in its pipe.
    await server.server[Symbol.asyncDispose]();
    await server.stop();
    points.push(...valuesOf(server));
  }
  server = new TestServer({ port, clients });
  await client.finish();
  points.push(...valuesOf(server));
  await server.stop();
  assert.deepEqual(points, upTo(pushed));
  assert.ok(client.client.stats.connections > 5);
});

Deno.test("the session of a real agent takes at most 8 bytes per point on the wire, and is unchanged behind it", async () => {
  await using server = new TestServer();
  await using client = new TestClient(configOf(server.port));
  const batches = sessionBatches();
  const expected = batches.flatMap((batch) => [...pointsOf(batch)]);
  for (const batch of batches) client.push(batch);
  await client.finish();
  const { bytes, points } = server.server.stats;
  assert.ok(bytes / points <= 8, `${bytes / points} bytes a point`);
  assert.deepEqual(
    server.points.map(({ attributes, ...rest }) => ({
      ...rest,
      attributes: attributes.filter(([name]) => name !== "relay_client"),
    })),
    expected,
  );
});

Deno.test("a client that introduces itself late is disconnected, like any that is silent in the handshake", async () => {
  await using server = new TestServer({ handshakeMs: 100 });
  await using peer = await Peer.connect(server.port);
  await peer.send(greeting("n", 2, OUR_RELAY_VERSION));
  await peer.answer();
  await peer.closed();
});

Deno.test("a hop passes points on once they are in its own journal, and sends its own at once", () =>
  withDirectory(async (directory) => {
    await using server = new TestServer();
    await using journal = await open(directory, { sync: 300 });
    await using client = new TestClient(configOf(server.port), journal);
    await until(() => client.client.stats.connections === 1);
    client.push(numbered(2));
    await until(() => server.points.length === 2);
    assert.equal(journal.writtenPosition, 0);
    const passed = numbered(3, 2);
    passed.credit(journal.clients.get("first", instanceOf("first")), 7);
    client.push(passed);
    await until(() => server.points.length > 2);
    assert.equal(journal.writtenPosition, 2);
    await client.finish();
    assert.deepEqual(valuesOf(server), upTo(5));
  }));

Deno.test("acknowledgements that arrive while the window fills are not missed", async () => {
  await using listener = new HandServer();
  await using client = new TestClient(configOf(listener.port));
  await using server = await AcknowledgingServer.accept(listener);
  const acknowledging = (async () => {
    for (let received; (received = await server.receive());) await server.acknowledge(received.sequence);
  })();
  for (let n = 0; n < 12; n++) client.push(numbered(262_144, 0));
  client.push(numbered(1));
  await until(() => client.journal.pendingPoints === 0, 20_000);
  await client.finish();
  await acknowledging;
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
