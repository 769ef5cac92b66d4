/** What the encoder of batches writes to the byte, how much room it takes, and when it forgets its dictionary. */
import assert from "node:assert/strict";
import { BatchDecoder, BatchEncoder } from "../../lib/batches/codec.ts";
import { DefinitionWriter } from "../../lib/batches/definition_writer.ts";
import { TextTable } from "../../lib/batches/text_table.ts";
import { hashTail } from "../../lib/points/hash.ts";
import { Batch, type Metric, type Series, seriesOf } from "../../lib/points/measurement.ts";
import { SeriesStore } from "../../lib/points/series_store.ts";
import { PostcardWriter } from "../../lib/postcard.ts";
import { Chance, toHex, withSlack } from "../kit/bytes.ts";
import { metricOf } from "../kit/decode.ts";
import { batchOf } from "../kit/points.ts";

const GAUGE = seriesOf(metricOf("gauge", "f64"));
const COUNTER = seriesOf(metricOf("counter", "u64"));

/** A series of its own for each number. */
const gauge = (n: number) => seriesOf(GAUGE.metric, { consumerId: `gauge-${n}` });
const counter = (n: number) => seriesOf(COUNTER.metric, { consumerId: `counter-${n}` });
const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n);

/** A batch with room for more, whose points are 1. */
function ones(store: SeriesStore, all: readonly Series[]): Batch {
  const batch = new Batch(2 * all.length + 1, null, store);
  for (const series of all) batch.push(series, 1, 0, 1);
  return batch;
}

/** Whether the first chunk of a record makes the decoder forget everything. */
function forgets(record: Uint8Array): boolean {
  return (record[1] & 1) === 1;
}

/** Encodes with an encoder of its own, decodes, and compares times and bits. @returns the length of the record. */
function roundTrip(batch: Batch): number {
  const record = new BatchEncoder().encode(batch);
  const makeMetric = ({ type }: Metric) => type === "f64" ? GAUGE.metric : COUNTER.metric;
  const decoded = new BatchDecoder({ makeMetric }).decode(record);
  const bitsOf = ({ values, length }: Batch) => new BigUint64Array(values.buffer, 0, length);
  assert.deepEqual(decoded.series.subarray(0, decoded.length), batch.series.subarray(0, batch.length));
  assert.deepEqual(decoded.seconds.subarray(0, decoded.length), batch.seconds.subarray(0, batch.length));
  assert.deepEqual(decoded.nanos.subarray(0, decoded.length), batch.nanos.subarray(0, batch.length));
  assert.deepEqual(bitsOf(decoded), bitsOf(batch));
  assert.deepEqual(decoded.exact, batch.exact);
  return record.length;
}

/** Bytes that read as others while they are hashed, so that they have the hash of those. */
class SameHash extends DataView<ArrayBuffer> {
  #reads = 0;

  constructor(
    bytes: Uint8Array<ArrayBuffer>,
    readonly others: Uint8Array<ArrayBuffer>,
    readonly hashed: number,
  ) {
    super(bytes.buffer);
  }

  override getUint8(at: number): number {
    return this.#reads++ < this.hashed ? this.others[at] : super.getUint8(at);
  }
}

Deno.test("records are written as the format says, to the byte", () => {
  const encoder = new BatchEncoder();
  const text = (
    text: string,
  ) => ["00", toHex(Uint8Array.of(text.length)), toHex(new TextEncoder().encode(text))];
  const batch = batchOf([[COUNTER, 5, 10, 3], [COUNTER, 6, 10, 3], [COUNTER, 6, 11, 1], [GAUGE, 0.5, 11, 1]]);
  const first = [
    ["04", "08"], // four rows in one chunk, and nothing is forgotten
    ["00", "00", "3f"], // no hit, and a definition that differs in everything
    ["00", text("counter"), "01", text("1"), text(""), "03"], // its metric; texts are counted from 1
    [text("local_machine"), "03", "04", "03", "00"], // its tail, without attributes
    ["00", "01"], // no hit, the first series again
    ["01", "00", "01", "00", text("gauge"), "00", "02", "03", "03"], // a hit, and a definition with another metric
    ["05", "14", "06", "05", "02", "03"], // two rows 10 s later by 3 ns, two rows 1 s later by -2 ns
    ["11", "f0", "0a", "02", "31", "e0", "3f"], // codes; 5, 1 more, the same, the two bytes of 0.5 above six zeros
  ];
  assert.equal(toHex(encoder.encode(batch)), first.flat(2).join(""));
  const again = [
    ["04", "08"],
    ["00", "01", "00", "01", "01", "02"], // no hit, the first; no hit, the first; a hit, the second
    ["05", "01", "04", "05", "02", "03"],
    ["11", "00", "01", "02"], // 1 less, 1 more, the same, the same
  ];
  assert.equal(toHex(encoder.encode(batch)), again.flat().join(""));
});

