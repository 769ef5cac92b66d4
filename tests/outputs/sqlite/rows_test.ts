/** Rows of the database as they are found, added and deleted: of metrics and series, of points, of sums, and of parts. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { BlockWriter } from "../../../lib/outputs/sqlite/blocks/block.ts";
import { fillHosts, Hosts } from "../../../lib/outputs/sqlite/hosts.ts";
import { hashOf, Identities } from "../../../lib/outputs/sqlite/identities.ts";
import type { MetricRow, PointGroup, SeriesRow } from "../../../lib/outputs/sqlite/messages.ts";
import { PartDeletion } from "../../../lib/outputs/sqlite/part_deletion.ts";
import { PointInserter } from "../../../lib/outputs/sqlite/point_inserter.ts";
import { RollupRows, sumsOf } from "../../../lib/outputs/sqlite/rollup_rows.ts";
import { ensureSchema } from "../../../lib/outputs/sqlite/schema.ts";
import { openingError, StoreError, storeError } from "../../../lib/outputs/sqlite/store_error.ts";
import type { Sums } from "../../../lib/outputs/rollups/sums.ts";
import { newColumns } from "../../../lib/outputs/threads/point_columns.ts";
import { TempDir } from "../../kit/temp_dir.ts";

const MINUTES = [{ every: 60, keepMs: Infinity }];

function emptyDatabase(path = ":memory:"): DatabaseSync {
  // Rows that refer to one that is gone are there in files that somebody has changed.
  const db = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  db.exec("PRAGMA synchronous = off");
  ensureSchema(db, MINUTES);
  return db;
}

const all = (db: DatabaseSync, sql: string) =>
  db.prepare(sql).all().map((row) => Object.values(row).join(" "));
const insertPart = (db: DatabaseSync, id: number, points: number, compacted = 0) =>
  db.prepare("INSERT INTO parts VALUES (?, '2026-11-26', 0, 0, 0, ?, 0, 0, 1, 0, ?)").run(
    id,
    points,
    compacted,
  );

const metricRow = (number: number, name: string, given: Partial<MetricRow> = {}): MetricRow => ({
  ...{ number, name, type: "u64", unitBase: "J", unitPrefix: "milli", unit: "mJ", description: "", ...given },
});
const seriesRow = (number: number, metric: number, given: Partial<SeriesRow> = {}): SeriesRow => ({
  ...{ number, metric, relayClient: "", resourceKind: "cpu", resourceId: `${number}`, consumerKind: "" },
  ...{ consumerId: "", attributes: "{}", ...given },
});
const groupOf = (given: Partial<PointGroup>): PointGroup => ({
  ...{ columns: newColumns(0), exact: [], metrics: [], series: [], used: [], day: 20_000, second: 0 },
  ...{ clients: [], position: null, busy: false, ...given },
});

Deno.test("hashes are in files that exist, so they stay what they are, and differ wherever texts do", () => {
  const known: [texts: string[], hash: number][] = [
    [[], 148_328_836_121_218],
    [[""], 148_328_831_730_242],
    [["", "", "", "", "{}"], 167_377_589_989_017],
    [["cpu", "0", "process", "17", '{"a":"b"}'], 234_490_151_256_069],
    [["é", "\u{1f600}"], 78_552_829_961_396],
    [["x".repeat(300)], 254_516_758_536_197],
  ];
  for (const [texts, hash] of known) assert.equal(hashOf(texts), hash, texts.join());
  const found = new Set<number>();
  for (let n = 0; n < 20_000; n++) found.add(hashOf(["cpu", `${n}`]));
  for (const texts of [["ab", ""], ["a", "b"], ["", "ab"], ["b", "a"]]) found.add(hashOf(texts));
  assert.equal(found.size, 20_004);
  for (const hash of found) assert.ok(Number.isSafeInteger(hash) && hash >= 0 && hash < 2 ** 48);
});

Deno.test("metrics and series keep their ids, by what they are and not by their numbers", () => {
  using db = emptyDatabase();
  const identities = new Identities(db);
  identities.begin();
  identities.learn(groupOf({
    metrics: [metricRow(7, "a"), metricRow(8, "a", { type: "f64" })],
    series: [
      seriesRow(3, 7, { relayClient: "x" }),
      seriesRow(4, 8),
      seriesRow(5, 7, { resourceId: "3" }),
      seriesRow(6, 9),
    ],
  }));
  assert.deepEqual([...identities.ids.subarray(3, 7)], [1, 2, 3, 0], "one without its metric is not known");
  assert.deepEqual([3, 4, 5, 6].map((n) => identities.hostNames[identities.hosts[n]]), ["x", "", "", ""]);
  assert.deepEqual(identities.hostNames, ["x", ""]);
  assert.deepEqual(all(db, "SELECT id, type FROM metrics ORDER BY id"), ["1 u64", "2 f64"]);
  // A process that begins again.
  const others = new Identities(db);
  others.begin();
  others.learn(groupOf({
    metrics: [metricRow(0, "a", { type: "f64" }), metricRow(1, "b")],
    series: [seriesRow(0, 0, { resourceId: "4" }), seriesRow(20_000, 1), seriesRow(20_001, 0)],
  }));
  assert.deepEqual([0, 20_000, 20_001].map((n) => others.ids[n]), [2, 4, 5]);
  assert.deepEqual(all(db, "SELECT id FROM metrics ORDER BY id"), ["1", "2", "3"]);
  assert.ok(others.ids.length > 20_001 && others.hosts.length > 20_001);
  const { ids } = others;
  others.learn(groupOf({ series: [seriesRow(0, 0, { resourceId: "4" }), seriesRow(ids.length - 1, 0)] }));
  assert.equal(others.ids, ids, "there is room");
  // What is learnt of further series leaves those that are known.
  others.learn(groupOf({ series: [seriesRow(ids.length, 0)] }));
  assert.deepEqual([others.ids[0], others.ids[20_001], others.hosts.length], [2, 5, others.ids.length]);
  others.forget();
  assert.deepEqual([others.ids[0], others.ids[20_000]], [0, 0]);
  others.learn(groupOf({ series: [seriesRow(0, 0, { resourceId: "4" })] }));
  assert.equal(others.ids[0], 0, "its metric is forgotten, too");
});

Deno.test("an id is not given again as long as something refers to it", () => {
  const idsOf = (db: DatabaseSync) => {
    const identities = new Identities(db);
    identities.begin();
    identities.learn(groupOf({ metrics: [metricRow(0, "new")], series: [seriesRow(0, 0)] }));
    return [all(db, "SELECT id FROM metrics WHERE name = 'new'")[0], identities.ids[0]];
  };
  const insertSeries = "INSERT INTO series VALUES (?, ?, '', '', '', '', '', '{}', 0, 0)";
  using points = emptyDatabase();
  insertPart(points, 1, 1);
  points.prepare("INSERT INTO points VALUES (1, 50, 0, 0)").run();
  points.prepare(insertSeries).run(40, 9);
  assert.deepEqual(idsOf(points), ["10", 51]);
  using blocks = emptyDatabase();
  insertPart(blocks, 1, 1, 1);
  blocks.prepare("INSERT INTO blocks VALUES (1, 1, 2, 60, 0, 0, 1, '')").run();
  assert.deepEqual(idsOf(blocks), ["1", 61]);
  using series = emptyDatabase();
  series.prepare(insertSeries).run(70, 1);
  assert.deepEqual(idsOf(series), ["2", 71]);
});

Deno.test("what another process has changed is looked up again, and only then", async () => {
  await using dir = new TempDir();
  using db = emptyDatabase(dir.file("m.sqlite"));
  const identities = new Identities(db);
  identities.begin();
  const group = groupOf({ metrics: [metricRow(0, "a")], series: [seriesRow(0, 0)] });
  identities.learn(group);
  identities.begin();
  assert.equal(identities.ids[0], 1);
  {
    using other = new DatabaseSync(dir.file("m.sqlite"), { enableForeignKeyConstraints: false });
    other.exec("PRAGMA synchronous = off");
    other.prepare("INSERT INTO metrics VALUES (4, 'x', 'u64', '', '', '', '')").run();
    other.prepare("DELETE FROM series").run();
    other.prepare("INSERT INTO series VALUES (5, 1, '', '', '', '', '', '{}', 0, 0)").run();
  }
  identities.begin();
  assert.equal(identities.ids[0], 0);
  identities.learn({ ...group, metrics: [...group.metrics, metricRow(1, "b")] });
  assert.equal(identities.ids[0], 6);
  assert.deepEqual(all(db, "SELECT id, name FROM metrics ORDER BY id"), ["1 a", "4 x", "5 b"]);
});

Deno.test("a series is seen on each day on which it comes or is used, and a description may come later", () => {
  using db = emptyDatabase();
  const identities = new Identities(db);
  identities.begin();
  const [metrics, series] = [[metricRow(0, "a")], [seriesRow(0, 0), seriesRow(1, 0)]];
  const seen = () => all(db, "SELECT seen FROM series ORDER BY id");
  identities.learn(groupOf({ metrics, series, day: 10 }));
  assert.deepEqual(seen(), ["10", "10"]);
  identities.learn(groupOf({ series: series.slice(0, 1), day: 12 }));
  identities.learn(groupOf({ series: series.slice(0, 1), day: 11 }));
  assert.deepEqual(seen(), ["12", "10"]);
  identities.learn(groupOf({ used: [0, 1, 2], day: 13 }));
  assert.deepEqual(seen(), ["13", "13"]);
  const changes = () => db.prepare("SELECT total_changes() AS count").get()!.count;
  const before = changes();
  identities.learn(groupOf({ series, day: 13 }));
  assert.equal(changes(), before, "nothing is written twice a day");
  const describe = (description: string) => {
    const before = Number(changes());
    identities.learn(groupOf({ metrics: [metricRow(0, "a", { description })] }));
    return [...all(db, "SELECT description FROM metrics"), Number(changes()) - before];
  };
  assert.deepEqual(describe("one"), ["one", 1]);
  assert.deepEqual(describe("one"), ["one", 0]);
  assert.deepEqual(describe(""), ["one", 0]);
  assert.deepEqual(describe("two"), ["two", 1]);
});

Deno.test("a series that the database does not take is told, or its error thrown, and the others are learnt", () => {
  using db = emptyDatabase();
  db.prepare(
    "CREATE TRIGGER no_metric BEFORE INSERT ON metrics WHEN new.name = 'bad' BEGIN SELECT RAISE(ABORT, 'no metric'); END",
  ).run();
  db.prepare(
    "CREATE TRIGGER no_series BEFORE INSERT ON series WHEN new.resource_id = 'bad' BEGIN SELECT RAISE(ABORT, 'no series'); END",
  ).run();
  const group = groupOf({
    metrics: [metricRow(0, "bad"), metricRow(1, "good")],
    series: [seriesRow(0, 0), seriesRow(1, 1), seriesRow(2, 1, { resourceId: "bad" }), seriesRow(3, 1)],
  });
  const identities = new Identities(db);
  identities.begin();
  assert.throws(() => identities.learn(group), /no metric/);
  assert.throws(() => identities.learn({ ...group, series: [] }), /no metric/);
  assert.throws(() => identities.learn({ ...group, metrics: group.metrics.slice(1) }), /no series/);
  const refused: string[] = [];
  const learnt = new Identities(db);
  learnt.begin();
  learnt.learn(group, ({ number }, error) => refused.push(`${number} ${(error as Error).message}`));
  assert.deepEqual(refused, ["0 no metric", "2 no series"]);
  assert.deepEqual([...learnt.ids.subarray(0, 4)].map((id) => id > 0), [false, true, false, true]);
});

/** Columns whose row `n` is of series `n`, with its number as value, and `n` nanoseconds after second 1000 - n. */
function columnsOf(values: number[]) {
  const columns = newColumns(values.length);
  values.forEach((value, row) => {
    columns.series[row] = row;
    columns.seconds[row] = 1000 - row;
    columns.nanos[row] = row;
    columns.values[row] = value;
  });
  columns.length = values.length;
  return columns;
}

