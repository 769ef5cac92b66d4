/** A value that is not a u64, in a metric of u64: no output writes another number in its place. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { parquetReadObjects } from "hyparquet";
import { csv } from "../../lib/outputs/csv.ts";
import { influxdb } from "../../lib/outputs/influxdb.ts";
import { opentelemetry } from "../../lib/outputs/opentelemetry.ts";
import { parquet } from "../../lib/outputs/parquet.ts";
import { prometheusExporter } from "../../lib/outputs/prometheus_exporter.ts";
import { sqlite } from "../../lib/outputs/sqlite.ts";
import { Batch, seriesOf } from "../../lib/points/measurement.ts";
import type { Output, PluginContext } from "../../lib/plugin.ts";
import { contextWith } from "../kit/context.ts";
import { parseCsv } from "../kit/csv.ts";
import { metricOf } from "../kit/decode.ts";
import { HttpPeer } from "../kit/http.ts";
import { journalOf } from "../kit/journal.ts";
import { onPostgres, Writing } from "../kit/postgres_output.ts";
import { TempDir } from "../kit/temp_dir.ts";

const MOST = 2n ** 64n - 1n;

/** Two good values, exact, and three that no u64 has. */
function values(): Batch {
  const batch = new Batch(8);
  const series = seriesOf(metricOf("n", "u64"));
  batch.pushU64(series, 1_700_000_000, 1, MOST);
  for (const [i, value] of [1.9e22, 0.5, -3].entries()) batch.push(series, 1_700_000_000, 2 + i, value);
  batch.push(series, 1_700_000_000, 9, 7);
  return batch;
}

/** Runs an output to the end of a journal with the values. */
async function run(open: (context: PluginContext) => Promise<Output> | Output): Promise<PluginContext> {
  await using dir = new TempDir();
  const context = contextWith({ stateDirectory: dir.path });
  const journal = journalOf();
  journal.append(values());
  journal.end();
  await using output = await open(context);
  await output.run(journal.reader(), new AbortController().signal);
  assert.equal(journal.pendingPoints, 0);
  return context;
}

Deno.test("csv: such a value is a dead letter, and the others are exact", async () => {
  await using dir = new TempDir();
  const path = dir.file("n.csv");
  const { deadLetters } = await run((context) =>
    csv.open({ ...csv.config.defaultValue(), output_path: path }, context)
  );
  assert.equal(deadLetters.refusedPoints, 3);
  assert.deepEqual(parseCsv(Deno.readTextFileSync(path)).map((row) => row[2]), ["value", String(MOST), "7"]);
});

Deno.test("sqlite: such a value is a dead letter, and the others are exact", async () => {
  await using dir = new TempDir();
  const path = dir.file("n.sqlite");
  const { deadLetters } = await run((context) =>
    sqlite.open({ ...sqlite.config.defaultValue(), path }, context)
  );
  assert.equal(deadLetters.refusedPoints, 3);
  const db = new DatabaseSync(path, { readOnly: true });
  const rows = db.prepare("SELECT value FROM measurements ORDER BY time").all();
  db.close();
  assert.deepEqual(rows.map(({ value }) => value), [String(MOST), 7]);
});

Deno.test("influxdb: such a value is a dead letter, and the others are exact", async () => {
  await using peer = new HttpPeer();
  const config = {
    ...influxdb.config.defaultValue(),
    host: peer.url,
    bucket: "b",
    unsigned: "unsigned" as const,
  };
  const { deadLetters } = await run((context) => influxdb.open(config, context));
  assert.equal(deadLetters.refusedPoints, 3);
  assert.deepEqual([...peer.requests.at(-1)!.text.matchAll(/ value=(\S+) /g)].map(([, value]) => value), [
    `${MOST}u`,
    "7u",
  ]);
});

Deno.test("opentelemetry: such a value is a dead letter", async () => {
  await using peer = new HttpPeer();
  const config = { ...opentelemetry.config.defaultValue(), collector_host: peer.url };
  const { deadLetters } = await run((context) => opentelemetry.open(config, context));
  assert.equal(deadLetters.refusedPoints, 3);
});

Deno.test("prometheus-exporter: such a value is not shown, and counted", async () => {
  let output!: Output;
  await run((context) => {
    const opened = prometheusExporter.open({ ...prometheusExporter.config.defaultValue(), port: 0 }, context);
    return Promise.resolve(opened).then((exporter) => output = exporter);
  });
  assert.equal(output.stats!.invalid, 3);
  assert.equal(output.stats!.points, 2);
});

Deno.test("parquet: such a value is a dead letter, and the others are exact", async () => {
  await using dir = new TempDir();
  const config = { ...parquet.config.defaultValue(), path: dir.file("n.parquet") };
  const { deadLetters } = await run((context) => parquet.open(config, context));
  assert.equal(deadLetters.refusedPoints, 3);
  const [name] = [...Deno.readDirSync(dir.path)].map(({ name }) => name).filter((name) => /\d/.test(name));
  const { buffer } = await Deno.readFile(dir.file(name));
  const rows = await parquetReadObjects({ file: buffer });
  assert.deepEqual(rows.map(({ value_u64 }) => value_u64), [MOST, 7n]);
});

onPostgres("postgresql: such a value is a dead letter, and the others are exact", async (server) => {
  await using writing = new Writing(server);
  await writing.write(values());
  assert.equal((await writing.letters()).length, 3);
  assert.deepEqual(
    (await server.sql("SELECT exact_value FROM alumet.measurements ORDER BY time_ns")).map(String),
    [
      String(MOST),
      "7",
    ],
  );
});
