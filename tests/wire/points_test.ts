import assert from "node:assert/strict";
import { Batch, BatchPool, seriesOf } from "../../lib/points/measurement.ts";
import { SeriesStore } from "../../lib/points/series_store.ts";
import { writeValue } from "../../lib/points/tail.ts";
import { BatchBuilder } from "../../lib/points/batch_builder.ts";
import { PointDecoder } from "../../lib/wire/point_decoder.ts";
import { PointEncoder } from "../../lib/wire/point_encoder.ts";
import { PostcardError, PostcardReader, PostcardWriter } from "../../lib/postcard.ts";
import { encodeFrame, MESSAGE, readControlMessage, type RegisterMetrics } from "../../lib/wire/protocol.ts";
import { cases, Chance, framesOf, testdata, toHex, withSlack } from "../kit/bytes.ts";
import { decodeBody, decoderWith, metricOf, pointsOf } from "../kit/decode.ts";
import { batchOf, numbered, series } from "../kit/points.ts";

const POWER = metricOf("power", "f64", { base: "W", prefix: "milli" });
const ENERGY = metricOf("energy", "u64", { base: "J", prefix: "" });

/** Encodes everything in batches, as bodies of frames of at most `maxBytes` of points. */
function bodies(encoder: PointEncoder, batches: Batch[], maxBytes = Infinity): Uint8Array[] {
  const result: Uint8Array[] = [];
  const send = () => {
    if (encoder.points === 0) return;
    result.push(encoder.frame().slice(4));
    encoder.clear();
  };
  for (const batch of batches) {
    let row = 0;
    while (encoder.add(batch, row, maxBytes) !== "done") {
      row = encoder.nextRow;
      send();
    }
  }
  send();
  return result;
}

/** A decoder that has been told the encoder's metrics. */
function decoderFor(encoder: PointEncoder, store?: SeriesStore): PointDecoder {
  const decoder = new PointDecoder({ store });
  for (const frame of encoder.registrations(0)) {
    const reader = new PostcardReader(frame, 4);
    reader.string();
    const message = readControlMessage(reader, reader.discriminant(4)) as RegisterMetrics;
    for (const { id, name, type, unit } of message.metrics) decoder.setMetric(id, metricOf(name, type, unit));
  }
  return decoder;
}

function roundTrip(encoder: PointEncoder, batches: Batch[], maxBytes?: number) {
  const encoded = bodies(encoder, batches, maxBytes);
  const decoder = decoderFor(encoder);
  return encoded.flatMap((body) => {
    const { message } = decodeBody(body, decoder, 16);
    assert.ok(message.type === "sendMeasurements");
    return message.batches.flatMap((batch) => pointsOf(batch, true));
  });
}

Deno.test("points of every kind come back from the wire as they were, with the client's name", () => {
  const rich = seriesOf(POWER, {
    resourceKind: "gpu",
    resourceId: "00:01.0",
    consumerKind: "process",
    consumerId: "42",
    attributes: [["f", 0.5], ["u", 2n ** 64n - 1n], ["b", true], ["s", 'a;"b"\né'], ["l", [1n, 2n ** 63n]]],
  });
  const batch = batchOf([
    [rich, 1.25, 1_700_000_000, 999_999_999],
    [rich, NaN],
    [rich, -0],
    [rich, Infinity, 0, 0],
    [rich, -1e300, 253_402_300_799, 1],
    [series(ENERGY), 2n ** 64n - 1n],
    [series(ENERGY), 2n ** 53n],
    [series(ENERGY), 0],
    [series(ENERGY), 127],
    [series(ENERGY), 2 ** 40],
  ]);
  const back = roundTrip(new PointEncoder("node-1"), [batch]);
  const expected = pointsOf(batch, true).map((point) => ({
    ...point,
    attributes: [...point.attributes, ["relay_client", "node-1"]],
  }));
  assert.deepStrictEqual(back, expected);
});

