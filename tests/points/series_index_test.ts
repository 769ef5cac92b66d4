import assert from "node:assert/strict";
import { hashTail, sameBytes } from "../../lib/points/hash.ts";
import { type Attribute, MAX_SECONDS, seriesOf } from "../../lib/points/series.ts";
import { SeriesIndex } from "../../lib/points/series_index.ts";
import { checkTexts, readTail, skipTail, writeTail } from "../../lib/points/tail.ts";
import { PostcardError, PostcardReader, PostcardWriter } from "../../lib/postcard.ts";
import { metricOf } from "../kit/decode.ts";

/** Numbers without order, the same in each run. */
function* scrambled(count: number): Generator<number> {
  for (let i = 1, at = 12345; i <= count; i++) yield at = (Math.imul(at, 1664525) + 1013904223) >>> 0;
}

function has(index: SeriesIndex, number: number, hash: number): boolean {
  const slots = index.slotsOf(hash);
  for (let slot = hash & (slots.length - 1); slots[slot] !== 0; slot = (slot + 1) & (slots.length - 1)) {
    if (slots[slot] === number) return true;
  }
  return false;
}

for (
  const [what, hashOf] of [
    ["any hashes", (hash: number) => hash],
    ["hashes that differ in few bits", (hash: number) => hash & 0x0f0000ff],
  ] as const
) {
  Deno.test(`an index finds what is in it, and nothing else, with ${what}`, () => {
    const count = what === "any hashes" ? 60_000 : 3_000;
    const hashes = Uint32Array.from([0, ...scrambled(count)], hashOf);
    const index = new SeriesIndex();
    for (let number = 1; number <= count; number++) index.add(number, hashes);
    for (let number = 1; number <= count; number++) assert(has(index, number, hashes[number]));
    for (let number = 1; number <= count; number += 3) index.remove(number, hashes);
    for (let number = 1; number <= count; number++) {
      assert.equal(has(index, number, hashes[number]), number % 3 !== 1, `${number}`);
    }
    for (let number = 1; number <= count; number += 3) index.add(number, hashes);
    for (let number = 1; number <= count; number++) assert(has(index, number, hashes[number]));
    index.clear();
    for (let number = 1; number <= count; number++) assert(!has(index, number, hashes[number]));
    index.add(7, hashes);
    assert(has(index, 7, hashes[7]));
  });
}

Deno.test("however large an index is, no addition places more than 20,000 numbers again", () => {
  const count = 70_000;
  let reads = 0;
  const hashes = new Proxy(Uint32Array.from([0, ...scrambled(count)]), {
    get(target, key) {
      reads++;
      return target[Number(key)];
    },
  });
  const index = new SeriesIndex();
  let most = 0;
  for (let number = 1; number <= count; number++) {
    reads = 0;
    index.add(number, hashes);
    most = Math.max(most, reads);
  }
  assert(most < 40_000, `${most}`);
});

/** A hash with a known key. */
async function hashWithKey(...key: number[]): Promise<typeof hashTail> {
  const original = crypto.getRandomValues;
  crypto.getRandomValues = ((array: Int32Array) => (array.set(key), array)) as typeof original;
  try {
    return (await import(`../../lib/points/hash.ts?${key}`)).hashTail;
  } finally {
    crypto.getRandomValues = original;
  }
}

Deno.test("series are hashed with HalfSipHash-1-3 under a random key", async () => {
  const hash = await hashWithKey(0x03020100, 0xf7f6f5f4 | 0);
  // As its authors' code says, for the metric and the client as eight bytes before the others, which alone are counted.
  const expected = new Map([
    ...[[0, 0xe58952], [1, 0x82441bdf], [2, 0x14e05610], [3, 0xa16f9d6a], [4, 0x394b0586]] as const,
    ...[[5, 0x4ec85773], [7, 0xde0dd025], [8, 0xf22951c7], [13, 0x9121a160]] as const,
  ]);
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i < 3 ? 0xff : 37 * (i - 3) + 200);
  for (const [length, value] of expected) {
    assert.equal(hash(new DataView(bytes.buffer), 3, length, 6, 0xfffffffe), value, `${length} bytes`);
  }
  const [one, other] = [await hashWithKey(1, 2), hashTail].map((hash) =>
    hash(new DataView(bytes.buffer), 0, 8, 1, 1)
  );
  assert.notEqual(one, other);
});

