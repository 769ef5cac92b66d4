/** Packs: compaction reads points from them exactly as they are in rows, or else reads the rows. */
import assert from "node:assert/strict";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { seriesStore } from "../../../lib/points/series_store.ts";
import { RowTaker } from "../../../lib/outputs/sqlite/blocks/rows.ts";
import { Packs, type PacksOptions } from "../../../lib/outputs/sqlite/packs.ts";
import { ensureSchema } from "../../../lib/outputs/sqlite/schema.ts";
import { BlockReader } from "../../../lib/outputs/sqlite/blocks/reader.ts";
import { Compaction } from "../../../lib/outputs/sqlite/compaction.ts";
import { Housekeeping } from "../../../lib/outputs/sqlite/housekeeping.ts";
import { newColumns } from "../../../lib/outputs/threads/point_columns.ts";
import { Chance } from "../../kit/bytes.ts";
import { metricOf } from "../../kit/decode.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { Database, DAY_MS, HOUR_MS, START_MS, valueOf } from "./database.ts";

const DAY_S = Math.ceil(START_MS / DAY_MS) * DAY_MS / 1000;
const START_S = 1000;
const SMALL = { leastPoints: 1, stepPoints: 64, packedPoints: 1, piecePoints: 16 };

type Point = readonly [series: number, second: number, nanos: number, value: number | bigint];

function packsOf(db: DatabaseSync, options: PacksOptions = SMALL): Packs {
  const packs = new Packs(db, options);
  packs.compactAfterMs = HOUR_MS;
  return packs;
}

function emptyDatabase(path = ":memory:"): DatabaseSync {
  const db = new DatabaseSync(path);
  ensureSchema(db, []);
  return db;
}

/** Packs points, which are sorted by series and time, as a part of that id. */
function pack(packs: Packs, part: number, points: readonly Point[]): void {
  const columns = newColumns(points.length);
  const exact = new Map<number, bigint>();
  // Rows come in any order, between those of other parts, and number their series in a way of their own.
  const order = Uint32Array.from({ length: 4 + points.length }, (_, k) => points.length - 1 - (k - 3));
  const known = [...new Set(points.map(([series]) => series))];
  for (const [k, [series, second, nanos, value]] of points.entries()) {
    const row = order[3 + k];
    columns.series[row] = known.indexOf(series);
    columns.seconds[row] = second;
    columns.nanos[row] = nanos;
    columns.values[row] = Number(value);
    if (typeof value === "bigint" && value > 2n ** 53n) exact.set(row, value);
  }
  // The next part goes on with the series.
  order[3 + points.length] = order[2 + points.length];
  const plan = { from: 3, to: order.length - 1, day: 0, start: START_S, first: 0, last: 0, repeats: false };
  packs.add(part, plan, order, columns, Float64Array.from(known), exact.size > 0 ? exact : null);
}

/** What is taken of series `from … to-1`; `null` where the rows have to be read. */
function taken(packs: Packs, part: number, from: number, to: number, taker = new RowTaker()) {
  taker.clear();
  return packs.take(part, from, to, taker) ? sorted(taker) : null;
}

function sorted(taker: RowTaker) {
  const { length, series, offsets, values, exact } = taker.sort();
  return Array.from(
    { length },
    (_, k) => [series[k], offsets[k], exact?.get(k) ?? (Object.is(values[k], -0) ? "-0" : values[k])],
  );
}

const some = (count: number): Point[] =>
  Array.from({ length: count }, (_, k) => [1 + Math.floor(k / 4), START_S, k, k]);

