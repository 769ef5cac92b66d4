/** Numbers of points at the bounds where the decoder changes its way: each length of each varint, and the last values allowed. */
import assert from "node:assert/strict";
import { BatchBuilder } from "../../lib/points/batch_builder.ts";
import { BatchPool } from "../../lib/points/measurement.ts";
import { SeriesStore } from "../../lib/points/series_store.ts";
import { writeValue } from "../../lib/points/tail.ts";
import { PostcardError, PostcardWriter } from "../../lib/postcard.ts";
import { PointDecoder } from "../../lib/wire/point_decoder.ts";
import { MESSAGE } from "../../lib/wire/protocol.ts";
import { withSlack } from "../kit/bytes.ts";
import { decodeBody, decoderWith, metricOf, pointsOf } from "../kit/decode.ts";

/** The end of year 9999, the last second that a point may have. */
const LAST_SECOND = 253_402_300_799;
const MAX_U64 = 2n ** 64n - 1n;

/** 2^n - 1, 2^n and 2^n + 1 for each length of a varint, up to `max`. */
function bounds(max: bigint): bigint[] {
  const numbers = new Set([0n, 1n, max - 1n, max]);
  for (let bits = 7n; bits <= 63n; bits += 7n) {
    for (const more of [-1n, 0n, 1n]) numbers.add((1n << bits) + more);
  }
  return [...numbers].filter((number) => number >= 0n && number <= max).sort((a, b) => a < b ? -1 : 1);
}

interface Raw {
  id?: number | bigint;
  seconds?: number | bigint;
  nanos?: number;
  value?: number | bigint;
}

/** A body with these points, and one more that is always the same. */
function bodyOf(...points: Raw[]): Uint8Array {
  const writer = new PostcardWriter().string("n").discriminant(MESSAGE.sendMeasurements).u64(
    points.length + 1,
  );
  for (const { id = 0, seconds = 1, nanos = 2, value = 3n } of [...points, {}]) {
    writer.u64(BigInt(id)).u64(BigInt(seconds)).u32(nanos);
    writeValue(writer, value);
    writer.string("").string("").string("").string("").u64(0);
  }
  return writer.written;
}

/** The points that come of a body, without the last one, which must be there; and what was refused. */
function decode(body: Uint8Array, decoder = decoderWith({ 0: "u64", 1: "f64" })) {
  const { message } = decodeBody(body, decoder);
  assert.ok(message.type === "sendMeasurements");
  const points = message.batches.flatMap((batch) => pointsOf(batch));
  const last = points.pop()!;
  assert.deepEqual([last.metric, last.seconds, last.nanos, last.value], ["metric-0", 1, 2, 3n]);
  return { points, rejected: decoder.rejected };
}

Deno.test("every time of the calendar is taken at each length of its numbers, and no later one", () => {
  for (const seconds of bounds(MAX_U64)) {
    const { points, rejected } = decode(bodyOf({ seconds }));
    const isIn = seconds <= LAST_SECOND;
    assert.deepEqual(points.map((point) => BigInt(point.seconds)), isIn ? [seconds] : [], `${seconds}`);
    assert.equal(rejected.badTime, isIn ? 0 : 1, `${seconds}`);
  }
  for (
    const [seconds, isIn] of [[LAST_SECOND - 1, true], [LAST_SECOND, true], [LAST_SECOND + 1, false]] as const
  ) {
    assert.equal(decode(bodyOf({ seconds })).points.length, isIn ? 1 : 0, `${seconds}`);
  }
});

Deno.test("nanoseconds of any u32 are added to the time", () => {
  for (
    const nanos of [
      ...bounds(2n ** 32n - 1n).map(Number),
      999_999_999,
      1_000_000_000,
      1_999_999_999,
      4_000_000_000,
    ]
  ) {
    const { points: [point] } = decode(bodyOf({ seconds: 10, nanos }));
    assert.deepEqual([point.seconds, point.nanos], [10 + Math.floor(nanos / 1e9), nanos % 1e9], `${nanos}`);
  }
  const { points, rejected } = decode(bodyOf({ seconds: LAST_SECOND, nanos: 1_000_000_000 }));
  assert.deepEqual([points.length, rejected.badTime], [0, 1], "they may lead out of the calendar");
});

Deno.test("a time that differs from the one before in any of its bytes is another time", () => {
  const first = 1_700_000_000;
  const times: [seconds: number, nanos: number][] = [];
  for (const nanos of [0, 127, 2 ** 14 + 5, 2 ** 21 + 5, 268_435_455, 268_435_456, 999_999_999]) {
    times.push([first, nanos], [first, nanos]);
    for (let bit = 0; bit < 30; bit++) {
      const other = (nanos ^ 1 << bit) >>> 0;
      if (other < 1e9) times.push([first, other], [first, nanos]);
      times.push([first + 2 ** bit, nanos], [first, nanos]);
    }
  }
  const { points } = decode(bodyOf(...times.map(([seconds, nanos]) => ({ seconds, nanos }))));
  assert.deepEqual(points.map(({ seconds, nanos }) => [seconds, nanos]), times);
});

