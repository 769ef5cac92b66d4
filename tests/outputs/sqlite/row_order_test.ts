/** The order of rows within a part. */
import assert from "node:assert/strict";
import { newColumns, type PointColumns } from "../../../lib/outputs/threads/point_columns.ts";
import { RowOrder } from "../../../lib/outputs/sqlite/row_order.ts";
import { Chance } from "../../kit/bytes.ts";

interface Sample {
  series: number;
  seconds: number;
  nanos: number;
}

function columnsOf(samples: readonly Sample[]): PointColumns {
  const columns = newColumns(samples.length);
  samples.forEach(({ series, seconds, nanos }, i) => {
    columns.series[i] = series;
    columns.seconds[i] = seconds;
    columns.nanos[i] = nanos;
    columns.values[i] = i;
  });
  columns.length = samples.length;
  return columns;
}

Deno.test("rows of a part are of one day and sorted by series and time, no two are the same, and no row is missing", () => {
  const chance = new Chance(7);
  const order = new RowOrder();
  for (let round = 0; round < 300; round++) {
    const count = chance.int(400);
    const spread = [1, 3, 100_000, 10_000_000][chance.int(4)];
    const samples = Array.from({ length: count }, () => ({
      series: chance.int(1 + chance.int(60)),
      seconds: 1_700_000_000 + chance.int(spread),
      nanos: chance.int(3),
    }));
    // Numbers of series that are equal have the same id.
    const different = chance.pick([10, 2 ** 32]);
    const ids = Float64Array.from({ length: 60 }, () => chance.int(different));
    const selected = round % 3 === 0
      ? Uint32Array.from(samples.keys()).filter(() => chance.int(2) === 0)
      : undefined;
    const parts = order.arrange(columnsOf(samples), ids, selected);

    const seen: number[] = [];
    let at = 0;
    for (const { from, to, day, start, first, last } of parts) {
      assert.equal(from, at);
      assert.ok(to > from);
      at = to;
      const rows = [...order.order.subarray(from, to)];
      seen.push(...rows);
      const seconds = rows.map((row) => samples[row].seconds);
      assert.equal(first, Math.min(...seconds));
      assert.equal(last, Math.max(...seconds));
      for (const second of seconds) assert.equal(Math.floor(second / 86_400), day);
      const offsets = rows.map((row) => (samples[row].seconds - start) * 1e9 + samples[row].nanos);
      const limit = last - first < 4 ? 2 ** 31 : 86_400e9;
      for (const offset of offsets) assert.ok(offset >= -limit && offset < limit);
      for (let k = 1; k < rows.length; k++) {
        const [one, two] = [ids[samples[rows[k - 1]].series], ids[samples[rows[k]].series]];
        assert.ok(one < two || (one === two && offsets[k - 1] < offsets[k]), `round ${round}`);
      }
    }
    assert.deepEqual(seen.sort((a, b) => a - b), [...selected ?? samples.keys()]);
    // Of what has the same series and time, what came first is in the first part.
    const places = new Map(
      parts.flatMap(({ from, to }, part) =>
        [...order.order.subarray(from, to)].map((row): [number, number] => [row, part])
      ),
    );
    const last = new Map<string, number>();
    for (const row of seen) {
      const key = `${ids[samples[row].series]} ${samples[row].seconds} ${samples[row].nanos}`;
      assert.ok(places.get(row)! > (last.get(key) ?? -1), `round ${round}, row ${row}`);
      last.set(key, places.get(row)!);
    }
    // What repeats something is in parts that say so, in the order in which it came.
    const days = new Set(
      samples.filter((_, i) => !selected || selected.includes(i)).map(({ seconds }) =>
        Math.floor(seconds / 86_400)
      ),
    );
    assert.equal(parts.filter(({ repeats }) => !repeats).length, days.size);
  }
});

Deno.test("a part counts from where most of its points are, however far away some are", () => {
  const order = new RowOrder();
  const far = [-40_000, -3, 2, 3, 5000];
  const samples = Array.from({ length: 2000 }, (_, i) => ({
    series: i,
    seconds: 1_700_000_000 + (i % 10 === 0 ? far[i / 10 % 5] : i % 4 - 2),
    nanos: i % 4 === 0 ? 0 : 999_999_999,
  }));
  const [part, ...more] = order.arrange(columnsOf(samples), Float64Array.from(samples.keys()));
  assert.deepEqual(more, []);
  assert.equal(part.start, 1_700_000_000);
  const short = samples.filter(({ seconds, nanos }) => {
    const offset = (seconds - part.start) * 1e9 + nanos;
    return offset >= -(2 ** 31) && offset < 2 ** 31;
  });
  assert.ok(short.length >= 1800);
});

Deno.test("points of one series and one time stay in the order in which they came", () => {
  const order = new RowOrder();
  const columns = columnsOf(Array.from({ length: 200 }, () => ({ series: 0, seconds: 5, nanos: 5 })));
  const parts = order.arrange(columns, new Float64Array(1));
  assert.equal(parts.length, 200);
  assert.deepEqual([...order.order.subarray(0, 200)], Array.from({ length: 200 }, (_, i) => i));
  assert.deepEqual(parts.map(({ repeats }) => repeats), [false, ...Array(199).fill(true)]);
});
