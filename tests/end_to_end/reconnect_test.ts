/** A server that is killed under a thousand clients, which all come back to it at once. */
import assert from "node:assert/strict";
import { configOf, TestClient } from "../kit/client.ts";
import { linux, needs } from "../kit/needs.ts";
import { numbered } from "../kit/points.ts";
import { peakMemory } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { PATIENCE_MS, until } from "../kit/waiting.ts";
import { manyFiles, portOf, readRows, startServer } from "./relay.ts";

const CLIENTS = 1000;
const MEMORY_LIMIT = 250e6;

Deno.test({
  name: "1,000 clients are back after their killed server returns, and each point is stored once",
  ...needs(linux, manyFiles(CLIENTS)),
  async fn() {
    await using dir = new TempDir();
    const file = dir.file("measures.csv");
    const args = ["--state-dir", dir.file("state")];
    await using first = await startServer(file, { args });
    const address = `127.0.0.1:${portOf(first)}`;
    await using stack = new AsyncDisposableStack();
    const clients = Array.from({ length: CLIENTS }, (_, n) =>
      stack.use(
        new TestClient({
          ...configOf(0, {
            client_name: `client-${n}`,
            retry: { max_times: 1000, initial_delay: 500, max_delay: 4000, jitter: 0.1 },
          }),
          relay_server: [address],
        }),
      ));
    let pushed = 0;
    const push = () => {
      for (const client of clients) client.push(numbered(10, pushed));
      pushed += 10;
    };
    push();
    const all = (count: number) => clients.every(({ client }) => client.stats.acknowledgedPoints >= count);
    await until(() => all(10), PATIENCE_MS, "all to be served");
    push();
    assert.equal(await first.stop("SIGKILL"), "SIGKILL");
    push();
    await until(() =>
      clients.every(({ logs }) => logs.matching(/Connection lost|Cannot connect/).length > 0)
    );
    await using second = await startServer(file, { args, address });
    push();
    await until(() => all(pushed), PATIENCE_MS, "all to be back, and everything acknowledged");
    const memory = peakMemory(second.pid);
    await Promise.all(clients.map((client) => client.finish()));
    assert.equal(await second.stop(), 0, second.log);
    const rows = (await readRows(file)).map(({ value, relay_client }) => `${value} ${relay_client}`);
    const expected = clients.flatMap((_, n) => Array.from({ length: pushed }, (_, i) => `${i} client-${n}`));
    assert.deepEqual(new Set(rows), new Set(expected), "nothing is lost");
    assert.equal(rows.length, expected.length, "nothing is there twice");
    assert.ok(memory < MEMORY_LIMIT, `${memory} bytes`);
  },
});
