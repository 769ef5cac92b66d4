import assert from "node:assert/strict";
import { BatchCodecError, BatchDecoder, BatchEncoder } from "../../lib/batches/codec.ts";
import {
  type Attribute,
  Batch,
  BatchPool,
  type Series,
  type SeriesDefinition,
  seriesOf,
} from "../../lib/points/measurement.ts";
import { SeriesStore, seriesStore } from "../../lib/points/series_store.ts";
import { DefinitionWriter } from "../../lib/batches/definition_writer.ts";
import { DefinitionReader } from "../../lib/batches/definition_reader.ts";
import { skipTail } from "../../lib/points/tail.ts";
import { PostcardReader, PostcardWriter } from "../../lib/postcard.ts";
import { cases, Chance } from "../kit/bytes.ts";
import { metricOf } from "../kit/decode.ts";
import { batchOf, numbered } from "../kit/points.ts";
import { sessionBatches } from "../kit/session.ts";

const GAUGE = seriesOf(metricOf("gauge", "f64"));
const COUNTER = seriesOf(metricOf("counter", "u64"));

/** All of a batch, bits of the values included. */
function contentOf(batch: Batch) {
  const bits = new DataView(batch.values.buffer);
  return Array.from({ length: batch.length }, (_, row) => {
    const { metric, resourceKind, resourceId, consumerKind, consumerId, attributes } = batch.seriesAt(row);
    const series: SeriesDefinition = {
      metric: { ...metric },
      resourceKind,
      resourceId,
      consumerKind,
      consumerId,
      attributes,
    };
    const value = metric.type === "u64" ? batch.exactValue(row) : bits.getBigUint64(8 * row, true);
    return { series, seconds: batch.seconds[row], nanos: batch.nanos[row], value };
  });
}

function roundTrip(...batches: Batch[]): Uint8Array[] {
  const encoder = new BatchEncoder();
  const decoder = new BatchDecoder();
  return batches.map((batch, n) => {
    const record = encoder.encode(batch).slice();
    assert.deepEqual(contentOf(decoder.decode(record)), contentOf(batch), `batch ${n}`);
    return record;
  });
}

/** A f64 by its bits. */
function pushBits(batch: Batch, series: Series, bits: bigint): void {
  batch.push(series, 1_700_000_000, 0, 0);
  new BigUint64Array(batch.values.buffer)[batch.length - 1] = bits;
}

Deno.test("f64 come back to the bit, whatever came before them", () => {
  const values = [
    0,
    -0,
    1,
    -1,
    0.1,
    2 ** 53,
    -(2 ** 53),
    2 ** 53 + 2,
    2 ** 46,
    -(2 ** 47),
    1e300,
    5e-324,
    Infinity,
    -Infinity,
  ];
  const bits = values.map((value) => new BigUint64Array(Float64Array.of(value).buffer)[0]);
  bits.push(0x7ff8000000000000n, 0x7ff4000000000001n, 0xfff8dead0000beefn, 0xffffffffffffffffn);
  for (const before of bits) {
    const batch = new Batch(4);
    for (const after of bits) {
      pushBits(batch, GAUGE, before);
      pushBits(batch, GAUGE, after);
    }
    roundTrip(batch);
  }
});

Deno.test("u64 come back exactly up to 2^64-1, whatever came before them", () => {
  const values = [
    0n,
    1n,
    127n,
    128n,
    2n ** 31n,
    2n ** 32n,
    2n ** 47n,
    2n ** 48n + 1n,
    2n ** 53n - 1n,
    2n ** 53n,
  ];
  values.push(
    2n ** 53n + 1n,
    2n ** 60n,
    2n ** 63n - 1n,
    2n ** 63n,
    2n ** 63n + 1n,
    2n ** 64n - 2n,
    2n ** 64n - 1n,
  );
  const rows = values.flatMap((a) =>
    values.flatMap((b) => [[COUNTER, a], [COUNTER, b]] as [Series, bigint][])
  );
  roundTrip(batchOf(rows), batchOf(rows));
});

