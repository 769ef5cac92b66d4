/** Blocks of compacted points: what is read is what was written, bit by bit, and damage is an error. */
import assert from "node:assert/strict";
import { Block, BlockWriter } from "../../../lib/outputs/sqlite/blocks/block.ts";
import { BlockError } from "../../../lib/outputs/sqlite/blocks/bytes.ts";
import { Chance } from "../../kit/bytes.ts";

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
  check([[2 ** 53 - 1, -DAY_NS, null]], () => false, "nothing but a missing value");
  check([[5, 0, 18446744073709551615n], [5, 0, 0n], [5, 1, null], [6, 1, 3n]], () => true, "ends of u64");
  check([[5, 0, 2n ** 53n], [5, 1, 0.5]], () => false, "2^53 in a series of floats");
  for (const value of FLOATS) check([[1, 0, value]], () => false, `${value}`);
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
