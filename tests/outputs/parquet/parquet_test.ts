/** The `parquet` output: the contract of outputs, the files, and what a kill leaves of them. */
import assert from "node:assert/strict";
import { relative } from "node:path";
import { parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { parquet } from "../../../lib/outputs/parquet.ts";
import { Encoder } from "../../../lib/outputs/parquet/encoder.ts";
import type { FileSeries } from "../../../lib/outputs/files/file_series.ts";
import { ParquetFile } from "../../../lib/outputs/files/parquet.ts";
import { Rounds } from "../../../lib/outputs/parquet/rounds.ts";
import { PathPattern } from "../../../lib/outputs/files/path.ts";
import { PositionFile } from "../../../lib/outputs/files/position.ts";
import { type FilePoints, Sorting } from "../../../lib/outputs/parquet/sorting.ts";
import { SERIES_NUMBERS, SERIES_TEXTS } from "../../../lib/outputs/parquet/messages.ts";
import { newColumns } from "../../../lib/outputs/threads/point_columns.ts";
import { renderAttributes } from "../../../lib/outputs/rendering/attributes.ts";
import { unitDisplayName } from "../../../lib/points/units.ts";
import { MemoryJournal } from "../../../lib/journal.ts";
import type { Output, PluginContext } from "../../../lib/plugin.ts";
import { seriesOf } from "../../../lib/points/measurement.ts";
import { contextWith } from "../../kit/context.ts";
import { contract, type Instance } from "../../kit/contract.ts";
import type { Point } from "../../kit/contract/points.ts";
import { CrashingWriter } from "../../kit/csv_crashes.ts";
import { Chance } from "../../kit/bytes.ts";
import { shell } from "../../kit/process.ts";
import { metricOf } from "../../kit/decode.ts";
import { linux, namespaces, type Need, needs, succeeds } from "../../kit/needs.ts";
import { batchOf, numbered } from "../../kit/points.ts";
import { SmallDisk } from "../../kit/small_disk.ts";
import { unlocked } from "../../kit/locks.ts";
import { open as openJournal } from "../../kit/journal.ts";
import { until } from "../../kit/waiting.ts";
import { TempDir } from "../../kit/temp_dir.ts";

const PYTHON = Deno.env.get("ANALYSIS_PYTHON") || "python3";
const libraries: Need = () =>
  succeeds(PYTHON, "-c", "import pyarrow, duckdb, polars")
    ? undefined
    : "needs a Python with pyarrow, duckdb and polars (ANALYSIS_PYTHON)";

const NS = 1_000_000_000n;
/** Seconds of the last time in nanoseconds that an integer of 64 bits holds. */
const LAST_SECOND = 9_223_372_036;
const START_S = 1_700_000_000;

/** The files below a folder, by their paths in it. */
function filesBelow(folder: string): string[] {
  const found: string[] = [];
  const visit = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      if (isDirectory) visit(`${path}/${name}`);
      else if (name.endsWith(".parquet")) found.push(relative(folder, `${path}/${name}`));
    }
  };
  visit(folder);
  return found.sort();
}

const rowsOf = async (path: string) => await rowsIn(await Deno.readFile(path));

