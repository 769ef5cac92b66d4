/** A client that measures this machine, a server that stores, and hops between them. */
import assert from "node:assert/strict";
import { testdataText } from "../kit/bytes.ts";
import { linux, needs } from "../kit/needs.ts";
import { freePort } from "../kit/ports.ts";
import { Program, runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import {
  clientKeys,
  connected,
  grown,
  IN_MEMORY,
  POLL_FAST,
  portOf,
  readRows,
  startServer,
  troublesOf,
} from "./relay.ts";

/** A metric of each part that the client measures. */
const PARTS = ["kernel_cpu_time_ms", "mem_total_B", "network_bytes_B", "memory_usage_B"];

Deno.test({
  name: "with flags alone a client measures this machine, and each point becomes a row of the server's file",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const file = dir.file("measures.csv");
    await using server = await startServer(file, { cwd: dir.path });
    await using client = new Program(["--relay-out", `127.0.0.1:${portOf(server)}`], { cwd: dir.path });
    await connected(client);
    await grown(file);

    assert.equal(await client.stop("SIGTERM"), 0, client.log);
    assert.equal(await server.stop("SIGTERM"), 0, server.log);

    const rows = await readRows(file);
    const { sent_points: points } = client.summary("relay-client");
    assert.equal(points, client.measuredPoints, client.log);
    assert.equal(rows.length, points);
    assert.equal(server.summary("csv").points, points);
    const metrics = new Set(rows.map(({ metric }) => metric));
    for (const metric of PARTS) assert.ok(metrics.has(metric), `${metric} of ${[...metrics]}`);
    assert.deepEqual(new Set(rows.map(({ relay_client }) => relay_client)), new Set([Deno.hostname()]));
    for (const program of [client, server]) assert.deepEqual(troublesOf(program), []);
    const files = [...Deno.readDirSync(dir.path)].map(({ name }) => name);
    assert.deepEqual(files.toSorted(), ["measures.csv", "measures.csv.position"]);
  },
});

Deno.test({
  name: "hops lose nothing, and relay_client stays the name of the client that measured",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const file = dir.file("measures.csv");
    await using server = await startServer(file, { cwd: dir.path });
    await using stack = new AsyncDisposableStack();
    const hops: Program[] = [];
    let next = portOf(server);
    for (const name of ["second", "first"]) {
      const hop = stack.use(
        new Program([
          ...["--relay-in", "127.0.0.1:0", "--relay-out", `127.0.0.1:${next}`],
          ...clientKeys({ client_name: name }),
        ], { cwd: dir.path }),
      );
      hops.unshift(hop);
      await hop.line(/"Running"/);
      next = portOf(hop);
    }
    await using client = new Program([
      ...["--relay-out", `127.0.0.1:${next}`],
      ...clientKeys({ client_name: "origin" }),
    ], { cwd: dir.path });
    await connected(client);
    // The client has little; the hops wait for more, until they stop.
    assert.equal(await client.stop("SIGINT"), 0, client.log);
    for (const hop of hops) assert.equal(await hop.stop("SIGTERM"), 0, hop.log);
    assert.equal(await server.stop("SIGINT"), 0, server.log);

    const { sent_points: points } = client.summary("relay-client");
    assert.ok(points > 0);
    for (const hop of hops) {
      assert.equal(hop.summary("relay-server").points, points, hop.log);
      assert.equal(hop.summary("relay-client").sent_points, points, hop.log);
    }
    assert.equal(server.summary("relay-server").points, points, server.log);
    const rows = await readRows(file);
    assert.equal(rows.length, points);
    assert.deepEqual(new Set(rows.map(({ relay_client }) => relay_client)), new Set(["origin"]));
  },
});

Deno.test({
  name: "a real agent's configuration file works, with the client's name from the environment",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const file = dir.file("measures.csv");
    await using server = await startServer(file, { cwd: dir.path });
    const config = testdataText("sessions/real-agent/client-config.toml")
      .replace('"node-7"', '"${NODE_NAME}"')
      .replace("127.0.0.1:50051", `127.0.0.1:${portOf(server)}`);
    assert.match(config, /\$\{NODE_NAME\}/);
    await Deno.writeTextFile(dir.file("alumet-config.toml"), config);

    const unnamed = await runProgram([], { cwd: dir.path, wrapper: ["env", "--unset=NODE_NAME"] });
    assert.equal(unnamed.code, 78);
    assert.match(unnamed.stderr, /alumet-config\.toml:2: .*client_name: .*NODE_NAME is not set/);
    await using client = new Program([], { cwd: dir.path, env: { NODE_NAME: "rack-3-node-7" } });
    await connected(client);
    await grown(file);
    assert.equal(await client.stop(), 0, client.log);
    assert.equal(await server.stop(), 0, server.log);
    const rows = await readRows(file);
    assert.deepEqual(new Set(rows.map(({ relay_client }) => relay_client)), new Set(["rack-3-node-7"]));
    const metrics = new Set(rows.map(({ metric }) => metric));
    for (const metric of PARTS) assert.ok(metrics.has(metric), `${metric} of ${[...metrics]}`);
  },
});

Deno.test({
  name: "a client that is stopped while it connects sends what it measured if its server comes in time",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const file = dir.file("measures.csv");
    const port = freePort();
    await using client = new Program([
      ...["--relay-out", `127.0.0.1:${port}`, "--config-override", "shutdown_timeout=80s", ...POLL_FAST],
      // With a journal on disk it would leave the points there.
      ...IN_MEMORY,
      ...clientKeys({ "retry.initial_delay": "100ms", "retry.max_delay": "200ms", "retry.max_times": 1000 }),
    ], { cwd: dir.path });
    // By then it has measured, too.
    await client.line(/"Running"/);
    await client.line(/Cannot connect/);
    client.signal("SIGTERM");
    await client.line(/Stopping/);
    await using server = await startServer(file, { cwd: dir.path, address: `127.0.0.1:${port}` });
    assert.equal(await client.exit(), 0, client.log);
    assert.equal(await server.stop(), 0, server.log);
    const rows = await readRows(file);
    assert.ok(rows.length > 0);
    assert.equal(rows.length, client.measuredPoints);
  },
});
