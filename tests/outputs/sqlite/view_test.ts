/** What those who read the database find: the view, its times, values and attributes, its indexes, and samples of the past. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { answer } from "../../../lib/outputs/sqlite/history/answers.ts";
import type { PastHost, PastPower } from "../../../lib/plugin.ts";
import { type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { seriesStore } from "../../../lib/points/series_store.ts";
import { renderAttributes } from "../../../lib/outputs/rendering/attributes.ts";
import { testdata } from "../../kit/bytes.ts";
import { timedPoints, typedPoints } from "../../kit/contract/points.ts";
import { metricOf } from "../../kit/decode.ts";
import { needs } from "../../kit/needs.ts";
import { batchOf } from "../../kit/points.ts";
import { sessionBatches } from "../../kit/session.ts";
import { floatText, pythonSqlite, readWithPython, sqlite3, sqliteShell } from "../../kit/sqlite.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { Database, DAY_MS, type Row, rowsOf, valueOf } from "./database.ts";

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

const ENERGY = metricOf("rapl_consumed_energy", "f64", { base: "J", prefix: "milli" });
const rapl = (host: string, domain: string) =>
  seriesOf(ENERGY, { attributes: [["relay_client", host], ["domain", domain]] });
const ROLLUPS = [{ every: 60, keepMs: DAY_MS }, { every: 3600, keepMs: DAY_MS }];
/** The start of a day. */
const DAY_S = 1_700_006_400;
const HOUR_S = 3600;

type Points = [Series, number, number][];

/** A series with a value each `every` seconds. */
function regular(series: Series, value: number, every: number, from: number, to: number): Points {
  const points: Points = [];
  for (let time = from; time < to; time += every) points.push([series, value, time]);
  return points;
}

type Look = (
  about: Parameters<typeof answer>[1]["about"],
  spanSeconds: number,
  clock?: () => number,
) => PastHost & PastPower;

/** Looks back from the last of these points. */
async function lookBack(
  points: Points,
  test: (look: Look) => void,
  compactAfterMs = Infinity,
): Promise<void> {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const end = points.reduce((last, [, , time]) => Math.max(last, time), 0);
  {
    const rollups = { rollups: ROLLUPS, storeSeries: 100, moveSeries: 100, leastPoints: 1 };
    using database = new Database(path, Infinity, seriesStore, undefined, rollups, compactAfterMs);
    database.write([batchOf(points)], end * 1000);
    // What is compacted is looked for now and then.
    for (const hours of [0, 1, 2]) database.tidy((end + 200 + hours * HOUR_S) * 1000);
    const compacted = Number(valueOf(path, "SELECT count(*) FROM blocks"));
    assert.equal(compacted > 0, compactAfterMs < Infinity, `${compacted} blocks`);
  }
  using db = new DatabaseSync(path, { readOnly: true });
  test((about, spanSeconds, clock) => {
    return answer(db, { about, spanSeconds, nowSeconds: end }, clock) as PastHost & PastPower;
  });
}

const known = (values: readonly (number | null)[]) => values.filter((value) => value !== null);

Deno.test("looking back shows energies as power, from points, minutes and hours, also where they come rarely", async () => {
  const from = DAY_S;
  const to = DAY_S + 5 * HOUR_S;
  const points = [
    ...regular(rapl("often", "package_total"), 100_000, 5, from, to),
    ...regular(rapl("seldom", "package_total"), 6_000_000, 300, from, to),
  ];
  const test = (look: Look) => {
    // A sample each 10 s, minute and hour.
    const spans = [[HOUR_S, 10], [5 * HOUR_S, 60], [7 * 24 * HOUR_S, HOUR_S]] as const;
    for (const [span, step] of spans) {
      for (const name of ["often", "seldom"]) {
        const { stepSeconds, series: [{ unit, values }], isWhole } = look({ kind: "host", name }, span);
        assert.deepEqual([stepSeconds, unit, isWhole], [step, "W", true]);
        // Of a first point nobody knows the time since the one before.
        const list = known(values).slice(1);
        assert.ok(
          list.length >= (name === "often" || step === HOUR_S ? 4 : 10),
          `${name} ${step} ${list.length}`,
        );
        assert.deepEqual([...new Set(list)], [20], `${name} each ${step} s`);
      }
    }
  };
  await lookBack(points, test);
  // Nearly all of them are compacted.
  await lookBack(points, test, 60_000);
});

Deno.test("looking back, the first power after a silence is not spread over the silence", async () => {
  const energy = rapl("n", "package_total");
  await lookBack([
    ...regular(energy, 100_000, 5, DAY_S, DAY_S + HOUR_S),
    ...regular(energy, 100_000, 5, DAY_S + 2 * HOUR_S, DAY_S + 3 * HOUR_S),
  ], (look) => {
    const { series: [{ values }], newest, stepSeconds } = look({ kind: "host", name: "n" }, 3 * HOUR_S);
    const from = newest - (values.length - 1) * stepSeconds;
    const at = (seconds: number) => values[(DAY_S + seconds - from) / stepSeconds];
    assert.deepEqual([at(HOUR_S - 60), at(HOUR_S), at(2 * HOUR_S - 60), at(2 * HOUR_S)], [
      20,
      null,
      null,
      20,
    ]);
  });
});

Deno.test("looking back, the power of a host is that of its parts, and of many hosts the others are one", async () => {
  const from = DAY_S;
  const points = Array.from({ length: 23 }, (_, n) => `n${n}`).flatMap((host, n) => [
    ...regular(rapl(host, "package_total"), 60_000 * (n + 1), 60, from, from + HOUR_S),
    ...regular(rapl(host, "dram_total"), 60_000, 60, from, from + HOUR_S),
    ...regular(rapl(host, "pp0_total"), 77_000, 60, from, from + HOUR_S),
  ]);
  await lookBack(points, (look) => {
    const { hosts, isWhole } = look({ kind: "power" }, HOUR_S);
    assert.ok(isWhole);
    assert.equal(hosts.length, 21);
    assert.deepEqual([hosts[0].name, hosts[0].watts.at(-2)], ["n22", 24]);
    const { name, rest, watts } = hosts[20];
    assert.deepEqual([name, rest, watts.at(-2)], ["3 others", true, 2 + 3 + 4]);
  });
});

Deno.test("looking back ends in time, gives the largest of many series, and says what is left out", async () => {
  const jobs = Array.from({ length: 30 }, (_, n) =>
    seriesOf(metricOf("job_memory"), {
      consumerKind: "job",
      consumerId: String(n),
      attributes: [["relay_client", "n"]],
    }));
  await lookBack(jobs.flatMap((job, n) => regular(job, n, 60, DAY_S, DAY_S + 600)), (look) => {
    const { series, others, isWhole } = look({ kind: "host", name: "n" }, HOUR_S);
    assert.deepEqual(
      [series.map(({ consumer }) => consumer), others, isWhole],
      [Array.from({ length: 10 }, (_, i) => `job ${29 - i}`), 20, true],
    );
    let ms = 0;
    const late = look({ kind: "host", name: "n" }, HOUR_S, () => ms += 1000);
    assert.ok(late.series.length < 10 && !late.isWhole, `${late.series.length}`);
    assert.deepEqual(look({ kind: "host", name: "nobody" }, HOUR_S).series, []);
  });
});