async function rowsIn(bytes: Uint8Array<ArrayBuffer>): Promise<Record<string, unknown>[]> {
  const timestampFromNanoseconds = (nanos: bigint) => nanos as unknown as Date;
  const stringFromBytes = (text: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(text);
  return await parquetReadObjects({
    file: bytes.slice().buffer,
    parsers: { timestampFromNanoseconds, stringFromBytes },
  });
}

const valueText = (value: unknown) => Object.is(value, -0) ? "-0" : String(value);

function rowText(row: Record<string, unknown>): string {
  const { value, value_u64, timestamp, metric, unit, relay_client, attributes } = row;
  const texts = [row.resource_kind, row.resource_id, row.consumer_kind, row.consumer_id];
  return JSON.stringify(
    [metric, unit, String(timestamp), valueText(value_u64 ?? value), relay_client, ...texts, attributes],
  );
}

function expectedText({ metric, seconds, nanos, value, ...rest }: Point): string {
  const { client, json } = renderAttributes(rest.attributes);
  const { resourceKind, resourceId, consumerKind, consumerId } = rest;
  const time = String(BigInt(seconds) * NS + BigInt(nanos));
  const texts = [client, resourceKind, resourceId, consumerKind, consumerId, json];
  return JSON.stringify([metric.name, unitDisplayName(metric.unit), time, valueText(value), ...texts]);
}

class Files implements Instance {
  constructor(readonly disk: SmallDisk) {}

  open(context: PluginContext): Promise<Output> {
    const path = this.disk.file("data/%Y-%m-%d/%H.parquet");
    return parquet.open({ path, interval: 20, max_points: 20_000 }, context);
  }

  expected(points: readonly Point[]) {
    const stored = points.filter(({ seconds }) => seconds < LAST_SECOND);
    return { stored: stored.map(expectedText), refused: points.length - stored.length };
  }

  async stored(): Promise<string[]> {
    const folder = this.disk.file("data");
    const texts: string[] = [];
    for (const file of filesBelow(folder)) texts.push(...(await rowsOf(`${folder}/${file}`)).map(rowText));
    return texts;
  }

  async stop(): Promise<void> {
    await this.disk.fill();
  }

  async start(): Promise<void> {
    await this.disk.empty();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disk[Symbol.asyncDispose]();
  }
}

contract({
  name: "parquet",
  delivers: "exactly_once",
  refusedStats: ["refusedPoints"],
  needs: [linux, namespaces],
  except: {
    "a target that refuses for a while gets everything afterwards": "as a full disk",
    "a target that stays silent for a while gets everything afterwards": "a file answers",
    "a slow target gets everything, and what waits for it is bounded": "a file is not slow",
  },
  fresh: async () => new Files(await SmallDisk.mount()),
});

const host = (name: string, metric = metricOf("power", "f64", { base: "W", prefix: "" })) =>
  seriesOf(metric, { attributes: [["relay_client", name]] });

/** Writes batches through the output, and ends it. */
async function write(path: string, ...batches: ReturnType<typeof batchOf>[]): Promise<void> {
  const journal = new MemoryJournal({ limitBytes: 1 << 24 });
  const config = { ...parquet.config.defaultValue(), path };
  await using output = await parquet.open(config, contextWith({ clients: journal.clients }));
  const reader = journal.reader("parquet");
  for (const batch of batches) void journal.append(batch);
  journal.end();
  await output.run(reader, new AbortController().signal);
  assert.equal(journal.pendingPoints, 0);
}

Deno.test("files are named by the client, the metric, the hour of the points and the time of writing", async () => {
  await using dir = new TempDir();
  const other = metricOf("a/b", "u64");
  await write(
    dir.file("{client}/%Y-%m-%d/{metric}-%H.parquet"),
    batchOf([
      [host("node-1"), 1, START_S],
      [host("../node-2"), 2, START_S],
      [host("node-1"), 3, START_S + 3600],
      [seriesOf(other), 4, START_S],
      [host("node-1"), 5, START_S + 1],
    ]),
  );
  const files = filesBelow(dir.path);
  const names = files.map((file) => file.replace(/-\d{8}T\d{9}Z\.parquet$/, ""));
  assert.deepEqual(names, [
    "%2E.%2Fnode-2/2023-11-14/power-22",
    "_local/2023-11-14/a%2Fb-22",
    "node-1/2023-11-14/power-22",
    "node-1/2023-11-14/power-23",
  ]);
  const values = (await rowsOf(dir.file(files[2]))).map(({ value }) => value);
  assert.deepEqual(values, [1, 5]);
});

/** What the thread makes of the chunks of a file, each with room for so many rows. */
function rowsToldOf(sorting: Sorting, file: FilePoints, room: number) {
  const fill = sorting.fill(file);
  const [texts, series]: [string[], { texts: Record<string, string>; isInteger: boolean }[]] = [[], []];
  const [rows, lengths]: [unknown[][], number[]] = [[], []];
  for (let chunk; (chunk = fill(newColumns(room)));) {
    texts.push(...chunk.texts);
    for (let at = 0; at < chunk.series.length; at += SERIES_NUMBERS) {
      const numbers = chunk.series.slice(at, at + SERIES_NUMBERS);
      series.push({
        texts: Object.fromEntries(SERIES_TEXTS.map((name, i) => [name, texts[numbers[i]]])),
        isInteger: numbers.at(-1) === 1,
      });
    }
    const { columns: { series: numbers, seconds, nanos, values, length }, exact } = chunk;
    for (let row = 0; row < length; row++) {
      const { texts: { metric, client, unit, resourceId, attributes }, isInteger } = series[numbers[row]];
      rows.push([
        ...[metric, client, unit, resourceId, attributes, isInteger],
        ...[seconds[row], nanos[row], exact.get(row) ?? values[row]],
      ]);
    }
    lengths.push(length);
  }
  return { rows, lengths, texts, series: series.length };
}

Deno.test("points are sorted into their files, and what no file can hold is refused", async () => {
  const count = seriesOf(metricOf("count", "u64"), { resourceId: "7" });
  const watts = metricOf("power", "f64", { base: "W", prefix: "" });
  const [hostA, hostB] = [host("a", watts), host("b", watts)];
  const first = batchOf([
    [hostB, 1, START_S, 1],
    [hostA, 2, START_S + 3600, 2],
    [hostB, 3, START_S + 1, 3],
    [count, 2n ** 64n - 1n, START_S, 4],
    [hostB, 4, START_S + 2, 5],
  ]);
  const second = batchOf([
    [count, 0.5],
    [hostA, 5, LAST_SECOND, 0],
    [hostA, 6, LAST_SECOND - 1, 6],
    [count, 8, START_S, 7],
    [hostB, 7, START_S + 3600, 8],
    [hostB, 8, START_S, 9],
  ]);
  const sorting = await Sorting.of(new PathPattern("/x/{client}/%H/{metric}.parquet"), [first, second]);
  const names = ["b/22/power", "a/23/power", "_local/22/count", "b/23/power"];
  assert.deepEqual(sorting.files.map(({ path }) => path), names.map((name) => `/x/${name}.parquet`));
  const [b, a, local, late] = sorting.files.map((file) => rowsToldOf(sorting, file, 3));
  const power = (client: string) => ["power", client, "W", "", "{}", false];
  assert.deepEqual(b.rows, [
    [...power("b"), START_S, 1, 1],
    [...power("b"), START_S + 1, 3, 3],
    [...power("b"), START_S + 2, 5, 4],
    [...power("b"), START_S, 9, 8],
  ]);
  assert.deepEqual([b.lengths, b.series, b.texts.length], [[3, 1], 1, new Set(b.texts).size]);
  assert.deepEqual(a.rows, [
    [...power("a"), START_S + 3600, 2, 2],
    [...power("a"), LAST_SECOND - 1, 6, 6],
  ]);
  const integers = ["count", "", "", "7", "{}", true];
  assert.deepEqual(local.rows, [[...integers, START_S, 4, 2n ** 64n - 1n], [...integers, START_S, 7, 8]]);
  assert.deepEqual(late.rows, [[...power("b"), START_S + 3600, 8, 7]]);
  assert.deepEqual(sorting.refused.map(({ batch, row }) => [batch === second, row]), [[true, 0], [true, 1]]);
  assert.match(sorting.refused[0].reason, /u64/);
  assert.match(sorting.refused[1].reason, /year 2262/);
  assert.deepEqual(rowsToldOf(sorting, sorting.files[1], 3), a, "a file that failed is written again");
});

Deno.test("points are sorted also where there are many series, of which the thread is told in pieces", async () => {
  const metric = metricOf("power");
  const rows = Array.from({ length: 4400 }, (_, i): [ReturnType<typeof seriesOf>, number] => [
    seriesOf(metric, { resourceId: `${i % 4200}`, attributes: [["a", `${i % 5}`]] }),
    i,
  ]);
  const sorting = await Sorting.of(new PathPattern("/x.parquet"), [
    batchOf(rows.slice(0, 600)),
    batchOf(rows.slice(600)),
  ]);
  const [file] = sorting.files;
  const told = rowsToldOf(sorting, file, 20_000);
  assert.deepEqual([told.lengths, told.series], [[4096, 304], 4200]);
  told.rows.forEach((row, i) => {
    assert.deepEqual([row[3], row[4], row[8]], [`${i % 4200}`, `{"a":"${i % 5}"}`, i]);
  });
});

Deno.test({
  name: "pyarrow, DuckDB and polars read the files, and rows have dictionaries and statistics",
  ...needs(libraries),
  async fn() {
    await using dir = new TempDir();
    await write(
      dir.file("%H.parquet"),
      batchOf([
        [host('n "1"'), 0.1, START_S, 1],
        [seriesOf(metricOf("count", "u64")), 2n ** 64n - 1n, START_S, 2],
      ]),
    );
    const [file] = filesBelow(dir.path);
    for (const library of ["pyarrow", "duckdb", "polars"]) {
      const script = new URL("../../kit/read_parquet.py", import.meta.url).pathname;
      const output = await new Deno.Command(PYTHON, { args: [script, library, dir.file(file)] }).output();
      assert.ok(output.success, new TextDecoder().decode(output.stderr));
      const rows = new TextDecoder().decode(output.stdout).trimEnd().split("\n").map((row) =>
        JSON.parse(row)
      );
      assert.deepEqual(rows.map(({ relay_client, value_u64 }) => [relay_client, value_u64]), [
        ['n "1"', null],
        ["", "18446744073709551615"],
      ]);
    }
    const { buffer } = await Deno.readFile(dir.file(file));
    const { row_groups: [{ columns }] } = await parquetMetadataAsync({
      byteLength: buffer.byteLength,
      slice: (start, end) => buffer.slice(start, end),
    });
    const [time] = columns.filter(({ meta_data }) => meta_data?.path_in_schema[0] === "timestamp");
    assert.notEqual(time.meta_data?.statistics?.min_value, undefined);
  },
});

Deno.test("each group of rows says the limits of what is in it, however series alternate", async () => {
  // In the order of bytes; UTF-16 writes the last one as a pair, which is before U+FFFF.
  const METRICS = ["", "a".repeat(40), "é", "\uffff", "\u{1f600}"];
  const chance = new Chance(1);
  const series = Array.from({ length: 300 }, (_, i): FileSeries => ({
    metric: METRICS[i % METRICS.length],
    unit: "J",
    client: `node-${i % 7}`,
    ...{ resourceKind: "cpu", resourceId: String(i), consumerKind: "", consumerId: "" },
    attributes: i % 3 === 0 ? "{}" : `{"i":${i}}`,
  }));
  const GROUP = 1000;
  const rows: { series: FileSeries; time: bigint; value: number; integer: bigint | null }[] = [];
  for (let k = 0; k < 3 * GROUP + 5;) {
    const one = series[chance.int(series.length)];
    // Runs that are longer and shorter than what is packed.
    const end = k + 1 + chance.int(chance.int(2) === 0 ? 2 : 40);
    for (; k < end; k++) {
      const integer = one.metric === "" ? BigInt(chance.int(1e9)) ** 2n : null;
      const value = integer !== null
        ? Number(integer)
        : [NaN, -Infinity, -0, 0.1][chance.int(k < 2 * GROUP ? 400 : 4)];
      rows.push({
        series: one,
        time: BigInt(chance.int(1e9)) * NS - 5n,
        value: value ?? -chance.int(9),
        integer,
      });
    }
  }
  const pieces: Uint8Array[] = [];
  const file = new ParquetFile((bytes) => void pieces.push(bytes.slice()), {
    createdBy: "test",
    groupRows: GROUP,
  });
  for (const { series, time, value, integer } of rows) file.add(series, time, value, integer);
  file.end();
  const bytes = new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
  const found = (await rowsIn(bytes)).map((row) => [
    ...[
      row.timestamp,
      row.value,
      row.value_u64,
      row.metric,
      row.relay_client,
      row.resource_id,
      row.attributes,
    ],
  ]);
  const expected = rows.map(({ series: s, time, value, integer }) => [
    ...[time, value, integer, s.metric, s.client, s.resourceId, s.attributes],
  ]);
  assert.equal(found.length, expected.length);
  found.forEach((row, k) => assert.deepEqual(row.map(String), expected[k].map(String), `row ${k}`));

  const { row_groups: groups } = await parquetMetadataAsync(
    { byteLength: bytes.length, slice: (start, end) => bytes.slice(start, end).buffer },
  );
  const limits = (group: number, column: string) => {
    const chunk = groups[group].columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === column);
    const { min_value: min, max_value: max } = chunk?.meta_data?.statistics ?? {};
    return [min, max];
  };
  for (const [group] of groups.entries()) {
    const inGroup = rows.slice(group * GROUP, (group + 1) * GROUP);
    const values = inGroup.map(({ value }) => value);
    const extremes = [Math.min(...values), Math.max(...values)];
    const hasNaN = values.some(Number.isNaN);
    assert.deepEqual(
      limits(group, "value").map(String),
      (hasNaN ? [undefined, undefined] : extremes).map(String),
    );
    const hosts = inGroup.map(({ series }) => series.client).sort();
    assert.deepEqual(limits(group, "relay_client"), [hosts[0], hosts.at(-1)]);
    const metrics = new Set(inGroup.map(({ series }) => series.metric));
    const sorted = METRICS.filter((metric) => metrics.has(metric));
    assert.deepEqual(limits(group, "metric"), [sorted[0], sorted.at(-1)]);
    assert.deepEqual(limits(group, "value_u64"), [undefined, undefined]);
  }
});