Deno.test("series come back with attributes of every type, and texts of every kind", () => {
  const attributes: Attribute[] = [
    ["text", "日本 🔋\u0000\ufeff"],
    ["", ""],
    ["number", -0],
    ["nan", NaN],
    ["u64", 2n ** 64n - 1n],
    ["yes", true],
    ["no", false],
    ["list", [0n, 2n ** 64n - 1n]],
    ["empty", []],
  ];
  const metric = { ...metricOf("m", "f64", { base: "W", prefix: "milli" }), description: "What it is" };
  const rows: [Series, number][] = [[seriesOf(metric), 1], [seriesOf(metric, { attributes }), 2]];
  rows.push([seriesOf(metric, { attributes: structuredClone(attributes), resourceId: "other" }), 3]);
  rows.push([seriesOf(metric, { resourceKind: "cpu", consumerKind: "process", consumerId: "7" }), 4]);
  roundTrip(batchOf(rows), batchOf(rows));
});

Deno.test("empty batches, and times that go back and forth", () => {
  const times = batchOf([
    [COUNTER, 1, 0, 0],
    [COUNTER, 1, 253_402_300_799, 999_999_999],
    [COUNTER, 1, 5, 0],
    [COUNTER, 1, 5, 999_999_999],
  ]);
  roundTrip(new Batch(0), times, new Batch(4), times);
});

Deno.test("the real agent's session takes at most 6 bytes a point, and half a byte where nothing changes", () => {
  const batches = sessionBatches();
  const size = (records: Uint8Array[]) => records.reduce((sum, record) => sum + record.length, 0);
  const points = batches.reduce((sum, batch) => sum + batch.length, 0);
  assert.equal(points, 4712);
  assert.ok(size(roundTrip(...batches)) <= 6 * points);
  const still = numbered(1000);
  still.values.fill(5);
  still.nanos.fill(5);
  // Rows, the chunk, hits, and times in two bytes each, one byte for the change of nanoseconds, and the codes.
  assert.equal(roundTrip(still, still, still)[2].length, 9 + 500);
  // As many series as a dictionary has room for when it has grown once.
  const wide = batchOf(Array.from({ length: 384 }, (_, n) => [
    seriesOf(GAUGE.metric, { consumerId: `${n}` }),
    0,
  ]));
  assert.equal(roundTrip(wide, wide, wide)[2].length, 9 + 192);
});

Deno.test("a full dictionary begins again, within a batch too, and both ends agree", () => {
  const all = Array.from({ length: 50 }, (_, n) => seriesOf(COUNTER.metric, { resourceId: `r${n}` }));
  const limits = { maxSeries: 8 };
  const encoder = new BatchEncoder(limits);
  const decoder = new BatchDecoder(limits);
  const chance = new Chance(1);
  for (let n = 0; n < 200; n++) {
    const from = chance.int(all.length);
    const some = all.slice(from, from + 1 + chance.int(n % 2 ? 4 : 40));
    const batch = batchOf(some.map((series) => [series, chance.u64()]));
    assert.deepEqual(contentOf(decoder.decode(encoder.encode(batch))), contentOf(batch));
    assert.ok(encoder.seriesCount <= 8);
    assert.equal(decoder.seriesCount, encoder.seriesCount);
  }
});

Deno.test("a dictionary is bounded in bytes too", () => {
  const limits = { maxDictionaryBytes: 1000 };
  const encoder = new BatchEncoder(limits);
  const decoder = new BatchDecoder(limits);
  for (let n = 0; n < 100; n++) {
    const series = seriesOf(COUNTER.metric, { resourceId: `${n}`.repeat(50) });
    const batch = batchOf([[series, n], [COUNTER, n]]);
    assert.deepEqual(contentOf(decoder.decode(encoder.encode(batch))), contentOf(batch));
    assert.ok(encoder.seriesCount < 30);
  }
  const unbounded = new BatchEncoder();
  const small = new BatchDecoder(limits);
  assert.throws(() => {
    for (let n = 0; n < 100; n++) {
      small.decode(unbounded.encode(batchOf([[seriesOf(COUNTER.metric, { resourceId: "x".repeat(n) }), n]])));
    }
  }, { code: "limit" });
});

