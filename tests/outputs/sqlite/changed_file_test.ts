/** The `sqlite` output while somebody removes its file, deletes rows and tables, or adds constraints and triggers. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MemoryJournal } from "../../../lib/journal.ts";
import { sqlite } from "../../../lib/outputs/sqlite.ts";
import { type Batch, seriesOf } from "../../../lib/points/measurement.ts";
import type { Output, PluginContext } from "../../../lib/plugin.ts";
import { contextWith } from "../../kit/context.ts";
import { decodeLetter } from "../../../lib/dead_letters/codec.ts";
import { DeadLetterFiles, lettersIn } from "../../../lib/dead_letters/files.ts";
import { metricOf } from "../../kit/decode.ts";
import { HastyClock } from "../../kit/hasty_clock.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { batchOf } from "../../kit/points.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { PATIENCE_MS, until } from "../../kit/waiting.ts";
import { rowsOf, valueOf } from "./database.ts";

const METRICS = ["power", "energy", "temperature"].map((name) => metricOf(name, "f64"));
const SECONDS = 1_700_000_000;

/** Ten points of a host, numbered from `from` on, one of each metric in turn. */
const pointsOf = (host: string, from = 0): Batch =>
  batchOf(
    Array.from({ length: 10 }, (_, i) => [
      seriesOf(METRICS[i % 3], { resourceId: `${host}-${i % 5}`, attributes: [["relay_client", host]] }),
      from + i,
      SECONDS + from,
      i,
    ]),
  );

class Running implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly dir = this.#stack.use(new TempDir());
  readonly path = this.dir.file("m.sqlite");
  readonly logs = new LogLines();
  readonly journal = new MemoryJournal({ limitBytes: 4e6 });
  readonly context: PluginContext = contextWith({
    log: this.logs.log,
    clock: new HastyClock(),
    clients: this.journal.clients,
    stateDirectory: this.dir.path,
  });
  readonly #abort = new AbortController();
  output!: Output;
  #ended: Promise<void> = Promise.resolve();
  failed: unknown = null;

  static async start(): Promise<Running> {
    const running = new Running();
    const config = { ...sqlite.config.defaultValue(), path: running.path, flush_interval: 5 };
    running.output = await sqlite.open(config, running.context);
    running.#ended = running.output.run(running.journal.reader("sqlite"), running.#abort.signal)
      .catch((error) => void (running.failed = error));
    return running;
  }

  async write(...batches: Batch[]): Promise<void> {
    for (const batch of batches) await this.journal.append(batch);
    await until(
      () => this.journal.pendingPoints === 0 || this.failed !== null,
      PATIENCE_MS,
      () => this.logs.lines.join(""),
    );
    assert.equal(this.failed, null);
  }

  /** By another process. */
  run(sql: string): void {
    const db = new DatabaseSync(this.path, { timeout: 60_000, enableForeignKeyConstraints: false });
    try {
      db.exec(sql);
    } finally {
      db.close();
    }
  }

  /** Points that the view shows, by host. */
  shown(path = this.path): Record<string, number> {
    const rows = rowsOf(
      path,
      "SELECT relay_client AS host, count(*) AS n FROM measurements GROUP BY 1 ORDER BY 1",
    );
    return Object.fromEntries(rows.map(({ host, n }) => [String(host), Number(n)]));
  }

  async letters(): Promise<{ value: number; reason: string }[]> {
    const found = [];
    for (const { path } of await new DeadLetterFiles(`${this.dir.path}/dead-letters/test`).all()) {
      for (const line of await lettersIn(path)) {
        const letter = decodeLetter(line);
        assert.ok(typeof letter === "object");
        found.push({ value: Number(letter.value), reason: letter.reason });
      }
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#ended;
    await this.output[Symbol.asyncDispose]();
    await this.#stack.disposeAsync();
  }
}

Deno.test("a file that is removed is made again, and has every point that comes later", async () => {
  await using running = await Running.start();
  await running.write(pointsOf("a"));
  Deno.removeSync(running.path);
  await running.write(pointsOf("a", 10), pointsOf("b", 10));
  assert.deepEqual(running.shown(), { a: 10, b: 10 });
  assert.equal(
    running.logs.matching(/ERROR.*Somebody else changed the database.*the file was removed/).length,
    1,
  );
  assert.equal(valueOf(running.path, "PRAGMA integrity_check"), "ok");
  // With all that belongs to it.
  for (const suffix of ["", "-wal", "-shm"]) Deno.removeSync(running.path + suffix);
  await running.write(pointsOf("a", 20));
  assert.deepEqual(running.shown(), { a: 10 });
});

