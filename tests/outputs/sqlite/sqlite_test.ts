/** The database of the sqlite output: what is in it, for those who read it, and what keeps it in shape. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { parse } from "node:path";
import { EXIT, ExitError } from "../../../lib/base/errors.ts";
import { MemoryJournal } from "../../../lib/journal.ts";
import { type Batch, type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { sqlite } from "../../../lib/outputs/sqlite.ts";
import { Gathering, newColumns, Numbering, renderAttributes } from "../../../lib/outputs/sqlite/gather.ts";
import type { PointColumns } from "../../../lib/outputs/sqlite/messages.ts";
import { RowOrder } from "../../../lib/outputs/sqlite/row_order.ts";
import { Store } from "../../../lib/outputs/sqlite/store.ts";
import { Chance, testdata } from "../../kit/bytes.ts";
import { contextWith } from "../../kit/context.ts";
import { timedPoints, typedPoints } from "../../kit/contract/points.ts";
import { CrashingWriter } from "../../kit/csv_crashes.ts";
import { metricOf } from "../../kit/decode.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { linux, namespaces, needs } from "../../kit/needs.ts";
import { batchOf, numbered } from "../../kit/points.ts";
import { sessionBatches } from "../../kit/session.ts";
import { SmallDisk } from "../../kit/small_disk.ts";
import { bitsOf, python3, readWithPython, sqlite3, sqliteShell } from "../../kit/sqlite.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { pause, until } from "../../kit/waiting.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** 2023-11-14T22:13:20Z, what the points of the kit begin with. */
const START_MS = 1_700_000_000_000;

/** A database that is written to in this thread, one transaction for each call. */
class Database implements Disposable {
  readonly store: Store;
  readonly numbering = new Numbering(0);
  #position = 0;

  constructor(readonly path: string, keepMs = Infinity, readonly maxSeries?: number) {
    this.store = new Store({ path, synchronous: "normal", keepMs });
  }

  write(batches: readonly Batch[], nowMs = START_MS): void {
    this.numbering.begin(nowMs, this.maxSeries);
    const gathering = new Gathering(this.numbering, newColumns(batches.reduce((n, b) => n + b.length, 1)));
    for (const batch of batches) gathering.add(batch, this.#position++);
    this.store.write(gathering.group(null, false));
  }

  /** Keeps house until there is nothing more to do. */
  tidy(nowMs = START_MS): number {
    let steps = 0;
    while (this.store.keepHouse(nowMs, false)) assert.ok(++steps < 10_000, "housekeeping ends");
    return steps;
  }

  [Symbol.dispose](): void {
    this.store[Symbol.dispose]();
  }
}

type Row = Record<string, string | number | bigint | null>;

/** Reads with another connection. Integers are bigints. */
function rowsOf(path: string, sql: string): Row[] {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const statement = db.prepare(sql);
    statement.setReadBigInts(true);
    return statement.all() as Row[];
  } finally {
    db.close();
  }
}

const valueOf = (path: string, sql: string) => Object.values(rowsOf(path, sql)[0])[0];

