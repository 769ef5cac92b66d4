/** `alumet-relay export`: files that other tools read, with the values that were stored. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { main } from "../../lib/cli.ts";
import { type Series, seriesOf } from "../../lib/points/measurement.ts";
import { seriesStore } from "../../lib/points/series_store.ts";
import { metricOf } from "../kit/decode.ts";
import { type Need, needs, succeeds } from "../kit/needs.ts";
import { batchOf } from "../kit/points.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { Database } from "../outputs/sqlite/database.ts";

const PYTHON = Deno.env.get("ANALYSIS_PYTHON") || "python3";
const libraries: Need = () =>
  succeeds(PYTHON, "-c", "import pyarrow, duckdb, polars")
    ? undefined
    : "needs a Python with pyarrow, duckdb and polars (ANALYSIS_PYTHON)";

const START_S = 1_700_000_000;
const NS_PER_SECOND = 1_000_000_000n;

const counter = (host: string, more: object = {}) =>
  seriesOf(metricOf("bytes", "u64", { base: "By", prefix: "" }), {
    attributes: [["relay_client", host]],
    ...more,
  });
const power = seriesOf(metricOf("power", "f64", { base: "W", prefix: "milli" }), {
  resourceKind: "cpu_package",
  resourceId: "0",
  consumerKind: "process",
  consumerId: "12",
  attributes: [["relay_client", 'node "7", ü'], ["kind", "a,b\nc"], ["n", 2n ** 63n]],
});

/** Values that a file may spoil. */
const POINTS: [series: Series, value: number | bigint, seconds: number, nanos: number][] = [
  [power, 0.1, START_S, 1],
  [power, -0, START_S, 2],
  [power, NaN, START_S, 3],
  [power, Infinity, START_S, 4],
  [power, 5e-324, START_S + 86_400, 999_999_999],
  [power, 3, START_S + 7200, 0],
  [counter("node-1"), 0, START_S, 5],
  [counter("node-1"), 2 ** 53 - 1, START_S + 1, 5],
  [counter("node-2"), 2n ** 63n, START_S, 5],
  [counter("node-2"), 2n ** 64n - 1n, START_S + 2, 5],
];

const DAY_MS = 86_400_000;

/** @param compacted The points become blocks. */
function store(path: string, compacted = false): void {
  using database = new Database(path, Infinity, seriesStore, undefined, { rollups: [] }, DAY_MS);
  database.write([batchOf(POINTS)], START_S * 1000);
  if (compacted) database.tidy(START_S * 1000 + 10 * DAY_MS);
  assert.equal(database.store.stats.compactedPoints, compacted ? POINTS.length : 0);
}

interface Outcome {
  code: number;
  out: string;
  err: string;
}

async function run(args: readonly string[], terminal = false, command = "export"): Promise<Outcome> {
  const outcome: Outcome = { code: -1, out: "", err: "" };
  outcome.code = await main([command, ...args], {
    stdout: (text) => void (outcome.out += text),
    stderr: (text) => void (outcome.err += text),
    terminal: () => terminal,
    env: () => undefined,
    services: () => [],
  });
  return outcome;
}

/** What a row of Parquet should be. */
function expected([series, value, seconds, nanos]: typeof POINTS[number]): Record<string, string | null> {
  const { metric, resourceKind, resourceId, consumerKind, consumerId } = series;
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, Number(value));
  const isInteger = metric.type === "u64";
  return {
    metric: metric.name,
    timestamp: String(BigInt(seconds) * NS_PER_SECOND + BigInt(nanos)),
    value: Number.isNaN(value) ? "nan" : bits.getBigUint64(0).toString(16).padStart(16, "0"),
    value_u64: isInteger ? String(value) : null,
    resource_kind: resourceKind,
    resource_id: resourceId,
    consumer_kind: consumerKind,
    consumer_id: consumerId,
    relay_client: String(new Map(series.attributes).get("relay_client")),
    attributes: isInteger ? "{}" : '{"kind":"a,b\\nc","n":9223372036854775808}',
    unit: isInteger ? "B" : "mW",
  };
}

