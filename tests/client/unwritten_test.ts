/** A hop or client whose journal cannot be written: what it sends on, and what it does not. */
import assert from "node:assert/strict";
import type { DiskJournal } from "../../lib/journal/disk/disk_journal.ts";
import { EIO, FaultyFiles, keptLog } from "../journal/disk/faults.ts";
import { configOf, TestClient } from "../kit/client.ts";
import { open, withDirectory } from "../kit/journal.ts";
import { instanceOf, numbered } from "../kit/points.ts";
import { TestServer } from "../kit/test_server.ts";
import { pause, until } from "../kit/waiting.ts";

interface Unwritable {
  readonly server: TestServer;
  readonly client: TestClient;
  readonly journal: DiskJournal;
  /** Five points of a client: of ours with a number for its batch, of a real agent with 0. */
  pass(first: number, sequence: number): void;
}

/** A hop that is connected to its server, and whose disk fails from then on. */
async function withUnwritable(work: (parts: Unwritable) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const files = new FaultyFiles();
    const { lines, log } = keptLog();
    await using server = new TestServer();
    await using journal = await open(directory, { files, log, retryMs: 5 });
    await using client = new TestClient(configOf(server.port), journal);
    await until(() => client.client.stats.connections === 1);
    files.fault = (call, path) => call === "write" && /segment/.test(path) ? EIO() : undefined;
    const pass = (first: number, sequence: number) => {
      const batch = numbered(5, first);
      const name = sequence > 0 ? "ours" : "real";
      batch.credit(journal.clients.get(name, sequence > 0 ? instanceOf(name) : ""), sequence);
      client.push(batch);
    };
    pass(0, 0);
    await until(() => lines.some((line) => /Cannot write the journal/.test(line)));
    await work({ server, client, journal, pass });
  });
}

Deno.test("points of real agents and of this host are sent on although the journal cannot be written", () =>
  withUnwritable(async ({ server, client, journal, pass }) => {
    client.push(numbered(5, 5));
    pass(10, 0);
    await until(() => server.points.length === 15);
    await until(() => journal.pendingPoints === 0);
  }));

Deno.test("numbered batches stay with their client until a stop begins; then they are sent on and acknowledged", () =>
  withUnwritable(async ({ server, journal, pass }) => {
    await until(() => server.points.length === 5);
    const { numbers } = journal.clients.get("ours", instanceOf("ours"));
    pass(5, 7);
    await pause(50);
    assert.equal(
      server.points.length,
      5,
      "the client would send it again after a crash, under another number here",
    );
    assert.deepEqual(journal.unwritten, { lost: 0, leftWithClients: 5 });
    journal.beginStop();
    await until(() => server.points.length === 10);
    await until(() => numbers.durable === 7);
    assert.deepEqual(journal.unwritten, { lost: 0, leftWithClients: 0 });
  }));

Deno.test("at a stop with a journal that can be written, numbered batches wait for the disk as ever", () =>
  withDirectory(async (directory) => {
    await using server = new TestServer();
    await using journal = await open(directory, { sync: 300 });
    await using client = new TestClient(configOf(server.port), journal);
    journal.beginStop();
    const batch = numbered(5);
    batch.credit(journal.clients.get("ours", instanceOf("ours")), 7);
    client.push(batch);
    await until(() => server.points.length === 5);
    assert.equal(journal.writtenPosition, 1);
  }));
