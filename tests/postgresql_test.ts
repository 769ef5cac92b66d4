import assert from "node:assert/strict";
import { SystemClock } from "../lib/clock.ts";
import { DeadLetterBox, deadLetterDirectory } from "../lib/dead_letters.ts";
import { decodeLetter } from "../lib/dead_letter_codec.ts";
import { DeadLetterFiles, lettersIn } from "../lib/dead_letter_files.ts";
import { MemoryJournal } from "../lib/journal.ts";
import { createLogger } from "../lib/log.ts";
import { Batch, type Series, seriesOf } from "../lib/measurement.ts";
import { postgresql } from "../lib/outputs/postgresql.ts";
import type { PostgresConfig } from "../lib/outputs/postgresql/config.ts";
import { PostgresOutput } from "../lib/outputs/postgresql/output.ts";
import { deleteOld } from "../lib/outputs/postgresql/retention.ts";
import { Session } from "../lib/outputs/postgresql/session.ts";
import { resolveSettings } from "../lib/outputs/postgresql/settings.ts";
import type { PluginContext } from "../lib/plugin.ts";
import { ChaosProxy } from "../tools/chaos/proxy.ts";
import { cases, Chance } from "./kit/bytes.ts";
import { contextWith } from "./kit/context.ts";
import { metricOf } from "./kit/decode.ts";
import { batchOf, numbered, NUMBERS } from "./kit/points.ts";
import { hasTimescale, Postgres, postgres } from "./kit/postgres.ts";
import { until } from "./kit/relay.ts";
import { atMost, freePort, linux, namespaces, needs, PATIENCE_MS, shell, TempDir } from "./kit/process.ts";
import { SmallDisk } from "./kit/small_disk.ts";

const here = needs(postgres);
const POWER = metricOf("power", "f64", { base: "W", prefix: "" });
const DAY_MS = 86_400_000;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const NOTHING_AROUND = {
  env: () => undefined,
  readFile: (path: string) => Deno.readTextFileSync(path),
  mode: () => null,
  userName: () => "somebody",
};

function configOf(server: Postgres, config: Partial<PostgresConfig> = {}): PostgresConfig {
  return {
    ...postgresql.config.defaultValue(),
    host: "127.0.0.1",
    port: server.port,
    database: "alumet",
    user: "alumet",
    flush_interval: 10,
    ...config,
  };
}

function settingsOf(server: Postgres, config: Partial<PostgresConfig> = {}) {
  return resolveSettings(configOf(server, config), NOTHING_AROUND);
}

/** Does not wait long for what is tried again. */
class HastyClock extends SystemClock {
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return super.sleep(Math.min(ms, 25), signal);
  }
}

