/** Compaction: each point once and exactly, whatever is killed, whoever reads, and whatever comes late. */
import assert from "node:assert/strict";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { Timer } from "../../../lib/base/timers.ts";
import { seriesStore } from "../../../lib/points/series_store.ts";
import { BlockReader } from "../../../lib/outputs/sqlite/blocks/reader.ts";
import type { CompactionOptions } from "../../../lib/outputs/sqlite/compaction.ts";
import type { PacksOptions } from "../../../lib/outputs/sqlite/packs.ts";
import { PointReader } from "../../../lib/cli/export/points.ts";
import { Chance } from "../../kit/bytes.ts";
import { MemoryJournal } from "../../../lib/journal.ts";
import { sqlite } from "../../../lib/outputs/sqlite.ts";
import { contextWith } from "../../kit/context.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { numbered } from "../../kit/points.ts";
import { until } from "../../kit/waiting.ts";
import { metricOf } from "../../kit/decode.ts";
import { batchOf } from "../../kit/points.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { Database, DAY_MS, HOUR_MS, type Row, rowsOf, START_MS, valueOf } from "./database.ts";

/** Few points are enough, in packs as well, and a step moves few, so that a process ends in the middle of what it does. */
const SMALL = { leastPoints: 1, stepPoints: 64, packedPoints: 1, piecePoints: 16 };
/** The start of a day. */
const DAY_S = Math.ceil(START_MS / DAY_MS) * DAY_MS / 1000;
const open = (
  path: string,
  options: CompactionOptions & PacksOptions = SMALL,
  afterMs = 2 * HOUR_MS,
  keepMs = Infinity,
) => new Database(path, keepMs, seriesStore, undefined, { rollups: [], ...options }, afterMs);

type Point = [series: Series, value: number | bigint, seconds: number, nanos: number];

/** What a program that knows blocks reads. */
function read(path: string, sql: string): Row[] {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    assert.ok(BlockReader.extend(db));
    const statement = db.prepare(sql);
    statement.setReadBigInts(true);
    return statement.all() as Row[];
  } finally {
    db.close();
  }
}

const ALL =
  "SELECT metric, consumer_id, time, typeof(value) AS type, CASE WHEN value IS NULL THEN 'missing' ELSE value END " +
  "AS value, timestamp, relay_client, attributes, unit, day FROM measurements";
/** Rows as texts that tell -0 from 0, in an order that does not depend on how they are stored. */
const textsOf = (rows: readonly Row[]) =>
  rows.map((row) => Object.values(row).map((value) => Object.is(value, -0) ? "-0" : String(value)).join(" "))
    .sort();

const counts = (path: string) =>
  ["points", "blocks"].map((table) =>
    Number(
      valueOf(path, `SELECT ${table === "points" ? "count(*)" : "coalesce(sum(points), 0)"} FROM ${table}`),
    )
  );

/** Does the housekeeping of some hours, with all that is looked for only now and then. */
function tidy(database: Database, fromMs: number, hours: number): void {
  for (let hour = 0; hour <= hours; hour++) database.tidy(fromMs + hour * HOUR_MS);
}

/** Points of a few series over some minutes. */
function someOf(name: string, seconds: number, startS = DAY_S): Point[] {
  return Array.from({ length: 7 * seconds }, (_, i): Point => [
    seriesOf(metricOf(name, "u64"), { consumerId: String(i % 7) }),
    i * i,
    startS + Math.floor(i / 7),
    i % 7 < 3 ? 5 : i,
  ]);
}

