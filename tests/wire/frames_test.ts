import assert from "node:assert/strict";
import { FrameError, FrameReader, LentBuffers } from "../../lib/wire/frames.ts";
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

Deno.test("readers that share lent buffers yield the same bodies, in turns, and give all buffers back", () => {
  const chance = new Chance(7);
  const frames = [10, 50_000, 65_531, 65_533, 16_381, 3, 70_000, 30_000, 20_000, 0]
    .map((length, n) => frameOf(length, n));
  const stream = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length, 0));
  frames.reduce((at, frame) => (stream.set(frame, at), at + frame.length), 0);
  const expected = frames.map((frame) => toHex(frame.subarray(4)));
  const lent = new LentBuffers();
  const clients = Array.from(
    { length: 5 },
    () => ({ reader: new FrameReader(1 << 20, lent), at: 0, bodies: [] as string[] }),
  );
  for (let open = [...clients]; open.length > 0; open = open.filter(({ at }) => at < stream.length)) {
    const client = open[chance.int(open.length)];
    const { reader } = client;
    const space = reader.space();
    const count = Math.min(space.length, 1 + chance.int(1 << chance.int(17)), stream.length - client.at);
    space.set(stream.subarray(client.at, client.at += count));
    reader.received(count);
    while (reader.next()) client.bodies.push(toHex(reader.bytes.subarray(reader.start, reader.end)));
  }
  for (const { reader, bodies } of clients) {
    assert.deepEqual(bodies, expected);
    reader.giveBack();
  }
  assert.equal(lent.lent, 0);
});

Deno.test("the room of an empty buffer is one view, which no message has to make again", () => {
  const reader = new FrameReader();
  const space = reader.space();
  const frame = frameOf(100);
  for (const count of [frame.length, 10]) {
    take(reader, frame.subarray(0, count));
    if (count < frame.length) {
      assert.equal(reader.next(), false);
      assert.equal(reader.space().length, space.length - count);
      take(reader, frame.subarray(count));
    }
    assert.deepEqual([reader.next(), reader.next()], [true, false]);
    assert.equal(reader.space(), space);
  }
});

Deno.test("a reader borrows a buffer for a message that is longer than its own, and has its own again behind it", () => {
  const lent = new LentBuffers();
  const reader = new FrameReader(1 << 20, lent);
  const own = reader.bytes;
  const frame = frameOf(50 * KIB);
  for (let round = 0; round < 3; round++) {
    take(reader, frame.subarray(0, 16 * KIB));
    assert.equal(reader.next(), false);
    assert.equal(reader.space().length, 48 * KIB);
    assert.equal(lent.lent, 1);
    take(reader, frame.subarray(16 * KIB));
    assert.equal(reader.next(), true);
    assert.deepEqual(reader.bytes.subarray(reader.start, reader.end), frame.subarray(4));
    assert.equal(reader.next(), false);
    reader.giveBack();
    assert.equal(lent.lent, 0);
    assert.equal(reader.space().length, 16 * KIB);
    assert.equal(reader.bytes, own);
  }
  // The next message has begun, and its length is known to be too long for the own buffer.
  take(reader, frame.subarray(0, 16 * KIB));
  reader.space();
  take(reader, Uint8Array.from([...frame.subarray(16 * KIB), ...frame.subarray(0, 5)]));
  assert.equal(reader.next(), true);
  assert.equal(reader.next(), false);
  assert.equal(reader.space().length, 64 * KIB - 5);
  assert.equal(lent.lent, 1);
  reader[Symbol.dispose]();
  assert.equal(lent.lent, 0, "a reader that ends keeps none");
});

Deno.test("a message that just fits into a buffer is received in it", () => {
  for (const [nextBytes, lentThen] of [[16 * KIB, 0], [16 * KIB + 1, 1]]) {
    const lent = new LentBuffers();
    const reader = new FrameReader(1 << 20, lent);
    const longest = frameOf(64 * KIB - 4);
    take(reader, longest.subarray(0, 16 * KIB));
    assert.equal(reader.space().length, 48 * KIB);
    assert.equal(lent.lent, 1);
    take(reader, longest.subarray(16 * KIB));
    assert.equal(reader.next(), true);
    assert.equal(reader.next(), false);
    reader.giveBack();

    const frame = frameOf(20 * KIB);
    take(reader, frame.subarray(0, 16 * KIB));
    const next = frameOf(nextBytes - 4);
    take(reader, Uint8Array.from([...frame.subarray(16 * KIB), ...next.subarray(0, 8)]));
    assert.equal(reader.next(), true);
    assert.equal(reader.next(), false);
    reader.giveBack();
    assert.equal(lent.lent, lentThen);
  }
});

