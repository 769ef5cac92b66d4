/** How points are gathered into batches, and whose they are. */
import assert from "node:assert/strict";
import { BatchBuilder } from "../../lib/points/batch_builder.ts";
import { ClientNames } from "../../lib/points/client_names.ts";
import { Batch, BatchPool, seriesOf } from "../../lib/points/measurement.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { SeriesStore } from "../../lib/points/series_store.ts";
import { instanceOf, NUMBERS } from "../kit/points.ts";

const clients = new ClientTable();
const [A, B] = ["a", "b"].map((name) => clients.get(name, instanceOf(name)));

/** A builder of batches of four points, which number themselves. */
function numbering() {
  const builder = new BatchBuilder(new BatchPool(4, 4, new SeriesStore()));
  let next = 0;
  return {
    builder,
    push(count: number): void {
      for (; count > 0; count--) {
        if (builder.current.length === 4) builder.rotate();
        builder.current.push(NUMBERS, 1, 0, next++);
      }
    },
  };
}

/** The numbers of the points in each batch. */
const numbersOf = (batches: readonly Batch[]) =>
  batches.map(({ values, length }) => [...values.subarray(0, length)].join(" "));
/** The origins of each batch: client, first row, end, number. */
const originsOf = (batches: readonly Batch[]) =>
  batches.map(({ origins }) =>
    origins.map(({ client, start, end, sequence }) => `${client.name} ${start}-${end} ${sequence}`).join(", ")
  );

Deno.test("points are whose they are said to be, over the batches that they came in", () => {
  const { builder, push } = numbering();
  push(3);
  builder.credit(A);
  push(7);
  builder.credit(B);
  builder.credit(B);
  push(1);
  builder.credit(B);
  assert.equal(builder.length, 11);
  assert.deepEqual(originsOf(builder.takeFull()), ["a 0-3 0, b 3-4 0", "b 0-4 0"]);
  assert.equal(builder.length, 3);
  push(2);
  builder.credit(A);
  const batches = builder.take();
  assert.deepEqual(numbersOf(batches), ["8 9 10 11", "12"]);
  assert.deepEqual(originsOf(batches), ["b 0-3 0, a 3-4 0", "a 0-1 0"]);
  assert.ok(builder.isEmpty);
});

Deno.test("a batch that was full before anybody was credited is credited like the others", () => {
  const { builder, push } = numbering();
  push(5);
  builder.credit(A);
  assert.deepEqual(originsOf(builder.take()), ["a 0-4 0", "a 0-1 0"]);
  push(9);
  builder.credit(B);
  assert.deepEqual(originsOf(builder.take()), ["b 0-4 0", "b 0-4 0", "b 0-1 0"]);
});

Deno.test("the name of a client has one number while somebody holds it, and then another one may have it", () => {
  const names = new ClientNames();
  const a = names.hold("a");
  assert.deepEqual([a, names.hold("b"), names.hold("a"), names.size], [1, 2, 1, 2]);
  assert.deepEqual([0, 1, 2].map((number) => names.nameOf(number)), ["", "a", "b"]);
  names.holdAgain(a);
  for (let n = 0; n < 2; n++) names.release(a);
  assert.deepEqual([names.nameOf(a), names.size], ["a", 2]);
  names.release(a);
  assert.deepEqual([names.nameOf(a), names.size, names.hold("c"), names.hold("d")], ["", 1, a, 3]);
  // This process has no name, which is never let go.
  names.release(0);
  names.holdAgain(0);
  assert.deepEqual([names.nameOf(0), names.hold("e")], ["", 4]);
});

Deno.test("a batch that is more than half full is handed over, and a smaller one as a copy", () => {
  const { builder, push } = numbering();
  for (const [count, isCopy] of [[1, true], [2, true], [3, false], [4, false]] as const) {
    push(count);
    builder.credit(A);
    builder.charge(100 * count);
    const { current } = builder;
    const [batch, ...more] = builder.take();
    assert.equal(more.length, 0);
    assert.equal(batch === current, !isCopy, `${count}`);
    assert.equal(builder.current === current, isCopy);
    assert.deepEqual([batch.length, batch.newSeriesBytes], [count, 100 * count]);
    assert.deepEqual(originsOf([batch]), [`a 0-${count} 0`]);
    assert.deepEqual(
      [builder.current.length, builder.current.origins.length, builder.current.newSeriesBytes],
      [0, 0, 0],
    );
  }
  assert.deepEqual(builder.take(), []);
});

Deno.test("the number of a batch without points is handed over, too", () => {
  const { builder } = numbering();
  assert.ok(builder.isEmpty);
  builder.current.credit(A, 7);
  assert.ok(!builder.isEmpty);
  assert.deepEqual(originsOf(builder.take()), ["a 0-0 7"]);
  assert.ok(builder.isEmpty);
});