Deno.test("two encoders of the same series do not disturb each other", () => {
  const batches = sessionBatches();
  const pairs = [new BatchEncoder(), new BatchEncoder(), new BatchEncoder()];
  const decoders = pairs.map(() => new BatchDecoder());
  const sizes = pairs.map(() => 0);
  for (const batch of batches) {
    pairs.forEach((encoder, n) => {
      const record = encoder.encode(batch);
      sizes[n] += record.length;
      assert.equal(decoders[n].decode(record).length, batch.length);
    });
  }
  assert.deepEqual(sizes, sizes.map(() => sizes[0]));
});

Deno.test("what no point can have is refused when encoding, and the stream goes on", () => {
  const encoder = new BatchEncoder();
  const decoder = new BatchDecoder();
  const good = numbered(3);
  decoder.decode(encoder.encode(good));
  for (
    const bad of [
      batchOf([[COUNTER, 1], [COUNTER, -1]]),
      batchOf([[COUNTER, 1.5]]),
      batchOf([[COUNTER, 2 ** 70]]),
      batchOf([[COUNTER, 1, -1]]),
      batchOf([[COUNTER, 1, NaN]]),
      batchOf([[COUNTER, 1, 1, 1_000_000_000]]),
    ]
  ) {
    assert.throws(() => encoder.encode(bad), RangeError);
    assert.deepEqual(contentOf(decoder.decode(encoder.encode(good))), contentOf(good));
  }
});

Deno.test("after a damaged record nothing is decoded until the stream begins again", () => {
  const encoder = new BatchEncoder();
  const decoder = new BatchDecoder();
  decoder.decode(encoder.encode(numbered(3)));
  assert.throws(() => decoder.decode(encoder.encode(numbered(3)).subarray(0, 4)), { code: "malformed" });
  assert.throws(() => decoder.decode(encoder.encode(numbered(3))), { code: "broken" });
});

function randomBatches(chance: Chance): Batch[] {
  const value = (): Attribute[1] =>
    chance.pick([
      () => chance.next(),
      () => chance.u64(),
      () => chance.int(2) === 0,
      () => chance.text(),
      () => [chance.u64()],
    ])();
  const all = Array.from(
    { length: 1 + chance.int(8) },
    (_, n) =>
      seriesOf(metricOf(`m${chance.int(3)}`, n % 2 ? "f64" : "u64"), {
        resourceKind: chance.text(),
        consumerId: chance.text(),
        attributes: Array.from({ length: chance.int(3) }, () => [chance.text(), value()] as const),
      }),
  );
  let seconds = 1_700_000_000;
  let nanos = 0;
  return Array.from({ length: 1 + chance.int(5) }, () => {
    const batch = new Batch(4);
    for (let n = chance.int(20); n > 0; n--) {
      if (chance.int(3) === 0) seconds = Math.max(0, seconds + chance.int(5) - 2);
      if (chance.int(3) === 0) nanos = chance.int(1e9);
      const series = chance.int(2) ? all[n % all.length] : chance.pick(all);
      const small = chance.int(2) === 0;
      if (series.metric.type === "u64") {
        batch.pushU64(series, seconds, nanos, small ? BigInt(chance.int(10)) : chance.u64());
      } else {
        batch.push(series, seconds, nanos, small ? chance.int(10) - 5 : 0);
        if (!small) new BigUint64Array(batch.values.buffer)[batch.length - 1] = chance.u64();
      }
    }
    return batch;
  });
}

Deno.test("random batches come back", () => {
  for (let seed = 0; seed < cases(300); seed++) roundTrip(...randomBatches(new Chance(seed)));
});

