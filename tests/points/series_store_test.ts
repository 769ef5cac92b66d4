import assert from "node:assert/strict";
import { Batch, type Series, seriesOf } from "../../lib/points/measurement.ts";
import { SeriesColumn } from "../../lib/points/series_column.ts";
import { Arena, pieceBytes } from "../../lib/points/arena.ts";
import { hashTail } from "../../lib/points/hash.ts";
import { FIRST_SERIES, type RawSeries, SERIES_FLAGS, SeriesStore } from "../../lib/points/series_store.ts";
import { writeTail } from "../../lib/points/tail.ts";
import { PostcardWriter } from "../../lib/postcard.ts";
import { cases, Chance, withSlack } from "../kit/bytes.ts";
import { metricOf } from "../kit/decode.ts";

const POWER = metricOf("power", "f64");
const COUNT = metricOf("count");
const TICKS = 310;

const named = (name: string) => seriesOf(COUNT, { consumerId: name });

function idle(store: SeriesStore): void {
  for (let n = 0; n < 2 * TICKS; n++) store.tick();
}

/** Puts one point of each series into a batch. */
function batchOf(store: SeriesStore, ...all: Series[]): Batch {
  const batch = new Batch(all.length, null, store);
  for (const series of all) batch.push(series, 1, 0, 0);
  return batch;
}

Deno.test("a series has one number, however it comes, and its definition comes back", () => {
  const store = new SeriesStore();
  const chance = new Chance(1);
  const numbers = new Map<string, number>();
  for (let n = 0; n < 2000; n++) {
    const definition = {
      resourceKind: chance.text(),
      resourceId: `${chance.int(20)}`,
      consumerKind: chance.pick(["process", "x".repeat(300)]),
      consumerId: `${chance.int(20)}`,
      attributes: [
        ["u", BigInt(chance.int(3))],
        ["list", [1n, 2n ** 64n - 1n]],
        ["relay_client", `node-${chance.int(3)}`],
      ] as [string, bigint | bigint[] | string][],
    };
    const series = seriesOf(chance.pick([POWER, COUNT]), definition);
    const number = store.numberOf(series);
    assert.ok(number >= FIRST_SERIES);
    const { metric, ...rest } = store.definitionOf(number);
    assert.equal(metric, series.metric);
    assert.deepEqual(rest, definition);
    const key = JSON.stringify([metric.name, definition], (_, v) => typeof v === "bigint" ? `${v}n` : v);
    assert.equal(numbers.get(key) ?? number, number);
    numbers.set(key, number);
  }
  assert.equal(new Set(numbers.values()).size, store.size);
});

Deno.test("a series takes as much as the store grows by it", () => {
  const store = new SeriesStore();
  for (const length of [1, 100, 5000]) {
    const before = store.bytes;
    const number = store.numberOf(named("x".repeat(length)));
    assert.equal(store.bytesOf(number), store.bytes - before);
  }
});

Deno.test("the name of a client is not in the tail, unless another attribute comes after it", () => {
  const store = new SeriesStore();
  const last = store.numberOf(seriesOf(COUNT, { attributes: [["a", 1n], ["relay_client", "x"]] }));
  const alone = store.numberOf(seriesOf(COUNT, { attributes: [["relay_client", "x"]] }));
  const first = store.numberOf(seriesOf(COUNT, { attributes: [["relay_client", "x"], ["a", 1n]] }));
  for (const number of [last, alone]) assert.equal(store.names.nameOf(store.clients[number]), "x");
  assert.equal(store.clients[first], 0);
  for (const number of [last, alone, first]) {
    assert.deepEqual(store.clientAttributeOf(number), ["relay_client", "x"]);
  }
  assert.equal(store.clientAttributeOf(store.numberOf(named("local"))), undefined);
});

Deno.test("a series of which nothing comes is given back, and its next point has another number", () => {
  const store = new SeriesStore();
  store.debug = true;
  const [quiet, busy] = [named("quiet"), named("busy")];
  batchOf(store, quiet, busy).release();
  const [first, kept] = [quiet.number, busy.number];
  for (let n = 0; n < 2 * TICKS; n++) {
    batchOf(store, busy).release();
    store.tick();
  }
  assert.deepEqual([store.size, store.isLive(first), store.isLive(kept)], [1, false, true]);
  const batch = batchOf(store, quiet);
  assert.notEqual(quiet.number, first);
  assert.equal(batch.seriesAt(0).consumerId, "quiet");
});

