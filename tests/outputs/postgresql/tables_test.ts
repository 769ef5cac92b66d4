/** The tables that the `postgresql` output makes, keeps and empties. */
import assert from "node:assert/strict";
import { seriesOf } from "../../../lib/points/measurement.ts";
import { deleteOld } from "../../../lib/outputs/postgresql/retention.ts";
import { sumUp } from "../../../lib/outputs/postgresql/rollups/summing.ts";
import { prepareRollups } from "../../../lib/outputs/postgresql/rollups/tables.ts";
import { Session } from "../../../lib/outputs/postgresql/session.ts";
import { prepareTables } from "../../../lib/outputs/postgresql/tables.ts";
import { createLogger } from "../../../lib/base/log.ts";
import { metricOf } from "../../kit/decode.ts";
import { batchOf, numbered, NUMBERS } from "../../kit/points.ts";
import type { Postgres } from "../../kit/postgres.ts";
import { hasTimescale } from "../../kit/postgres_programs.ts";
import { until } from "../../kit/waiting.ts";
import {
  count,
  now,
  onOwnPostgres,
  onPostgres,
  pointsAt,
  settingsOf,
  Writing,
} from "../../kit/postgres_output.ts";

const POWER = metricOf("power", "f64", { base: "W", prefix: "" });
const DAY_MS = 86_400_000;
const SILENT = createLogger("test", { level: "error" });

onPostgres("Ten servers that start at once make the tables once, and share series", async (server) => {
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
});

onPostgres(
  "Dropped tables are created again, and ids of series are not used twice",
  async (server) => {
    await using writing = new Writing(server);
    await writing.write(numbered(10));
    await server.sql("DROP TABLE alumet.points CASCADE");
    await writing.write(numbered(10, 10));
    assert.equal(await server.value("SELECT count(*) FROM alumet.measurements"), "10");
    await server.sql("DROP TABLE alumet.series CASCADE");
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
    );
    await server.sql("DROP SCHEMA alumet CASCADE");
    await writing.write(numbered(7, 30));
    assert.equal(await count(server), 7);
    assert.equal(await server.value("SELECT position >= 0 FROM alumet.journals"), "t");
  },
);

onPostgres("Tables of a later version are left alone", async (server) => {
  {
    await using writing = new Writing(server);
    await writing.write(numbered(1));
  }
  await server.sql("INSERT INTO alumet.schema_version (version) VALUES (99)");
  await using writing = new Writing(server);
  await writing.journal.append(numbered(1, 1));
  assert.match(await writing.line(/^WARN|^ERROR/), /version 99, this program knows only version 2/);
  assert.equal(await count(server), 1);
  await server.sql("DELETE FROM alumet.schema_version WHERE version = 99");
  await writing.until(() => writing.journal.pendingPoints === 0, "it goes on");
  assert.equal(await count(server), 2);
});

