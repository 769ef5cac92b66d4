/** What the decoder of batches takes, and what it refuses, of records that are made by hand. */
import assert from "node:assert/strict";
import { BatchCodecError, BatchDecoder, BatchEncoder } from "../../lib/batches/codec.ts";
import { DefinitionReader, UnknownReference } from "../../lib/batches/definition_reader.ts";
import { DefinitionWriter } from "../../lib/batches/definition_writer.ts";
import {
  DEFAULT_MAX_DICTIONARY_BYTES,
  DEFAULT_MAX_SERIES,
  OLD_MAX_DICTIONARY_BYTES,
} from "../../lib/batches/stream.ts";
import { Batch, type BatchPool, type Series, seriesOf } from "../../lib/points/measurement.ts";
import { FIRST_SERIES, SeriesStore } from "../../lib/points/series_store.ts";
import { PostcardReader, PostcardWriter } from "../../lib/postcard.ts";
import { metricOf } from "../kit/decode.ts";
import { batchOf, numbered } from "../kit/points.ts";

const GAUGE = seriesOf(metricOf("gauge", "f64"));
const COUNTER = seriesOf(metricOf("counter", "u64"));

Deno.test("a definition whose kinds and keys are empty has no long name", () => {
  const store = new SeriesStore();
  const nameless = seriesOf(GAUGE.metric, { resourceKind: "", consumerKind: "", attributes: [["", 1]] });
  const writer = new PostcardWriter();
  new DefinitionWriter(store).write(writer, store.numberOf(nameless));
  const reader = new DefinitionReader((metric) => metric);
  assert.equal(reader.read(new PostcardReader(writer.written), writer.written).longestName, 0);
});

Deno.test("a definition may refer only to a series, metrics and texts that the stream has, with valid flags", () => {
  const definitions = new DefinitionReader((metric) => metric);
  const read = (bytes: number[]) =>
    definitions.read(new PostcardReader(Uint8Array.from(bytes)), Uint8Array.from(bytes));
  const refuses = () => {
    assert.throws(() => read([0]), new UnknownReference("the series before the first one"));
    assert.throws(() => read([62]), new UnknownReference("the series before the first one"));
    assert.throws(() => read([63, 1]), new UnknownReference("metric 0"));
    assert.throws(() => read([63, 0, 1]), new UnknownReference("text 0"));
    assert.throws(() => read([128]), { code: "bad_discriminant", offset: 0 });
    // A metric with an empty name is f64 or u64.
    assert.throws(() => read([63, 0, 0, 0, 2]), { code: "bad_discriminant", offset: 4 });
  };
  refuses();
  definitions.clear();
  assert.equal(read([63, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0]).metric.type, "u64");
  assert.equal(read([1, 1]).metric.type, "u64");
  assert.throws(() => read([1, 2]), new UnknownReference("metric 1"));
  definitions.clear();
  refuses();
});

Deno.test("no stream begins with a series that follows another, nor goes on so when it has forgotten all", () => {
  const decoder = new BatchDecoder();
  const record = (head: number) =>
    new PostcardWriter().u64(1).u64(head).u64(1).raw(new Uint8Array(9)).written;
  const refused = { code: "bad_reference", message: /no series has followed yet/ };
  assert.throws(() => new BatchDecoder().decode(record(2)), refused);
  decoder.decode(new BatchEncoder().encode(numbered(3)));
  assert.throws(() => decoder.decode(record(3)), refused);
});

Deno.test("the limits of a stream are those of relays of other versions", () => {
  assert.equal(DEFAULT_MAX_SERIES, 2 ** 22);
  assert.equal(DEFAULT_MAX_DICTIONARY_BYTES, 2 ** 26);
  assert.equal(OLD_MAX_DICTIONARY_BYTES, 2 ** 24);
});