Deno.test("nanoseconds that are no u32 are refused", () => {
  const body = bodyOf({ nanos: 2 ** 32 - 1 });
  const at = body.findIndex((byte, i) => byte === 0xff && body[i + 4] === 0x0f);
  for (const last of [0x0f, 0x10, 0x7f, 0x8f, 0xff]) {
    body[at + 4] = last;
    if (last === 0x0f) assert.equal(decode(body).points.length, 1);
    else assert.throws(() => decode(body), PostcardError, `${last}`);
  }
});

Deno.test("every u64 is exact at each length", () => {
  for (const value of bounds(MAX_U64)) {
    assert.deepEqual(decode(bodyOf({ value })).points.map((point) => point.value), [value]);
  }
});

Deno.test("a metric id finds its own metric at each length, and an id beyond the protocol finds none", () => {
  const ids = bounds(65_535n).concat(15n, 16n, 17n, 31n, 32n, 33n).map(Number);
  const decoder = decoderWith(Object.fromEntries(ids.map((id) => [id, "u64"])));
  for (const id of ids) {
    const { points } = decode(bodyOf({ id }), decoder);
    assert.deepEqual(points.map(({ metric }) => metric), [`metric-${id}`]);
  }
  assert.equal(decoder.rejected.unknownMetric, 0);
  const unknown = [2n, 100n, 65_534n, 65_536n, 65_537n, 2n ** 31n, 2n ** 32n, 2n ** 53n, MAX_U64];
  const few = decoderWith({ 0: "u64", 1: "u64" });
  for (const id of unknown) assert.deepEqual(decode(bodyOf({ id }), few).points, [], `${id}`);
  assert.equal(few.rejected.unknownMetric, unknown.length);
});

Deno.test("a value of another kind than its metric's costs its point alone, and is counted", () => {
  const { points, rejected } = decode(
    bodyOf({ value: 1.5 }, { id: 1, value: 2n }, { id: 1, value: 2.5 }, { value: 7n }),
  );
  assert.deepEqual(points.map(({ metric, value }) => [metric, value]), [["metric-1", 2.5], ["metric-0", 7n]]);
  assert.equal(rejected.wrongKind, 2);
});

Deno.test("a kind of value that is written in more bytes than it needs is the same kind", () => {
  for (const [value, kind] of [[1.5, 0], [3n, 1], [2n ** 64n - 1n, 1]] as const) {
    const writer = new PostcardWriter().string("n").discriminant(MESSAGE.sendMeasurements).u64(2);
    for (const [id, longKind, one] of [[kind === 0 ? 1 : 0, true, value], [0, false, 3n]] as const) {
      writer.u64(id).u64(1).u32(2);
      if (longKind) writer.raw(new Uint8Array([0x80 | kind, 0]));
      else writer.discriminant(1);
      if (typeof one === "bigint") writer.u64(one);
      else writer.f64(one);
      writer.string("").string("").string("").string("").u64(0);
    }
    assert.deepEqual(decode(writer.written).points.map((point) => point.value), [value]);
  }
});

Deno.test("nanoseconds of six bytes are refused, at the place where they begin", () => {
  const writer = new PostcardWriter().string("n").discriminant(MESSAGE.sendMeasurements).u64(1);
  const at = writer.u64(0).u64(1).length;
  writer.raw(new Uint8Array([0x80, 0x80, 0x80, 0x80, 0x80, 0x00])).discriminant(1).u64(3);
  writer.string("").string("").string("").string("").u64(0);
  const body = writer.written;
  assert.throws(
    () => decodeBody(body, decoderWith({ 0: "u64" })),
    (error) => error instanceof PostcardError && error.offset === at && error.code === "bad_varint",
  );
});

Deno.test("an id beyond the protocol is not taken for the last one that it has", () => {
  const decoder = decoderWith({ 0: "u64", 65_533: "u64", 65_534: "u64", 65_535: "u64" });
  for (const id of [65_536n, 65_537n, 2n ** 21n, 2n ** 40n]) {
    assert.deepEqual(decode(bodyOf({ id }), decoder).points, []);
  }
  assert.equal(decoder.rejected.unknownMetric, 4);
});

/** A body with points of one metric, each written by the caller from its time on. */
function bodyOfPoints(sender: string, ...points: ((writer: PostcardWriter) => void)[]): Uint8Array {
  const writer = new PostcardWriter().string(sender).discriminant(MESSAGE.sendMeasurements).u64(
    points.length,
  );
  for (const write of points) write(writer.u64(0));
  return writer.written;
}

function timesOf(body: Uint8Array): number[][] {
  const { message } = decodeBody(body, decoderWith({ 0: "u64" }));
  assert.ok(message.type === "sendMeasurements");
  return message.batches.flatMap((batch) => pointsOf(batch)).map(({ seconds, nanos }) => [seconds, nanos]);
}

