/** A server to which a thousand clients connect at once, in TLS. */
import assert from "node:assert/strict";
import { certificates } from "../kit/certificates.ts";
import { configOf, TestClient } from "../kit/client.ts";
import { linux, needs, openssl } from "../kit/needs.ts";
import { numbered } from "../kit/points.ts";
import { peakMemory } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { PATIENCE_MS, until } from "../kit/waiting.ts";
import { manyFiles, portOf, readRows, startServer } from "./relay.ts";

const CLIENTS = 1000;

Deno.test({
  name: "1,000 clients that connect in TLS at once are served, and each point is stored once",
  // A connection in TLS is three sockets of the server.
  ...needs(linux, openssl, manyFiles(3 * CLIENTS)),
  async fn() {
    await using dir = new TempDir();
    const { ca, issue } = await certificates(dir);
    const { cert, key } = await issue("relay.test");
    const file = dir.file("m.csv");
    await using server = await startServer(file, {
      args: [`tls.cert='${cert}'`, `tls.key='${key}'`].flatMap((setting) => [
        "--config-override",
        `plugins.relay-server.${setting}`,
      ]),
    });
    const port = portOf(server);
    await using stack = new AsyncDisposableStack();
    const { tls, ...config } = configOf(port, {
      retry: { max_times: 100, initial_delay: 500, max_delay: 2000 },
    });
    const clients = Array.from({ length: CLIENTS }, (_, n) => {
      const client = new TestClient({
        ...config,
        client_name: `client-${n}`,
        tls: { ...tls, enable: true, ca, server_name: "relay.test" },
      });
      client.push(numbered(3));
      return stack.use(client);
    });
    await until(
      () => clients.every(({ client }) => client.stats.acknowledgedPoints === 3),
      PATIENCE_MS,
      "all to be served",
    );
    assert.ok(peakMemory(server.pid) < 500e6, `${peakMemory(server.pid)} bytes`);
    await Promise.all(clients.map((client) => client.finish()));
    assert.equal(await server.stop(), 0, server.log);
    const rows = (await readRows(file)).map(({ value, relay_client }) => `${value} ${relay_client}`);
    assert.equal(new Set(rows).size, 3 * CLIENTS);
    assert.equal(rows.length, 3 * CLIENTS);
  },
});