Deno.test("each point is read once and exactly, wherever the process was ended, whatever came late or twice", async () => {
  const floats = [0.5, -0, 1 / 3, NaN, Infinity, 1e300, 2 ** 53, 7, 21.125];
  const integers = [0n, 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];
  for (let seed = 1; seed <= 2; seed++) {
    await using dir = new TempDir();
    const path = dir.file("m.sqlite");
    const chance = new Chance(seed);
    const many = Array.from(
      { length: 12 },
      (_, i) =>
        seriesOf(metricOf(i % 2 ? `float${seed}` : `integer${seed}`, i % 2 ? "f64" : "u64"), {
          consumerId: String(i),
          attributes: [["relay_client", `node-${i % 3}`]],
        }),
    );
    let database = open(path);
    let stored = 0;
    let compacted = 0;
    let time = DAY_S + 80_000;
    const expected = open(dir.file("expected.sqlite"), SMALL, Infinity);
    const check = () => {
      const [{ n }] = read(path, "SELECT count(*) AS n FROM measurements");
      assert.equal(Number(n), stored, `seed ${seed}`);
    };
    try {
      for (let round = 0; round < 80; round++) {
        time += chance.int(600);
        const points = Array.from({ length: chance.int(60) }, (_, i): Point => {
          const isFloat = i % 2 === 1;
          const values = isFloat ? floats : integers;
          const regular = i % 12 < 8;
          const late = chance.int(10) === 0 ? chance.int(100_000) : 0;
          const nanos = chance.int(3) * 1000;
          return [
            many[i % 12],
            regular ? round + i : values[chance.int(values.length)],
            time - late + Math.floor(i / 12),
            nanos,
          ];
        });
        stored += points.length;
        // Now and then the same points come again.
        const all = chance.int(20) === 0 ? [...points, ...points] : points;
        stored += all.length - points.length;
        for (const one of [database, expected]) one.write([batchOf(all)], time * 1000);
        for (let steps = chance.int(30); steps > 0; steps--) {
          if (!database.store.keepHouse(time * 1000, false)) break;
        }
        if (chance.int(20) === 0) check();
        // What a killed process leaves is what its transactions have stored.
        if (chance.int(8) === 0) {
          compacted += database.store.stats.compactedPoints;
          database[Symbol.dispose]();
          database = open(path);
        }
      }
      const inTheMiddle = counts(path);
      assert.ok(inTheMiddle[1] > 0 && inTheMiddle[0] > 0, `some points are compacted: ${inTheMiddle}`);
      check();
      tidy(database, (time + 3 * 86_400) * 1000, 3);
      compacted += database.store.stats.compactedPoints;
      assert.deepEqual(counts(path), [0, stored]);
      assert.equal(Number(valueOf(path, "SELECT sum(points) FROM parts")), stored);
      assert.equal(valueOf(path, "SELECT count(*) FROM packs"), 0n);
      assert.equal(database.store.stats.parts, Number(valueOf(path, "SELECT count(*) FROM parts")));
      // Those of a unit that a process had not finished are not in its figures.
      assert.ok(compacted > stored / 2 && compacted <= stored);
    } finally {
      database[Symbol.dispose]();
      expected[Symbol.dispose]();
    }
    const original = dir.file("expected.sqlite");
    assert.deepEqual(textsOf(read(path, ALL)), textsOf(rowsOf(original, ALL)), `seed ${seed}`);
    const totals =
      "SELECT l.metric, l.consumer_id, t.points, t.min, t.max FROM totals t JOIN series_list l USING (series_id)";
    assert.deepEqual(textsOf(read(path, totals)), textsOf(rowsOf(original, totals)));
    const daily = totals.replace("totals", "daily_totals").replace("t.points", "t.day, t.points");
    assert.deepEqual(textsOf(read(path, daily)), textsOf(rowsOf(original, daily)));
  }
});