Deno.test("random points come back from the wire, in frames of any size", () => {
  for (let seed = 0; seed < cases(60); seed++) {
    const chance = new Chance(seed);
    const all = Array.from({ length: 1 + chance.int(30) }, () =>
      seriesOf(chance.pick([POWER, ENERGY]), {
        resourceKind: chance.text(),
        resourceId: chance.text(),
        consumerId: chance.text(80),
        attributes: Array.from(
          { length: chance.int(4) },
          (_, i) => [`${chance.text()}${i}`, chance.text(20)],
        ),
      }));
    const rows = Array.from({ length: chance.int(200) }, () => {
      const one = chance.pick(all);
      const value = one.metric === POWER ? chance.next() * 1e6 - 5e5 : chance.u64();
      return [one, value, chance.int(2 ** 32), chance.int(1e9)] as [
        typeof one,
        number | bigint,
        number,
        number,
      ];
    });
    const batch = batchOf(rows);
    const back = roundTrip(new PointEncoder("n"), [batch], chance.pick([0, 1, 100, 1000, Infinity]));
    assert.deepStrictEqual(
      back.map(({ attributes, ...rest }) => ({ ...rest, attributes: attributes.slice(0, -1) })),
      pointsOf(batch, true),
      `seed ${seed}`,
    );
  }
});

Deno.test("a frame is what the reference implementation would write for the same points", () => {
  const one = seriesOf(ENERGY, {
    resourceKind: "cpu_package",
    resourceId: "0",
    attributes: [["domain", "dram"]],
  });
  const [body] = bodies(new PointEncoder("node"), [
    batchOf([[one, 300, 1_700_000_000, 5], [one, 2n ** 64n - 1n, 1, 0]]),
  ]);
  const writer = new PostcardWriter().string("node").discriminant(MESSAGE.sendMeasurements).u64(2);
  for (const [secs, nanos, value] of [[1_700_000_000, 5, 300n], [1, 0, 2n ** 64n - 1n]] as const) {
    writer.u64(0).u64(secs).u32(nanos);
    writeValue(writer, value);
    writer.string("cpu_package").string("0").string("local_machine").string("");
    writer.sequence(one.attributes, (w, [name, v]) => writeValue(w.string(name), v));
  }
  assert.equal(toHex(body), toHex(writer.written));
});

Deno.test("a frame has at most the bytes that it may have; a point that is larger goes alone", () => {
  const small = series(ENERGY);
  const large = series(ENERGY, [["text", "x".repeat(500)]]);
  const encoder = new PointEncoder("n");
  const batch = batchOf([[small, 1], [small, 2], [large, 3], [small, 4], [small, 5], [small, 6], [small, 7]]);
  const decoder = new PointDecoder();
  const sizes: number[] = [];
  for (const body of bodies(encoder, [batch], 100)) {
    const { message } = decodeBody(body, decoder);
    assert.ok(message.type === "sendMeasurements");
    sizes.push(message.count);
  }
  assert.deepEqual(sizes, [2, 1, 2, 2]);
  const point = bodies(new PointEncoder("n"), [batchOf([[small, 1]])])[0].length - 4;
  assert.ok(
    2 * point <= 100 && 3 * point > 100,
    `the case is built for points of 34 to 50 bytes, not ${point}`,
  );
});

Deno.test("no frame is larger than the protocol allows, and a point that cannot be sent is counted", () => {
  const big = series(ENERGY, [["text", "x".repeat(11_000_000)]]);
  const tooBig = series(ENERGY, [["text", "x".repeat(32_000_000)]]);
  const encoder = new PointEncoder("n");
  const encoded = bodies(encoder, [batchOf([[big, 1], [big, 2], [tooBig, 3], [big, 4], [tooBig, 5]])]);
  assert.equal(encoded.length, 2);
  for (const body of encoded) assert.ok(body.length <= 32_000_000);
  assert.equal(encoder.unsendable, 2);
  // Two points that would fit without the head of the message.
  const sized = (length: number) => batchOf([[series(ENERGY, [["text", "x".repeat(length)]]), 1]]);
  const half = 16_000_000;
  const excess = encoder.measure(sized(half)) - half;
  const whole = sized(half - excess);
  assert.equal(encoder.measure(whole), half);
  assert.deepEqual(bodies(encoder, [whole, whole]).map((body) => body.length < 32_000_000), [true, true]);
});

