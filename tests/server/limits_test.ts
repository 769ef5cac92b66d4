import assert from "node:assert/strict";
import { ClientTable } from "../../lib/points/origins.ts";
import { seriesStore } from "../../lib/points/series_store.ts";
import { seriesOf } from "../../lib/points/measurement.ts";
import { config, type RelayServerConfig } from "../../lib/server/config.ts";
import { admissionOf, limitsOf } from "../../lib/server/settings.ts";
import { isLonger } from "../../lib/wire/names.ts";
import { PostcardWriter } from "../../lib/postcard.ts";
import { MESSAGE } from "../../lib/wire/protocol.ts";
import { AcknowledgedClient } from "../kit/acknowledged.ts";
import { metricOf } from "../kit/decode.ts";
import { Peer } from "../kit/peer.ts";
import { batchOf, instanceOf } from "../kit/points.ts";
import { TestServer } from "../kit/test_server.ts";
import { until } from "../kit/waiting.ts";
import { COUNTER, countingFrame, greeting, measurementFrame } from "../kit/wire.ts";

interface Odd {
  resourceKind?: string;
  consumerKind?: string;
  consumerId?: string;
  attribute?: string;
}

/** A message with a point for each of these. */
function oddFrame(sender: string, odd: Odd[]): Uint8Array<ArrayBuffer> {
  const writer = new PostcardWriter().raw(new Uint8Array(4)).string(sender);
  writer.discriminant(MESSAGE.sendMeasurements).u64(odd.length);
  for (const [n, { resourceKind = "r", consumerKind = "c", consumerId = "", attribute }] of odd.entries()) {
    writer.u64(0).u64(1_700_000_000).u32(n).discriminant(1).u64(n);
    writer.string(resourceKind).string("").string(consumerKind).string(consumerId);
    writer.u64(attribute === undefined ? 0 : 1);
    if (attribute !== undefined) writer.string(attribute).discriminant(3).string("value");
  }
  const frame = writer.written;
  new DataView(frame.buffer).setUint32(0, frame.length - 4);
  return frame;
}

const LONG = "x".repeat(21);
const ODD: Odd[] = [{}, { resourceKind: LONG }, { consumerKind: LONG }, { attribute: LONG }, {
  consumerId: LONG.repeat(9),
}, {
  attribute: "é".repeat(10),
}, { attribute: "é".repeat(11) }];
/** Ids and values are no names; bytes are counted. */
const TAKEN = [0, 4, 5];

Deno.test("lengths are in bytes of UTF-8", () => {
  assert.ok(!isLonger("x".repeat(20), 20) && isLonger("x".repeat(21), 20));
  assert.ok(!isLonger("é".repeat(10), 20) && isLonger("é".repeat(11), 20));
  assert.ok(!isLonger("🔋".repeat(5), 20) && isLonger("🔋".repeat(6), 20));
});

Deno.test("points with a kind or an attribute's key that is too long are refused and counted, the others are kept: real agents", async () => {
  await using server = new TestServer({ maxNameBytes: 20 });
  await using peer = await Peer.client(server.port, "real", [COUNTER]);
  // The second time they are known.
  for (let n = 0; n < 2; n++) await peer.send(oddFrame("real", ODD));
  await until(() => server.points.length === 2 * TAKEN.length);
  assert.deepEqual(server.points.map(({ value }) => Number(value)), [...TAKEN, ...TAKEN]);
  assert.equal(server.server.stats.rejectedPoints, 2 * (ODD.length - TAKEN.length));
  await peer[Symbol.asyncDispose]();
  await until(() => server.logs.matching(/Points were refused.*points=8.*name_too_long=8/).length === 1);
});

Deno.test("points with a kind or an attribute's key that is too long are refused and counted, the others are kept: clients of ours", async () => {
  await using server = new TestServer({ maxNameBytes: 20 });
  const series = ODD.map(({ attribute, ...rest }) =>
    seriesOf(metricOf("m"), { ...rest, attributes: attribute === undefined ? [] : [[attribute, "value"]] })
  );
  await using client = await AcknowledgedClient.connect(server.port, "ours");
  for (let n = 1; n < 3; n++) await client.send(n, batchOf(series.map((series, i) => [series, i])));
  await client.acknowledgedUpTo(2);
  assert.deepEqual(server.points.map(({ value }) => Number(value)), [...TAKEN, ...TAKEN]);
  assert.equal(server.server.stats.rejectedPoints, 2 * (ODD.length - TAKEN.length));
  await client[Symbol.asyncDispose]();
  await until(() => server.logs.matching(/Points were refused.*points=8.*name_too_long=8/).length === 1);
});

