/** Sums by interval: each point counted once, whatever is killed, and whenever it comes. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { seriesStore } from "../../../lib/points/series_store.ts";
import { floorTo } from "../../../lib/outputs/rollups/levels.ts";
import { IntervalSums } from "../../../lib/outputs/rollups/sums.ts";
import type { RollupsOptions } from "../../../lib/outputs/sqlite/rollups.ts";
import { levelsOf } from "../../../lib/outputs/sqlite/rollup_levels.ts";
import { sumsOf } from "../../../lib/outputs/sqlite/rollup_rows.ts";
import { Chance } from "../../kit/bytes.ts";
import { metricOf } from "../../kit/decode.ts";
import { batchOf } from "../../kit/points.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { Database, DAY_MS, HOUR_MS, rowsOf, START_MS, valueOf } from "./database.ts";

const MINUTE = 60;
const ROLLUPS = [{ every: MINUTE, keepMs: 90 * DAY_MS }, { every: 3600, keepMs: 5 * 365 * DAY_MS }];
/** Small steps, so that a process ends in the middle of what it does. */
const STEPS = { rollups: ROLLUPS, storeSeries: 3, moveSeries: 2 };
/** The start of an hour, and of a day. */
const HOUR_S = Math.ceil(START_MS / DAY_MS) * DAY_MS / 1000;

const open = (path: string, options: RollupsOptions = STEPS, keepMs = Infinity) =>
  new Database(path, keepMs, seriesStore, undefined, options);

/** What the views of sums should say, computed from the points. */
const EXPECTED = (every: number) =>
  "SELECT series_id, start, points, sum, min, max, " +
  "(SELECT value FROM measurements f WHERE f.series_id = g.series_id AND f.time = g.a) AS first, " +
  "(SELECT value FROM measurements l WHERE l.series_id = g.series_id AND l.time = g.b) AS last " +
  `FROM (SELECT series_id, time / 1000000000 / ${every} * ${every} AS start, count(*) AS points, sum(value) AS sum, ` +
  "min(value) AS min, max(value) AS max, min(time) AS a, max(time) AS b FROM measurements m WHERE value IS NOT NULL " +
  "GROUP BY 1, 2) g ORDER BY 1, 2";
const STORED = (name: string) =>
  "SELECT series_id, time / 1000000000 AS start, points, sum, min, max, first, last " +
  `FROM measurements_${name} ORDER BY 1, 2`;
const numbersOf = (path: string, sql: string) =>
  rowsOf(path, sql).map((row) => Object.values(row).map(Number));

/** Makes rows as earlier versions wrote them, with all values. */
function makeFormerRows(path: string): void {
  const db = new DatabaseSync(path);
  for (const { every, name } of levelsOf(ROLLUPS)) {
    const { min, max, last, lastTime } = sumsOf(`rollup_${name}`, every);
    db.exec(
      `UPDATE rollup_${name} SET min = ${min}, max = ${max}, last = ${last}, last_time = ${lastTime}`,
    );
  }
  db.close();
}

