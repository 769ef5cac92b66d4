/** What keeps the database in shape: merging, deletion of what is too old, series that are forgotten. */
import assert from "node:assert/strict";
import { Batch, type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { roomFor } from "../../../lib/outputs/sqlite/room.ts";
import { SeriesStore, seriesStore } from "../../../lib/points/series_store.ts";
import { Gathering } from "../../../lib/outputs/sqlite/gather.ts";
import { newColumns } from "../../../lib/outputs/threads/point_columns.ts";
import { Chance } from "../../kit/bytes.ts";
import { metricOf } from "../../kit/decode.ts";
import { batchOf, numbered, NUMBERS } from "../../kit/points.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { Database, DAY_MS, HOUR_MS, rowsOf, START_MS, valueOf } from "./database.ts";

/** All points, in an order of their own. */
const contents = (path: string) =>
  rowsOf(
    path,
    "SELECT metric, timestamp, value, consumer_id, attributes FROM measurements ORDER BY 1, 2, 3, 4, 5",
  ).map((row) => Object.values(row).map(String).join("|"));

Deno.test("small parts are merged, and every point stays, those with the same time too", async () => {
  await using dir = new TempDir();
  using database = new Database(dir.file("m.sqlite"));
  const chance = new Chance(3);
  const many = Array.from(
    { length: 40 },
    (_, i) => seriesOf(metricOf("numbers", i % 2 ? "f64" : "u64"), { consumerId: String(i) }),
  );
  let points = 0;
  for (let round = 0; round < 300; round++) {
    // Over two days, sometimes late, now and then with a time that was there before.
    const rows = Array.from({ length: chance.int(60) }, () => {
      const seconds = 1_700_000_000 + round * 300 - (chance.int(20) === 0 ? chance.int(20_000) : 0);
      const value = chance.int(10) === 0 ? 2n ** 64n - 1n - BigInt(points) : points;
      points++;
      const one = many[chance.int(many.length)];
      return [one, one.metric.type === "f64" ? points / 2 : value, seconds, chance.int(3) * 400_000_000] as [
        Series,
        number,
        number,
        number,
      ];
    });
    database.write([batchOf(rows)]);
  }
  const before = contents(database.path);
  assert.equal(before.length, points);
  const partsBefore = Number(valueOf(database.path, "SELECT count(*) FROM parts"));
  assert.ok(database.tidy(START_MS + 10 * DAY_MS) > 0);
  assert.deepEqual(contents(database.path), before);
  const parts = rowsOf(database.path, "SELECT * FROM parts");
  assert.ok(parts.length < partsBefore / 10, `${parts.length} of ${partsBefore} parts are left`);
  assert.equal(database.store.stats.parts, parts.length);
  assert.equal(parts.reduce((sum, part) => sum + Number(part.points), 0), points);
  // What the parts say of themselves holds.
  assert.deepEqual(
    rowsOf(
      database.path,
      "SELECT d.id FROM points p JOIN parts d ON d.id = p.part GROUP BY d.id HAVING count(*) <> d.points " +
        "OR min((p.offset + 86400000000000) / 1000000000 - 86400 + d.start) <> d.first " +
        "OR max((p.offset + 86400000000000) / 1000000000 - 86400 + d.start) <> d.last OR date(d.first, 'unixepoch') <> d.day OR date(d.last, 'unixepoch') <> d.day",
    ),
    [],
  );
  assert.equal(valueOf(database.path, "SELECT count(*) FROM points"), BigInt(points));
  const types =
    "typeof(start) || typeof(first) || typeof(last) || typeof(offset) || typeof(part) || typeof(series)";
  assert.deepEqual(
    rowsOf(database.path, `SELECT DISTINCT ${types} AS types FROM points p JOIN parts d ON d.id = p.part`),
    [{ types: "integer".repeat(6) }].map((row) => Object.assign(Object.create(null), row)),
  );
});

Deno.test("parts with thousands of points are merged only where their points stay in rows for days", async () => {
  for (const [compactAfterMs, smallest] of [[DAY_MS, 4096], [DAY_MS + 1, 16_384]]) {
    await using dir = new TempDir();
    using database = new Database(
      dir.file("m.sqlite"),
      Infinity,
      seriesStore,
      undefined,
      { rollups: [] },
      compactAfterMs,
    );
    const counts = [smallest - 1, smallest, 50, 50, 50, 50, 50, 50, 50];
    counts.forEach((count, k) => {
      const second = START_MS / 1000 + k;
      database.write([
        batchOf(Array.from({ length: count }, (_, i) => [seriesOf(metricOf("sized")), i, second, i])),
      ]);
    });
    // The day is over, and nothing is old enough to be compacted.
    database.tidy(START_MS + DAY_MS - 1000);
    assert.deepEqual(
      rowsOf(database.path, "SELECT points FROM parts ORDER BY points").map(({ points }) => Number(points)),
      [smallest, smallest - 1 + 7 * 50].sort((a, b) => a - b),
    );
  }
});

Deno.test("merging ends where all points have the same time", async () => {
  await using dir = new TempDir();
  using database = new Database(dir.file("m.sqlite"));
  for (let round = 0; round < 200; round++) database.write([batchOf([[seriesOf(metricOf("stuck")), round]])]);
  assert.ok(database.tidy(START_MS + 10 * DAY_MS) < 100);
  assert.equal(contents(database.path).length, 200);
});

Deno.test("what is older than keep is deleted in steps, with the series that nothing has any more", async () => {
  await using dir = new TempDir();
  using database = new Database(dir.file("m.sqlite"), DAY_MS);
  const series = (name: string) => seriesOf(metricOf("numbers"), { consumerId: name });
  const [old, live, future] = [series("old"), series("live"), series("future")];
  const seconds = START_MS / 1000;
  const large = Array.from(
    { length: 100_000 },
    (_, i) =>
      [seriesOf(metricOf("numbers"), { consumerId: `old ${i % 100}` }), i, seconds, i] as [
        Series,
        number,
        number,
        number,
      ],
  );
  database.write([batchOf(large)]);
  database.write([batchOf([[old, 1, seconds], [live, 1, seconds], [future, 1, 9_000_000_000]])]);
  const laterMs = START_MS + 5 * DAY_MS;
  database.write([batchOf([[live, 2, laterMs / 1000 - 60], [live, 3, laterMs / 1000]])], laterMs);

  const free = () => Number(valueOf(database.path, "SELECT freelist_count FROM pragma_freelist_count"));
  assert.equal(free(), 0);
  const steps = database.tidy(laterMs);
  assert.ok(steps >= 3, `it takes steps: ${steps}`);
  const left = rowsOf(database.path, "SELECT consumer_id, value FROM measurements ORDER BY time");
  assert.deepEqual(left.map(({ consumer_id, value }) => `${consumer_id} ${value}`), [
    "live 2",
    "live 3",
    "future 1",
  ]);
  assert.equal(database.store.stats.expiredPoints, 100_002);
  assert.ok(free() > 200, "the room is there for new points");

  database.tidy(laterMs + 2 * HOUR_MS);
  const kept = rowsOf(database.path, "SELECT consumer_id FROM series ORDER BY 1");
  assert.deepEqual(kept.map(({ consumer_id }) => consumer_id), ["future", "live"]);
  assert.equal(database.store.stats.expiredSeries, 101);
  // One that comes back is made again.
  database.write([batchOf([[old, 4, laterMs / 1000 + 1]])], laterMs + DAY_MS);
  assert.equal(valueOf(database.path, "SELECT value FROM measurements WHERE consumer_id = 'old'"), 4n);
});

Deno.test("a host without series is forgotten, and known again when it has points", async () => {
  await using dir = new TempDir();
  using database = new Database(dir.file("m.sqlite"), DAY_MS);
  const of = (host: string) => seriesOf(metricOf("numbers"), { attributes: [["relay_client", host]] });
  const hosts = () => rowsOf(database.path, "SELECT name FROM hosts ORDER BY name").map(({ name }) => name);
  const laterMs = START_MS + 5 * DAY_MS;
  database.write([batchOf([[of("gone"), 1, START_MS / 1000], [of("live"), 1, START_MS / 1000]])]);
  database.write([batchOf([[of("live"), 2, laterMs / 1000]])], laterMs);
  assert.deepEqual(hosts(), ["gone", "live"]);
  database.tidy(laterMs);
  database.tidy(laterMs + 2 * HOUR_MS);
  assert.deepEqual(hosts(), ["live"]);
  database.write([batchOf([[of("gone"), 3, laterMs / 1000 + 1]])], laterMs + DAY_MS);
  assert.deepEqual(hosts(), ["gone", "live"]);
});

Deno.test("a clock that jumps ahead by 40 days deletes nothing, until it shows that for a day", async () => {
  await using dir = new TempDir();
  using database = new Database(dir.file("m.sqlite"), 30 * DAY_MS);
  database.write([numbered(100)]);
  const tidy = (wallMs: number, monotonicMs: number) => {
    while (database.store.keepHouse(wallMs, false, monotonicMs));
    return Number(valueOf(database.path, "SELECT count(*) FROM points"));
  };
  assert.equal(tidy(START_MS + 1000, 1000), 100);
  const jumpMs = 40 * DAY_MS;
  for (let ms = HOUR_MS; ms < DAY_MS; ms += HOUR_MS) assert.equal(tidy(START_MS + jumpMs + ms, ms), 100);
  assert.equal(database.store.stats.clockAheadMs, jumpMs);
  assert.equal(tidy(START_MS + jumpMs + DAY_MS + HOUR_MS, DAY_MS + HOUR_MS), 0);
  assert.equal(database.store.stats.clockAheadMs, 0);
});

Deno.test("a process that starts while the clock is ahead deletes nothing for a day", async () => {
  await using dir = new TempDir();
  {
    using database = new Database(dir.file("m.sqlite"), 30 * DAY_MS);
    database.write([numbered(100)]);
  }
  using database = new Database(dir.file("m.sqlite"), 30 * DAY_MS);
  while (database.store.keepHouse(START_MS + 40 * DAY_MS, false, 0));
  assert.equal(valueOf(database.path, "SELECT count(*) FROM points"), 100n);
  assert.ok(database.store.stats.clockAheadMs > 39 * DAY_MS);
  database.store.limits = { keepMs: Infinity, maxBytes: undefined, compactAfterMs: 0 };
  while (database.store.keepHouse(START_MS + 40 * DAY_MS, false, 1000));
  assert.equal(database.store.stats.clockAheadMs, 0, "nothing is deleted by age any more");
});

Deno.test("a series that goes on keeps its row, however long ago it began", async () => {
  await using dir = new TempDir();
  using database = new Database(dir.file("m.sqlite"), DAY_MS);
  const live = seriesOf(metricOf("numbers"));
  for (let day = 0; day < 10; day++) {
    const nowMs = START_MS + day * DAY_MS;
    database.write([batchOf([[live, day, nowMs / 1000]])], nowMs);
    database.tidy(nowMs + HOUR_MS);
    database.tidy(nowMs + 3 * HOUR_MS);
  }
  assert.equal(database.store.stats.expiredSeries, 0);
  assert.equal(database.store.stats.expiredPoints, 9);
  assert.deepEqual(rowsOf(database.path, "SELECT id FROM series").length, 1);
});

Deno.test("series that are forgotten are found again, and no two have the same content", async () => {
  await using dir = new TempDir();
  const store = new SeriesStore({ limitBytes: 8000 });
  using database = new Database(dir.file("m.sqlite"), Infinity, store);
  const chance = new Chance(5);
  let points = 0;
  for (let round = 0; round < 60; round++) {
    store.tick();
    const batch = new Batch(32, null, store);
    for (let n = 0; n < 30; n++) {
      const id = chance.int(200);
      const one = seriesOf(metricOf("numbers"), { consumerId: String(id), attributes: [["id", BigInt(id)]] });
      batch.push(one, 1_700_000_000 + round, points++, id);
    }
    database.write([batch], START_MS + chance.int(3) * DAY_MS);
    batch.release();
  }
  assert.ok(store.forgotten > 300, `${store.forgotten} were forgotten`);
  assert.deepEqual(
    rowsOf(database.path, "SELECT 1 FROM series GROUP BY consumer_id, attributes HAVING count(*) > 1"),
    [],
  );
  const all = rowsOf(database.path, "SELECT consumer_id, value, attributes FROM measurements");
  assert.equal(all.length, points);
  for (const { consumer_id, value, attributes } of all) {
    assert.equal(consumer_id, String(value));
    assert.equal(attributes, `{"id":${value}}`);
  }
});

Deno.test("a series that is used each day is told once, and after a day without a point again", async () => {
  await using dir = new TempDir();
  using database = new Database(dir.file("m.sqlite"));
  const one = seriesOf(metricOf("numbers"));
  const told: [series: number, used: number][] = [];
  for (const day of [0, 0, 1, 2, 2, 4]) {
    database.known.begin(START_MS + day * DAY_MS);
    const batch = batchOf([[one, told.length, START_MS / 1000 + told.length]]);
    const gathering = new Gathering(database.known, newColumns(1));
    gathering.add(batch, told.length);
    const group = gathering.group(null, false);
    told.push([group.series.length, group.used.length]);
    database.store.write(group);
    const [{ seen }] = rowsOf(database.path, "SELECT seen FROM series");
    assert.equal(Number(seen), Math.floor(START_MS / DAY_MS) + day);
  }
  assert.deepEqual(told, [[1, 0], [0, 0], [0, 1], [0, 1], [0, 0], [1, 0]]);
});

Deno.test("a file that has its largest size gives the oldest points up, and does not grow", async () => {
  await using dir = new TempDir();
  const maxBytes = 2 * 1024 * 1024;
  using database = new Database(dir.file("m.sqlite"), Infinity, seriesStore, maxBytes);
  const PER_HOUR = 10_000;
  let hours = 0;
  const writeHour = () => {
    const seconds = START_MS / 1000 + hours * 3600;
    const first = hours * PER_HOUR;
    const rows = Array.from({ length: PER_HOUR }, (_, i) => [NUMBERS, first + i, seconds, i * 1000] as const);
    database.write([batchOf(rows.map((row) => [...row]))]);
    database.tidy(START_MS + hours++ * HOUR_MS);
  };
  for (let i = 0; i < 30; i++) writeHour();
  const { evictedPoints } = database.store.stats;
  assert.ok(evictedPoints > 0, "points gave way");
  const values = rowsOf(database.path, "SELECT value FROM measurements ORDER BY value");
  // What is left is what came last, without a hole.
  assert.equal(values.length, hours * PER_HOUR - evictedPoints);
  assert.equal(values[0].value, BigInt(evictedPoints));
  const pages = Number(valueOf(database.path, "PRAGMA page_count"));
  assert.ok(pages * 4096 < 1.5 * maxBytes, `${pages} pages`);
  for (let i = 0; i < 10; i++) writeHour();
  assert.equal(Number(valueOf(database.path, "PRAGMA page_count")), pages, "pages are used again");
});

Deno.test("a file may take what was set, or half of the disk, and does not grow where the disk is nearly full", () => {
  const GIB = 1024 ** 3;
  const disk = (freeBytes: number) => () => ({ totalBytes: 100 * GIB, freeBytes, isLocal: true });
  assert.equal(roomFor("m", undefined, 10 * GIB, disk(80 * GIB)), 50 * GIB);
  assert.equal(roomFor("m", 70 * GIB, 10 * GIB, disk(80 * GIB)), 70 * GIB);
  assert.equal(roomFor("m", undefined, 10 * GIB, disk(5 * GIB)), 14 * GIB, "a gibibyte stays free");
  assert.equal(roomFor("m", undefined, 10 * GIB, disk(GIB / 2)), 10 * GIB, "nothing is deleted for others");
  const small = () => ({ totalBytes: 10_000_000, freeBytes: 1_000_000, isLocal: true });
  assert.equal(roomFor("m", undefined, 0, small), 500_000, "of a small disk a twentieth stays free");
  assert.equal(roomFor("m", undefined, 10, () => undefined), Infinity, "where the system does not tell");
  assert.equal(roomFor("m", 20, 10, () => undefined), 20);
});
