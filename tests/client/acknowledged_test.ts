/** Acknowledged delivery as a client sees it. */
import assert from "node:assert/strict";
import { PROCESS_CLOCK } from "../../lib/base/clock.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { AcknowledgedSender } from "../../lib/client/acknowledged.ts";
import type { Dialled } from "../../lib/client/dial.ts";
import { DEFAULT_LIMITS } from "../../lib/client.ts";
import { seriesOf } from "../../lib/points/measurement.ts";
import { Outbox } from "../../lib/client/outbox.ts";
import { OUR_RELAY_VERSION } from "../../lib/wire/protocol.ts";
import { AcknowledgingServer } from "../kit/acknowledged.ts";
import { Chance } from "../kit/bytes.ts";
import { configOf, TestClient } from "../kit/client.ts";
import { metricOf, pointsOf } from "../kit/decode.ts";
import { journalOf, open, withDirectory } from "../kit/journal.ts";
import { HandServer, OneMessagePerRead, Peer, ReadingClock } from "../kit/peer.ts";
import { batchOf, instanceOf, numbered, series } from "../kit/points.ts";
import { freePort } from "../kit/ports.ts";
import { LogLines } from "../kit/log_lines.ts";
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

/** The time by which a client measures silence. It looks every quarter of `silenceMs` of real time. */
class SilenceClock {
  ms = 0;
  #looks = 0;
  readonly sleep = PROCESS_CLOCK.sleep;

  monotonicMs(): number {
    this.#looks++;
    return this.ms;
  }

