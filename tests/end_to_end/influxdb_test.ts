/** A server that stores in InfluxDB: the database is away at first, and the server is killed meanwhile. */
import assert from "node:assert/strict";
import { inspect } from "../../lib/journal/disk/care/inspect.ts";
import { LineRenderer, Lines } from "../../lib/outputs/influxdb/lines.ts";
import { testdata } from "../kit/bytes.ts";
import { influxd, InfluxDb } from "../kit/influx.ts";
import { needs } from "../kit/needs.ts";
import { Peer } from "../kit/peer.ts";
import { peakMemory, Program, runProgram } from "../kit/process.ts";
import { sessionBatches } from "../kit/session.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { PATIENCE_MS, pause, until } from "../kit/waiting.ts";
import { portOf } from "./relay.ts";

const TOKEN = "t0p-s3cret-token";

/** The points of the recorded session, as InfluxDB tells them apart. */
function expectedPoints(wanted = (_line: string) => true): number {
  const format = {
    attributesAs: "tag",
    asTags: new Set<string>(),
    asFields: new Set<string>(),
    unsigned: false,
  } as const;
  const renderer = new LineRenderer(format, () => assert.fail("a point that cannot be written"));
  const keys = new Set<string>();
  for (const batch of sessionBatches()) {
    const lines = new Lines(batch.length, 1 << 24);
    renderer.render(batch, 0, lines);
    for (const line of new TextDecoder().decode(lines.bytes).split("\n")) {
      if (line !== "" && wanted(line)) keys.add(line.replace(/ value=\S+ /, " "));
    }
  }
  return keys.size;
}

/** Waits until the whole session is in the journal: real agents do not ask whether it is. */
async function kept(directory: string): Promise<void> {
  const points = sessionBatches().reduce((sum, { length }) => sum + length, 0);
  await until(async () => (await inspect(directory)).points === points);
}

/** What a real agent sends, in one connection. */
async function sendSession(server: Program): Promise<void> {
  const peer = await Peer.connect(portOf(server));
  await peer.send(testdata("sessions/real-agent/client-0.bin"));
  await peer.conn.closeWrite();
  await peer.closed();
  peer.conn.close();
}

/** Waits until the database has exactly `points` points. */
async function stored(database: InfluxDb, points: number, server: Program): Promise<void> {
  const count = async () => (await database.rows("relay")).length;
  const deadline = performance.now() + PATIENCE_MS;
  while (await count() < points) {
    assert.ok(performance.now() < deadline, `${await count()} of ${points} points: ${server.log}`);
    await pause(100);
  }
  assert.equal(await count(), points);
}

Deno.test({
  name: "a database that is down at the start and a server that is killed cost no point",
  ...needs(influxd),
  async fn() {
    await using dir = new TempDir();
    await using database = new InfluxDb();
    const toml = dir.file("server.toml");
    Deno.writeTextFileSync(
      toml,
      `[journal]
sync = "always"
[plugins.relay-server]
address = "127.0.0.1:0"
[plugins.influxdb]
host = "${database.url}"
api = "v1"
database = "relay"
token = "\${TOKEN}"
flush_interval = "50ms"
`,
    );
    const env = { TOKEN };
    const args = ["--config", toml, "--state-dir", dir.file("state")];
    const check = await runProgram(["config", "show", "--config", toml], { env });
    assert.match(check.stdout, /token = "\*\*\*" # .*environment variable TOKEN/);
    assert.ok(!(check.stdout + check.stderr).includes(TOKEN));

    {
      await using server = new Program(args, { env });
      await server.line(/"Running"/);
      await sendSession(server);
      await server.line(/Cannot write to database relay/);
      await kept(`${dir.file("state")}/server/journal`);
      assert.equal(await server.stop("SIGKILL"), "SIGKILL");
      assert.ok(!server.log.includes(TOKEN), server.log);
    }
    const points = expectedPoints();
    await using server = new Program(args, { env });
    await server.line(/"Running"/);
    await server.line(/Cannot write to database relay/);
    await database.start();
    // It answers, but has no such database yet.
    await server.line(/refuses every request.*database not found|answers again/, { ms: PATIENCE_MS });
    await database.ask('CREATE DATABASE "relay"');
    await stored(database, points, server);
    assert.ok(peakMemory(server.pid) < 250e6, `${peakMemory(server.pid)}`);
    assert.equal(await server.stop(), 0, server.log);
    assert.equal(server.summary("influxdb").refused_points, 0);
    assert.ok(!server.log.includes(TOKEN), server.log);
  },
});

Deno.test({
  name:
    "points that the database refuses are dead letters, and dead-letters replay writes them while the server runs",
  ...needs(influxd),
  async fn() {
    await using dir = new TempDir();
    await using database = await InfluxDb.start();
    await database.ask('CREATE DATABASE "relay"');
    // What a client that measures it otherwise would have left.
    await database.write("relay", `memory_usage value=0.5 ${sessionBatches()[0].seconds[0]}000000000`);
    const toml = dir.file("server.toml");
    Deno.writeTextFileSync(
      toml,
      `[plugins.relay-server]
address = "127.0.0.1:0"
[plugins.influxdb]
host = "${database.url}"
api = "v1"
database = "relay"
flush_interval = "50ms"
`,
    );
    const args = ["--config", toml, "--state-dir", dir.file("state")];
    const letters = (...more: string[]) => runProgram(["dead-letters", ...more, ...args]);
    await using server = new Program(args);
    await server.line(/"Running"/);
    await sendSession(server);
    await stored(database, expectedPoints((line) => !line.startsWith("memory_usage,")) + 1, server);
    await server.line(/permanently refused; they are set aside/);
    assert.match(
      (await letters("list")).stdout,
      /^influxdb \(server\): 1500 points, .*\n +1500 {2}partial write: field type conflict: .* measurement "memory_usage"/,
    );
    const shown = (await letters("show", "influxdb")).stdout.trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    assert.equal(shown.length, 1500);
    assert.ok(shown.every(({ metric, type }) => metric === "memory_usage" && type === "u64"));

    await database.ask("DROP MEASUREMENT memory_usage", { db: "relay" });
    const { code, stdout, stderr } = await letters("replay");
    assert.deepEqual([code, stdout], [0, "influxdb: 1500 points written\n"], stderr);
    await stored(database, expectedPoints(), server);
    assert.equal((await letters("list")).stdout, "There are no dead letters\n");
    assert.equal(await server.stop(), 0, server.log);
    const { points, refused_points } = server.summary("influxdb");
    assert.deepEqual([points, refused_points], [3212, 1500]);
  },
});
