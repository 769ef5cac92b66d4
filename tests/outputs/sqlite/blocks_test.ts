/** Blocks of compacted points: what is read is what was written, bit by bit, and damage is an error. */
import assert from "node:assert/strict";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { Block, BlockWriter, MAX_BLOCK_POINTS } from "../../../lib/outputs/sqlite/blocks/block.ts";
import {
  BlockError,
  ByteSink,
  ByteSource,
  MAX_SIGNED,
  sizeOfSigned,
} from "../../../lib/outputs/sqlite/blocks/bytes.ts";
import { ValueWriter } from "../../../lib/outputs/sqlite/blocks/values.ts";
import { RowTaker } from "../../../lib/outputs/sqlite/blocks/rows.ts";
import { Chance, fromHex, toHex } from "../../kit/bytes.ts";

type Value = number | bigint | null;
type Point = readonly [series: number, offset: number, value: Value];

/** What the writer of blocks takes: numbers, and exact integers where a number is rounded. */
function rowsOf(points: readonly Point[]) {
  const exact = new Map<number, bigint>();
  const values = points.map(([, , value], row) => {
    if (typeof value !== "bigint") return value ?? NaN;
    if (value >= 2n ** 53n) exact.set(row, value);
    return Number(value);
  });
  return {
    length: points.length,
    series: Float64Array.from(points, ([series]) => series),
    offsets: Float64Array.from(points, ([, offset]) => offset),
    values: Float64Array.from(values),
    exact: exact.size > 0 ? exact : null,
  };
}

/** Points of a block; an integer is a bigint. */
function pointsOf(bytes: Uint8Array): Point[] {
  const block = new Block(bytes);
  return [...block.series].flatMap((id) => {
    const { length, offsets, numbers, isInteger, exact } = block.points(id)!;
    return Array.from({ length }, (_, i): Point => {
      const number = Number.isNaN(numbers[i]) ? null : isInteger ? BigInt(numbers[i]) : numbers[i];
      return [id, offsets[i], exact ? exact[i] : number];
    });
  });
}

const writer = new BlockWriter();
/** Whole floats may come back as integers: only the type of the metric tells them apart. */
const comparable = (points: readonly Point[], isInteger: (series: number) => boolean) =>
  points.map(([id, offset, value]) => [
    id,
    offset,
    value === null ? "missing" : isInteger(id) ? String(value) : Object.is(value, -0) ? "-0" : Number(value),
  ]);

function check(points: readonly Point[], isInteger: (series: number) => boolean, what: string): void {
  const bytes = writer.write(rowsOf(points));
  assert.ok(bytes, what);
  assert.deepEqual(comparable(pointsOf(bytes), isInteger), comparable(points, isInteger), what);
}

const DAY_NS = 86_400e9;
const FLOATS = [
  ...[0, -0, 0.1, -0.1, 1 / 3, 1e300, -1e-300, Number.MIN_VALUE, Number.MAX_VALUE, Infinity, -Infinity],
  ...[2 ** 50, 2 ** 53, 2 ** 53 + 2, -(2 ** 53), 2 ** 64, 1e12, 123456.789, 1e-12, 0.1 + 0.2, 5e-13],
];
const INTEGERS = [
  ...[0n, 1n, 2n ** 50n - 1n, 2n ** 50n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n],
  ...[2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n],
];

/** The parts of a block, in hexadecimal, as a block. */
function blockOf(...parts: readonly string[]): Uint8Array {
  const packed = zstdCompressSync(fromHex(parts.join("").replaceAll(/[ ,]/g, "")));
  return Uint8Array.from([1, ...packed]);
}

