import assert from "node:assert/strict";
import { Pacer } from "../../lib/intake/admission/pacer.ts";
import { makeToken, Tokens } from "../../lib/intake/admission/tokens.ts";
import { relayServer } from "../../lib/inputs/relay_server.ts";
import { seriesOf } from "../../lib/points/measurement.ts";
import { AcknowledgedClient } from "../kit/acknowledged.ts";
import { configOf, TestClient } from "../kit/client.ts";
import { metricOf } from "../kit/decode.ts";
import { LogLines } from "../kit/log_lines.ts";
import { Peer } from "../kit/peer.ts";
import { batchOf, instanceOf, numbered } from "../kit/points.ts";
import { replaceFile, TempDir } from "../kit/temp_dir.ts";
import { TestServer } from "../kit/test_server.ts";
import { until } from "../kit/waiting.ts";
import { acceptance, COUNTER, countingFrame, greeting } from "../kit/wire.ts";

const { log } = new LogLines();
const once = { retry: { max_times: 0 } };
const clientOf = (name: string, points: { attributes: readonly (readonly [string, unknown])[] }[]) =>
  points.filter(({ attributes }) =>
    attributes.some(([key, value]) => key === "relay_client" && value === name)
  )
    .length;

Deno.test("a client without a valid token gets the reason, and its points are refused", async () => {
  await using dir = new TempDir();
  const path = dir.file("tokens");
  const { token, line } = makeToken("node-1", false);
  await Deno.writeTextFile(path, line);
  await using server = new TestServer({ admission: { tokens: new Tokens(path, log) } });
  const reasons: [Partial<Parameters<typeof configOf>[1]>, RegExp][] = [
    [{}, /refuses this client: it has no token/],
    [{ token: makeToken("node-1", false).token }, /not one of a client called node-1/],
    [{ token, client_name: "node-2" }, /not one of a client called node-2/],
  ];
  for (const [config, reason] of reasons) {
    await using client = new TestClient(configOf(server.port, { ...config, ...once }));
    client.push(numbered(3));
    await client.done;
    assert.match(client.failure!.message, reason);
    assert.ok(!client.logs.lines.join("").includes(token));
  }
  await using real = await Peer.connect(server.port);
  await real.send(greeting("node-1"));
  assert.equal((await real.answer()).accept, false);
  assert.equal(server.points.length, 0);
  assert.equal(server.logs.matching(/WARN.*Refusing a client.*address=127\.0\.0\.1:\d+ reason=/).length, 4);
  await using client = new TestClient(configOf(server.port, { token }));
  client.push(numbered(3));
  await client.finish();
  assert.equal(server.points.length, 3);
});

