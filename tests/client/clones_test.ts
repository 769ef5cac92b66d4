/** One instance id twice: a cloned machine, or a copied state directory, on hosts of one name. */
import assert from "node:assert/strict";
import { DiskJournal } from "../../lib/journal/disk/disk_journal.ts";
import { createLogger } from "../../lib/base/log.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { AcknowledgedClient } from "../kit/acknowledged.ts";
import { configOf, TestClient } from "../kit/client.ts";
import { journalOf } from "../kit/journal.ts";
import { instanceOf, numbered } from "../kit/points.ts";
import { freePort } from "../kit/ports.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { TestServer } from "../kit/test_server.ts";
import { until } from "../kit/waiting.ts";

const quick = { retry: { max_times: 1000, initial_delay: 2, max_delay: 5 } };
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
const sortedValues = ({ points }: TestServer) =>
  points.map(({ value }) => Number(value)).sort((a, b) => a - b);

/** Two clients with one instance id, whose journals have the same numbers. */
function clones(server: TestServer): [TestClient, TestClient] {
  const [one, two] = [journalOf(), journalOf()];
  two.id = one.id;
  const config = configOf(server.port, quick);
  return [new TestClient(config, one), new TestClient(config, two)];
}

Deno.test("two clients with one instance id at the same time lose nothing, and both ends say so", async () => {
  await using server = new TestServer();
  const [one, two] = clones(server);
  await using _one = one;
  await using _two = two;
  await until(() => server.server.stats.clients === 2);
  for (let n = 0; n < 50; n++) {
    (n % 2 ? one : two).push(numbered(4, n * 4));
    await until(() => one.journal.pendingPoints + two.journal.pendingPoints < 12);
  }
  await until(() => one.journal.pendingPoints + two.journal.pendingPoints === 0);
  assert.deepEqual(sortedValues(server), upTo(200));
  assert.notEqual(one.journal.id, two.journal.id);
  const clients = [...one.logs.lines, ...two.logs.lines].filter((line) =>
    /ERROR.*was a machine cloned/.test(line)
  );
  assert.equal(clients.length, 1);
  assert.equal(server.logs.matching(/WARN.*Closing a connection.*two clients use the instance id/).length, 1);
  assert.equal(server.logs.matching(/WARN.*A client changed its instance id/).length, 1);
});

Deno.test("two clients with one instance id, one after the other, lose nothing", async () => {
  await using server = new TestServer();
  const [one, two] = clones(server);
  await using _one = one;
  for (let n = 0; n < 5; n++) one.push(numbered(4, n * 4));
  await one.finish();
  await using _two = two;
  for (let n = 5; n < 15; n++) two.push(numbered(4, n * 4));
  await two.finish();
  assert.deepEqual(sortedValues(server), upTo(60));
});

Deno.test("two clients with one instance id lose nothing although the server restarts between them", async () => {
  await using dir = new TempDir();
  // What the journal of the server keeps.
  const clients = [new ClientTable(), new ClientTable()];
  const port = freePort();
  const before = new TestServer({ stateDirectory: dir.path, clients: clients[0], port });
  const [one, two] = clones(before);
  {
    await using _one = one;
    for (let n = 0; n < 5; n++) one.push(numbered(4, n * 4));
    await one.finish();
  }
  await before.stop();
  clients[1].get("node-1", one.journal.id).numbers.restore(5);
  await using after = new TestServer({
    stateDirectory: dir.path,
    clients: clients[1],
    port,
  });
  await using _two = two;
  for (let n = 5; n < 15; n++) two.push(numbered(4, n * 4));
  await two.finish();
  assert.deepEqual(sortedValues(after), upTo(40).map((n) => n + 20));
});

Deno.test("another batch under a number that the server has closes the connection, the same one is a duplicate", async () => {
  await using server = new TestServer();
  await using one = await AcknowledgedClient.connect(server.port, "n");
  await using two = await AcknowledgedClient.connect(server.port, "n");
  await using three = await AcknowledgedClient.connect(server.port, "n");
  await one.send(1, numbered(5));
  await one.acknowledgedUpTo(1);
  await two.send(1, numbered(5));
  await two.acknowledgedUpTo(1);
  await three.send(1, numbered(5, 1));
  await three.peer.closed();
  // A number between those of another client is no duplicate either.
  await one.send(5, numbered(5, 5));
  await one.acknowledgedUpTo(5);
  await two.send(3, numbered(5, 100));
  await two.peer.closed();
  assert.deepEqual(sortedValues(server), upTo(10));
  assert.equal(server.server.stats.duplicatePoints, 5);
  assert.equal(server.clients.get("n", instanceOf("n")).accepted, 5);
});

Deno.test("what a server has of a client is compared with what the client has on disk from before", async () => {
  await using server = new TestServer();
  await using dir = new TempDir();
  const log = createLogger("journal", { write: () => {} });
  // Starts that begin near each other, which one in a hundred does by chance, cannot be told apart.
  let starts = 0;
  const random = () => (0.618 * ++starts) % 1;
  const open = (name: string) =>
    DiskJournal.open({ directory: dir.file(name), log, sync: "always", host: "host", random });
  const send = async (journal: DiskJournal) => {
    await using client = new TestClient(configOf(server.port, quick), journal);
    await client.finish();
    return client.logs.matching(/ERROR.*was a machine cloned/).length;
  };
  const measure = async (journal: DiskJournal, first: number) => {
    for (let n = 0; n < 3; n++) await journal.append(numbered(2, first + 2 * n));
    await until(() => journal.writtenPosition > journal.lastPosition);
  };
  {
    await using original = await open("a");
    await measure(original, 0);
    assert.equal(await send(original), 0);
  }
  await Deno.mkdir(dir.file("b"));
  for (const { name } of Deno.readDirSync(dir.file("a"))) {
    await Deno.copyFile(`${dir.file("a")}/${name}`, `${dir.file("b")}/${name}`);
  }
  {
    // Both measure without the server, and the copy is started once more.
    await using original = await open("a");
    await measure(original, 6);
    {
      await using copy = await open("b");
      copy.reader("relay-client");
      await measure(copy, 12);
    }
    assert.equal(await send(original), 0, "nobody else has used the id");
    await using copy = await open("b");
    await measure(copy, 18);
    assert.equal(await send(copy), 1);
  }
  {
    await using original = await open("a");
    await measure(original, 24);
    assert.equal(await send(original), 0);
  }
  assert.deepEqual([...new Set(sortedValues(server))], upTo(30));
});
