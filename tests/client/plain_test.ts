import assert from "node:assert/strict";
import { DEFAULT_LIMITS } from "../../lib/client.ts";
import { PROCESS_CLOCK } from "../../lib/base/clock.ts";
import { ExitError } from "../../lib/base/errors.ts";
import { PostcardReader } from "../../lib/postcard.ts";
import { encodeFrame, MESSAGE } from "../../lib/wire/protocol.ts";
import { retrying } from "../../lib/client/retrying.ts";
import { configOf, TestClient } from "../kit/client.ts";
import { Collector } from "../kit/collector.ts";
import { decodeBody, decoderWith, metricOf, pointsOf } from "../kit/decode.ts";
import { journalOf } from "../kit/journal.ts";
import { HandServer, OneMessagePerRead, type Peer, ReadingClock } from "../kit/peer.ts";
import { batchOf, numbered, series } from "../kit/points.ts";
import { freePort } from "../kit/ports.ts";
import { TestServer } from "../kit/test_server.ts";
import { PATIENCE_MS, pause, settled, until } from "../kit/waiting.ts";
import { acceptance } from "../kit/wire.ts";

/** Accepts a client by hand: reads its greeting and accepts it. */
async function accepted(server: HandServer): Promise<Peer> {
  const peer = await server.accept();
  await peer.body();
  await peer.send(acceptance("0.6.0"));
  return peer;
}

interface Received {
  type: number;
  count: number;
  sender: string;
  values: number[];
}

/** The next message: its discriminant, sender, and the values of its points (all of metric 0, u64). */
async function receive(peer: Peer): Promise<Received | null> {
  const body = await peer.body();
  if (!body) return null;
  const reader = new PostcardReader(body);
  const sender = reader.string();
  const type = reader.discriminant(4);
  if (type !== MESSAGE.sendMeasurements) return { type, sender, count: reader.length(), values: [] };
  const { message } = decodeBody(body, decoderWith({ 0: "u64", 1: "u64" }));
  assert.ok(message.type === "sendMeasurements");
  const values = message.batches.flatMap((batch) => pointsOf(batch)).map(({ value }) => Number(value));
  return { type, sender, count: message.count, values };
}

Deno.test("points arrive at a server in order, with the client's name, and the client ends when all are sent", async () => {
  await using server = new TestServer();
  await using client = new TestClient(configOf(server.port));
  for (let n = 0; n < 50; n++) client.push(numbered(20, n * 20));
  await client.finish();
  assert.equal(client.failure, undefined);
  await until(() => server.points.length === 1000);
  assert.deepEqual(
    server.points.map(({ value }) => Number(value)),
    Array.from({ length: 1000 }, (_, i) => i),
  );
  assert.deepEqual(server.points[7].attributes, [["relay_client", "node-1"]]);
  assert.equal(client.journal.pendingPoints, 0);
  assert.equal(client.client.stats.sentPoints, 1000);
  assert.equal(client.client.stats.acknowledgedPoints, 1000);
});

Deno.test("with buffer_max_length 0 each batch is sent at once, as one message", async () => {
  await using server = new HandServer();
  await using client = new TestClient(configOf(server.port, { buffer_max_length: 0 }));
  const peer = await accepted(server);
  client.push(numbered(3));
  assert.deepEqual(await receive(peer), {
    type: MESSAGE.registerMetrics,
    sender: "node-1",
    count: 1,
    values: [],
  });
  assert.deepEqual((await receive(peer))?.values, [0, 1, 2]);
  client.push(numbered(2, 3));
  assert.deepEqual((await receive(peer))?.values, [3, 4]);
});

Deno.test("buffer_max_length counts bytes of encoded points: a full buffer is sent completely", async () => {
  await using server = new HandServer();
  // A point of this series has 40 bytes.
  await using client = new TestClient(configOf(server.port, { buffer_max_length: 200 }));
  const peer = await accepted(server);
  client.push(numbered(4));
  await pause(50);
  assert.equal(
    client.client.stats.sentMessages,
    0,
    "160 bytes wait for the buffer to be full, or for the timeout",
  );
  client.push(numbered(19, 4));
  await receive(peer);
  assert.equal((await receive(peer))!.count, 23);
});