Deno.test("packs give back each point bit by bit, whatever series are asked for, and in whatever order", () => {
  const values = [0.5, -0, 1 / 3, NaN, Infinity, -Infinity, 1e300, -7, 2 ** 53 - 1, -(2 ** 53), 2 ** 60];
  // SQLite has integers from 2^53 on, which come as such.
  const integers = [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n];
  const chance = new Chance(7);
  for (let round = 0; round < 20; round++) {
    const points: Point[] = [];
    for (
      let series = 1 + chance.int(3);
      points.length < 150;
      series += 1 + chance.int(1 << round)
    ) {
      for (let k = chance.int(4) === 0 ? chance.int(40) : 1; k >= 0; k--) {
        const all = round % 2 ? values : [...values, ...integers];
        points.push([series, START_S - 3 + 2 * points.length, chance.int(1e9), all[chance.int(all.length)]]);
      }
    }
    using db = emptyDatabase();
    const packs = packsOf(db);
    pack(packs, 5, points);
    const shift = round * 1e9;
    const expected = points.map(([series, second, nanos, value]) => [
      series,
      (second - START_S) * 1e9 + nanos + shift,
      Object.is(value, -0)
        ? "-0"
        : typeof value === "bigint" || Math.abs(value) === 2 ** 53
        ? BigInt(value)
        : value,
    ]);
    const taker = new RowTaker();
    taker.shift = shift;
    const most = points.at(-1)![0] + 3;
    for (let n = 0; n < 30; n++) {
      const from = chance.int(most);
      const to = n === 0 ? Number.MAX_SAFE_INTEGER : from + chance.int(most);
      const wanted = expected.filter(([series]) => Number(series) >= from && Number(series) < to);
      assert.deepEqual(taken(packs, 5, from, to, taker), wanted, `round ${round}: ${from} to ${to}`);
    }
    assert.deepEqual(taken(packs, 5, 0, most, taker), expected);
    // What is taken next does not come between.
    const [cut, end] = [points[40][0], points[90][0]];
    pack(packs, 6, points.slice(100));
    taken(packs, 5, cut, end, taker);
    assert.ok(packs.take(6, 0, most, taker));
    const both = [
      ...expected.filter(([id]) => Number(id) >= cut && Number(id) < end),
      ...expected.slice(100),
    ];
    assert.deepEqual(
      sorted(taker),
      both.sort(([a, x], [b, y]) => Number(a) - Number(b) || Number(x) - Number(y)),
    );
  }
});

Deno.test("each series is found alone, also the last one of a piece", () => {
  using db = emptyDatabase();
  const packs = packsOf(db);
  pack(packs, 1, Array.from({ length: 40 }, (_, k) => [2 * k, START_S, 5, k]));
  for (let series = 78; series >= 0; series--) {
    const wanted = series % 2 ? [] : [[series, 5, series / 2]];
    assert.deepEqual(taken(packs, 1, series, series + 1), wanted, `series ${series}`);
  }
});

Deno.test("no more points are taken than a block holds, and then none of the last piece", () => {
  using db = emptyDatabase();
  const packs = packsOf(db);
  pack(packs, 1, some(64));
  for (const [limit, length, isFull] of [[64, 64, false], [63, 48, true], [15, 0, true]] as const) {
    const taker = new RowTaker(limit);
    assert.equal(taken(packs, 1, 0, 100, taker)?.length, length);
    assert.equal(taker.isFull, isFull);
  }
});

Deno.test("parts with enough points are packed, where points are compacted within a day", () => {
  using db = emptyDatabase();
  const packs = new Packs(db, {});
  const packed = () => db.prepare("SELECT DISTINCT part FROM packs").all().map(({ part }) => part);
  pack(packs, 1, some(5000));
  packs.compactAfterMs = DAY_MS + 1;
  pack(packs, 2, some(5000));
  assert.deepEqual(packed(), []);
  packs.compactAfterMs = DAY_MS;
  pack(packs, 3, some(4095));
  pack(packs, 4, some(4096));
  pack(packs, 5, some(5000));
  assert.deepEqual(packed(), [4, 5]);
  assert.equal(taken(packs, 3, 0, 9999), null);
  assert.equal(taken(packs, 4, 0, 9999)?.length, 4096);
  // Ids that only an owner can have made; of one series or of one point.
  pack(packs, 9, [...some(5000), [2 ** 32, START_S, 0, 0]]);
  assert.equal(taken(packs, 9, 0, 5), null);
  pack(packs, 7, some(5000).map(([id, ...rest]) => [id + 2 ** 32 - 1251, ...rest]));
  pack(packs, 8, some(5000).map(([id, ...rest]) => [id + 2 ** 32 - 1250, ...rest]));
  assert.deepEqual(taken(packs, 7, 2 ** 32 - 1, 2 ** 32)?.length, 4);
  assert.equal(taken(packs, 8, 0, 2 ** 33), null);
  // A piece ends with a series: this one is larger.
  pack(packs, 6, some(9000).map(([, ...rest]) => [7, ...rest]));
  assert.equal(taken(packs, 6, 7, 8)?.length, 9000);
  assert.deepEqual(taken(packs, 6, 8, 9), []);
});