Deno.test("random damage never causes another error than BatchCodecError, nor large batches", () => {
  const pool = new BatchPool(16, 2);
  for (let seed = 0; seed < cases(1000); seed++) {
    const chance = new Chance(seed);
    const encoder = new BatchEncoder({ maxSeries: 4 });
    const decoder = new BatchDecoder({ maxSeries: 4, pool });
    for (const batch of randomBatches(chance)) {
      const record = encoder.encode(batch);
      const damaged = chance.int(3) === 0 ? chance.mutate(record) : record;
      try {
        const decoded = decoder.decode(damaged);
        assert.ok(decoded.length <= 2 * damaged.length);
        for (let row = 0; row < decoded.length; row++) assert.ok(seriesStore.isLive(decoded.series[row]));
        contentOf(decoded);
        decoded.release();
      } catch (error) {
        assert.ok(error instanceof BatchCodecError, `seed ${seed}: ${error}`);
      }
    }
  }
});

Deno.test("a new series takes the place of one that was given back, at both ends, and all values are right", () => {
  for (const reusesPlaces of [true, false]) {
    const [here, there] = [new SeriesStore(), new SeriesStore()];
    here.debug = there.debug = true;
    const encoder = new BatchEncoder({ reusesPlaces }, here);
    const decoder = new BatchDecoder({ store: there });
    const chance = new Chance(11);
    for (let round = 0; round < 2000; round++) {
      const batch = new Batch(16, null, here);
      for (let n = 0; n < 5; n++) {
        const id = Math.floor(round / 20) * 3 + chance.int(6);
        const metric = id % 2 === 0 ? GAUGE.metric : COUNTER.metric;
        batch.push(
          seriesOf(metric, { consumerId: `${id}` }),
          1_700_000_000 + round,
          n,
          id * 1000 + chance.int(9),
        );
      }
      const decoded = decoder.decode(
        encoder.encode(batch),
        0,
        undefined,
        (points) => new Batch(points, null, there),
      );
      assert.deepEqual(contentOf(decoded), contentOf(batch));
      batch.release();
      decoded.release();
      for (let n = 0; n < 20; n++) {
        here.tick();
        there.tick();
      }
    }
    assert.ok(here.forgotten > 200, `${here.forgotten} were given back`);
    if (!reusesPlaces) assert.ok(decoder.seriesCount > 290);
    else {
      assert.ok(decoder.seriesCount < 200, `${decoder.seriesCount} in the dictionary`);
      assert.ok(there.size < 200, `${there.size} in the store`);
    }
    decoder.close();
  }
});

Deno.test("a series cannot take the place of an unknown one, nor of one with another type of values", () => {
  const record = (place: number, type: "f64" | "u64") => {
    const writer = new PostcardWriter();
    writer.u64(2).u64(4).u64(0).u32(0);
    const definitions = new DefinitionWriter(seriesStore);
    definitions.write(writer, seriesStore.numberOf(GAUGE));
    writer.u64(0).u32(0);
    definitions.write(writer, seriesStore.numberOf(seriesOf(metricOf("other", type))), place);
    return writer.u64(2 * 2 + 1).u64(2).u64(0).u8(0).written;
  };
  const { values, length } = new BatchDecoder().decode(record(0, "f64"));
  assert.deepEqual(values.subarray(0, length), Float64Array.of(0, 0), "its values begin with 0 again");
  for (const bad of [record(1, "f64"), record(1, "u64"), record(2 ** 32 - 1, "u64"), record(0, "u64")]) {
    assert.throws(() => new BatchDecoder().decode(bad), { code: "bad_reference" });
  }
});