Deno.test("a process that is killed at any statement of a compaction leaves each point once", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  using database = open(path, { ...SMALL, stepPoints: 32 });
  const points = someOf("killed", 40);
  for (let from = 0; from < points.length; from += 70) {
    database.write([batchOf(points.slice(from, from + 70))]);
  }
  const before = textsOf(rowsOf(path, ALL));
  const states = new Set<string>();
  let statements = 0;
  const { run } = StatementSync.prototype;
  const copied = (method: unknown) =>
    function (this: StatementSync, ...values: unknown[]) {
      const result = (method as (...values: unknown[]) => unknown).apply(this, values);
      // What the file and its log are now is what a killed process leaves.
      const copy = dir.file(`killed-${statements++}.sqlite`);
      for (const end of ["", "-wal"]) Deno.copyFileSync(path + end, copy + end);
      return result;
    };
  Object.assign(StatementSync.prototype, { run: copied(run) });
  try {
    tidy(database, (DAY_S + 6 * 3600) * 1000, 0);
  } finally {
    Object.assign(StatementSync.prototype, { run });
  }
  assert.deepEqual(counts(path), [0, points.length]);
  for (let n = 0; n < statements; n++) {
    const copy = dir.file(`killed-${n}.sqlite`);
    const state = String(counts(copy));
    if (states.has(state)) continue;
    states.add(state);
    assert.deepEqual(textsOf(read(copy, ALL)), before, `statement ${n}`);
    // The next process goes on.
    using next = open(copy);
    tidy(next, (DAY_S + 6 * 3600) * 1000, 0);
    assert.deepEqual(counts(copy), [0, points.length], `statement ${n}`);
    assert.deepEqual(textsOf(read(copy, ALL)), before, `statement ${n}`);
  }
  assert.ok(states.size >= 4, [...states].join(" "));
});

Deno.test("what reads during a compaction sees one moment of it", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  using database = open(path);
  const points = someOf("read", 40);
  database.write([batchOf(points)]);
  const reader = new DatabaseSync(path, { readOnly: true });
  try {
    BlockReader.extend(reader);
    const statement = reader.prepare(`${ALL} ORDER BY series_id, measurements.time`);
    statement.setReadBigInts(true);
    const rows = statement.iterate() as Iterable<Row>;
    const seen: Row[] = [];
    for (const row of rows) {
      seen.push(row);
      if (seen.length === 10) tidy(database, (DAY_S + 6 * 3600) * 1000, 0);
    }
    assert.deepEqual(counts(path), [0, points.length]);
    assert.deepEqual(textsOf(seen), textsOf(read(path, ALL)));
  } finally {
    reader.close();
  }
});

Deno.test("points are compacted when they are old and were stored long ago, not before, and never where that is off", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const startMs = (DAY_S + 12 * 3600) * 1000;
  const points = someOf("young", 10);
  {
    using database = open(path, SMALL, Infinity);
    // They were measured half a day before they came.
    database.write([batchOf(points)], startMs);
    tidy(database, startMs + DAY_MS, 5);
    assert.deepEqual(counts(path), [points.length, 0]);
  }
  using database = open(path);
  tidy(database, startMs, 2);
  assert.deepEqual(counts(path), [points.length, 0]);
  // Not while more is to be written either.
  for (let step = 0; step < 10; step++) database.store.keepHouse(startMs + DAY_MS, true);
  assert.deepEqual(counts(path), [points.length, 0]);
  database.store.limits = { keepMs: Infinity, maxBytes: undefined, compactAfterMs: HOUR_MS };
  tidy(database, startMs, 2);
  assert.deepEqual(counts(path), [0, points.length]);
});

Deno.test("parts with few points wait for others, but not for ever", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  using database = open(path, {});
  const points = someOf("few", 10);
  database.write([batchOf(points)], DAY_S * 1000);
  tidy(database, DAY_S * 1000, 12);
  assert.deepEqual(counts(path), [points.length, 0]);
  tidy(database, DAY_S * 1000 + 2 * DAY_MS, 1);
  assert.deepEqual(counts(path), [0, points.length]);
});

