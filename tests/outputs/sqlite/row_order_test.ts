/** The rows of a transaction: gathered from batches, and their order within a part. */
import assert from "node:assert/strict";
import { Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { ClientTable, LOCAL_ORIGIN } from "../../../lib/points/origins.ts";
import { SeriesStore } from "../../../lib/points/series_store.ts";
import { Gathering, Known } from "../../../lib/outputs/sqlite/gather.ts";
import { newColumns, type PointColumns } from "../../../lib/outputs/threads/point_columns.ts";
import { middleOf, RowOrder } from "../../../lib/outputs/sqlite/row_order.ts";
import { Chance } from "../../kit/bytes.ts";
import { metricOf } from "../../kit/decode.ts";

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
  for (let round = 0; round < 150; round++) {
    const count = chance.int(400);
    const spread = [1, 3, 100_000, 10_000_000][chance.int(4)];
    const samples = Array.from({ length: count }, () => ({
      series: chance.int(1 + chance.int(60)),
      seconds: 1_700_000_000 + chance.int(spread) + (round % 4 === 0 ? 86_400 * chance.int(3) : 0),
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
    // Of what has the same series and time, what came first is in the first part of its day, the next one in the next.
    const firstPart = new Map<number, number>();
    parts.forEach(({ day, repeats }, part) => {
      if (!repeats) firstPart.set(day, part);
    });
    const places = new Map(
      parts.flatMap(({ from, to, day }, part) =>
        [...order.order.subarray(from, to)].map((row): [number, number] => [row, part - firstPart.get(day)!])
      ),
    );
    const before = new Map<string, number>();
    for (const row of seen) {
      const key = `${ids[samples[row].series]} ${samples[row].seconds} ${samples[row].nanos}`;
      assert.equal(places.get(row), before.get(key) ?? 0, `round ${round}, row ${row}`);
      before.set(key, (before.get(key) ?? 0) + 1);
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

Deno.test("a part ends with its day, to the second, and nothing has no part", () => {
  const order = new RowOrder();
  const midnight = 20_000 * 86_400;
  const samples = [midnight, midnight - 1, midnight + 86_399].map((seconds) => ({
    series: 0,
    seconds,
    nanos: 0,
  }));
  const parts = order.arrange(columnsOf(samples), new Float64Array(1));
  assert.deepEqual(parts.map(({ day, first, last, from, to }) => [day, first, last, to - from]), [
    [19_999, midnight - 1, midnight - 1, 1],
    [20_000, midnight, midnight + 86_399, 2],
  ]);
  const two = order.arrange(columnsOf(samples), new Float64Array(1), Uint32Array.of(0, 1));
  assert.deepEqual(two.map(({ day }) => day), [19_999, 20_000]);
  assert.deepEqual(order.arrange(columnsOf(samples), new Float64Array(1), new Uint32Array()), []);
  assert.deepEqual(order.arrange(columnsOf([]), new Float64Array(1)), []);
});

Deno.test("no more than two million rows are sorted at once", () => {
  const arrange = (length: number) =>
    new RowOrder().arrange({ ...newColumns(0), length }, new Float64Array(1), new Uint32Array());
  assert.deepEqual(arrange(2 ** 21), []);
  assert.throws(() => arrange(2 ** 21 + 1), /Cannot sort 2097153 rows: at most 2097152/);
});

Deno.test("points within four seconds have short offsets to both sides of the middle, others count from the first", () => {
  const starts = [0, 1, 2, 3, 4, 5, 6].map((span) => middleOf(1000, 1000 + span));
  assert.deepEqual(starts, [1002, 1002, 1002, 1002, 1000, 1000, 1000]);
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

const DAY_MS = 86_400_000;
const POWER = metricOf("power", "f64", { base: "W", prefix: "milli" });
const COUNT = metricOf("count", "u64");

function gathered() {
  const store = new SeriesStore();
  const known = new Known(store);
  const batchOf = (...rows: [series: ReturnType<typeof seriesOf>, value: number | bigint][]) => {
    const batch = new Batch(rows.length, null, store);
    for (const [i, [series, value]] of rows.entries()) {
      if (typeof value === "bigint") batch.pushU64(series, 1000 + i, i, value);
      else batch.push(series, 1000 + i, i, value);
    }
    return batch;
  };
  return { store, known, batchOf };
}

Deno.test("the thread is told of a series and of its metric once, each day that it is used, and again after a day without", () => {
  const { store, known, batchOf } = gathered();
  const one = seriesOf(POWER, { resourceId: "1", attributes: [["relay_client", "node-1"], ["a", 1n]] });
  const two = seriesOf(POWER, { resourceId: "2", consumerKind: "process", consumerId: "7" });
  const [first, both] = [batchOf([one, 1]), batchOf([one, 1], [two, 2])];
  const tellOn = (day: number, batch: Batch) => {
    known.begin(day * DAY_MS + DAY_MS / 2 + 1999);
    known.look(batch);
    const count = known.newSeries;
    const told = known.take();
    assert.deepEqual([count, known.newSeries], [told.series.length, 0]);
    return told;
  };
  const [number, other] = [...both.series];
  const metric = store.metrics[number];
  assert.deepEqual(tellOn(20_000, first), {
    metrics: [
      {
        number: metric,
        name: "power",
        type: "f64",
        unitBase: "W",
        unitPrefix: "milli",
        unit: "mW",
        description: "",
      },
    ],
    series: [
      {
        number,
        metric,
        relayClient: "node-1",
        resourceKind: "local_machine",
        resourceId: "1",
        consumerKind: "local_machine",
        consumerId: "",
        attributes: '{"a":1}',
      },
    ],
    used: [],
    day: 20_000,
    second: 20_000 * 86_400 + 43_201,
  });
  const { metrics, series, used } = tellOn(20_000, both);
  assert.deepEqual([metrics, series.map(({ number }) => number), used], [[], [other], []]);
  assert.deepEqual(tellOn(20_000, both).series, []);
  assert.deepEqual(tellOn(20_001, both).used, [number, other]);
  const again = tellOn(20_003, both);
  assert.deepEqual([again.series.length, again.metrics, again.used], [2, [], []]);
  const all = known.describe([other]);
  assert.deepEqual([all.metrics.length, all.series.map(({ number }) => number)], [1, [other]]);
  assert.deepEqual([known.newSeries, known.describe([other]).metrics.length], [0, 1]);
});

Deno.test("on the first day since the epoch, too, the thread is told of a series", () => {
  const { known, batchOf } = gathered();
  const batch = batchOf([seriesOf(POWER), 1]);
  known.begin(DAY_MS);
  known.look(batch);
  const { series, used } = known.take();
  assert.deepEqual([series.length, used], [1, []]);
});

Deno.test("the rows of batches follow each other, with their exact values, their clients and what cannot be stored", () => {
  const { known, batchOf } = gathered();
  const clients = new ClientTable();
  const [power, count] = [seriesOf(POWER), seriesOf(COUNT)];
  const one = batchOf([power, 1.5], [count, 2n ** 53n + 1n]);
  one.credit(clients.get("node-1", "1".repeat(32)), 7);
  const two = batchOf();
  for (const [series, value] of [[power, 3], [count, 0.5]] as const) two.push(series, 5, 6, value);
  two.credit(clients.local);
  two.pushU64(count, 8, 9, 2n ** 64n - 1n);
  two.credit(clients.get("agent"));
  two.push(power, 8, 9, 4);
  two.credit(clients.get(LOCAL_ORIGIN, ""));
  const columns = newColumns(6);
  columns.length = 5;
  const gathering = new Gathering(known, columns);
  known.begin(20_000 * DAY_MS);
  assert.deepEqual([gathering.points, gathering.position, gathering.isFull], [0, -1, false]);
  gathering.add(one, 10);
  assert.deepEqual([gathering.hasRoomFor(two), gathering.isFull], [true, false]);
  gathering.add(two, 11);
  assert.deepEqual([gathering.points, gathering.isFull, gathering.batches], [6, true, [one, two]]);
  assert.equal(gathering.hasRoomFor(batchOf([power, 1])), false);
  assert.deepEqual(gathering.problems.map(({ row }) => row), [3]);
  const group = gathering.group("journal", true);
  const { length, series, seconds, nanos, values } = group.columns;
  assert.equal(length, 6);
  assert.deepEqual([...series], [...one.series, ...two.series].slice(0, 6));
  assert.deepEqual([...seconds], [1000, 1001, 5, 5, 8, 8]);
  assert.deepEqual([...nanos], [0, 1, 6, 6, 9, 9]);
  assert.deepEqual([...values], [1.5, 2 ** 53, 3, 0.5, 2 ** 64, 4]);
  assert.deepEqual(group.exact, [[1, 2n ** 53n + 1n], [4, 2n ** 64n - 1n]]);
  assert.deepEqual(group.clients, [
    { name: "node-1", instance: "1".repeat(32), sequence: 7, start: 0, end: 2 },
    { name: "agent", instance: "", sequence: 0, start: 4, end: 5 },
  ]);
  assert.deepEqual([group.position, group.busy], [{ journal: "journal", number: 11 }, true]);
  assert.equal(gathering.group(null, false).position, null);
});

Deno.test("a batch that is larger than the columns is gathered alone, and many new series fill a group", () => {
  const { known, batchOf } = gathered();
  known.begin(20_000 * DAY_MS);
  const three = batchOf(
    ...[1, 2, 3].map((value): [ReturnType<typeof seriesOf>, number] => [seriesOf(POWER), value]),
  );
  const small = new Gathering(known, newColumns(2));
  assert.ok(small.hasRoomFor(three));
  small.add(three, 1);
  assert.deepEqual([...small.group(null, false).columns.values], [1, 2, 3]);
  const many = new Gathering(known, newColumns(10_000));
  const series = Array.from({ length: 4096 }, (_, i) => seriesOf(POWER, { resourceId: `${i}` }));
  const rows = series.map((one): [typeof one, number] => [one, 1]);
  many.add(batchOf(...rows.slice(0, 4095)), 1);
  assert.equal(many.isFull, false);
  many.add(batchOf(rows[4095]), 2);
  assert.ok(many.isFull);
});
