/** Sums by interval: each point counted once, whatever is killed, and whenever it comes. */
import assert from "node:assert/strict";
import { floorTo, type RollupOptions } from "../../../lib/outputs/rollups/levels.ts";
import { rollupsOf } from "../../../lib/outputs/rollups/config.ts";
import { postgresql } from "../../../lib/outputs/postgresql.ts";
import { deleteOld } from "../../../lib/outputs/postgresql/retention.ts";
import { coarser, merged, pieces } from "../../../lib/outputs/postgresql/rollups/ranges.ts";
import { deleteOldSums, sumUp } from "../../../lib/outputs/postgresql/rollups/summing.ts";
import type { Session } from "../../../lib/outputs/postgresql/session.ts";
import { type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { Chance } from "../../kit/bytes.ts";
import { CrashingWriter } from "../../kit/csv_crashes.ts";
import { metricOf } from "../../kit/decode.ts";
import { HastyClock } from "../../kit/hasty_clock.ts";
import { batchOf } from "../../kit/points.ts";
import type { Database } from "../../kit/postgres.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { until } from "../../kit/waiting.ts";
import {
  configOf,
  now,
  onOwnPostgres,
  onPostgres,
  openSumming,
  SCHEMA,
  sumAll,
  UPKEEP,
  Writing,
} from "../../kit/postgres_output.ts";

const DAY_S = 86_400;
const TABLES = { schema: SCHEMA, hypertable: false };
const ROLLUPS = rollupsOf(postgresql.config.defaultValue().rollups);
const DEFAULT: readonly RollupOptions[] = ROLLUPS;
/** The start of a day, two days ago. */
const dayBefore = () => floorTo(now(), DAY_S) - 2 * DAY_S;

/** What the sums should be, computed from the points. */
const expected = (every: number) => `
  SELECT series_id, start, count(*), sum(value), min(value), max(value),
    (array_agg(value ORDER BY time, nanos))[1], (array_agg(value ORDER BY time DESC, nanos DESC))[1]
  FROM (SELECT *, floor(extract(epoch FROM time) / ${every})::bigint * ${every} AS start FROM alumet.points) p
  WHERE value <> 'NaN' GROUP BY 1, 2 ORDER BY 1, 2`;
const stored = (name: string) => `
  SELECT series_id, extract(epoch FROM time)::bigint, points, sum, min, max, first, last
  FROM alumet.measurements_${name} ORDER BY 1, 2`;

async function assertSums(server: Database): Promise<void> {
  for (const [name, every] of [["1m", 60], ["1h", 3600]] as const) {
    assert.deepEqual(await server.sql(stored(name)), await server.sql(expected(every)), name);
  }
  assert.equal(await server.value("SELECT count(*) FROM alumet.rollup_marks"), "0");
}

onPostgres(
  "sums are those of all points, each counted once, wherever connections and servers end",
  async (server) => {
    const chance = new Chance(1);
    const many = Array.from(
      { length: 11 },
      (_, i) => seriesOf(metricOf("power", "f64"), { consumerId: String(i) }),
    );
    const open = () => new Writing(server, {}, { clock: new HastyClock() });
    let writing = open();
    let session: Session | null = null;
    let [time, points] = [dayBefore(), 0];
    try {
      await writing.write(batchOf([[many[0], 1, time]]));
      for (let round = 0; round < 60; round++) {
        time += chance.int(300);
        // Now and then late, by hours; now and then NaN. Each nanosecond once, so that first and last are clear.
        const rows = Array.from({ length: 1 + chance.int(30) }, () => {
          const late = chance.int(12) === 0 ? chance.int(3 * 3600) : chance.int(5);
          const value = chance.int(15) === 0 ? NaN : chance.int(1000) / 4;
          return [many[chance.int(many.length)], value, time - late, 1 + points++] as [
            Series,
            number,
            number,
            number,
          ];
        });
        const appended = writing.write(batchOf(rows));
        if (chance.int(4) === 0) {
          // Whoever is at work loses the connection, in the middle of whatever it does.
          await server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'alumet'",
          );
          await session?.[Symbol.asyncDispose]();
          session = null;
        }
        await appended;
        if (chance.int(3) === 0) {
          let steps = chance.int(3);
          session ??= await openSumming(server);
          await sumUp(session, SCHEMA, "now() + interval '1 hour'", () => steps-- === 0).catch(() =>
            session = null
          );
        }
        if (chance.int(8) === 0) {
          await writing[Symbol.asyncDispose]();
          writing = open();
        }
      }
    } finally {
      await writing[Symbol.asyncDispose]();
      await session?.[Symbol.asyncDispose]();
    }
    await using summing = await openSumming(server);
    await sumAll(summing);
    assert.equal(await server.value("SELECT count(*) FROM alumet.points"), String(points + 1));
    await assertSums(server);
  },
);