Deno.test("points that were passed on go out under the name of the client that measured them", () => {
  const encoder = new PointEncoder("hop");
  const own = series(ENERGY);
  const theirs = series(ENERGY, [["relay_client", "node-1"], ["x", 1n]]);
  const back = roundTrip(encoder, [batchOf([[own, 1], [theirs, 2], [theirs, 3], [own, 4]])]);
  assert.deepEqual(back.map(({ attributes }) => attributes), [
    [["relay_client", "hop"]],
    [["x", 1n], ["relay_client", "node-1"]],
    [["x", 1n], ["relay_client", "node-1"]],
    [["relay_client", "hop"]],
  ]);
});

Deno.test("a relay_client attribute that comes with a point is kept, not replaced by the sender", () => {
  const writer = new PostcardWriter().string("hop").discriminant(MESSAGE.sendMeasurements).u64(1);
  writer.u64(0).u64(1).u32(0).discriminant(1).u64(7).string("").string("").string("").string("");
  writer.sequence(["first"], (w, name) => writeValue(w.string("relay_client"), name));
  const { message } = decodeBody(writer.written, decoderWith({ 0: "u64" }));
  assert.ok(message.type === "sendMeasurements");
  assert.deepEqual(pointsOf(message.batches[0], true)[0].attributes, [["relay_client", "first"]]);
});

Deno.test("metrics beyond the protocol's 65,536 numbers cannot be sent, the others can", () => {
  const encoder = new PointEncoder("n");
  const rows = Array.from(
    { length: 65_540 },
    (_, i) => [series(metricOf(`m${i}`)), i] as [ReturnType<typeof series>, number],
  );
  const encoded = bodies(encoder, [batchOf(rows)]);
  assert.equal(encoder.unsendable, 4);
  assert.equal(encoder.metricCount, 65_536);
  assert.equal(encoded.length, 1);
  let registered = 0;
  for (const frame of encoder.registrations(0)) {
    assert.ok(frame.length < 2_000_000);
    const reader = new PostcardReader(frame, 4);
    reader.string();
    registered += (readControlMessage(reader, reader.discriminant(4)) as RegisterMetrics).metrics.length;
  }
  assert.equal(registered, 65_536);
});

Deno.test("points with an unknown metric, the wrong kind of value or an impossible time are counted, the rest is kept", () => {
  const writer = new PostcardWriter().string("n").discriminant(MESSAGE.sendMeasurements).u64(7);
  const point = (id: bigint, secs: bigint, value: Parameters<typeof writeValue>[1], nanos = 0) => {
    writer.u64(id).u64(secs).u32(nanos);
    writeValue(writer, value);
    writer.string("").string("").string("").string("").u64(0);
  };
  point(0n, 1n, 1n);
  point(1n, 1n, 1n); // not registered
  point(2n ** 60n, 1n, 1n); // never could be
  point(0n, 1n, 1.5); // f64 for a u64
  point(0n, 1n, "text"); // not a number at all
  point(0n, 253_402_300_800n, 1n); // the year 10000
  point(0n, 5n, 2n, 2_500_000_000); // seconds may be in the nanoseconds
  const decoder = decoderWith({ 0: "u64" });
  const { message } = decodeBody(writer.written, decoder);
  assert.ok(message.type === "sendMeasurements");
  assert.equal(message.count, 7);
  assert.deepEqual(
    message.batches.flatMap((batch) => pointsOf(batch)).map((
      { seconds, nanos, value },
    ) => [seconds, nanos, value]),
    [[1, 0, 1n], [7, 500_000_000, 2n]],
  );
  assert.deepEqual(decoder.rejected, { unknownMetric: 2, wrongKind: 2, badTime: 1, longName: 0 });
});