Deno.test("what is in a batch stays until the batch is released, however long that takes", () => {
  const store = new SeriesStore();
  const [early, late] = [named("early"), named("late")];
  const held = batchOf(store, early);
  batchOf(store, late).release();
  idle(store);
  assert.equal(held.seriesAt(0).consumerId, "early");
  // What was seen after the batch was begun may be in it, for all the store knows.
  assert.equal(store.size, 2);
  held.release();
  idle(store);
  assert.equal(store.size, 0);
});

Deno.test("a batch that nobody releases lets its series go when it is collected", async () => {
  const collect: (() => void)[] = [];
  const Registry = globalThis.FinalizationRegistry;
  globalThis.FinalizationRegistry = class {
    constructor(readonly onCollected: (held: unknown) => void) {}
    register(_batch: WeakKey, held: unknown): void {
      collect.push(() => this.onCollected(held));
    }
  } as unknown as typeof Registry;
  try {
    // Another copy of the module, as the registry is made when it is loaded.
    const copy = "../../lib/points/measurement.ts?collected";
    const { Batch } = await import(copy);
    const store = new SeriesStore();
    const batch = new Batch(1, null, store);
    batch.push(named("lost"), 1, 0, 0);
    idle(store);
    assert.deepEqual([store.size, collect.length], [1, 1]);
    collect[0]();
    idle(store);
    assert.equal(store.size, 0);
    // One that was released holds nothing any more: another hold of the same epoch stays.
    const [released, held] = [new Batch(1, null, store), new Batch(1, null, store)];
    for (const one of [released, held]) one.push(named("held"), 1, 0, 0);
    released.release();
    collect[1]();
    idle(store);
    assert.equal(store.size, 1);
  } finally {
    globalThis.FinalizationRegistry = Registry;
  }
});

Deno.test("a batch that is cleared or truncated to nothing holds nothing, and holds again with the next point", () => {
  const store = new SeriesStore();
  const batch = batchOf(store, named("a"));
  batch.truncate(0);
  idle(store);
  assert.equal(store.size, 0);
  batch.push(named("b"), 1, 0, 0);
  idle(store);
  assert.equal(batch.seriesAt(0).consumerId, "b");
});

Deno.test("a pinned series stays until it is unpinned as often", () => {
  const store = new SeriesStore();
  const number = store.numberOf(named("a"));
  store.pin(number);
  store.pin(number);
  idle(store);
  store.unpin(number);
  idle(store);
  assert.equal(store.size, 1);
  store.unpin(number);
  idle(store);
  assert.equal(store.size, 0);
});

Deno.test("a column forgets what a number was when it is given back, and says so", () => {
  const store = new SeriesStore();
  const told: [number, number][] = [];
  const column = new SeriesColumn(store, (number, value) => told.push([number, value]));
  const numbers = Array.from({ length: 5000 }, (_, i) => store.numberOf(named(`${i}`)));
  assert.ok(column.values.length >= store.capacity);
  column.values[numbers[7]] = 70;
  column.values[numbers[4999]] = 71;
  idle(store);
  assert.deepEqual(told.sort(), [[numbers[7], 70], [numbers[4999], 71]].sort());
  assert.ok(column.values.every((value) => value === 0));
  column.values.fill(5);
  column.clear();
  assert.ok(column.values.every((value) => value === 0));
});

Deno.test("the shares of a limit: a sixteenth for a client and for the texts of a dictionary, half for a stream", () => {
  const MIB = 1024 ** 2;
  const store = new SeriesStore();
  assert.deepEqual([store.limitBytes, store.shareBytes, store.maxDictionaryBytes], [
    256 * MIB,
    16 * MIB,
    16 * MIB,
  ]);
  assert.equal(store.maxSeriesOfStream, Math.floor(128 * MIB / 140));
  store.limit({ limitBytes: 1024 * MIB });
  assert.deepEqual([store.shareBytes, store.maxDictionaryBytes], [64 * MIB, 64 * MIB]);
  store.limit({ limitBytes: 2048 * MIB });
  assert.equal(store.maxDictionaryBytes, 64 * MIB);
  store.limit({ limitBytes: 4 * MIB });
  assert.equal(store.maxDictionaryBytes, MIB);
  store.limit({ limitBytes: 1000 });
  assert.equal(store.maxSeriesOfStream, 1024);
  store.limit({ shareBytes: 5 });
  assert.deepEqual([store.limitBytes, store.shareBytes], [1000, 5]);
});