/** A way to the database that can be lost without the database knowing. */
class Cable implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly port = this.#listener.addr.port;
  /** The ends that are left. */
  readonly pulled: Deno.Conn[] = [];
  readonly #work: Promise<void>[] = [];
  #left = Infinity;

  constructor(target: number) {
    this.#work.push((async () => {
      for await (const client of this.#listener) {
        const server = await Deno.connect({ hostname: "127.0.0.1", port: target });
        this.#work.push(this.#pump(client, server, true), this.#pump(server, client, false));
      }
    })());
  }

  /** So many more bytes reach the database; then the other side is gone. */
  pull(bytes: number): void {
    this.#left = bytes;
  }

  async #pump(from: Deno.Conn, to: Deno.Conn, toServer: boolean): Promise<void> {
    const buffer = new Uint8Array(4096);
    try {
      for (let count; (count = await from.read(buffer)) !== null;) {
        const pass = toServer ? Math.min(count, this.#left) : count;
        for (let done = 0; done < pass;) done += await to.write(buffer.subarray(done, pass));
        if (!toServer || (this.#left -= pass) > 0) continue;
        this.#left = Infinity;
        this.pulled.push(to);
        from.close();
        return;
      }
    } catch { /* the other side is closed */ }
    if (this.pulled.includes(to) || this.pulled.includes(from)) return;
    for (const conn of [from, to]) {
      try {
        conn.close();
      } catch { /* closed before */ }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.pulled) {
      try {
        conn.close();
      } catch { /* closed before */ }
    }
    await Promise.all(this.#work);
  }
}

/** An output that runs, with a journal in memory. */
class Writing implements AsyncDisposable {
  readonly journal = new MemoryJournal({ limitBytes: 1e9 });
  readonly lines: string[] = [];
  readonly output: PostgresOutput;
  readonly context: PluginContext;
  readonly directory = new TempDir();
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;

  constructor(
    server: Postgres,
    config: Partial<PostgresConfig> = {},
    context: Partial<PluginContext> = {},
  ) {
    const log = createLogger("postgresql", {
      level: "trace",
      write: (line) => this.lines.push(line.slice(25)),
    });
    this.context = contextWith({
      log,
      clients: this.journal.clients,
      deadLetters: new DeadLetterBox({
        directory: deadLetterDirectory(this.directory.path, "postgresql"),
        maxBytes: 1e6,
        log,
      }),
      ...context,
    });
    const all = configOf(server, config);
    this.output = new PostgresOutput(all, resolveSettings(all, NOTHING_AROUND), this.context);
    this.#running = this.output.run(this.journal.reader(), this.#abort.signal);
  }

  get stats() {
    return this.output.stats;
  }

  async write(...batches: Batch[]): Promise<void> {
    for (const batch of batches) await this.journal.append(batch);
    await this.until(() => this.journal.pendingPoints === 0, "all is stored");
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    await until(condition, PATIENCE_MS, what).catch((error) => {
      throw new Error(`${error.message}\n${this.lines.join("")}`);
    });
  }

  async line(pattern: RegExp): Promise<string> {
    await this.until(() => this.lines.some((line) => pattern.test(line)), `a line ${pattern}`);
    return this.lines.find((line) => pattern.test(line))!;
  }

  /** The journal ends, and all of it is written. */
  async finish(): Promise<void> {
    this.journal.end();
    await atMost(PATIENCE_MS, this.#running, () => `the end\n${this.lines.join("")}`);
  }

  async letters() {
    const path = deadLetterDirectory(this.directory.path, "postgresql");
    const letters = [];
    for (const file of await new DeadLetterFiles(path).all()) {
      for (const line of await lettersIn(file.path)) {
        const letter = decodeLetter(line);
        assert.ok(typeof letter !== "string", line);
        letters.push(letter);
      }
    }
    return letters;
  }

  #disposed = false;

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#abort.abort();
    await this.#running.catch(() => {});
    await this.output[Symbol.asyncDispose]();
    await this.directory[Symbol.asyncDispose]();
  }
}

const count = async (server: Postgres) => Number(await server.value("SELECT count(*) FROM alumet.points"));
const now = () => Math.floor(Date.now() / 1000);

function pointsAt(times: number[], series: Series = NUMBERS): Batch {
  return batchOf(times.map((seconds, i) => [series, i, seconds]));
}

Deno.test({
  name:
    "The view reads like the CSV, is exact beside the doubles, and finds a metric of a client by an index",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using writing = new Writing(server);
    const node = seriesOf(POWER, {
      resourceKind: "gpu",
      resourceId: "0",
      attributes: [["relay_client", "node-7"]],
    });
    const counter = seriesOf(metricOf("counter", "u64", { base: "By", prefix: "kilo" }));
    const seconds = now();
    await writing.write(
      batchOf([[node, 1.5, seconds, 123_456_789], [counter, 2n ** 64n - 1n, seconds], [
        counter,
        2n ** 53n - 1n,
        seconds + 1,
      ]]),
    );
    const columns =
      "metric, unit, extract(epoch FROM time)::bigint, value, relay_client, resource_kind, resource_id, " +
      "consumer_kind, consumer_id, attributes, exact_value, time_ns";
    assert.deepEqual(
      await server.sql(`SELECT ${columns} FROM alumet.measurements ORDER BY time_ns DESC`),
      [
        [
          ...[
            "counter",
            "kB",
            seconds + 1,
            "9.007199254740991e+15",
            "",
            "local_machine",
            "",
            "local_machine",
            "",
            "{}",
          ],
          ...["9007199254740991", `${seconds + 1}000000000`],
        ],
        [
          ...["power", "W", seconds, "1.5", "node-7", "gpu", "0", "local_machine", ""],
          ...["{}", "", `${seconds}123456789`],
        ],
        [
          ...[
            "counter",
            "kB",
            seconds,
            "1.8446744073709552e+19",
            "",
            "local_machine",
            "",
            "local_machine",
            "",
            "{}",
          ],
          ...["18446744073709551615", `${seconds}000000000`],
        ],
      ].map((row) => row.join("\t")),
    );

    const others = Array.from({ length: 100 }, (_, i) => seriesOf(POWER, { resourceId: String(i) }));
    await writing.write(
      batchOf(Array.from({ length: 20_000 }, (_, i) => [others[i % 100], i, seconds - Math.floor(i / 100)])),
    );
    await server.sql("ANALYZE");
    const plan = await server.sql(
      "EXPLAIN SELECT time, value FROM alumet.measurements WHERE metric = 'power' AND relay_client = 'node-7' " +
        "AND time > now() - interval '1 hour'",
    );
    assert.ok(plan.some((line) => /series_time|series_id_time_idx/.test(line)), plan.join("\n"));
    assert.ok(!plan.some((line) => /Seq Scan on points_\d/.test(line)), plan.join("\n"));
  },
});

Deno.test({
  name: "Ten servers that start at once make the tables once, and share series",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using stack = new AsyncDisposableStack();
    const all = Array.from({ length: 10 }, () => stack.use(new Writing(server)));
    const node = seriesOf(POWER, { attributes: [["relay_client", "node"]] });
    await Promise.all(
      all.map((writing, n) => writing.write(batchOf([[node, n, now()], [NUMBERS, n, now()]]))),
    );
    assert.equal(await server.value("SELECT count(*) FROM alumet.schema_version"), "1");
    assert.equal(await server.value("SELECT count(*) FROM alumet.series"), "2");
    assert.equal(await server.value("SELECT count(*) FROM alumet.metrics"), "2");
    assert.equal(await count(server), 20);
    for (const { lines, stats } of all) {
      assert.equal(stats.failures, 0, lines.join(""));
      assert.ok(!lines.some((line) => /^(WARN|ERROR)/.test(line)), lines.join(""));
    }
  },
});