/** Ids are numbers of series and 50,000. */
const idsOf = (count: number) => Float64Array.from({ length: count }, (_, n) => 50_000 + n);
const planOf = (from: number, to: number) => ({
  ...{ from, to, day: 0, start: 1000, first: 0, last: 1000, repeats: false },
});

Deno.test("each row of a part is written once, and of a large part one in nine behind the others", () => {
  for (const count of [0, 1, 15, 16, 17, 127, 128, 129, 145, 511, 512, 513, 700]) {
    using db = emptyDatabase();
    db.exec("CREATE TABLE came (series)");
    db.exec("CREATE TRIGGER coming AFTER INSERT ON points BEGIN INSERT INTO came VALUES (new.series); END");
    const from = 3;
    const columns = columnsOf(Array.from({ length: count + 6 }, (_, n) => n));
    // The order is from the last row to the first one.
    const order = Uint32Array.from({ length: count + 6 }, (_, k) => count + 5 - k);
    new PointInserter(db).insert(7, planOf(from, from + count), order, columns, idsOf(count + 6), null);
    const rows = [...order.subarray(from, from + count)];
    assert.deepEqual(
      all(db, "SELECT part, series, offset, value, typeof(value) FROM points ORDER BY series DESC"),
      rows.map((row) => `7 ${50_000 + row} ${-row * 1e9 + row} ${row} integer`),
    );
    const isBehind = (_: number, k: number) => count >= 512 && k % 9 === 8;
    const expected = [...rows.filter((row, k) => !isBehind(row, k)), ...rows.filter(isBehind)];
    assert.deepEqual(all(db, "SELECT series - 50000 FROM came ORDER BY rowid").map(Number), expected);
  }
});