Deno.test("compacted points are deleted when they are too old, with their series, and give way where there is no room", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const startMs = DAY_S * 1000;
  using database = open(path, SMALL, HOUR_MS, 2 * DAY_MS);
  const points = someOf("gone", 20);
  database.write([batchOf(points)], startMs);
  tidy(database, startMs, 5);
  assert.deepEqual(counts(path), [0, points.length]);
  const more = someOf("here", 20, DAY_S + 2 * 86_400);
  database.write([batchOf(more)], startMs + 2 * DAY_MS);
  tidy(database, startMs + 3 * DAY_MS, 3);
  assert.deepEqual(counts(path), [0, more.length]);
  assert.equal(valueOf(path, "SELECT count(*) FROM series"), 7n);
  assert.equal(database.store.stats.expiredPoints, points.length);
  database.store.limits = { keepMs: Infinity, maxBytes: 1, compactAfterMs: HOUR_MS };
  tidy(database, startMs + 3 * DAY_MS + 6 * HOUR_MS, 1);
  assert.deepEqual(counts(path), [0, 0]);
  assert.equal(database.store.stats.evictedPoints, more.length);
});

Deno.test("blocks have many points, however series are spread over the parts", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  using database = open(path, { leastPoints: 1, stepPoints: 64, blockPoints: 128 });
  const all = Array.from({ length: 100 }, (_, i) => seriesOf(metricOf("spread"), { consumerId: String(i) }));
  const some = (series: readonly Series[], second: number) =>
    Array.from(
      { length: 4 * series.length },
      (_, i): Point => [series[Math.floor(i / 4)], i, DAY_S + second, i % 4],
    );
  let stored = 0;
  // The part with the most points has none of the first series.
  for (let second = 0; second < 8; second++) {
    const points = second % 2 ? some(all.slice(45), second) : some(all.slice(0, 45), second);
    stored += points.length;
    database.write([batchOf(points)]);
  }
  // Some that are far away, and one that has more points than a block.
  const far = some(all, 9);
  const crowd = Array.from({ length: 300 }, (_, i): Point => [all[70], i, DAY_S + 10, i]);
  database.write([batchOf([...far, ...crowd])]);
  stored += far.length + crowd.length;
  const owner = new DatabaseSync(path);
  owner.exec("UPDATE points SET series = series + 1000000 WHERE series > 90");
  owner.close();
  const rows = "SELECT series, count(*) AS n FROM points GROUP BY 1";
  const before = rowsOf(path, rows);
  tidy(database, (DAY_S + 6 * 3600) * 1000, 0);
  assert.deepEqual(counts(path), [0, stored]);
  const blocks = Number(valueOf(path, "SELECT count(*) FROM blocks"));
  assert.ok(blocks < 2 * stored / 64, `${stored} points are in ${blocks} blocks`);
  const db = new DatabaseSync(path, { readOnly: true });
  const reader = BlockReader.of(db)!;
  const found = new Map<number, number>();
  for (const { id } of db.prepare("SELECT id FROM blocks").all() as { id: number }[]) {
    const block = reader.read(id);
    for (const series of block.series) {
      found.set(series, (found.get(series) ?? 0) + block.points(series)!.length);
    }
  }
  db.close();
  assert.deepEqual(
    [...found].sort(([a], [b]) => a - b),
    before.map(({ series, n }) => [Number(series), Number(n)]),
  );
});

Deno.test("what somebody changes, adds or deletes between two steps of a compaction is so afterwards", async () => {
  const changes = [
    "UPDATE points SET value = 77 WHERE offset % 5 = 0",
    "DELETE FROM points WHERE series = 2",
    "INSERT INTO points SELECT part, series, offset + 1000 + (SELECT count(*) FROM points), 5 FROM points WHERE series = 3",
  ];
  for (const change of changes) {
    await using dir = new TempDir();
    const path = dir.file("m.sqlite");
    using database = open(path);
    database.write([batchOf(someOf("changed", 40))]);
    const owner = new DatabaseSync(path);
    try {
      // Before anything is stored, then when some of it is.
      for (const steps of [1, 3]) {
        for (let k = 0; k < steps; k++) {
          assert.ok(database.store.keepHouse((DAY_S + 6 * 3600) * 1000, false), change);
        }
        owner.exec(change);
      }
    } finally {
      owner.close();
    }
    const before = textsOf(read(path, ALL));
    tidy(database, (DAY_S + 6 * 3600) * 1000, 2);
    assert.deepEqual(textsOf(read(path, ALL)), before, change);
    assert.equal(counts(path)[0], 0, change);
  }
});