const sorted = (rows: readonly Record<string, string | null>[]) =>
  rows.map((row) => JSON.stringify(Object.fromEntries(Object.entries(row).sort()))).sort();

Deno.test({
  name: "pyarrow, DuckDB and polars read each point of a Parquet file, with the last bit of its value",
  ...needs(libraries),
  async fn() {
    await using dir = new TempDir();
    const [database, file] = [dir.file("m.sqlite"), dir.file("points.parquet")];
    store(database, true);
    const { code, out, err } = await run(["--database", database, file]);
    assert.deepEqual([code, err], [0, ""]);
    assert.match(out, /^10 points are in .*points\.parquet \(\d+ bytes\)\n$/);
    for (const library of ["pyarrow", "duckdb", "polars"]) {
      const script = new URL("../kit/read_parquet.py", import.meta.url).pathname;
      const output = await new Deno.Command(PYTHON, { args: [script, library, file] }).output();
      assert.ok(output.success, new TextDecoder().decode(output.stderr));
      const rows = new TextDecoder().decode(output.stdout).trimEnd().split("\n").map((row) =>
        JSON.parse(row)
      );
      assert.deepEqual(sorted(rows), sorted(POINTS.map(expected)), library);
    }
  },
});

for (const compacted of [false, true]) {
  const name = "CSV and JSON lines have all digits, and what is not a number as the format can say it";
  Deno.test(compacted ? `${name}, of compacted points as well` : name, () => exportsText(compacted));
}

async function exportsText(compacted: boolean): Promise<void> {
  await using dir = new TempDir();
  const database = dir.file("m.sqlite");
  store(database, compacted);
  const csv = await run(["--database", database, "--format", "csv", "-"]);
  const lines = csv.out.split("\n");
  assert.equal(
    lines[0],
    "metric,timestamp,value,resource_kind,resource_id,consumer_kind,consumer_id,relay_client,attributes,unit",
  );
  const attributes = '"{""kind"":""a,b\\nc"",""n"":9223372036854775808}"';
  assert.ok(
    lines.includes(
      `power,2023-11-14T22:13:20.000000001Z,0.1,cpu_package,0,process,12,"node ""7"", ü",${attributes},mW`,
    ),
    csv.out,
  );
  const values = lines.slice(1, -1).map((line) => line.split(",")[2]).sort();
  assert.deepEqual(
    values,
    [
      "",
      "-0",
      "0",
      "0.1",
      "18446744073709551615",
      "3",
      "5e-324",
      "9007199254740991",
      "9223372036854775808",
      "inf",
    ],
  );
  const json = await run(["--database", database, "--format", "jsonl", "-"]);
  const texts = json.out.trimEnd().split("\n").map((line) => /"value":([^,]*),/.exec(line)![1]).sort();
  assert.deepEqual(
    texts,
    [
      "-0.0",
      "0",
      "0.1",
      "18446744073709551615",
      "3.0",
      "5e-324",
      "9007199254740991",
      "9223372036854775808",
      "9e999",
      "null",
    ],
  );
  const first = JSON.parse(json.out.split("\n").find((line) => line.includes('"value":0.1'))!);
  assert.deepEqual(first.attributes.kind, "a,b\nc");
  assert.equal(first.relay_client, 'node "7", ü');
}

for (const compacted of [false, true]) {
  const name = "metric, host and times choose points";
  Deno.test(compacted ? `${name}, of compacted points as well` : name, () => exportsSome(compacted));
}