Deno.test("sums are those of all points, each counted once, wherever the process was ended", async () => {
  for (let seed = 1; seed <= 2; seed++) {
    await using dir = new TempDir();
    const path = dir.file("m.sqlite");
    const chance = new Chance(seed);
    const many = Array.from(
      { length: 11 },
      (_, i) => seriesOf(metricOf("power"), { consumerId: `${seed}/${i}` }),
    );
    let database = open(path);
    let points = 0;
    let time = HOUR_S;
    try {
      for (let round = 0; round < 400; round++) {
        time += chance.int(60);
        const rows = Array.from({ length: chance.int(30) }, () => {
          // Now and then late, by hours; now and then NaN. Each nanosecond once, so that first and last are clear.
          const late = chance.int(12) === 0 ? chance.int(3 * 3600) : chance.int(5);
          const value = chance.int(15) === 0 ? NaN : chance.int(1000) / 4;
          return [many[chance.int(many.length)], value, time - late, points++] as [
            Series,
            number,
            number,
            number,
          ];
        });
        database.write([batchOf(rows)], START_MS, time * 1000);
        for (let steps = chance.int(40); steps > 0; steps--) {
          if (!database.store.keepHouse(time * 1000, chance.int(2) === 0)) break;
        }
        // What a killed process leaves is what its transactions have stored.
        if (chance.int(8) === 0) {
          database[Symbol.dispose]();
          if (chance.int(4) === 0) makeFormerRows(path);
          database = open(path);
        }
      }
      database.tidy((time + 2 * 86_400) * 1000);
      // What was made again in that step was quiet for long enough in this one.
      database.tidy((time + 2 * 86_400 + 600) * 1000);
    } finally {
      database[Symbol.dispose]();
    }
    assert.deepEqual(numbersOf(path, STORED("1m")), numbersOf(path, EXPECTED(MINUTE)), `seed ${seed}`);
    assert.deepEqual(numbersOf(path, STORED("1h")), numbersOf(path, EXPECTED(3600)), `seed ${seed}`);
    // All that was over was merged, and what says so was deleted.
    assert.equal(valueOf(path, "SELECT count(*) FROM parts WHERE NOT rolled"), 0n);
    assert.equal(valueOf(path, "SELECT count(*) FROM rolled"), 0n);
    assert.equal(
      valueOf(path, "SELECT count(*) FROM rollup_parts WHERE below IS NOT NULL OR seconds = every"),
      0n,
    );
  }
});

Deno.test("energy is added up and power is averaged", async () => {
  await using dir = new TempDir();
  using database = open(dir.file("m.sqlite"));
  const energy = seriesOf(metricOf("energy", "f64", { base: "J", prefix: "milli" }));
  const power = seriesOf(metricOf("power", "f64", { base: "W", prefix: "" }));
  for (const [i, value] of [4, 8, 6].entries()) {
    database.write([batchOf([[energy, value, HOUR_S + 20 * i], [power, value, HOUR_S + 20 * i]])]);
  }
  database.tidy((HOUR_S + 7200) * 1000);
  const rows = rowsOf(
    database.path,
    "SELECT metric, timestamp, value, unit, points, day FROM measurements_1h ORDER BY 1",
  );
  const common = { timestamp: new Date(HOUR_S * 1000).toISOString().replace(".000", ""), points: 3n };
  const day = new Date(HOUR_S * 1000).toISOString().slice(0, 10);
  assert.deepEqual(rows.map((row) => ({ ...row })), [
    { metric: "energy", value: 18, unit: "mJ", ...common, day },
    { metric: "power", value: 6, unit: "W", ...common, day },
  ]);
});

Deno.test("values that add up to more than a double holds stop no other sums", async () => {
  await using dir = new TempDir();
  using database = open(dir.file("m.sqlite"));
  const largest = Number.MAX_VALUE;
  const cases: Record<string, number[]> = {
    both: [Infinity, -Infinity],
    huge: [largest, largest, 1],
    negative: [-largest, -1e300, 2],
    plain: [1, 2.5],
    tiny: [5e-324, 5e-324],
  };
  // All in one minute, then in minutes of their own, and late: some sums are added up in memory, others in the database.
  for (const [step, afterMs] of [[1, HOUR_MS], [70, HOUR_MS], [1, DAY_MS]]) {
    const rows = Object.entries(cases).flatMap(([name, values]) =>
      values.map((value, i): [Series, number, number] => [
        seriesOf(metricOf(name, "f64")),
        value,
        HOUR_S + i * step,
      ])
    );
    database.write([batchOf(rows)], START_MS, HOUR_S * 1000);
    database.tidy(HOUR_S * 1000 + afterMs);
    database.tidy(HOUR_S * 1000 + afterMs + 600_000);
  }
  const sums = (view: string) =>
    rowsOf(
      database.path,
      `SELECT metric, sum(t.points) AS points, sum(t.sum) AS sum FROM ${view} t JOIN series_list USING (series_id) ` +
        "GROUP BY metric ORDER BY metric",
    ).map(({ metric, points, sum }) => `${metric} ${points} ${sum}`);
  const others = ["huge 9 Infinity", "negative 9 -Infinity", "plain 6 10.5", "tiny 6 3e-323"];
  const totals = sums("totals");
  assert.deepEqual(totals, ["both 6 null", ...others]);
  assert.deepEqual(sums("daily_totals"), totals);
  const hours = "(SELECT series_id, points, sum FROM measurements_1h)";
  assert.deepEqual(sums(hours), ["both 6 Infinity", ...others]);
  assert.equal(valueOf(database.path, "SELECT count(*) FROM parts WHERE NOT rolled"), 0n);
});