Deno.test("points that must not be parted come into one batch, behind those that came before", () => {
  const { builder, push } = numbering();
  const first = builder.current;
  assert.equal(builder.room(4), first, "there is room for as many as a batch has");
  const put = (rows: number) => {
    const batch = builder.room(rows);
    for (let n = 0; n < rows; n++) batch.push(NUMBERS, 1, 0, 100 + n);
    builder.add(batch);
  };
  put(1);
  put(3);
  push(1);
  put(3);
  put(6);
  put(5);
  put(1);
  put(4);
  assert.deepEqual(numbersOf(builder.take()), [
    "100 100 101 102",
    "0 100 101 102",
    "100 101 102 103 104 105",
    "100 101 102 103 104",
    "100",
    "100 101 102 103",
  ]);
  // A number stands before what comes behind it, though it has no points.
  builder.current.credit(A, 7);
  put(5);
  assert.deepEqual(originsOf(builder.take()), ["a 0-0 7", ""]);
});

Deno.test("memory of new series is charged to the batch that has their points", () => {
  const { builder, push } = numbering();
  builder.charge(1);
  assert.equal(builder.current.newSeriesBytes, 1);
  push(4);
  builder.rotate();
  builder.charge(10);
  push(1);
  builder.charge(100);
  assert.deepEqual(builder.full.map(({ newSeriesBytes }) => newSeriesBytes), [11]);
  assert.equal(builder.current.newSeriesBytes, 100);
  push(3);
  builder.rotate();
  builder.charge(5);
  assert.deepEqual(builder.full.map(({ newSeriesBytes }) => newSeriesBytes), [11, 105]);
});

Deno.test("what was gathered since is forgotten, over as many batches as it takes", () => {
  for (let length = 0; length <= 11; length++) {
    const { builder, push } = numbering();
    push(11);
    builder.truncate(length);
    assert.equal(builder.length, length);
    push(1);
    const numbers = numbersOf(builder.take()).join(" ").trim();
    assert.equal(numbers, [...Array(length).keys(), 11].join(" "));
  }
});

Deno.test("rows that fail a test are taken out, with their exact values and nobody else's", () => {
  const store = new SeriesStore();
  const batch = new Batch(1, null, store);
  const big = 2n ** 60n;
  for (let n = 0; n < 10; n++) batch.pushU64(NUMBERS, n, n, n % 2 === 0 ? big + BigInt(n) : BigInt(n));
  batch.retain(2, (_, row) => row % 3 !== 0);
  const rows = [0, 1, 2, 4, 5, 7, 8];
  assert.deepEqual([...batch.seconds.subarray(0, batch.length)], rows);
  assert.deepEqual([...batch.nanos.subarray(0, batch.length)], rows);
  assert.deepEqual(
    rows.map((_, row) => batch.exactValue(row)),
    rows.map((n) => n % 2 === 0 ? big + BigInt(n) : BigInt(n)),
  );
  assert.deepEqual([...batch.exact!.keys()].sort(), [0, 2, 3, 6]);
  batch.retain(0, (_, row) => row === 1);
  assert.deepEqual([batch.length, batch.values[0], batch.exact], [1, 1, null]);
});

Deno.test("a copy has all of a batch, and keeps its series when the batch has let them go", () => {
  const store = new SeriesStore();
  const batch = new Batch(64, null, store);
  batch.push(NUMBERS, 5, 6, 1);
  batch.credit(A, 7);
  batch.pushU64(NUMBERS, 8, 9, 2n ** 60n + 1n);
  batch.credit(B, 3);
  batch.newSeriesBytes = 10;
  store.poison();
  store.tick();
  const copy = batch.copy();
  batch.clear();
  for (let n = 0; n < 10; n++) store.tick();
  store.assertLive(copy.series, 2);
  assert.deepEqual([copy.length, copy.series.length, copy.newSeriesBytes], [2, 2, 10]);
  assert.deepEqual([[...copy.seconds], [...copy.nanos]], [[5, 8], [6, 9]]);
  assert.deepEqual([copy.exactValue(0), copy.exactValue(1)], [1n, 2n ** 60n + 1n]);
  assert.deepEqual(originsOf([copy]), ["a 0-1 7, b 1-2 3"]);
  copy.release();
  for (let n = 0; n < 10; n++) store.tick();
  assert.equal(store.size, 0);
});

Deno.test("a batch takes memory for its points and for the series that came with them, and room is made before it is needed", () => {
  const batch = new Batch(4, null, new SeriesStore());
  for (let n = 0; n < 3; n++) batch.push(NUMBERS, 1, 0, n);
  batch.newSeriesBytes = 7;
  assert.equal(batch.byteLength, 3 * 32 + 7);
  batch.reserve(10);
  assert.ok(batch.series.length >= 13);
  for (let n = 3; n < 100; n++) batch.push(NUMBERS, 1, 0, n);
  assert.deepEqual([...batch.values.subarray(0, 100)], [...Array(100).keys()]);
});