async function exportsSome(compacted: boolean): Promise<void> {
  await using dir = new TempDir();
  const database = dir.file("m.sqlite");
  store(database, compacted);
  const count = async (...args: string[]) => {
    const { code, out, err } = await run(["--database", database, "--format", "csv", "-", ...args]);
    assert.equal(code, 0, err);
    return out.split("\n").length - 2;
  };
  assert.equal(await count(), 10);
  assert.equal(await count("--metric", "byt*"), 4);
  assert.equal(await count("--host", "node-2"), 2);
  assert.equal(await count("--metric", "power", "--host", "node-2"), 0);
  assert.equal(await count("--since", "2023-11-15"), 2);
  assert.equal(await count("--until", "2023-11-14T22:13:21Z"), 6);
  assert.equal(await count("--since", "2023-11-14T22:13:21Z", "--until", "2023-11-14T22:13:23Z"), 2);
  assert.equal(await count("--since", "1h"), 0);
}

Deno.test("a damaged block ends an export and a query with exit code 69, and the message names it", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  store(path, true);
  const db = new DatabaseSync(path);
  db.exec("UPDATE blocks SET data = x'02'");
  db.close();
  const damaged = /block 1 of part \d+ is damaged: it has an unknown version/;
  const exported = await run(["--database", path, dir.file("points.csv")]);
  assert.equal(exported.code, 69);
  assert.match(exported.err, damaged);
  await assert.rejects(Deno.stat(dir.file("points.csv")), Deno.errors.NotFound);
  const printed = await run(["--database", path, "--format", "csv", "-"]);
  assert.equal(printed.code, 69);
  assert.match(printed.err, damaged);
  const queried = await run(["--database", path, "SELECT avg(value) FROM measurements"], false, "query");
  assert.equal(queried.code, 69, queried.out);
  assert.match(queried.err, damaged);
});

Deno.test("many points are written in blocks and groups, each once", async () => {
  await using dir = new TempDir();
  const [database, file] = [dir.file("m.sqlite"), dir.file("points.csv")];
  const total = 150_000;
  {
    using writer = new Database(database);
    for (let from = 0; from < total; from += 30_000) {
      writer.write([batchOf(
        Array.from(
          { length: 30_000 },
          (_, i) => [power, from + i + 0.5, START_S + from, i] as typeof POINTS[number],
        ),
      )]);
    }
  }
  const { code, err } = await run(["--database", database, file], true);
  assert.equal(code, 0, err);
  const values = (await Deno.readTextFile(file)).trimEnd().split("\n").slice(1).map((line) =>
    Number(line.split(",")[2])
  );
  assert.equal(values.length, total);
  assert.ok(values.every((value, i) => value === i + 0.5));
});

Deno.test("what cannot be exported says why, and leaves no file behind", async () => {
  await using dir = new TempDir();
  const database = dir.file("m.sqlite");
  store(database);
  const fails = async (code: number, pattern: RegExp, ...args: string[]) => {
    const outcome = await run(["--database", database, ...args]);
    assert.equal(outcome.code, code, outcome.err);
    assert.match(outcome.err, pattern);
  };
  await fails(64, /export needs a FILE, such as points\.parquet/);
  await fails(
    64,
    /the ending of .*points says no format: add --format parquet\|csv\|jsonl/,
    dir.file("points"),
  );
  await fails(64, /Cannot use --format table with export: use parquet, csv, jsonl/, "--format", "table", "-");
  await fails(64, /Parquet cannot be written to standard output/, "--format", "parquet", "-");
  await fails(64, /--since soon: expected a time such as/, "--since", "soon", dir.file("a.csv"));
  await Deno.writeTextFile(dir.file("mine.csv"), "mine");
  await fails(64, /mine\.csv is there already: name another file, or remove it/, dir.file("mine.csv"));
  assert.equal(await Deno.readTextFile(dir.file("mine.csv")), "mine");
  await fails(69, /Cannot export to .*nowhere/, dir.file("nowhere/a.csv"));
  await Deno.writeTextFile(dir.file("text"), "text");
  const unreadable = await run(["--database", dir.file("text"), dir.file("b.csv")]);
  assert.equal(unreadable.code, 69);
  assert.match(unreadable.err, /Cannot read the database/);
  const names = [...Deno.readDirSync(dir.path)].map(({ name }) => name).filter((name) =>
    !name.startsWith("m.sqlite")
  );
  assert.deepEqual(names.sort(), ["mine.csv", "text"]);
});
