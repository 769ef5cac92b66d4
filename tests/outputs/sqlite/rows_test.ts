/** Rows of the database as they are found, added and deleted: of metrics and series, of sums, and of parts. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { hashOf, Identities } from "../../../lib/outputs/sqlite/identities.ts";
import type { MetricRow, PointGroup, SeriesRow } from "../../../lib/outputs/sqlite/messages.ts";
import { PartDeletion } from "../../../lib/outputs/sqlite/part_deletion.ts";
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