/** A clock that jumps over what is waited for. */
class LeapingClock extends HastyClock {
  #leaptMs = 0;
  override monotonicMs(): number {
    return super.monotonicMs() + this.#leaptMs;
  }
  override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await super.sleep(ms, signal);
    this.#leaptMs += Math.min(ms, DAY_S);
  }
}

onPostgres("the output makes sums by itself, and deletes them, one server at a time", async (server) => {
  const one = seriesOf(metricOf("own"));
  const start = dayBefore();
  await using busy = await openSumming(server);
  await using writing = new Writing(server, {}, { clock: new LeapingClock() });
  await writing.write(batchOf([[one, 1, start], [one, 5, start + 30], [one, 7, start - 2000 * DAY_S]]));
  const quiet = () => server.sql("UPDATE alumet.rollup_marks SET made_at = made_at - interval '1 hour'");
  await quiet();
  // Another server is at it.
  const turns =
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_lock%' AND usename = 'alumet' AND datname = current_database()";
  await until(async () => await server.value(turns) !== "0");
  assert.equal(await server.value("SELECT count(*) FROM alumet.rollup_1m"), "0");
  await busy.query(`SELECT pg_advisory_unlock${UPKEEP}`);
  await until(async () => await server.value("SELECT count(*) FROM alumet.rollup_1m") !== "0");
  await until(async () => {
    await quiet();
    return await server.value("SELECT count(*) FROM alumet.rollup_marks") === "0";
  });
  // The old ones are gone with the next deletion.
  await writing.line(/Deleted sums that are older than their keep/);
  const sums = "SELECT points, sum FROM alumet.measurements_1h WHERE time = to_timestamp";
  assert.deepEqual(await server.sql(`${sums}(${start})`), ["2\t6"]);
});

onPostgres("tables of sums that somebody drops are made again, without a new connection", async (server) => {
  await using writing = new Writing(server, {}, { clock: new LeapingClock() });
  const start = dayBefore();
  const write = (second: number) => writing.write(batchOf([[seriesOf(metricOf("m")), 1, start + second]]));
  await write(0);
  await server.sql("DROP TABLE alumet.rollup_1m CASCADE");
  await write(1);
  await server.sql("UPDATE alumet.rollup_marks SET made_at = made_at - interval '1 hour'");
  const made = () => writing.lines.filter((line) => line.includes("Sums by interval are kept")).length;
  await writing.until(() => made() === 2, "the table is made again");
  await until(async () => await server.value("SELECT count(*) FROM alumet.measurements_1m") === "1");
  assert.equal(await server.value("SELECT points FROM alumet.measurements_1m"), "2");
  assert.equal(writing.stats.failures, 0);
});

onPostgres("energy is added up and power is averaged, and sums read like measurements", async (server) => {
  await using session = await openSumming(server);
  await using writing = new Writing(server);
  const energy = seriesOf(metricOf("energy", "f64", { base: "J", prefix: "milli" }), {
    attributes: [["relay_client", "node"], ["domain", "dram"]],
  });
  const power = seriesOf(metricOf("power", "f64", { base: "W", prefix: "" }));
  const start = dayBefore();
  for (const [i, value] of [4, 8, 6].entries()) {
    await writing.write(batchOf([[energy, value, start + 20 * i], [power, value, start + 20 * i]]));
  }
  assert.equal(await server.value("SELECT count(*) FROM alumet.measurements_1m"), "0");
  await sumAll(session);
  assert.deepEqual(
    await server.sql(
      `SELECT metric, value, unit, points, extract(epoch FROM time)::bigint - ${start}, relay_client, attributes
       FROM alumet.measurements_1h ORDER BY 1`,
    ),
    ['energy\t18\tmJ\t3\t0\tnode\t{"domain": "dram"}', "power\t6\tW\t3\t0\t\t{}"],
  );
  // A point that comes later is added to the interval of its own time.
  await writing.write(batchOf([[power, 2, start + 70]]));
  await sumAll(session);
  assert.deepEqual(
    await server.sql("SELECT value, points, last FROM alumet.measurements_1h WHERE metric = 'power'"),
    [
      "5\t4\t2",
    ],
  );
  await assertSums(server);
});