Deno.test("a client whose token is revoked is disconnected, the others are not", async () => {
  await using dir = new TempDir();
  const path = dir.file("tokens");
  const [lost, kept] = [makeToken("lost", false), makeToken("kept", false)];
  await Deno.writeTextFile(path, `${lost.line}\n${kept.line}\n`);
  await using server = new TestServer({ admission: { tokens: new Tokens(path, log, 0) } });
  const clients = [lost, kept].map(({ token }, i) =>
    new TestClient(configOf(server.port, { token, client_name: ["lost", "kept"][i], ...once }))
  );
  for (const client of clients) client.push(numbered(3));
  await until(() => server.points.length === 6);
  replaceFile(path, kept.line);
  await clients[0].done;
  assert.match(clients[0].failure!.message, /not one of a client called lost/);
  assert.equal(
    server.logs.matching(/WARN.*Closing a connection.*client=lost.*reason="its token is not valid/).length,
    1,
  );
  clients[1].push(numbered(3, 3));
  await clients[1].finish();
  assert.equal(server.points.length, 9);
  assert.equal(server.logs.matching(/Closing a connection/).length, 1);
});

Deno.test("the token may be in a file, which is read again for each connection", async () => {
  await using dir = new TempDir();
  const [path, own] = [dir.file("tokens"), dir.file("token")];
  const { token, line } = makeToken("node-1", false);
  await Deno.writeTextFile(path, line);
  await Deno.writeTextFile(own, "wrong\n");
  await using server = new TestServer({ admission: { tokens: new Tokens(path, log) } });
  const config = configOf(server.port, { token_file: own, retry: { max_times: 60_000 } });
  await using client = new TestClient(config);
  await until(() => client.logs.matching(/refuses this client/).length > 0);
  replaceFile(own, token + "\n");
  client.push(numbered(3));
  await until(() => server.points.length === 3);
});

Deno.test("a client without forward cannot send points of another host", async () => {
  await using dir = new TempDir();
  const path = dir.file("tokens");
  const [own, hop] = [makeToken("own", false), makeToken("hop", true)];
  await Deno.writeTextFile(path, `${own.line}\n${hop.line}`);
  await using server = new TestServer({
    admission: { tokens: new Tokens(path, log), withoutToken: ["127.0.0.0/8"] },
  });
  const forged = () => batchOf([[seriesOf(metricOf("m"), { attributes: [["relay_client", "victim"]] }), 1]]);
  {
    await using client = await AcknowledgedClient.connect(server.port, "own", instanceOf("own"), own.token);
    await client.send(1, forged());
    await client.acknowledgedUpTo(1);
  }
  assert.deepEqual([clientOf("victim", server.points), clientOf("own", server.points)], [0, 1]);
  {
    await using client = await AcknowledgedClient.connect(server.port, "hop", instanceOf("hop"), hop.token);
    await client.send(1, forged());
    await client.acknowledgedUpTo(1);
  }
  assert.equal(clientOf("victim", server.points), 1);
  // A real agent that is let in without a token has one name.
  await using real = await Peer.client(server.port, "real", [COUNTER]);
  await real.send(countingFrame("real", 0, 2));
  await until(() => clientOf("real", server.points) === 2);
  await real.send(countingFrame("victim", 0, 2));
  await real.closed();
  assert.equal(clientOf("victim", server.points), 1);
  assert.equal(server.logs.matching(/may not send under the name victim/).length, 1);
});

Deno.test("a token is not sent where others could read it", async () => {
  // An address of this host that is not loopback, where there is one.
  const address = Deno.networkInterfaces().find(({ family, address }) =>
    family === "IPv4" && !address.startsWith("127.")
  )?.address;
  if (!address) return;
  using listener = Deno.listen({ hostname: address, port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  await using client = new TestClient({
    ...configOf(0, { token: "secret-token", ...once }),
    relay_server: [`${address}:${port}`],
  });
  const peer = new Peer(await listener.accept());
  await peer.body();
  await peer.send(acceptance("0.6.0+ack.1"));
  assert.equal(await peer.body(), null, "nothing comes behind the greeting");
  await client.done;
  assert.match(client.failure!.message, /token is not sent .* in clear text.*tls\.enable/);
  await peer[Symbol.asyncDispose]();
});

Deno.test("a client from a denied address, or with one connection too many, gets the reason", async () => {
  await using denied = new TestServer({ admission: { deny: ["127.0.0.0/8"] } });
  await using client = new TestClient(configOf(denied.port, once));
  await client.done;
  assert.match(client.failure!.message, /refuses this client: its address is denied/);
  await using small = new TestServer({ admission: { maxConnections: 2 } });
  await using _a = await AcknowledgedClient.connect(small.port, "a");
  await using b = await AcknowledgedClient.connect(small.port, "b");
  await using third = new TestClient(configOf(small.port, { retry: { max_times: 60_000 } }));
  await until(() => third.logs.matching(/refuses this client: there are 2 connections already/).length > 0);
  await b[Symbol.asyncDispose]();
  third.push(numbered(1));
  await until(() => small.points.length === 1);
});

Deno.test("far too many connections are closed without an answer", async () => {
  await using server = new TestServer({ admission: { maxConnections: 2 } });
  const peers = await Promise.all(Array.from({ length: 8 }, () => Peer.connect(server.port)));
  await until(() => server.server.stats.connections === 8);
  await until(() => server.server.stats.clients <= 4);
  for (const peer of peers) await peer[Symbol.asyncDispose]();
});

Deno.test("the length of names is limited", async () => {
  await using server = new TestServer({ admission: { maxNameLength: 10 } });
  await using long = new TestClient(configOf(server.port, { client_name: "elevenchars", ...once }));
  await long.done;
  assert.match(long.failure!.message, /its name has 11 bytes, at most 10/);
  await using peer = await Peer.connect(server.port);
  await peer.send(greeting("ééééééééé"));
  assert.equal((await peer.answer()).accept, false);
});

Deno.test("bytes_per_second slows one connection down, and not the others", async () => {
  const began = performance.now();
  const pacer = new Pacer(1000);
  assert.equal(pacer.after(900), undefined);
  await pacer.after(200);
  // Timers are never early by more than their resolution.
  assert.ok(performance.now() - began > 95);
  // The first read of the flood is worth many seconds.
  await using server = new TestServer({ bytesPerSecond: 1000, drainMs: 100 });
  await using quick = await Peer.client(server.port, "flood", [COUNTER]);
  await using slow = await Peer.client(server.port, "modest", [COUNTER]);
  void (async () => {
    for (let n = 0; n < 500; n++) await quick.send(countingFrame("flood", n * 100, 100));
  })().catch(() => {});
  await until(() => clientOf("flood", server.points) > 0);
  await slow.send(countingFrame("modest", 0, 10));
  await until(() => clientOf("modest", server.points) === 10);
  const flooded = clientOf("flood", server.points);
  assert.ok(flooded > 0 && flooded < 20_000, `${flooded} points`);
});

Deno.test("a client that is idle for too long is disconnected", async () => {
  await using server = new TestServer({ idleMs: 500 });
  await using peer = await Peer.client(server.port, "quiet", [COUNTER]);
  await peer.send(countingFrame("quiet", 0, 1));
  await peer.closed();
  assert.equal(server.points.length, 1);
  assert.equal(server.logs.matching(/silent for 500 ms/).length, 1);
});

Deno.test("refusals are logged a few times per minute, and all are counted", async () => {
  await using server = new TestServer({ admission: { deny: ["127.0.0.1"] } });
  for (let n = 0; n < 30; n++) {
    await using peer = await Peer.connect(server.port);
    await peer.send(greeting(`n-${n}`));
    await peer.answer();
  }
  assert.equal(server.logs.matching(/Refusing a client/).length, 20);
});

Deno.test("a network with an interface requires a listening address with one", () => {
  const problems: string[] = [];
  const report = ({ message }: { message: string }) => problems.push(message);
  relayServer.config.check({ address: "[::]:1", allow: ["fe80::/10%eth0"] }, [], report);
  assert.match(problems.join(), /fe80::\/10%eth0.*only known where address names one/);
  problems.length = 0;
  relayServer.config.check({ address: "[fe80::1%eth0]:1", allow: ["fe80::/10%eth0"] }, [], report);
  assert.deepEqual(problems, []);
});