Deno.test("values are stored as what they are: whole numbers as integers, all others as they came", () => {
  using db = emptyDatabase();
  const values = [0, 1, 1023, 1024, 1025, -1, -0, 0.5, 1023.5, 2 ** 53, -(2 ** 53), 2 ** 53 + 2, 1e300];
  values.push(-1e300, Infinity, -Infinity, NaN, 2 ** 63, 2 ** 63, 2 ** 53);
  const columns = columnsOf(values);
  const count = values.length;
  const exact = new Map([[count - 3, 2n ** 63n - 1n], [count - 2, 2n ** 63n], [count - 1, 2n ** 53n + 1n]]);
  const order = Uint32Array.from(values, (_, k) => k);
  const inserter = new PointInserter(db);
  inserter.insert(1, planOf(0, count), order, columns, idsOf(count), exact);
  values.forEach((_, row) => inserter.insertOne(2, row, columns, idsOf(count), exact));
  const read = "SELECT value, typeof(value) AS type FROM points WHERE part = ? ORDER BY series";
  for (const [part, offset] of [[1, 0], [2, 1]]) {
    const statement = db.prepare(read);
    statement.setReadBigInts(true);
    const rows = statement.all(part).map(({ value, type }) => [value, type]);
    assert.deepEqual(rows, [
      ...[0n, 1n, 1023n, 1024n, 1025n, -1n].map((value) => [value, "integer"]),
      ...[-0, 0.5, 1023.5].map((value) => [value, "real"]),
      ...[2n ** 53n, -(2n ** 53n)].map((value) => [value, "integer"]),
      ...[2 ** 53 + 2, 1e300, -1e300, Infinity, -Infinity].map((value) => [value, "real"]),
      ...[[null, "null"], [2n ** 63n - 1n, "integer"], [`${2n ** 63n}`, "text"], [2n ** 53n + 1n, "integer"]],
    ]);
    // The second of the point that is inserted alone is what its part starts with.
    const offsets = all(db, `SELECT offset FROM points WHERE part = ${part} ORDER BY series`).map(Number);
    assert.deepEqual(offsets, values.map((_, row) => offset === 0 ? -row * 1e9 + row : row));
  }
});