Deno.test("a whole number that a double holds stands in the column alone", () => {
  const batch = new Batch(1, null, new SeriesStore());
  batch.pushU64(NUMBERS, 1, 0, 2n ** 53n);
  assert.equal(batch.exact, null);
  batch.pushU64(NUMBERS, 1, 0, 2n ** 53n + 1n);
  assert.deepEqual([...batch.exact!], [[1, 2n ** 53n + 1n]]);
  assert.deepEqual([batch.exactValue(0), batch.exactValue(1)], [2n ** 53n, 2n ** 53n + 1n]);
});

Deno.test("a row of another batch comes with its exact value, also as a point of another series", () => {
  const store = new SeriesStore();
  const [from, to] = [new Batch(2, null, store), new Batch(2, null, store)];
  from.push(NUMBERS, 5, 6, 7);
  from.pushU64(NUMBERS, 8, 9, 2n ** 60n + 1n);
  to.pushFrom(from, 1, 3);
  to.pushFrom(from, 0);
  assert.deepEqual([to.exactValue(0), to.exactValue(1), [...to.series]], [2n ** 60n + 1n, 7n, [
    3,
    from.series[0],
  ]]);
  assert.deepEqual([[...to.seconds], [...to.nanos]], [[8, 5], [9, 6]]);
});

Deno.test("a copy keeps each of its series, also the only one", () => {
  for (const count of [1, 2]) {
    const store = new SeriesStore();
    const batch = new Batch(64, null, store);
    for (let n = 0; n < count; n++) batch.push(seriesOf(NUMBERS.metric, { resourceId: `${n}` }), 1, 0, n);
    store.poison();
    store.tick();
    const copy = batch.copy();
    batch.release();
    for (let n = 0; n < 10; n++) store.tick();
    assert.equal(store.size, count);
    copy.release();
  }
});

Deno.test("a batch that is mostly empty goes on in one that fits, which is used again once it is released", () => {
  const builder = new BatchBuilder(new BatchPool(1024, 2, new SeriesStore()));
  const take = (points: number) => {
    for (let n = 0; n < points; n++) builder.current.push(NUMBERS, 1, 0, n);
    builder.credit(A);
    const batches = builder.take();
    assert.deepEqual(batches.map(({ length, origins }) => [length, origins.length]), [[points, 1]]);
    return batches[0];
  };
  for (const [points, columns] of [[1024, 1024], [513, 1024], [512, 512], [129, 256], [64, 64], [1, 64]]) {
    const batch = take(points);
    assert.equal(batch.series.length, columns, `for ${points} points`);
    const { values } = batch;
    batch.release();
    const next = take(points);
    if (points <= 512) assert.equal(next.values, values, `again for ${points} points`);
    next.release();
  }
});

Deno.test("nothing is credited without points, unless it has a number", () => {
  const batch = new Batch(4, null, new SeriesStore());
  const origins = () => originsOf([batch])[0];
  batch.credit(A);
  assert.equal(origins(), "");
  batch.push(NUMBERS, 1, 0, 0);
  batch.credit(A);
  batch.credit(B);
  assert.equal(origins(), "a 0-1 0");
  batch.credit(A, 1);
  assert.equal(origins(), "a 0-1 0, a 1-1 1");
});

Deno.test("what is cut off takes its origins and its exact values with it, and leaves the others", () => {
  const batch = new Batch(4, null, new SeriesStore());
  const big = 2n ** 60n;
  for (const client of [A, B, A]) {
    batch.pushU64(NUMBERS, 1, 0, big);
    batch.credit(client, 5);
  }
  batch.truncate(2);
  assert.deepEqual([originsOf([batch])[0], [...batch.exact!.keys()]], ["a 0-1 5, b 1-2 5", [0, 1]]);
  batch.truncate(0);
  assert.deepEqual([originsOf([batch])[0], batch.exact, batch.length], ["", null, 0]);
});

Deno.test("a pool gives batches that are empty again, and keeps no more than it may", () => {
  const pool = new BatchPool(4, 2, new SeriesStore());
  const batches = [1, 2, 3].map((n) => {
    const batch = pool.take();
    batch.push(NUMBERS, 1, 0, n);
    batch.credit(A, n);
    batch.newSeriesBytes = n;
    return batch;
  });
  for (const batch of batches) batch.release();
  const again = [pool.take(), pool.take(), pool.take()];
  assert.deepEqual(again.map((batch) => batches.indexOf(batch)), [1, 0, -1]);
  for (const batch of again) {
    assert.deepEqual([batch.length, batch.origins, batch.newSeriesBytes, batch.exact], [0, [], 0, null]);
  }
});