Deno.test("a block is written as the format says, to the byte", () => {
  const large = 2n ** 53n + 1n;
  const points: Point[] = [
    ...[[5, 1000, 1n], [5, 2000, 2n], [5, 3000, 3n]] as const,
    ...[[7, 1000, 0.5], [7, 2000, 0.25], [7, 3000, 0.75]] as const,
    ...[[9, 2000, null], [9, 4000, 4n]] as const,
    ...[[1000, -1000, large], [1000, 2000, large - 1n]] as const,
    ...[[1001, 1000, 1 / 3], [1001, 2000, 1 / 3], [1001, 4000, -1 / 3]] as const,
    ...[[1002, 1000, 1000n], [1002, 2000, 2000n], [1002, 3000, 3001n]] as const,
  ];
  const block = writer.write(rowsOf(points))!;
  assert.equal(block[0], 1);
  const parts = [
    // Series, times, bytes of the directory and of the lists of times.
    "06 05 19 0d",
    // Times: differences of differences.
    "d00f d00f 00 00 df5d",
    // The difference to the id before, points, bytes of the list of times and of the values.
    "05030105 02030106 02020405 df0702040a 01030219 01030106",
    // How many times follow each other, how far away the next one is, and so on.
    "03 03 00020002 00080007 0202 03",
    // Integers; decimals as differences; one that is missing; above 2^53; bits that differ, by their places; and
    // differences of differences.
    "00 00 020406, 01 02 01 643164, 80 01 00 00 08, 03 8280808080808020 01",
    "02 550000 550000 550000 550000 550000 550000 d50000 3f0080, 00 02 d00f 00 02",
  ].map((part) => part.replaceAll(/[ ,]/g, ""));
  const plain = zstdDecompressSync(block.subarray(1));
  assert.equal(toHex(plain), parts.join(""));
  const withChecksum = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
  assert.equal(toHex(block.subarray(1)), toHex(zstdCompressSync(plain, withChecksum)));
});

/** One series with id 1, with the value 4 at the time 7: counts, times, directory, list of times, values. */
const PARTS = ["01 01 04 01", "0e", "01 01 01 03", "01", "00 00 08"];

Deno.test("what is wrong with a block is said, and what is just within its limits is read", () => {
  const problem = (block: Uint8Array) => {
    try {
      const [id] = new Block(block).series;
      return JSON.stringify(Object.values(new Block(block).points(id) ?? {}));
    } catch (error) {
      return error instanceof BlockError ? error.message : String(error);
    }
  };
  const withParts = (parts: Record<number, string>) => problem(blockOf(...Object.assign([...PARTS], parts)));
  assert.equal(withParts({}), '[1,{"0":4},true,null,{"0":7}]');
  assert.equal(problem(new Uint8Array()), "it has an unknown version");
  assert.equal(problem(blockOf(...PARTS).with(0, 2)), "it has an unknown version");
  assert.equal(problem(Uint8Array.of(1, 2, 3)), "it cannot be decompressed");
  const zeros = (count: number) => problem(Uint8Array.from([1, ...zstdCompressSync(new Uint8Array(count))]));
  assert.deepEqual([zeros(4 * 1024 ** 2), zeros(4 * 1024 ** 2 + 1)], ["[]", "it cannot be decompressed"]);

  const times = "00".repeat(65_536);
  assert.equal(withParts({ 0: "00 808004 00 00", 1: times, 2: "", 3: "", 4: "" }), "[]");
  assert.equal(withParts({ 0: "00 818004 00 00", 1: times + "00" }), "it has too many times");
  assert.equal(withParts({ 0: "01 01 06 01", 2: "01 808004 01 03" }), "a time is missing");
  assert.equal(withParts({ 0: "01 01 06 01", 2: "01 818004 01 03" }), "it has too many points");
  assert.equal(withParts({ 0: "02 01 0a 01", 2: "01 808004 01 03 01 01 01 03" }), "it has too many points");
  assert.equal(withParts({ 1: "feffffffffffff7f" }), '[1,{"0":4},true,null,{"0":36028797018963970}]');
  assert.equal(withParts({ 1: "feffffffffffffff01" }), "a number is too long");

  assert.equal(withParts({ 3: "02" }), "a list of times is too long");
  assert.equal(withParts({ 0: "01 01 04 02", 2: "01 01 02 03", 3: "00 02" }), "a time is missing");
  assert.equal(withParts({ 0: "01 01 04 02", 2: "01 01 02 03", 3: "00 01" }), "a time is missing");

  assert.equal(withParts({ 4: "04 00 08" }), "values are written in an unknown way");
  assert.equal(withParts({ 4: "01 0d 00 08" }), "a value has too many decimals");
  assert.equal(withParts({ 4: "01 0c 00 08" }), '[1,{"0":4e-12},false,null,{"0":7}]');
  assert.equal(withParts({ 4: "80 02 00 00 00" }), "too many values are missing");
  assert.equal(withParts({ 4: "80 01 00 00" }), '[1,{"0":null},true,null,{"0":7}]');
  assert.equal(withParts({ 4: "02 00000000000010" }), "it ends early");
  assert.equal(withParts({ 4: "02 0000000000001040" }), '[1,{"0":4},false,null,{"0":7}]');
  assert.equal(withParts({ 4: "00 00" }), "it ends early");
  assert.equal(withParts({ 4: `03 ${"80".repeat(11)} 00` }), "a number is too long");
  const big = new Block(blockOf(...PARTS.with(4, `03 ${"80".repeat(10)} 02`))).points(1)!;
  assert.deepEqual([big.exact, big.numbers[0], big.isInteger], [[2n ** 70n], 2 ** 70, true]);
});