Deno.test("sums are kept for their own time, and so are the series that they are of", async () => {
  await using dir = new TempDir();
  using database = open(dir.file("m.sqlite"), STEPS, HOUR_MS);
  const one = seriesOf(metricOf("gone"));
  database.write([batchOf([[one, 1, HOUR_S], [one, 3, HOUR_S + 1]])], HOUR_S * 1000);
  const count = (table: string) => Number(valueOf(database.path, `SELECT count(*) FROM ${table}`));
  const all = () => ["points", "measurements_1m", "measurements_1h", "series"].map(count);
  const tidyAfter = (days: number) => {
    for (let hour = 0; hour < 4; hour++) database.tidy(HOUR_S * 1000 + days * DAY_MS + hour * HOUR_MS);
  };
  tidyAfter(1);
  assert.deepEqual(all(), [0, 1, 1, 1], "the points are gone");
  tidyAfter(89);
  assert.deepEqual(all(), [0, 1, 1, 1]);
  tidyAfter(92);
  assert.deepEqual(all(), [0, 0, 1, 1], "minutes are gone");
  tidyAfter(5 * 365 + 2);
  assert.deepEqual(all(), [0, 0, 0, 0], "nothing refers to the series");
});

Deno.test("a clock that jumps ahead by 100 days deletes no sums, until it shows that for a day", async () => {
  await using dir = new TempDir();
  using database = open(dir.file("m.sqlite"), STEPS);
  database.write([batchOf([[seriesOf(metricOf("kept")), 1, HOUR_S]])], HOUR_S * 1000);
  database.tidy((HOUR_S + 7200) * 1000);
  const minutesAt = (wallMs: number, monotonicMs: number) => {
    while (database.store.keepHouse(HOUR_S * 1000 + wallMs, false, monotonicMs));
    return valueOf(database.path, "SELECT count(*) FROM measurements_1m");
  };
  assert.equal(minutesAt(3 * HOUR_MS, HOUR_MS), 1n);
  assert.equal(minutesAt(100 * DAY_MS + HOUR_MS, 2 * HOUR_MS), 1n);
  assert.equal(minutesAt(101 * DAY_MS, DAY_MS), 1n);
  assert.equal(minutesAt(102 * DAY_MS, 2 * DAY_MS), 0n);
  assert.equal(valueOf(database.path, "SELECT count(*) FROM points"), 1n);
});

Deno.test("where there are too many series for the memory, sums are stored early, and add up", async () => {
  await using dir = new TempDir();
  using database = open(dir.file("m.sqlite"), { ...STEPS, maxSeries: 5 });
  const many = Array.from({ length: 20 }, (_, i) => seriesOf(metricOf("many"), { consumerId: String(i) }));
  for (let round = 0; round < 3; round++) {
    database.write([batchOf(many.map((one, i) => [one, i, HOUR_S + round]))], START_MS, HOUR_S * 1000);
  }
  const sums = () => numbersOf(database.path, STORED("1m")).map(([, , points, sum]) => [points, sum]);
  assert.deepEqual(sums(), many.map((_, i) => [3, 3 * i]), "before the minute is over");
  database.tidy((HOUR_S + 7200) * 1000);
  assert.deepEqual(sums(), many.map((_, i) => [3, 3 * i]));
});