Deno.test("a series that nobody sends is known for 300 ticks after its own, and forgotten within 60 more", () => {
  const store = new SeriesStore();
  for (const count of [1, 3000]) {
    batchOf(store, ...Array.from({ length: count }, (_, n) => named(`quiet-${n}`))).release();
    for (let n = 0; n < 301; n++) store.tick();
    assert.equal(store.size, count);
    // A thousand are looked at all at once.
    for (let n = 0; n < (count === 1 ? 1 : 60); n++) store.tick();
    assert.equal(store.size, 0);
  }
});

Deno.test("a new store has counted nothing, and gives numbers again", () => {
  const store = new SeriesStore();
  assert.deepEqual([store.size, store.bytes, store.newBytes, store.excess, store.forgotten], [0, 0, 0, 0, 0]);
  const first = store.numberOf(named("a"));
  idle(store);
  assert.equal(store.numberOf(named("b")), first);
  assert.ok(store.numberOf(named("c")) > first);
  assert.deepEqual([store.size, store.forgotten, store.excess], [2, 1, 0]);
});

Deno.test("thousands of series are found again, each by its own number", () => {
  const store = new SeriesStore();
  const numbers = () => Array.from({ length: 4000 }, (_, n) => store.numberOf(named(`${n}`)));
  const first = numbers();
  assert.deepEqual(numbers(), first);
  assert.equal(new Set(first).size, 4000);
  assert.equal(store.size, 4000);
});

/** A series in bytes, as it comes from a stream; `client` is not in its tail. */
function rawOf(series: Series, client: string | null = null, namesClient = false): RawSeries {
  const writer = new PostcardWriter();
  writeTail(writer, series, series.attributes.length);
  const { length } = writer;
  const bytes = withSlack(writer.written);
  return {
    metric: series.metric,
    bytes,
    view: new DataView(bytes.buffer),
    length,
    client,
    namesClient,
    longestName: 0,
  };
}

const ATTRIBUTES = [["k", 0.5], ["long", "x".repeat(100)], ["list", [1n, 2n]]] as const;

Deno.test("a series in bytes is that of the same definition, under the name of its client or of another", () => {
  const store = new SeriesStore();
  const bare = seriesOf(POWER, { resourceKind: "gpu", consumerId: "7", attributes: ATTRIBUTES });
  const of = (client: string) =>
    seriesOf(POWER, { ...bare, attributes: [...ATTRIBUTES, ["relay_client", client]] });
  assert.equal(store.internRaw(rawOf(bare)), store.numberOf(bare));
  assert.equal(store.internRaw(rawOf(bare, "a")), store.numberOf(of("a")));
  assert.equal(store.internRaw(rawOf(bare), "b"), store.numberOf(of("b")));
  assert.equal(store.internRaw(rawOf(bare, "a"), null), store.numberOf(bare));
  assert.equal(store.size, 3);
  assert.equal(store.names.size, 2);
});

Deno.test("series in bytes follow one another as they came first, and what a connection has learnt stays", () => {
  const store = new SeriesStore();
  const raws = ["a", "b", "c"].map((name) => rawOf(named(name)));
  const numbers = raws.map((raw) => store.internRaw(raw));
  const [a, b, c] = numbers;
  assert.deepEqual([store.following[a], store.following[b]], [b, c]);
  // In another order each of them is itself, and is expected where it came first.
  for (const n of [0, 2, 1, 1, 2, 0]) assert.equal(store.internRaw(raws[n]), numbers[n]);
  assert.deepEqual([store.following[a], store.following[b], store.following[c]], [b, c, a]);
  store.following[a] = c;
  assert.deepEqual([raws[0], raws[1]].map((raw) => store.internRaw(raw)), [a, b]);
  assert.equal(store.following[a], c);
  // A number that was given back and is that of another series now is not taken for the first one.
  idle(store);
  const other = store.internRaw(rawOf(named("other")));
  assert.ok(numbers.includes(other) && store.definitionOf(other).consumerId === "other");
  for (const name of ["a", "b", "c"]) {
    assert.equal(store.definitionOf(store.internRaw(rawOf(named(name)))).consumerId, name);
  }
  assert.equal(store.size, 4);
});