Deno.test("a real server, which handles one message per read and drops the rest, gets everything", async () => {
  for (const buffer_max_length of [0, 200, 4096]) {
    await using server = new HandServer();
    const clock = new ReadingClock();
    const config = configOf(server.port, { buffer_max_length, buffer_timeout: 50 });
    await using client = new TestClient(config, journalOf(), DEFAULT_LIMITS, false, clock);
    const real = clock.server = new OneMessagePerRead(await server.accept());
    for (let n = 0; n < 30; n++) {
      client.push(numbered(300, n * 300));
      if (n % 10 === 0) await pause(20);
    }
    await client.finish();
    await real.done;
    const decoder = decoderWith({ 0: "u64" });
    const values = real.bodies.flatMap((body) => {
      const { message } = decodeBody(body, decoder);
      return message.type === "sendMeasurements"
        ? message.batches.flatMap((batch) => [...pointsOf(batch)])
        : [];
    }).map(({ value }) => Number(value));
    assert.deepEqual(
      values,
      Array.from({ length: 9000 }, (_, i) => i),
      `buffer_max_length ${buffer_max_length}`,
    );
    assert.ok(real.bodies.length < 40, `${real.bodies.length} messages`);
    assert.deepEqual(clock.waitsMs, real.bodies.map(() => 25), "a pause follows each message");
  }
});

Deno.test("a real server gets the points of many clients in few messages, each under its client's name", async () => {
  await using server = new HandServer();
  const clock = new ReadingClock();
  const config = configOf(server.port, { buffer_max_length: 100_000, buffer_timeout: 100 });
  await using client = new TestClient(config, journalOf(), DEFAULT_LIMITS, false, clock);
  const real = clock.server = new OneMessagePerRead(await server.accept());
  const metric = metricOf("m");
  const all = ["a", "b", "c"].map((name) => series(metric, [["relay_client", name]]));
  client.push(batchOf(Array.from({ length: 300 }, (_, i) => [all[i % 3], i])));
  await client.finish();
  await real.done;
  const decoder = decoderWith({ 0: "u64" });
  const messages = real.bodies.map((body) => decodeBody(body, decoder));
  assert.deepEqual(messages.map(({ sender, message }) => [sender, message.type]), [
    ["node-1", "registerMetrics"],
    ...["a", "b", "c"].map((name) => [name, "sendMeasurements"]),
  ]);
  for (const { message } of messages.slice(1)) {
    assert.ok(message.type === "sendMeasurements" && message.count === 100);
  }
});

Deno.test("a unit that a real server does not know is part of the metric's name there, and only there", async () => {
  const carbon = series(metricOf("carbon_emission", "u64", { base: "g_CO2", prefix: "milli" }));
  await using real = new HandServer();
  await using toReal = new TestClient(configOf(real.port));
  const peer = await accepted(real);
  toReal.push(batchOf([[carbon, 1]]));
  const { message } = await peer.control();
  assert.ok(message.type === "registerMetrics");
  const [{ name, unit }] = message.metrics;
  assert.deepEqual([name, unit.prefix, unit.base], ["carbon_emission_mg_CO2", "", "1"]);

  await using ours = new TestServer();
  await using toOurs = new TestClient(configOf(ours.port));
  toOurs.push(batchOf([[carbon, 1]]));
  await until(() => ours.points.length === 1);
  assert.equal(ours.registry.register({ ...carbon.metric }), ours.registry.register({ ...carbon.metric }));
  assert.equal(ours.registry.size, 1, "the server has registered it as it is");
});

Deno.test("buffer_timeout holds even if nothing new is measured", async () => {
  await using server = new HandServer();
  await using client = new TestClient(
    configOf(server.port, { buffer_max_length: 4096, buffer_timeout: 200 }),
  );
  const peer = await accepted(server);
  const began = performance.now();
  client.push(numbered(1));
  await receive(peer);
  assert.deepEqual((await receive(peer))?.values, [0]);
  const waited = performance.now() - began;
  assert.ok(waited > 150, `${waited} ms`);
});

