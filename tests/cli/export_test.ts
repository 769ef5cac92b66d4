/** `alumet-relay export` and `import`: files that other tools read, with the values that were stored. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { main } from "../../lib/cli.ts";
import { type Series, seriesOf } from "../../lib/points/measurement.ts";
import { seriesStore } from "../../lib/points/series_store.ts";
import { metricOf } from "../kit/decode.ts";
import { type Need, needs, succeeds } from "../kit/needs.ts";
import { batchOf } from "../kit/points.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { TestServer } from "../kit/test_server.ts";
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
function store(path: string, compacted = false, more: typeof POINTS = []): void {
  using database = new Database(path, Infinity, seriesStore, undefined, { rollups: [] }, DAY_MS);
  database.write([batchOf([...POINTS, ...more])], START_S * 1000);
  if (compacted) database.tidy(START_S * 1000 + 10 * DAY_MS);
  assert.equal(database.store.stats.compactedPoints, compacted ? POINTS.length : 0);
}

interface Outcome {
  code: number;
  out: string;
  err: string;
}

async function run(
  args: readonly string[],
  terminal: boolean | (() => boolean) = false,
  command = "export",
): Promise<Outcome> {
  const outcome: Outcome = { code: -1, out: "", err: "" };
  outcome.code = await main([command, ...args], {
    stdout: (text) => void (outcome.out += text),
    stderr: (text) => void (outcome.err += text),
    terminal: typeof terminal === "boolean" ? () => terminal : terminal,
    env: () => undefined,
    services: () => [],
  });
  return outcome;
}

Deno.test("an export to standard output ends when nobody reads it any more", async () => {
  await using dir = new TempDir();
  store(dir.file("m.sqlite"));
  const pieces: string[] = [];
  const stdout = (text: string) => pieces.push(text) > 100;
  const args = ["export", "-", "--format", "csv", "--database", dir.file("m.sqlite")];
  assert.equal(await main(args, { stdout }), 0);
  assert.equal(pieces.length, 1, "the header, and no row");
});

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
    "metric,timestamp,value,resource_kind,resource_id,consumer_kind,consumer_id,relay_client,attributes,unit,type",
  );
  const attributes = '"{""kind"":""a,b\\nc"",""n"":9223372036854775808}"';
  assert.ok(
    lines.includes(
      `power,2023-11-14T22:13:20.000000001Z,0.1,cpu_package,0,process,12,"node ""7"", ü",${attributes},mW,f64`,
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
  for (
    const late of [
      "2023-11-14 22:13:21",
      "2023-11-14T23:13:21+01:00",
      "2023-11-14 22:13:20.000000006",
      "2023-11-14 22:13:20.5",
    ]
  ) {
    assert.equal(await count("--since", late), 4, late);
  }
}

Deno.test("points after 2262 are exported and summed up with their times, and not written to Parquet", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const late = Date.UTC(2300, 0, 1) / 1000;
  store(path, false, [5, 7, 70].map((second) => [counter("node-9"), second, late + second, 250]));
  const csv = await run(["--database", path, "--host", "node-9", "--format", "csv", "-"]);
  assert.deepEqual(csv.out.split("\n").slice(1, -1).map((line) => line.split(",")[1]), [
    "2300-01-01T00:00:05.000000250Z",
    "2300-01-01T00:00:07.000000250Z",
    "2300-01-01T00:01:10.000000250Z",
  ]);
  const file = dir.file("points.parquet");
  const refused = await run(["--database", path, file]);
  assert.equal(refused.code, 69);
  assert.match(
    refused.err,
    /Cannot export to .*: bytes of node-9 has a point of 2300-01-01T00:00:05\.000Z, and/,
  );
  assert.match(refused.err, /--until 2262-04-11, or choose another format/);
  const written = await run(["--database", path, "--until", "2262-04-11", file]);
  assert.deepEqual([written.code, written.err], [0, ""]);
  assert.match(written.out, /^10 points are in/);
  const args = ["--database", path, "--host", "node-9", "--every", "1m", "--format", "csv"];
  const means = await run(args, false, "query");
  assert.deepEqual(means.out.split("\n").slice(1, -1).map((line) => line.split(",").slice(0, 5).join()), [
    "2300-01-01 00:00:00,6,5,7,2",
    "2300-01-01 00:01:00,70,70,70,1",
  ]);
});

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

Deno.test("an export of one host reads no block that has only points of others", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  {
    const small = { rollups: [], stepPoints: 128, leastPoints: 1 };
    using database = new Database(path, Infinity, seriesStore, undefined, small, DAY_MS);
    const rows = ["node-1", "node-2", "node-3"].flatMap((host) =>
      Array.from({ length: 200 }, (_, i): typeof POINTS[number] => [counter(host), i, START_S + i, 0])
    );
    database.write([batchOf(rows)], START_S * 1000);
    database.tidy(START_S * 1000 + 10 * DAY_MS);
  }
  const others =
    "SELECT s.id FROM series s WHERE s.id BETWEEN first_series AND last_series AND s.relay_client = 'node-2'";
  using db = new DatabaseSync(path);
  const { changes } = db.prepare(`UPDATE blocks SET data = x'02' WHERE NOT EXISTS (${others})`).run();
  assert.equal(changes, 2);
  const { code, out, err } = await run(["--database", path, "--host", "node-2", "--format", "csv", "-"]);
  assert.equal(code, 0, err);
  assert.equal(out.trimEnd().split("\n").length, 1 + 200);
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
  {
    // It is stopped after its first block.
    const { addSignalListener } = Deno;
    let stop = () => {};
    using _signals = { [Symbol.dispose]: () => void (Deno.addSignalListener = addSignalListener) };
    Deno.addSignalListener = (signal, listener) => {
      stop = listener;
      addSignalListener(signal, listener);
    };
    const stopped = await run(["--database", database, file], () => {
      stop();
      return false;
    });
    assert.deepEqual([stopped.code, stopped.err], [69, `Cannot export to ${file}: the export was stopped\n`]);
    assert.deepEqual([...Deno.readDirSync(dir.path)].filter(({ name }) => name.includes("points")), []);
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
  await fails(64, /export needs a FILE/, "");
  await fails(64, /--since soon: expected a time such as/, "--since", "soon", dir.file("a.csv"));
  await fails(
    64,
    /--since must be a time before --until/,
    "--since",
    "1h",
    "--until",
    "2026-11-01",
    dir.file("a.csv"),
  );
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

/** Runs `import` with the sqlite output alone. */
const into = (database: string, ...args: string[]) =>
  run(
    [
      ...["--plugins", "sqlite", "--config-override", `plugins.sqlite.path=${database}`],
      ...["--state-dir", `${database}.state`, ...args],
    ],
    false,
    "import",
  );