Deno.test("rows are read where somebody else may have changed them, and packs of what comes later again", async () => {
  await using dir = new TempDir();
  using db = emptyDatabase(dir.file("m.sqlite"));
  db.exec("PRAGMA journal_mode = WAL");
  pack(packsOf(db), 1, some(16));
  const packs = packsOf(db);
  assert.equal(taken(packs, 1, 0, 9), null, "the process before knew");
  pack(packs, 2, some(16));
  const version = packs.version();
  assert.equal(taken(packs, 2, 0, 9)?.length, 16);
  using other = new DatabaseSync(dir.file("m.sqlite"));
  other.exec("DELETE FROM points");
  assert.notEqual(packs.version(), version);
  assert.equal(taken(packs, 2, 0, 9), null);
  pack(packs, 3, some(16));
  assert.equal(packs.version(), packs.version());
  assert.equal(taken(packs, 3, 0, 9)?.length, 16);
  // What the owner's trigger has done to a row is not in a pack.
  other.exec("CREATE TRIGGER mine AFTER INSERT ON points BEGIN UPDATE points SET value = 7; END");
  packs.version();
  pack(packs, 4, some(16));
  assert.equal(taken(packs, 4, 0, 9), null);
  other.exec("DROP TRIGGER mine");
  packs.version();
  pack(packs, 5, some(16));
  assert.deepEqual([3, 4, 5].map((part) => taken(packs, part, 0, 9)?.length), [undefined, undefined, 16]);
  // A pack without its part: the next part of that number is not trusted before somebody else stops.
  other.exec("INSERT INTO packs (part, last_series, data) VALUES (9, 1, '')");
  packs.version();
  pack(packs, 9, some(16));
  assert.equal(taken(packs, 9, 0, 9), null);
  packs.distrust();
  assert.equal(taken(packs, 5, 0, 9), null);
});

Deno.test("no pack is read after an error of SQLite, until it can be told again which of them count", () => {
  using db = emptyDatabase();
  const packs = packsOf(db);
  pack(packs, 1, some(16));
  db.exec("ALTER TABLE parts RENAME TO gone");
  assert.throws(() => packs.distrust(), /no such table/);
  db.exec("ALTER TABLE gone RENAME TO parts");
  pack(packs, 2, some(16));
  assert.deepEqual([1, 2].map((part) => taken(packs, part, 0, 9)), [null, null]);
  packs.distrust();
  pack(packs, 3, some(16));
  assert.equal(taken(packs, 3, 0, 9)?.length, 16);
});