Deno.test("metrics that appear late are registered before their first point, and no others are", async () => {
  await using server = new HandServer();
  await using client = new TestClient(configOf(server.port));
  const peer = await accepted(server);
  client.push(batchOf([[series(metricOf("a")), 1]]));
  assert.equal((await receive(peer))?.type, MESSAGE.registerMetrics);
  assert.equal((await receive(peer))?.type, MESSAGE.sendMeasurements);
  client.push(batchOf([[series(metricOf("b")), 2]]));
  assert.deepEqual(await receive(peer), {
    type: MESSAGE.registerMetrics,
    sender: "node-1",
    count: 1,
    values: [],
  });
  assert.deepEqual((await receive(peer))?.values, [2]);
});

Deno.test("a partly written message is sent again on the next connection, after the metrics", async () => {
  await using server = new HandServer();
  await using client = new TestClient(configOf(server.port));
  {
    await using peer = await accepted(server);
    client.push(numbered(1));
    await receive(peer);
    assert.deepEqual((await receive(peer))?.values, [0]);
    // Far more than the socket's buffers hold, so that writing stops in the middle of it.
    client.push(numbered(400_000, 1));
    await settled(() => client.client.stats.sentPoints);
  }
  const { sentPoints } = client.client.stats;
  await using again = await accepted(server);
  assert.equal((await receive(again))?.type, MESSAGE.registerMetrics);
  const values: number[] = [];
  while (values.at(-1) !== 400_000) values.push(...(await receive(again))!.values);
  assert.ok(sentPoints < 400_000);
  assert.deepEqual(values, Array.from({ length: 400_001 - sentPoints }, (_, i) => sentPoints + i));
  client.journal.end();
  await again.closed();
  again.conn.close();
  await client.done;
  assert.equal(client.journal.pendingPoints, 0);
});

Deno.test("a server that restarts gets what was measured while it was down", async () => {
  const port = freePort();
  const first = new TestServer({ port });
  await using client = new TestClient(
    configOf(port, { retry: { max_times: 1000, initial_delay: 10, max_delay: 20 } }),
  );
  client.push(numbered(10));
  await until(() => first.points.length === 10);
  await first.stop();
  await until(() => client.logs.matching(/Connection lost|Cannot connect/).length > 0);
  client.push(numbered(10, 10));
  await pause(100);
  await using second = new TestServer({ port });
  await until(() => second.points.length === 10);
  assert.deepEqual(
    second.points.map(({ value }) => Number(value)),
    Array.from({ length: 10 }, (_, i) => 10 + i),
  );
});

Deno.test("there are max_times retries, each after a wait, and then a RetryError with the last failure", async () => {
  for (const max_times of [0, 1, 2, 3, 6]) {
    const at: number[] = [];
    const attempt = () => {
      at.push(performance.now());
      return Promise.reject(new Error(`down ${at.length}`));
    };
    const config = { max_times, initial_delay: 5, max_delay: 20, multiplier: undefined, jitter: 0 };
    await assert.rejects(retrying(attempt, config, new AbortController().signal), (error: Error) => {
      assert.equal(error.name, "RetryError");
      assert.equal((error.cause as Error).message, `down ${max_times + 1}`);
      return true;
    });
    assert.equal(at.length, max_times + 1);
    const least = [5, 5, 20, 20, 20, 20].slice(0, max_times);
    // Timers are never early by more than their resolution.
    at.slice(1).forEach((time, i) =>
      assert.ok(time - at[i] >= least[i] - 2, `wait ${i + 1} of ${max_times}`)
    );
  }
});

Deno.test("a stop ends the wait for the next try, with its reason", async () => {
  const stop = new AbortController();
  const config = { max_times: 3, initial_delay: 1e9, max_delay: 1e9, multiplier: undefined, jitter: 0 };
  const trying = retrying(() => Promise.reject(new Error("down")), config, stop.signal);
  setTimeout(() => stop.abort(new Error("stopped")), 5);
  await assert.rejects(trying, { message: "stopped" });
});