Deno.test("a series is found by its bytes only if it is known, with its metric and its client", () => {
  const store = new SeriesStore();
  const series = seriesOf(POWER, { attributes: ATTRIBUTES });
  const { view, length } = rawOf(series);
  const metric = store.metricNumber(POWER);
  assert.equal(store.find(metric, 0, view, 0, length), 0);
  const number = store.numberOf(series);
  assert.equal(store.find(metric, 0, view, 0, length), number);
  assert.equal(store.find(store.metricNumber(COUNT), 0, view, 0, length), 0);
  assert.equal(store.find(metric, store.names.hold("a"), view, 0, length), 0);
  assert.equal(store.find(metric, 0, view, 0, length - 1), 0);
});

Deno.test("flags say the type of a series, and whether an attribute of its tail names a client", () => {
  const store = new SeriesStore();
  const named: [string, string][] = [["relay_client", "x"], ["a", "b"]];
  for (const metric of [POWER, COUNT]) {
    for (
      const [attributes, names] of [
        [[], false],
        [[["a", "b"]], false],
        [[["a", "b"], ["relay_client", "x"]], false],
        [named, true],
        [[...named, ["relay_client", "y"]], true],
        // A name that is not a text is an attribute like others.
        [[["relay_client", 7n]], true],
      ] as const
    ) {
      const flags = store.flags[store.numberOf(seriesOf(metric, { attributes }))];
      assert.equal(flags & SERIES_FLAGS.u64, metric === COUNT ? SERIES_FLAGS.u64 : 0);
      assert.equal(flags & SERIES_FLAGS.namesClient, names ? SERIES_FLAGS.namesClient : 0, `${attributes}`);
    }
  }
});

Deno.test("a series with another metric has the rest of the first, its owner, its client and its flags", () => {
  const store = new SeriesStore();
  const owner = store.names.hold("owner");
  for (
    const attributes of [ATTRIBUTES, [...ATTRIBUTES, ["relay_client", "x"]], [["relay_client", "x"], [
      "a",
      1n,
    ]]] as const
  ) {
    const series = seriesOf(POWER, { resourceKind: "gpu", consumerId: "7", attributes });
    const number = store.internDefinition(series, owner);
    const other = store.withMetric(number, COUNT);
    assert.deepEqual(store.definitionOf(other), { ...store.definitionOf(number), metric: COUNT });
    assert.deepEqual(
      [store.ownerOf(other), store.clients[other], store.flags[other]],
      [owner, store.clients[number], store.flags[number] | SERIES_FLAGS.u64],
    );
    assert.equal(other, store.numberOf(seriesOf(COUNT, { ...series, attributes })));
    assert.equal(store.withMetric(other, POWER), number);
  }
});

Deno.test("two series with the same hash are two series", () => {
  const store = new SeriesStore();
  const metric = store.metricNumber(COUNT);
  const series = (n: number) => named(String(n).padStart(8, "0"));
  const { bytes, view, length } = rawOf(series(0));
  const at = bytes.indexOf(0x30);
  const known = new Map<number, number>();
  // Among 200,000 there are four such pairs on average.
  for (let n = 0;; n++) {
    for (let i = 0, rest = n; i < 8; i++, rest = Math.floor(rest / 10)) bytes[at + 7 - i] = 0x30 + rest % 10;
    const hash = hashTail(view, 0, length, metric, 0);
    const other = known.get(hash);
    known.set(hash, n);
    if (other === undefined) continue;
    const numbers = [n, other].map((n) => store.numberOf(series(n)));
    assert.notEqual(numbers[0], numbers[1]);
    assert.deepEqual(numbers.map((number) => Number(store.definitionOf(number).consumerId)), [n, other]);
    assert.deepEqual([n, other].map((n) => store.numberOf(series(n))), numbers);
    break;
  }
});

Deno.test("the epoch grows with each tick, and with each 4096 new series", () => {
  const store = new SeriesStore();
  const { epoch } = store;
  store.tick();
  assert.equal(store.epoch, epoch + 1);
  for (let n = 1; n <= 8192; n++) {
    store.numberOf(named(`${n}`));
    assert.equal(store.epoch, epoch + 1 + Math.floor(n / 4096));
  }
  store.numberOf(named("8192"));
  assert.equal(store.epoch, epoch + 3);
});