Deno.test("pieces stay in memory until there are too many points, or somebody says that they are not needed", () => {
  using db = emptyDatabase();
  // Four pieces of four series each.
  const packs = packsOf(db, { ...SMALL, keptPoints: 32 });
  for (const part of [1, 2, 3]) pack(packs, part, some(64));
  const finds = (part: number, from: number, of = packs) =>
    reads(() => assert.equal(taken(of, part, from, from + 1)?.length, 4), "FROM packs WHERE part = ? AND");
  // A part without packs is looked for once, and takes no room.
  const none = () => reads(() => assert.equal(taken(packs, 4, 1, 2), null), "FROM packs WHERE part = ?");
  assert.deepEqual([none(), none()], [2, 0]);
  assert.deepEqual([finds(1, 1), finds(1, 4), finds(2, 2), finds(1, 1)], [1, 0, 1, 0]);
  // The next piece of a part is there instead of the one before.
  assert.deepEqual([finds(1, 5), finds(2, 5), finds(1, 6), finds(2, 7), finds(1, 9), finds(1, 12)], [
    1,
    1,
    0,
    0,
    1,
    0,
  ]);
  // A third one is too many: it stays, and the others go.
  assert.deepEqual([finds(3, 1), finds(3, 2), finds(2, 5), finds(3, 3)], [1, 0, 1, 0]);
  assert.deepEqual([finds(1, 1), finds(3, 1), finds(1, 2)], [1, 1, 0]);
  packs.forget();
  assert.deepEqual([finds(3, 1), finds(1, 2), finds(3, 1), finds(1, 2)], [1, 1, 0, 0]);
  // Nor is a piece read that begins behind what is asked for.
  assert.equal(reads(() => taken(packs, 3, 1, 5), "FROM packs WHERE part = ? AND"), 0);
  // What is asked for before the last piece is found as well.
  assert.deepEqual([finds(3, 3), finds(3, 2), finds(3, 13), finds(3, 1)], [0, 0, 1, 1]);
  const fewer = packsOf(db, { ...SMALL, keptPoints: 31 });
  for (const part of [5, 6]) pack(fewer, part, some(64));
  assert.deepEqual([5, 6, 6, 5].map((part) => finds(part, 1, fewer)), [1, 1, 0, 1]);
});

Deno.test("a damaged pack is not read, nor are the others of its part", () => {
  for (const data of ["x''", "x'28b52ffd'", "substr(data, 1, length(data) - 5)"]) {
    using db = emptyDatabase();
    const packs = packsOf(db);
    pack(packs, 1, some(64));
    db.exec(`UPDATE packs SET data = ${data} WHERE last_series = 12`);
    assert.equal(taken(packs, 1, 0, 8)?.length, 28);
    assert.equal(taken(packs, 1, 0, 99), null, data);
  }
});

/** A batch of points of seven series, one each second. */
function someBatch(name: string, seconds: number, startS = DAY_S): Batch {
  const series = Array.from(
    { length: 7 },
    (_, i) => seriesOf(metricOf(name, "u64"), { consumerId: String(i) }),
  );
  const batch = new Batch(7 * seconds);
  for (let i = 0; i < 7 * seconds; i++) batch.push(series[i % 7], startS + Math.floor(i / 7), i, i * i);
  return batch;
}

const open = (path: string, options: object = SMALL, keepMs = Infinity) =>
  new Database(path, keepMs, seriesStore, undefined, { rollups: [], ...options }, 2 * HOUR_MS);
const LATER_MS = (DAY_S + 6 * 3600) * 1000;
const left = (path: string) =>
  ["points", "packs"].map((table) => Number(valueOf(path, `SELECT count(*) FROM ${table}`)));
const compacted = (path: string) => Number(valueOf(path, "SELECT coalesce(sum(points), 0) FROM blocks"));

/** How many of the statements that are run meanwhile have this in them: by default, those that hand rows over one by one. */
function reads(work: () => void, sql = "take_point("): number {
  const { get } = StatementSync.prototype;
  let count = 0;
  Object.assign(StatementSync.prototype, {
    get(this: StatementSync, ...values: unknown[]) {
      if (this.sourceSQL.includes(sql)) count++;
      return Reflect.apply(get, this, values);
    },
  });
  try {
    work();
  } finally {
    Object.assign(StatementSync.prototype, { get });
  }
  return count;
}

Deno.test("compaction reads packs and no rows, and both go; of what the process before has stored it reads rows", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  {
    using database = open(path);
    for (const second of [0, 1, 2]) database.write([someBatch("packed", 40, DAY_S + second)]);
    assert.equal(reads(() => database.tidy(LATER_MS)), 0);
    assert.deepEqual([left(path), compacted(path)], [[0, 0], 840]);
    database.write([someBatch("packed", 40, DAY_S + 100)]);
  }
  using database = open(path);
  assert.ok(reads(() => database.tidy(LATER_MS)) > 0);
  assert.deepEqual([left(path), compacted(path)], [[0, 0], 1120]);
});

Deno.test("the rows of a block are read once where nobody else changes the file, and not again when it is stored", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  using database = open(path, { leastPoints: 1 });
  database.write([someBatch("few", 40)]);
  assert.equal(left(path)[1], 0);
  assert.equal(reads(() => database.tidy(LATER_MS)), 1);
  assert.deepEqual([left(path), compacted(path)], [[0, 0], 280]);
});

