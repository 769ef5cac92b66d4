/** How tables are prepared and sums are made in PostgreSQL, with a session that a test plays. */
import assert from "node:assert/strict";
import { deleteOld } from "../../../lib/outputs/postgresql/retention.ts";
import { deleteOldSums, settle, sumUp } from "../../../lib/outputs/postgresql/rollups/summing.ts";
import { prepareRollups } from "../../../lib/outputs/postgresql/rollups/tables.ts";
import { prepareTables, SCHEMA_VERSION } from "../../../lib/outputs/postgresql/tables.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { PlayedSession, saying } from "../../kit/played_session.ts";

const DAY_MS = 86_400_000;
const LEVELS = [
  { every: 0, completeFrom: 1000 },
  { every: 60, completeFrom: 7200 },
  { every: 3600, completeFrom: 172_800 },
  { every: 86_400, completeFrom: -Infinity },
];

interface Mark {
  id: string;
  every: number;
  start: number;
  series: number[];
}

/** A database with marks, which are gone when they are deleted. */
function marked(...marks: Mark[]): PlayedSession {
  return new PlayedSession((text) => {
    if (text.includes("WITH levels")) return marks.map((mark) => ({ ...mark }));
    if (text.includes("rollup_levels")) return LEVELS;
    for (const [, id] of text.matchAll(/'?(\w+)'?(?=[,)])/g)) {
      if (text.includes("DELETE FROM s.rollup_marks")) marks = marks.filter((mark) => mark.id !== id);
    }
    return [];
  });
}

const sumsIn = ({ texts, values }: PlayedSession) =>
  texts.flatMap((text, n) => {
    const match =
      /^INSERT INTO s\.(rollup_\w+) AS r .* sum\((p\.\w+)\) FILTER .* FROM s\.(\w+) WHERE series_id = s\.id AND \w+ >= to_timestamp\((\d+)\) AND \w+ < to_timestamp\((\d+)\)/
        .exec(text);
    return match ? [[...match.slice(1), values[n]]] : [];
  });
const cascades = ({ texts }: PlayedSession) =>
  texts.flatMap((text) => /VALUES \((\d+, to_timestamp\(\d+\), '\{[\d,]*\}')\);/.exec(text)?.slice(1) ?? []);

Deno.test("the sums of an interval are made of the longest one below that has all points, and mark the next one", async () => {
  const session = marked(
    { id: "1", every: 60, start: 90_000, series: [5, 6] },
    { id: "2", every: 60, start: 90_000, series: [1, 2, 40, 40] },
    { id: "3", every: 3600, start: 0, series: [7, 7] },
    { id: "4", every: 3600, start: 3600, series: [7, 7] },
    { id: "5", every: 3600, start: 7200, series: [7, 7] },
    { id: "6", every: 86_400, start: 86_400, series: [9, 9] },
    { id: "7", every: 86_400, start: 172_800, series: [9, 9] },
  );
  assert.equal(await sumUp(session.session, "s"), 7);
  assert.deepEqual(sumsIn(session), [
    ["rollup_1m", "p.value", "points", "90000", "90060", [[1, 40], [6, 40]]],
    // Where nothing has all of them, the next one below.
    ["rollup_1h", "p.sum", "rollup_1m", "0", "3600", [[7], [7]]],
    ["rollup_1h", "p.value", "points", "3600", "7200", [[7], [7]]],
    ["rollup_1h", "p.sum", "rollup_1m", "7200", "10800", [[7], [7]]],
    ["rollup_1d", "p.sum", "rollup_1m", "86400", "172800", [[9], [9]]],
    ["rollup_1d", "p.sum", "rollup_1h", "172800", "259200", [[9], [9]]],
  ]);
  assert.deepEqual(cascades(session), [
    "3600, to_timestamp(90000), '{1,6,40,40}'",
    ...Array(3).fill("86400, to_timestamp(0), '{7,7}'"),
  ]);
  const deleted = session.texts.find((text) => text.includes("rollup_marks WHERE id"));
  assert.match(deleted ?? "", /DELETE FROM s\.rollup_marks WHERE id IN \(1,2\)$/);
});