Deno.test("a block says which series it has, and what it takes in memory", () => {
  const block = new Block(blockOf(...PARTS));
  assert.deepEqual([...block.series], [1]);
  assert.deepEqual([block.points(0), block.points(2)], [undefined, undefined]);
  // Its bytes, its one time, its one series.
  assert.equal(block.bytes, 13 + 8 + 100);
});

/** The values of a series as bytes: how they are written, and so on. */
function bytesOfValues(...values: number[]): Uint8Array {
  const sink = new ByteSink();
  assert.ok(new ValueWriter().write(sink, Float64Array.from(values), 0, values.length, null));
  return sink.bytes;
}

Deno.test("integers of up to 50 bits are written as such, larger ones as integers of any length", () => {
  const kindOf = (value: number) => bytesOfValues(value)[0];
  const [INTEGERS, DECIMALS, FLOATS, BIG] = [0, 1, 2, 3];
  assert.deepEqual([2 ** 50 - 1, 1 - 2 ** 50, 0].map(kindOf), [INTEGERS, INTEGERS, INTEGERS]);
  assert.deepEqual([2 ** 50, -(2 ** 50), 2 ** 53 - 1].map(kindOf), [BIG, BIG, BIG]);
  assert.deepEqual([2 ** 53, -0, 0.1 + 0.2, 1e300].map(kindOf), [FLOATS, FLOATS, FLOATS, FLOATS]);
  assert.deepEqual([0.5, -1e-12, (2 ** 50 - 1) / 10].map(kindOf), [DECIMALS, DECIMALS, DECIMALS]);
});

Deno.test("integers are written in the form that takes the fewest bytes, the simplest of those", () => {
  const chance = new Chance(17);
  const bytesOf = (values: number[]) => values.reduce((sum, value) => sum + sizeOfSigned(value), 0);
  const differences = (values: number[]) => values.map((value, i) => value - (values[i - 1] ?? 0));
  const random = Array.from({ length: 400 }, () => {
    const largest = chance.pick([3, 70, 130, 20_000]);
    const step = chance.int(largest);
    return Array.from(
      { length: 1 + chance.int(4) },
      (_, i) => Math.floor(i * step + chance.int(largest) - largest / 2),
    );
  });
  const forms = new Set<number>();
  for (const values of [[64], [-65], [8192], [-8193], ...random]) {
    const sizes = [values, differences(values), differences(differences(values))].map(bytesOf);
    const bytes = bytesOfValues(...values);
    assert.equal(bytes.length, 2 + Math.min(...sizes), `${values}`);
    assert.equal(bytes[1], sizes.indexOf(Math.min(...sizes)), `${values}`);
    forms.add(bytes[1]);
  }
  assert.equal(forms.size, 3);
});