Deno.test("a metric or unit with a name that is too long is refused, its points are counted", async () => {
  await using server = new TestServer({ maxNameBytes: 20 });
  await using peer = await Peer.client(server.port, "real", [
    { id: 0, name: LONG, type: "u64", unit: { base: "1", prefix: "" } },
    { id: 1, name: "short", type: "u64", unit: { base: LONG, prefix: "" } },
    { id: 2, name: "good", type: "u64", unit: { base: "1", prefix: "" } },
  ]);
  for (let id = 0; id < 3; id++) await peer.send(countingFrame("real", 0, 2, id));
  await using client = await AcknowledgedClient.connect(server.port, "ours");
  await client.send(1, batchOf([[seriesOf(metricOf(LONG)), 1], [seriesOf(metricOf("fine")), 1]]));
  await client.acknowledgedUpTo(1);
  await until(() => server.points.length === 3);
  assert.deepEqual(new Set(server.points.map(({ metric }) => metric)), new Set(["good", "fine"]));
  assert.equal(server.server.stats.rejectedPoints, 5);
  assert.equal(
    server.logs.matching(/WARN.*Cannot register metric x+: a name of it has 21 bytes, at most 20/).length,
    2,
  );
});

Deno.test("a client cannot define more than its number of metrics, and leaves the others theirs", async () => {
  await using server = new TestServer({ maxMetrics: 3 });
  const metric = (id: number, name: string) => ({ ...COUNTER, id, name });
  await using greedy = await Peer.client(
    server.port,
    "greedy",
    [0, 1, 2, 3, 4].map((id) => metric(id, `g-${id}`)),
  );
  await greedy.send(countingFrame("greedy", 0, 1, 2));
  await greedy.send(countingFrame("greedy", 0, 1, 3));
  // A new connection does not help, and what is known is known.
  await using again = await Peer.client(server.port, "greedy", [metric(0, "g-0"), metric(1, "more")]);
  await again.send(countingFrame("greedy", 0, 1, 0));
  await again.send(countingFrame("greedy", 0, 1, 1));
  await using other = await Peer.client(server.port, "other", [metric(0, "o-0"), metric(1, "g-1")]);
  await other.send(countingFrame("other", 0, 1, 0));
  await other.send(countingFrame("other", 0, 1, 1));
  await until(() => server.points.length === 4);
  assert.deepEqual(server.points.map(({ metric }) => metric).sort(), ["g-0", "g-1", "g-2", "o-0"]);
  assert.equal(server.server.stats.rejectedPoints, 2);
});

Deno.test("a client that keeps changing its instance id displaces no other client", () => {
  let now = 0;
  const clients = new ClientTable(20_000, () => now);
  const victim = clients.get("victim", instanceOf("victim"));
  victim.numbers.accepted = 7;
  for (now = 1; now < 60_000; now++) clients.get("hostile", `${now}`).lastContactMs = now;
  assert.equal(clients.get("victim", instanceOf("victim")), victim);
  assert.ok(clients.size <= 2001, `${clients.size}`);
  assert.ok([...clients].some(({ instance }) => instance === `${now - 1}`), "the last ones are known");
});

/** Two clients of a server with little room for series: one that sends 8,000 of them, and one that sends 500. */
async function crowded(
  newSeriesPerSecond: number,
  work: (k: { other: Peer; frame: Uint8Array; taken: (name: string) => number }) => Promise<void>,
): Promise<void> {
  await using server = new TestServer({ newSeriesPerSecond, drainMs: 100 });
  const { shareBytes } = seriesStore;
  seriesStore.limit({ shareBytes: 200_000 });
  try {
    const points = (name: string, first: number, count: number) =>
      measurementFrame(
        name,
        Array.from({ length: count }, (_, n) => ({
          metric: 0,
          value: 1n,
          attributes: [["job", `${first + n}`]] as [string, string][],
        })),
      );
    await using stranger = await Peer.client(server.port, "stranger", [COUNTER]);
    await using other = await Peer.client(server.port, "other", [COUNTER]);
    const taken = (name: string) =>
      server.points.filter(({ attributes }) => attributes.some(([, value]) => value === name)).length;
    for (let n = 0; n < 16; n++) await stranger.send(points("stranger", 500 * n, 500));
    const frame = points("other", 0, 500);
    await other.send(frame);
    await until(() => taken("other") === 500);
    await work({ other, frame, taken });
  } finally {
    seriesStore.limit({ shareBytes });
  }
}