Deno.test("a metric that is registered late counts from then on", () => {
  const decoder = decoderWith({});
  const [body] = bodies(new PointEncoder("n"), [batchOf([[series(ENERGY), 1]])]);
  const decode = () => {
    const { message } = decodeBody(body, decoder);
    return message.type === "sendMeasurements" ? message.batches.flatMap((batch) => pointsOf(batch)) : [];
  };
  assert.deepEqual(decode(), []);
  decoder.setMetric(0, ENERGY);
  assert.equal(decode()[0].metric, "energy");
  decoder.setMetric(0, metricOf("energy_2"));
  assert.equal(decode()[0].metric, "energy_2");
});

Deno.test("a message that is cut anywhere is refused whole, and leaves no point behind", () => {
  const frame = framesOf(testdata("sessions/odd-values/client-0.bin"))[2];
  const body = frame.subarray(4);
  const decoder = decoderWith({ 0: "f64", 1: "u64", 2: "f64", 3: "f64", 4: "f64", 5: "u64" });
  const builder = new BatchBuilder(new BatchPool(4, 4));
  const attempt = (length: number) => {
    const bytes = withSlack(body.subarray(0, length));
    const reader = new PostcardReader(bytes, 0, length);
    const sender = reader.string();
    reader.discriminant(4);
    decoder.decode(bytes, new DataView(bytes.buffer), reader.offset, length, sender, builder);
  };
  attempt(body.length);
  assert.equal(builder.length, 8);
  for (let length = 4; length < body.length; length++) {
    assert.throws(() => attempt(length), PostcardError, `cut at ${length}`);
    assert.equal(builder.length, 8);
  }
  attempt(body.length);
  assert.equal(builder.length, 16);
});

Deno.test("mutated messages are decoded or refused with a PostcardError, and do not harm those after them", () => {
  const chance = new Chance(3);
  const frames = framesOf(testdata("sessions/real-agent/client-0.bin")).slice(3, 6);
  const types = { 0: "u64", 1: "u64", 2: "u64" } as const;
  const decoder = decoderWith(types);
  const clean = frames.map((frame) => decodeBody(frame.subarray(4), decoderWith(types)));
  for (let n = 0; n < cases(300); n++) {
    const which = chance.int(frames.length);
    try {
      decodeBody(chance.mutate(frames[which].subarray(4)), decoder);
    } catch (error) {
      assert.ok(error instanceof PostcardError, `case ${n}: ${error}`);
    }
    const again = decodeBody(frames[which].subarray(4), decoder);
    assert.ok(again.message.type === "sendMeasurements" && clean[which].message.type === "sendMeasurements");
    assert.equal(again.message.count, clean[which].message.count);
  }
});

Deno.test("attributes that change with every point do not grow the store without bound, and all points are right", () => {
  const store = new SeriesStore({ limitBytes: 300_000 });
  const decoder = new PointDecoder({ store });
  decoder.setMetric(0, ENERGY);
  let next = 0;
  for (let n = 0; n < 20; n++) {
    const encoder = new PointEncoder("n");
    const rows = Array.from({ length: 500 }, () => {
      const number = next++;
      return [series(ENERGY, [["request", `id-${number}`]]), number] as [ReturnType<typeof series>, number];
    });
    for (const body of bodies(encoder, [batchOf(rows)])) {
      const { message } = decodeBody(body, decoder);
      assert.ok(message.type === "sendMeasurements");
      for (const batch of message.batches) {
        for (const point of pointsOf(batch)) {
          assert.deepEqual(point.attributes, [["request", `id-${point.value}`]]);
        }
        batch.release();
      }
    }
    store.tick();
  }
  assert.equal(next, 10_000);
  assert.ok(store.bytes < 450_000, `the series take ${store.bytes} bytes`);
});