Deno.test("a definition has what differs from the one before, and numbers of metrics and texts that came", () => {
  const store = new SeriesStore();
  const definitions = new DefinitionWriter(store);
  const write = (series: Series, place?: number) => {
    const writer = new PostcardWriter();
    definitions.write(writer, store.numberOf(series), place);
    return toHex(writer.written);
  };
  write(GAUGE);
  assert.equal(
    write(seriesOf(GAUGE.metric, { consumerId: "gauge" })),
    "1001",
    "a text, which is the first one",
  );
  write(COUNTER);
  assert.equal(write(GAUGE), "0101", "a metric, which is the first one");
  assert.equal(write(COUNTER, 5), "410502", "a place, and the second metric");
  assert.equal(write(COUNTER, 0), "4000", "a place alone");
});

/** What a value takes in a record after another one of its series, in bytes. */
function bytesAfter(series: Series, before: bigint, after: bigint): number {
  const encoder = new BatchEncoder();
  const decoder = new BatchDecoder();
  const [same, other] = [before, before, before, after].map((bits) => {
    const batch = batchOf([[series, 0]]);
    if (series === COUNTER) batch.truncate(0), batch.pushU64(series, 1_700_000_000, 0, bits);
    else new BigUint64Array(batch.values.buffer)[0] = bits;
    const record = encoder.encode(batch).slice();
    const decoded = decoder.decode(record);
    const got = series === COUNTER ? decoded.exactValue(0) : new BigUint64Array(decoded.values.buffer)[0];
    assert.equal(got, bits);
    return record.length;
  }).slice(2);
  return other - same;
}

Deno.test("a difference takes as few bytes as it has, up to eight of a u64", () => {
  const bits = (value: bigint) => new BigUint64Array(Float64Array.of(Number(value)).buffer)[0];
  for (let bytes = 1n; bytes <= 8n; bytes++) {
    const largest = (1n << (8n * bytes - 1n)) - 1n;
    for (const before of bytes <= 6n ? [largest + 1n, 1n << 50n] : [largest + 1n]) {
      assert.equal(bytesAfter(COUNTER, before, before + largest), Number(bytes));
      assert.equal(bytesAfter(COUNTER, before, before - largest - 1n), Number(bytes));
      if (bytes === 8n) continue;
      assert.equal(bytesAfter(COUNTER, before, before + largest + 1n), Number(bytes) + 1);
      if (bytes > 5n) continue;
      assert.equal(bytesAfter(GAUGE, bits(before), bits(before + largest)), Number(bytes));
      assert.equal(bytesAfter(GAUGE, bits(before), bits(before - largest - 1n)), Number(bytes));
      assert.equal(bytesAfter(GAUGE, bits(before), bits(before + largest + 1n)), Number(bytes) + 1);
    }
  }
  assert.equal(bytesAfter(GAUGE, 1n << 63n, 0n), 1, "0 after -0");
});

Deno.test("a number that is not whole takes the bytes that differ, or one more without the zeros below them", () => {
  const before = new BigUint64Array(Float64Array.of(0.1).buffer)[0];
  for (let low = 0; low < 8; low++) {
    for (let high = low; high < 8; high++) {
      for (const [top, bottom] of [[0x01n, 0x80n], [0x80n, 0x01n]]) {
        const difference = high === low
          ? top << BigInt(8 * low)
          : top << BigInt(8 * high) | bottom << BigInt(8 * low);
        const bytes = high + 1;
        assert.equal(
          bytesAfter(GAUGE, before, before ^ difference),
          low < 2 ? bytes : 1 + bytes - low,
          `bytes ${low} to ${high}`,
        );
      }
    }
  }
});

Deno.test("2^53 is told from the number above it, which a f64 does not have", () => {
  assert.equal(bytesAfter(COUNTER, 2n ** 53n + 1n, 2n ** 53n), 1);
  assert.equal(bytesAfter(COUNTER, 2n ** 53n, 2n ** 53n + 1n), 1);
  assert.throws(
    () => new BatchEncoder().encode(batchOf([[COUNTER, 2 ** 64]])),
    /Cannot encode 18446744073709551616/,
  );
});

