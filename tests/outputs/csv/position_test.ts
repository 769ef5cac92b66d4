/** The position beside a CSV file: what a process that is killed leaves, and what the next one makes of it. */
import assert from "node:assert/strict";
import { PositionFile, PositionInUse } from "../../../lib/outputs/files/position.ts";
import { csv } from "../../../lib/outputs/csv.ts";
import { CsvOutput } from "../../../lib/outputs/csv/output.ts";
import { cases } from "../../kit/bytes.ts";
import { contextWith } from "../../kit/context.ts";
import { ReplayJournal } from "../../kit/contract/journal.ts";
import { numberedPoints, point } from "../../kit/contract/points.ts";
import { parseCsv } from "../../kit/csv.ts";
import { CrashingWriter, numbersByRun } from "../../kit/csv_crashes.ts";
import { HastyClock } from "../../kit/hasty_clock.ts";
import { unlocked } from "../../kit/locks.ts";
import { open as openJournal } from "../../kit/journal.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { numbered } from "../../kit/points.ts";
import { positionOf, readPosition } from "../../kit/positions.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { pause, until } from "../../kit/waiting.ts";

Deno.test("a position whose folder is moved away is there again with the next rows, in a folder that is made again", async () => {
  await using directory = new TempDir();
  await Deno.mkdir(directory.file("data"));
  await using journal = await openJournal(directory.file("journal"));
  const config = { ...csv.config.defaultValue(), output_path: directory.file("data/out.csv") };
  await using output = await CsvOutput.open(config, contextWith({ keepsOnDisk: true }));
  const running = output.run(journal.reader("csv"), new AbortController().signal);
  const put = async (first: number) => {
    await journal.append(numbered(10, first));
    await until(() => journal.pendingPoints === 0);
  };
  const path = directory.file("data/out.csv.position");
  await put(0);
  await Deno.rename(directory.file("data"), directory.file("moved"));
  await Deno.mkdir(directory.file("data"));
  await put(10);
  journal.end();
  await running;
  await output[Symbol.asyncDispose]();
  const found = await readPosition(path);
  assert.deepEqual([found?.position, found?.clean], [journal.lastPosition, true]);
});

Deno.test("a file that one process writes cannot be written by another one with a position", async () => {
  await using directory = new TempDir();
  const path = directory.file("position");
  const file = await PositionFile.open(path);
  await assert.rejects(PositionFile.open(path), PositionInUse);
  // Not even when the position has outgrown its file.
  await file.write(positionOf(1));
  await file.write(positionOf(2, 500));
  await assert.rejects(PositionFile.open(path), PositionInUse);
  file.close();
  assert.deepEqual(await readPosition(path), positionOf(2, 500));
  await unlocked(directory.path);
});

/** A process that takes what the journal has and stops in good order, or by an abort. */
class Process {
  readonly logs = new LogLines();

  constructor(readonly path: string, readonly journal: ReplayJournal) {}

  async run(how: "ends" | "is aborted" = "ends", from = 0, enough = () => true): Promise<number> {
    const context = contextWith({
      log: this.logs.log,
      clock: new HastyClock(),
      keepsOnDisk: this.journal.id !== null,
    });
    const config = { ...csv.config.defaultValue(), output_path: this.path };
    await using output = await CsvOutput.open(config, context);
    const reader = this.journal.reader(from);
    const abort = new AbortController();
    const running = output.run(reader, abort.signal);
    if (how === "ends") this.journal.end();
    else {
      while (!enough() || reader.committed < this.journal.entries.length) {
        await pause(2);
      }
      abort.abort();
    }
    await running;
    return reader.committed;
  }
}