/** A record with one point of the series that came first, that time after it, and the same value; made by hand. */
function handMade(seconds: number, nanos: number): Uint8Array {
  const zigzag = (n: number) => BigInt(n) >= 0n ? BigInt(n) * 2n : BigInt(n) * -2n - 1n;
  const writer = new PostcardWriter().u64(1).u64(2).u64(0).u64(1);
  return writer.u64(3).u64(zigzag(seconds)).u64(zigzag(nanos)).raw(new Uint8Array([0])).written;
}

Deno.test("times are taken up to the last of the calendar, and refused beyond it in every direction", () => {
  const LAST = 253_402_300_799;
  const first = () => {
    const batch = new Batch();
    batch.push(COUNTER, 100, 100, 1);
    const decoder = new BatchDecoder();
    decoder.decode(new BatchEncoder().encode(batch).slice());
    return decoder;
  };
  for (const [seconds, nanos] of [[0, 0], [-100, -100], [LAST - 100, 0], [0, 999_999_899]]) {
    const batch = first().decode(handMade(seconds, nanos));
    assert.deepEqual([batch.seconds[0], batch.nanos[0]], [100 + seconds, 100 + nanos]);
  }
  for (const [seconds, nanos] of [[-101, 0], [LAST - 99, 0], [0, -101], [0, 999_999_900]]) {
    assert.throws(
      () => first().decode(handMade(seconds, nanos)),
      (error) => error instanceof BatchCodecError && error.code === "bad_value",
    );
  }
});

/** A record of these whole numbers, as varints, and bytes behind them. */
function recordOf(numbers: readonly number[], bytes: readonly number[] = []): Uint8Array<ArrayBuffer> {
  const writer = new PostcardWriter();
  for (const number of numbers) writer.u64(number);
  return writer.raw(Uint8Array.from(bytes)).written.slice();
}

/** A decoder that has had that value of a series, which is series 0. */
function decoderAfter(series: Series, value: number | bigint): BatchDecoder {
  const decoder = new BatchDecoder();
  decoder.decode(new BatchEncoder().encode(batchOf([[series, value]])));
  return decoder;
}

/** A record with one more point of series 0: the code of its value, and the bytes of that. */
const pointOf = (code: number, ...bytes: number[]) => recordOf([1, 2, 0, 1, 2, 0], [code, ...bytes]);

Deno.test("a record that announces more points than it has half bytes is refused before there is room for them", () => {
  const asked: number[] = [];
  const decode = (bytes: number[]) =>
    new BatchDecoder().decode(Uint8Array.from(bytes), 0, bytes.length, (points) => {
      asked.push(points);
      return new Batch(points);
    });
  assert.throws(() => decode([7, 0, 0, 0]), {
    code: "malformed",
    message: /7 points are announced in 3 bytes/,
  });
  assert.deepEqual(asked, []);
  assert.throws(() => decode([6, 0, 0, 0]), { code: "malformed", message: /a chunk has 0 of 6 points/ });
  assert.deepEqual(asked, [6]);
});

Deno.test("no chunk, run of series or run of times is empty or goes on behind the end; the batch stays as it was", () => {
  for (
    const [record, message] of [
      [recordOf([1, 0], [0, 0]), "a chunk has 0 of 1 points"],
      [recordOf([1, 4], [0, 0]), "a chunk has 2 of 1 points"],
      [recordOf([2, 2, 0, 1, 2, 0, 0, 4]), "a chunk has 2 of 1 points"],
      [recordOf([2, 4, 3, 0, 0]), "a run is longer than the chunk"],
      [recordOf([2, 4, 0, 1, 2]), "a run is longer than the chunk"],
      [recordOf([2, 4, 0, 2, 0, 0]), "it refers to series 1, which is unknown"],
      [recordOf([2, 4, 0, 1, 0, 1, 0]), "a run of times is too long"],
      [recordOf([2, 4, 0, 1, 0, 1, 6]), "a run of times is too long"],
      [recordOf([2, 4, 0, 1, 0, 1, 2, 0, 4]), "a run of times is too long"],
      [recordOf([1, 2, 0, 0, 1, 2, 0, 0]), "it refers to metric 1, which is unknown"],
      [recordOf([1, 2, 0, 1, 2, 0, 0], [0]), "there are bytes behind its end"],
    ] as const
  ) {
    const decoder = new BatchDecoder();
    decoder.decode(new BatchEncoder().encode(numbered(1)));
    const batch = numbered(2);
    const before = batch.series.slice(0, 2);
    const unknown = /unknown/.test(message);
    assert.throws(
      () => decoder.decode(record, 0, record.length, () => batch),
      { code: unknown ? "bad_reference" : "malformed", message: `Cannot decode a batch: ${message}` },
      message,
    );
    assert.deepEqual([batch.length, batch.series.slice(0, 2)], [2, before]);
  }
});

