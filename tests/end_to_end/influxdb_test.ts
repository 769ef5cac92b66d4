/** A server that stores in InfluxDB: the database is away at first, and the server is killed meanwhile. */
import assert from "node:assert/strict";
import { LineRenderer, Lines } from "../../lib/outputs/influxdb/lines.ts";
import { testdata } from "../kit/bytes.ts";
import { influxd, InfluxDb } from "../kit/influx.ts";
import { needs, PATIENCE_MS, peakMemory, Program, runProgram, TempDir } from "../kit/process.ts";
import { Peer } from "../kit/relay.ts";
import { sessionBatches } from "../kit/session.ts";
import { portOf } from "./relay.ts";

const TOKEN = "t0p-s3cret-token";

/** The points of the recorded session, as InfluxDB tells them apart. */
function expectedPoints(): number {
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
      if (line !== "") keys.add(line.replace(/ value=\S+ /, " "));
    }
  }
  return keys.size;
}

/** Waits until nothing more is written to the journal: real agents do not ask whether it has been. */
async function still(directory: string): Promise<void> {
  const bytes = () =>
    [...Deno.readDirSync(directory)].reduce(
      (sum, { name }) => sum + Deno.statSync(`${directory}/${name}`).size,
      0,
    );
  for (let before = -1, now = bytes(); before !== now || now < 1000; now = bytes()) {
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

Deno.test({
  name: "a database that is down at the start, and a server that is killed, cost nothing",
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
      const peer = await Peer.connect(portOf(server));
      await peer.send(testdata("sessions/real-agent/client-0.bin"));
      await peer.conn.closeWrite();
      await peer.closed();
      peer.conn.close();
      await server.line(/Cannot write to database relay/);
      await still(`${dir.file("state")}/server/journal`);
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
    const deadline = performance.now() + PATIENCE_MS;
    while ((await database.rows("relay")).length < points) {
      assert.ok(performance.now() < deadline, server.log);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal((await database.rows("relay")).length, points);
    assert.ok(peakMemory(server.pid) < 250e6, `${peakMemory(server.pid)}`);
    assert.equal(await server.stop(), 0, server.log);
    assert.equal(server.summary("influxdb").refused_points, 0);
    assert.ok(!server.log.includes(TOKEN), server.log);
  },
});