Deno.test("a client may have its share, and all may have the limit, to the byte", () => {
  const cost = (() => {
    const store = new SeriesStore();
    store.numberOf(named("0"));
    assert.equal(store.newBytes, store.bytes);
    return store.bytes;
  })();
  for (const [count, less] of [[1, 0], [1, 1], [3, 0], [3, 1]]) {
    const bytes = count * cost - less;
    for (const limits of [{ shareBytes: bytes }, { limitBytes: bytes, shareBytes: 100 * cost }]) {
      const store = new SeriesStore(limits);
      const owner = store.names.hold("owner");
      for (let n = 0; n < count; n++) store.internDefinition(named(`${n}`), owner);
      assert.deepEqual([store.excess, store.bytes, store.newBytes], [less, count * cost, count * cost]);
      store.internDefinition(named("9"), owner);
      assert.equal(store.excess, less + 1);
    }
  }
  // This process has no share.
  const own = new SeriesStore({ shareBytes: cost });
  for (const name of ["0", "1", "2"]) own.numberOf(named(name));
  assert.equal(own.excess, 0);
});

Deno.test("poisoned, a store gives series back after two ticks, and no number again", () => {
  const store = new SeriesStore();
  store.poison();
  const first = store.numberOf(named("a"));
  for (let n = 0; n < 3; n++) store.tick();
  assert.ok(store.isLive(first));
  store.tick();
  assert.ok(!store.isLive(first));
  assert.ok(store.numberOf(named("a")) > first);
});

Deno.test("pieces of an arena are multiples of 8 bytes, of an eighth of their size above 1 KiB, and used again", () => {
  for (
    const [length, bytes] of [
      ...[[0, 8], [1, 8], [8, 8], [9, 16], [1017, 1024], [1024, 1024], [1025, 1152], [1152, 1152], [
        1153,
        1280,
      ]],
      ...[[2047, 2048], [2048, 2048], [2049, 2304], [4097, 4608]],
    ]
  ) assert.equal(pieceBytes(length), bytes, `${length}`);
  const arena = new Arena(16);
  const [a, b, c] = [8, 5, 2000].map((length) => arena.take(length));
  assert.deepEqual([a, b, c], [8, 16, 24]);
  assert.equal(arena.usedBytes, 8 + 8 + 2048);
  // Words behind the last piece may be looked at.
  assert.ok(arena.bytes.length >= c + 2048 + 16);
  assert.equal(arena.view.buffer, arena.bytes.buffer);
  for (const [at, length] of [[a, 8], [b, 5]]) arena.give(at, length);
  assert.equal(arena.usedBytes, 2048);
  assert.deepEqual([arena.take(3), arena.take(1), arena.take(2)], [b, a, 24 + 2048]);
  assert.throws(() => arena.take(2 ** 32), /take more than 4 GiB/);
});

Deno.test("with a limit, those seen least recently go first, and what is in use stays", () => {
  const store = new SeriesStore({ limitBytes: 200_000 });
  const steady = Array.from({ length: 200 }, (_, i) => named(`steady-${i}`));
  const numbers = () => steady.map((series) => store.numberOf(series));
  batchOf(store, ...steady).release();
  const before = numbers();
  for (let n = 0; n < 300; n++) {
    batchOf(store, ...Array.from({ length: 100 }, (_, i) => named(`passing-${n}-${i}`))).release();
    batchOf(store, ...steady).release();
    store.tick();
  }
  assert.deepEqual(numbers(), before);
  assert.ok(store.bytes < 250_000, `${store.bytes} bytes`);
  assert.ok(store.forgotten > 20_000);
});

Deno.test("a client with 200,000 series forgets its own, and nobody else's", () => {
  const store = new SeriesStore({ limitBytes: 4_000_000, shareBytes: 1_000_000 });
  const [stranger, other] = [store.names.hold("stranger"), store.names.hold("other")];
  const own = Array.from({ length: 5000 }, (_, i) => store.internDefinition(named(`other-${i}`), other));
  let most = 0;
  for (let n = 0; n < cases(200); n++) {
    for (let i = 0; i < 1000; i++) store.internDefinition(named(`stranger-${n}-${i}`), stranger);
    most = Math.max(most, store.bytes);
  }
  assert.deepEqual(
    own.map((number, i) => store.isLive(number) && store.definitionOf(number).consumerId === `other-${i}`),
    own.map(() => true),
  );
  assert.ok(most < 2_800_000, `${most} bytes`);
  assert.equal(store.forgotten, 1000 * cases(200) + 5000 - store.size);
  // Only those count that came when there was no room.
  assert.ok(
    store.excess > 900 * cases(200) && store.excess < 1100 * cases(200),
    `${store.excess}`,
  );
  assert.ok(store.newBytes > 100 * (1000 * cases(200) + 5000));
});