Deno.test("points of the future are summed as well, and a host whose clock is right does not wait for them", async () => {
  await using dir = new TempDir();
  using database = open(dir.file("m.sqlite"));
  const one = seriesOf(metricOf("early"));
  const future = HOUR_S + 400 * 86_400;
  database.write([batchOf([[one, 5, future], [one, 1, HOUR_S]])], START_MS, HOUR_S * 1000);
  database.tidy((HOUR_S + 100) * 1000);
  assert.deepEqual(numbersOf(database.path, STORED("1m")).map((row) => row.slice(1, 4)), [[HOUR_S, 1, 1]]);
  database.tidy((HOUR_S + 600) * 1000);
  assert.deepEqual(numbersOf(database.path, STORED("1m")).map((row) => row.slice(1, 4)), [
    [HOUR_S, 1, 1],
    [future, 1, 5],
  ]);
});

/** Makes the tables of schema 2 of a newer one. */
const OLD_PARTS = [
  "PRAGMA legacy_alter_table = ON",
  "DROP INDEX parts_to_roll",
  "DROP INDEX parts_by_day",
  "ALTER TABLE parts RENAME TO newer",
  `CREATE TABLE parts (
  id INTEGER PRIMARY KEY,
  day TEXT NOT NULL,           -- all its points are of this day (UTC)
  start INTEGER NOT NULL,      -- what offsets count from, in seconds since 1970; not always the earliest
  first INTEGER NOT NULL,      -- the second of the earliest point
  last INTEGER NOT NULL,       -- the second of the latest point
  points INTEGER NOT NULL,
  repeats INTEGER NOT NULL,    -- 1: its points have the same series and time as points of other parts
  written INTEGER NOT NULL     -- day of the (first) transaction, in days since 1970
)`,
  "INSERT INTO parts SELECT id, day, start, first, last, points, repeats, written FROM newer",
  "DROP TABLE newer",
  "CREATE INDEX parts_by_day ON parts (day)",
  "DROP TABLE rollup_parts",
  "DROP TABLE rolled",
  "PRAGMA user_version = 2",
];

Deno.test("a database of the version before gets the tables of sums, and its points stay as they are", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const one = seriesOf(metricOf("old"));
  {
    using database = new Database(path);
    database.write([batchOf([[one, 1, HOUR_S]])]);
  }
  const db = new DatabaseSync(path);
  for (const sql of OLD_PARTS) db.exec(sql);
  db.close();
  using database = open(path);
  database.write([batchOf([[one, 2, HOUR_S + 1]])]);
  database.tidy((HOUR_S + 7200) * 1000);
  assert.equal(valueOf(path, "SELECT count(*) FROM measurements"), 2n);
  assert.deepEqual(numbersOf(path, STORED("1m")).map((row) => row.slice(1, 4)), [[HOUR_S, 1, 2]]);
  assert.equal(valueOf(path, "PRAGMA user_version"), 5n);
});

/** The view of earlier versions, in whose tables each row has all values. */
const FORMER_MINUTES = `CREATE VIEW measurements_1m AS
SELECT
  m.name AS metric,
  strftime('%Y-%m-%dT%H:%M:%SZ', d.start + r.interval * 60, 'unixepoch') AS timestamp,
  CASE WHEN m.unit_base IN ('J', 'W.h', 'g_CO2') THEN r.sum ELSE r.sum / r.points END AS value,
  r.points,
  r.sum,
  r.min,
  r.max,
  r.first,
  r.last,
  s.resource_kind,
  s.resource_id,
  s.consumer_kind,
  s.consumer_id,
  s.relay_client,
  s.attributes,
  m.unit,
  d.day,
  (d.start + r.interval * 60) * 1000000000 AS time,
  r.series AS series_id
FROM rollup_1m r
JOIN rollup_parts d ON d.id = r.part
JOIN series s ON s.id = r.series
JOIN metrics m ON m.id = s.metric`;

