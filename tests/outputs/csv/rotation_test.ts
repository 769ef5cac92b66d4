/** CSV files that are finished by size or time, compressed, kept, and told apart by client. */
import assert from "node:assert/strict";
import { basename } from "node:path";
import { SystemClock, type Timestamp } from "../../../lib/base/clock.ts";
import { MemoryJournal } from "../../../lib/journal.ts";
import type { Batch } from "../../../lib/points/measurement.ts";
import { csv } from "../../../lib/outputs/csv.ts";
import { Archive } from "../../../lib/outputs/csv/archive.ts";
import { CsvOutput } from "../../../lib/outputs/csv/output.ts";
import { PathPattern } from "../../../lib/outputs/files/path.ts";
import { cases } from "../../kit/bytes.ts";
import { contextWith } from "../../kit/context.ts";
import { parseCsv } from "../../kit/csv.ts";
import { CrashingWriter, numbersByRun } from "../../kit/csv_crashes.ts";
import { metricOf } from "../../kit/decode.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { linux, needs } from "../../kit/needs.ts";
import { batchOf, numbered, series } from "../../kit/points.ts";
import { open as openJournal } from "../../kit/journal.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { pause, until } from "../../kit/waiting.ts";

type Config = Parameters<typeof CsvOutput.open>[0];
const COUNT = metricOf("count");

/** A wall clock that stands where it is put. */
class SetClock extends SystemClock {
  ms = Date.parse("2026-03-05T07:08:09Z");

  override now(): Timestamp {
    return { seconds: Math.floor(this.ms / 1000), nanos: (this.ms % 1000) * 1e6 };
  }
}

/** An output that runs, in a folder of its own. */
class Running implements AsyncDisposable {
  readonly journal = new MemoryJournal({ limitBytes: 1e9 });
  readonly #done: Promise<void>;
  #ended = false;

  private constructor(readonly output: CsvOutput) {
    this.#done = output.run(this.journal.reader(), new AbortController().signal);
  }

  static async start(
    config: Partial<Config>,
    logs = new LogLines(),
    clock = new SystemClock(),
  ): Promise<Running> {
    const context = contextWith({ log: logs.log, clock });
    return new Running(await CsvOutput.open({ ...csv.config.defaultValue(), ...config }, context));
  }

  /** Resolves when the batch is in a file. */
  async put(batch: Batch): Promise<void> {
    await this.journal.append(batch);
    await until(() => this.journal.pendingPoints === 0);
  }

  async end(): Promise<void> {
    this.#ended = true;
    this.journal.end();
    await this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) await this.end();
    await this.output[Symbol.asyncDispose]();
  }
}

/** The names of all files below a folder, in order. */
function namesIn(path: string, below = ""): string[] {
  return [...Deno.readDirSync(`${path}/${below}`)].flatMap(({ name, isDirectory }) =>
    isDirectory ? namesIn(path, `${below}${name}/`) : [below + name]
  ).sort();
}

