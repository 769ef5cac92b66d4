/** The sqlite output: its file, its settings, crashes, full disks and other writers. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { parse } from "node:path";
import { EXIT, ExitError } from "../../../lib/base/errors.ts";
import { Timer } from "../../../lib/base/timers.ts";
import { MemoryJournal } from "../../../lib/journal.ts";
import { sqlite } from "../../../lib/outputs/sqlite.ts";
import { SqliteHistory } from "../../../lib/outputs/sqlite/history.ts";
import { contextWith } from "../../kit/context.ts";
import { CrashingWriter } from "../../kit/csv_crashes.ts";
import { HastyClock } from "../../kit/hasty_clock.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { linux, namespaces, needs } from "../../kit/needs.ts";
import { numbered } from "../../kit/points.ts";
import { SmallDisk } from "../../kit/small_disk.ts";
import { pythonSqlite, readWithPython, sqlite3, sqliteShell } from "../../kit/sqlite.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { pause, until } from "../../kit/waiting.ts";
import { Database, rowsOf, valueOf } from "./database.ts";

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

Deno.test("a file that cannot be used ends the start with a message that says what to do, and stays as it is", async () => {
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
  raise.exec("PRAGMA user_version = 99");
  raise.close();
  {
    using damaged = new Database(dir.file("damaged"));
    damaged.write([numbered(1)]);
  }
  const bytes = await Deno.readFile(dir.file("damaged"));
  await Deno.writeFile(dir.file("damaged"), bytes.fill(0x55, 100, 8192));
  const cases: [string, RegExp][] = [
    ["text", /file is not a database; name another file, or move this one away$/],
    ["other", /it is the database of another program; name another file$/],
    [
      "newer",
      /a newer version of this program wrote it \(schema 99; this one knows 5\); update this one, or name/,
    ],
    [
      "damaged",
      /malformed.*; the file is damaged: move it away .*save its content with `sqlite3 FILE \.recover`$/,
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
  ...needs(sqlite3, pythonSqlite),
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
        await pause(20);
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

Deno.test("keep may change while the output runs", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  // Points that come all the time, to one minute, would be kept until their sums are stored.
  await using output = await openOutput(path, { rollups: [] });
  const journal = new MemoryJournal({ limitBytes: 4e6 });
  const running = output.run(journal.reader("sqlite"), new AbortController().signal);
  await journal.append(numbered(1000));
  await until(() => output.stats!.points === 1000);
  output.reconfigure!({ ...sqlite.config.defaultValue(), path, flush_interval: 5, keep: 1000 });
  // Counters come with the answer to a write; the points of the kit are years old.
  {
    using _writing = Timer.every(20, () => void journal.append(numbered(1, 2000)));
    await until(() => output.stats!.expiredPoints >= 1000);
  }
  journal.end();
  await running;
});

Deno.test("what is asked of the past just before its thread would have rested for long enough is answered", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  new Database(path)[Symbol.dispose]();
  using history = new SqliteHistory(path);
  const { setTimeout } = globalThis;
  const rests: (() => void)[] = [];
  const keeping = (call: () => void, ms?: number) => {
    if (ms === 30_000) rests.push(call);
    return setTimeout(call, ms);
  };
  globalThis.setTimeout = keeping as typeof setTimeout;
  try {
    await history.power(3600);
    assert.equal(rests.length, 1);
    const asking = history.power(7200);
    // The question is on its way, and no answer has come.
    for (let n = 0; n < 10; n++) await null;
    rests[0]();
    await asking;
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});

for (const seed of [1, 2, 3]) {
  Deno.test(`a process that is killed at any moment loses nothing that was durable, and stores nothing twice (seed ${seed})`, async () => {
    await using dir = new TempDir();
    const path = dir.file("m.sqlite");
    const config = { path, flush_interval: 1 + 10 * seed };
    await using writer = new CrashingWriter(dir.path, config, seed, "sqlite");
    await writer.crash(4);
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
  name: "the output waits while the disk is full, logs that once, and then stores every point once",
  ...needs(linux, namespaces),
  async fn() {
    await using disk = await SmallDisk.mount();
    const path = disk.file("m.sqlite");
    const logs = new LogLines();
    await using output = await openOutput(path, {}, contextWith({ log: logs.log, clock: new HastyClock() }));
    const journal = new MemoryJournal({ limitBytes: 4e6 });
    const running = output.run(journal.reader("sqlite"), new AbortController().signal);
    await journal.append(numbered(10_000));
    await until(() => output.stats!.points === 10_000);
    await disk.fill();
    const writing = (async () => {
      for (let n = 1; n < 50; n++) await journal.append(numbered(10_000, n * 10_000));
    })();
    await until(() => logs.matching(/Cannot write to the database, trying again/).length > 0);
    assert.match(logs.matching(/Cannot write/)[0], /database or disk is full|disk I\/O error/);
    assert.ok(Number(valueOf(path, "SELECT count(*) FROM points")) >= 10_000, "it can be read meanwhile");
    await pause(100);
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
  name: "the output waits for a disk that is full at the start",
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
    await until(() => logs.matching(/Cannot write to the database, trying again/).length > 0);
    await disk.empty();
    journal.end();
    await running;
    assert.equal(valueOf(disk.file("m.sqlite"), "SELECT count(*) FROM points"), 100n);
  },
});

Deno.test("the output waits for another writer, logs that once, and then stores everything", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  const logs = new LogLines();
  await using output = await openOutput(path, {}, contextWith({ log: logs.log, clock: new HastyClock() }));
  const journal = new MemoryJournal({ limitBytes: 4e6 });
  const running = output.run(journal.reader("sqlite"), new AbortController().signal);
  // The output may just be writing.
  const other = new DatabaseSync(path, { timeout: 60_000 });
  other.exec("BEGIN IMMEDIATE");
  await journal.append(numbered(100));
  await until(() => logs.matching(/Cannot write to the database, trying again/).length > 0);
  await journal.append(numbered(100, 100));
  await pause(100);
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
