import assert from "node:assert/strict";
import { BatchDecoder, BatchEncoder } from "../../lib/batches/codec.ts";
import { crc32c } from "../../lib/base/crc32c.ts";
import { checkOf, EMPTY_CHECK, RecentChecks } from "../../lib/points/batch_check.ts";
import { Batch } from "../../lib/points/measurement.ts";
import { numbered, NUMBERS } from "../kit/points.ts";

function batchOf(...rows: [seconds: number, nanos: number, value: number][]): Batch {
  const batch = new Batch();
  for (const [seconds, nanos, value] of rows) batch.push(NUMBERS, seconds, nanos, value);
  return batch;
}

Deno.test("the check of a batch differs with any time, value, order or number of points", () => {
  const rows: [number, number, number][] = [[1_700_000_000, 1, 1.5], [1_700_000_001, 2, 2.5]];
  const [a, b] = rows;
  const checks = [
    checkOf(batchOf(...rows)),
    checkOf(batchOf(b, a)),
    checkOf(batchOf(a)),
    checkOf(batchOf(a, [1_700_000_002, 2, 2.5])),
    checkOf(batchOf(a, [1_700_000_001, 3, 2.5])),
    checkOf(batchOf(a, [1_700_000_001, 2, 2.500001])),
    checkOf(batchOf()),
  ];
  assert.equal(new Set(checks).size, checks.length);
  assert.equal(checks.at(-1), EMPTY_CHECK);
  assert.equal(checks[0], checkOf(batchOf(...rows)));
});

Deno.test("the bits of a NaN, and the sign of a zero, do not count", () => {
  const bits = (high: number) => new Float64Array(new Uint32Array([1, high]).buffer)[0];
  const checks = [NaN, -NaN, bits(0xfff8_0000), bits(0x7ff0_0000)].map((value) =>
    checkOf(batchOf([1_700_000_000, 1, 5], [1_700_000_000, 2, value]))
  );
  assert.equal(new Set(checks).size, 1);
  assert.equal(checkOf(batchOf([1, 1, -0])), checkOf(batchOf([1, 1, 0])));
  assert.notEqual(checks[0], checkOf(batchOf([1_700_000_000, 1, 5], [1_700_000_000, 2, 0])));
});

Deno.test("a batch has the same check at both ends of a connection, and as rows of a larger batch", () => {
  const batch = numbered(100, 7);
  const decoded = new BatchDecoder().decode(new BatchEncoder().encode(batch).slice());
  assert.equal(checkOf(decoded), checkOf(batch));
  const larger = numbered(3);
  for (let row = 0; row < batch.length; row++) larger.pushFrom(batch, row);
  assert.equal(checkOf(larger, 3), checkOf(batch));
});

Deno.test("recent checks are found by number, and those long ago are forgotten", () => {
  const checks = new RecentChecks();
  assert.equal(checks.upTo(1000), undefined);
  for (let n = 1; n <= 2000; n++) checks.add(2 * n, n);
  assert.equal(checks.of(4000), 2000);
  assert.equal(checks.of(3999), undefined);
  assert.deepEqual(checks.upTo(3999), { sequence: 3998, check: 1999 });
  assert.equal(checks.of(3600), 1800, "at least 256 are kept");
  assert.equal(checks.of(2000), undefined);
});

Deno.test("the check is the CRC-32C of seconds, nanoseconds and values, as other versions compute it", () => {
  const batch = batchOf([1_700_000_000, 7, NaN], [1_700_000_001, 8, 1.5], [3, 9, -0]);
  const bytes = new Uint8Array(3 * 20);
  const view = new DataView(bytes.buffer);
  const rows = [[1_700_000_000, 7], [1_700_000_001, 8], [3, 9]];
  rows.forEach(([seconds, nanos], n) => {
    view.setFloat64(8 * n, seconds, true);
    view.setUint32(24 + 4 * n, nanos, true);
  });
  view.setBigUint64(36, 0x7ff8_0000_0000_0000n, true);
  view.setFloat64(44, 1.5, true);
  assert.equal(checkOf(batch), crc32c(bytes));
  assert.equal(checkOf(batch, 1, 1), 0);
  assert.equal(EMPTY_CHECK, 0);
});

Deno.test("the checks of at least 256 and at most 512 batches are kept", () => {
  const checks = new RecentChecks();
  for (let n = 1; n <= 512; n++) checks.add(n, 1000 + n);
  assert.deepEqual([checks.of(1), checks.of(512)], [1001, 1512]);
  checks.add(513, 1513);
  assert.deepEqual([checks.of(1), checks.of(256), checks.of(257), checks.of(513)], [
    undefined,
    undefined,
    1257,
    1513,
  ]);
});