Deno.test("a message of which no point is kept keeps no series from being given back", () => {
  for (const bad of ["refused points", "a broken end"]) {
    const store = new SeriesStore();
    const decoder = new PointDecoder({ store });
    decoder.setMetric(0, ENERGY);
    const builder = new BatchBuilder(new BatchPool(64, 4, store));
    const writer = new PostcardWriter().u64(2);
    for (let n = 0; n < 2; n++) {
      writer.u64(0).u64(1).u32(0);
      writeValue(writer, 0.5);
      writer.string("").string("").string("").string(`${n}`).u64(0);
    }
    const bytes = withSlack(bad === "a broken end" ? writer.written.slice(0, -1) : writer.written);
    const decode = () =>
      decoder.decode(bytes, new DataView(bytes.buffer), 0, bytes.length - 64, "n", builder);
    if (bad === "a broken end") assert.throws(decode, PostcardError);
    else assert.equal(decode(), 2);
    assert.equal(builder.length, 0);
    assert.ok(store.size > 0);
    for (let n = 0; n < 700; n++) store.tick();
    assert.equal(store.size, 0, bad);
  }
});

Deno.test("series whose sources take turns are found without a hash, and each point is of its own series", () => {
  const store = new SeriesStore();
  const finds: number[] = [];
  const find = store.find;
  store.find = (...args) => {
    finds[finds.length - 1]++;
    return find.apply(store, args);
  };
  const encoder = new PointEncoder("n");
  const common = Array.from({ length: 20 }, (_, i) => seriesOf(POWER, { consumerId: `${i}` }));
  const rare = Array.from({ length: 20 }, (_, i) => seriesOf(ENERGY, { consumerId: `${i}` }));
  const messages = Array.from({ length: 8 }, (_, round) => {
    const order = common.flatMap((one, i) => round % 2 === 0 ? [one] : [one, rare[i]]);
    const batch = batchOf(order.map((one) => [one, one.metric === POWER ? 0.5 : 1n]));
    return { order, body: bodies(encoder, [batch])[0] };
  });
  const decoder = decoderFor(encoder, store);
  for (const { order, body } of messages) {
    finds.push(0);
    const { message } = decodeBody(body, decoder);
    assert.ok(message.type === "sendMeasurements");
    assert.deepEqual(
      message.batches.flatMap((batch) => pointsOf(batch)).map((
        { metric, consumerId },
      ) => [metric, consumerId]),
      order.map(({ metric, consumerId }) => [metric.name, consumerId]),
    );
  }
  assert.deepEqual(finds.slice(4), [0, 0, 0, 0]);
});

Deno.test("one connection may speak for thousands of senders", () => {
  const decoder = decoderWith({ 0: "u64" });
  for (let n = 0; n < 5000; n++) {
    const [body] = bodies(new PointEncoder(`client-${n}`), [batchOf([[series(ENERGY), n]])]);
    const { message } = decodeBody(body, decoder);
    assert.ok(message.type === "sendMeasurements");
    assert.deepEqual(pointsOf(message.batches[0], true)[0].attributes, [["relay_client", `client-${n}`]]);
  }
});

Deno.test("batches are cut at their capacity, and what was gathered is handed over in order", () => {
  const builder = new BatchBuilder(new BatchPool(16, 2));
  const frame = new PointEncoder("n");
  const decoder = decoderWith({ 0: "u64" });
  for (const body of bodies(frame, [numbered(100)], 400)) {
    const bytes = withSlack(body);
    const reader = new PostcardReader(bytes, 0, body.length);
    reader.string();
    reader.discriminant(4);
    decoder.decode(bytes, new DataView(bytes.buffer), reader.offset, body.length, "n", builder);
  }
  assert.equal(builder.length, 100);
  const batches = builder.take();
  assert.deepEqual(batches.map(({ length }) => length), [16, 16, 16, 16, 16, 16, 4]);
  assert.deepEqual(
    batches.flatMap((b) => [...b.values.subarray(0, b.length)]),
    Array.from({ length: 100 }, (_, i) => i),
  );
  assert.equal(builder.length, 0);
});