onPostgres(
  "points that come when others of their time were deleted are added to the sums",
  async (server) => {
    await using session = await openSumming(server);
    await using writing = new Writing(server);
    const one = seriesOf(metricOf("gone"));
    const start = dayBefore() - 10 * DAY_S;
    await writing.write(batchOf([[one, 1, start + 10], [one, 5, start + 30], [one, 9, start + 4000]]));
    const keepMs = 7 * DAY_S * 1000;
    // What is deleted is summed up before, whether or not it was due.
    assert.equal((await deleteOld(session, TABLES, keepMs, Date.now(), true)).days, 1);
    const sums = (name: string) =>
      server.sql(
        `SELECT points, sum, min, max, first, last, extract(epoch FROM time)::bigint - ${start}
       FROM alumet.measurements_${name} ORDER BY time`,
      );
    const before = ["2\t6\t1\t5\t1\t5\t0", "1\t9\t9\t9\t9\t9\t3960"];
    assert.deepEqual(await sums("1m"), before);
    await writing.write(
      batchOf([[one, 7, start + 5], [one, 0, start + 20], [one, NaN, start + 21], [one, 3, now() - 400]]),
    );
    await server.sql("ALTER TABLE alumet.points ADD CONSTRAINT no_eight CHECK (value <> 8)");
    await writing.write(batchOf([[one, 8, start + 25], [one, 4, start + 40]]));
    assert.deepEqual((await sums("1m")).slice(0, 2), ["5\t17\t0\t7\t7\t4\t0", before[1]]);
    assert.equal((await sums("1h"))[0], "5\t17\t0\t7\t7\t4\t0");
    // They are deleted again, and the sums stay; so does the series that the sums are of.
    await deleteOld(session, TABLES, keepMs, Date.now(), true);
    await sumAll(session);
    await server.sql("DELETE FROM alumet.points; UPDATE alumet.series SET used_on = '2020-01-01'");
    assert.equal((await deleteOld(session, TABLES, keepMs, Date.now(), true)).series, 0);
    assert.deepEqual((await sums("1m")).slice(0, 2), ["5\t17\t0\t7\t7\t4\t0", before[1]]);
  },
);

onPostgres(
  "sums are kept for their own time, and longer ones outlive those that they are made of",
  async (server) => {
    await using session = await openSumming(server);
    await using writing = new Writing(server);
    const one = seriesOf(metricOf("old"));
    const today = floorTo(now(), DAY_S);
    const start = today - 100 * DAY_S;
    await writing.write(batchOf([[one, 1, start], [one, 3, start + 60], [one, 7, today - DAY_S]]));
    const counts = () =>
      server.value(
        "SELECT concat_ws(' ', (SELECT count(*) FROM alumet.rollup_1m), (SELECT count(*) FROM alumet.rollup_1h))",
      );
    assert.equal(await deleteOldSums(session, SCHEMA, DEFAULT, today * 1000), 2);
    await sumAll(session);
    assert.equal(await counts(), "1 2");
    // All points of that hour are there still: its sum has the late one, too.
    await writing.write(batchOf([[one, 5, start + 120]]));
    await sumAll(session);
    assert.deepEqual(
      await server.sql("SELECT points, sum, first, last FROM alumet.measurements_1h ORDER BY time LIMIT 1"),
      ["3\t9\t1\t5"],
    );
    await deleteOldSums(session, SCHEMA, DEFAULT, (today + 6 * 365 * DAY_S) * 1000);
    assert.equal(await counts(), "0 0");
  },
);