Deno.test("rows that the database has refused are not written with the next ones", () => {
  using db = emptyDatabase();
  const columns = columnsOf(Array.from({ length: 200 }, (_, n) => n));
  const order = Uint32Array.from({ length: 200 }, (_, k) => k);
  const [ids, inserter] = [idsOf(200), new PointInserter(db)];
  const insert = (part: number, from: number, to: number) =>
    inserter.insert(part, planOf(from, to), order, columns, ids, null);
  const stored = (part: number) => all(db, `SELECT count(*) FROM points WHERE part = ${part}`)[0];
  insert(1, 100, 101);
  for (const to of [128, 101]) {
    assert.throws(() => insert(1, 0, to), /UNIQUE/);
    db.exec("DELETE FROM points WHERE series <> 50100");
    insert(2, 150, 153);
    assert.deepEqual([stored(1), stored(2)], ["1", "3"]);
    assert.throws(() => insert(1, 0, to), /UNIQUE/);
    db.exec("DELETE FROM points WHERE series <> 50100");
    inserter.insertOne(3, 160, columns, ids, null);
    assert.deepEqual([stored(1), stored(3)], ["1", "1"]);
    db.exec("DELETE FROM points WHERE part > 1");
  }
});

const hostRows = (db: DatabaseSync) =>
  all(db, "SELECT name, CAST(first AS TEXT), CAST(last AS TEXT), contact FROM host_times ORDER BY name");