  /** Lets time pass, and the client look at it. */
  async pass(ms: number): Promise<void> {
    this.ms += ms;
    const looks = this.#looks;
    await until(() => this.#looks > looks + 4);
  }
}

Deno.test("a server that stays silent while it owes an acknowledgement is given up, one with signs of life is not", async () => {
  await using listener = new HandServer();
  const limits = { ...DEFAULT_LIMITS, silenceMs: 40 };
  const clock = new SilenceClock();
  await using client = new TestClient(configOf(listener.port, quick), journalOf(), limits, false, clock);
  await using silent = await AcknowledgingServer.accept(listener);
  // With nothing under way a server has nothing to say.
  await clock.pass(1000);
  assert.equal(client.client.stats.connections, 1);
  client.push(numbered(1));
  await silent.receive();
  clock.ms += 41;
  await using server = await AcknowledgingServer.accept(listener);
  assert.deepEqual((await server.receive())!.values, [0]);
  for (let n = 0; n < 4; n++) {
    await clock.pass(39);
    await server.acknowledge(0);
    await clock.pass(0);
  }
  assert.equal(client.client.stats.connections, 2);
  assert.equal(client.logs.matching(/silent for 40ms/).length, 1);
});

Deno.test("what a server has said while the client had no time to read is no silence", async () => {
  await using listener = new HandServer();
  const limits = { ...DEFAULT_LIMITS, silenceMs: 40 };
  const clock = new SilenceClock();
  await using client = new TestClient(configOf(listener.port, quick), journalOf(), limits, false, clock);
  await using server = await AcknowledgingServer.accept(listener);
  client.push(numbered(1));
  await server.receive();
  for (let n = 0; n < 4; n++) {
    clock.ms += 1000;
    const said = server.acknowledge(0);
    // The time is tested: the client should have looked, and does so before it reads.
    for (const began = performance.now(); performance.now() - began < 20;);
    await said;
    await clock.pass(0);
  }
  assert.equal(client.client.stats.connections, 1);
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
  const limits = { ...DEFAULT_LIMITS, silenceMs: 40 };
  const clock = new SilenceClock();
  const gathering = { ...quick, buffer_max_length: 4096, buffer_timeout: 3_600_000 };
  await using client = new TestClient(configOf(listener.port, gathering), journalOf(), limits, false, clock);
  await using server = await AcknowledgingServer.accept(listener);
  client.push(numbered(1));
  await clock.pass(1000);
  client.journal.end();
  assert.deepEqual((await server.receive())!.values, [0]);
  await server.acknowledge(1);
  await until(() => client.journal.pendingPoints === 0);
  const { connections, sentPoints, resentPoints } = client.client.stats;
  assert.deepEqual([connections, sentPoints, resentPoints], [1, 1, 0]);
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
  const clock = new ReadingClock();
  await using client = new TestClient(
    configOf(listener.port, quick),
    journalOf(),
    DEFAULT_LIMITS,
    false,
    clock,
  );
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
  const real = clock.server = new OneMessagePerRead(peer);
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
    // On a busy machine it might never come in time.
    if (life % 4 === 0) await until(() => server!.server.stats.connections > 0);
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
  await using server = new TestServer({ handshakeMs: 500 });
  await using peer = await Peer.connect(server.port);
  await peer.send(greeting("n", 2, OUR_RELAY_VERSION));
  await peer.answer();
  await peer.closed();
});

Deno.test("a hop passes points on once they are in its own journal, and sends its own at once", () =>
  withDirectory(async (directory) => {
    await using server = new TestServer();
    await using journal = await open(directory, { sync: 3_600_000 });
    await using client = new TestClient(configOf(server.port), journal);
    await until(() => client.client.stats.connections === 1);
    client.push(numbered(2));
    await until(() => server.points.length === 2);
    assert.equal(journal.writtenPosition, 0);
    const passed = numbered(3, 2);
    passed.credit(journal.clients.get("first", instanceOf("first")), 7);
    client.push(passed);
    await pause(50);
    assert.equal(server.points.length, 2, "it is in memory alone");
    // So many are written at once.
    client.push(numbered(10_000, 5));
    await until(() => server.points.length === 10_005);
    assert.equal(journal.writtenPosition, 3);
    await client.finish();
    assert.deepEqual(valuesOf(server), upTo(10_005));
  }));

Deno.test("a hop gathers batches for a moment, unless they come one by one as far apart as that", async () => {
  const journal = journalOf();
  const reader = journal.reader("relay-client");
  const clock = { ms: 0, monotonicMs: () => clock.ms };
  let gathered = 0;
  let written = Promise.withResolvers<void>();
  const wait = reader.wait.bind(reader);
  reader.wait = (ms, signal) => {
    if (ms === Infinity) return wait(ms, signal);
    gathered++;
    return Promise.resolve("timeout");
  };
  const conn = {
    write(bytes: Uint8Array) {
      written.resolve();
      return Promise.resolve(bytes.length);
    },
  } as unknown as Dialled;
  const stats = {
    ...{ sentPoints: 0, sentMessages: 0, sentBytes: 0 },
    ...{ acknowledgedPoints: 0, resentPoints: 0, unsendablePoints: 0 },
  };
  const { log } = new LogLines();
  const buffer = { maxBytes: 1e6, timeoutMs: 60_000 };
  const sender = new AcknowledgedSender(new Outbox(reader), buffer, stats, log, clock);
  const welcomed = { type: "welcome" as const, sequence: 0, maxSeries: 1000, reusesPlaces: true };
  const running = sender.run(conn, welcomed, new AbortController().signal);
  /** A batch of a client comes after so many ms. @returns whether it waits for others */
  const waits = async (ms: number) => {
    const before = gathered;
    written = Promise.withResolvers();
    clock.ms += ms;
    const batch = numbered(3);
    batch.credit(journal.clients.get("first", instanceOf("first")));
    void journal.append(batch);
    await written.promise;
    return gathered > before;
  };
  const results = [];
  for (let n = 0; n < 12; n++) results.push(await waits(40));
  assert.deepEqual(results, [...Array(7).fill(true), ...Array(5).fill(false)]);
  assert.equal(await waits(39), true);
  assert.equal(await waits(40), true);
  journal.end();
  sender.acknowledge(14);
  await running;
});

Deno.test("acknowledgements that arrive while the window fills are not missed", async () => {
  await using listener = new HandServer();
  await using client = new TestClient(configOf(listener.port));
  await using server = await AcknowledgingServer.accept(listener);
  const acknowledging = (async () => {
    for (let received; (received = await server.receive());) await server.acknowledge(received.sequence);
  })();
  for (let n = 0; n < 12; n++) client.push(numbered(262_144, 0));
  client.push(numbered(1));
  await until(() => client.journal.pendingPoints === 0);
  await client.finish();
  await acknowledging;
});