Deno.test("views that earlier versions made are replaced, others stay", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const views = "SELECT name, sql FROM sqlite_schema WHERE type = 'view' ORDER BY name";
  open(path)[Symbol.dispose]();
  const before = rowsOf(path, views);
  const isMine = ({ name }: { name?: unknown }) => name === "measurements_1h";
  const others = (rows: typeof before) => rows.filter((row) => !isMine(row));
  for (const minutes of [FORMER_MINUTES, `${FORMER_MINUTES}\nWHERE d.every = 60`]) {
    const db = new DatabaseSync(path);
    for (const { name, sql } of before) {
      db.exec(`DROP VIEW ${name}`);
      const former = String(sql).replace(/CASE.*total\(sum\) END/, "total(sum)");
      if (name === "measurements_1h") db.exec("CREATE VIEW measurements_1h AS SELECT 'mine' AS metric");
      else db.exec(name === "measurements_1m" ? minutes : former);
    }
    db.close();
    assert.notDeepEqual(rowsOf(path, views), before);
    open(path)[Symbol.dispose]();
    const after = rowsOf(path, views);
    assert.deepEqual(others(after), others(before));
    assert.match(String(after.find(isMine)?.sql), /'mine'/);
  }
});

Deno.test("values that follow from others take no room in a row, and late points are added to them", async () => {
  await using dir = new TempDir();
  using database = open(dir.file("m.sqlite"), { rollups: ROLLUPS });
  const kinds: ((n: number) => number)[] = [() => 7.5, (n) => n, (n) => 50 - n, (n) => n * n % 7 - 3];
  const many = Array.from({ length: 160 }, (_, i) => seriesOf(metricOf("kinds"), { consumerId: String(i) }));
  /** Polls each 20 s; how often there was a point at that time says what its nanoseconds are. */
  const write = (from: number, to: number, times: number, nowS: number) => {
    const rows = many.flatMap((one, i) =>
      Array.from({ length: to - from }, (_, n): [Series, number, number, number] => [
        one,
        kinds[i % kinds.length](from + n),
        HOUR_S + 20 * (from + n),
        times,
      ])
    );
    database.write([batchOf(rows)], START_MS, nowS * 1000);
    database.tidy((nowS + 3600) * 1000);
    assert.deepEqual(numbersOf(database.path, STORED("1m")), numbersOf(database.path, EXPECTED(MINUTE)));
    assert.deepEqual(numbersOf(database.path, STORED("1h")), numbersOf(database.path, EXPECTED(3600)));
  };
  write(3, 9, 5, HOUR_S + 3600);
  const count = (kind: number, what: string) =>
    valueOf(database.path, `SELECT count(*) FROM rollup_1m WHERE (series - 1) % 4 = ${kind} AND ${what}`);
  const follow = "min = '' AND max = ''";
  assert.equal(count(0, `${follow} AND last = ''`), 80n, "those that stay");
  for (const kind of [1, 2]) {
    assert.equal(count(kind, `${follow} AND last <> ''`), 80n, "those that move");
  }
  for (const [i, [from, to, times]] of [[0, 5, 6], [3, 4, 4], [5, 9, 7], [8, 12, 3]].entries()) {
    write(from, to, times, HOUR_S + 7200 * (i + 1));
  }
  assert.equal(valueOf(database.path, "PRAGMA integrity_check"), "ok");
});

Deno.test("sums of an interval are looked for in its own parts", async () => {
  await using dir = new TempDir();
  using database = open(dir.file("m.sqlite"));
  const plan = rowsOf(
    database.path,
    "EXPLAIN QUERY PLAN SELECT sum(value) FROM measurements_1h WHERE metric = 'a' AND day > '2026-01-01'",
  ).map(({ detail }) => String(detail));
  assert.ok(plan.some((line) => /SEARCH d USING.*every=\?/.test(line)), plan.join("\n"));
});