Deno.test("an integer takes as few bytes as it has, and is read as it was", () => {
  const sink = new ByteSink();
  assert.equal(sink.bytes.length, 0);
  assert.deepEqual([0, -1, 1, -64, 64].map(sizeOfSigned), [1, 1, 1, 1, 2]);
  for (let bit = 0; bit <= 52; bit++) {
    for (const magnitude of [2 ** bit - 2, 2 ** bit - 1, 2 ** bit, 2 ** bit + 1]) {
      if (magnitude < 0 || magnitude > MAX_SIGNED) continue;
      for (const n of [magnitude, 0 - magnitude]) {
        const zigzag = n < 0 ? 2n * BigInt(-n) - 1n : 2n * BigInt(n);
        const size = Math.max(1, Math.ceil(zigzag.toString(2).length / 7));
        const written = (write: () => void) => (sink.clear(), write(), new ByteSource(sink.bytes.slice()));
        assert.equal(written(() => sink.signed(n)).signed(), n);
        assert.deepEqual([sink.length, sizeOfSigned(n)], [size, size], `${n}`);
        assert.equal(written(() => sink.signedBig(BigInt(n))).signedBig(), BigInt(n));
        assert.equal(sink.length, size);
      }
    }
  }
  assert.equal(MAX_SIGNED, 2 ** 52 - 1);
});

Deno.test("what is written has room, also at the end of what there was", () => {
  for (const length of [65_528, 65_529, 65_535, 65_536]) {
    const sink = new ByteSink();
    sink.append(new Uint8Array(length).fill(7));
    sink.unsigned(2 ** 53 - 1);
    sink.append(new Uint8Array(200_000).fill(9));
    const source = new ByteSource(sink.bytes);
    assert.deepEqual([...new Set(source.take(length))], [7]);
    assert.equal(source.unsigned(), 2 ** 53 - 1);
    assert.deepEqual([...new Set(source.take(100_000)), ...new Set(source.take(100_000))], [9, 9]);
    assert.throws(() => source.take(1), BlockError);
  }
});

Deno.test("rows taken in any order come sorted by series and time, and those of one time as they came", () => {
  const chance = new Chance(11);
  const taker = new RowTaker();
  for (let round = 0; round < 40; round++) {
    taker.clear();
    taker.shift = chance.int(3) * 1e9 - 1e9;
    const rows: { id: number; offset: number; value: number | string | null }[] = [];
    for (let count = chance.int(80); count > 0; count--) {
      const value = chance.pick([
        ...[null, -1.5, 0, rows.length],
        ...["9007199254740993", "-9007199254740993", "18446744073709551615"],
      ]);
      const row = { id: 1 + chance.int(1 + chance.int(7)), offset: chance.int(round < 20 ? 9 : 1e6), value };
      rows.push(row);
      taker.take(row.id, row.offset, value);
      assert.equal(taker.lastOffset, row.offset);
    }
    const sorted = rows.map((row, came) => ({ ...row, came }))
      .sort((a, b) => a.id - b.id || a.offset - b.offset || a.came - b.came);
    const { length, series, offsets, values, exact } = taker.sort();
    assert.deepEqual([taker.isOdd, taker.isFull, length], [false, false, rows.length]);
    assert.deepEqual([...series.subarray(0, length)], sorted.map(({ id }) => id));
    assert.deepEqual([...offsets.subarray(0, length)], sorted.map(({ offset }) => offset + taker.shift));
    assert.deepEqual([...values.subarray(0, length)], sorted.map(({ value }) => Number(value ?? NaN)));
    const large = sorted.flatMap(({ value }, k) => typeof value === "string" ? [[k, BigInt(value)]] : []);
    assert.deepEqual(exact && [...exact], large.length > 0 ? large : null);
  }
});

Deno.test("two series come in the order of their ids, whichever came first", () => {
  for (const ids of [[1, 2], [2, 1]]) {
    const taker = new RowTaker();
    for (const id of ids) taker.take(id, 0, 0);
    assert.deepEqual([...taker.sort().series.subarray(0, 2)], [1, 2]);
  }
});

Deno.test("a value is odd if this program never stores it, and so is a series without a whole number", () => {
  const isOdd = (id: number, value: unknown) => {
    const taker = new RowTaker();
    taker.take(1, 0, 5);
    taker.take(id, 0, value);
    assert.equal(taker.sort().length, 2);
    const { isOdd } = taker;
    taker.clear();
    assert.deepEqual([taker.isOdd, taker.length, taker.sort().exact], [false, 0, null]);
    return isOdd;
  };
  for (const value of [0, null, 0.5, "9007199254740992", "-9007199254740992"]) {
    assert.ok(!isOdd(2, value), String(value));
  }
  const others = [
    "1",
    "-1",
    "abc",
    "09007199254740993",
    "9007199254740991",
    "-9007199254740991",
    "1".repeat(21),
  ];
  for (const value of [...others, new Uint8Array(1), 2n ** 60n]) assert.ok(isOdd(2, value), String(value));
  assert.ok(isOdd(1.5, 0));
});