Deno.test("a greeting has the bytes of a real client's", () => {
  const greeting = encodeFrame("A", {
    type: "greet",
    alumetVersion: "0.9.5",
    relayVersion: "0.6.0",
    protocolVersion: 2,
  });
  assert.equal(toHex(greeting), toHex(framesOf(testdata("sessions/odd-values/client-0.bin"))[0]));
});

Deno.test("a batch is measured with exactly the bytes that its points take", () => {
  const chance = new Chance(77);
  const list = series(ENERGY, [["list", [1n, 2n ** 64n - 1n]]]);
  const odd = series(ENERGY, [["relay_client", "other"], ["a", 1n]]);
  const metrics = [POWER, ENERGY];
  const u64s = [
    0,
    127,
    128,
    2 ** 32,
    2n ** 53n,
    2n ** 53n + 1n,
    2n ** 56n - 2n ** 10n,
    2n ** 56n - 1n,
    2n ** 56n,
    2n ** 63n - 1n,
    2n ** 63n,
    2n ** 64n - 1n,
  ];
  for (let n = 0; n < 50; n++) {
    const encoder = new PointEncoder("n");
    const batch = new Batch();
    const rows = 1 + chance.int(20);
    for (let row = 0; row < rows; row++) {
      const one = chance.pick([
        ...metrics.map((metric) => series(metric, [["job", chance.text()]])),
        ...[list, odd, series(ENERGY)],
      ]);
      const seconds = chance.pick([0, 1, 127, 128, 1_700_000_000, 253_402_300_799]);
      const nanos = chance.pick([0, 127, 128, 999_999_999]);
      const value = chance.pick(u64s);
      if (one.metric.type === "f64") batch.push(one, seconds, nanos, chance.int(1000) / 7);
      else batch.pushU64(one, seconds, nanos, BigInt(value));
    }
    const measured = encoder.measure(batch);
    let bytes = 0;
    for (let row = 0; encoder.add(batch, row, Infinity) !== "done"; row = encoder.nextRow) {
      bytes += encoder.byteLength;
      encoder.clear();
    }
    assert.equal(bytes + encoder.byteLength, measured);
    assert.equal(encoder.nextRow, rows);
  }
  const encoder = new PointEncoder("n");
  assert.deepEqual([encoder.byteLength, encoder.nextRow, encoder.points], [0, 0, 0]);
  assert.equal(
    encoder.measure(batchOf([[series(ENERGY, [["text", "x".repeat(32_000_000)]]), 1]])),
    0,
    "never sent",
  );
});

Deno.test("the rest of a batch is begun where the frame was full, and its sizes are those asked for", () => {
  const one = series(ENERGY);
  const encoder = new PointEncoder("n");
  const batch = batchOf(Array.from({ length: 10 }, (_, n) => [one, n] as const));
  encoder.add(batch, 0, Infinity);
  const each = encoder.byteLength / 10;
  encoder.clear();
  // Exactly three fit.
  assert.equal(encoder.add(batch, 0, 3 * each), "full");
  assert.deepEqual([encoder.points, encoder.nextRow, encoder.byteLength], [3, 3, 3 * each]);
  encoder.clear();
  assert.equal(encoder.add(batch, 3, 3 * each - 1), "full");
  assert.deepEqual([encoder.points, encoder.nextRow], [2, 5]);
  const frame = encoder.frame();
  assert.equal(new DataView(frame.buffer, frame.byteOffset).getUint32(0), frame.length - 4);
});

Deno.test("many metrics are registered in several frames of about a mebibyte, each of them once", () => {
  const encoder = new PointEncoder("n");
  const count = 5000;
  const batch = new Batch();
  for (let n = 0; n < count; n++) {
    batch.push(series(metricOf(`${n}-${"x".repeat(240)}`)), 1, 0, 1);
  }
  encoder.add(batch, 0, Infinity);
  const names: string[] = [];
  const sizes: number[] = [];
  for (const frame of encoder.registrations(0)) {
    const reader = new PostcardReader(frame, 4);
    reader.string();
    const { metrics } = readControlMessage(reader, reader.discriminant(4)) as RegisterMetrics;
    names.push(...metrics.map(({ name }) => name));
    sizes.push(frame.length);
  }
  assert.deepEqual(names, Array.from({ length: count }, (_, n) => `${n}-${"x".repeat(240)}`));
  assert.ok(sizes.length === 4 && sizes.every((size) => size < 400_000), `${sizes}`);
  assert.equal([...encoder.registrations(count - 1)].length, 1);
  assert.equal([...encoder.registrations(count)].length, 0);
});

