import assert from "node:assert/strict";
import { runAgent } from "../../lib/agent.ts";
import { csv } from "../../lib/outputs/csv.ts";
import { acknowledges, encodeFrame, reusesPlaces } from "../../lib/wire/protocol.ts";
import { relayServer } from "../../lib/inputs/relay_server.ts";
import { Chance, framesOf, testdata, testdataText } from "../kit/bytes.ts";
import { Collector } from "../kit/collector.ts";
import { LogLines } from "../kit/log_lines.ts";
import { Peer } from "../kit/peer.ts";
import { TestServer } from "../kit/test_server.ts";
import { atMost, PATIENCE_MS, pause, settled, until } from "../kit/waiting.ts";
import { COUNTER, countingFrame, greeting } from "../kit/wire.ts";

/** Plays recorded clients, one after another, into a server with a CSV output, and returns the file. */
async function play(session: string, pieces: (stream: Uint8Array) => Iterable<Uint8Array>): Promise<string> {
  const dir = await Deno.makeTempDir();
  const stop = new AbortController();
  const logs = new LogLines();
  try {
    const done = runAgent(
      {
        general: { shutdown_timeout: 60_000 },
        plugins: [
          { plugin: relayServer, config: { ...relayServer.config.defaultValue(), address: "127.0.0.1:0" } },
          { plugin: csv, config: { ...csv.config.defaultValue(), output_path: `${dir}/out.csv` } },
        ],
      },
      logs.log,
      { stop: stop.signal, signals: false },
    );
    await until(() => logs.matching(/Running/).length > 0);
    const port = Number(logs.matching(/Listening/)[0].match(/:(\d+)\s/)![1]);
    for (let client = 0;; client++) {
      let stream: Uint8Array;
      try {
        stream = testdata(`sessions/${session}/client-${client}.bin`);
      } catch {
        break;
      }
      await using peer = await Peer.connect(port);
      peer.conn.setNoDelay();
      for (const piece of pieces(stream)) await peer.send(piece);
      await peer.conn.closeWrite();
      assert.equal((await peer.answer()).accept, true);
      await peer.closed();
    }
    stop.abort();
    assert.equal(await done, 0, logs.lines.join(""));
    return await Deno.readTextFile(`${dir}/out.csv`);
  } finally {
    stop.abort();
    await Deno.remove(dir, { recursive: true });
  }
}

function* cut(stream: Uint8Array, size: () => number): Generator<Uint8Array> {
  for (let at = 0; at < stream.length;) {
    const length = Math.max(1, size());
    yield stream.subarray(at, at + length);
    at += length;
  }
}

for (const session of ["real-agent", "odd-values", "renames"]) {
  const expected = testdataText(`sessions/${session}/expected.csv`);

  Deno.test(`session ${session} results in a real server's CSV, sent in one piece or frame by frame`, async () => {
    assert.equal(await play(session, (stream) => [stream]), expected);
    assert.equal(await play(session, (stream) => framesOf(new Uint8Array(stream))), expected);
  });

  Deno.test(`session ${session} results in a real server's CSV, wherever it is cut`, async () => {
    const sizes = session === "real-agent" ? [997, 65_536] : [1, 2, 3, 7, 64];
    for (const size of sizes) {
      assert.equal(await play(session, (stream) => cut(stream, () => size)), expected);
    }
    for (let seed = 0; seed < 3; seed++) {
      const chance = new Chance(seed);
      const size = () => 1 + chance.int(1 << chance.int(session === "real-agent" ? 17 : 9));
      assert.equal(await play(session, (stream) => cut(stream, size)), expected, `seed ${seed}`);
    }
  });
}

Deno.test("a client with a unit that real servers do not know is accepted", async () => {
  await using server = new TestServer();
  await using peer = await Peer.connect(server.port);
  await peer.send(testdata("sessions/custom-unit/client-0.bin"));
  await peer.conn.closeWrite();
  await peer.closed();
  assert.equal(server.logs.matching(/WARN|ERROR/).length, 0);
  const known = server.registry.register({
    name: "carbon_test",
    type: "f64",
    unit: { base: "1", prefix: "" },
  });
  assert.ok(known && server.registry.size > 5);
});

