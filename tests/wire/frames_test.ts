import assert from "node:assert/strict";
import { FrameError, FrameReader } from "../../lib/wire/frames.ts";
import { Chance, framesOf, testdata, toHex } from "../kit/bytes.ts";

/** Feeds a stream in pieces of the sizes that `cut` gives, and collects the bodies. */
function bodiesOf(
  stream: Uint8Array,
  cut: () => number,
  reader = new FrameReader(),
  maxIdle?: number,
): string[] {
  const bodies: string[] = [];
  for (let at = 0; at < stream.length;) {
    const space = reader.space();
    const count = Math.min(space.length, Math.max(1, cut()), stream.length - at);
    space.set(stream.subarray(at, at + count));
    reader.received(count, maxIdle);
    at += count;
    while (reader.next()) bodies.push(toHex(reader.bytes.subarray(reader.start, reader.end)));
  }
  return bodies;
}

const stream = testdata("sessions/odd-values/client-0.bin");
const long = testdata("sessions/real-agent/client-0.bin");
const bodies = (stream: Uint8Array<ArrayBuffer>) => framesOf(stream).map((frame) => toHex(frame.subarray(4)));

Deno.test("FrameReader yields the same bodies at every cut size, byte by byte included", () => {
  const expected = bodies(stream);
  assert.equal(expected.length, 4);
  for (let size = 1; size <= stream.length; size++) assert.deepEqual(bodiesOf(stream, () => size), expected);
});

Deno.test("FrameReader yields the same bodies of a long stream, however it is cut and joined", () => {
  const expected = bodies(long);
  assert.equal(expected.length, 27);
  assert.deepEqual(bodiesOf(long, () => 1), expected);
  for (let seed = 0; seed < 40; seed++) {
    const chance = new Chance(seed);
    const reader = new FrameReader();
    assert.deepEqual(
      bodiesOf(long, () => 1 + chance.int(1 << chance.int(18)), reader, 1 << chance.int(19)),
      expected,
    );
    assert.equal(reader.partialBytes, 0);
  }
});

Deno.test("empty bodies are bodies", () => {
  assert.deepEqual(bodiesOf(new Uint8Array(12), () => 5), ["", "", ""]);
});

Deno.test("a length over the limit is refused as soon as it is known", () => {
  const reader = new FrameReader();
  reader.space().set([0x01, 0xe8, 0x48, 0x01]); // 32,000,001
  reader.received(4);
  assert.throws(() => reader.next(), (error) => {
    return error instanceof FrameError &&
      error.message === "Cannot read frame: body is 32000001 bytes, limit is 32000000";
  });
});

Deno.test("a length at the limit is taken, and no memory before its bytes arrive", () => {
  const reader = new FrameReader();
  reader.space().set([0x01, 0xe8, 0x48, 0x00]); // 32,000,000
  reader.received(4);
  assert.equal(reader.next(), false);
  assert.equal(reader.partialFrameBytes, 32_000_004);
  let arrived = 4;
  while (arrived < 32_000_004) {
    const space = reader.space();
    assert.ok(reader.capacity <= Math.max(16 * 1024, 2 * arrived), `${reader.capacity} for ${arrived}`);
    const count = Math.min(space.length, 32_000_004 - arrived);
    reader.received(count);
    arrived += count;
    assert.equal(reader.next(), arrived === 32_000_004);
  }
  assert.equal(reader.end - reader.start, 32_000_000);
});

Deno.test("a buffer that was large for a while becomes small again", () => {
  const reader = new FrameReader();
  const big = new Uint8Array(1 << 20);
  new DataView(big.buffer).setUint32(0, big.length - 4);
  bodiesOf(big, () => big.length, reader);
  assert.ok(reader.capacity >= 1 << 20);
  bodiesOf(new Uint8Array(4 * 200), () => 4, reader);
  assert.equal(reader.capacity, 16 * 1024);
});
