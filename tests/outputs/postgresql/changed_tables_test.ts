/** The `postgresql` output while somebody deletes rows and drops tables that it knows. */
import assert from "node:assert/strict";
import { seriesOf } from "../../../lib/points/measurement.ts";
import { metricOf } from "../../kit/decode.ts";
import { batchOf } from "../../kit/points.ts";
import type { Database } from "../../kit/postgres.ts";
import { count, now, onPostgres, Writing } from "../../kit/postgres_output.ts";

const METRICS = ["power", "energy", "temperature"].map((name) => metricOf(name, "f64"));

/** Ten points of a host, one of each metric in turn. */
const pointsOf = (host: string, hosts = 1) =>
  batchOf(
    Array.from({ length: 10 }, (_, i) => [
      seriesOf(METRICS[i % 3], { resourceId: `${host}-${i % hosts}`, attributes: [["relay_client", host]] }),
      i,
      now(),
      i,
    ]),
  );

/** Points that the view shows of each host. */
async function seen(server: Database): Promise<string> {
  const rows = await server.sql(
    "SELECT relay_client || ' ' || count(*) FROM alumet.measurements GROUP BY relay_client ORDER BY 1",
  );
  return rows.join(", ");
}

/** All points that were stored since have a series and a metric, and no series has points of another one's id. */
async function check(server: Database, stored: number): Promise<void> {
  assert.equal(await count(server), stored);
}

const DEEDS: Record<string, string> = {
  "deletes all series": "DELETE FROM alumet.series",
  "deletes some series": "DELETE FROM alumet.series WHERE id % 2 = 0",
  "deletes metrics and series": "DELETE FROM alumet.series; DELETE FROM alumet.metrics",
  "truncates the series": "TRUNCATE alumet.series",
  "truncates the series, and their ids begin again": "TRUNCATE alumet.series RESTART IDENTITY",
  "truncates metrics and series, and their ids begin again":
    "TRUNCATE alumet.metrics, alumet.series RESTART IDENTITY",
  "drops the series": "DROP TABLE alumet.series CASCADE",
  "drops the metrics": "DROP TABLE alumet.metrics CASCADE",
  "drops metrics and series": "DROP TABLE alumet.metrics, alumet.series CASCADE",
  "changes the ids of series": "UPDATE alumet.series SET id = DEFAULT",
};

for (const [deed, sql] of Object.entries(DEEDS)) {
  onPostgres(`somebody ${deed}: points that come later are found under their own host`, async (server) => {
    await using writing = new Writing(server);
    await writing.write(pointsOf("a", 5));
    await server.sql(sql);
    // New series are made first: they must not get ids that old points have.
    await writing.write(pointsOf("b", 5));
    await writing.write(pointsOf("a", 5));
    await writing.write(pointsOf("c", 5));
    await check(server, 40);
    const shown = Object.fromEntries((await seen(server)).split(", ").map((text) => text.split(" ")));
    // What was stored before is hidden, or shown as what it is; never as points of another host.
    assert.deepEqual([shown.b, shown.c], ["10", "10"], JSON.stringify(shown));
    assert.ok(Number(shown.a) >= 10 && Number(shown.a) <= 20, JSON.stringify(shown));
    assert.equal(writing.stats.refusedPoints, 0);
    assert.equal(
      await server.value(
        "SELECT count(*) FROM alumet.series WHERE metric_id NOT IN (SELECT id FROM alumet.metrics)",
      ),
      "0",
    );
  });

  onPostgres(
    `somebody ${deed} while the server is stopped: points that come later are found under their own host`,
    async (server) => {
      {
        await using writing = new Writing(server);
        await writing.write(pointsOf("a", 5));
      }
      await server.sql(sql);
      await using writing = new Writing(server);
      await writing.write(pointsOf("b", 5), pointsOf("a", 5));
      await check(server, 30);
      const shown = Object.fromEntries((await seen(server)).split(", ").map((text) => text.split(" ")));
      assert.equal(shown.b, "10", JSON.stringify(shown));
      assert.ok(Number(shown.a) >= 10 && Number(shown.a) <= 20, JSON.stringify(shown));
    },
  );
}

onPostgres("a deletion that is not committed yet holds points up, and costs none", async (server) => {
  await using writing = new Writing(server, { timeout: 2000 });
  await writing.write(pointsOf("a", 5));
  const deleting = server.sql("BEGIN; DELETE FROM alumet.series; SELECT pg_sleep(0.5); COMMIT");
  for (let n = 0; n < 20; n++) await writing.write(pointsOf("a", 5));
  await deleting;
  await writing.write(pointsOf("a", 5));
  assert.equal(await count(server), 220);
  const known = "SELECT count(*) FROM alumet.points WHERE series_id IN (SELECT id FROM alumet.series)";
  const shown = Number(await server.value(known));
  assert.ok(shown >= 10, `${shown}`);
  // Whatever is stored from now on has its series.
  await writing.write(pointsOf("a", 5));
  assert.equal(Number(await server.value(known)), shown + 10);
});

onPostgres("a partition that is missing is made again, and refuses no point", async (server) => {
  await using writing = new Writing(server);
  await writing.write(pointsOf("a"));
  await server.sql("DROP TABLE alumet.points_default");
  const old = batchOf([[seriesOf(METRICS[0]), 1, 1_000_000_000]]);
  await writing.write(old);
  assert.equal(writing.stats.refusedPoints, 0);
  assert.equal(await count(server), 11);
});

for (const table of ["changes", "rollup_levels"]) {
  onPostgres(
    `somebody truncates ${table}: the rows are made again, and deletions are noticed`,
    async (server) => {
      await using writing = new Writing(server);
      await writing.write(pointsOf("a"));
      await server.sql(`TRUNCATE alumet.${table}`);
      await writing.write(pointsOf("a"));
      assert.match(await writing.line(/^WARN|^ERROR/), new RegExp(`table ${table} `));
      await server.sql("DELETE FROM alumet.series");
      await writing.write(pointsOf("a"));
      assert.equal(await seen(server), "a 10");
      assert.equal(await count(server), 30);
      assert.deepEqual(await server.sql("SELECT every FROM alumet.rollup_levels ORDER BY 1"), [
        "0",
        "60",
        "3600",
      ]);
    },
  );
}

onPostgres("tables of the first version get what the second one has", async (server) => {
  {
    await using writing = new Writing(server);
    await writing.write(pointsOf("a"));
  }
  await server.sql(
    "UPDATE alumet.schema_version SET version = 1; DROP TABLE alumet.changes; DROP FUNCTION alumet.note_change CASCADE",
  );
  await using writing = new Writing(server);
  await writing.write(pointsOf("a"));
  await server.sql("DELETE FROM alumet.series");
  await writing.write(pointsOf("a"));
  assert.equal(await seen(server), "a 10");
  assert.equal(await server.value("SELECT max(version) FROM alumet.schema_version"), "2");
});
