/** What the views of the `postgresql` output say. */
import assert from "node:assert/strict";
import { type Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { metricOf } from "../../kit/decode.ts";
import { batchOf } from "../../kit/points.ts";
import { now, onPostgres, Writing } from "../../kit/postgres_output.ts";

const ENERGY = metricOf("energy", "f64", { base: "J", prefix: "" });

/** Points of a host, one for each value, a second apart. */
const energyOf = (host: string, job: string, values: number[], from: number): Batch =>
  batchOf(
    values.map((value, i) => [
      seriesOf(ENERGY, { attributes: [["relay_client", host], ["job", job]] }),
      value,
      from + i,
      5000,
    ]),
  );

onPostgres("hosts, series, attributes and totals have views", async (server) => {
  await using writing = new Writing(server);
  const from = now() - 1000;
  await writing.write(
    energyOf("a", "one", [1, 2, 3], from),
    energyOf("a", "two", [10], from + 50),
    energyOf("b", "one", [100], from - 50),
    energyOf("a", "one", [4], from - 10),
  );
  const rows = async (sql: string) => (await server.sql(sql)).map((row) => String(row));
  const second = (column: string) => `extract(epoch FROM ${column})::numeric - ${from}`;
  assert.deepEqual(
    await rows(
      `SELECT concat_ws(' ', name, ${second("first_point")}, ${second("last_point")}, series,
         last_contact > now() - interval '1 minute') FROM alumet.hosts ORDER BY name`,
    ),
    ["a -9.999995 50.000005 2 t", "b -49.999995 -49.999995 1 t"],
  );
  assert.deepEqual(
    await rows(
      `SELECT concat_ws(' ', a.value, sum(t.points), sum(t.sum), min(t.min), max(t.max)) FROM alumet.totals t
       JOIN alumet.series_list USING (series_id) JOIN alumet.series_attributes a USING (series_id)
       WHERE metric = 'energy' AND unit = 'J' AND a.name = 'job' GROUP BY a.value ORDER BY 1`,
    ),
    ["one 5 110 1 100", "two 1 10 10 10"],
  );
  assert.deepEqual(
    await rows(
      "SELECT sum(points) || ' ' || sum(sum) FROM alumet.daily_totals WHERE day > now() - interval '3 days'",
    ),
    ["6 120"],
  );
});

onPostgres("real agents are in the table of clients, and hosts outlive a restart", async (server) => {
  const from = now() - 1000;
  for (const time of [from, from + 100]) {
    await using writing = new Writing(server);
    const batch = energyOf("real", "one", [1], time);
    batch.credit(writing.journal.clients.get("real"));
    await writing.write(batch);
  }
  assert.deepEqual(
    (await server.sql("SELECT concat_ws(' ', name, instance, sequence) FROM alumet.clients")).map(String),
    ["real  0"],
  );
  assert.equal(
    await server.value("SELECT extract(epoch FROM last_point - first_point)::integer FROM alumet.hosts"),
    "100",
  );
});