Deno.test("bytes are the same if each of them is, at whatever places they stand", () => {
  for (let length = 4; length <= 13; length++) {
    const [one, other] = [new Uint8Array(length + 3).fill(99), new Uint8Array(length + 5).fill(98)];
    for (let at = 0; at < length; at++) one[2 + at] = other[1 + at] = at;
    const same = () => sameBytes(new DataView(one.buffer), 2, new DataView(other.buffer), 1, length);
    assert.ok(same(), `${length} bytes`);
    for (let at = 0; at < length; at++) {
      other[1 + at] ^= 0x80;
      assert.ok(!same(), `byte ${at} of ${length} differs`);
      other[1 + at] ^= 0x80;
    }
  }
});

/** A tail in bytes, with some behind it. */
function tailOf(rest: Parameters<typeof seriesOf>[1], behind = 16) {
  const series = seriesOf(metricOf("m"), rest);
  const writer = new PostcardWriter(64);
  writeTail(writer, series, series.attributes.length);
  const { length } = writer.written;
  const bytes = new Uint8Array(length + behind);
  bytes.set(writer.written);
  return { bytes, length, series };
}

const skipped = (bytes: Uint8Array, end: number) => {
  const reader = new PostcardReader(bytes, 0, end);
  const { longestName, namesClient } = skipTail(bytes, reader);
  return { longestName, namesClient, end: reader.offset };
};

const EACH_KIND: Attribute[] = [
  ...[["f", 0.5], ["u", 2n ** 64n - 1n], ["b", true], ["s", "é".repeat(100)], ["l", [0n, 300n]]] as const,
];

Deno.test("a tail is stepped over to its end, and not beyond what was received", () => {
  const attributesOf: Attribute[][] = [[], [["", true]], EACH_KIND, [...EACH_KIND, ["last", "text"]]];
  for (const attributes of attributesOf) {
    // The shortest text whose length takes two bytes.
    const { bytes, length, series } = tailOf({ resourceId: "7".repeat(128), attributes });
    assert.equal(skipped(bytes, length).end, length);
    const { resourceId, attributes: read } = readTail(new PostcardReader(bytes, 0, length));
    assert.deepEqual([resourceId, read], [series.resourceId, attributes]);
    for (let end = 0; end < length; end++) assert.throws(() => skipped(bytes, end), PostcardError, `${end}`);
  }
});

Deno.test("of the names in a tail the longest is told, and whether one is that of a client's attribute", () => {
  const of = (resourceKind: string, consumerKind: string, ...names: string[]) => {
    const attributes = names.map((name): Attribute => [name, "a value that is no name"]);
    const { bytes, length } = tailOf({ resourceKind, resourceId: "x".repeat(99), consumerKind, attributes });
    const { longestName, namesClient } = skipped(bytes, length);
    return [longestName, namesClient];
  };
  assert.deepEqual(of("cpu_package", "x"), [11, false]);
  assert.deepEqual(of("x", "process"), [7, false]);
  assert.deepEqual(of("x", "y", "key", "longer_key", "k"), [10, false]);
  assert.deepEqual(of("x", "y", "relay_client"), [1, true]);
  assert.deepEqual(of("x", "y", "relay_client", "key"), [3, true]);
  for (const name of ["Relay_client", "relay_clienT", "relay_client2"]) {
    assert.deepEqual(of("x", "y", name), [name.length, false]);
  }
});

Deno.test("a text of a tail that is not UTF-8 is refused, wherever it is, and so is a value of no kind", () => {
  const { bytes, length } = tailOf({ resourceId: "é", attributes: [["key", "日本"], ["last", "é"]] });
  checkTexts(bytes, 0, length);
  for (let at = 0; at < length; at++) {
    if (bytes[at] < 0x80) continue;
    const bad = bytes.with(at, 0xff);
    assert.throws(() => checkTexts(bad, 0, length), PostcardError, `byte ${at}`);
  }
  // A byte that goes on with a character which has not begun.
  const lone = tailOf({ resourceId: "x" });
  lone.bytes[lone.bytes.indexOf(120)] = 0x80;
  assert.throws(() => checkTexts(lone.bytes, 0, lone.length), PostcardError);
  const ascii = tailOf({ resourceId: "x" });
  ascii.bytes.fill(0xff, ascii.length);
  checkTexts(ascii.bytes, 0, ascii.length);
  const { bytes: value, length: end } = tailOf({ attributes: [["k", false]] });
  const kind = value.subarray(0, end).lastIndexOf(2);
  for (const read of [skipped, (bytes: Uint8Array) => readTail(new PostcardReader(bytes, 0, end))]) {
    assert.throws(() => read(value.with(kind, 5), end), PostcardError);
  }
});

Deno.test("the last second that a point may have is the last one of the year 9999", () => {
  assert.equal(new Date(MAX_SECONDS * 1000 + 999).toISOString(), "9999-12-31T23:59:59.999Z");
});