Deno.test("when all buffers are lent, the own buffer of the next reader grows", () => {
  const lent = new LentBuffers();
  while (lent.take());
  assert.equal(lent.lent, 32);
  const reader = new FrameReader(1 << 20, lent);
  take(reader, frameOf(20 * KIB).subarray(0, 16 * KIB));
  assert.equal(reader.space().length, 4 * KIB + 4);
  assert.equal(lent.lent, 32);
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

/** What decoders may read behind a body. */
const SLACK = 64;
const KIB = 1024;

/** Takes `count` bytes of a stream into the reader, as one read. */
function take(reader: FrameReader, bytes: Uint8Array, maxIdleCapacity?: number): void {
  reader.space().set(bytes);
  reader.received(bytes.length, maxIdleCapacity);
}

/** A frame with a body of that many bytes. */
function frameOf(bodyBytes: number, fill = 7): Uint8Array {
  const frame = new Uint8Array(4 + bodyBytes).fill(fill, 4);
  new DataView(frame.buffer).setUint32(0, bodyBytes);
  return frame;
}

Deno.test("there is slack behind the buffer at every size, and a fresh one is of 16 KiB", () => {
  const reader = new FrameReader();
  assert.deepEqual([reader.capacity, reader.bytes.length, reader.start, reader.end], [
    16 * KIB,
    16 * KIB + SLACK,
    0,
    0,
  ]);
  assert.equal(reader.next(), false);
  for (const frame = frameOf(100 * KIB), state = { at: 0 }; state.at < frame.length;) {
    const space = reader.space();
    const part = frame.subarray(state.at, state.at + space.length);
    space.set(part);
    reader.received(part.length);
    state.at += part.length;
    assert.ok(reader.bytes.length >= reader.capacity + SLACK);
    assert.equal(reader.view.byteLength, reader.bytes.length);
    assert.equal(reader.next(), state.at === frame.length);
  }
  assert.deepEqual([reader.start, reader.end], [4, 4 + 100 * KIB]);
});

Deno.test("the length of a frame is known with its header, and not before", () => {
  const reader = new FrameReader();
  for (let bytes = 0; bytes < 10; bytes++) {
    assert.deepEqual([reader.partialBytes, reader.partialFrameBytes], [bytes, bytes < 4 ? 0 : 1004]);
    take(reader, frameOf(1000).subarray(bytes, bytes + 1));
    assert.equal(reader.next(), false);
  }
});

Deno.test("a frame that is whole leaves nothing, and what is behind it moves to the front", () => {
  const reader = new FrameReader();
  for (const bodyBytes of [0, 1, 5]) {
    take(reader, frameOf(bodyBytes));
    assert.equal(reader.next(), true);
    assert.equal(reader.end - reader.start, bodyBytes);
    assert.equal(reader.next(), false);
    assert.equal(reader.partialBytes, 0);
    assert.equal(reader.space().length, 16 * KIB, "all of the buffer is free again");
  }
  take(reader, Uint8Array.of(...frameOf(2), 0, 0));
  assert.equal(reader.next(), true);
  assert.equal(reader.next(), false);
  assert.equal(reader.space().length, 16 * KIB - 2);
  assert.deepEqual([...reader.bytes.subarray(0, 2)], [0, 0]);
});

Deno.test("a read that fills the buffer makes it as large as it may be for speed; others do not", () => {
  const grown = (bytes: number, maxIdleCapacity: number) => {
    const reader = new FrameReader();
    take(reader, new Uint8Array(bytes), maxIdleCapacity);
    return reader.capacity;
  };
  assert.equal(grown(16 * KIB, 64 * KIB), 64 * KIB);
  assert.equal(grown(16 * KIB - 1, 64 * KIB), 16 * KIB);
  assert.equal(grown(16 * KIB, 8 * KIB), 16 * KIB, "it does not become smaller");
  for (const most of [16 * KIB, 16 * KIB + 0.5]) {
    const reader = new FrameReader();
    const { bytes } = reader;
    take(reader, new Uint8Array(16 * KIB), most);
    assert.equal(reader.bytes, bytes, "a buffer that is large enough is not replaced");
  }
});

Deno.test("a large buffer halves after 16 small reads that leave little in it, down to 16 KiB", () => {
  /** A reader of 64 KiB, which has nothing in it. */
  const large = () => {
    const reader = new FrameReader();
    const frame = frameOf(16 * KIB - 4);
    take(reader, frame, 64 * KIB);
    assert.equal(reader.next(), true);
    assert.equal(reader.next(), false);
    assert.equal(reader.capacity, 64 * KIB);
    return reader;
  };
  /** One read of a whole frame. @returns the capacity after the next `space` */
  const read = (reader: FrameReader, bytes: number) => {
    take(reader, frameOf(bytes - 4));
    while (reader.next());
    reader.space();
    return reader.capacity;
  };
  const small = 8 * KIB - 1;
  {
    const reader = large();
    for (let n = 1; n < 16; n++) assert.equal(read(reader, small), 64 * KIB, `${n}`);
    assert.equal(read(reader, small), 32 * KIB);
    for (let n = 1; n < 16; n++) assert.equal(read(reader, 4 * KIB - 1), 32 * KIB, `${n} of the second half`);
    assert.equal(read(reader, 4 * KIB - 1), 16 * KIB);
    for (let n = 0; n < 40; n++) assert.equal(read(reader, 10), 16 * KIB);
  }
  {
    const reader = large();
    for (let n = 1; n < 16; n++) read(reader, small);
    assert.equal(read(reader, 8 * KIB), 64 * KIB, "a read of an eighth is no small one");
    for (let n = 1; n < 16; n++) assert.equal(read(reader, small), 64 * KIB, "and begins the count again");
    assert.equal(read(reader, small), 32 * KIB);
  }
  // A frame that is not whole, of which a quarter of the buffer has come in 16 reads, and a byte more.
  for (const [left, capacity] of [[16 * KIB, 32 * KIB], [16 * KIB + 1, 64 * KIB]]) {
    const reader = large();
    const frame = frameOf(60 * KIB);
    for (let n = 0; n < 15; n++) take(reader, frame.subarray(1000 * n, 1000 * (n + 1)));
    take(reader, frame.subarray(15_000, left));
    assert.equal(reader.next(), false);
    reader.space();
    assert.equal(reader.capacity, capacity, `${left} bytes`);
  }
});