Deno.test("rows that this program never stores stay where they are, and so do their neighbours", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  using database = open(path);
  const points = someOf("odd", 10);
  database.write([batchOf(points)]);
  for (const value of ["x'00'", "'text'", "'00012345678901234567'"]) {
    const owner = new DatabaseSync(path);
    owner.exec(`UPDATE points SET value = ${value} WHERE offset = (SELECT min(offset) FROM points)`);
    owner.close();
    const before = rowsOf(path, "SELECT * FROM points");
    tidy(database, (DAY_S + 6 * 3600) * 1000, 1);
    assert.deepEqual(rowsOf(path, "SELECT * FROM points"), before);
    assert.equal(database.store.stats.compactedPoints, 0);
  }
  for (const column of ["offset", "series"]) {
    const owner = new DatabaseSync(path);
    owner.exec("UPDATE points SET value = 1");
    owner.exec(
      `UPDATE points SET ${column} = ${column} + 0.5 WHERE offset = (SELECT min(offset) FROM points)`,
    );
    owner.close();
    const before = rowsOf(path, "SELECT * FROM points");
    tidy(database, (DAY_S + 6 * 3600) * 1000, 1);
    assert.deepEqual(rowsOf(path, "SELECT * FROM points"), before, column);
    assert.equal(database.store.stats.compactedPoints, 0);
  }
});

Deno.test("a table of blocks that somebody drops is made again, and new points are compacted", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  {
    using database = open(path);
    database.write([batchOf(someOf("lost", 10))]);
    tidy(database, (DAY_S + 6 * 3600) * 1000, 1);
    database.write([batchOf(someOf("kept", 10))]);
  }
  const owner = new DatabaseSync(path);
  owner.exec("DROP TABLE blocks");
  owner.close();
  using database = open(path);
  assert.equal(valueOf(path, "SELECT sum(points) FROM parts"), 70n);
  tidy(database, (DAY_S + 6 * 3600) * 1000, 1);
  assert.deepEqual(counts(path), [0, 70]);
});

Deno.test("a block that is damaged is a problem that names it", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  {
    using database = open(path);
    database.write([batchOf(someOf("damaged", 5))]);
    tidy(database, (DAY_S + 6 * 3600) * 1000, 1);
  }
  const db = new DatabaseSync(path);
  try {
    db.exec("UPDATE blocks SET data = x'010000000000'");
    const reader = BlockReader.extend(db)!;
    assert.throws(() => db.prepare("SELECT count(*) FROM measurements").all());
    assert.match(reader.problem!, /^block 1 of part 2 is damaged: it cannot be decompressed$/);
    assert.throws(() => reader.read(7), /block 7 .* is damaged/);
  } finally {
    db.close();
  }
});

Deno.test("an export has the points of the moment when it began, whatever is merged and compacted meanwhile", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  using database = open(path);
  // One part with more points than a block holds, and enough others to be merged.
  const one = seriesOf(metricOf("exported"));
  for (let part = 0, value = 0; part < 70; part++) {
    const points = Array.from(
      { length: part === 0 ? 66_000 : 60 },
      (_, i): Point => [one, value++, DAY_S + part, i],
    );
    database.write([batchOf(points)]);
  }
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const reader = new PointReader(db, {
      metric: undefined,
      host: undefined,
      from: undefined,
      to: undefined,
    });
    const values: number[] = [];
    for (const { length, values: some } of reader.blocks()) {
      for (const value of some.subarray(0, length)) values.push(value);
      tidy(database, (DAY_S + 6 * 3600) * 1000, 0);
      database.write([batchOf([[one, -1, DAY_S + 100]])]);
    }
    assert.deepEqual(counts(path), [2, 70_140]);
    assert.deepEqual(values, Array.from({ length: 70_140 }, (_, i) => i));
  } finally {
    db.close();
  }
});