Deno.test("a host's first and last point are those of all its series, in what was stored", () => {
  using db = emptyDatabase();
  const identities = new Identities(db);
  identities.begin();
  const names = ["a", "a", "b", "c"];
  identities.learn(groupOf({
    metrics: [metricRow(0, "m")],
    series: names.map((relayClient, n) => seriesRow(n, 0, { relayClient })),
  }));
  const points = [
    { series: 0, seconds: 50, nanos: 7 },
    { series: 0, seconds: 60, nanos: 0 },
    { series: 1, seconds: 20, nanos: 3 },
    { series: 1, seconds: 65, nanos: 999_999_999 },
    { series: 2, seconds: 30, nanos: 1 },
    { series: 2, seconds: 31, nanos: 0 },
    { series: 2, seconds: 99, nanos: 0 },
    { series: 3, seconds: 10_000_000_000, nanos: 0 },
  ];
  const columns = newColumns(points.length);
  points.forEach(({ series, seconds, nanos }, row) => {
    columns.series[row] = series;
    columns.seconds[row] = seconds;
    columns.nanos[row] = nanos;
  });
  const order = Uint32Array.from(points, (_, k) => k);
  const hosts = new Hosts(db);
  hosts.note(planOf(0, points.length), order, columns, identities);
  hosts.forget();
  // The last of series 2 and the one of series 3 are not of this part.
  hosts.note(planOf(0, 6), order, columns, identities);
  hosts.note(planOf(0, 1), order, columns, identities);
  assert.deepEqual(hostRows(db), [], "they are stored together");
  hosts.save(identities, 500);
  assert.deepEqual(hostRows(db), ["a 20000000003 65999999999 500", "b 30000000001 31000000000 500"]);
  hosts.note(planOf(3, 4), order, columns, identities);
  hosts.note(planOf(6, 8), order, columns, identities);
  hosts.save(identities, 400);
  assert.deepEqual(hostRows(db), [
    "a 20000000003 65999999999 500",
    "b 30000000001 99000000000 500",
    `c ${2n ** 63n - 1n} ${2n ** 63n - 1n} 400`,
  ]);
  db.exec("DELETE FROM host_times");
  hosts.save(identities, 600);
  assert.deepEqual(hostRows(db), [], "each is stored once");
});