Deno.test("a round counts from the moment at which its position is on disk, and a kill leaves nothing half", async () => {
  await using dir = new TempDir();
  const root = dir.file("");
  const pattern = new PathPattern(dir.file("{client}.parquet"));
  await using encoder = new Encoder();
  const process = async (work: (rounds: Rounds, positions: PositionFile) => Promise<void>) => {
    const positions = await PositionFile.open(`${root}.parquet.position`);
    try {
      await work(await Rounds.open(positions, root, encoder), positions);
    } finally {
      positions.close();
    }
  };
  const { signal } = new AbortController();
  const round = async (first: number, position: number) => {
    const batches = ["a", "b"].map((name) => numbered(10, first, host(name)));
    return { sorting: await Sorting.of(pattern, batches), journal: "j", position };
  };
  const points = async () => {
    const all = filesBelow(dir.path).map(async (file) => (await rowsOf(dir.file(file))).length);
    return (await Promise.all(all)).reduce((sum, count) => sum + count, 0);
  };
  // Killed before the position is saved: nothing is there, and the next process begins at the same place.
  await process(async (rounds) => void await rounds.prepare(await round(0, 1), 1000, signal));
  await process((rounds) => Promise.resolve(assert.equal(rounds.positionIn("j"), -1)));
  assert.equal(await points(), 0);
  assert.deepEqual([...Deno.readDirSync(`${root}.parquet-tmp`)], []);
  // Killed behind it: the next process gives the files their names, once.
  await process(async (rounds) => await rounds.settle(await rounds.prepare(await round(0, 1), 1000, signal)));
  assert.equal(await points(), 0);
  await process((rounds) => Promise.resolve(assert.equal(rounds.positionIn("j"), 1)));
  assert.equal(await points(), 20);
  // Killed between two names: both files get theirs.
  await process(async (rounds, positions) => {
    const prepared = await rounds.prepare(await round(10, 2), 1000, signal);
    await rounds.settle(prepared);
    const [first] = prepared.files;
    for (const { name } of [...Deno.readDirSync(`${root}.parquet-tmp`)]) {
      const temporary = `${root}.parquet-tmp/${name}`;
      const [{ relay_client }] = await rowsOf(temporary);
      if (first.path.startsWith(`${relay_client}-`)) {
        await Deno.rename(temporary, positions.absolute(first.path));
      }
    }
  });
  await process(() => Promise.resolve());
  await process((rounds) => Promise.resolve(assert.equal(rounds.positionIn("other"), -1)));
  // Names of one time differ.
  assert.equal(filesBelow(dir.path).length, 4);
  assert.equal(await points(), 40);
});