Deno.test({
  name: "What somebody drops by hand is there again, and numbers of series are not given twice",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using writing = new Writing(server);
    await writing.write(numbered(10));
    await server.sql("DROP VIEW alumet.measurements; DROP TABLE alumet.points");
    await writing.write(numbered(10, 10));
    assert.equal(await server.value("SELECT count(*) FROM alumet.measurements"), "10");
    await server.sql("DROP VIEW alumet.measurements; DROP TABLE alumet.series");
    // Whoever is connected does not notice before there is a series to be made.
    await writing.write(batchOf([[seriesOf(POWER), 1, now()]]));
    assert.equal(await server.value("SELECT count(DISTINCT series_id) FROM alumet.points"), "2");
    assert.equal(
      await server.value("SELECT min(id) > (SELECT min(series_id) FROM alumet.points) FROM alumet.series"),
      "t",
    );
    assert.equal(await server.value("SELECT value FROM alumet.measurements WHERE metric = 'power'"), "1");
    await writing.write(numbered(5, 20));
    assert.equal(
      await server.value("SELECT count(*) FROM alumet.measurements WHERE metric = 'numbers'"),
      "5",
      "what is written from now on has a series again",
    );
    await server.sql("DROP SCHEMA alumet CASCADE");
    await writing.write(numbered(7, 30));
    assert.equal(await count(server), 7);
    assert.equal(await server.value("SELECT position >= 0 FROM alumet.journals"), "t");
  },
});

Deno.test({
  name: "Tables of a later version are left alone",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    {
      await using writing = new Writing(server);
      await writing.write(numbered(1));
    }
    await server.sql("INSERT INTO alumet.schema_version (version) VALUES (99)");
    await using writing = new Writing(server);
    await writing.journal.append(numbered(1, 1));
    assert.match(await writing.line(/^WARN|^ERROR/), /version 99, this program knows version 1/);
    assert.equal(await count(server), 1);
    await server.sql("DELETE FROM alumet.schema_version WHERE version = 99");
    await writing.until(() => writing.journal.pendingPoints === 0, "it goes on");
    assert.equal(await count(server), 2);
  },
});