Deno.test("a store is crowded while batches hold more series than it may have, and no longer than that", () => {
  const store = new SeriesStore({ limitBytes: 200_000 });
  const held = batchOf(store, named("held"));
  for (let n = 0; !store.isCrowded; n++) {
    assert.ok(store.bytes <= 221_000);
    batchOf(store, named(`new-${n}`)).release();
  }
  assert.ok(store.bytes > 220_000, `${store.bytes}`);
  held.release();
  for (let n = 0; n < 2000; n++) {
    batchOf(store, named(`later-${n}`)).release();
    store.tick();
  }
  assert.ok(!store.isCrowded && store.bytes < 220_000, `${store.bytes}`);
});

Deno.test("memory of texts that come and go is used again", () => {
  const store = new SeriesStore();
  const chance = new Chance(9);
  const wave = (n: number) => {
    for (let i = 0; i < 2000; i++) store.numberOf(named(`${n}-${i}-${"x".repeat(chance.int(40))}`));
    idle(store);
  };
  for (let n = 0; n < 3; n++) wave(n);
  const { length } = store.arena.bytes;
  for (let n = 3; n < 30; n++) wave(n);
  assert.equal(store.arena.bytes.length, length);
  assert.equal(store.arena.usedBytes, 0);
  assert.equal(store.bytes, 0);
});

Deno.test("whatever is done in whatever order, a held batch reads as it was filled", () => {
  for (let seed = 0; seed < cases(5); seed++) {
    const chance = new Chance(seed);
    const store = new SeriesStore({ limitBytes: 20_000 + chance.int(60_000), shareBytes: 15_000 });
    store.debug = chance.int(2) === 0;
    const owners = ["a", "b"].map((name) => store.names.hold(name));
    const held: { batch: Batch; names: string[] }[] = [];
    const pinned: { number: number; name: string }[] = [];
    const local = Array.from({ length: 50 }, (_, i) => named(`local-${i}`));
    let next = 0;
    for (let step = 0; step < 400; step++) {
      const what = chance.int(10);
      if (what < 5) {
        const batch = new Batch(8, null, store);
        const names: string[] = [];
        for (let n = chance.int(60); n > 0; n--) {
          if (chance.int(2) === 0) {
            const series = chance.pick(local);
            batch.push(series, 1, 0, 0);
            names.push(series.consumerId);
          } else {
            const name = chance.int(3) === 0 ? `${chance.int(100)}` : `new-${next++}`;
            batch.pushNumber(store.internDefinition(named(name), chance.pick(owners)), 1, 0, 0);
            names.push(name);
          }
        }
        held.push({ batch, names });
      } else if (what < 8 && held.length > 0) {
        const [{ batch }] = held.splice(chance.int(held.length), 1);
        batch.release();
      } else if (what === 8) {
        for (let n = chance.int(40); n > 0; n--) store.tick();
      } else if (pinned.length > 5) store.unpin(pinned.shift()!.number);
      else {
        const name = `pinned-${step}`;
        const number = store.internDefinition(named(name), owners[0]);
        store.pin(number);
        pinned.push({ number, name });
      }
      for (const { batch, names } of held) {
        const found = names.map((_, row) => batch.seriesAt(row).consumerId);
        assert.deepEqual(found, names, `seed ${seed}, step ${step}`);
      }
      for (const { number, name } of pinned) assert.equal(store.definitionOf(number).consumerId, name);
    }
  }
});

Deno.test("in debug, a batch whose series were given back cannot be released unnoticed", () => {
  const store = new SeriesStore();
  store.debug = true;
  const batch = batchOf(store, named("a"));
  // As if it had been released too early.
  batch.release();
  idle(store);
  assert.throws(() => batch.release(), /Series \d+ is read after it was given back/);
});