Deno.test("a client with another protocol version gets an answer, is refused and disconnected", async () => {
  await using server = new TestServer();
  await using peer = await Peer.connect(server.port);
  await peer.send(greeting("old", 1));
  const answer = await peer.answer();
  assert.equal(answer.accept, false);
  assert.equal(answer.protocolVersion, 2);
  await peer.closed();
  peer.conn.close();
  await until(() => server.server.stats.clients === 0);
  assert.match(server.logs.matching(/another version/)[0], /client=old .*its_version=1 our_version=2/);
});

Deno.test("an unexpected message closes only its own connection", async () => {
  await using server = new TestServer();
  await using good = await Peer.client(server.port, "good", [COUNTER]);
  const again = greeting("bad");
  const answer = testdata("sessions/greet-response.bin");
  const unknown = Uint8Array.of(0, 0, 0, 2, 0, 9);
  for (
    const [bytes, reason] of [[again, "number 0"], [answer, "number 1"], [unknown, "variant 9"]] as const
  ) {
    await using bad = await Peer.client(server.port, "bad");
    await bad.send(bytes);
    await bad.closed();
    await until(() => server.logs.matching(new RegExp(`client=bad .*${reason}`)).length > 0);
  }
  await good.send(countingFrame("good", 0, 3));
  await until(() => server.points.length === 3);
});