Deno.test({
  name:
    "Points that a constraint or a trigger refuses are dead letters with the reason, and cost no other point",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using writing = new Writing(server);
    await writing.write(numbered(10));
    await server.sql(
      "ALTER TABLE alumet.points ADD CONSTRAINT no_seven CHECK (value NOT IN (1007, 1500, 1501))",
    );
    await writing.write(numbered(1000, 1000), numbered(10, 2000));
    const letters = await writing.letters();
    assert.deepEqual(letters.map(({ value }) => value).sort(), [1007n, 1500n, 1501n]);
    for (const { reason } of letters) {
      assert.match(reason, /no_seven.*Failing row contains.*\(SQLSTATE 23514\)/s);
    }
    assert.equal(await count(server), 10 + 997 + 10);
    assert.equal(await server.value("SELECT count(DISTINCT value) FROM alumet.points"), "1017");
    assert.deepEqual([writing.stats.points, writing.stats.refused_points], [1017, 3]);

    // At the end of the transaction, where it is not clear whom it means.
    await server.sql(`
      ALTER TABLE alumet.points DROP CONSTRAINT no_seven;
      CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.value = 3007 THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER late AFTER INSERT ON alumet.points DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION late()`);
    await writing.write(numbered(100, 3000));
    const [letter] = (await writing.letters()).filter(({ value }) => value === 3007n);
    assert.match(letter.reason, /not this one \(SQLSTATE P0001\)/);
    assert.equal(await count(server), 1017 + 99);

    // All of them.
    await server.sql("ALTER TABLE alumet.points ADD CONSTRAINT none CHECK (value < 4000)");
    await writing.write(numbered(300, 4000));
    assert.equal((await writing.letters()).length, 4 + 300);
    assert.equal(await count(server), 1116);
    assert.equal(writing.stats.failures, 0);
  },
});

Deno.test({
  name: "A series that the database refuses makes dead letters of its points alone",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using writing = new Writing(server);
    await writing.write(numbered(1));
    await server.sql(
      "ALTER TABLE alumet.series ADD CHECK (resource_id <> '13'); ALTER TABLE alumet.metrics ADD CHECK (name <> 'bad')",
    );
    const of = (id: number) => seriesOf(POWER, { resourceId: String(id) });
    const bad = seriesOf(metricOf("bad"));
    await writing.write(
      batchOf(Array.from({ length: 50 }, (_, i) => [of(i), i, now()])),
      batchOf([[bad, 1n], [of(13), 130, now()], [of(14), 140, now()], [bad, 2n]]),
    );
    assert.equal(await count(server), 1 + 49 + 1);
    const letters = await writing.letters();
    assert.deepEqual(letters.map(({ value }) => String(value)).sort(), ["1", "13", "130", "2"]);
    assert.ok(letters.every(({ reason }) => reason.includes("SQLSTATE 23514")));
    assert.equal(writing.stats.refused_points, 4);
  },
});

Deno.test({
  name: "Days have partitions; what is far from today, or was there before its day's partition, has not",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using writing = new Writing(server);
    const today = now();
    const day = (n: number) => today + n * 86_400;
    const name = (n: number) =>
      `points_${new Date(day(n) * 1000).toISOString().slice(0, 10).replaceAll("-", "")}`;
    const partitions = async () =>
      await server.sql(
        "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'alumet.points'::regclass",
      );
    await writing.write(
      pointsAt([day(0), day(-1), day(-1), day(-300), day(1), day(2), day(-400), 0, 253_402_300_799]),
    );
    assert.deepEqual(
      new Set(await partitions()),
      new Set(["points_default", name(0), name(-1), name(-300), name(1)].map((name) => `alumet.${name}`)),
    );
    assert.equal(await server.value("SELECT count(*) FROM alumet.points_default"), "4");
    assert.equal(await server.value(`SELECT count(*) FROM alumet.${name(-1)}`), "2");
    assert.equal(await count(server), 9);

    // Somebody has put points of a day into the default before.
    await server.sql(`INSERT INTO alumet.points_default SELECT to_timestamp(${day(-5)}), 1, 1, 0, NULL`);
    await using other = new Writing(server);
    await other.write(pointsAt([day(-5), day(-6)]));
    assert.match(await other.line(/stay in points_default/), /^INFO/);
    assert.equal(other.stats.failures, 0);
    assert.equal(await server.value("SELECT count(*) FROM alumet.points_default"), "6");
    assert.ok((await partitions()).includes(`alumet.${name(-6)}`));
  },
});