onPostgres(
  "Days have partitions; what is far from today, or was there before its day's partition, has not",
  async (server) => {
    await using writing = new Writing(server);
    // Midnight may pass meanwhile: tomorrow is today then, and what is far stays far.
    const today = now();
    const day = (n: number) => today + n * 86_400;
    const name = (n: number) =>
      `points_${new Date(day(n) * 1000).toISOString().slice(0, 10).replaceAll("-", "")}`;
    const partitions = async () =>
      await server.sql(
        "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'alumet.points'::regclass",
      );
    await writing.write(
      pointsAt([day(0), day(-1), day(-1), day(-300), day(1), day(3), day(-400), 0, 253_402_300_799]),
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
);

onPostgres(
  "Days that are older than keep are dropped, with the series that nobody has used since",
  async (server) => {
    await using writing = new Writing(server);
    const day = (n: number) => now() + n * 86_400;
    const gone = seriesOf(POWER, { resourceId: "gone" });
    await writing.write(pointsAt([day(0), day(-3), day(-10), day(-20), 0]), pointsAt([day(-20)], gone));
    await server.sql("UPDATE alumet.series SET used_on = used_on - 20 WHERE resource_id = 'gone'");
    const session = await Session.open(settingsOf(server), 60_000);
    const tables = { schema: '"alumet"', hypertable: false };
    assert.deepEqual(await deleteOld(session, tables, 7 * DAY_MS), { days: 2, points: 1, series: 1 });
    assert.equal(await count(server), 2);
    assert.deepEqual(await deleteOld(session, tables, 7 * DAY_MS), { days: 0, points: 0, series: 0 });
    await session[Symbol.asyncDispose]();
    // A point of a day that has gone comes late; its series is made again.
    await using late = new Writing(server);
    await late.write(pointsAt([day(-20)], seriesOf(POWER, { resourceId: "gone" })));
    assert.equal(
      await server.value("SELECT count(*) FROM alumet.measurements WHERE resource_id = 'gone'"),
      "1",
    );
    // The output does it by itself.
    await using keeping = new Writing(server, { keep: 7 * DAY_MS });
    await keeping.line(/Deleted what is older than keep/);
    assert.equal(await count(server), 2);
  },
);

onPostgres("A clock that is ahead by 40 days at the start deletes nothing", async (server) => {
  {
    await using writing = new Writing(server);
    await writing.write(pointsAt([now() - 3 * 86_400]));
  }
  await server.sql("UPDATE alumet.host_times SET contact = contact - interval '40 days'");
  await using keeping = new Writing(server, { keep: DAY_MS });
  await keeping.line(/The clock has jumped ahead, nothing is deleted by it for a day.*ahead_s=345[56]\d\d\d/);
  assert.equal(await count(server), 1);
});

onOwnPostgres(
  "A role that may not create anything is told so, and writes when the tables are there",
  async (server) => {
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
    assert.match(await writing.line(/Cannot create partitions/), /must be owner|permission denied/);
    assert.equal(await server.value("SELECT count(*) FROM alumet.points_default"), "11");
  },
);

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

onOwnPostgres(
  "With TimescaleDB in the database, points is a hypertable, and days are dropped by its means",
  async (server) => {
    // Debian does not have it: functions of its names stand in for it, and say how they were called.
    await server.sql(`
      CREATE SCHEMA "odd place"; GRANT USAGE ON SCHEMA "odd place" TO alumet;
      CREATE TABLE "odd place".calls (call text); GRANT ALL ON "odd place".calls TO alumet;
      CREATE FUNCTION "odd place".create_hypertable(relation regclass, time_column_name name,
        chunk_time_interval interval, create_default_indexes boolean) RETURNS void LANGUAGE sql AS
        $$ INSERT INTO "odd place".calls VALUES (format('create_hypertable %s %s %s %s', $1, $2, $3, $4)) $$;
      CREATE FUNCTION "odd place".drop_chunks(relation regclass, older_than timestamptz) RETURNS SETOF text
        LANGUAGE sql AS
        $$ INSERT INTO "odd place".calls VALUES (format('drop_chunks %s %s', $1, now() - $2 < interval '9 days')) ;
           SELECT unnest(ARRAY['one', 'two']) $$;
      INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
        SELECT 99999, 'timescaledb', 10, oid, false, '2.0' FROM pg_namespace WHERE nspname = 'odd place'`);
    {
      await using _writing = await onTimescale(server);
    }
    const session = await Session.open(settingsOf(server), 60_000);
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
  { allow_system_table_mods: "on" },
);

/** What a server with TimescaleDB needs. */
const TIMESCALE = { shared_preload_libraries: "timescaledb", "timescaledb.telemetry_level": "off" };

// Debian does not have it: elsewhere there is nothing that could be missing.
if (hasTimescale) {
  onOwnPostgres("TimescaleDB itself, where it is installed", async (server) => {
    await server.sql("CREATE EXTENSION timescaledb");
    await using writing = await onTimescale(server);
    assert.equal(await server.value("SELECT count(*) FROM show_chunks('alumet.points')"), "3");
    assert.equal(
      await server.value(
        "SELECT count(*) FROM pg_indexes WHERE schemaname = 'alumet' AND tablename = 'points'",
      ),
      "1",
    );
    const session = await Session.open(settingsOf(server), 60_000);
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
  }, TIMESCALE);

  onOwnPostgres(
    "TimescaleDB's policy compresses days that are over, and points, sums, views and deletion go on",
    async (server) => {
      await server.sql("CREATE EXTENSION timescaledb");
      const session = await Session.open(settingsOf(server), 60_000);
      const tables = await prepareTables(session, { name: "alumet", timescaledb: true, log: SILENT });
      assert.equal(tables.hypertable, true);
      assert.ok(await prepareRollups(session, "alumet", [{ every: 3600, keepMs: 1825 * DAY_MS }], SILENT));

      // Five days of three series, of which the policy may compress the first three.
      const start = (Math.floor(now() / 86_400) - 4) * 86_400;
      const count = 5 * 8640;
      await server.sql(`
        INSERT INTO alumet.metrics (key, name, type, unit, unit_name, description)
          VALUES (gen_random_uuid(), 'energy', 'f64', 'J', 'joule', '');
        INSERT INTO alumet.series (key, metric_id, resource_kind, resource_id, consumer_kind, consumer_id, relay_client,
            attributes, used_on) SELECT gen_random_uuid(), 1, '', '', '', '', 'node', '{}', now() FROM generate_series(1, 3);
        INSERT INTO alumet.points (time, value, series_id, nanos)
          SELECT to_timestamp(${start} + i * 10), i, 1 + i % 3, 7 FROM generate_series(0, ${count} - 1) i`);
      const policy = "FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'";
      assert.equal(await server.value(`SELECT config ->> 'compress_after' ${policy}`), "2 days");
      // Its own background worker does it, not this test.
      await server.sql(`SELECT alter_job(job_id, next_start => now()) ${policy}`);
      const chunks =
        "FROM timescaledb_information.chunks WHERE hypertable_schema = 'alumet' AND hypertable_name = 'points'";
      await until(async () => await server.value(`SELECT count(*) ${chunks} AND is_compressed`) !== "0");
      await until(async () =>
        await server.value(
          `SELECT count(*) ${chunks} AND NOT is_compressed AND range_end < now() - interval '2 days'`,
        ) === "0"
      );
      const [bytes] = await server.sql(
        "SELECT sum(before_compression_total_bytes) > 3 * sum(after_compression_total_bytes) " +
          "FROM chunk_compression_stats('alumet.points')",
      );
      assert.equal(bytes, "t", "a third at most");

      // The output writes on, also into a day that is compressed, and sums are made of all of it.
      await using writing = new Writing(server);
      await writing.write(pointsAt([start + 5]));
      await server.sql(`
        INSERT INTO alumet.rollup_marks (every, start, series)
          SELECT 3600, to_timestamp(${start} + i * 3600), '{1,3}' FROM generate_series(0, 5 * 24 - 1) i`);
      while (await sumUp(session, tables.schema, "now() + interval '10000 years'") > 0);
      assert.equal(await server.value("SELECT count(*) FROM alumet.measurements"), `${count + 1}`);
      assert.equal(await server.value("SELECT sum(points) FROM alumet.measurements_1h"), `${count + 1}`);
      assert.equal(
        await server.value("SELECT sum(sum) FROM alumet.measurements_1h WHERE metric = 'energy'"),
        `${count * (count - 1) / 2}`,
      );
      const deleted = await deleteOld(session, tables, 2 * DAY_MS, (start + 4 * 86_400) * 1000, true);
      assert.deepEqual(deleted, { days: 2, points: 0, series: 0 });
      assert.equal(await server.value("SELECT count(*) FROM alumet.measurements"), `${3 * 8640}`);
      assert.equal(await server.value("SELECT sum(points) FROM alumet.measurements_1h"), `${count + 1}`);
      await session[Symbol.asyncDispose]();
    },
    TIMESCALE,
  );
}