Deno.test("a connection that does not begin with a greeting is closed", async () => {
  await using server = new TestServer();
  for (const bytes of [countingFrame("x", 0, 1), new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")]) {
    await using peer = await Peer.connect(server.port);
    await peer.send(bytes);
    await peer.closed();
  }
  assert.equal(server.logs.matching(/WARN.*Closing a connection/).length, 2);
});

Deno.test("silence in the handshake closes the connection", async () => {
  await using server = new TestServer({ handshakeMs: 150 });
  await using silent = await Peer.connect(server.port);
  await using half = await Peer.connect(server.port);
  await half.send(greeting("half").subarray(0, 7));
  await Promise.all([silent.closed(), half.closed()]);
  assert.equal(server.logs.matching(/no whole greeting within 150 ms/).length, 2);
});

Deno.test("silence within a message closes the connection, silence between messages does not", async () => {
  await using server = new TestServer({ frameMs: 150 });
  await using quiet = await Peer.client(server.port, "quiet", [COUNTER]);
  await using stuck = await Peer.client(server.port, "stuck", [COUNTER]);
  await stuck.send(countingFrame("stuck", 0, 10).subarray(0, 50));
  await stuck.closed();
  assert.match(server.logs.matching(/Closing/)[0], /client=stuck .*silent for 150 ms in the middle/);
  // The time is tested: twice what a message may take.
  await pause(300);
  await quiet.send(countingFrame("quiet", 0, 1));
  await until(() => server.points.length === 1);
});

Deno.test("half a message at the end is logged with the client's name, and loses nothing else", async () => {
  await using server = new TestServer();
  {
    await using peer = await Peer.client(server.port, "halfway", [COUNTER]);
    await peer.send(countingFrame("halfway", 0, 5));
    await peer.send(countingFrame("halfway", 5, 5).subarray(0, 100));
  }
  await until(() => server.server.stats.clients === 0);
  await until(() => server.points.length === 5);
  assert.match(server.logs.matching(/in the middle of a message/)[0], /client=halfway .*bytes=100/);
});

Deno.test("a malformed message closes the connection, and earlier messages are kept", async () => {
  await using server = new TestServer();
  await using peer = await Peer.client(server.port, "broken", [COUNTER]);
  const bad = countingFrame("broken", 3, 3);
  bad[bad.length - 1] = 0xff;
  const bytes = new Uint8Array([...countingFrame("broken", 0, 3), ...bad, ...countingFrame("broken", 6, 3)]);
  await peer.send(bytes);
  await peer.closed();
  await until(() => server.server.stats.clients === 0);
  await until(() => server.points.length >= 3);
  assert.deepEqual(server.points.map(({ value }) => value), [0n, 1n, 2n]);
});

Deno.test("ten messages in one write, followed by a close, are all stored", async () => {
  await using server = new TestServer();
  const frames = [greeting("burst"), encodeFrame("burst", { type: "registerMetrics", metrics: [COUNTER] })];
  for (let n = 0; n < 10; n++) frames.push(countingFrame("burst", n, 1));
  {
    await using peer = await Peer.connect(server.port);
    await peer.send(new Uint8Array(frames.flatMap((frame) => [...frame])));
  }
  await until(() => server.points.length === 10);
});

Deno.test("the first message is a batch of its own", async () => {
  await using server = new TestServer();
  await using peer = await Peer.client(server.port, "n", [COUNTER]);
  const frames = [countingFrame("n", 0, 3), countingFrame("n", 3, 2), countingFrame("n", 5, 2)];
  await peer.send(new Uint8Array(frames.flatMap((frame) => [...frame])));
  await until(() => server.points.length === 7);
  assert.equal(server.collector.batches[0], 3);
});

Deno.test("each client has its own metric ids, and definitions that disagree are renamed", async () => {
  await using server = new TestServer();
  const unit = { base: "W", prefix: "" };
  await using a = await Peer.client(server.port, "a", [COUNTER, { ...COUNTER, id: 1, name: "power", unit }]);
  await using b = await Peer.client(server.port, "b", [{ ...COUNTER, name: "power" }, { ...COUNTER, id: 1 }]);
  await a.send(countingFrame("a", 0, 1, 1));
  await until(() => server.points.length === 1);
  await b.send(countingFrame("b", 1, 1, 0));
  await b.send(countingFrame("b", 2, 1, 1));
  await until(() => server.points.length === 3);
  assert.deepEqual(
    server.points.map(({ metric, attributes }) => [metric, attributes]),
    [
      ["power", [["relay_client", "a"]]],
      ["power_relay-client-b", [["relay_client", "b"]]],
      ["counter", [["relay_client", "b"]]],
    ],
  );
});

Deno.test("a metric id out of range is refused", async () => {
  await using server = new TestServer();
  await using peer = await Peer.client(server.port, "n", [{ ...COUNTER, id: 65_536 }]);
  await peer.closed();
  await until(() =>
    server.logs.matching(/metric counter has the id 65536, the largest one is 65535/).length === 1
  );
});

Deno.test("refused points are reported once per client, not once per point", async () => {
  await using server = new TestServer();
  {
    await using peer = await Peer.client(server.port, "n", [COUNTER]);
    await peer.send(countingFrame("n", 0, 1));
    for (let n = 0; n < 20; n++) await peer.send(countingFrame("n", 0, 50, 7));
    await peer.send(countingFrame("n", 1, 1));
    await until(() => server.points.length === 2);
  }
  await until(() => server.server.stats.clients === 0);
  assert.deepEqual(server.logs.matching(/were refused/).length, 1);
  assert.match(server.logs.matching(/were refused/)[0], /client=n .*points=1000 unknown_metric=1000/);
  assert.equal(server.server.stats.rejectedPoints, 1000);
});

Deno.test("two connections with the same client name are allowed, and logged", async () => {
  await using server = new TestServer();
  await using one = await Peer.client(server.port, "twin", [COUNTER]);
  await using two = await Peer.client(server.port, "twin", [COUNTER]);
  await one.send(countingFrame("twin", 0, 1));
  await two.send(countingFrame("twin", 1, 1));
  await until(() => server.points.length === 2);
  assert.equal(server.logs.matching(/Another connection has the same client name/).length, 1);
});

Deno.test("a client's name cannot forge a log line", async () => {
  await using server = new TestServer();
  await using _peer = await Peer.client(server.port, "x\nERROR all is lost\x1b[2J");
  await until(() => server.logs.matching(/Client connected/).length === 1);
  assert.match(server.logs.matching(/Client connected/)[0], /client="x\\nERROR all is lost\\u001b\[2J"/);
});

Deno.test("reading stops while the pipe is full, and nothing is lost", async () => {
  const sink = new Collector();
  let open = () => {};
  sink.gate = new Promise((resolve) => open = resolve);
  await using server = new TestServer({ sink });
  await using peer = await Peer.client(server.port, "fast", [COUNTER]);
  let sent = 0;
  const total = 2_000_000;
  const frame = countingFrame("fast", 0, 10_000);
  const sending = (async () => {
    while (sent < total) {
      await peer.send(frame);
      sent += 10_000;
    }
  })();
  await until(() => sink.points.length > 0);
  await settled(() => sent);
  const waiting = sent;
  assert.ok(waiting < total / 2, `the client could send ${waiting} of ${total} points`);
  const received = server.server.stats.bytes;
  await pause(100);
  assert.equal(server.server.stats.bytes, received, "nothing is read while the pipe is full");
  sink.push = (batch) => {
    sink.batches.push(batch.length);
    batch.release();
  };
  open();
  await sending;
  await until(() => server.server.stats.points === total);
  await server.stop();
  assert.equal(sink.batches.reduce((a, b) => a + b), total);
});

Deno.test("a stop takes what has arrived, and does not wait for silent clients", async () => {
  const server = new TestServer({ drainMs: 3_600_000 });
  await using sender = await Peer.client(server.port, "sender", [COUNTER]);
  await using _idle = await Peer.client(server.port, "idle");
  await sender.send(countingFrame("sender", 0, 20_000));
  await sender.send(countingFrame("sender", 20_000, 100).subarray(0, 500));
  await atMost(PATIENCE_MS, server.stop(), () => "the end of the server");
  assert.equal(server.points.length, 20_000);
  await assert.rejects(Peer.connect(server.port), Deno.errors.ConnectionRefused);
});

Deno.test("what had arrived when the server is stopped is taken, though the process has no time to read it", async () => {
  await using server = new TestServer();
  const peers: Peer[] = [];
  for (let n = 0; n < 20; n++) peers.push(await Peer.client(server.port, `quiet-${n}`, [COUNTER]));
  await until(() => server.registry.size > 0);
  const sent = peers.map((peer, n) => peer.send(countingFrame(`quiet-${n}`, 0, 10)));
  const stopped = server.stop();
  // Longer than a connection may be idle.
  for (const began = performance.now(); performance.now() - began < 300;);
  await Promise.all([...sent, stopped]);
  assert.equal(server.points.length, 200);
  for (const peer of peers) await peer[Symbol.asyncDispose]();
});

Deno.test("a stop does not wait forever for a client that keeps sending", async () => {
  const server = new TestServer({ drainMs: 300 });
  await using peer = await Peer.client(server.port, "endless", [COUNTER]);
  let sending = true;
  const sender = (async () => {
    try {
      for (let n = 0; sending; n++) await peer.send(countingFrame("endless", n, 1));
    } catch { /* closed by the server */ }
  })();
  await until(() => server.points.length > 100);
  await atMost(PATIENCE_MS, server.stop(), () => "the end of the server");
  sending = false;
  peer.conn.close();
  await sender;
  const values = server.points.map(({ value }) => Number(value));
  assert.deepEqual(values, values.map((_, i) => i));
});

Deno.test("a stop reads no more of a client than can have arrived before", async () => {
  const server = new TestServer({ drainMs: 3_600_000 });
  await using peer = await Peer.client(server.port, "endless", [COUNTER]);
  // Of a metric that there is not: such points cost the test nothing.
  const frame = countingFrame("endless", 0, 20_000, 7);
  const sending = (async () => {
    while (true) await peer.send(frame);
  })().catch(() => "closed by the server");
  await until(() => server.server.stats.rejectedPoints > 0);
  await atMost(PATIENCE_MS, server.stop(), () => "the end of the server");
  assert.equal(await sending, "closed by the server");
});

Deno.test("frames of many megabytes of several clients are all taken", async () => {
  await using server = new TestServer();
  const count = 400_000;
  const made = countingFrame("a", 0, count);
  const named = (name: string) => {
    const frame = made.slice();
    // Behind the length of the frame, and that of the name.
    frame[5] = name.charCodeAt(0);
    return frame;
  };
  await Promise.all(["a", "b", "c", "d", "e", "f"].map(async (name) => {
    await using peer = await Peer.client(server.port, name, [COUNTER]);
    server.collector.push = (batch) => void batch.release();
    await peer.send(named(name));
    await peer.conn.closeWrite();
    await peer.closed();
  }));
  await until(() => server.server.stats.points === 6 * count);
});

Deno.test("the answer to a greeting is that of a real server, except for the mark of acknowledged delivery", async () => {
  await using server = new TestServer();
  await using peer = await Peer.connect(server.port);
  await peer.send(greeting("n"));
  const { relayVersion, ...rest } = await peer.answer();
  assert.deepEqual(rest, { type: "greetResponse", accept: true, alumetVersion: "0.9.5", protocolVersion: 2 });
  assert.ok(relayVersion.startsWith("0.6.0+") && acknowledges(relayVersion));
  assert.ok(acknowledges("0.7.0+x.ack.1.stream.2"));
  for (const other of ["0.6.0", "0.6.0-ack.1", "0.6.0+ack.2", "0.6.0+back.1", "0.6.0+ack.12"]) {
    assert.ok(!acknowledges(other), other);
  }
  assert.ok(reusesPlaces(relayVersion));
  for (const other of ["0.6.0+ack.1", "0.6.0+ack.1.reuse.2", "0.6.0-reuse.1"]) {
    assert.ok(!reusesPlaces(other), other);
  }
});