Deno.test("a metric that is refused is a limit", () => {
  const cause = new Error("one too many");
  const decoder = new BatchDecoder({
    makeMetric: () => {
      throw cause;
    },
  });
  assert.throws(() => decoder.decode(new BatchEncoder().encode(numbered(1))), { code: "limit", cause });
});

Deno.test("a dictionary may have as many series and bytes as the decoder allows, and no more", () => {
  const both = batchOf([[GAUGE, 1], [COUNTER, 1]]);
  const encoder = new BatchEncoder();
  const record = encoder.encode(both).slice();
  const again = encoder.encode(both).slice();
  const { dictionaryBytes } = encoder;
  const decoder = new BatchDecoder({ maxSeries: 2, maxDictionaryBytes: dictionaryBytes });
  for (const one of [record, again, again]) assert.equal(decoder.decode(one).length, 2);
  assert.throws(() => new BatchDecoder({ maxSeries: 1 }).decode(record), {
    code: "limit",
    message: /more than 1 series/,
  });
  const small = new BatchDecoder({ maxDictionaryBytes: dictionaryBytes - 1 });
  small.decode(record);
  assert.throws(() => small.decode(again), { code: "limit", message: /take more than \d+ bytes/ });
});

Deno.test("a decoder that is closed decodes nothing more of its stream", () => {
  const decoder = decoderAfter(COUNTER, 1);
  decoder.close();
  assert.throws(() => decoder.decode(pointOf(0)), { code: "broken" });
});

Deno.test("a batch that fills more than half of a pool's capacity, and fits, is taken from there", () => {
  let taken = 0;
  const pool = { capacity: 16, take: () => (taken++, new Batch(16)) } as unknown as BatchPool;
  for (const [points, isTaken] of [[8, false], [9, true], [16, true], [17, false], [33, false]] as const) {
    taken = 0;
    new BatchDecoder({ pool }).decode(new BatchEncoder().encode(numbered(points)));
    assert.equal(taken, isTaken ? 1 : 0, `${points} points`);
  }
});

Deno.test("whole numbers of a f64 are those up to 2^53 in both directions", () => {
  for (const sign of [1, -1]) {
    const end = sign * 2 ** 53;
    const byTwo = sign > 0 ? 4 : 3;
    assert.equal(decoderAfter(GAUGE, end - sign * 2).decode(pointOf(1, byTwo)).values[0], end);
    assert.throws(() => decoderAfter(GAUGE, end).decode(pointOf(1, byTwo)), {
      code: "bad_value",
      message: /a whole number of -?9007199254740994 is out of range/,
    });
  }
});

