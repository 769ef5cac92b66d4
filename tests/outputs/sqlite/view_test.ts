/** What those who read the database find: the view, its times, values and attributes, and its indexes. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { seriesOf } from "../../../lib/points/measurement.ts";
import { renderAttributes } from "../../../lib/outputs/sqlite/gather.ts";
import { testdata } from "../../kit/bytes.ts";
import { timedPoints, typedPoints } from "../../kit/contract/points.ts";
import { metricOf } from "../../kit/decode.ts";
import { needs } from "../../kit/needs.ts";
import { batchOf } from "../../kit/points.ts";
import { sessionBatches } from "../../kit/session.ts";
import { floatText, pythonSqlite, readWithPython, sqlite3, sqliteShell } from "../../kit/sqlite.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { Database, type Row, rowsOf } from "./database.ts";

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
  ...needs(pythonSqlite, sqlite3),
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
          ? Number.isNaN(value) ? null : floatText(value)
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

Deno.test("a whole value of a metric of floats is a float, so division is exact", async () => {
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