Deno.test("sums have each point once, also of points that are compacted, and points without stored sums stay rows", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const rollups = { ...SMALL, rollups: [{ every: 60, keepMs: 90 * DAY_MS }], storeSeries: 3 };
  const opened = () => new Database(path, Infinity, seriesStore, undefined, rollups, HOUR_MS);
  let database = opened();
  try {
    for (let round = 0; round < 12; round++) {
      const nowMs = DAY_S * 1000 + round * HOUR_MS;
      database.write([batchOf(someOf("summed", 90, nowMs / 1000))], nowMs);
      // A late point to what is compacted.
      database.write(
        [batchOf([[seriesOf(metricOf("summed", "u64"), { consumerId: "1" }), 1, DAY_S, round]])],
        nowMs,
      );
      for (let steps = 2 + 5 * round; steps > 0; steps--) database.store.keepHouse(nowMs, false);
      if (round % 3 === 2) {
        database[Symbol.dispose]();
        database = opened();
      }
    }
    tidy(database, (DAY_S + 86_400) * 1000, 1);
    database.store.keepHouse((DAY_S + 3 * 86_400) * 1000, false);
    tidy(database, (DAY_S + 4 * 86_400) * 1000, 1);
  } finally {
    database[Symbol.dispose]();
  }
  assert.deepEqual(counts(path), [0, 12 * 631]);
  const sums = (view: string, columns: string) =>
    textsOf(read(
      path,
      `SELECT series_id, time / 60000000000 AS minute, ${columns} FROM ${view} GROUP BY 1, 2`,
    ));
  assert.deepEqual(
    sums("measurements_1m", "sum(points), sum(sum)"),
    sums("measurements", "count(*), total(value)"),
  );
});

Deno.test("hosts are found again in what is compacted", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const hosts = () => rowsOf(path, "SELECT name, first_point, last_point FROM hosts ORDER BY name");
  {
    using database = open(path);
    for (const host of ["a", "b"]) {
      const one = seriesOf(metricOf("hosted"), { attributes: [["relay_client", host]] });
      database.write([batchOf([[one, 1, DAY_S + 7, 5], [one, 1, DAY_S + 3, 6]])]);
    }
    tidy(database, (DAY_S + 6 * 3600) * 1000, 0);
    assert.deepEqual(counts(path), [0, 4]);
  }
  const before = hosts();
  assert.equal(before.length, 2);
  const owner = new DatabaseSync(path);
  owner.exec("DROP TABLE host_times");
  owner.close();
  open(path)[Symbol.dispose]();
  assert.deepEqual(hosts(), before);
});

Deno.test("the output compacts what is old while it runs, counts it, and says so once an hour at most", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  {
    using database = open(path, SMALL, Infinity);
    // Two days, which are compacted one after the other.
    for (const day of [0, 1]) {
      database.write([batchOf(someOf("old", 30, DAY_S + day * 86_400))], DAY_S * 1000);
    }
  }
  const log = new LogLines();
  const config = { ...sqlite.config.defaultValue(), path, flush_interval: 5, rollups: [] };
  await using output = await sqlite.open(config, contextWith({ log: log.log }));
  const journal = new MemoryJournal({ limitBytes: 4e6 });
  const running = output.run(journal.reader("sqlite"), new AbortController().signal);
  // Counters come with the answer to a write.
  {
    using _writing = Timer.every(20, () => void journal.append(numbered(1)));
    await until(() => output.stats!.compactedPoints === 420);
  }
  journal.end();
  await running;
  assert.equal(counts(path)[1], 420);
  const { bytesBeforeCompaction, bytesAfterCompaction } = output.stats!;
  assert.ok(bytesAfterCompaction > 0 && bytesAfterCompaction < bytesBeforeCompaction);
  const lines = log.matching(/Points were compacted/);
  assert.equal(lines.length, 1, lines.join("\n"));
  assert.match(lines[0], /points=(210|420) bytes_before=\d+ bytes_after=\d+/);
});
