/** Outputs that take a megabyte a second, under a client that sends as fast as it can. */
import assert from "node:assert/strict";
import { PostcardReader } from "../../lib/postcard.ts";
import { MESSAGE } from "../../lib/wire/protocol.ts";
import { linux, needs } from "../kit/needs.ts";
import { HandServer, Peer } from "../kit/peer.ts";
import { peakMemory, Program, shell } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { atMost, PATIENCE_MS, pause } from "../kit/waiting.ts";
import { acceptance, COUNTER, countingFrame } from "../kit/wire.ts";
import { greeted, IN_MEMORY, portOf, startServer } from "./relay.ts";

const RATE = 1e6;
const SLOW_MS = 3000;
const MEMORY_LIMIT = 200e6;
/** 40 MB on the way in. */
const POINTS = 1_200_000;
const FRAME_POINTS = 2000;

/** Lets bytes through at {@linkcode RATE}, until it is opened. */
class Throttle {
  readonly #began = performance.now();
  #taken = 0;
  #open = false;

  /** Wait for this after `bytes` have been taken. */
  async took(bytes: number): Promise<void> {
    this.#taken += bytes;
    const ahead = this.#taken / RATE * 1000 - (performance.now() - this.#began);
    // The time is tested: this is how slow the output is.
    if (!this.#open && ahead > 0) await pause(ahead);
  }

  open(): void {
    this.#open = true;
  }
}

/** Sends numbered points as fast as they are taken, and leaves. */
class Flood {
  sent = 0;
  readonly done: Promise<void>;

  constructor(peer: Peer) {
    this.done = (async () => {
      for (; this.sent < POINTS; this.sent += FRAME_POINTS) {
        await peer.send(countingFrame("flood", this.sent, FRAME_POINTS));
      }
      await peer.conn.closeWrite();
      await peer.closed();
    })();
    this.done.catch(() => {});
  }
}

/** Checks that numbers come one by one, from 0 on. */
class Sequence {
  length = 0;

  next(value: number): void {
    if (value !== this.length) assert.fail(`${value} after ${this.length - 1}`);
    this.length++;
  }
}

/** Half of the test's time the output is slow; what it has cost until then is checked; then it is fast. */
async function underPressure(server: Program, output: (throttle: Throttle) => Promise<void>): Promise<void> {
  const throttle = new Throttle();
  const taking = output(throttle);
  taking.catch(() => {});
  await using peer = await Peer.client(portOf(server), "flood", [COUNTER]);
  const flood = new Flood(peer);
  // The time is tested: what comes while the output is slow.
  await pause(SLOW_MS);
  assert.ok(flood.sent < POINTS, "the client waits");
  throttle.open();
  await atMost(PATIENCE_MS, flood.done, () => `${POINTS} points to be sent: ${flood.sent}\n${server.log}`);
  const memory = peakMemory(server.pid);
  assert.equal(await server.stop(), 0, server.log);
  await atMost(PATIENCE_MS, taking, () => "the end of the output");
  assert.ok(memory < MEMORY_LIMIT, `${memory} bytes`);
  assert.equal(server.summary("relay-server").points, POINTS);
}

/** Reads rows of {@linkcode COUNTER} to the end of the file. */
async function readSlowly(file: Deno.FsFile, throttle: Throttle, values: Sequence): Promise<void> {
  const buffer = new Uint8Array(65_536);
  const decoder = new TextDecoder();
  let rest = "";
  let header: string | undefined;
  for (let count; (count = await file.read(buffer)) !== null;) {
    const lines = (rest + decoder.decode(buffer.subarray(0, count))).split("\n");
    rest = lines.pop()!;
    if (lines.length > 0) header ??= lines.shift();
    for (const line of lines) values.next(Number(line.split(";", 3)[2]));
    await throttle.took(count);
  }
  assert.equal(rest, "", "the last row is whole");
  assert.match(header!, /^metric;timestamp;value;/);
}

/** The numbers in a message of {@linkcode countingFrame}. */
function readValues(body: Uint8Array, values: Sequence): void {
  const reader = new PostcardReader(body);
  const sender = reader.string();
  if (reader.discriminant(4) !== MESSAGE.sendMeasurements) return;
  assert.equal(sender, "flood");
  for (let count = reader.length(); count > 0; count--) {
    reader.u64();
    reader.u64();
    reader.u32();
    assert.equal(reader.discriminant(5), 1);
    values.next(Number(reader.u64()));
    for (let n = 0; n < 4; n++) reader.string();
    assert.equal(reader.length(), 0);
  }
}

Deno.test({
  name:
    "an output file that accepts 1 MB/s slows the client; the server stays below 200 MB, and every point is written",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const fifo = dir.file("measures.csv");
    await shell("mkfifo", fifo);
    await using server = await startServer(fifo, { args: [...IN_MEMORY] });
    const values = new Sequence();
    await underPressure(server, async (throttle) => {
      using file = await Deno.open(fifo);
      await readSlowly(file, throttle, values);
    });
    assert.equal(values.length, POINTS);
  },
});

Deno.test({
  name:
    "a server that accepts 1 MB/s slows the client of a hop; the hop stays below 200 MB, and every point goes on",
  ...needs(linux),
  async fn() {
    await using slow = new HandServer();
    await using hop = new Program([
      ...["--relay-in", "127.0.0.1:0", "--relay-out", `127.0.0.1:${slow.port}`],
      ...["--config-override", "plugins.relay-client.client_name=hop"],
      ...IN_MEMORY,
    ]);
    const values = new Sequence();
    const peer = await greeted(slow, hop);
    await hop.line(/"Running"/);
    await peer.send(acceptance("0.6.0"));
    await underPressure(hop, async (throttle) => {
      for (let body; (body = await peer.body());) {
        readValues(body, values);
        await throttle.took(body.length);
      }
    });
    assert.equal(values.length, POINTS);
  },
});