Deno.test({
  name: "Days that are not to be kept go, with the series that nobody has used since",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using writing = new Writing(server);
    const day = (n: number) => now() + n * 86_400;
    const gone = seriesOf(POWER, { resourceId: "gone" });
    await writing.write(pointsAt([day(0), day(-3), day(-10), day(-20), 0]), pointsAt([day(-20)], gone));
    await server.sql("UPDATE alumet.series SET used_on = used_on - 20 WHERE resource_id = 'gone'");
    const session = await Session.open(settingsOf(server), 10_000);
    const tables = { schema: '"alumet"', hypertable: false };
    assert.deepEqual(await deleteOld(session, tables, 7 * DAY_MS), { days: 2, points: 1, series: 1 });
    assert.equal(await count(server), 2);
    assert.deepEqual(await deleteOld(session, tables, 7 * DAY_MS), { days: 0, points: 0, series: 0 });
    await session[Symbol.asyncDispose]();
    // A point of a day that has gone comes late; its series is made anew.
    await using late = new Writing(server);
    await late.write(pointsAt([day(-20)], seriesOf(POWER, { resourceId: "gone" })));
    assert.equal(
      await server.value("SELECT count(*) FROM alumet.measurements WHERE resource_id = 'gone'"),
      "1",
    );
    // The output does it by itself.
    await using keeping = new Writing(server, { keep: 7 * DAY_MS });
    await keeping.line(/Deleted what is not to be kept/);
    assert.equal(await count(server), 2);
  },
});

Deno.test({
  name: "A server that stops in good order leaves no row of a journal that was in memory",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using writing = new Writing(server);
    await writing.write(numbered(10));
    assert.equal(await server.value("SELECT count(*) FROM alumet.journals"), "1");
    await writing.finish();
    assert.equal(await server.value("SELECT count(*) FROM alumet.journals"), "0");
    assert.equal(await count(server), 10);
  },
});

Deno.test({
  name: "A role that may not create anything is told so, and writes when the tables are there",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await server.sql("CREATE ROLE writer LOGIN");
    await using writing = new Writing(server, { user: "writer" });
    await writing.journal.append(numbered(5));
    assert.match(
      await writing.line(/Cannot write to the database/),
      /schema alumet is not complete .*permission denied.*grant CREATE, or let its owner run alumet-relay once/,
    );
    {
      await using owner = new Writing(server);
      await owner.write(numbered(5, 5));
    }
    await server.sql(`
      GRANT USAGE ON SCHEMA alumet TO writer;
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA alumet TO writer`);
    await writing.until(() => writing.journal.pendingPoints === 0, "it writes");
    await writing.line(/The database takes points again/);
    assert.equal(await count(server), 10);
    // Partitions belong to the owner of the table.
    await writing.write(pointsAt([now() - 5 * 86_400]));
    assert.match(await writing.line(/No partitions can be made/), /must be owner|permission denied/);
    assert.equal(await server.value("SELECT count(*) FROM alumet.points_default"), "11");
  },
});

Deno.test({
  name: "A transaction that takes too long is tried again with fewer points, until it passes",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using writing = new Writing(server, { timeout: 1000, batch_size: 2000 });
    await writing.write(numbered(1));
    // A millisecond for each row.
    await server.sql(`
      CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.001); RETURN NULL; END $$;
      CREATE TRIGGER slow AFTER INSERT ON alumet.points FOR EACH ROW EXECUTE FUNCTION slow()`);
    const batches = Array.from({ length: 15 }, (_, n) => numbered(100, 1 + 100 * n));
    await writing.write(...batches);
    assert.equal(await server.value("SELECT count(DISTINCT value) FROM alumet.points"), "1501");
    assert.equal(await count(server), 1501);
    assert.ok(writing.stats.failures > 0);
    assert.match(await writing.line(/Cannot write to the database/), /statement timeout/);
  },
});