Deno.test("marks of an interval that is not summed up any more, and of points, are deleted", async () => {
  const session = marked({ id: "1", every: 30, start: 60, series: [1, 1] }, {
    id: "2",
    every: 0,
    start: 60,
    series: [1, 1],
  });
  assert.equal(await sumUp(session.session, "s"), 2);
  assert.deepEqual([sumsIn(session), cascades(session)], [[], []]);
  assert.equal(session.texts.filter((text) => text.startsWith("DELETE FROM s.rollup_marks")).length, 2);
});

Deno.test("a thousand series are summed up by one statement", async () => {
  const session = marked({ id: "1", every: 60, start: 0, series: [1, 1001] });
  await sumUp(session.session, "s");
  assert.deepEqual(sumsIn(session).map((sums) => sums.at(-1)), [[[1], [1000]], [[1001], [1001]]]);
});

Deno.test("summing up ends when it is enough, between two intervals", async () => {
  const marks = [60, 120, 180].map((start, n): Mark => ({ id: `${n}`, every: 60, start, series: [1, 1] }));
  const session = marked(...marks);
  assert.equal(await sumUp(session.session, "s", "now()", () => true), 0);
  assert.deepEqual(session.texts, []);
  let asked = 0;
  assert.equal(await sumUp(session.session, "s", "now()", () => ++asked > 2), 3);
  assert.equal(sumsIn(session).length, 2);
});

Deno.test("sums wait for the end of an interval and for late points, and not too long", async () => {
  const session = new PlayedSession();
  await sumUp(session.session, "s", "T");
  const [, query] = session.texts;
  assert.match(
    query,
    /WHEN \(SELECT min\(every\) FROM levels\) THEN 20 ELSE 120 END \* interval '1 second' <= T/,
  );
  assert.match(query, /max\(made_at\) <= T - interval '5 s' OR min\(made_at\) <= T - interval '120 s'/);
  assert.match(query, /OR max\(made_at\) <= T - \(every \+ 120\) \* interval '1 second'/);
  assert.match(query, /LIMIT 64\) .* ORDER BY every, start, id LIMIT 4096$/);
});