onPostgres(
  "values that add up to more than a double holds are infinite, and stop no other sums",
  async (server) => {
    await using session = await openSumming(server);
    await using writing = new Writing(server);
    const of = (name: string) => seriesOf(metricOf(name, "f64"));
    const start = dayBefore();
    const largest = Number.MAX_VALUE;
    const cases: Record<string, number[]> = {
      both: [Infinity, -Infinity],
      huge: [largest, largest, 1],
      most: [largest, -largest, 5e-324, 3],
      negative: [-largest, -1e300, 2],
      plain: [1, 2.5],
      tiny: [5e-324, 5e-324],
    };
    await writing.write(
      batchOf(
        Object.entries(cases).flatMap(([name, values]) =>
          values.map((value, i) => [of(name), value, start + i] as [Series, number, number])
        ),
      ),
    );
    await sumAll(session);
    const rows = await server.sql(
      "SELECT metric, sum, value IS NOT NULL FROM alumet.measurements_1h ORDER BY 1",
    );
    assert.deepEqual(rows, [
      "both\tNaN\tt",
      "huge\tInfinity\tt",
      "most\t3\tt",
      "negative\t-Infinity\tt",
      "plain\t3.5\tt",
      "tiny\t1e-323\tt",
    ]);
    const totals = (view: string) =>
      server.sql(
        `SELECT metric, sum FROM alumet.${view} JOIN alumet.series_list USING (series_id) ORDER BY 1`,
      );
    const expected = rows.map((row) => String(row).replace(/\tt$/, ""));
    for (const view of ["totals", "daily_totals"]) assert.deepEqual(await totals(view), expected);
    // The same where they are added to what is there.
    await server.sql("UPDATE alumet.rollup_levels SET complete_from = now() WHERE every = 0");
    await writing.write(batchOf([[of("huge"), -largest, start + 5], [of("plain"), largest, start + 5]]));
    await writing.write(batchOf([[of("plain"), largest, start + 6], [of("tiny"), 1, start + 6]]));
    assert.deepEqual(
      await server.sql(
        "SELECT metric, sum FROM alumet.measurements_1h WHERE metric IN ('plain', 'tiny') ORDER BY 1",
      ),
      ["plain\tInfinity", "tiny\t1"],
    );
  },
);

onPostgres("a view of totals that refuses huge sums is replaced", async (server) => {
  const one = seriesOf(metricOf("huge", "f64"));
  {
    await using writing = new Writing(server);
    const largest = Number.MAX_VALUE;
    await writing.write(batchOf([[one, largest, dayBefore()], [one, largest, dayBefore() + 1]]));
  }
  await server.sql(
    `CREATE OR REPLACE VIEW alumet.totals AS SELECT p.series_id, count(*) AS points, sum(p.value) AS sum,
       min(p.value) AS min, max(p.value) AS max FROM alumet.points p GROUP BY p.series_id`,
  );
  await assert.rejects(() => server.sql("SELECT sum FROM alumet.totals"), /out of range/);
  await using writing = new Writing(server);
  await writing.line(/Tables created.*tables=totals/);
  assert.deepEqual(await server.sql("SELECT sum FROM alumet.totals"), ["Infinity"]);
});

onPostgres(
  "a database of the version before gets the tables of sums, and its points stay as they are",
  async (server) => {
    await using session = await openSumming(server);
    const one = seriesOf(metricOf("old"));
    const start = dayBefore();
    {
      await using writing = new Writing(server, { rollups: [] });
      await writing.write(batchOf([[one, 1, start], [one, 2, start + 600]]));
    }
    assert.equal(await server.value("SELECT count(*) FROM pg_class WHERE relname ~ '^rollup_'"), "0");
    await using writing = new Writing(server);
    await writing.line(/Sums by interval are kept.*1m,1h/);
    await writing.write(batchOf([[one, 4, start + 10]]));
    await sumAll(session);
    // Of an interval that has a new point, the sum has all points.
    assert.deepEqual(await server.sql("SELECT points, sum FROM alumet.measurements_1m"), ["2\t5"]);
    assert.deepEqual(await server.sql("SELECT points, sum FROM alumet.measurements_1h"), ["3\t7"]);
    assert.equal(await server.value("SELECT count(*) FROM alumet.points"), "3");
    // Ids that sums alone refer to are not given to other series.
    await server.sql("TRUNCATE alumet.points; TRUNCATE alumet.series RESTART IDENTITY");
    await writing.write(batchOf([[seriesOf(metricOf("other")), 1, now()]]));
    assert.equal(await server.value("SELECT count(*) FROM alumet.measurements_1h"), "0");
  },
);