Deno.test("retries exhausted: the address, the number of tries and the reason are named, exit 69", async () => {
  const port = freePort();
  await using client = new TestClient(configOf(port, { retry: { max_times: 2 } }));
  client.push(numbered(5));
  await client.done;
  assert.ok(client.failure instanceof ExitError);
  assert.equal(client.failure.exitCode, 69);
  assert.match(
    client.failure.message,
    new RegExp(`127\\.0\\.0\\.1:${port} .*relay_server.* 3 tries.*refused`),
  );
  assert.equal(client.logs.matching(/Cannot connect/).length, 3);
  assert.equal(client.journal.pendingPoints, 5);
});

Deno.test("if measurements are kept on disk, exhausted retries are one error, and retries continue every max_delay", async () => {
  const port = freePort();
  const config = configOf(port, { retry: { max_times: 2, initial_delay: 5, max_delay: 20 } });
  await using client = new TestClient(config, journalOf(), DEFAULT_LIMITS, true);
  client.push(numbered(5));
  await until(() => client.logs.matching(/DEBUG.*Cannot connect/).length > 5);
  assert.equal(client.failure, undefined);
  assert.equal(client.logs.matching(/WARN.*Cannot connect/).length, 3);
  assert.equal(
    client.logs.matching(/ERROR.*kept on disk while it retries every=20ms.*given up after 3 tries/).length,
    1,
  );
  await using server = new TestServer({ port });
  await until(() => server.points.length === 5);
});

Deno.test("a server that is back only briefly is logged as back and lost, failed retries in between are not", async () => {
  const port = freePort();
  const config = configOf(port, { retry: { max_times: 2, initial_delay: 5, max_delay: 60 } });
  const stopped = { ...PROCESS_CLOCK, monotonicMs: () => 0 };
  await using client = new TestClient(config, journalOf(), DEFAULT_LIMITS, true, stopped);
  client.push(numbered(5));
  await until(() => client.logs.matching(/ERROR.*while it retries/).length === 1);
  {
    await using server = new HandServer(port);
    await using _short = await accepted(server);
  }
  const before = client.logs.matching(/DEBUG.*Cannot connect/).length;
  await until(() => client.logs.matching(/DEBUG.*Cannot connect/).length > before + 3);
  assert.equal(client.logs.matching(/is back, sending what was kept points=5/).length, 1);
  assert.equal(client.logs.matching(/WARN.*Connection lost/).length, 1);
  assert.equal(client.logs.matching(/WARN.*Cannot connect/).length, 3);
  assert.equal(client.logs.matching(/ERROR/).length, 1);
});

Deno.test("retries count from zero after a connection has held, and not earlier", async () => {
  await using server = new HandServer();
  const retry = { max_times: 2, initial_delay: 5, max_delay: 60 };
  let ms = 0;
  const clock = { ...PROCESS_CLOCK, monotonicMs: () => ms };
  await using client = new TestClient(
    configOf(server.port, { retry }),
    journalOf(),
    DEFAULT_LIMITS,
    false,
    clock,
  );
  for (let n = 1; n <= 5; n++) {
    await using _held = await accepted(server);
    await until(() => client.client.stats.connections === n);
    // A connection has held when it is as old as max_delay.
    ms += 60;
  }
  assert.equal(client.failure, undefined);
  for (let n = 0; n < 3; n++) {
    await using _short = await accepted(server);
  }
  await client.done;
  assert.ok((client.failure as unknown) instanceof ExitError);
});

Deno.test("a server that accepts and stays silent is a failure like any other", async () => {
  await using server = new HandServer();
  const limits = { ...DEFAULT_LIMITS, handshakeMs: 60 };
  await using client = new TestClient(
    configOf(server.port, { retry: { max_times: 1 } }),
    journalOf(),
    limits,
  );
  await server.accept();
  await server.accept();
  await client.done;
  assert.match(client.failure!.message, /2 tries.*did not answer within 60ms/);
});