Deno.test("the times of hosts are found again in the points, and in the blocks that are whole", () => {
  using db = emptyDatabase();
  const insertSeries = db.prepare("INSERT INTO series VALUES (?, 1, ?, '', '', '', '', '{}', 0, 0)");
  ["a", "a", "b", "c"].forEach((host, n) => insertSeries.run(n + 1, host));
  const insertPart = db.prepare("INSERT INTO parts VALUES (?, '', ?, 0, 0, 1, 0, ?, 1, 0, ?)");
  insertPart.run(1, 1000, 2, 0);
  insertPart.run(2, 500, 3, 0);
  for (const [part, series, offset] of [[1, 1, -5], [1, 1, 9], [1, 3, 4], [2, 2, 1]]) {
    db.prepare("INSERT INTO points VALUES (?, ?, ?, 0)").run(part, series, offset);
  }
  insertPart.run(3, 2000, 4, 1);
  insertPart.run(4, 2 ** 34, 1, 1);
  const block = new BlockWriter().write({
    length: 5,
    series: Float64Array.of(1, 1, 1, 4, 4),
    offsets: Float64Array.of(-3, 0, 8, 5, 6),
    values: new Float64Array(5),
    exact: null,
  })!;
  const insertBlock = db.prepare("INSERT INTO blocks VALUES (?, ?, 1, 4, 0, 0, 5, ?)");
  insertBlock.run(1, 3, Uint8Array.of(99, 1, 2));
  insertBlock.run(2, 3, block);
  insertBlock.run(3, 3, block.subarray(0, 9));
  fillHosts(db);
  const day = 86_400;
  const expected = [
    `a 500000000001 2000000000008 ${4 * day}`,
    `b 1000000000004 1000000000004 ${2 * day}`,
    `c 2000000000005 2000000000006 ${4 * day}`,
  ];
  assert.deepEqual(hostRows(db), expected);
  db.exec("DELETE FROM host_times");
  insertBlock.run(4, 4, block);
  insertPart.run(5, 2 ** 34, 1, 0);
  db.prepare("INSERT INTO points VALUES (5, 3, 1, 0)").run();
  fillHosts(db);
  const latest = `${2n ** 63n - 1n}`;
  assert.deepEqual(hostRows(db), [
    `a 500000000001 ${latest} ${4 * day}`,
    `b 1000000000004 ${latest} ${2 * day}`,
    `c 2000000000005 ${latest} ${4 * day}`,
  ]);
  db.exec("CREATE TRIGGER no_host BEFORE UPDATE ON host_times BEGIN SELECT RAISE(ABORT, 'no host'); END");
  db.exec("DELETE FROM host_times");
  assert.throws(() => fillHosts(db), /no host/, "what is not the block's fault");
});

const sums = (first: number, last = first, given: Partial<Sums> = {}): Sums => ({
  ...{ points: 2, sum: first + last, min: Math.min(first, last), max: Math.max(first, last), first, last },
  ...{ firstTime: 5, lastTime: 7, ...given },
});

/** The rows of a table of sums, whole. */
function storedSums(db: DatabaseSync) {
  const { points, sum, min, max, first, last, firstTime, lastTime } = sumsOf("r", 60);
  const columns = { points, sum, min, max, first, last, firstTime, lastTime };
  const list = Object.entries(columns).map(([name, sql]) => `${sql} AS ${name}`);
  return db.prepare(`SELECT part, series, interval, ${list.join(", ")} FROM rollup_1m r ORDER BY 1, 2, 3`)
    .all()
    .map((row) => ({ ...row }));
}