Deno.test("a file that is renamed keeps what was stored, and a new one has what comes later", async () => {
  await using running = await Running.start();
  await running.write(pointsOf("a"));
  const old = running.dir.file("old.sqlite");
  Deno.renameSync(running.path, old);
  await running.write(pointsOf("a", 10));
  assert.deepEqual(running.shown(), { a: 10 });
  assert.deepEqual(running.shown(old), { a: 10 });
  assert.equal(valueOf(old, "SELECT max(value) FROM measurements"), 9);
  assert.equal(valueOf(running.path, "SELECT min(value) FROM measurements"), 10);
});

Deno.test("a file that another one takes the place of is left, and the other one is written", async () => {
  await using running = await Running.start();
  await running.write(pointsOf("a"));
  const copy = running.dir.file("copy.sqlite");
  running.run(`VACUUM INTO '${copy}'`);
  await running.write(pointsOf("a", 10));
  Deno.renameSync(copy, running.path);
  await running.write(pointsOf("a", 20), pointsOf("b", 20));
  assert.deepEqual(running.shown(), { a: 20, b: 10 });
  assert.equal(valueOf(running.path, "PRAGMA integrity_check"), "ok");
});

const DEEDS: Record<string, string> = {
  "deletes all series": "DELETE FROM series",
  "deletes the last series": "DELETE FROM series WHERE id = (SELECT max(id) FROM series)",
  "deletes the last metric": "DELETE FROM metrics WHERE id = (SELECT max(id) FROM metrics)",
  "deletes metrics and series": "DELETE FROM series; DELETE FROM metrics",
  "deletes the parts": "DELETE FROM parts",
  "deletes positions, clients and hosts":
    "DELETE FROM journal_positions; DELETE FROM clients; DELETE FROM host_times",
  "drops the points": "DROP VIEW measurements; DROP TABLE points",
  "drops the series": "DROP TABLE series",
  "drops the metrics": "DROP TABLE metrics",
  "drops parts and hosts": "DROP TABLE parts; DROP TABLE host_times",
  "drops the packs": "DROP TABLE packs",
  "drops everything":
    "DROP VIEW measurements; DROP VIEW hosts; DROP TABLE points; DROP TABLE parts; DROP TABLE series; DROP TABLE metrics",
};

for (const [deed, sql] of Object.entries(DEEDS)) {
  for (const isStopped of [false, true]) {
    const when = isStopped ? " while it is stopped" : "";
    Deno.test(`somebody ${deed}${when}: points that come later are found under their own host`, async () => {
      await using running = await Running.start();
      await running.write(pointsOf("a"));
      if (isStopped) {
        const stopped = running.output;
        await stopped[Symbol.asyncDispose]();
        running.run(sql);
        const config = { ...sqlite.config.defaultValue(), path: running.path, flush_interval: 5 };
        await using other = await sqlite.open(config, running.context);
        const journal = new MemoryJournal({ limitBytes: 4e6 });
        await journal.append(pointsOf("b", 10));
        await journal.append(pointsOf("a", 10));
        journal.end();
        await other.run(journal.reader("sqlite"), new AbortController().signal);
        const { a, b } = running.shown();
        assert.equal(b, 10);
        assert.ok(a === 10 || a === 20 || deed.includes("last") && a > 10, `${a}`);
        return;
      }
      running.run(sql);
      // Others first: they must not get ids that old points have.
      await running.write(pointsOf("b", 10));
      await running.write(pointsOf("a", 10));
      await running.write(pointsOf("c", 10));
      const { a, b, c } = running.shown();
      assert.deepEqual([b, c], [10, 10]);
      assert.ok(a >= 10 && a <= 20, `${a}`);
      assert.equal(valueOf(running.path, "SELECT count(*) FROM measurements WHERE value >= 10"), 30n);
      assert.deepEqual(await running.letters(), []);
    });
  }
}

Deno.test("another process that writes all the time costs no point", async () => {
  await using running = await Running.start();
  running.run("CREATE TABLE mine (n INTEGER)");
  for (let n = 0; n < 30; n++) {
    running.run(`INSERT INTO mine VALUES (${n})`);
    await running.write(pointsOf("a", 10 * n));
  }
  assert.deepEqual(running.shown(), { a: 300 });
  assert.equal(running.logs.matching(/ERROR|WARN/).length, 0, running.logs.lines.join(""));
});