Deno.test("a row that is not of a series, or not of a day around the start, is left", () => {
  const day = 86_400e9;
  const taken = [[1, -day], [1, day]];
  const left = [[1, -day - 1], [1, day + 1], [1, NaN], ["1", 0], [null, 0], [1, "0"], [1, null]];
  for (const [id, offset] of [...taken, ...left]) {
    const taker = new RowTaker();
    taker.take(id, offset, 0);
    const count = taken.some((row) => row[0] === id && row[1] === offset) ? 1 : 0;
    assert.deepEqual([taker.length, taker.isOdd], [count, false], `${id}, ${offset}`);
    assert.equal(taker.hasLeft, count === 0, `${id}, ${offset}`);
    taker.clear();
    assert.equal(taker.hasLeft, false);
  }
});

Deno.test("no more rows are taken than a block holds", () => {
  const taker = new RowTaker();
  for (let row = 0; row < MAX_BLOCK_POINTS; row++) taker.take(1 + row, row, -row);
  const { series, offsets, values } = taker.sort();
  assert.deepEqual([series[65_535], offsets[65_535], values[65_535]], [65_536, 65_535, -65_535]);
  assert.deepEqual([taker.length, taker.isFull], [65_536, false]);
  taker.take(1, 0, 0);
  assert.deepEqual([taker.length, taker.isFull], [65_536, true]);
  taker.clear();
  taker.take(1, 0, 0);
  assert.deepEqual([taker.length, taker.isFull], [1, false]);
});

Deno.test("one integer again and again takes the bytes that integers take, whatever it is", () => {
  const written = (numbers: Float64Array, exact: ReadonlyMap<number, bigint> | null) => {
    const sink = new ByteSink();
    assert.ok(new ValueWriter().write(sink, numbers, 1, numbers.length - 1, exact));
    return [...sink.bytes];
  };
  const limit = (2 ** 52 - 4) / 4;
  for (const value of [0, -0, 1, -1, 63, 64, -64, -65, 1e6, 0.5, NaN, limit, -limit, limit + 1, -limit - 1]) {
    for (const count of [1, 2, 3, 200]) {
      // What stands beside the range has no part in it; with an empty map values are looked at one by one.
      const numbers = new Float64Array(count + 2).fill(value);
      numbers[0] = numbers[count + 1] = 7;
      assert.deepEqual(written(numbers, null), written(numbers, new Map()), `${count} times ${value}`);
      if (count === 1) continue;
      for (const other of [value + 1, value === 0 ? -value : -value - 1, NaN]) {
        numbers[count] = other;
        assert.deepEqual(written(numbers, null), written(numbers, new Map()), `${value}, then ${other}`);
      }
    }
  }
});

Deno.test("a block gives back each value bit by bit, of all kinds beside each other", () => {
  for (let seed = 0; seed < 25; seed++) {
    const chance = new Chance(seed);
    const points: Point[] = [];
    const integers = new Set<number>();
    let polls = Array.from({ length: 1 + chance.int(40) }, () => chance.int(DAY_NS) - chance.int(2) * DAY_NS)
      .sort((a, b) => a - b);
    let id = 0;
    for (let series = 1 + chance.int(12); series > 0; series--) {
      id += 1 + chance.int(chance.int(2) === 0 ? 3 : 2 ** 40);
      const isInteger = chance.int(2) === 0;
      if (isInteger) integers.add(id);
      const hasOnlySmall = chance.int(2) === 0;
      const missing = chance.int(3) === 0;
      const decimals = 10 ** chance.int(5);
      let counter = 0;
      // Some series have gaps, some have times of their own, some have a time twice.
      if (chance.int(4) === 0) polls = polls.map((time) => time + chance.int(1000));
      for (const offset of polls) {
        if (chance.int(8) === 0) continue;
        for (let times = chance.int(20) === 0 ? 2 : 1; times > 0; times--) {
          counter += chance.int(50);
          const value = missing && chance.int(4) === 0
            ? null
            : isInteger
            ? hasOnlySmall ? BigInt(counter) : INTEGERS[chance.int(INTEGERS.length)]
            : hasOnlySmall
            ? chance.int(2000) / decimals - 1
            : FLOATS[chance.int(FLOATS.length)];
          points.push([id, offset, value]);
        }
      }
    }
    points.sort(([a, s], [b, t]) => a - b || s - t);
    check(points, (series) => integers.has(series), `seed ${seed}`);
  }
});