Deno.test("rows of sums have all sums, and those that follow from others take no room", () => {
  using db = emptyDatabase();
  const rows = new RollupRows(db, "rollup_1m", 60);
  const given = [
    sums(3),
    sums(3, 5),
    sums(5, 3),
    sums(3, 5, { min: -1 }),
    sums(3, 5, { max: 9 }),
    sums(-0.5, -0.25, { firstTime: 0, lastTime: 59_999_999_999 }),
    sums(1, 2, { points: 3, sum: Infinity, max: Infinity }),
  ];
  given.forEach((one, n) => rows.add(1, n, 2, one));
  assert.deepEqual(storedSums(db), [], "they are written together");
  rows.flush();
  assert.deepEqual(storedSums(db), given.map((one, series) => ({ part: 1, series, interval: 2, ...one })));
  const raw = all(
    db,
    "SELECT typeof(min), typeof(max), typeof(last), last_time < 0 FROM rollup_1m ORDER BY series",
  );
  assert.deepEqual(raw, [
    "text text text 1",
    "text text real 1",
    "text text real 1",
    "real text real 1",
    "text real real 1",
    "text text real 1",
    "text real real 1",
  ]);
  rows.add(1, 10, 2, sums(NaN, NaN, { sum: NaN, min: 1, max: 2, first: 1, last: 2 }));
  rows.flush();
  assert.equal(storedSums(db).at(-1)!.sum, Infinity, "no row is without a sum");
});

Deno.test("sums of an interval that is there are added to it, whichever came first", () => {
  using db = emptyDatabase();
  const rows = new RollupRows(db, "rollup_1m", 60);
  const [early, late] = [
    sums(4, 6, { firstTime: 10, lastTime: 20 }),
    sums(1, 9, { firstTime: 30, lastTime: 40 }),
  ];
  const same = sums(2, 3, { firstTime: 10, lastTime: 40 });
  const add = (series: number, ...list: Sums[]) => {
    for (const one of list) {
      rows.add(1, series, 0, one);
      rows.flush();
    }
  };
  add(1, early, late);
  add(2, late, early);
  const both = { points: 4, sum: 20, min: 1, max: 9, first: 4, last: 9, firstTime: 10, lastTime: 40 };
  add(3, early, late, same);
  assert.deepEqual(storedSums(db), [
    { part: 1, series: 1, interval: 0, ...both },
    { part: 1, series: 2, interval: 0, ...both },
    // Of two at one time the first stays the first, and the last one is the last.
    { part: 1, series: 3, interval: 0, ...both, points: 6, sum: 25, last: 3 },
  ]);
  add(4, sums(1, 2, { sum: Infinity }), sums(1, 2, { sum: -Infinity }));
  assert.equal(storedSums(db).at(-1)!.sum, Infinity);
});

Deno.test("any number of rows of sums is written, each once, and none that was given up", () => {
  for (const count of [1, 7, 8, 9, 63, 64, 65, 73, 128, 200]) {
    using db = emptyDatabase();
    const rows = new RollupRows(db, "rollup_1m", 60);
    rows.add(9, 9, 9, sums(1));
    rows.begin();
    for (let n = 0; n < count; n++) rows.add(1, n, 0, sums(n, n + 1));
    assert.equal(storedSums(db).length, count - count % 64, "many with each statement");
    rows.flush();
    rows.flush();
    assert.deepEqual(
      storedSums(db).map(({ series, first, points }) => [series, first, points]),
      Array.from({ length: count }, (_, n) => [n, n, 2]),
    );
  }
});

