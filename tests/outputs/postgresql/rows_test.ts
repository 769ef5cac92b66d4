/** Rows as they are copied into PostgreSQL: their bytes, their order, and where each came from. */
import assert from "node:assert/strict";
import { COPY_HEADER_BYTES } from "../../../lib/outputs/postgresql/copy_in.ts";
import { coarser, merged, pieces, type Ranges } from "../../../lib/outputs/postgresql/rollups/ranges.ts";
import { type LatePoint, MAX_ROWS, Rows } from "../../../lib/outputs/postgresql/rows.ts";
import { Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { Chance, toHex } from "../../kit/bytes.ts";
import { metricOf } from "../../kit/decode.ts";
import { batchOf } from "../../kit/points.ts";

const FLOATS = seriesOf(metricOf("floats", "f64"));
const WHOLE = seriesOf(metricOf("whole"));
const DAY = 86_400;
/** Five columns with their lengths, a numeric of five digits of base 10,000 among them. */
const LONGEST_ROW = 2 + 5 * 4 + 4 + 8 + 2 + 8 + 8 + 2 * 5;

interface Copied {
  id: number;
  /** Since 2000. */
  micros: bigint;
  nanos: number;
  /** The bits of the value. */
  value: bigint;
  exact: bigint | null;
}

/** What PostgreSQL reads of these rows, by the description of its binary format. */
function copied(rows: Rows, from: number, to: number, chunkBytes: number): Copied[] {
  const fill = rows.fill(from, to);
  const bytes = new Uint8Array(chunkBytes).fill(0xaa);
  const chunk = { bytes, view: new DataView(bytes.buffer), length: COPY_HEADER_BYTES };
  const parts: number[] = [];
  for (; fill(chunk); chunk.length = COPY_HEADER_BYTES) {
    assert.ok(chunk.length > COPY_HEADER_BYTES && chunk.length <= chunkBytes);
    parts.push(...bytes.subarray(COPY_HEADER_BYTES, chunk.length));
  }
  assert.ok(!fill(chunk));
  const all = Uint8Array.from(parts);
  const view = new DataView(all.buffer);
  assert.equal(toHex(all.subarray(0, 19)), "5047434f50590aff0d0a00" + "00000000" + "00000000");
  let at = 19;
  const column = (length: number | null) => {
    const size = view.getInt32(at);
    if (length !== null) assert.equal(size, length);
    at += 4 + Math.max(0, size);
    return { size, start: at - Math.max(0, size) };
  };
  const found: Copied[] = [];
  for (let columns; (columns = view.getInt16(at)) !== -1;) {
    assert.equal(columns, 5);
    at += 2;
    const id = view.getInt32(column(4).start);
    const micros = view.getBigInt64(column(8).start);
    const nanos = view.getInt16(column(2).start);
    const value = view.getBigUint64(column(8).start);
    const { size, start } = column(null);
    let exact: bigint | null = null;
    if (size !== -1) {
      const [digits, weight, sign, scale] = [0, 2, 4, 6].map((n) => view.getInt16(start + n));
      assert.deepEqual([size, weight, sign, scale], [8 + 2 * digits, digits - 1, 0, 0]);
      exact = 0n;
      for (let n = 0; n < digits; n++) exact = exact * 10_000n + BigInt(view.getInt16(start + 8 + 2 * n));
    }
    found.push({ id, micros, nanos, value, exact });
  }
  assert.equal(at + 2, all.length);
  return found;
}

const bitsOf = (value: number) => new BigUint64Array(Float64Array.of(value).buffer)[0];

/** What a row of a batch is to become. */
function expected(batch: Batch, row: number, id: number): Copied {
  return {
    id,
    micros: BigInt(batch.seconds[row] - 946_684_800) * 1_000_000n +
      BigInt(Math.floor(batch.nanos[row] / 1000)),
    nanos: batch.nanos[row] % 1000,
    value: bitsOf(batch.values[row]),
    exact: batch.exact?.get(row) ?? null,
  };
}

Deno.test("any time and any value is copied exactly, to the nanosecond and the last digit", () => {
  const rows = new Rows();
  const seconds = [0, 1, 946_684_799, 946_684_800, 1_700_000_000, 253_402_300_799];
  // Where microseconds are no longer a safe integer, and where the halves of an int64 change.
  for (const edge of [9e9, 2 ** 32 / 1e6, 2 ** 33 / 1e6]) {
    for (const more of [-2, -1, 0, 1, 2]) seconds.push(946_684_800 + Math.floor(edge) + more);
  }
  const batch = batchOf([
    ...seconds.flatMap((second) =>
      [0, 1, 999, 1000, 123_456_789, 999_999_999].map((nanos) =>
        [FLOATS, 0.1, second, nanos] as [typeof FLOATS, number, number, number]
      )
    ),
    ...[0, -0, NaN, -Infinity, 2 ** 53].map((value) => [FLOATS, value] as [typeof FLOATS, number]),
    ...[0n, 2n ** 53n, 2n ** 53n + 1n, 10n ** 16n, 10n ** 19n, 2n ** 64n - 1n].map((value) =>
      [WHOLE, value] as [typeof WHOLE, bigint]
    ),
  ]);
  rows.add(batch, 0, batch.length, () => 7);
  rows.sort();
  const all = Array.from({ length: batch.length }, (_, row) => expected(batch, row, 7));
  assert.ok(all.some(({ exact }) => exact !== null));
  for (const bytes of [COPY_HEADER_BYTES + 19 + LONGEST_ROW + 2, 200, 1000, 65_536]) {
    assert.deepEqual(copied(rows, 0, rows.length, bytes), all, `${bytes}`);
  }
  assert.deepEqual(copied(rows, 0, 0, 200), []);
  assert.deepEqual(copied(rows, 3, 5, 200), all.slice(3, 5));
});

Deno.test("rows of a series come together, in the order in which they came, and each knows its batch", () => {
  const chance = new Chance(2);
  const rows = new Rows();
  for (let round = 0; round < 3; round++) {
    const wanted: { id: number; batch: Batch; row: number }[] = [];
    const days = new Set<number>();
    const ids = new Map<Batch, number[]>();
    for (let n = 0; n < 6; n++) {
      const batch = new Batch(1);
      for (let row = 0; row < 500; row++) {
        batch.push(FLOATS, 1_700_000_000 + DAY * (chance.int(3) + 5 * round), row, row);
      }
      // Rows of some series are left out, and some batches are taken in parts.
      ids.set(batch, Array.from({ length: 500 }, () => chance.int(12) - 2));
      for (const [start, end] of [[0, 200], [200, 200], [200, 480]]) {
        rows.add(batch, start, end, (batch, row) => ids.get(batch)![row]);
        for (let row = start; row < end; row++) {
          const id = ids.get(batch)![row];
          if (id < 1) continue;
          wanted.push({ id, batch, row });
          days.add(Math.floor(batch.seconds[row] / DAY));
        }
      }
    }
    assert.equal(rows.length, wanted.length);
    assert.deepEqual([...rows.days].sort(), [...days].sort());
    rows.sort();
    wanted.sort((a, b) => a.id - b.id);
    wanted.forEach(({ batch, row }, n) => {
      const source = rows.source(n);
      assert.ok(source.batch === batch && source.row === row, `row ${n}`);
    });
    assert.deepEqual(
      copied(rows, 0, rows.length, 4096),
      wanted.map(({ batch, row, id }) => expected(batch, row, id)),
    );
    rows.clear();
    assert.deepEqual([rows.length, rows.days.size], [0, 0]);
  }
});

Deno.test("chunks are as long as they may be, whatever rows end them", () => {
  const rows = new Rows();
  const values = Array.from({ length: 30 }, (_, n) => n % 3 === 0 ? 5n : 2n ** 64n - 1n - BigInt(n));
  const batch = batchOf(values.map((value) => [WHOLE, value]));
  rows.add(batch, 0, batch.length, () => 1);
  rows.sort();
  const all = Array.from({ length: batch.length }, (_, row) => expected(batch, row, 1));
  const least = COPY_HEADER_BYTES + 19 + LONGEST_ROW + 2;
  for (let bytes = least; bytes < least + 150; bytes++) {
    assert.deepEqual(copied(rows, 0, rows.length, bytes), all);
  }
});

Deno.test("a day has 86,400 seconds, and a time is that of its own row", () => {
  const rows = new Rows();
  const seconds = [0, DAY - 1, DAY, 20_000 * DAY - 1, 20_000 * DAY, 5];
  const batch = batchOf(seconds.map((second) => [FLOATS, 1, second, 7]));
  rows.add(batch, 0, batch.length, () => 1);
  rows.sort();
  assert.deepEqual([...rows.days], [0, 1, 19_999, 20_000]);
  assert.deepEqual(copied(rows, 0, rows.length, 1000), seconds.map((_, row) => expected(batch, row, 1)));
});

Deno.test("more rows than can be sorted are refused before any is taken", () => {
  const rows = new Rows();
  const batch = batchOf([[FLOATS, 1]]);
  rows.add(batch, 0, 1, () => 1);
  assert.throws(
    () => rows.add(batch, 0, MAX_ROWS, () => 1),
    /Cannot take 1048577 rows: the limit is 1048576/,
  );
  assert.equal(rows.length, 1);
  rows.add(batch, 0, MAX_ROWS - 1, () => 0);
  assert.equal(rows.length, 1);
});

Deno.test("what must be summed again is marked by interval, and what is too late is handed on", () => {
  const rows = new Rows();
  const batch = batchOf([
    ...[60, 119, 120, 59, 179, 180, 120].map((second) =>
      [FLOATS, second, second, 5] as [typeof FLOATS, number, number, number]
    ),
  ]);
  const ids = [1, 9, 18, 3, 10, 2, 1];
  rows.add(batch, 0, batch.length, (_, row) => ids[row]);
  rows.sort();
  const marks = new Map<number, Ranges>([[120, [100, 100]]]);
  const late: [number, LatePoint][] = [];
  rows.mark(60, 60, marks, (n, point) => late.push([n, point]));
  // Ids up to 8 apart are one range.
  assert.deepEqual([...marks], [[120, [100, 100, 1, 1, 10, 18]], [60, [1, 9]], [180, [2, 2]]]);
  assert.deepEqual(late, [[3, { id: 3, second: 59, nanos: 5, value: 59 }]]);
  const far = new Map<number, Ranges>();
  rows.mark(3600, 0, far, () => assert.fail("late"));
  assert.deepEqual([...far], [[0, [1, 18]]]);
});

Deno.test("ranges of series are joined, made coarser, and cut into pieces that have the same series", () => {
  assert.deepEqual(merged([]), []);
  assert.deepEqual(merged([20, 30, 1, 5, 13, 14, 40, 41, 22, 25]), [1, 30, 40, 41]);
  assert.deepEqual(merged([1, 1, 10, 10]), [1, 1, 10, 10]);
  assert.deepEqual(merged([1, 1, 9, 9]), [1, 9]);
  assert.deepEqual(merged([1, 1, 4, 4], 2), [1, 1, 4, 4]);
  const far = [0, 1, 18, 18, 60, 60, 200, 210];
  assert.deepEqual(coarser(far, 4), far);
  assert.deepEqual(coarser(far, 3), [0, 18, 60, 60, 200, 210]);
  assert.deepEqual(coarser(far, 1), [0, 210]);
  assert.deepEqual([...pieces([], 5)], []);
  assert.deepEqual([...pieces([1, 3, 10, 10, 20, 26], 4)], [[1, 3, 10, 10], [20, 23], [24, 26]]);
  assert.deepEqual([...pieces([1, 3], 3)], [[1, 3]]);
  assert.deepEqual([...pieces([1, 1], 3)], [[1, 1]]);
  assert.deepEqual([...pieces([1, 4], 3)], [[1, 3], [4, 4]]);
});