Deno.test("tails that differ in a single byte, wherever it is, are different series", () => {
  const encoder = new PointEncoder("n");
  const batch = new Batch();
  const sent: string[] = [];
  const put = (text: string) => {
    batch.push(series(ENERGY, [["k", text]]), 1, 0, 1);
    sent.push(text);
  };
  for (let length = 1; length < 24; length++) {
    const text = "a".repeat(length);
    for (let at = 0; at < length; at++) {
      const other = text.slice(0, at) + "b" + text.slice(at + 1);
      for (let n = 0; n < 3; n++) for (const one of [text, text, other]) put(one);
    }
  }
  const encoded = bodies(encoder, [batch], 1000);
  const decoder = decoderFor(encoder);
  const decoded = encoded.flatMap((body) => {
    const { message } = decodeBody(body, decoder, 16);
    assert.ok(message.type === "sendMeasurements");
    return message.batches.flatMap((batch) => pointsOf(batch)).map(({ attributes }) => attributes[0][1]);
  });
  assert.deepEqual(decoded, sent);
});

Deno.test("a tail that begins like a known one, but for its first byte, is another one", () => {
  const encoder = new PointEncoder("n");
  const batch = new Batch();
  const plain = seriesOf(ENERGY, {});
  const zeros = seriesOf(ENERGY, { resourceKind: "\0\0\0\0" });
  const all = Array.from({ length: 12 }, (_, n) => n % 3 === 2 ? zeros : plain);
  for (const one of all) batch.push(one, 1, 0, 1);
  const kinds = roundTrip(encoder, [batch]).map(({ resourceKind }) => resourceKind);
  assert.deepEqual(kinds, all.map(({ resourceKind }) => resourceKind));
});

Deno.test("names that are too long cost their points, which are counted; a client's series are its own", () => {
  const encoder = new PointEncoder("n");
  const batch = batchOf([[series(ENERGY, [["k".repeat(20), 1n]]), 1], [
    series(ENERGY, [["k".repeat(21), 1n]]),
    2,
  ]]);
  const [body] = bodies(encoder, [batch]);
  const decoder = new PointDecoder({ owner: "n", maxNameBytes: 20 });
  const { store } = decoder;
  decoder.setMetric(0, ENERGY);
  const { message } = decodeBody(body, decoder, 16);
  assert.ok(message.type === "sendMeasurements");
  const [decoded] = message.batches;
  assert.deepEqual([decoded.length, Number(decoded.values[0])], [1, 1]);
  assert.deepEqual(decoder.rejected, { unknownMetric: 0, wrongKind: 0, badTime: 0, longName: 1 });
  assert.equal(store.names.nameOf(store.ownerOf(decoded.series[0])), "n");
});

Deno.test("the largest point that is sent fits into the largest frame, and the next one is not sent", () => {
  const withText = (length: number) => batchOf([[series(ENERGY, [["text", "x".repeat(length)]]), 1]]);
  const { store, series: [number] } = withText(30_000_000);
  const around = store.tailLength[number] - 30_000_000;
  // Numbers and the head of a frame have 64 bytes, each character of the sender three.
  const largest = 32_000_000 - 64 - 3 * "node".length - around;
  for (const [length, unsendable] of [[largest, 0], [largest + 1, 1]]) {
    const encoder = new PointEncoder("node");
    encoder.add(withText(length), 0, Infinity);
    assert.deepEqual([encoder.unsendable, encoder.points], [unsendable, 1 - unsendable]);
    if (encoder.points > 0) assert.ok(encoder.frame().length - 4 <= 32_000_000);
  }
});