Deno.test("a file of the version before gets the table, and its points are compacted with those that come", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  {
    using database = open(path);
    database.write([someBatch("before", 40)]);
  }
  using owner = new DatabaseSync(path);
  owner.exec("DROP TABLE packs");
  const version = valueOf(path, "PRAGMA user_version");
  using database = open(path);
  database.write([someBatch("after", 40)]);
  assert.ok(left(path)[1] > 0);
  database.tidy(LATER_MS);
  assert.deepEqual([left(path), compacted(path)], [[0, 0], 560]);
  // The version before opens the file as well, and leaves packs of parts that it deletes.
  assert.equal(valueOf(path, "PRAGMA user_version"), version);
  owner.exec("INSERT INTO packs (part, last_series, data) VALUES (1, 7, '')");
  open(path)[Symbol.dispose]();
  assert.deepEqual(left(path), [0, 0]);
});

Deno.test("packs go with the points that are merged, too old, or have no room", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const nowMs = DAY_S * 1000 + HOUR_MS;
  using database = open(path, { ...SMALL, packedPoints: 8 }, 2 * DAY_MS);
  const limits = { keepMs: 2 * DAY_MS, maxBytes: undefined, compactAfterMs: 2 * HOUR_MS };
  for (let k = 0; k < 70; k++) database.write([someBatch("merged", 2, DAY_S + k)], nowMs);
  assert.equal(left(path)[1], 70);
  database.tidy(nowMs);
  assert.ok(left(path)[1] < 70);
  assert.equal(
    Number(valueOf(path, "SELECT count(*) FROM packs WHERE part NOT IN (SELECT id FROM parts)")),
    0,
  );
  database.store.limits = { ...limits, maxBytes: 1 };
  for (let k = 1; k < 4; k++) database.tidy(nowMs + k * 60_000);
  assert.deepEqual(left(path), [0, 0]);
  database.store.limits = limits;
  database.write([someBatch("old", 20)], nowMs);
  // A piece for each series, because a series is not split.
  assert.deepEqual(left(path), [140, 7]);
  // A day is over before anything is compacted: the clock that says so is believed after a day.
  database.store.limits = { ...limits, keepMs: 60_000 };
  for (let hour = 1; hour < 4; hour++) database.tidy(nowMs + hour * HOUR_MS / 2);
  assert.deepEqual([left(path), compacted(path)], [[0, 0], 0]);
});

Deno.test("a compaction that is given up in the middle goes on with what is left in rows", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  using database = open(path);
  database.write([someBatch("left", 60)]);
  const limits = { keepMs: Infinity, maxBytes: undefined };
  while (compacted(path) === 0) assert.ok(database.store.keepHouse(LATER_MS, false));
  assert.ok(left(path)[0] > 0);
  database.store.limits = { ...limits, compactAfterMs: Infinity };
  database.tidy(LATER_MS);
  // A late part with all series makes all of them be looked for again.
  database.write([someBatch("left", 60, DAY_S + 60)]);
  database.store.limits = { ...limits, compactAfterMs: HOUR_MS };
  database.tidy(LATER_MS + HOUR_MS);
  assert.deepEqual([left(path), compacted(path)], [[0, 0], 840]);
});

Deno.test("packs are read after compaction was off for a while, and rows half a minute after it failed", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  using database = open(path);
  const limits = { keepMs: Infinity, maxBytes: undefined };
  database.write([someBatch("packed", 40)]);
  database.store.limits = { ...limits, compactAfterMs: Infinity };
  database.tidy(LATER_MS);
  database.store.limits = { ...limits, compactAfterMs: 2 * HOUR_MS };
  assert.equal(reads(() => database.tidy(LATER_MS)), 0);
  assert.deepEqual([left(path), compacted(path)], [[0, 0], 280]);
  database.write([someBatch("packed", 40, DAY_S + 40)]);
  using owner = new DatabaseSync(path);
  owner.exec("CREATE TRIGGER mine BEFORE INSERT ON blocks BEGIN SELECT raise(ABORT, 'full'); END");
  const failedMs = LATER_MS + HOUR_MS;
  assert.throws(() => database.tidy(failedMs), /full/);
  owner.exec("DROP TRIGGER mine");
  database.tidy(failedMs);
  database.tidy(failedMs + 29_999);
  assert.deepEqual([left(path)[0], compacted(path)], [280, 280]);
  assert.ok(reads(() => database.tidy(failedMs + 30_000)) > 0);
  assert.deepEqual([left(path), compacted(path)], [[0, 0], 560]);
});