const CONSTRAINTS: Record<string, [sql: string, reason: RegExp]> = {
  "a trigger": [
    "CREATE TRIGGER mine BEFORE INSERT ON points WHEN NEW.value % 10 = 7 BEGIN SELECT RAISE(ABORT, 'no sevens'); END",
    /^no sevens$/,
  ],
  "a trigger that ends the transaction": [
    "CREATE TRIGGER mine BEFORE INSERT ON points WHEN NEW.value % 10 = 7 BEGIN SELECT RAISE(ROLLBACK, 'no sevens'); END",
    /^no sevens$/,
  ],
  "a unique index": [
    "CREATE UNIQUE INDEX mine ON points (value) WHERE value % 10 = 7",
    /UNIQUE constraint failed/,
  ],
};

for (const [what, [sql, reason]] of Object.entries(CONSTRAINTS)) {
  Deno.test(`${what} of the owner's on points makes dead letters of what it refuses, and of nothing else`, async () => {
    await using running = await Running.start();
    await running.write(pointsOf("a"));
    running.run(sql);
    await running.write(pointsOf("a", 10));
    await running.write(pointsOf("b", 20), pointsOf("a", 10));
    const values = rowsOf(running.path, "SELECT value FROM measurements ORDER BY 1").map(({ value }) =>
      Number(value)
    );
    const letters = await running.letters();
    assert.equal(values.length + letters.length, 40);
    assert.ok(letters.length >= 1 && letters.length <= 3, JSON.stringify(letters));
    for (const { value, reason: why } of letters) {
      assert.equal(value % 10, 7);
      assert.match(why, reason);
    }
    assert.equal(running.output.stats!.refusedPoints, letters.length);
    assert.equal(running.output.stats!.points, values.length);
    assert.equal(running.logs.matching(/WARN.*permanently refused/).length, 1, running.logs.lines.join(""));
  });
}

Deno.test("a constraint of the owner's on series makes dead letters of their points alone", async () => {
  await using running = await Running.start();
  running.run(
    "CREATE TRIGGER mine BEFORE INSERT ON series WHEN NEW.relay_client = 'bad' BEGIN SELECT RAISE(ABORT, 'who?'); END",
  );
  for (let n = 0; n < 3; n++) {
    await running.write(pointsOf("good", 10 * n), pointsOf("bad", 10 * n), pointsOf("fine", 10 * n));
  }
  assert.deepEqual(running.shown(), { fine: 30, good: 30 });
  assert.equal((await running.letters()).length, 30);
});

Deno.test("a trigger of the owner's on another table is an error that says what to do, and costs nothing", async () => {
  await using running = await Running.start();
  await running.write(pointsOf("a"));
  running.run("CREATE TRIGGER mine BEFORE INSERT ON parts BEGIN SELECT RAISE(ABORT, 'no parts'); END");
  await running.journal.append(pointsOf("a", 10));
  await until(() =>
    running.logs.matching(/ERROR.*no parts; remove your constraint or trigger of that table/).length === 1
  );
  running.run("DROP TRIGGER mine");
  await running.write(pointsOf("a", 20));
  assert.deepEqual(running.shown(), { a: 30 });
});

Deno.test("a column that is missing is an error that says what to do, and costs nothing", async () => {
  await using running = await Running.start();
  await running.write(pointsOf("a"));
  running.run("ALTER TABLE parts RENAME COLUMN written TO mine");
  await running.journal.append(pointsOf("a", 10));
  await until(
    () => running.logs.matching(/ERROR.*no column named written; repair it/).length === 1,
    30_000,
    () => running.logs.lines.join(""),
  );
  assert.equal(running.failed, null);
  running.run("ALTER TABLE parts RENAME COLUMN mine TO written");
  await running.write(pointsOf("a", 20));
  assert.deepEqual(running.shown(), { a: 30 });
});

Deno.test("a file of the first version gets hosts, and the view its new column", async () => {
  await using running = await Running.start();
  await running.write(pointsOf("a"), pointsOf("b", 100));
  await running.output[Symbol.asyncDispose]();
  running.run(
    "DROP VIEW measurements; DROP VIEW hosts; DROP TABLE host_times; PRAGMA user_version = 1;" +
      "CREATE VIEW measurements AS SELECT 1 AS metric",
  );
  const config = { ...sqlite.config.defaultValue(), path: running.path };
  await using _other = await sqlite.open(config, running.context);
  assert.deepEqual(running.shown(), { a: 10, b: 10 });
  assert.deepEqual(
    rowsOf(running.path, "SELECT name, first_point, last_point, series FROM hosts").map((row) =>
      Object.values(row)
    ),
    [
      ["a", "2023-11-14T22:13:20.000000000Z", "2023-11-14T22:13:20.000000009Z", 10n],
      ["b", "2023-11-14T22:15:00.000000000Z", "2023-11-14T22:15:00.000000009Z", 10n],
    ],
  );
});