Deno.test("parts are deleted in steps, a large one by its series, and a step that fails is done again", () => {
  using db = emptyDatabase();
  const insert = db.prepare(
    "INSERT INTO points SELECT ?1, ?2 + value / CAST(?3 AS INTEGER), value, 0 FROM " +
      "(WITH RECURSIVE n (value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM n WHERE value + 1 < ?4) SELECT value FROM n)",
  );
  const STEP = 32_768;
  insertPart(db, 1, 10);
  insert.run(1, 0, 1, 10);
  // Two series, of which the first alone is more than a step: they go together.
  insertPart(db, 2, STEP + 2);
  insert.run(2, 0, STEP + 1, STEP + 2);
  insertPart(db, 3, 500, 1);
  db.prepare("INSERT INTO blocks VALUES (1, 3, 1, 1, 0, 0, 500, '')").run();
  insertPart(db, 4, STEP + 1);
  insert.run(4, 0, 1000, STEP + 1);
  insertPart(db, 5, STEP);
  insert.run(5, 0, 1000, STEP);
  insertPart(db, 6, 1);
  insert.run(6, 0, 1, 1);
  const deletion = new PartDeletion(db);
  assert.ok(deletion.isDone);
  const parts = [[1, 10], [2, STEP + 2], [3, 500, 1], [4, STEP + 1], [5, STEP]];
  deletion.add(parts.map(([id, points, compacted]) => ({ id, points, compacted })));
  const step = () => deletion.step((work) => work());
  assert.throws(() =>
    deletion.step(() => {
      throw new Error("busy");
    })
  );
  const left = () => all(db, "SELECT id FROM parts").join(" ");
  assert.ok(!deletion.isDone);
  assert.deepEqual(step(), { parts: 2, points: 10 + STEP + 2 });
  assert.equal(left(), "3 4 5 6");
  // The compacted one, and most of the fourth.
  assert.deepEqual(step(), { parts: 1, points: 500 + 32_000 });
  assert.equal(left(), "4 5 6");
  assert.deepEqual(step(), { parts: 2, points: 769 + STEP });
  assert.ok(deletion.isDone);
  assert.deepEqual([left(), all(db, "SELECT part FROM points"), all(db, "SELECT id FROM blocks")], ["6", [
    "6",
  ], []]);
  assert.deepEqual(step(), { parts: 0, points: 0 });
  // A step that is full exactly, and one that a series of one point ends.
  insertPart(db, 7, STEP);
  insert.run(7, 0, 1000, STEP);
  deletion.add([{ id: 7, points: STEP }, { id: 6, points: 1 }]);
  assert.deepEqual([step(), step()], [{ parts: 1, points: STEP }, { parts: 1, points: 1 }]);
  insertPart(db, 8, STEP + 1);
  insert.run(8, 0, 1, 1);
  insert.run(8, 1, STEP, STEP);
  deletion.add([{ id: 8, points: STEP + 1 }]);
  assert.deepEqual([step(), step()], [{ parts: 0, points: 1 }, { parts: 1, points: STEP }]);
});

Deno.test("what goes wrong with a database is known by its code, and what to do is said", () => {
  const of = (errcode?: number) => storeError(Object.assign(new Error("text"), { errcode }));
  const problems = (codes: number[]) => new Set(codes.map((code) => of(code).problem));
  assert.deepEqual(problems([3, 8, 11, 14, 23, 26]), new Set(["fatal"]));
  assert.deepEqual(problems([5, 6, 7, 9, 10, 13, 15, 17]), new Set(["later"]));
  assert.deepEqual(problems([18, 19, 20]), new Set(["refused"]));
  assert.deepEqual(problems([1]), new Set(["schema"]));
  assert.deepEqual(problems([0, 2, 4, 12, 16, 21, 22, 24, 25, 27]), new Set(["defect"]));
  assert.equal(of(undefined).problem, "defect");
  // The lowest byte of an extended code counts.
  assert.deepEqual([of(5 | 2 << 8).problem, of(19 | 6 << 8).problem, of(8 | 4 << 8).problem], [
    ...["later", "refused", "fatal"],
  ]);
  assert.match(of(11).message, /^text; the file is damaged: .*\.recover`$/);
  for (
    const [code, advice] of [[3, "rights"], [8, "writable"], [14, "directory"], [23, "rights"], [
      26,
      "another file",
    ]]
  ) {
    assert.match(of(Number(code)).message, new RegExp(`^text; .*${advice}`));
  }
  assert.equal(of(5).message, "text");
  assert.equal(openingError(new Error("text")).problem, "fatal");
  assert.match(openingError(new Error("text")).message, /^text; check that its directory exists/);
  assert.equal(openingError(Object.assign(new Error("text"), { errcode: 5 })).problem, "fatal");
  const own = new StoreError("moved", "gone");
  assert.equal(storeError(own), own);
});
