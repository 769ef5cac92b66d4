/** The whole program and a real PostgreSQL. */
import assert from "node:assert/strict";
import { seriesOf } from "../../lib/points/measurement.ts";
import { configOf, TestClient } from "../kit/client.ts";
import { metricOf } from "../kit/decode.ts";
import { needs } from "../kit/needs.ts";
import { numbered } from "../kit/points.ts";
import { freePort } from "../kit/ports.ts";
import { Postgres } from "../kit/postgres.ts";
import { postgres } from "../kit/postgres_programs.ts";
import { peakMemory, Program, runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";

const MOST_MEMORY = 250e6;
const SERIES = seriesOf(metricOf("counter"));

Deno.test({
  name:
    "points go from the wire into PostgreSQL, refused ones into the dead letters, and a replay stores them",
  ...needs(postgres),
  async fn() {
    await using directory = new TempDir();
    await using database = await Postgres.create();
    const port = freePort();
    const flags = [
      ...["--config", "/dev/null", "--plugins", "relay-server,postgresql", "--state-dir", directory.path],
      ...["--config-override", `plugins.relay-server.address="127.0.0.1:${port}"`],
    ];
    // Where the database is, as for any program that knows libpq.
    const env = {
      PGHOST: "127.0.0.1",
      PGPORT: String(database.port),
      PGUSER: "alumet",
      PGDATABASE: "alumet",
      PGSSLMODE: "disable",
    };
    const values = async () =>
      await database.value(
        "SELECT concat(count(*), ' ', count(DISTINCT value), ' ', max(value)) FROM alumet.measurements " +
          "WHERE metric = 'counter' AND relay_client = 'node'",
      );
    /** This client has finished once the server's journal has all points. */
    const send = async (first: number, count: number) => {
      await using client = new TestClient(configOf(port, { client_name: "node" }));
      for (let n = first; n < first + count; n += 5000) client.push(numbered(5000, n, SERIES));
      await client.finish();
    };
    {
      await using server = new Program(flags, { env });
      await server.line(/"Running"/);
      await send(0, 300_000);
      await server.line(/Tables created/);
      // A kill, in the middle: the next one goes on behind what is stored.
      assert.equal(await server.stop("SIGKILL"), "SIGKILL");
    }
    const kept = await runProgram(["config", "show", ...flags], { env });
    assert.equal(kept.code, 0, kept.stderr);
    await database.sql(
      "ALTER TABLE alumet.points ADD CONSTRAINT few CHECK (value < 300000 OR value >= 300010)",
    );
    {
      await using server = new Program(flags, { env });
      await server.line(/"Running"/);
      await send(300_000, 100_000);
      await server.line(/Points are permanently refused/);
      const memory = peakMemory(server.pid);
      assert.ok(memory < MOST_MEMORY, `${memory} bytes`);
      assert.equal(await server.stop(), 0, server.log);
      assert.equal(server.summary("postgresql").refused_points, 10);
    }
    assert.equal(await values(), "399990 399990 399999");
    const list = await runProgram(["dead-letters", "list", "--state-dir", directory.path], { env });
    assert.match(list.stdout, /postgresql \(server\): 10 points/);
    assert.match(list.stdout, /few.*SQLSTATE 23514/);

    await database.sql("ALTER TABLE alumet.points DROP CONSTRAINT few");
    const replay = await runProgram(["dead-letters", "replay", "postgresql", ...flags], { env });
    assert.equal(replay.code, 0, replay.stdout + replay.stderr);
    assert.match(replay.stdout, /postgresql: 10 points written/);
    assert.equal(await values(), "400000 400000 399999");
    assert.equal(
      await database.value("SELECT count(*) FROM alumet.journals"),
      "1",
      "the journal of the replay has left nothing",
    );
  },
});
