/** A server that stores each client in files of its own, finishes them and compresses them. */
import assert from "node:assert/strict";
import { parseCsv } from "../kit/csv.ts";
import { Peer } from "../kit/peer.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { PATIENCE_MS, until } from "../kit/waiting.ts";
import { COUNTER, countingFrame } from "../kit/wire.ts";
import { portOf, startServer, troublesOf } from "./relay.ts";

async function valuesIn(path: string): Promise<number[]> {
  const bytes = await Deno.readFile(path);
  const text = path.endsWith(".gz")
    ? await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text()
    : new TextDecoder().decode(bytes);
  return parseCsv(text).slice(1).map((row) => Number(row[2]));
}

Deno.test("the files of clients are finished by size and compressed while the server runs, and hold every point", async () => {
  await using directory = new TempDir();
  const keys = { rotate_size: "50KiB", rotate_gzip: true };
  await using server = await startServer(directory.file("{client}.csv"), {
    args: [
      ...["--state-dir", directory.file("state")],
      ...Object.entries(keys).flatMap(([key, value]) => ["--config-override", `plugins.csv.${key}=${value}`]),
    ],
  });
  const clients = ["node-1", "../node-2"];
  const total = 5000;
  for (const name of clients) {
    await using peer = await Peer.client(portOf(server), name, [COUNTER]);
    for (let first = 0; first < total; first += 100) await peer.send(countingFrame(name, first, 100));
    await peer.conn.closeWrite();
    await peer.closed();
  }
  const names = () => [...Deno.readDirSync(directory.path)].map(({ name }) => name).sort();
  const prefixes = ["node-1", "%2E.%2Fnode-2"];
  const of = (prefix: string) => names().filter((name) => name.startsWith(`${prefix}.`));
  await until(
    () =>
      prefixes.every((prefix) =>
        of(prefix).some((name) => name.endsWith(".csv.gz")) &&
        !of(prefix).some((name) => /Z(-\d+)?\.csv(\.gz\.tmp)?$/.test(name))
      ),
    PATIENCE_MS,
    "all finished files are compressed",
  );
  assert.equal(await server.stop(), 0, server.log);
  assert.deepEqual(troublesOf(server), [], server.log);
  for (const prefix of prefixes) {
    const own = of(prefix);
    const values = (await Promise.all(own.map((name) => valuesIn(directory.file(name))))).flat();
    assert.deepEqual(values.sort((a, b) => a - b), Array.from({ length: total }, (_, i) => i));
  }
  assert.ok(names().includes("{client}.csv.position"), names().join());
});
