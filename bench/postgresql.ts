/**
 * From the wire into PostgreSQL, with the journal on: `postgresql.ts [REPEATS [CONNECTIONS,… [ACKNOWLEDGE]]]`, without
 * and with sums by interval; these are made afterwards. Then the same rows by psql's COPY, into an empty table of the
 * same kind in the same server. With ALUMET_RELAY_BIN the compiled program is measured.
 */
import { Postgres } from "../tests/kit/postgres.ts";
import { freePort, MAIN, run, start, stop, usageOf } from "./process.ts";
import { POINTS_IN_SESSION } from "./relay.ts";
import { postgresql } from "../lib/outputs/postgresql.ts";
import { SUMMING_SETTINGS, sumUp } from "../lib/outputs/postgresql/rollups/summing.ts";
import { Session } from "../lib/outputs/postgresql/session.ts";
import { resolveSettings } from "../lib/outputs/postgresql/settings.ts";
import { pause } from "../tests/kit/waiting.ts";

const SEND = new URL("./send.ts", import.meta.url).pathname;
const repeats = Number(Deno.args[0] ?? 400);
/** As Debian's package has them, but for where the files are. */
const SETTINGS = {
  fsync: "on",
  full_page_writes: "on",
  shared_buffers: "128MB",
  autovacuum: "on",
  max_wal_size: "1GB",
  track_commit_timestamp: "on",
};
const COLUMNS = "series_id, time, nanos, value, exact";

const rate = (points: number, seconds: number) => `${Math.round(points / seconds / 1000)} thousand points/s`;

/** When the last transaction was committed, in ms since the epoch, once there are that many points. */
async function stored(server: Postgres, points: number): Promise<number> {
  const deadline = performance.now() + 300_000;
  let before = "";
  while (performance.now() < deadline) {
    await pause(300);
    const now = await server.value("SELECT transaction FROM alumet.journals").catch(() => "");
    if (now !== before || now === "") {
      before = now;
      continue;
    }
    const count = Number(await server.value("SELECT count(*) FROM alumet.points"));
    if (count > points) throw new Error(`${count} points are stored, ${points} were sent`);
    if (count === points) {
      return Number(
        await server.value(
          "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000 FROM alumet.journals",
        ),
      );
    }
  }
  throw new Error("Not all points are stored in time");
}

/** What the database has to do for the sums of all points. */
async function sumAll(server: Postgres, points: number): Promise<void> {
  const host = { host: "127.0.0.1", port: server.port, database: "alumet", user: "alumet" };
  const settings = resolveSettings({ ...postgresql.config.defaultValue(), ...host });
  await using session = await Session.open(settings, 300_000);
  await session.query(SUMMING_SETTINGS);
  const began = performance.now();
  while (await sumUp(session, '"alumet"', "now() + interval '1 year'") > 0);
  const micros = (performance.now() - began) * 1000 / points;
  const rows = await server.value("SELECT count(*) FROM alumet.rollup_1m");
  console.log(`  sums in ${rows} minutes of series: ${micros.toFixed(2)} µs of the database a point`);
}

async function measure(connections: number, acknowledge: string, sums: boolean): Promise<void> {
  await using server = await Postgres.create(SETTINGS);
  const port = freePort();
  const child = await start([
    ...[MAIN, "--config", "/dev/null", "--relay-in", `127.0.0.1:${port}`],
    ...["--plugins", "relay-server,postgresql", "--config-override", "journal.enable=true"],
    ...["--config-override", `plugins.relay-server.acknowledge="${acknowledge}"`],
    ...(sums ? [] : ["--config-override", "plugins.postgresql.rollups=[]"]),
    ...["--config-override", `plugins.postgresql.url="postgresql://alumet@127.0.0.1:${server.port}/alumet"`],
  ]);
  const points = connections * Math.ceil(repeats / connections) * POINTS_IN_SESSION;
  try {
    const usage = usageOf(child.pid);
    const began = Date.now();
    await run([SEND, String(port), String(connections), String(Math.ceil(repeats / connections))]);
    const seconds = (await stored(server, points) - began) / 1000;
    const { cpuSeconds, peakMiB } = usageOf(child.pid);
    const micros = (cpuSeconds - usage.cpuSeconds) / points * 1e6;
    console.log(
      `${connections} connections, acknowledged by ${acknowledge}, ${
        sums ? "with" : "without"
      } sums: ${points} points, ${rate(points, seconds)}, ` +
        `${micros.toFixed(2)} µs of CPU a point, ${peakMiB.toFixed(0)} MiB`,
    );
  } finally {
    await stop(child);
  }
  if (sums) await sumAll(server, points);

  const rows = server.file("rows.tsv");
  await server.sql(`COPY (SELECT ${COLUMNS} FROM alumet.points) TO '${rows}'`);
  const size = await server.value(
    "SELECT sum(pg_table_size(oid)), sum(pg_indexes_size(oid)) FROM pg_class WHERE relname ~ '^points_' AND relkind = 'r'",
  );
  const [table, index] = size.split("\t").map(Number);
  console.log(
    `  ${(table / points).toFixed(0)} bytes a point, and ${(index / points).toFixed(0)} in the index`,
  );
  await server.sql("TRUNCATE alumet.points; CHECKPOINT");
  const began = performance.now();
  await server.sql(`\\copy alumet.points (${COLUMNS}) FROM '${rows}'\n`);
  const seconds = (performance.now() - began) / 1000;
  console.log(`  psql, \\copy of the same rows: ${rate(points, seconds)}`);
}

const acknowledge = Deno.args[2];
for (const connections of (Deno.args[1] ?? "1,10,100").split(",").map(Number)) {
  for (const sums of [false, true]) await measure(connections, acknowledge ?? "journal", sums);
}
if (acknowledge === undefined) await measure(10, "stored", true);