Deno.test("a series with more points than a block holds is read from rows, and nothing of it twice", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const options = { ...SMALL, blockPoints: 32 };
  {
    using database = open(path, options);
    database.write([someBatch("long", 30, DAY_S + 30)]);
  }
  // Earlier points, which alone are packed: with them the series does not fit into a block.
  using database = open(path, options);
  database.write([someBatch("long", 10)]);
  database.tidy(LATER_MS);
  assert.deepEqual([left(path), compacted(path)], [[0, 0], 280]);
});

/** Offsets from the start of the day of what is compacted, in ns. */
const compactedTimes = (path: string) => {
  using db = new DatabaseSync(path, { readOnly: true });
  assert.ok(BlockReader.extend(db));
  const rows = db.prepare(
    `SELECT time - ${DAY_S} * 1000000000 AS time FROM measurements ORDER BY time, series_id`,
  );
  return rows.all().map(({ time }) => Number(time));
};

Deno.test("points that give way while they are compacted do not come back, and what is stored in their place stays", async () => {
  for (const limits of [{ keepMs: 60_000, maxBytes: undefined }, { keepMs: Infinity, maxBytes: 1 }]) {
    await using dir = new TempDir();
    const path = dir.file("m.sqlite");
    using database = open(path);
    const compactAfterMs = 2 * HOUR_MS;
    database.write([someBatch("deleted", 60)]);
    // Reads some, and stores nothing yet.
    assert.ok(database.store.keepHouse(LATER_MS, false));
    database.store.limits = { ...limits, compactAfterMs };
    for (let k = 1; left(path)[0] > 0; k++) database.store.keepHouse(LATER_MS + k * 60_000, false);
    assert.deepEqual([compacted(path), database.store.stats.parts], [0, 0]);
    database.store.limits = { keepMs: Infinity, maxBytes: undefined, compactAfterMs };
    // It gets the number of the part that was deleted.
    const batch = someBatch("deleted", 60, DAY_S + 100);
    database.write([batch]);
    database.tidy(LATER_MS + DAY_MS);
    assert.deepEqual(left(path), [0, 0]);
    const times = Array.from({ length: batch.length }, (_, i) => (100 + Math.floor(i / 7)) * 1e9 + i);
    assert.deepEqual(compactedTimes(path), times);
  }
});

Deno.test("parts that are merged while they are compacted have each point once, and no step of that fails", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  using database = open(path);
  for (let k = 0; k < 8; k++) database.write([someBatch("merged", 20, DAY_S + k)]);
  using db = new DatabaseSync(path);
  const transaction = (work: () => void) => {
    db.exec("BEGIN");
    work();
    db.exec("COMMIT");
  };
  const limits = { keepMs: Infinity, maxBytes: undefined, compactAfterMs: 2 * HOUR_MS };
  const compaction = new Compaction(db, transaction, packsOf(db), SMALL);
  const housekeeping = new Housekeeping(db, path, transaction, limits, null, compaction);
  const nowMs = LATER_MS + DAY_MS;
  const step = (busy: boolean) => housekeeping.step(nowMs, nowMs, nowMs, busy);
  // Eight of a day that is over are enough, but wait until nothing is being compacted.
  housekeeping.noticeParts(-64);
  while (!compaction.isUnderWay) step(false);
  // So many parts that they are merged at once.
  housekeeping.noticeParts(5000);
  assert.ok(step(true));
  assert.ok(!compaction.isUnderWay);
  while (step(false));
  assert.deepEqual([left(path), compacted(path)], [[0, 0], 1120]);
});