async function exported(database: string): Promise<string[]> {
  const { code, out, err } = await run(["--database", database, "--format", "jsonl", "-"]);
  assert.equal(code, 0, err);
  return out.trimEnd().split("\n").sort();
}

Deno.test("what export writes is the same points again after an import, however often that is done", async () => {
  await using dir = new TempDir();
  const database = dir.file("m.sqlite");
  const odd = counter("node-3", {
    resourceId: '\ufeffa "b",\nc',
    attributes: [
      ["relay_client", "node-3"],
      ["float", 3],
      ["nan", NaN],
      ["far", -Infinity],
      ["list", [1n, 2n ** 64n - 1n]],
      ["yes", true],
      ['","value":1,', "x"],
    ],
  });
  // More than a batch, and floats and integers of one name.
  const many = Array.from(
    { length: 5000 },
    (_, i) => [power, i / 3, START_S + 9, i] as typeof POINTS[number],
  );
  const whole = seriesOf(metricOf("bytes", "f64", { base: "furlong", prefix: "" }));
  store(database, false, [
    ...many,
    [odd, 7, START_S, 0],
    [whole, 7, START_S, 0],
    [whole, -7, START_S, 1],
  ]);
  const before = await exported(database);
  for (const format of ["parquet", "csv", "jsonl"]) {
    const [file, copy] = [dir.file(`points.${format}`), dir.file(`${format}.sqlite`)];
    assert.equal((await run(["--database", database, file])).code, 0);
    const first = await into(copy, file);
    assert.deepEqual(first, { code: 0, out: `${file}: 5013 points written to sqlite\n`, err: "" });
    assert.deepEqual(await exported(copy), before, format);
    const again = await into(copy, file);
    assert.equal(again.out, `${file}: 0 points written to sqlite, 5013 were there already\n`);
    assert.deepEqual(await exported(copy), before, format);
  }
});