Deno.test("series are found by their ids, however these are spread, and columns grow", () => {
  const sums = new IntervalSums();
  const into = { points: 0, sum: 0, min: 0, max: 0, first: 0, last: 0, firstTime: 0, lastTime: 0 };
  for (let use = 0; use < 2; use++) {
    sums.begin(0, 0);
    const ids = Array.from({ length: 5000 }, (_, i) => 1 + (i * 7919) % 5000 + (i % 2) * 2 ** 31);
    for (let n = 0; n < 3; n++) for (const id of ids) sums.add(id, n, id + n);
    assert.equal(sums.length, new Set(ids).size);
    assert.deepEqual([...sums.ids()], [...new Set(ids)].sort((a, b) => a - b));
    for (const id of ids) {
      sums.read(sums.placeOf(id), into);
      assert.deepEqual([into.points, into.sum, into.first, into.last], [3, 3 * id + 3, id, id + 2]);
    }
    assert.equal(sums.placeOf(1 + 2 ** 30), -1);
  }
});

Deno.test("series are found, and those that are not there are not, however many ids are neighbours", () => {
  for (const step of [1, 2]) {
    const sums = new IntervalSums();
    for (let n = 1; n <= 1024; n++) sums.add(n * step, 0, 1);
    for (let n = 1; n <= 1024; n++) assert.equal(sums.placeOf(n * step), n - 1);
    const into = { points: 0, sum: 0, min: 0, max: 0, first: 0, last: 0, firstTime: 0, lastTime: 0 };
    for (let n = 1024; n >= 1; n--) sums.add(n * step, 0, n);
    for (let n = 1; n <= 1024; n++) {
      sums.read(n - 1, into);
      assert.deepEqual([into.points, into.sum], [2, n + 1]);
    }
    for (let id = 4096; id < 8192; id++) assert.equal(sums.placeOf(id), -1);
  }
});

Deno.test("the sums of a series are those of its points, in whatever order they come, and NaN is no point", () => {
  const sums = new IntervalSums();
  assert.equal(sums.length, 0);
  sums.begin(HOUR_S, 7);
  assert.deepEqual([sums.start, sums.firstPart, sums.beganMs, sums.changedMs, sums.length], [
    HOUR_S,
    Infinity,
    7,
    7,
    0,
  ]);
  sums.add(5, 1, NaN);
  assert.deepEqual([sums.length, sums.placeOf(5)], [0, -1]);
  for (const [time, value] of [[30, 4], [20, -2], [40, 9], [40, 3], [20, 1], [25, NaN], [35, 6]]) {
    sums.add(5, time, value);
  }
  sums.add(6, 10, -1);
  const read = (id: number) => {
    const into = { points: 0, sum: 0, min: 0, max: 0, first: 0, last: 0, firstTime: 0, lastTime: 0 };
    sums.read(sums.placeOf(id), into);
    return into;
  };
  // Of points with one time, the first one is the first of an interval, and the last one is the last.
  assert.deepEqual(read(5), {
    points: 6,
    sum: 21,
    min: -2,
    max: 9,
    first: -2,
    last: 3,
    firstTime: 20,
    lastTime: 40,
  });
  assert.deepEqual(read(6), {
    points: 1,
    sum: -1,
    min: -1,
    max: -1,
    first: -1,
    last: -1,
    firstTime: 10,
    lastTime: 10,
  });
  sums.begin(HOUR_S, 8);
  assert.deepEqual([sums.length, sums.placeOf(5), [...sums.ids()]], [0, -1, []]);
});

Deno.test("intervals are named by the shortest text, and a part of them ends with a day and with an interval of the next level", () => {
  const of = (...every: number[]) => levelsOf(every.map((every) => ({ every, keepMs: DAY_MS })));
  assert.deepEqual(of(60, 3600, 7 * 86_400).map(({ name, span }) => [name, span]), [
    ["1m", 3600],
    ["1h", 86_400],
    ["7d", 7 * 86_400],
  ]);
  assert.deepEqual(of(60, 1800).map(({ span }) => span), [1800, 86_400]);
  assert.deepEqual([floorTo(125, 60), floorTo(120, 60), floorTo(-1, 60)], [120, 120, -60]);
  assert.deepEqual(of(90).map(({ name, span }) => [name, span]), [["90s", 5400]]);
  for (const { every, span } of [1, 27, 60, 100, 1600, 3600, 14_400].flatMap((every) => of(every))) {
    assert.equal(span % every, 0);
    assert.equal(86_400 % span, 0);
  }
});