/** A value of 5, and a tail without texts. */
const rest = (writer: PostcardWriter) => void writer.u64(1).u64(5).raw(new Uint8Array(5));

Deno.test("a short time that stands several times is the same time, and its points are whole", () => {
  const point = (writer: PostcardWriter) => rest(writer.u64(1).u64(2));
  assert.deepEqual(timesOf(bodyOfPoints("", point, point, point, point)), [[1, 2], [1, 2], [1, 2], [1, 2]]);
});

Deno.test("times that are written in more bytes than they need differ by each of their bytes", () => {
  for (let at = 5; at < 13; at++) {
    const of = (more: number) => (writer: PostcardWriter) => {
      // Seconds of eight bytes, nanoseconds of five.
      const time = [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x80, 0x80, 0x80, 0x80, 0x01];
      time[at] += more;
      rest(writer.raw(Uint8Array.from(time)));
    };
    const [one, other] = [of(0), of(1)].map((point) => timesOf(bodyOfPoints("n", point))[0]);
    assert.deepEqual(
      timesOf(bodyOfPoints("n", of(0), of(1), of(0))),
      [one, other, one].filter((time) => time),
    );
  }
});

Deno.test("a time is not taken for the one before because an attribute has its bytes", () => {
  const [one, other] = [0x0a1b_2c3d & 0xfffffff, 0x0b1b_2c3d & 0xfffffff];
  for (const attribute of [one, other]) {
    const of = (nanos: number) => (writer: PostcardWriter) => {
      writer.u64(1_700_000_000).u64(nanos).u64(1).u64(5).raw(new Uint8Array(4)).u64(1).string("a");
      writeValue(writer, BigInt(attribute));
    };
    const times = [one, other, other, one].map((nanos) => [1_700_000_000, nanos]);
    assert.deepEqual(timesOf(bodyOfPoints("n", ...[one, other, other, one].map(of))), times);
  }
});

Deno.test("a series that differs from the one before in its first byte alone is another series", () => {
  const point = (kind: string) => (writer: PostcardWriter) =>
    void writer.u64(1).u64(2).u64(1).u64(5).string(kind).string("").string("").string("").u64(0);
  const body = bodyOfPoints("n", point(""), point(""), point("\0"), point(""));
  const { message } = decodeBody(body, decoderWith({ 0: "u64" }));
  assert.ok(message.type === "sendMeasurements");
  const kinds = message.batches.flatMap((batch) => pointsOf(batch)).map(({ resourceKind }) => resourceKind);
  assert.deepEqual(kinds, ["", "", "\0", ""]);
});

Deno.test("bytes behind a message do not complete a point of it, though its series is known", () => {
  const point = (writer: PostcardWriter) => {
    writer.u64(1).u64(2).u64(1).u64(5).string("kind").string("resource").string("").string("").u64(0);
  };
  const body = bodyOfPoints("n", point, point);
  const decoder = decoderWith({ 0: "u64" });
  assert.equal(decodeBody(body, decoder).message.type, "sendMeasurements");
  const bytes = withSlack(body);
  const start = 3;
  for (let cut = 0; cut < 17; cut++) {
    const builder = new BatchBuilder(new BatchPool(16, 4, decoder.store));
    const decode = () =>
      decoder.decode(bytes, new DataView(bytes.buffer), start, body.length - cut, "n", builder);
    if (cut === 0) assert.equal(decode(), 2);
    else assert.throws(decode, PostcardError, `${cut} bytes less`);
    for (const batch of builder.take()) batch.release();
  }
});

Deno.test("a long name of the first metric of all is counted as a long name", () => {
  const decoder = new PointDecoder({ store: new SeriesStore(), maxNameBytes: 3 });
  decoder.setMetric(0, metricOf("first"));
  const body = bodyOfPoints("n", (writer) => {
    writer.u64(1).u64(2).u64(1).u64(5).string("kind").string("").string("").string("").u64(0);
  });
  decodeBody(body, decoder);
  assert.deepEqual(decoder.rejected, { unknownMetric: 0, wrongKind: 0, badTime: 0, longName: 1 });
});

Deno.test("the first time of a message is read, though all bytes around it are alike", () => {
  const decoder = decoderWith({ 1: "u64" });
  // In front of the message, then its count, id, time, kind, value, and the tail.
  const body = Uint8Array.from([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
  const bytes = withSlack(body);
  const builder = new BatchBuilder(new BatchPool(16, 4, decoder.store));
  assert.equal(decoder.decode(bytes, new DataView(bytes.buffer), 2, body.length, "n", builder), 1);
  const [{ seconds, nanos, value, resourceKind, resourceId }] = builder.take().flatMap((batch) =>
    pointsOf(batch)
  );
  assert.deepEqual([seconds, nanos, value, resourceKind, resourceId], [1, 1, 1n, "\x01", "\x01"]);
});