Deno.test({
  name: "Commits survive a crash of the database, whatever its defaults",
  ...here,
  async fn() {
    await using server = await Postgres.create({
      fsync: "on",
      synchronous_commit: "off",
      wal_writer_delay: "10s",
    });
    await using writing = new Writing(server);
    for (let n = 0; n < 20; n++) {
      await writing.write(numbered(10, 10 * n));
      if (n % 5 === 4) {
        await server.kill();
        await server.start();
        assert.equal(await count(server), 10 * (n + 1));
      }
    }
  },
});

Deno.test({
  name: "What the database has of a client is answered within seconds, and is nothing while it is away",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using writing = new Writing(server, {}, { acknowledges: "stored" });
    const [source] = writing.journal.clients.sources;
    const client = { name: "no\0de", instance: "0123456789abcdef0123456789abcdef" };
    assert.equal(await source(client), 0);
    const batch = numbered(10);
    batch.credit(writing.journal.clients.get(client.name, client.instance), 7);
    await writing.write(batch);
    const answers = await Promise.all(
      Array.from({ length: 1200 }, (_, n) => source(n === 700 ? client : { ...client, name: `other ${n}` })),
    );
    assert.deepEqual(answers, Array.from({ length: 1200 }, (_, n) => n === 700 ? 7 : 0));
    assert.equal(await server.value("SELECT name FROM alumet.clients WHERE sequence = 7"), "no␀de");
    await server.kill();
    const began = performance.now();
    assert.equal(await source(client), 0);
    assert.ok(performance.now() - began < 5000);
    const question = source(client);
    await writing[Symbol.asyncDispose]();
    assert.equal(await question, 0);
    assert.equal(writing.journal.clients.sources.length, 0);
  },
});

Deno.test({
  name: "Numbers of clients leave nothing out where the journal is what is acknowledged",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    const instance = "0123456789abcdef0123456789abcdef";
    const write = async (first: number, sequence: number) => {
      await using writing = new Writing(server);
      assert.equal(writing.journal.clients.sources.length, 0);
      const batch = numbered(10, first);
      batch.credit(writing.journal.clients.get("node", instance), sequence);
      await writing.write(batch);
    };
    // The second batch comes by another server, and earlier.
    await write(10, 2);
    await write(0, 1);
    assert.equal(await server.value("SELECT count(DISTINCT value) FROM alumet.points"), "20");
  },
});

Deno.test({
  name:
    "Origins of many clients in one transaction: each is taken once, rows of nobody and of real agents always",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    const build = (writing: Writing, from: number, sequences: [client: string, sequence: number][]) => {
      const batch = new Batch(16);
      const { clients } = writing.journal;
      let value = from;
      for (const [name, sequence] of sequences) {
        batch.push(NUMBERS, 1_700_000_000, value, value);
        batch.push(NUMBERS, 1_700_000_000, value + 1, value + 1);
        value += 2;
        batch.credit(clients.get(name, sequence > 0 ? "0123456789abcdef0123456789abcdef" : ""), sequence);
      }
      batch.push(NUMBERS, 1_700_000_000, value, value);
      return batch;
    };
    const values = async () => await server.sql("SELECT value FROM alumet.points ORDER BY value, nanos");
    {
      await using one = new Writing(server, {}, { acknowledges: "stored" });
      await one.write(build(one, 0, [["a", 1], ["b", 5], ["real", 0], ["a", 2]]));
      assert.deepEqual(await values(), ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
    }
    await using two = new Writing(server, {}, { acknowledges: "stored" });
    await two.write(
      build(two, 100, [["a", 2], ["a", 3], ["b", 4], ["real", 0], ["b", 5], ["c", 1], ["a", 3]]),
    );
    assert.deepEqual((await values()).slice(9), ["102", "103", "106", "107", "110", "111", "114"]);
    assert.equal(two.stats.duplicate_points, 8);
    assert.deepEqual(await server.sql("SELECT name, sequence FROM alumet.clients ORDER BY name"), [
      "a\t3",
      "b\t5",
      "c\t1",
    ]);
  },
});