// The order of rows

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
  for (let round = 0; round < 300; round++) {
    const count = chance.int(400);
    const spread = [1, 3, 100_000, 10_000_000][chance.int(4)];
    const samples = Array.from({ length: count }, () => ({
      series: chance.int(1 + chance.int(60)),
      seconds: 1_700_000_000 + chance.int(spread),
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
    // Of what has the same series and time, what came first is in the first part.
    const places = new Map(
      parts.flatMap(({ from, to }, part) =>
        [...order.order.subarray(from, to)].map((row): [number, number] => [row, part])
      ),
    );
    const last = new Map<string, number>();
    for (const row of seen) {
      const key = `${ids[samples[row].series]} ${samples[row].seconds} ${samples[row].nanos}`;
      assert.ok(places.get(row)! > (last.get(key) ?? -1), `round ${round}, row ${row}`);
      last.set(key, places.get(row)!);
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

// What readers see

/** A session's file as rows of texts; quotes as RFC 4180 has them. */
function csvRows(text: string): Record<string, string>[] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^;\n"]*))(;|\n)/g)) {
    rows.at(-1)!.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === "\n") rows.push([]);
  }
  const [header, ...lines] = rows.slice(0, -1);
  return lines.map((line) => Object.fromEntries(header.map((name, i) => [name, line[i]])));
}

/** The text of the CSV output for what the view has. */
function csvValue(value: Row[string]): string {
  if (value === null) return "NaN";
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "number" && !Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return typeof value === "number"
    ? value.toLocaleString("en-US", { useGrouping: false, maximumSignificantDigits: 17 })
    : String(value);
}

for (const session of ["real-agent", "odd-values"]) {
  Deno.test(`the view reads like the CSV file of the session ${session}`, async () => {
    await using dir = new TempDir();
    const path = dir.file("m.sqlite");
    {
      using database = new Database(path);
      for (const batch of sessionBatches(session)) database.write([batch]);
    }
    const fixed = ["metric", "timestamp", "value", "resource_kind", "resource_id", "consumer_kind"];
    fixed.push("consumer_id", "relay_client");
    const expected = csvRows(new TextDecoder().decode(testdata(`sessions/${session}/expected.csv`)));
    const wanted = expected.map((row) => {
      const attributes = Object.entries(row).filter(([name, text]) =>
        !fixed.includes(name) && name !== "__late_attributes" && text !== ""
      );
      for (const late of (row.__late_attributes || "").split(",").filter((text) => text !== "")) {
        attributes.push(late.split("=") as [string, string]);
      }
      return [...fixed.map((name) => row[name]), ...attributes.map((pair) => pair.join("=")).sort()].join(
        "|",
      );
    });
    const found = rowsOf(path, "SELECT * FROM measurements").map((row) => {
      const attributes = Object.entries(JSON.parse(row.attributes as string)).map((pair) => pair.join("="));
      const metric = row.unit === "" ? row.metric : `${row.metric}_${row.unit}`;
      const timestamp = String(row.timestamp).replace(/\.?0*Z$/, "Z");
      const cells = [metric, timestamp, csvValue(row.value), ...fixed.slice(3).map((name) => row[name])];
      return [...cells, ...attributes.sort()].join("|");
    });
    assert.ok(wanted.length > 8);
    assert.deepEqual(found.sort(), wanted.sort());
  });
}

Deno.test("timestamps of the whole calendar have all nine digits, and sort as text", async () => {
  await using dir = new TempDir();
  const points = timedPoints();
  using database = new Database(dir.file("m.sqlite"));
  const one = seriesOf(metricOf("time"));
  database.write([batchOf(points.map(({ seconds, nanos }, i) => [one, i, seconds, nanos]))]);
  const found = rowsOf(
    database.path,
    "SELECT timestamp, value, day, time FROM measurements ORDER BY timestamp",
  );
  assert.deepEqual(
    found.map(({ timestamp }) => timestamp),
    points.map(({ seconds, nanos }) =>
      `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(nanos).padStart(9, "0")}Z`
    ),
  );
  assert.deepEqual(found.map(({ value }) => value), points.map((_, i) => BigInt(i)));
  for (const { timestamp, day } of found) assert.equal(day, String(timestamp).slice(0, 10));
  for (const [i, { time }] of found.entries()) {
    const exact = BigInt(points[i].seconds) * 1_000_000_000n + BigInt(points[i].nanos);
    // In 2262, nanoseconds since 1970 are no longer a 64-bit integer; a part's start may be two seconds ahead.
    if (exact < 2n ** 63n - 2_000_000_000n) assert.equal(time, exact);
    else assert.equal(time, Number(exact));
  }
});

Deno.test({
  name:
    "values are exact: integers as integers, those above 2^63-1 as their digits, NaN as NULL, floats bit by bit",
  ...needs(python3, sqlite3),
  async fn() {
    await using dir = new TempDir();
    const points = typedPoints().filter(({ attributes }) => attributes.length === 0);
    for (const value of [NaN, Infinity, -Infinity]) {
      points.push({ ...points[0], value, nanos: 900_000_000 + points.length });
    }
    using database = new Database(dir.file("m.sqlite"));
    const series = new Map(points.map(({ metric }) => [metric, seriesOf(metric)]));
    database.write([
      batchOf(points.map(({ metric, value, nanos }) => [series.get(metric)!, value, 1_700_000_000, nanos])),
    ]);
    const sql = "SELECT metric, value FROM measurements ORDER BY metric, time";
    const order = points.toSorted((a, b) =>
      a.metric.name === b.metric.name ? a.nanos - b.nanos : a.metric.name < b.metric.name ? -1 : 1
    );
    assert.deepEqual(
      await readWithPython(database.path, sql),
      order.map(({ metric, value }) => [
        metric.name,
        typeof value === "number"
          ? Number.isNaN(value) ? null : bitsOf(value)
          : value > 2n ** 63n - 1n
          ? String(value)
          : `integer ${value}`,
      ]),
    );
    const shown = await sqliteShell(database.path, `${sql} LIMIT 10`);
    assert.match(shown, /^contract_counter\|18446744073709551615$/m);
    assert.match(shown, /^contract_counter\|9223372036854775807$/m);
  },
});

Deno.test("a whole value of a metric of floats is no integer to who divides it", async () => {
  await using dir = new TempDir();
  using database = new Database(dir.file("m.sqlite"));
  database.write([batchOf([[seriesOf(metricOf("power", "f64")), 5], [seriesOf(metricOf("count")), 5]])]);
  const halves = rowsOf(database.path, "SELECT value / 2 AS half FROM measurements ORDER BY metric DESC");
  assert.deepEqual(halves.map(({ half }) => half), [2.5, 2n]);
});

Deno.test("attributes are JSON that keeps their types, and the client has a column", () => {
  const { client, json } = renderAttributes([
    ["whole", 3],
    ["large", 1e21],
    ["zero", -0],
    ["nan", NaN],
    ["up", Infinity],
    ["down", -Infinity],
    ["u64", 2n ** 64n - 1n],
    ["yes", true],
    ["text", 'a"b\0'],
    ["list", [1n, 2n ** 64n - 1n]],
    ["empty", []],
    ["twice", 1n],
    ["relay_client", "node"],
    ["__proto__", 7n],
    ["twice", 2n],
  ]);
  assert.equal(client, "node");
  assert.equal(
    json,
    '{"whole":3.0,"large":1e+21,"zero":-0.0,"nan":null,"up":9e999,"down":-9e999,"u64":18446744073709551615,' +
      '"yes":true,"text":"a\\"b\\u0000","list":[1,18446744073709551615],"empty":[],"twice":2,"__proto__":7}',
  );
  const db = new DatabaseSync(":memory:");
  const read = db.prepare("SELECT ? ->> ? AS value, json_type(?, ?) AS type");
  const look = (path: string) => read.get(json, path, json, path) as { value: unknown; type: string };
  assert.deepEqual({ ...look("$.whole") }, { value: 3, type: "real" });
  assert.deepEqual({ ...look("$.up") }, { value: Infinity, type: "real" });
  assert.deepEqual({ ...look("$.list[0]") }, { value: 1, type: "integer" });
  db.close();
  assert.deepEqual(renderAttributes([["relay_client", 5n]]), { client: "", json: '{"relay_client":5}' });
});

Deno.test({
  name: "a metric of a host is looked up by indexes, with the sqlite3 shell's planner too",
  ...needs(sqlite3),
  async fn() {
    await using dir = new TempDir();
    using database = new Database(dir.file("m.sqlite"));
    database.write(sessionBatches());
    const plan = async (where: string) =>
      await sqliteShell(
        database.path,
        `EXPLAIN QUERY PLAN SELECT timestamp, value FROM measurements WHERE ${where}`,
      );
    const hour = "time >= 1795452301000000000";
    const series = /SEARCH s USING (?:COVERING )?INDEX series_by_metric \(metric=\? AND relay_client=\?\)/;
    const points = /SEARCH p USING PRIMARY KEY \(part=\? AND series=\?\)/;
    const wholePlan = await plan(`metric = 'mem_free' AND relay_client = 'node-7' AND ${hour}`);
    assert.match(wholePlan, series);
    assert.match(wholePlan, points);
    const dayPlan = await plan(
      `metric = 'mem_free' AND relay_client = 'node-7' AND day >= '2026-11-23' AND ${hour}`,
    );
    assert.match(dayPlan, /SEARCH d USING INDEX parts_by_day \(day>\?\)/);
    assert.match(dayPlan, points);
    assert.match(
      await sqliteShell(database.path, "EXPLAIN QUERY PLAN SELECT value FROM points WHERE series = 7"),
      /SEARCH points USING PRIMARY KEY \(ANY\(part\) AND series=\?\)/,
    );
  },
});

// What keeps it in shape

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
  // One that comes back is made anew.
  database.write([batchOf([[old, 4, laterMs / 1000 + 1]])], laterMs + DAY_MS);
  assert.equal(valueOf(database.path, "SELECT value FROM measurements WHERE consumer_id = 'old'"), 4n);
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
  using database = new Database(dir.file("m.sqlite"), Infinity, 50);
  const chance = new Chance(5);
  let points = 0;
  for (let round = 0; round < 60; round++) {
    // New objects each time, as after a reconnection.
    const rows = Array.from({ length: 30 }, () => {
      const id = chance.int(200);
      const one = seriesOf(metricOf("numbers"), { consumerId: String(id), attributes: [["id", BigInt(id)]] });
      return [one, id, 1_700_000_000 + round, points++] as [Series, number, number, number];
    });
    database.write([batchOf(rows)], START_MS + chance.int(3) * DAY_MS);
  }
  assert.ok(database.numbering.generation > 10);
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

// As an output

const openOutput = (path: string, more: Record<string, unknown> = {}, context = contextWith({})) =>
  sqlite.open({ ...sqlite.config.defaultValue(), path, flush_interval: 5, ...more }, context);

Deno.test("the file is in the state directory, or where the configuration says", async () => {
  await using dir = new TempDir();
  {
    await using _output = await openOutput("", {}, contextWith({ stateDirectory: dir.path }));
    assert.ok((await Deno.stat(dir.file("measurements.sqlite"))).isFile);
  }
  {
    await using _output = await openOutput(dir.file("other"), {}, contextWith({ stateDirectory: dir.path }));
    assert.ok((await Deno.stat(dir.file("other"))).isFile);
  }
});

Deno.test("a file that cannot be used ends the start with a message that says what to do, and is left as it is", async () => {
  await using dir = new TempDir();
  const text = "name;value\n".repeat(1000);
  await Deno.writeTextFile(dir.file("text"), text);
  const other = new DatabaseSync(dir.file("other"));
  other.exec("CREATE TABLE notes (text)");
  other.close();
  {
    using newer = new Database(dir.file("newer"));
    newer.write([numbered(1)]);
  }
  const raise = new DatabaseSync(dir.file("newer"));
  raise.exec("PRAGMA user_version = 2");
  raise.close();
  {
    using damaged = new Database(dir.file("damaged"));
    damaged.write([numbered(1)]);
  }
  const bytes = await Deno.readFile(dir.file("damaged"));
  await Deno.writeFile(dir.file("damaged"), bytes.fill(0x55, 100, 8192));
  const cases: [string, RegExp][] = [
    ["text", /file is not a database; name another file, or move this one away$/],
    ["other", /it is a database of another program; name another file$/],
    [
      "newer",
      /a newer version of this program has written it \(schema 2, known is 1\); update this one, or name/,
    ],
    [
      "damaged",
      /malformed.*; the file is damaged: move it away .*save what is in it with `sqlite3 FILE \.recover`$/,
    ],
    ["no/where", /unable to open database file: .*; check that its directory exists and can be written to$/],
    [".", /unable to open database file: .*; check that its directory exists/],
  ];
  for (const [name, message] of cases) {
    const path = dir.file(name);
    const before = await Deno.readFile(path).catch(() => null);
    await assert.rejects(openOutput(path), (error) => {
      assert.ok(error instanceof ExitError);
      assert.equal(error.exitCode, EXIT.unavailable);
      assert.ok(
        error.message.startsWith(`Cannot use the database ${path} (plugins.sqlite.path): `),
        error.message,
      );
      assert.match(error.message, message);
      return true;
    });
    if (before) assert.deepEqual(await Deno.readFile(path), before, name);
  }
  const names = [...Deno.readDirSync(dir.path)].map(({ name }) => name).sort();
  assert.deepEqual(names.filter((name) => !parse(name).base.includes("-")), [
    "damaged",
    "newer",
    "other",
    "text",
  ]);
});

Deno.test({
  name: "the sqlite3 shell and Python read whole transactions while points are written",
  ...needs(sqlite3, python3),
  async fn() {
    await using dir = new TempDir();
    const path = dir.file("m.sqlite");
    await using output = await openOutput(path);
    const journal = new MemoryJournal({ limitBytes: 4e6 });
    const running = output.run(journal.reader("sqlite"), new AbortController().signal);
    let stopped = false;
    let given = 0;
    const writing = (async () => {
      while (!stopped) {
        await journal.append(numbered(500, given));
        given += 500;
        await pause(1);
      }
    })();
    try {
      await until(() => output.stats!.points > 0);
      let before = 0;
      for (let round = 0; round < 5; round++) {
        const sql = "SELECT count(*), count(DISTINCT value), max(value) FROM measurements";
        for (
          const text of [
            await sqliteShell(path, sql),
            (await readWithPython(path, sql))[0].join("|").replaceAll("integer ", ""),
          ]
        ) {
          const [count, distinct, highest] = text.trim().split("|").map(Number);
          assert.ok(count >= before && count > 0);
          assert.equal(count % 500, 0, "a batch is there as a whole");
          assert.equal(distinct, count);
          assert.equal(highest, count - 1);
          before = count;
        }
      }
      assert.ok(before < given);
    } finally {
      stopped = true;
      await writing;
      journal.end();
      await running;
    }
    assert.equal(Number(valueOf(path, "SELECT count(*) FROM points")), given);
    assert.equal(output.stats!.points, given);
    assert.ok(output.stats!.bytes > 4096);
  },
});

Deno.test("keep is taken over while it runs", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  await using output = await openOutput(path);
  const journal = new MemoryJournal({ limitBytes: 4e6 });
  const running = output.run(journal.reader("sqlite"), new AbortController().signal);
  await journal.append(numbered(1000));
  await until(() => output.stats!.points === 1000);
  output.reconfigure!({ ...sqlite.config.defaultValue(), path, flush_interval: 5, keep: 1000 });
  // Counters come with the answer to a write; the points of the kit are years old.
  const writing = setInterval(() => void journal.append(numbered(1, 2000)), 20);
  try {
    await until(() => output.stats!.expiredPoints >= 1000);
  } finally {
    clearInterval(writing);
  }
  journal.end();
  await running;
});

for (const seed of [1, 2, 3]) {
  Deno.test(`a process that is killed at any moment loses nothing that was durable, and stores nothing twice (seed ${seed})`, async () => {
    await using dir = new TempDir();
    const path = dir.file("m.sqlite");
    const config = { path, flush_interval: 1 + 10 * seed };
    await using writer = new CrashingWriter(dir.path, config, seed, "sqlite");
    await writer.crash(7);
    await writer.finish();
    const found = new Map<string, number[]>();
    for (const { metric, value } of rowsOf(path, "SELECT metric, value FROM measurements")) {
      const numbers = found.get(metric as string);
      if (numbers) numbers.push(Number(value));
      else found.set(metric as string, [Number(value)]);
    }
    writer.check(found, false);
    assert.equal(valueOf(path, "PRAGMA integrity_check"), "ok");
  });
}

Deno.test({
  name: "a full disk is waited for, which is said once, and then every point is there once",
  ...needs(linux, namespaces),
  async fn() {
    await using disk = await SmallDisk.mount();
    const path = disk.file("m.sqlite");
    const logs = new LogLines();
    await using output = await openOutput(path, {}, contextWith({ log: logs.log }));
    const journal = new MemoryJournal({ limitBytes: 4e6 });
    const running = output.run(journal.reader("sqlite"), new AbortController().signal);
    await journal.append(numbered(10_000));
    await until(() => output.stats!.points === 10_000);
    await disk.fill();
    const writing = (async () => {
      for (let n = 1; n < 50; n++) await journal.append(numbered(10_000, n * 10_000));
    })();
    await until(() => logs.matching(/Cannot write to the database, trying on/).length > 0);
    assert.match(logs.matching(/Cannot write/)[0], /database or disk is full|disk I\/O error/);
    assert.ok(Number(valueOf(path, "SELECT count(*) FROM points")) >= 10_000, "it can be read meanwhile");
    await pause(500);
    assert.ok(output.stats!.points < 500_000);
    await disk.empty();
    await writing;
    journal.end();
    await running;
    assert.equal(logs.matching(/Cannot write/).length, 1);
    assert.equal(logs.matching(/Writing to the database again/).length, 1);
    assert.equal(valueOf(path, "SELECT count(*) FROM points"), 500_000n);
    assert.equal(valueOf(path, "SELECT count(DISTINCT value) FROM points"), 500_000n);
    assert.equal(valueOf(path, "PRAGMA integrity_check"), "ok");
  },
});

Deno.test({
  name: "a disk that is full at the start is waited for",
  ...needs(linux, namespaces),
  async fn() {
    await using disk = await SmallDisk.mount();
    await Deno.writeTextFile(disk.file("m.sqlite"), "");
    await disk.fill();
    const logs = new LogLines();
    await using output = await openOutput(disk.file("m.sqlite"), {}, contextWith({ log: logs.log }));
    const journal = new MemoryJournal({ limitBytes: 4e6 });
    const running = output.run(journal.reader("sqlite"), new AbortController().signal);
    await journal.append(numbered(100));
    await until(() => logs.matching(/Cannot write to the database, trying on/).length > 0);
    await disk.empty();
    journal.end();
    await running;
    assert.equal(valueOf(disk.file("m.sqlite"), "SELECT count(*) FROM points"), 100n);
  },
});

Deno.test("an error of the program is none of the disk: it is not tried for ever", async () => {
  await using dir = new TempDir();
  await using output = await openOutput(dir.file("m.sqlite"));
  // Somebody takes a table away.
  const other = new DatabaseSync(dir.file("m.sqlite"));
  other.exec("DROP TABLE points");
  other.close();
  const journal = new MemoryJournal({ limitBytes: 4e6 });
  const running = output.run(journal.reader("sqlite"), new AbortController().signal);
  await journal.append(numbered(10));
  await assert.rejects(running, /no such table: (main\.)?points/);
});

Deno.test("another writer is waited for, which is said once, and then everything is there", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const logs = new LogLines();
  await using output = await openOutput(path, {}, contextWith({ log: logs.log }));
  const journal = new MemoryJournal({ limitBytes: 4e6 });
  const running = output.run(journal.reader("sqlite"), new AbortController().signal);
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  await journal.append(numbered(100));
  await until(() => logs.matching(/Cannot write to the database, trying on/).length > 0);
  await journal.append(numbered(100, 100));
  await pause(1000);
  const [line, ...more] = logs.matching(/Cannot write/);
  assert.deepEqual(more, []);
  assert.match(line, /ERROR test: .*file=\S+m\.sqlite reason="database is locked"/);
  assert.equal(output.stats!.points, 0);
  other.exec("COMMIT");
  other.close();
  journal.end();
  await running;
  assert.equal(logs.matching(/Writing to the database again/).length, 1);
  assert.equal(valueOf(path, "SELECT count(DISTINCT value) FROM points"), 200n);
});