Deno.test("a record grows with whatever is in it: values, times, series or their definitions", () => {
  const chance = new Chance(5);
  const values = new Batch(4000);
  for (let row = 0; row < 4000; row++) values.push(GAUGE, 1, 0, 0);
  for (let row = 0; row < 4000; row++) new BigUint64Array(values.values.buffer)[row] = chance.u64() | 1n;
  assert.ok(roundTrip(values) > 20_000);
  const times = new Batch(1);
  for (let row = 0; row < 3000; row++) {
    times.push(GAUGE, row % 2 === 0 ? 1 : 253_402_300_799, row % 2 * 999_999_999, 0);
  }
  assert.ok(roundTrip(times) > 3000 * 11);
  const some = numbers(300).map(gauge);
  const mixed = new Batch(1);
  for (let row = 0; row < 5000; row++) mixed.push(chance.pick(some), 1, 0, 0);
  assert.ok(roundTrip(mixed) > 3 * 4096);
  const wide = new Batch(1);
  for (let n = 0; n < 20; n++) {
    wide.push(seriesOf(GAUGE.metric, { consumerId: `${n}-${"x".repeat(5000)}` }), 1, 0, 0);
  }
  assert.ok(roundTrip(wide) > 20 * 5000);
});

Deno.test("what a series has in common with the one before is not written again, however long it is", () => {
  const lengths = [1, 300].map((length) => {
    const rest = { resourceId: "x".repeat(length), attributes: [["a", "y".repeat(length)]] as const };
    const encoder = new BatchEncoder();
    const [first, second] = ["1", "2"].map((consumerId) => {
      const batch = batchOf([[seriesOf(GAUGE.metric, { ...rest, consumerId }), 1]]);
      return encoder.encode(batch).length;
    });
    assert.ok(first > 2 * length);
    return second;
  });
  assert.equal(lengths[0], lengths[1]);
});

Deno.test("a dictionary takes as many series as it may have, and is forgotten for one more", () => {
  const store = new SeriesStore();
  const encoder = new BatchEncoder({ maxSeries: 8 }, store);
  for (const [from, count, known] of [[0, 4, 4], [0, 8, 8], [4, 4, 8]]) {
    assert.ok(!forgets(encoder.encode(ones(store, numbers(count, from).map(gauge)))));
    assert.equal(encoder.seriesCount, known);
  }
  assert.ok(forgets(encoder.encode(ones(store, [gauge(0), gauge(8)]))));
  assert.equal(encoder.seriesCount, 2);
});

Deno.test("a new series takes one place, however many rows it has", () => {
  const store = new SeriesStore();
  const encoder = new BatchEncoder({ maxSeries: 4 }, store);
  const rows = [0, 1, 1, 2, 0, 2, 3, 3].map(gauge);
  assert.ok(!forgets(encoder.encode(ones(store, rows))));
  assert.equal(encoder.seriesCount, 4);
  assert.ok(forgets(encoder.encode(ones(store, [gauge(4), gauge(4)]))));
  assert.equal(encoder.seriesCount, 1);
});

Deno.test("series that were given back make room for as many of their type", () => {
  for (
    const [come, fit] of [["ggc", true], ["gg", true], ["c", true], ["ggg", false], ["cc", false]] as const
  ) {
    const store = new SeriesStore();
    const encoder = new BatchEncoder({ maxSeries: 8 }, store);
    const goes = ones(store, [gauge(5), counter(6), gauge(7)]);
    encoder.encode(goes);
    goes.release();
    store.tick();
    // A batch that is not released holds its series.
    encoder.encode(ones(store, numbers(5).map(gauge)));
    assert.equal(encoder.seriesCount, 8);
    for (let n = 0; n < 400; n++) store.tick();
    assert.equal(encoder.seriesCount, 5);
    const all = [
      gauge(0),
      gauge(4),
      ...[...come].map((type, n) => type === "g" ? gauge(10 + n) : counter(10 + n)),
    ];
    assert.equal(!forgets(encoder.encode(ones(store, all))), fit, come);
    assert.equal(encoder.seriesCount, fit ? 5 + come.length : all.length);
  }
});