Deno.test({
  name: "A COMMIT whose answer is lost is not done again, one that is lost itself is",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using proxy = new ChaosProxy(freePort(), server.port);
    await using writing = new Writing(server, { port: proxy.port, timeout: 2000, sslmode: "disable" }, {
      clock: new HastyClock(),
    });
    await writing.write(numbered(10));

    proxy.hold("toClient");
    const first = writing.write(numbered(10, 10));
    // The answer to BEGIN has not come through: the transaction is not even sent.
    await pause(100);
    proxy.closeAll();
    proxy.release();
    await first;
    assert.equal(await count(server), 20);

    // The connection is lost at each place of what the database says to a transaction.
    for (let n = 0; n < 40; n++) {
      proxy.cutAfter("toClient", 8 * n);
      await writing.write(numbered(10, 20 + 10 * n));
      assert.equal(await count(server), 30 + 10 * n, `cut after ${8 * n} bytes`);
    }
    assert.equal(await server.value("SELECT count(DISTINCT value) FROM alumet.points"), "420");
    assert.ok(proxy.cut > 10, `${proxy.cut} cuts`);
    await writing.line(/The last transaction was committed/);
  },
});

Deno.test({
  name: "Connections that are cut anywhere cost nothing and double nothing",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using proxy = new ChaosProxy(freePort(), server.port);
    await using writing = new Writing(server, { port: proxy.port, timeout: 2000, sslmode: "disable" }, {
      clock: new HastyClock(),
    });
    const chance = new Chance(29);
    let total = 0;
    for (let n = 0; n < cases(60); n++) {
      proxy.cutAfter("toServer", chance.int(40_000));
      proxy.cutAfter("toClient", chance.int(3000));
      for (let m = 1 + chance.int(3); m > 0; m--) {
        const length = 1 + chance.int(500);
        await writing.journal.append(numbered(length, total));
        total += length;
      }
      if (chance.int(4) === 0) await pause(chance.int(30));
      if (chance.int(3) === 0) {
        await writing.until(() => writing.journal.pendingPoints === 0, "all is stored");
      }
    }
    proxy.cutAfter("toServer", Infinity);
    proxy.cutAfter("toClient", Infinity);
    await writing.finish();
    assert.equal(await count(server), total);
    assert.equal(await server.value("SELECT count(DISTINCT value) FROM alumet.points"), String(total));
    assert.ok(proxy.cut > 20, `${proxy.cut} cuts`);
  },
});

