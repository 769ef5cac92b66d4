/** The `parquet` output: the contract of outputs, the files, and what a kill leaves of them. */
import assert from "node:assert/strict";
import { relative } from "node:path";
import { parquetMetadataAsync } from "hyparquet";
import { parquet } from "../../../lib/outputs/parquet.ts";
import { Encoder } from "../../../lib/outputs/parquet/encoder.ts";
import { Rounds } from "../../../lib/outputs/parquet/rounds.ts";
import { PathPattern } from "../../../lib/outputs/files/path.ts";
import { PositionFile } from "../../../lib/outputs/files/position.ts";
import { Sorting } from "../../../lib/outputs/parquet/sorting.ts";
import { renderAttributes } from "../../../lib/outputs/rendering/attributes.ts";
import { unitDisplayName } from "../../../lib/points/units.ts";
import { MemoryJournal } from "../../../lib/journal.ts";
import type { Output, PluginContext } from "../../../lib/plugin.ts";
import { seriesOf } from "../../../lib/points/measurement.ts";
import { contextWith } from "../../kit/context.ts";
import { contract, type Instance } from "../../kit/contract.ts";
import type { Point } from "../../kit/contract/points.ts";
import { CrashingWriter } from "../../kit/csv_crashes.ts";
import { shell } from "../../kit/process.ts";
import { metricOf } from "../../kit/decode.ts";
import { linux, namespaces, type Need, needs, succeeds } from "../../kit/needs.ts";
import { parquetRows } from "../../kit/parquet.ts";
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

const rowsOf = async (path: string) => await parquetRows(await Deno.readFile(path));

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

Deno.test("a round counts from the moment at which its position is on disk, and a kill leaves nothing half", async () => {
  await using dir = new TempDir();
  const root = dir.file("");
  const pattern = new PathPattern(dir.file("{client}.parquet"));
  await using encoder = new Encoder();
  const process = async (work: (rounds: Rounds, positions: PositionFile) => Promise<unknown>) => {
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
    const sorting = await Sorting.of(pattern, batches);
    return { sorting, files: sorting.files, journal: "j", position };
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

/** The moments of a round at which the folder goes, and what calls back there. */
const MOMENTS: Readonly<Record<string, (move: () => Promise<void>) => Disposable>> = {
  "before its position is saved": (move) => beside(PositionFile.prototype, "write", move, () => {}),
  "after its position is saved": (move) => beside(PositionFile.prototype, "write", () => {}, move),
  "when the first of its files has its name": (move) => beside(Deno, "rename", () => {}, move),
};

/** Does something before and after the next call of a method. */
function beside<T>(object: T, method: keyof T, before: () => unknown, after: () => unknown): Disposable {
  const original = object[method] as (...args: unknown[]) => Promise<unknown>;
  const restore = () => void Object.assign(object as object, { [method]: original });
  const replaced = async function (this: unknown, ...args: unknown[]) {
    restore();
    await before();
    const result = await original.apply(this, args);
    await after();
    return result;
  };
  Object.assign(object as object, { [method]: replaced });
  return { [Symbol.dispose]: restore };
}

for (const [moment, at] of Object.entries(MOMENTS)) {
  for (const isFirst of [true, false]) {
    const name = `a folder that is moved ${moment}, takes no point of the ${
      isFirst ? "first" : "second"
    } round along`;
    Deno.test(name, async () => {
      await using dir = new TempDir();
      await using journal = await openJournal(dir.file("journal"));
      const open = async (folder: string) => {
        const config = { path: dir.file(`${folder}/{client}.parquet`), interval: 10, max_points: 1000 };
        return await parquet.open(config, contextWith({ clients: journal.clients }));
      };
      const put = async (first: number) => {
        await journal.append(numbered(5, first, host("a")));
        await journal.append(numbered(5, first + 5, host("b")));
        await until(() => journal.pendingPoints === 0);
      };
      const values = async (...folders: string[]) => {
        const files = folders.flatMap((folder) =>
          filesBelow(dir.file(folder)).map((file) => dir.file(`${folder}/${file}`))
        );
        const rows = await Promise.all(files.map(rowsOf));
        return rows.flat().map(({ value }) => Number(value)).sort((a, b) => a - b);
      };
      {
        await using output = await open("data");
        const running = output.run(journal.reader("parquet"), new AbortController().signal);
        if (!isFirst) await put(0);
        using _ = at(() => Deno.rename(dir.file("data"), dir.file("moved")));
        await put(10);
        await put(20);
        journal.end();
        await running;
      }
      const all = Array.from({ length: isFirst ? 20 : 30 }, (_, n) => n + (isFirst ? 10 : 0));
      assert.deepEqual(await values("moved", "data"), all);
      // Nor does a process that goes on in the folder that was moved.
      await (await open("moved"))[Symbol.asyncDispose]();
      assert.deepEqual(await values("moved", "data"), all);
    });
  }
}

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