Deno.test("a client that has more series than its share waits with its new ones, and nobody else does", async () => {
  await crowded(1, async ({ other, frame, taken }) => {
    // What is known is not new.
    for (let n = 0; n < 20; n++) await other.send(frame);
    await until(() => taken("other") === 10_500);
    assert.ok(taken("stranger") < 8000);
  });
});

Deno.test("new series above a client's share come as fast as they may, and none is lost", async () => {
  const began = performance.now();
  await crowded(4000, ({ taken }) => until(() => taken("stranger") === 8000));
  // The first ones have room, and those of a second come at once.
  const ms = performance.now() - began;
  assert.ok(ms > 500, `8,000 new series took ${ms} ms`);
});

/** A server with these keys of `plugins.relay-server.limits`. */
function serverWith(limits: Record<string, string | number>): TestServer {
  const checked = config.check({ limits }, [], ({ message }) => assert.fail(message)) as RelayServerConfig;
  return new TestServer({ ...limitsOf(checked), admission: admissionOf(checked, undefined, null) });
}

/** Waits for the line about a connection that was refused or closed. */
const said = (server: TestServer, reason: RegExp) =>
  until(() => server.logs.matching(new RegExp(`WARN.*${reason.source}`)).length > 0);

Deno.test("each limit of what clients send does what its key says", async () => {
  await using server = serverWith({
    bytes_per_second: "40kB",
    series_per_client: 256,
    metrics_per_client: 2,
    name_length: 10,
  });
  const { port } = server;
  await using long = await Peer.connect(port);
  await long.send(greeting("elevenchars"));
  assert.equal((await long.answer()).accept, false);
  await said(server, /Refusing a client.*its name has 11 bytes/);

  await using ours = await AcknowledgedClient.connect(port, "ours");
  assert.equal(ours.welcome.maxSeries, 256);

  await using odd = await Peer.client(
    port,
    "odd",
    [0, 1, 2].map((id) => ({ ...COUNTER, id, name: `m-${id}` })),
  );
  await odd.send(oddFrame("odd", [{}, { resourceKind: "elevenchars" }]));
  await said(server, /A metric is refused.*its client has defined 2 already/);
  await odd.conn.closeWrite();
  await said(server, /Points were refused.*name_too_long=1/);

  await using fast = await Peer.client(port, "fast", [COUNTER]);
  const began = performance.now();
  for (let n = 0; n < 4; n++) await fast.send(countingFrame("fast", n * 500, 500));
  await fast.conn.closeWrite();
  await fast.closed();
  // 2,000 points of 45 bytes, and a second's worth at once.
  const ms = performance.now() - began;
  assert.ok(ms > 1000, `it took ${ms} ms`);
});

Deno.test("each limit of connections does what its key says", async () => {
  for (
    const [key, reason] of [
      ["connections", /there are 2 connections already/],
      ["connections_per_address", /there are 2 connections of its address already/],
    ] as const
  ) {
    await using server = serverWith({ [key]: 2 });
    await using _one = await Peer.client(server.port, "one");
    await using _two = await Peer.client(server.port, "two");
    await using three = await Peer.connect(server.port);
    await three.send(greeting("three"));
    assert.equal((await three.answer()).accept, false);
    await said(server, reason);
  }
});

Deno.test("each limit of time does what its key says", async () => {
  await using hasty = serverWith({ handshake_timeout: "100ms" });
  await using mute = await Peer.connect(hasty.port);
  await mute.closed();
  await said(hasty, /Closing a connection.*no whole greeting within 100 ms/);
  await using lively = serverWith({ handshake_timeout: "10min", idle_timeout: "100ms" });
  await using silent = await Peer.client(lively.port, "silent");
  await silent.closed();
  await said(lively, /Closing a connection.*silent for 100 ms/);
});

Deno.test("a metric is not counted twice when a batch arrives twice", async () => {
  await using server = new TestServer({ maxMetrics: 1 });
  for (let n = 0; n < 3; n++) {
    await using client = await AcknowledgedClient.connect(server.port, "ours");
    await client.send(n + 1, batchOf([[seriesOf(metricOf("only")), n]]));
    await client.acknowledgedUpTo(n + 1);
  }
  assert.equal(server.points.length, 3);
});