async function valuesIn(path: string): Promise<number[]> {
  return parseCsv(await Deno.readTextFile(path)).slice(1).map((row) => Number(row[2]));
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** A file with 100 rows of a journal, as a process leaves it that is killed when it has written `more` to it. */
async function killed(path: string, more: string): Promise<ReplayJournal> {
  const journal = new ReplayJournal({ durable: true });
  for (let n = 0; n < 10; n++) journal.push(numberedPoints(10, 10 * n));
  await new Process(path, journal).run();
  await unclean(path);
  await Deno.writeTextFile(path, more, { append: true });
  return journal;
}

/** Takes back the mark of an orderly stop. */
async function unclean(path: string): Promise<void> {
  const file = await PositionFile.open(`${path}.position`);
  assert.equal(file.latest?.clean, true);
  await file.write({ ...file.latest, clean: false });
  file.close();
}

Deno.test("what a killed process wrote beyond its position is taken back, and what comes again is there once", async () => {
  await using directory = new TempDir();
  const path = directory.file("out.csv");
  const journal = await killed(path, "contract_counter_B;2023-11-14T22:13:21Z;100;cpu_co");
  for (let n = 10; n < 20; n++) journal.push(numberedPoints(10, 10 * n));
  const next = new Process(path, journal);
  await next.run("ends", 3);
  assert.deepEqual(await valuesIn(path), range(200));
  assert.equal(next.logs.matching(/Removing the rows.*bytes=50/).length, 1, next.logs.lines.join(""));
});

Deno.test("what somebody else wrote after an orderly stop stays", async () => {
  await using directory = new TempDir();
  const path = directory.file("out.csv");
  for (const how of ["ends", "is aborted"] as const) {
    await Deno.remove(path).catch(() => {});
    const journal = new ReplayJournal({ durable: true });
    journal.push(numberedPoints(100));
    await new Process(path, journal).run(how);
    await Deno.writeTextFile(path, "my;own;note\n", { append: true });
    journal.push(numberedPoints(10, 100));
    await new Process(path, journal).run();
    const lines = (await Deno.readTextFile(path)).trim().split("\n");
    assert.equal(lines[101], "my;own;note");
    assert.equal(lines.length, 112);
  }
});

Deno.test("a file that was cut, replaced or removed after a kill is left as it is, and the log says so", async () => {
  const whole =
    "metric;timestamp;value;resource_kind;resource_id;consumer_kind;consumer_id;core;__late_attributes\n";
  const cases: [string, (path: string) => Promise<void>, RegExp, string][] = [
    ["cut", (path) => Deno.truncate(path, whole.length), /bytes, not/, whole],
    [
      "replaced",
      async (path) => {
        await Deno.rename(path, `${path}.moved`);
        await Deno.writeTextFile(path, whole + "x\n".repeat(10_000));
      },
      /another file of the same name/,
      whole + "x\n".repeat(10_000),
    ],
    ["removed", (path) => Deno.remove(path), /it was removed/, whole],
  ];
  for (const [what, change, says, before] of cases) {
    await using directory = new TempDir();
    const path = directory.file("out.csv");
    const journal = await killed(path, "more rows\n");
    await change(path);
    journal.push([point({ value: 100n, attributes: [["core", 1n]] })]);
    const next = new Process(path, journal);
    await next.run();
    const text = await Deno.readTextFile(path);
    assert.ok(text.startsWith(before), `${what}: ${text.slice(0, 300)}`);
    assert.match(text.slice(before.length), /^contract_counter_B;[^\n]*;100;[^\n]*\n$/, what);
    assert.equal(next.logs.matching(says).length, 1, `${what}: ${next.logs.lines.join("")}`);
  }
});

Deno.test("rows of a journal that is gone are not taken back", async () => {
  await using directory = new TempDir();
  const path = directory.file("out.csv");
  await killed(path, "contract_counter_B;2023-11-14T22:13:21Z;100;cpu_core;0;local_machine;;0;\n");
  const other = new ReplayJournal({ durable: true });
  other.push(numberedPoints(5, 101));
  await new Process(path, other).run();
  assert.deepEqual(await valuesIn(path), range(106));
});

Deno.test("a process without a journal makes the position void, and its rows are not taken back", async () => {
  await using directory = new TempDir();
  const path = directory.file("out.csv");
  const journal = await killed(path, "");
  const memory = new ReplayJournal({ durable: false });
  memory.push(numberedPoints(5, 100));
  await new Process(path, memory).run();
  await assert.rejects(Deno.stat(`${path}.position`), Deno.errors.NotFound);
  journal.push(numberedPoints(5, 105));
  await new Process(path, journal).run("ends", 10);
  assert.deepEqual(await valuesIn(path), range(110));
});

Deno.test("a disk that loses what was written to it gets it again", async () => {
  await using directory = new TempDir();
  const path = directory.file("out.csv");
  const journal = new ReplayJournal({ durable: true });
  const { syncData } = Deno.FsFile.prototype;
  let syncs = 0;
  // As after an error of the device: what was not on it is gone, here to zeros, and the next sync says nothing of it.
  Deno.FsFile.prototype.syncData = async function () {
    const { size } = await this.stat();
    const safe = JSON.parse((await Deno.readTextFile(`${path}.position`)).slice(9).split("\n")[0] || "{}");
    if (size === 2 * 4096 || syncs++ % 3 !== 1) return await syncData.call(this);
    const from = Math.max(...safe.files.map(({ size }: { size: number }) => size));
    using file = await Deno.open(path, { write: true });
    await file.seek(from, Deno.SeekMode.Start);
    await file.write(new Uint8Array(Math.max(0, size - from)));
    throw new Error("Input/output error (os error 5)");
  };
  const process = new Process(path, journal);
  let batches = 0;
  try {
    journal.push(numberedPoints(100));
    const running = process.run("is aborted", 0, () => syncs >= 8 || batches === 1000);
    for (batches = 1; syncs < 8 && batches < 1000; batches++) {
      journal.push(numberedPoints(100, 100 * batches));
      await pause(10);
    }
    await running;
  } finally {
    Deno.FsFile.prototype.syncData = syncData;
  }
  assert.ok(process.logs.matching(/may have lost rows/).length >= 1);
  assert.ok(process.logs.matching(/on disk again/).length >= 1);
  assert.deepEqual(await valuesIn(path), range(100 * batches));
});

Deno.test("a process that is killed at any moment has every row once, in order", async () => {
  await using directory = new TempDir();
  const path = directory.file("out.csv");
  await using writer = new CrashingWriter(directory.path, { output_path: path }, 20);
  await writer.crash(cases(5));
  await writer.finish();
  writer.check(numbersByRun([await Deno.readTextFile(path)]));
  assert.ok(writer.log.includes("Removing the rows"), writer.log);
  assert.ok(!writer.log.includes("may be in"), writer.log);
});