Deno.test("a server that answers nonsense is a failure like any other", async () => {
  await using server = new HandServer();
  await using client = new TestClient(configOf(server.port, { retry: { max_times: 2 } }));
  await (await server.accept()).send(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
  await (await server.accept()).send(encodeFrame("", { type: "registerMetrics", metrics: [] }));
  (await server.accept()).conn.close();
  await client.done;
  assert.ok(client.failure instanceof ExitError);
  assert.equal(client.logs.matching(/Cannot connect/).length, 3);
});

Deno.test("a refusal for another protocol version is final: both versions are named, exit 69", async () => {
  await using server = new HandServer();
  await using client = new TestClient(configOf(server.port, { retry: { max_times: 50 } }));
  const peer = await server.accept();
  await peer.send(
    encodeFrame("", {
      type: "greetResponse",
      accept: false,
      alumetVersion: "9",
      relayVersion: "9",
      protocolVersion: 3,
    }),
  );
  await client.done;
  assert.ok(client.failure instanceof ExitError);
  assert.equal(client.failure.exitCode, 69);
  assert.match(client.failure.message, /version 3 .*version 2/);
});

Deno.test("each address of a name is tried, each time again", async () => {
  // localhost is 127.0.0.1, ::1 or both: whichever the server listens on is found.
  await using server = new TestServer();
  await using client = new TestClient({
    ...configOf(server.port),
    relay_server: [`localhost:${server.port}`],
  });
  client.push(numbered(1));
  await until(() => server.points.length === 1);
});

Deno.test("a name that cannot be resolved is a failure like any other", async () => {
  const config = {
    ...configOf(1, { retry: { max_times: 1 } }),
    relay_server: ["no-such-host.invalid:50051"],
  };
  // Whoever is asked for it may take some seconds.
  await using client = new TestClient(config, journalOf(), { ...DEFAULT_LIMITS, resolveMs: PATIENCE_MS });
  await client.done;
  assert.match(client.failure!.message, /2 tries.*cannot resolve no-such-host\.invalid/);
});

Deno.test("at the end of the shutdown time a client that cannot send ends at once", async () => {
  const port = freePort();
  const client = new TestClient(
    configOf(port, { retry: { max_times: 100, initial_delay: 60_000, max_delay: 60_000 } }),
  );
  client.push(numbered(3));
  client.journal.end();
  await until(() => client.logs.matching(/Cannot connect/).length === 1);
  client.abort.abort();
  await client.done;
  assert.equal(client.failure, undefined);
  assert.equal(client.journal.pendingPoints, 3);
  await client.client[Symbol.asyncDispose]();
});

Deno.test("behind a hop the points keep the first client's name, at either kind of server", async () => {
  await using last = new HandServer();
  const journal = journalOf();
  const sink = new Collector();
  sink.push = (batch) => journal.append(batch);
  await using hop = new TestServer({ sink, clients: journal.clients });
  await using passing = new TestClient(configOf(last.port, { client_name: "hop" }), journal);
  await using origin = new TestClient(configOf(hop.port, { client_name: "origin" }));
  const peer = await accepted(last);
  origin.push(numbered(4));
  assert.equal((await receive(peer))?.sender, "hop");
  const { sender, values } = (await receive(peer))!;
  assert.equal(sender, "origin");
  assert.deepEqual(values, [0, 1, 2, 3]);
  await origin.finish();
  await hop.stop();
  await passing.finish();
});

Deno.test("of a list of servers the first that accepts the client is used, and the next one when it stops", async () => {
  const first = new TestServer();
  await using second = new TestServer();
  const nobody = freePort();
  await using client = new TestClient({
    ...configOf(0, { retry: { max_times: 50 } }),
    relay_server: [`127.0.0.1:${nobody}`, `127.0.0.1:${first.port}`, `127.0.0.1:${second.port}`],
  });
  client.push(numbered(5));
  await until(() => first.points.length === 5);
  await first.stop();
  client.push(numbered(5, 5));
  await until(() => second.points.length === 5);
  assert.deepEqual(second.points.map(({ value }) => Number(value)), [5, 6, 7, 8, 9]);
});

Deno.test("when no server of a list can be reached, the error names them all", async () => {
  const relay_server = [`127.0.0.1:${freePort()}`, `127.0.0.1:${freePort()}`];
  await using client = new TestClient({ ...configOf(0, { retry: { max_times: 1 } }), relay_server });
  await client.done;
  for (const server of relay_server) assert.ok(client.failure!.message.includes(server));
  assert.equal(client.logs.matching(/Cannot connect/).length, 4);
});