Deno.test("a u64 goes on modulo 2^64 in up to 8 bytes, and is kept exactly only above 2^53", () => {
  const ones = [255, 255, 255, 255, 255, 255, 255, 255];
  assert.equal(decoderAfter(COUNTER, 0).decode(pointOf(1, 1)).exactValue(0), 2n ** 64n - 1n);
  assert.equal(decoderAfter(COUNTER, 0).decode(pointOf(8, ...ones)).exactValue(0), 2n ** 63n);
  for (const code of [9, 10, 15]) {
    assert.throws(() => decoderAfter(COUNTER, 0).decode(pointOf(code, ...ones, ...ones)), {
      code: "bad_value",
      message: new RegExp(`an integer has the code ${code}`),
    });
  }
  const batch = decoderAfter(COUNTER, 2n ** 53n + 1n).decode(pointOf(1, 1));
  assert.deepEqual([batch.values[0], batch.exact], [2 ** 53, null]);
});

Deno.test("the bits of a f64 are at most 64, from the zero bytes at the low end on", () => {
  const bits = (...bytes: number[]) => {
    const { values } = decoderAfter(GAUGE, 0).decode(pointOf(15, ...bytes));
    return new BigUint64Array(values.buffer, 0, 1)[0];
  };
  assert.equal(bits(7 * 8 + 0, 0x40), 0x40n << 56n);
  assert.equal(bits(0 * 8 + 7, 1, 2, 3, 4, 5, 6, 7, 8), 0x0807060504030201n);
  for (const [zeros, count] of [[7, 2], [8, 1], [1, 8], [31, 8], [31, 1]]) {
    assert.throws(() => bits(zeros * 8 + count - 1, 1, 1, 1, 1, 1, 1, 1, 1), {
      code: "malformed",
      message: /the bits of a value are more than 64/,
    });
  }
});

Deno.test("a value that is cut off is refused, whatever its kind is and whatever stands behind it", () => {
  const batches = [
    [COUNTER, 300],
    [COUNTER, 2 ** 40],
    [COUNTER, 2n ** 60n],
    [COUNTER, 2n ** 64n - 1n],
    [GAUGE, 300],
    [GAUGE, 0.1],
    [GAUGE, 0.5],
  ] as const;
  for (const row of batches) {
    const record = new BatchEncoder().encode(batchOf([[...row]])).slice();
    for (let length = 0; length < record.length; length++) {
      assert.throws(() => new BatchDecoder().decode(record, 0, length), BatchCodecError, `${row}: ${length}`);
      assert.throws(() => new BatchDecoder().decode(record.slice(0, length)), BatchCodecError);
    }
  }
});

Deno.test("series of a dictionary are kept until it is forgotten, and are let go once", () => {
  const [near, far] = [new SeriesStore(), new SeriesStore()];
  const encoder = new BatchEncoder({}, near);
  const decoder = new BatchDecoder({ store: far });
  const send = (...names: string[]) => {
    const batch = new Batch(4, null, near);
    for (const name of names) batch.push(seriesOf(COUNTER.metric, { consumerId: name }), 1, 0, 1);
    const record = encoder.encode(batch).slice();
    const decoded = decoder.decode(record, 0, record.length, (points) => new Batch(points, null, far));
    const first = decoded.series[0];
    decoded.release();
    return first;
  };
  const pass = () => {
    for (let n = 0; n < 1000; n++) far.tick();
  };
  assert.equal(send("a", "b"), FIRST_SERIES);
  pass();
  assert.equal(far.size, 2);
  encoder.reset();
  send("c");
  pass();
  assert.equal(far.size, 1);
  encoder.reset();
  send("b", "a");
  pass();
  assert.equal(far.size, 2);
  // The second series of a dictionary has long gone from it when that of the next one goes.
  encoder.reset();
  send("d");
  encoder.reset();
  send("a");
  pass();
  assert.equal(far.size, 1);
  decoder.close();
  pass();
  assert.equal(far.size, 0);
});

Deno.test("a batch without points keeps no series", () => {
  const store = new SeriesStore();
  const decoder = new BatchDecoder({ store });
  const empty = decoder.decode(recordOf([0]), 0, 1, (points) => new Batch(points, null, store));
  store.numberOf(COUNTER);
  for (let n = 0; n < 1000; n++) store.tick();
  assert.equal(store.size, 0);
  empty.release();
});