Deno.test("before points of a time are deleted, their sums are made, and it is settled", async () => {
  const settled = async (levels: typeof LEVELS, error?: Error, lost = false) => {
    const session = new PlayedSession((text) =>
      text.includes("WITH levels")
        ? []
        : text.includes("UPDATE") && error
        ? error
        : text.includes("SELECT every")
        ? levels
        : []
    );
    session.lost = lost;
    const thrown = await settle(session.session, "s", 100_000).then(() => "", String);
    return { texts: session.texts, thrown };
  };
  for (const [completeFrom, count] of [[99_999, 7], [100_000, 1], [100_001, 1]]) {
    assert.equal((await settled([{ every: 0, completeFrom }])).texts.length, count, `${completeFrom}`);
  }
  const none = await settled([]);
  assert.deepEqual([none.texts.length, none.thrown], [1, ""]);
  const { texts } = await settled([{ every: 0, completeFrom: 0 }]);
  assert.match(texts[2], /HAVING start < to_timestamp\(100000\)/);
  assert.match(texts[3], /^BEGIN; SELECT pg_advisory_xact_lock\(/);
  assert.match(texts[6], /SET complete_from = to_timestamp\(100000\) WHERE every = 0; COMMIT$/);
  const failed = await settled([{ every: 0, completeFrom: 0 }], saying("55P03"));
  assert.deepEqual([failed.texts.at(-1), failed.thrown], ["ROLLBACK", "Error: no"]);
  const lost = await settled([{ every: 0, completeFrom: 0 }], saying("55P03"), true);
  assert.match(lost.texts.at(-1)!, /^UPDATE/);
});

Deno.test("old sums are deleted in steps, in whole intervals of all levels", async () => {
  let left = 25_000;
  const session = new PlayedSession((text) => {
    if (!text.includes("DELETE FROM s.rollup_1m ")) return [];
    const count = Math.min(left, 10_000);
    left -= count;
    return Array.from({ length: count }, () => ({}));
  });
  const days = (every: number, keepDays: number) => ({ every, keepMs: keepDays * DAY_MS });
  const deleted = await deleteOldSums(session.session, "s", [days(60, 1), days(3600, 2)], 10.5 * DAY_MS);
  assert.deepEqual([
    deleted,
    session.texts.filter((text) => text.includes("DELETE FROM s.rollup_1m ")).length,
  ], [25_000, 3]);
  const times = () =>
    session.texts.flatMap((text) =>
      /complete_from = to_timestamp\((\d+)\) WHERE every = (\d+)/.exec(text)?.slice(1) ?? []
    );
  assert.deepEqual(times(), [`${9 * 86_400}`, "60", `${8 * 86_400}`, "3600"]);
  assert.match(
    session.texts.find((text) => text.includes("DELETE FROM s.rollup_1h"))!,
    /start < to_timestamp\(691200\) LIMIT 10000/,
  );
  session.texts.length = 0;
  await deleteOldSums(session.session, "s", [days(60, 1), days(7 * 86_400, 2)], 20.5 * DAY_MS);
  assert.deepEqual(times(), [`${14 * 86_400}`, "60", `${14 * 86_400}`, "604800"]);
  left = 10_000;
  session.texts.length = 0;
  assert.equal(await deleteOldSums(session.session, "s", [days(60, 1)], 10 * DAY_MS), 10_000);
  assert.deepEqual(times(), [`${9 * 86_400}`, "60"]);
  // A server that does not count has nothing more.
  const silent = {
    query: () => Promise.resolve({ rows: [], rowCount: null }),
  } as unknown as PlayedSession["session"];
  assert.equal(await deleteOldSums(silent, "s", [days(60, 1)], 10 * DAY_MS), 0);
});

/** Days in UTC with points, and how many rows each statement deletes. */
function oldDatabase(days: readonly string[], rows: (text: string) => number = () => 0): PlayedSession {
  return new PlayedSession((text) => {
    if (text.includes("pg_inherits")) return days.map((day) => ({ name: `points_${day}` }));
    if (text.includes("pg_extension")) return [{ extension: "ext" }];
    if (text.includes("c.relkind = 'r'")) return [{ name: "s.rollup_1m" }];
    if (text.includes("WITH levels")) return [];
    if (text.includes("rollup_levels")) return [{ every: 0, completeFrom: -Infinity }];
    return Array.from({ length: rows(text) }, () => ({}));
  });
}

Deno.test("whole days are deleted that ended before the time to keep, and series that nothing refers to", async () => {
  const days = ["20241001", "20241002", "20241003", "20241004"];
  let series = 20_001;
  const session = oldDatabase(days, (text) => {
    if (text.includes("DELETE FROM s.points_default")) return 7;
    if (!text.includes("DELETE FROM s.series")) return 0;
    const count = Math.min(series, 10_000);
    series -= count;
    return count;
  });
  const now = Date.UTC(2024, 9, 13, 12);
  const tables = { schema: "s", hypertable: false };
  const deleted = await deleteOld(session.session, tables, 10 * DAY_MS, now);
  assert.deepEqual(deleted, { days: 2, points: 7, series: 20_001 });
  const { texts } = session;
  assert.equal(texts[0], "SET statement_timeout = 600000; SET lock_timeout = 2000");
  const dropped = texts.filter((text) => text.startsWith("DROP TABLE"));
  assert.deepEqual(dropped, ["20241001", "20241002"].map((day) => `DROP TABLE IF EXISTS s.points_${day}`));
  assert.ok(
    texts.includes("DELETE FROM s.points_default WHERE time < '2024-10-03T00:00:00.000Z'::timestamptz"),
  );
  const ofSeries = texts.filter((text) => text.startsWith("DELETE FROM s.series"));
  assert.equal(ofSeries.length, 3);
  assert.match(
    ofSeries[0],
    /::date - 2 AND .* NOT EXISTS \(SELECT FROM s\.rollup_1m r .* LIMIT 10000 FOR UPDATE/,
  );
  assert.ok(!texts.some((text) => text.includes("rollup_levels")), "there are no sums");
  series = 10_000;
  assert.equal((await deleteOld(session.session, tables, 10 * DAY_MS, now)).series, 10_000);
  // A day that ends just then, and a nanosecond of the next one.
  const daysAt = async (ms: number) => (await deleteOld(oldDatabase(days).session, tables, DAY_MS, ms)).days;
  assert.deepEqual(await Promise.all([0, 1, DAY_MS - 1].map((ms) => daysAt(Date.UTC(2024, 9, 3) + ms))), [
    1,
    1,
    1,
  ]);
  assert.equal(await daysAt(Date.UTC(2024, 9, 4)), 2);
});

Deno.test("sums are made before points are deleted, and a hypertable drops its chunks", async () => {
  const session = oldDatabase([], (text) => text.includes("drop_chunks") ? 3 : 0);
  const now = Date.UTC(2024, 9, 13, 12);
  const tables = { schema: "s", hypertable: true };
  assert.deepEqual(await deleteOld(session.session, tables, 10 * DAY_MS, now, true), {
    days: 3,
    points: 0,
    series: 0,
  });
  const settled = Date.UTC(2024, 9, 3) / 1000;
  assert.ok(
    session.texts.some((text) => text.includes(`complete_from = to_timestamp(${settled}) WHERE every = 0`)),
  );
  assert.ok(
    session.texts.some((text) => text.includes("SELECT ext.drop_chunks('s.points'::regclass, '2024-10-03T")),
  );
  assert.ok(!session.texts.some((text) => text.includes("points_default")));
  // A server that does not count.
  const silent = {
    query: (text: string) =>
      Promise.resolve({ rows: text.includes("pg_extension") ? [{}] : [], rowCount: null }),
  } as unknown as PlayedSession["session"];
  for (const hypertable of [true, false]) {
    const deleted = await deleteOld(silent, { schema: "s", hypertable }, DAY_MS, now);
    assert.deepEqual(deleted, { days: 0, points: 0, series: 0 });
  }
});

const COMMON = ["rollup_levels", "rollup_marks"];
const OF_MINUTES = ["rollup_1m", "measurements_1m"];
const MINUTES = [{ every: 60, keepMs: DAY_MS }];

interface There {
  tables?: string[];
  levels?: number[];
  denied?: string[];
  /** What a statement with this text throws. */
  error?: readonly [text: string, error: Error];
  lost?: boolean;
}

async function preparedRollups(rollups: typeof MINUTES, there: There) {
  const { tables = [], levels = [], denied = [], error, lost = false } = there;
  const logs = new LogLines();
  let made = false;
  const session = new PlayedSession((text) => {
    if (error && text.includes(error[0])) return error[1];
    if (text.includes("CREATE TABLE")) made = true;
    if (text.includes("pg_class c JOIN pg_namespace")) {
      return (made ? [...COMMON, ...OF_MINUTES] : tables).map((name) => ({ name }));
    }
    if (text.includes("has_table_privilege")) return denied.map((name) => ({ name }));
    return text.startsWith("SELECT every") ? levels.map((every) => ({ every })) : [];
  });
  session.lost = lost;
  const result = await prepareRollups(session.session, "s", rollups, logs.log).catch(String);
  const levelsSet = session.texts.filter((text) => text.startsWith('INSERT INTO "s".rollup_levels'));
  return { result, texts: session.texts, values: session.values, logs, levelsSet };
}

Deno.test("sums that nobody has ever wanted have no tables, and those that are as wanted are left alone", async () => {
  const none = await preparedRollups([], {});
  assert.deepEqual([none.result, none.texts.length, none.values[0]], [false, 1, ["s", COMMON]]);
  const there = await preparedRollups(MINUTES, { tables: [...COMMON, ...OF_MINUTES], levels: [0, 60] });
  assert.deepEqual([there.result, there.texts.length, there.logs.lines], [true, 3, []]);
  assert.deepEqual(there.values[1], [['"s".rollup_levels', '"s".rollup_marks', '"s".rollup_1m']]);
  const some = await preparedRollups([], { tables: COMMON, levels: [0] });
  assert.deepEqual([some.result, some.texts.length], [true, 3]);
});

Deno.test("tables of sums that are missing are made, and other intervals than before take over", async () => {
  const fresh = await preparedRollups(MINUTES, {});
  assert.equal(fresh.result, true);
  assert.match(
    fresh.texts[1],
    /^BEGIN; SELECT pg_advisory_xact_lock\(hashtext\('alumet-relay'\), hashtext\('s'\)\);/,
  );
  assert.equal(
    fresh.texts.filter((text) => text.startsWith("SELECT every")).length,
    0,
    "there is no table to read",
  );
  const created = fresh.texts.find((text) => text.startsWith("CREATE TABLE"))!;
  assert.match(created, /rollup_levels .*rollup_marks .*rollup_1m .*VIEW "s"\.measurements_1m/);
  assert.doesNotMatch(created, /NaN|undefined/);
  assert.match(
    fresh.levelsSet[0],
    /VALUES \(0, '-infinity'\).*VALUES \(60, CASE .*DELETE FROM "s"\.rollup_levels WHERE every NOT IN \(0, 60\)$/,
  );
  assert.equal(fresh.texts.at(-1), "COMMIT");
  assert.equal(fresh.logs.matching(/INFO .*Sums by interval are kept schema=s every=1m/).length, 1);

  const other = await preparedRollups(MINUTES, { tables: [...COMMON, ...OF_MINUTES], levels: [0, 30] });
  assert.ok(!other.texts.some((text) => text.startsWith("CREATE TABLE")));
  assert.match(other.levelsSet[0], /VALUES \(60, CASE/);
  assert.doesNotMatch(other.levelsSet[0], /NaN|undefined/);
  assert.equal(other.logs.lines.length, 1);

  // One that was kept is not begun again, but one whose table was dropped is.
  const kept = await preparedRollups(MINUTES, { tables: [...COMMON, "rollup_1m"], levels: [0, 60] });
  assert.doesNotMatch(kept.levelsSet[0], /VALUES \(60/);
  assert.ok(kept.texts.some((text) => text.startsWith("CREATE TABLE")), "its view is made");
  const dropped = await preparedRollups(MINUTES, { tables: [...COMMON, "measurements_1m"], levels: [0, 60] });
  assert.match(dropped.levelsSet[0], /VALUES \(60/);
});

Deno.test("another process may have made the tables of sums meanwhile", async () => {
  let reads = 0;
  const logs = new LogLines();
  const session = new PlayedSession((text) =>
    text.includes("pg_class c JOIN")
      ? (reads++ === 0 ? [] : [...COMMON, ...OF_MINUTES]).map((name) => ({ name }))
      : text.startsWith("SELECT every")
      ? [{ every: 0 }, { every: 60 }]
      : []
  );
  assert.equal(await prepareRollups(session.session, "s", MINUTES, logs.log), true);
  assert.ok(!session.texts.some((text) => /CREATE|INSERT/.test(text)));
  assert.deepEqual([session.texts.at(-1), logs.lines], ["COMMIT", []]);
});

Deno.test("a role that may not make or write the tables of sums goes on without, and the log says what to grant", async () => {
  const tables = [...COMMON, ...OF_MINUTES];
  const denied = await preparedRollups(MINUTES, { tables, levels: [0, 60], denied: ["x", "y"] });
  assert.equal(denied.result, false);
  assert.equal(denied.logs.matching(/WARN .*grant SELECT, INSERT, UPDATE and DELETE.* tables=x,y/).length, 1);
  const refused = await preparedRollups(MINUTES, { error: ["CREATE TABLE", saying("42501")] });
  assert.deepEqual([refused.result, refused.texts.at(-1)], [false, "ROLLBACK"]);
  assert.equal(refused.logs.matching(/WARN .*grant CREATE on the schema/).length, 1);
  const other = await preparedRollups(MINUTES, { error: ["CREATE TABLE", saying("55P03")] });
  assert.deepEqual([other.result, other.texts.at(-1), other.logs.lines], ["Error: no", "ROLLBACK", []]);
  const lost = await preparedRollups(MINUTES, { error: ["CREATE TABLE", saying("42501")], lost: true });
  assert.deepEqual([lost.result, lost.logs.lines], ["Error: no", []]);
  assert.ok(!lost.texts.includes("ROLLBACK"));
});

const TABLES = ["schema_version", "changes", "metrics", "series", "journals", "clients", "host_times"];
const VIEWS = ["measurements", "hosts", "series_list", "series_attributes", "totals", "daily_totals"];
const kinds = (names: readonly string[], kind: string) => names.map((name) => ({ name, kind }));
const WHOLE = [
  ...kinds([...TABLES, "points_default"], "r"),
  ...kinds(["points"], "p"),
  ...kinds(VIEWS, "v"),
];

interface Database {
  tables: { name: string; kind: string }[];
  version?: number | null;
  /** The schema of TimescaleDB. */
  extension?: string;
  license?: string;
  changes?: number;
  hasSchema?: boolean;
  error?: readonly [text: string, error: Error];
  lost?: boolean;
  /** What is there when it is looked at again. */
  later?: { name: string; kind: string }[];
}

async function preparedTables(database: Database, timescaledb = true) {
  const { version = SCHEMA_VERSION, extension, license = null, changes = 1, hasSchema = true, error, later } =
    database;
  const logs = new LogLines();
  let looks = 0;
  const session = new PlayedSession((text) => {
    if (error && text.includes(error[0])) return error[1];
    if (text.includes("pg_class c JOIN")) return looks++ > 0 && later ? later : database.tables;
    if (text.startsWith("SELECT max(version)")) return [{ version }];
    if (text.includes("FROM pg_extension")) return extension ? [{ schema: extension }] : [];
    if (text.includes('SELECT FROM "s".changes')) return Array.from({ length: changes }, () => ({}));
    if (text.includes("timescaledb.license")) return [{ edition: license }];
    if (text.includes("SELECT EXISTS")) return [{ exists: hasSchema }];
    return [];
  });
  session.lost = database.lost ?? false;
  const options = { name: "s", timescaledb, log: logs.log };
  const result = await prepareTables(session.session, options).catch((reason) => String(reason));
  const { texts } = session;
  for (const text of texts) assert.doesNotMatch(text, /NaN|undefined/);
  const has = (text: string) => texts.some((one) => one.includes(text));
  return { result, texts, logs, has };
}

Deno.test("tables that are all there are left alone, but their ids are protected", async () => {
  const whole = await preparedTables({ tables: WHOLE });
  assert.deepEqual(whole.result, { schema: '"s"', hypertable: false });
  assert.deepEqual([whole.texts.length, whole.texts.at(-1)], [5, 'SELECT "s".protect_ids()']);
  assert.deepEqual(whole.logs.lines, []);
  const plain = WHOLE.filter(({ name }) => name !== "points_default")
    .map(({ name, kind }) => ({ name, kind: name === "points" ? "r" : kind }));
  const hypertable = await preparedTables({ tables: plain });
  assert.deepEqual([hypertable.result, hypertable.texts.length], [{ schema: '"s"', hypertable: true }, 5]);
});

Deno.test("what is missing is made in one transaction, and named in the log", async () => {
  const empty = await preparedTables({ tables: [], hasSchema: false, later: [] });
  assert.ok(empty.texts.includes('CREATE SCHEMA "s"'));
  assert.ok(
    empty.has("PARTITION BY RANGE") && empty.has('INSERT INTO "s".schema_version (version) VALUES (2)'),
  );
  assert.ok(!empty.has("create_hypertable") && empty.has("COMMIT") && !empty.has("ROLLBACK"));
  assert.equal(empty.logs.matching(/INFO .*Tables created schema=s version=2 tables=.*points/).length, 1);
  const there = await preparedTables({ tables: WHOLE.slice(1), later: WHOLE });
  assert.ok(!there.has("CREATE TABLE"), "another process has made it");
  assert.deepEqual([there.logs.lines, there.texts.includes("COMMIT")], [[], true]);
  // A row of changes, and only one.
  for (const changes of [0, 2]) {
    assert.equal(
      (await preparedTables({ tables: WHOLE, changes })).logs.matching(/tables=changes/).length,
      1,
    );
  }
  const view = await preparedTables({ tables: WHOLE.filter(({ name }) => name !== "totals") });
  assert.ok(view.has('VIEW "s".totals') && !view.has("CREATE SCHEMA") && !view.has("PARTITION BY"));
  assert.ok(!view.has('INSERT INTO "s".schema_version'), "its version is written already");
  const part = await preparedTables({ tables: WHOLE.filter(({ name }) => name !== "points_default") });
  assert.ok(part.has("PARTITION BY"));
});

Deno.test("points are a hypertable where TimescaleDB is there and wanted, compressed where its edition can", async () => {
  const tables = WHOLE.filter(({ name }) => name !== "points" && name !== "points_default");
  const made = await preparedTables({ tables, extension: "ext", license: "timescale" });
  assert.ok(
    made.has('"ext".create_hypertable') && made.has("add_compression_policy") && !made.has("PARTITION BY"),
  );
  assert.ok(made.has("compress_after => interval '2 days'"));
  assert.equal(made.logs.matching(/hypertable of TimescaleDB schema=s compressed=true/).length, 1);
  const free = await preparedTables({ tables, extension: "ext", license: "apache" });
  assert.ok(!free.has("add_compression_policy"));
  assert.equal(free.logs.matching(/compressed=false/).length, 1);
  assert.ok((await preparedTables({ tables, extension: "ext" }, false)).has("PARTITION BY"));
  assert.ok((await preparedTables({ tables })).has("PARTITION BY"));
});

Deno.test("tables of another version are led to this one, and those of a later one are left alone", async () => {
  for (const version of [1, null]) {
    const older = await preparedTables({ tables: WHOLE, version });
    assert.ok(older.has('INSERT INTO "s".schema_version (version) VALUES (2)'), `${version}`);
    assert.equal(
      older.texts.filter((text) => text === "").length,
      version === 1 ? 1 : 0,
      "the steps between",
    );
    assert.equal(older.logs.matching(/Tables created/).length, 1);
  }
  const newer = await preparedTables({ tables: WHOLE, version: 3 });
  assert.match(String(newer.result), /of version 3, this program knows only version 2; update alumet-relay/);
  assert.deepEqual([newer.texts.at(-1), newer.has("CREATE TABLE")], ["ROLLBACK", false]);
});

Deno.test("a role that may not make tables is told what is missing, and what to grant", async () => {
  const tables = WHOLE.slice(1);
  const denied = await preparedTables({ tables, error: ["CREATE TABLE", saying("42501")] });
  assert.match(
    String(denied.result),
    /the schema s is not complete \(schema_version\), and no \(SQLSTATE 42501\); grant CREATE/,
  );
  assert.equal(denied.texts.at(-1), "ROLLBACK");
  const other = await preparedTables({ tables, error: ["CREATE TABLE", saying("55P03")] });
  assert.deepEqual([other.result, other.texts.at(-1)], ["Error: no", "ROLLBACK"]);
  const lost = await preparedTables({ tables, error: ["CREATE TABLE", saying("55P03")], lost: true });
  assert.ok(!lost.has("ROLLBACK"));
});