Deno.test("a dictionary is forgotten when its definitions have taken more bytes than they may", () => {
  const all = numbers(3).map(gauge);
  const store = new SeriesStore();
  const first = new BatchEncoder({}, store);
  first.encode(ones(store, all));
  for (
    const [maxDictionaryBytes, fits] of [[first.dictionaryBytes, true], [
      first.dictionaryBytes - 1,
      false,
    ]] as const
  ) {
    const encoder = new BatchEncoder({ maxDictionaryBytes }, store);
    encoder.encode(ones(store, all));
    assert.equal(encoder.dictionaryBytes, first.dictionaryBytes);
    assert.equal(!forgets(encoder.encode(ones(store, all))), fits);
  }
});

Deno.test("a stream that forgets its dictionary goes on like a new one, to the byte", () => {
  const store = new SeriesStore();
  const limits = { maxSeries: 3 };
  const encoder = new BatchEncoder(limits, store);
  const batches = numbers(4).map((n) => {
    const batch = new Batch(8, null, store);
    for (const row of numbers(3)) {
      if (row % 2 === 0) batch.push(gauge(n), 100 + row + n, n, 1.5 + row);
      else batch.pushU64(counter(n), 100 + row, 7, 2n ** 60n + BigInt(row));
    }
    return batch;
  });
  encoder.encode(batches[0]);
  for (const batch of batches.slice(1)) {
    const record = encoder.encode(batch).slice();
    assert.ok(forgets(record));
    // A new stream has nothing to forget, and says all the same in the same bytes.
    const other = new BatchEncoder(limits, store);
    assert.equal(other.dictionaryBytes, 0);
    const first = other.encode(batch).slice();
    assert.ok(!forgets(first));
    assert.equal(toHex(record.with(1, first[1])), toHex(first));
    assert.equal(encoder.dictionaryBytes, other.dictionaryBytes);
  }
});

Deno.test("a text is found after any other, also after those that came before the table was cleared", () => {
  const table = new TextTable();
  const chance = new Chance(3);
  for (let round = 0; round < 3; round++) {
    const known = new Map<string, number>();
    let last = -1;
    for (let n = 0; n < 3000; n++) {
      const text = chance.pick(["", "a", "abc", "abcd", "abcde"]) + chance.int(300 * (round + 1)) % 700;
      const bytes = withSlack(new TextEncoder().encode(text));
      const view = new DataView(bytes.buffer);
      const number = table.findAfter(last, view, 0, text.length);
      assert.equal(number, known.get(text) ?? -1, text);
      if (number < 0) known.set(text, table.add(bytes, 0, text.length));
      last = known.get(text)!;
    }
    table.clear();
  }
});

Deno.test("a text is found by its bytes, also where another one has its hash, and no other is found", () => {
  const table = new TextTable();
  const encode = (text: string) => new TextEncoder().encode(text.padEnd(text.length + 8, "!"));
  const find = (text: string) => table.find(new DataView(encode(text).buffer), 0, text.length);
  assert.equal(find("any"), -1);
  const texts = numbers(2000).map((n) => "abcdefghijkl".slice(0, n % 13) + n);
  for (const [n, text] of texts.entries()) assert.equal(table.add(encode(text), 0, text.length), n);
  for (const [n, text] of texts.entries()) assert.equal(find(text), n, text);
  for (const text of ["", "0x", "a", "abc", "abcdefghijkl"]) assert.equal(find(text), -1, text);
  // Two texts of three bytes, and two of six, with one hash each.
  for (const length of [3, 6]) {
    const seen = new Map<number, number>();
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    const put = (n: number) => view.setUint32(0, n);
    for (let n = 0;; n += 256) {
      put(n);
      const hash = hashTail(view, 0, length, 0, 0);
      const other = seen.get(hash);
      seen.set(hash, n);
      if (other === undefined) continue;
      const number = table.add(bytes, 0, length);
      put(other);
      assert.equal(table.find(view, 0, length), -1);
      assert.equal(table.add(bytes, 0, length), number + 1);
      assert.equal(table.find(view, 0, length), number + 1);
      put(n);
      assert.equal(table.find(view, 0, length), number);
      break;
    }
  }
  // Texts of three bytes of which one differs, if their hashes were the same.
  const added = table.add(encode("xyz"), 0, 3);
  for (const text of ["!yz", "x!z", "xy!"]) {
    assert.equal(table.find(new SameHash(encode(text), encode("xyz"), 3), 0, 3), -1, text);
  }
  assert.equal(table.find(new SameHash(encode("xyz"), encode("xyz"), 3), 0, 3), added);
  table.clear();
  assert.deepEqual([table.size, find(texts[0])], [0, -1]);
  assert.equal(table.add(encode("new"), 0, 3), 0);
  assert.equal(find("new"), 0);
});