async function textOf(path: string): Promise<string> {
  const bytes = await Deno.readFile(path);
  if (!path.endsWith(".gz")) return new TextDecoder().decode(bytes);
  return await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

async function valuesOf(path: string): Promise<number[]> {
  return parseCsv(await textOf(path)).slice(1).map((row) => Number(row[2]));
}

/** The order in which files were rotated: without what tells that they are compressed, the unrotated one last. */
function inTurn(names: string[]): string[] {
  const key = (name: string) => {
    const [, stamp = "~", n = "1"] = /\.(\d{8}T\d{6}Z)(?:-(\d+))?/.exec(name) ?? [];
    return stamp + n.padStart(6, "0");
  };
  return names.toSorted((a, b) => key(a) < key(b) ? -1 : 1);
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const seriesFor = (name: string | undefined) =>
  series(COUNT, name === undefined ? [] : [["relay_client", name]]);
const ofClient = (name: string | undefined, value: number) => batchOf([[seriesFor(name), value]]);

Deno.test("a file that is large enough is renamed and another one begun; together they have every row in order", async () => {
  await using directory = new TempDir();
  const logs = new LogLines();
  {
    await using output = await Running.start(
      { output_path: directory.file("out.csv"), rotate_size: 20_000 },
      logs,
    );
    for (let n = 0; n < 50; n++) await output.put(numbered(100, 100 * n));
    await output.end();
    assert.equal(output.output.stats.rotations, namesIn(directory.path).length - 1);
  }
  const names = inTurn(namesIn(directory.path));
  assert.ok(names.length > 10, names.join());
  assert.equal(names.at(-1), "out.csv");
  const values: number[] = [];
  for (const name of names) {
    const { size } = await Deno.stat(directory.file(name));
    // A batch is not parted.
    assert.ok(size < 30_000 && (size >= 20_000 || name === "out.csv"), `${name}: ${size}`);
    values.push(...await valuesOf(directory.file(name)));
  }
  assert.deepEqual(values, range(5000));
  assert.ok(logs.matching(/The file is finished.*by=size/).length === names.length - 1);
});

Deno.test("a process goes on in a file, and finishes one that is too large or of an interval that is over", async () => {
  await using directory = new TempDir();
  const path = directory.file("out.csv");
  const clock = new SetClock();
  const write = async (first: number, rotate_size?: number) => {
    const config = { output_path: path, rotate_interval: 86_400_000, rotate_size };
    await using output = await Running.start(config, new LogLines(), clock);
    await output.put(numbered(100, first));
    await Deno.utime(path, clock.ms / 1000, clock.ms / 1000);
  };
  await write(0);
  await write(100);
  assert.deepEqual(namesIn(directory.path), ["out.csv"]);
  await write(200, 9000);
  assert.deepEqual(namesIn(directory.path), ["out.20260305T070809Z.csv", "out.csv"]);
  clock.ms += 86_400_000;
  await write(300, 9000);
  const names = ["out.20260305T070809Z.csv", "out.20260306T070809Z.csv", "out.csv"];
  assert.deepEqual(namesIn(directory.path), names);
  const lengths = await Promise.all(names.map(async (name) => (await valuesOf(directory.file(name))).length));
  assert.deepEqual(lengths, [200, 100, 100]);
});

Deno.test("an interval ends at its multiples in UTC, also when nothing comes; an empty file is not finished", async () => {
  await using directory = new TempDir();
  const clock = new SetClock();
  clock.ms = Date.parse("2026-03-05T23:59:59.600Z");
  const path = directory.file("out.csv");
  await using output = await Running.start(
    { output_path: path, rotate_interval: 86_400_000 },
    new LogLines(),
    clock,
  );
  await output.put(numbered(1));
  await pause(100);
  assert.deepEqual(namesIn(directory.path), ["out.csv"]);
  clock.ms += 450;
  await until(() => !namesIn(directory.path).includes("out.csv"));
  assert.deepEqual(namesIn(directory.path), ["out.20260306T000000Z.csv"]);
  await output.put(numbered(1, 1));
  assert.deepEqual(namesIn(directory.path), ["out.20260306T000000Z.csv", "out.csv"]);
  clock.ms += 1000;
  await output.put(numbered(1, 2));
  assert.deepEqual(await valuesOf(path), [1, 2]);
});

Deno.test("a path with a time changes with the clock, folders are made, and the next file has the columns that came late", async () => {
  await using directory = new TempDir();
  const clock = new SetClock();
  const config = { output_path: directory.file("%F/%H.csv"), rotate_gzip: true };
  {
    await using output = await Running.start(config, new LogLines(), clock);
    await output.put(batchOf([[series(COUNT, [["a", 1n]]), 1]]));
    await output.put(batchOf([[series(COUNT, [["late", 1n]]), 2]]));
    clock.ms += 3_600_000;
    await output.put(batchOf([[series(COUNT, [["late", 1n]]), 3]]));
    await until(() => namesIn(directory.path).includes("2026-03-05/07.csv.gz"));
  }
  assert.deepEqual(namesIn(directory.path), ["2026-03-05/07.csv.gz", "2026-03-05/08.csv"]);
  const [, ...rows] = parseCsv(await textOf(directory.file("2026-03-05/07.csv.gz")));
  assert.deepEqual(rows.map((row) => row.slice(7)), [["1", ""], ["", "late=1"]]);
  const [header, row] = parseCsv(await textOf(directory.file("2026-03-05/08.csv")));
  assert.deepEqual(header.slice(7), ["a", "late", "__late_attributes"]);
  assert.deepEqual(row.slice(7), ["", "1", ""]);
});

Deno.test("finished files are compressed, with their age; what a process had not come to is done by the next one", async () => {
  await using directory = new TempDir();
  const config = { output_path: directory.file("out.csv"), rotate_size: 5000 };
  {
    await using output = await Running.start(config);
    for (let n = 0; n < 4; n++) await output.put(numbered(100, 100 * n));
  }
  const rotated = namesIn(directory.path).filter((name) => name !== "out.csv");
  assert.equal(rotated.length, 4);
  await Deno.utime(directory.file(rotated[0]), 1_600_000_000, 1_600_000_000);
  const before = await valuesOf(directory.file(rotated[0]));
  // Left by processes that were killed: while compressing, and before the original was removed.
  await Deno.writeTextFile(directory.file(`${rotated[1]}.gz.tmp`), "half");
  const whole = new Response(await Deno.readFile(directory.file(rotated[2]))).body!
    .pipeThrough(new CompressionStream("gzip"));
  await Deno.writeFile(directory.file(`${rotated[2]}.gz`), whole);
  await Deno.utime(directory.file(`${rotated[2]}.gz`), 1_600_000_002, 1_600_000_002);
  await Deno.utime(directory.file(rotated[2]), 1_600_000_002, 1_600_000_002);
  // Of others.
  const others = ["notes.txt", "out.csv.bak", "out.20260305.csv", "other.20260305T000000Z.csv"];
  for (const name of others) await Deno.writeTextFile(directory.file(name), "x");
  {
    await using output = await Running.start({ ...config, rotate_gzip: true });
    await output.put(numbered(1, 400));
    const wanted = [...others, "out.csv", ...rotated.map((name) => `${name}.gz`)].sort();
    await until(() => JSON.stringify(namesIn(directory.path)) === JSON.stringify(wanted));
    await output.put(numbered(1, 401));
    await output.end();
    assert.deepEqual(namesIn(directory.path), wanted);
  }
  assert.deepEqual(await valuesOf(directory.file(`${rotated[0]}.gz`)), before);
  const { mtime } = await Deno.stat(directory.file(`${rotated[0]}.gz`));
  assert.equal(mtime!.getTime(), 1_600_000_000_000);
});

Deno.test("finished files are kept by number, age and size, and no more", async () => {
  const day = 86_400;
  const keeps: [Partial<Config>, number[]][] = [
    [{ keep_files: 3 }, [1, 2, 3]],
    [{ keep_age: 4.5 * day * 1000 }, [1, 2, 3, 4]],
    [{ keep_size: 250 }, [1, 2]],
    [{ keep_size: 250, keep_files: 1 }, [1]],
    [{ keep_files: 100, rotate_gzip: true }, [1, 2, 3, 4, 5, 6]],
  ];
  for (const [keep, left] of keeps) {
    await using directory = new TempDir();
    const clock = new SetClock();
    const name = (age: number) => `out.2026020${9 - age}T000000Z.csv`;
    for (let age = 1; age <= 6; age++) {
      await Deno.writeTextFile(directory.file(name(age)), "x".repeat(100));
      await Deno.utime(directory.file(name(age)), clock.ms / 1000 - age * day, clock.ms / 1000 - age * day);
    }
    await Deno.writeTextFile(directory.file("other.csv"), "x".repeat(1000));
    const config = { output_path: directory.file("out.csv"), rotate_size: 1e9, ...keep };
    await using output = await Running.start(config, new LogLines(), clock);
    await output.put(numbered(1));
    const wanted = ["other.csv", "out.csv", ...left.map((age) => name(age) + (keep.rotate_gzip ? ".gz" : ""))]
      .sort();
    await until(
      () => JSON.stringify(namesIn(directory.path)) === JSON.stringify(wanted),
      10_000,
      JSON.stringify(keep),
    );
    await output.end();
    assert.deepEqual(namesIn(directory.path), wanted);
  }
});

Deno.test("a clock that jumps ahead by 40 days makes no file too old, until it shows that for a day", async () => {
  await using directory = new TempDir();
  const clock = new SetClock();
  let aheadMs = 0;
  clock.monotonicMs = () => performance.now() + aheadMs;
  const config = {
    output_path: directory.file("out.csv"),
    rotate_size: 1024,
    keep_age: 30 * 86_400_000,
  };
  await using output = await Running.start(config, new LogLines(), clock);
  const fill = (n: number) => output.put(numbered(20, 20 * n));
  for (let n = 0; n < 5; n++) {
    await fill(n);
    clock.ms += 1000;
  }
  const before = namesIn(directory.path);
  assert.ok(before.length > 3, before.join());
  for (const name of before) await Deno.utime(directory.file(name), clock.ms / 1000, clock.ms / 1000);
  clock.ms += 40 * 86_400_000;
  for (let n = 5; n < 10; n++) await fill(n);
  assert.ok(before.every((name) => namesIn(directory.path).includes(name)), namesIn(directory.path).join());
  aheadMs += 86_400_000;
  clock.ms += 86_400_000;
  for (let n = 10; n < 15; n++) await fill(n);
  const finished = before.filter((name) => name !== "out.csv");
  await until(() => !finished.some((name) => namesIn(directory.path).includes(name)));
  await output.end();
});

Deno.test("a clock that is ahead by 40 days at the start makes no file too old", async () => {
  await using directory = new TempDir();
  const output_path = directory.file("out.csv");
  const config = { ...csv.config.defaultValue(), output_path, rotate_size: 1024, keep_age: 30 * 86_400_000 };
  const clock = new SetClock();
  const run = async (aheadMs: number, done: (lines: LogLines) => boolean) => {
    clock.ms = Date.now() + aheadMs;
    const logs = new LogLines();
    await using journal = await openJournal(directory.file("journal"));
    await using output = await CsvOutput.open(
      config,
      contextWith({ log: logs.log, clock, keepsOnDisk: true }),
    );
    const running = output.run(journal.reader("csv"), new AbortController().signal);
    for (let n = 0; n < 5; n++) {
      await journal.append(numbered(20, 20 * n));
      await until(() => output.stats.points === 20 * (n + 1));
    }
    await until(() => done(logs));
    journal.end();
    await running;
  };
  const finished = () => namesIn(directory.path).filter((name) => /^out\.[0-9]/.test(name));
  await run(0, () => finished().length > 3);
  const before = finished();
  const ahead = /The clock has jumped ahead, nothing is deleted by it for a day/;
  await run(40 * 86_400_000, (logs) => logs.matching(ahead).length > 0);
  assert.deepEqual(before.filter((name) => !finished().includes(name)), []);
});

Deno.test("each client has a file of its own, whatever it is called, and all are in the folder", async () => {
  await using directory = new TempDir();
  const names = ["node-1", "node-2", "../../escape", "..", "a/b", "", "x".repeat(300), "日本", undefined];
  const output_path = directory.file("data/{client}/all.csv");
  await assert.rejects(Running.start({ output_path }), /Cannot open .*output_path.*No such file/);
  await Deno.mkdir(directory.file("data"));
  {
    await using output = await Running.start({ output_path });
    for (let n = 0; n < 5; n++) {
      const batch = batchOf(
        names.map((name, i) => [seriesFor(name), 10 * i + n]),
      );
      await output.put(batch);
    }
  }
  const files = namesIn(directory.file("data"));
  assert.equal(files.length, names.length);
  assert.deepEqual(namesIn(directory.path), files.map((file) => `data/${file}`));
  assert.ok(files.includes("%2E.%2F..%2Fescape/all.csv") && files.includes("_local/all.csv"), files.join());
  const seen: (string | undefined)[] = [];
  for (const file of files) {
    const [header, ...rows] = parseCsv(await textOf(directory.file(`data/${file}`)));
    const column = header.indexOf("relay_client");
    const clients = new Set(rows.map((row) => column < 0 ? undefined : row[column]));
    assert.equal(clients.size, 1);
    const [client] = clients;
    assert.deepEqual(rows.map((row) => Number(row[2])), range(5).map((n) => 10 * names.indexOf(client) + n));
    seen.push(client);
  }
  assert.deepEqual(new Set(seen), new Set(names));
});

Deno.test({
  name: "with many clients no more files are open than configured, and every row is in its file",
  ...needs(linux),
  async fn() {
    await using directory = new TempDir();
    const clients = 100;
    const openFiles = () =>
      [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
        try {
          return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith(directory.path);
        } catch {
          return false;
        }
      }).length;
    let most = 0;
    {
      await using output = await Running.start({
        output_path: directory.file("{client}.csv"),
        max_open_files: 10,
      });
      for (let n = 0; n < 5; n++) {
        for (let i = 0; i < clients; i++) {
          await output.put(ofClient(`node-${i}`, n));
          most = Math.max(most, openFiles());
        }
      }
    }
    assert.ok(most >= 5 && most <= 12, `${most} files were open`);
    assert.equal(namesIn(directory.path).length, clients);
    for (let i = 0; i < clients; i++) {
      assert.deepEqual(await valuesOf(directory.file(`node-${i}.csv`)), range(5));
    }
  },
});

Deno.test("a client's file with another header is not taken for another client's", async () => {
  await using directory = new TempDir();
  await Deno.writeTextFile(directory.file("a.csv"), "my own notes\n");
  {
    await using output = await Running.start({ output_path: directory.file("{client}.csv") });
    await output.put(ofClient("a", 1));
    await output.put(ofClient("a-1", 2));
    await output.put(ofClient("a", 3));
  }
  assert.deepEqual(namesIn(directory.path), ["a-1.csv", "a.csv", "a~1.csv"]);
  assert.deepEqual(await valuesOf(directory.file("a~1.csv")), [1, 3]);
  assert.deepEqual(await valuesOf(directory.file("a-1.csv")), [2]);
});

Deno.test("a file that another program moves is left to it, and another one is begun", async () => {
  await using directory = new TempDir();
  const path = directory.file("out.csv");
  const logs = new LogLines();
  {
    await using output = await Running.start({ output_path: path }, logs);
    await output.put(numbered(10));
    await Deno.rename(path, `${path}.1`);
    // It is looked for once a second.
    let n = 1;
    for (; logs.matching(/Another program moved or removed/).length === 0 && n < 300; n++) {
      await output.put(numbered(10, 10 * n));
      await pause(20);
    }
    await output.put(numbered(10, 10 * n));
    await output.end();
    const values = [...await valuesOf(`${path}.1`), ...await valuesOf(path)];
    assert.deepEqual(values, range(10 * n + 10));
  }
});

Deno.test("where a file cannot be renamed, rows go on into it, and the log says why", async () => {
  await using directory = new TempDir();
  const { rename } = Deno;
  const logs = new LogLines();
  const path = directory.file("out.csv");
  Deno.rename = () => Promise.reject(new Deno.errors.PermissionDenied("Permission denied (os error 13)"));
  try {
    await using output = await Running.start({ output_path: path, rotate_size: 5000 }, logs);
    for (let n = 0; n < 20; n++) await output.put(numbered(100, 100 * n));
  } finally {
    Deno.rename = rename;
  }
  assert.deepEqual(namesIn(directory.path), ["out.csv"]);
  assert.deepEqual(await valuesOf(path), range(2000));
  assert.equal(logs.matching(/Cannot rename a finished file.*Permission denied/).length, 1);
});

Deno.test({
  name: "a pipe gets the header and every row at the pace of its reader, and has no position",
  ...needs(linux),
  async fn() {
    await using directory = new TempDir();
    const path = directory.file("pipe");
    assert.ok((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
    const logs = new LogLines();
    const journal = new MemoryJournal({ limitBytes: 1e9 });
    const context = contextWith({ log: logs.log, keepsOnDisk: true });
    const config = { ...csv.config.defaultValue(), output_path: path, rotate_size: 5000 };
    await using output = await CsvOutput.open(config, context);
    const reader = journal.reader();
    const running = output.run(reader, new AbortController().signal);
    const total = 40_000;
    for (let n = 0; n < total; n += 400) await journal.append(numbered(400, n));
    journal.end();
    await pause(100);
    // Nobody reads: the pipe has 64 KiB, the buffers half a megabyte.
    assert.ok(journal.pendingPoints > total / 2, `${journal.pendingPoints} points wait`);
    assert.equal(output.stalledSince, undefined);
    let text = "";
    const decoder = new TextDecoder();
    using pipe = await Deno.open(path, { read: true });
    const bytes = new Uint8Array(65_536);
    while (text.split("\n").length < total + 2) {
      text += decoder.decode(bytes.subarray(0, (await pipe.read(bytes))!));
    }
    await running;
    assert.deepEqual(parseCsv(text).slice(1).map((row) => Number(row[2])), range(total));
    assert.deepEqual(namesIn(directory.path), ["pipe"]);
  },
});

Deno.test("what is kept of files that are never finished is a mistake in the configuration", () => {
  const problems = (config: Record<string, unknown>) => {
    const found: string[] = [];
    csv.config.check(config, [], ({ path, message }) => found.push(`${path.join(".")}: ${message}`));
    return found;
  };
  assert.deepEqual(problems({ rotate_size: "1MiB", keep_files: 3 }), []);
  assert.deepEqual(problems({ output_path: "%F.csv", keep_age: "3 days", rotate_gzip: true }), []);
  assert.match(problems({ keep_files: 3 }).join(), /^keep_files: no file is ever finished: set rotate_size/);
  assert.match(problems({ rotate_gzip: true, output_path: "{client}.csv" }).join(), /^rotate_gzip: /);
  assert.match(problems({ output_path: "%y.csv" }).join(), /"%y" is not a placeholder/);
});

for (
  const [what, config] of [
    ["by size, compressed", { output_path: "out.csv", rotate_size: 300_000, rotate_gzip: true }],
    ["each second", { output_path: "%H%M%S.csv", rotate_gzip: true }],
    ["by client, few open, and by size", {
      output_path: "{client}/x.csv",
      rotate_size: 60_000,
      max_open_files: 2,
    }],
  ] as const
) {
  Deno.test(`killed at any moment while files are finished ${what}: every row is there once`, async () => {
    await using directory = new TempDir();
    const data = directory.file("data/");
    await Deno.mkdir(data);
    const real = { ...config, output_path: data + config.output_path };
    await using writer = new CrashingWriter(directory.path, real, 30);
    await writer.crash(cases(4), 600);
    await writer.finish();
    const names = namesIn(data).filter((name) => !name.endsWith(".position") && !name.endsWith(".tmp"));
    // Where a process was killed between two steps, the last one may not have come to tidying up.
    const files = names.filter((name) => !(name.endsWith(".gz") && names.includes(name.slice(0, -3))));
    assert.ok(files.length >= 2, files.join());
    const texts = await Promise.all(inTurn(files).map((name) => textOf(data + name)));
    writer.check(numbersByRun(texts), false);
    assert.ok(!writer.log.includes("may be in"), writer.log);
    assert.deepEqual(namesIn(directory.path).filter((name) => basename(name).includes("..")), []);
  });
}

Deno.test("a sweep that is asked for while another one ends is done, too", async () => {
  await using directory = new TempDir();
  // Each sweep looks at the clock when it lists the files, and when it has; then it ends without another pause.
  let looks = 0;
  const clock = new class extends SystemClock {
    override now() {
      if (++looks === 3) queueMicrotask(() => archive.sweep());
      return super.now();
    }
  }();
  const options = {
    ...{ pattern: new PathPattern(directory.file("m.csv")), gzip: false },
    ...{ keepFiles: 1, keepAgeMs: 1e12, keepBytes: Infinity },
  };
  // Once to begin with.
  const archive: Archive = new Archive(options, { log: new LogLines().log, clock }, {
    removedFiles: 0,
    removedBytes: 0,
  });
  archive.sweep();
  await until(() => looks === 5);
});

Deno.test("finished files take half of the file system where keep_size is not set, and the log says so", async () => {
  await using directory = new TempDir();
  const log = new LogLines();
  for (let n = 1; n <= 5; n++) {
    const path = directory.file(`m.2026020${n}T000000Z.csv`);
    await Deno.writeTextFile(path, "x".repeat(100));
    await Deno.utime(path, n, n);
  }
  const options = {
    ...{ pattern: new PathPattern(directory.file("m.csv")), gzip: false },
    ...{ keepFiles: Infinity, keepAgeMs: Infinity, keepBytes: undefined },
  };
  const stats = { removedFiles: 0, removedBytes: 0 };
  const look = () => ({ totalBytes: 500, freeBytes: 0, isLocal: true });
  const archive = new Archive(options, { log: log.log, clock: new SystemClock() }, stats, look);
  archive.sweep();
  await until(() => stats.removedFiles === 3);
  await archive.close();
  assert.deepEqual(stats, { removedFiles: 3, removedBytes: 300 });
  assert.deepEqual(namesIn(directory.path), ["m.20260204T000000Z.csv", "m.20260205T000000Z.csv"]);
  assert.equal(log.matching(/Finished files have their largest size, the oldest give way/).length, 1);
});