Deno.test("a journal that is full before files are due is written, in files with what it holds", async () => {
  await using dir = new TempDir();
  const journal = new MemoryJournal({ limitBytes: 1 << 16 });
  const config = { ...parquet.config.defaultValue(), path: dir.file("%H.parquet"), interval: 1e9 };
  await using output = await parquet.open(config, contextWith({ clients: journal.clients }));
  const running = output.run(journal.reader("parquet"), new AbortController().signal);
  for (let first = 0; first < 5000; first += 500) await journal.append(numbered(500, first, host("a")));
  journal.end();
  await running;
  const counts = filesBelow(dir.path).map(async (file) => (await rowsOf(dir.file(file))).length);
  assert.equal((await Promise.all(counts)).reduce((sum, count) => sum + count, 0), 5000);
});

Deno.test({
  name: "a disk that does not answer holds up the thread that encodes, and nobody else",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const path = dir.file("hangs");
    await shell("mkfifo", path);
    const stop = new AbortController();
    const encoder = new Encoder();
    const writing = encoder.write(path, {}, () => null, stop.signal);
    assert.notEqual(encoder.waitingSince, undefined);
    // The thread waits in a system call for a reader, and a stop does not wait for the thread.
    stop.abort(new Error("stop"));
    await assert.rejects(writing, /stop/);
    // Both ends are opened at once.
    using _reader = await Deno.open(path);
    await encoder[Symbol.asyncDispose]();
    assert.equal(encoder.waitingSince, undefined);
  },
});