Deno.test("an import to a server keeps the hosts, and is taken once", async () => {
  await using dir = new TempDir();
  await using server = new TestServer();
  const [database, file] = [dir.file("m.sqlite"), dir.file("points.parquet")];
  store(database);
  assert.equal((await run(["--database", database, file])).code, 0);
  const args = ["--relay-out", `127.0.0.1:${server.port}`, "--state-dir", dir.file("state"), file];
  for (let time = 0; time < 2; time++) {
    const { code, out, err } = await run(args, false, "import");
    assert.deepEqual([code, out], [0, `${file}: 10 points written to relay-client\n`], err);
  }
  const values = server.points.map(({ metric, value, attributes }) =>
    `${metric} ${value} ${new Map(attributes).get("relay_client")}`
  );
  const sent = POINTS.map(([{ metric, attributes }, value]) =>
    `${metric.name} ${value} ${new Map(attributes).get("relay_client")}`
  );
  assert.deepEqual(values.sort(), sent.sort());
  const said = async (args: readonly string[]) => {
    const { code, out, err } = await run(args, false, "import");
    assert.equal(out, "");
    return `${code} ${err}`;
  };
  assert.match(
    await said([...args.slice(0, 2), "-"]),
    /^64 Cannot import standard input: a file is read twice/,
  );
  const wrong = args.with(3, `${file}/state`);
  assert.match(
    await said(wrong),
    /^69 Cannot use the state directory .*: Not a directory.*name another one with --state-dir/,
  );
});

Deno.test("a row that is not a point is named, and nothing of any file is written", async () => {
  await using dir = new TempDir();
  const [database, copy, good] = [dir.file("m.sqlite"), dir.file("copy.sqlite"), dir.file("good.csv")];
  store(database);
  assert.equal((await run(["--database", database, good])).code, 0);
  const csv = await Deno.readTextFile(good);
  assert.equal((await run(["--database", database, dir.file("good.jsonl")])).code, 0);
  const json = await Deno.readTextFile(dir.file("good.jsonl"));
  const fails = async (name: string, text: string | Uint8Array, pattern: RegExp, code = 65) => {
    const file = dir.file(name);
    await Deno.writeFile(file, typeof text === "string" ? new TextEncoder().encode(text) : text);
    const outcome = await into(copy, good, file);
    assert.equal(outcome.code, code, outcome.err);
    assert.match(outcome.err, pattern);
    assert.equal(outcome.out, "");
  };
  await fails(
    "a.csv",
    csv.replace("18446744073709551615", "18446744073709551616"),
    /a\.csv, row 8: .*"18446744073709551616" is not an integer/,
  );
  await fails("b.csv", csv.replace(",0.1,", ",0.x,"), /b\.csv, row 1: "0\.x" is not a number/);
  await fails(
    "c.csv",
    csv.replace(",unit,", ",units,"),
    /row 1: the first row does not name the columns unit/,
  );
  await fails("d.csv", csv + 'power,"', /row 11: a quotation mark is not closed/);
  await fails(
    "e.csv",
    csv.replace("2023-11-14T22:13:20.000000001Z", "yesterday"),
    /row 1: "yesterday" is not a time/,
  );
  await fails("f.csv", csv + "1,2\n", /row 11: it has 2 cells instead of 11/);
  await fails("g.jsonl", json + "{\n", /g\.jsonl, row 11: "\{" is not valid JSON/);
  await fails("h.jsonl", json.replace('"unit":"mW",', ""), /row 1: it has no unit/);
  await fails(
    "i.jsonl",
    json.replaceAll(',"n":9223372036854775808', ',"n":{}'),
    /row 1: its attribute "n" is neither/,
  );
  await fails("j.jsonl", new Uint8Array([0xff, 0x0a]), /row 1: this row, or one soon after it, is not UTF-8/);
  await fails("k.parquet", "PAR1 but no more", /k\.parquet, row 1: /);
  await fails("l.txt", csv, /the ending of .*l\.txt says no format/, 64);
  await assert.rejects(Deno.stat(copy), Deno.errors.NotFound);
  const missing = await into(copy, dir.file("nothing.csv"));
  assert.equal(missing.code, 69);
  assert.match(missing.err, /Cannot read .*nothing\.csv/);
  const none = await run([good], false, "import");
  assert.equal(none.code, 64);
  assert.match(none.err, /no output is enabled; name a file with --config/);
});