onPostgres("other intervals begin at the next start, and what was counted stays counted", async (server) => {
  await using session = await openSumming(server);
  const one = seriesOf(metricOf("changing"));
  const start = dayBefore();
  const keep = 90 * DAY_S * 1000;
  {
    await using writing = new Writing(server);
    await writing.write(batchOf([[one, 1, start], [one, 2, start + 1800]]));
    await sumAll(session);
    await writing.write(batchOf([[one, 4, start + 60]]));
  }
  await using writing = new Writing(server, {
    rollups: [[30_000, keep], [900_000, keep], [3_600_000, keep]].map(([every, keep]) => ({ every, keep })),
  });
  await writing.line(/Sums by interval are kept.*30s,15m,1h/);
  await writing.write(batchOf([[one, 8, start + 3599]]));
  await sumAll(session);
  const sums = (name: string) =>
    server.sql(`SELECT points, sum FROM alumet.measurements_${name} ORDER BY time`);
  assert.deepEqual(await sums("1h"), ["4\t15"]);
  assert.deepEqual((await sums("15m")).at(-1), "1\t8");
  // Without any, nothing is noted any more, and what there is can be read.
  await using none = new Writing(server, { rollups: [] });
  await none.write(batchOf([[one, 16, start + 3500]]));
  await writing.write(batchOf([[one, 32, start + 3501]]));
  assert.equal(await server.value("SELECT count(*) FROM alumet.rollup_marks"), "0");
  assert.deepEqual(await sums("1h"), ["4\t15"]);
});

onPostgres(
  "a process that is killed at any moment leaves no point out of the sums, and counts none twice",
  async (server) => {
    await using session = await openSumming(server);
    await using dir = new TempDir();
    const { host, port, database, user } = configOf(server);
    const config = { host, port, database, user, flush_interval: 5, sslmode: "disable" };
    await using writer = new CrashingWriter(dir.path, config, 20261126, "postgresql");
    await writer.crash(2);
    await sumAll(session);
    await writer.crash(1);
    await writer.finish();
    const found = new Map<string, number[]>();
    for (const row of await server.sql("SELECT metric, value FROM alumet.measurements")) {
      const [metric, value] = row.split("\t");
      const numbers = found.get(metric) ?? [];
      found.set(metric, numbers);
      numbers.push(Number(value));
    }
    writer.check(found, false);
    await sumAll(session);
    await assertSums(server);
  },
);

onOwnPostgres("a role that may not have sums is told what to do, and stores its points", async (server) => {
  await using session = await openSumming(server);
  const time = dayBefore();
  {
    await using owner = new Writing(server, { rollups: [] });
    await owner.write(batchOf([[seriesOf(metricOf("some")), 1, time]]));
  }
  await server.sql(`CREATE ROLE writer LOGIN; GRANT USAGE ON SCHEMA alumet TO writer;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA alumet TO writer`);
  const write = async (say: RegExp) => {
    await using writing = new Writing(server, { user: "writer" });
    await writing.write(batchOf([[seriesOf(metricOf("some")), 1, time]]));
    assert.match(await writing.line(/^WARN/), say);
    assert.equal(writing.stats.failures, 0);
  };
  await write(
    /tables cannot be made: grant CREATE .* let its owner run alumet-relay once, or set rollups = \[\]/,
  );
  {
    await using owner = new Writing(server);
    await owner.write(batchOf([[seriesOf(metricOf("some")), 1, time]]));
  }
  await write(/grant SELECT, INSERT, UPDATE and DELETE on their tables.*rollup_marks/);
  await server.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA alumet TO writer");
  await using writing = new Writing(server, { user: "writer" });
  await writing.write(batchOf([[seriesOf(metricOf("some")), 1, time]]));
  await sumAll(session);
  // All are of one minute: what was stored without a mark is counted with the next point that has one.
  assert.equal(await server.value("SELECT sum(points) FROM alumet.measurements_1m"), "5");
});

Deno.test("ranges of series are joined where they nearly touch, and taken in pieces", () => {
  assert.deepEqual(merged([100, 200, 1, 5, 9, 10, 150, 160]), [1, 10, 100, 200]);
  const spread = Array.from({ length: 1000 }, (_, i) => [100 * i, 100 * i]).flat();
  assert.equal(merged(spread).length, 2000);
  assert.ok(coarser(spread, 10).length <= 20);
  assert.deepEqual([coarser(spread, 10)[0], coarser(spread, 10).at(-1)], [0, 99_900]);
  assert.deepEqual([...pieces([1, 10, 20, 21, 30, 30], 4)], [[1, 4], [5, 8], [9, 10, 20, 21], [30, 30]]);
});