Deno.test("a definition gives the store the bytes that it had at the other end, with what is long in them", () => {
  const [here, there] = [new SeriesStore(), new SeriesStore()];
  const chance = new Chance(17);
  const definitions = new DefinitionWriter(here);
  const reader = new DefinitionReader((metric) => metric);
  const clients = ["a", "node-1", "é".repeat(200)];
  let before = seriesOf(GAUGE.metric);
  for (let n = 0; n < cases(3000); n++) {
    const text = () =>
      chance.pick([
        "",
        "x",
        chance.text(),
        chance.text(200),
        "relay_client",
        "y".repeat(127),
        "z".repeat(128),
      ]);
    const attributes: Attribute[] = Array.from({ length: chance.int(4) }, () => [
      chance.pick(["k", text(), "relay_client"]),
      chance.pick([text(), 0.5, -0, 7n, true, [1n, 2n ** 64n - 1n]]),
    ]);
    if (chance.int(2) === 0) attributes.push(["relay_client", chance.pick(clients)]);
    const keep = () => chance.int(2) === 0;
    before = seriesOf(keep() ? before.metric : metricOf(`m${chance.int(5)}`, chance.pick(["f64", "u64"])), {
      resourceKind: keep() ? before.resourceKind : text(),
      resourceId: keep() ? before.resourceId : text(),
      consumerKind: keep() ? before.consumerKind : text(),
      consumerId: keep() ? before.consumerId : text(),
      attributes: keep() ? before.attributes : attributes,
    });
    const writer = new PostcardWriter();
    const number = here.numberOf(before);
    definitions.write(writer, number);
    const raw = reader.read(new PostcardReader(writer.written), writer.written);
    const { metric: { name }, ...rest } = there.definitionOf(there.internRaw(raw));
    const { metric, ...wanted } = here.definitionOf(number);
    assert.deepEqual([name, rest], [metric.name, wanted]);
    const facts = skipTail(raw.bytes, new PostcardReader(raw.bytes, 0, raw.length));
    assert.deepEqual([raw.longestName, raw.namesClient], [facts.longestName, facts.namesClient]);
    assert.equal(raw.client ?? "", here.names.nameOf(here.clients[number]));
  }
});

Deno.test("a record with a byte behind its end, or without its last one, is malformed", () => {
  const batch = new Batch();
  for (const value of [1, 300, 70_000, 2 ** 40]) batch.push(COUNTER, 100, 0, value);
  for (const value of [0.1, 1 / 3]) batch.push(GAUGE, 100, 0, value);
  const record = new BatchEncoder().encode(batch).slice();
  new BatchDecoder().decode(record);
  for (const wrong of [new Uint8Array([...record, 0]), record.slice(0, -1)]) {
    assert.throws(
      () => new BatchDecoder().decode(wrong),
      (error) => error instanceof BatchCodecError && error.code === "malformed",
    );
  }
});

Deno.test("a batch of a single point keeps its series, too", () => {
  const store = new SeriesStore();
  const batch = new Batch(1, null, store);
  batch.push(COUNTER, 1, 0, 5);
  const record = new BatchEncoder({}, store).encode(batch).slice();
  batch.release();
  const decoder = new BatchDecoder({ store });
  const decoded = decoder.decode(record, 0, record.length, () => new Batch(1, null, store));
  decoder.close();
  for (let n = 0; n < 1000; n++) store.tick();
  assert.ok(store.isLive(decoded.series[0]));
  decoded.release();
  for (let n = 0; n < 1000; n++) store.tick();
  assert.equal(store.size, 0);
});

Deno.test("in a full dictionary a series takes the first place, and the one before is let go", () => {
  const [near, far] = [new SeriesStore(), new SeriesStore()];
  const encoder = new BatchEncoder({ maxSeries: 1 }, near);
  const decoder = new BatchDecoder({ store: far, maxSeries: 1 });
  const send = (name: string) => {
    const batch = new Batch(1, null, near);
    batch.push(seriesOf(COUNTER.metric, { consumerId: name }), 1, 0, 1);
    const record = encoder.encode(batch).slice();
    batch.release();
    const decoded = decoder.decode(record, 0, record.length, () => new Batch(1, null, far));
    assert.equal(decoded.seriesAt(0).consumerId, name);
    decoded.release();
  };
  for (const name of ["first", "second", "third"]) {
    send(name);
    for (let n = 0; n < 1000; n++) near.tick();
    for (let n = 0; n < 1000; n++) far.tick();
    assert.deepEqual([near.size, far.size], [0, 1]);
  }
});