Deno.test("a folder that is moved or removed while it is written is begun again, and no point is written twice", async () => {
  await using dir = new TempDir();
  await using journal = await openJournal(dir.file("journal"));
  const config = { path: dir.file("data/%H.parquet"), interval: 10, max_points: 1000 };
  await using output = await parquet.open(config, contextWith({ clients: journal.clients }));
  const running = output.run(journal.reader("parquet"), new AbortController().signal);
  const put = async (first: number) => {
    await journal.append(numbered(10, first));
    await until(() => journal.pendingPoints === 0);
  };
  await put(0);
  await Deno.rename(dir.file("data"), dir.file("moved"));
  await put(10);
  await Deno.remove(dir.file("data/.parquet-tmp"));
  await put(20);
  const values = async (folder: string) => {
    const rows = filesBelow(dir.file(folder)).map((file) => rowsOf(dir.file(`${folder}/${file}`)));
    return (await Promise.all(rows)).flat().map(({ value }) => Number(value)).sort((a, b) => a - b);
  };
  const numbers = Array.from({ length: 30 }, (_, n) => n);
  assert.deepEqual(await values("moved"), numbers.slice(0, 10));
  assert.deepEqual(await values("data"), numbers.slice(10));
  await Deno.rename(dir.file("data"), dir.file("moved again"));
  await put(30);
  journal.end();
  await running;
  // The next process goes on behind what is in the folders that are gone.
  const position = await Deno.readTextFile(dir.file("data/.parquet.position"));
  assert.ok(position.includes(`"position":${journal.lastPosition}`), position);
});

Deno.test("two processes do not write the same files", async () => {
  await using dir = new TempDir();
  const config = { ...parquet.config.defaultValue(), path: dir.file("%H.parquet") };
  {
    await using _first = await parquet.open(config, contextWith({}));
    await assert.rejects(
      parquet.open(config, contextWith({})),
      /Cannot write to .*plugins\.parquet\.path.*Another process/,
    );
  }
  await unlocked(dir.path);
});

Deno.test("each point of processes that are killed at any moment is in one file, and each file is whole", async () => {
  await using dir = new TempDir();
  const config = { path: dir.file("data/{client}/%H.parquet"), interval: 30 };
  await using writer = new CrashingWriter(dir.path, config, 20261126, "parquet");
  await writer.crash(4);
  await writer.finish();
  const found = new Map<string, number[]>();
  for (const file of filesBelow(dir.file("data"))) {
    for (const { metric, value } of await rowsOf(dir.file(`data/${file}`))) {
      const numbers = found.get(metric as string) ?? [];
      found.set(metric as string, numbers);
      numbers.push(value as number);
    }
  }
  writer.check(found, false);
});