Deno.test({
  name: "A transaction that nobody goes on with, because its connection is gone on one side, is ended",
  ...here,
  async fn() {
    await using server = await Postgres.create();
    await using cable = new Cable(server.port);
    await using writing = new Writing(server, { port: cable.port, timeout: 60_000, sslmode: "disable" }, {
      clock: new HastyClock(),
    });
    await writing.write(numbered(10));
    // The database has the lock on the position, and waits for the rest of the rows.
    cable.pull(10_000);
    const began = performance.now();
    await writing.write(numbered(1000, 10));
    assert.equal(cable.pulled.length, 1);
    assert.ok(performance.now() - began < 20_000);
    assert.equal(await count(server), 1010);
    assert.equal(await server.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'alumet'"), "1");
  },
});

Deno.test({
  name: "A disk of the database that is full for a while costs nothing",
  ...needs(postgres, linux, namespaces),
  async fn() {
    await using disk = await SmallDisk.mount();
    await using server = await Postgres.create();
    await Deno.chmod(disk.path, 0o777);
    const space = disk.file("space");
    await shell("install", "-d", "-o", "postgres", "-m", "0700", space);
    await server.sql(`CREATE TABLESPACE small LOCATION '${space}'`, "postgres");
    await server.sql(
      "GRANT CREATE ON TABLESPACE small TO alumet; ALTER ROLE alumet SET default_tablespace = 'small'",
    );
    await using writing = new Writing(server, {}, { clock: new HastyClock() });
    await writing.write(numbered(1000));
    await disk.fill();
    for (let n = 0; n < 20; n++) await writing.journal.append(numbered(4000, 1000 + 4000 * n));
    assert.match(await writing.line(/Cannot write to the database/), /No space left|53100/);
    await pause(300);
    assert.ok(writing.journal.pendingPoints > 0);
    await disk.empty();
    await writing.finish();
    assert.equal(await count(server), 81_000);
    assert.equal(await server.value("SELECT count(DISTINCT value) FROM alumet.points"), "81000");
    assert.deepEqual(await writing.letters(), []);
  },
});

/** What is done for TimescaleDB, whichever stands in for it. */
async function onTimescale(server: Postgres): Promise<Writing> {
  const writing = new Writing(server);
  await writing.write(pointsAt([now(), now() - 86_400, now() - 10 * 86_400]));
  await writing.line(/The table points is a hypertable of TimescaleDB/);
  assert.equal(
    await server.value("SELECT relkind FROM pg_class WHERE oid = 'alumet.points'::regclass"),
    "r",
    "it is not partitioned by us",
  );
  assert.equal(await server.value("SELECT count(*) FROM alumet.measurements"), "3");
  return writing;
}

Deno.test({
  name: "With TimescaleDB in the database, points is a hypertable, and days are dropped by its means",
  ...here,
  async fn() {
    await using server = await Postgres.create({ allow_system_table_mods: "on" });
    // Debian does not have it: functions of its names stand in for it, and say how they were called.
    await server.sql(`
      CREATE SCHEMA "odd place"; GRANT USAGE ON SCHEMA "odd place" TO alumet;
      CREATE TABLE "odd place".calls (call text); GRANT ALL ON "odd place".calls TO alumet;
      CREATE FUNCTION "odd place".create_hypertable(relation regclass, time_column_name name,
        chunk_time_interval interval, create_default_indexes boolean) RETURNS void LANGUAGE sql AS
        $$ INSERT INTO "odd place".calls VALUES (format('create_hypertable %s %s %s %s', $1, $2, $3, $4)) $$;
      CREATE FUNCTION "odd place".drop_chunks(relation regclass, older_than timestamptz) RETURNS SETOF text
        LANGUAGE sql AS
        $$ INSERT INTO "odd place".calls VALUES (format('drop_chunks %s %s', $1, now() - $2 < interval '8 days')) ;
           SELECT unnest(ARRAY['one', 'two']) $$;
      INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
        SELECT 99999, 'timescaledb', 10, oid, false, '2.0' FROM pg_namespace WHERE nspname = 'odd place'`);
    {
      await using _writing = await onTimescale(server);
    }
    const session = await Session.open(settingsOf(server), 10_000);
    const deleted = await deleteOld(session, { schema: '"alumet"', hypertable: true }, 7 * DAY_MS);
    await session[Symbol.asyncDispose]();
    assert.deepEqual(deleted, { days: 2, points: 0, series: 0 });
    assert.deepEqual(await server.sql('SELECT call FROM "odd place".calls'), [
      "create_hypertable points time 1 day f",
      "drop_chunks points t",
    ]);
    await using other = new Writing(server, { schema: "plain", timescaledb: false });
    await other.write(pointsAt([now()]));
    assert.equal(
      await server.value("SELECT relkind FROM pg_class WHERE oid = 'plain.points'::regclass"),
      "p",
    );
  },
});

// Debian does not have it: elsewhere there is nothing that could be missing.
if (hasTimescale) {
  Deno.test({
    name: "TimescaleDB itself, where it is installed",
    ...here,
    async fn() {
      await using server = await Postgres.create({ shared_preload_libraries: "timescaledb" });
      await server.sql("CREATE EXTENSION timescaledb");
      await using writing = await onTimescale(server);
      assert.equal(await server.value("SELECT count(*) FROM show_chunks('alumet.points')"), "3");
      assert.equal(
        await server.value(
          "SELECT count(*) FROM pg_indexes WHERE schemaname = 'alumet' AND tablename = 'points'",
        ),
        "1",
      );
      const session = await Session.open(settingsOf(server), 10_000);
      const deleted = await deleteOld(session, { schema: '"alumet"', hypertable: true }, 7 * DAY_MS);
      await session[Symbol.asyncDispose]();
      assert.deepEqual(deleted, { days: 1, points: 0, series: 0 });
      await writing.write(numbered(100, 1000));
      assert.equal(await server.value("SELECT count(*) FROM alumet.measurements"), "102");
      // What it refuses is found in halves here as well.
      await server.sql("ALTER TABLE alumet.points ADD CONSTRAINT no_seven CHECK (value <> 2007)");
      await writing.write(numbered(100, 2000));
      assert.equal(await server.value("SELECT count(*) FROM alumet.measurements"), "201");
      assert.equal((await writing.letters()).length, 1);
    },
  });
}