Deno.test("a block gives back any float, and the edges of what fits", () => {
  const chance = new Chance(7);
  const bits = new DataView(new ArrayBuffer(8));
  const random = Array.from({ length: 300 }, (_, i): Point => {
    bits.setUint32(0, chance.int(2 ** 32));
    bits.setUint32(4, chance.int(2 ** 32));
    return [1, i, Number.isNaN(bits.getFloat64(0)) ? null : bits.getFloat64(0)];
  });
  check(random, () => false, "random bits");
  check([], () => false, "no points");
  const again = [1, 2, 1, 1, 3, 3, 1].map((value, i): Point => [1, i, value / 10]);
  check(again, () => false, "values that come again, at once or later");
  check([[2 ** 53 - 1, -DAY_NS, null]], () => false, "nothing but a missing value");
  check([[5, 0, 18446744073709551615n], [5, 0, 0n], [5, 1, null], [6, 1, 3n]], () => true, "ends of u64");
  check([[5, 0, 2n ** 53n], [5, 1, 0.5]], () => false, "2^53 in a series of floats");
  for (const value of FLOATS) check([[1, 0, value]], () => false, `${value}`);
  check(
    [[5, 0, 2n ** 53n], [5, 1, 0.5], [6, 0, 2n ** 53n + 1n]],
    (id) => id === 6,
    "the next series has integers",
  );
  const many = Array.from({ length: 3000 }, (_, i): Point => [1, i, i % 3 === 0 ? null : BigInt(i * i)]);
  check(many, () => true, "thousands of values, some missing");
  check(many.filter(([, , value]) => value !== null), () => true, "thousands of values");
  // Columns may be longer than what is in them.
  const longer = rowsOf([[5, 0, 1], [5, 1, 2], [5, 2, 3]]);
  assert.deepEqual(pointsOf(writer.write({ ...longer, length: 2 })!), [[5, 0, 1n], [5, 1, 2n]]);
  // Nor are there times between two nanoseconds.
  assert.equal(writer.write(rowsOf([[5, 0.5, 1]])), null);
  assert.ok(writer.write(rowsOf([[5, 1, 1]])));
  // Only the database's owner can have stored that: it stays as it is.
  assert.equal(writer.write(rowsOf([[5, 0, 2n ** 53n + 1n], [5, 1, 0.5]])), null);
});

Deno.test("series that are measured together take one list of times, and regular values next to nothing", () => {
  const points: Point[] = [];
  const chance = new Chance(3);
  const polls = Array.from({ length: 600 }, (_, i) => i * 1e9 + chance.int(1e6));
  for (let id = 1; id <= 50; id++) {
    for (const [i, offset] of polls.entries()) points.push([id, offset, id % 2 ? i * 4096 : 21.5]);
  }
  const bytes = writer.write(rowsOf(points))!;
  assert.ok(bytes.length / points.length < 0.12, `${bytes.length / points.length} bytes a point`);
});

Deno.test("a damaged block is an error that says so, whatever bit is wrong, and wherever it ends", () => {
  const chance = new Chance(1);
  const points = Array.from(
    { length: 400 },
    (_, i): Point => [1 + Math.floor(i / 40), i % 40, chance.int(1e6) / 7],
  );
  const good = writer.write(rowsOf(points))!;
  const expected = pointsOf(good);
  let errors = 0;
  for (let n = 0; n < 150; n++) {
    const bad = good.slice(0, n % 3 === 0 ? chance.int(good.length) : good.length);
    if (n % 3 > 0) bad[chance.int(bad.length)] ^= 1 << chance.int(8);
    try {
      // A bit of the frame's header may mean nothing.
      assert.deepEqual(pointsOf(bad), expected);
    } catch (error) {
      assert.ok(error instanceof BlockError, String(error));
      errors++;
    }
  }
  assert.ok(errors > 140, `${errors}`);
});
