/** A client whose journal is on disk: what it measures while its server is away, and while it is killed itself. */
import assert from "node:assert/strict";
import { linux, needs } from "../kit/needs.ts";
import { Peer } from "../kit/peer.ts";
import { freePort } from "../kit/ports.ts";
import { Program } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { COUNTER, countingFrame } from "../kit/wire.ts";
import {
  clientKeys,
  connected,
  Flood,
  grown,
  POLL_FAST,
  portOf,
  readRows,
  type Row,
  startServer,
  written,
} from "./relay.ts";
import { pause } from "../kit/waiting.ts";

/** It has a journal without being told. */
function client(dir: TempDir, address: string, args: string[] = []): Program {
  return new Program([
    ...["--relay-out", address, ...POLL_FAST],
    ...clientKeys({ "retry.max_times": 1, "retry.initial_delay": "20ms", "retry.max_delay": "100ms" }),
    ...["--config-override", "journal.sync=always", ...args],
  ], { env: { XDG_STATE_HOME: dir.file("state") } });
}

/** Where {@linkcode client} has its journal. */
const journalOf = (dir: TempDir) => dir.file("state/alumet-relay/client/journal");

/** Sends both signals, of which the process takes one for the second: it has no time to end in good order. */
async function twice(program: Program): Promise<void> {
  program.signal("SIGTERM");
  const code = await program.stop("SIGINT");
  assert.ok(code === 143 || code === 130, `${code}: ${program.log}`);
}

/** Times of the polls of the memory, in ms: each is in the file once, and after those before it. */
function pollsInOrder(rows: Row[]): number[] {
  const times = rows.filter(({ metric }) => metric === "mem_total_B")
    .map(({ timestamp }) => Date.parse(timestamp));
  assert.deepEqual(times, times.toSorted((a, b) => a - b));
  assert.equal(new Set(times).size, times.length);
  return times;
}

Deno.test({
  name:
    "a server that is down longer than all retries costs no point: the client measures from the first second",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const address = `127.0.0.1:${freePort()}`;
    const file = dir.file("out.csv");
    await using measuring = client(dir, address);
    await measuring.line(/measurements are kept on disk.*given up after 2 tries/);
    await written(journalOf(dir), 10);
    const sinceMs = Date.now();
    await written(journalOf(dir), 10);
    await using server = await startServer(file, { address });
    const cameMs = Date.now();
    await connected(measuring);
    const back = await measuring.line(/The relay server is back, sending what was kept/);
    await grown(file, 10_000);
    assert.equal(await measuring.stop(), 0, measuring.log);
    assert.equal(await server.stop(), 0, server.log);

    const rows = await readRows(file);
    assert.equal(rows.length, measuring.measuredPoints);
    // All that is on disk, and nothing that was measured after that line.
    const before = (ms: number) => rows.filter(({ timestamp }) => Date.parse(timestamp) < ms).length;
    const backMs = Date.parse(String(back.time));
    assert.ok(Number(back.points) >= before(sinceMs), back.text);
    assert.ok(Number(back.points) <= before(backMs + 1), back.text);
    const times = pollsInOrder(rows);
    assert.ok(times.filter((ms) => ms < cameMs).length >= 3, `${times.map((ms) => ms - cameMs)}`);
  },
});

Deno.test({
  name:
    "a client that was killed sends what it had measured at its next start, first and with the original times",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const address = `127.0.0.1:${freePort()}`;
    const file = dir.file("out.csv");
    let sinceMs: number;
    let killedMs: number;
    {
      await using killed = client(dir, address);
      await killed.line(/measurements are kept on disk/);
      await written(journalOf(dir), 10);
      sinceMs = Date.now();
      await written(journalOf(dir), 10);
      assert.equal(await killed.stop("SIGKILL"), "SIGKILL");
      killedMs = Date.now();
    }
    await using stopped = client(dir, address);
    await stopped.line(/measurements are kept on disk/);
    assert.equal(await stopped.stop(), 0, stopped.log);
    assert.equal(stopped.matching(/Stopped/).length, 1);
    assert.ok(Number(stopped.matching(/Stopped/)[0].kept_in_journal) > 0, stopped.log);

    await using server = await startServer(file, { address });
    await using sending = client(dir, address);
    await connected(sending);
    await grown(file, 10_000);
    assert.equal(await sending.stop(), 0, sending.log);
    assert.equal(await server.stop(), 0, server.log);
    const times = pollsInOrder(await readRows(file));
    const before = times.filter((ms) => ms < killedMs);
    assert.ok(before.length >= 3, `${times.map((ms) => ms - killedMs)}`);
    assert.ok(before.at(-1)! >= sinceMs, "what was measured just before the kill is there");
  },
});

Deno.test({
  name: "a second signal ends a client at once, and its next start sends what was only in memory",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const address = `127.0.0.1:${freePort()}`;
    const file = dir.file("out.csv");
    // Nothing gets to the disk by itself.
    const never = ["--config-override", "journal.sync=1h", "--config-override", "shutdown_timeout=1h"];
    await using ended = client(dir, address, never);
    // Whoever runs has measured once at least, and goes on.
    await ended.line(/"Running"/);
    await ended.line(/measurements are kept on disk/);
    await pause(100);
    await twice(ended);
    const { message, kept_in_journal, given_up } = ended.lines.at(-1)!;
    assert.equal(message, "Stopping at once");
    assert.equal(given_up, undefined);
    const points = ended.measuredPoints;
    assert.ok(points > 0);
    assert.equal(kept_in_journal, points);
    const segments = [...Deno.readDirSync(journalOf(dir))];
    assert.ok(segments.some(({ name }) => name.endsWith(".segment")), JSON.stringify(segments));

    await using server = await startServer(file, { address });
    await using sending = client(dir, address);
    await connected(sending);
    await grown(file, 10_000);
    assert.equal(await sending.stop(), 0, sending.log);
    assert.equal(await server.stop(), 0, server.log);
    const rows = await readRows(file);
    assert.equal(rows.length, points + sending.measuredPoints);
    pollsInOrder(rows);
  },
});

Deno.test({
  name:
    "a second signal ends a server at once, and its next start writes what it had just read from a real agent",
  ...needs(linux),
  async fn() {
    await using dir = new TempDir();
    const file = dir.file("out.csv");
    const env = { XDG_STATE_HOME: dir.file("state") };
    const never = ["journal.sync=1h", "shutdown_timeout=1h"].flatMap((it) => ["--config-override", it]);
    let total = 0;
    {
      await using server = await startServer(file, { env, args: never });
      await using peer = await Peer.client(portOf(server), "agent", [COUNTER]);
      const flood = new Flood(peer, (n) => countingFrame("agent", n * 100, 100));
      await grown(file, 20_000);
      await twice(server);
      await flood.stop();
      total = server.summary("relay-server").points;
      const { message, given_up } = server.lines.at(-1)!;
      assert.deepEqual([message, given_up], ["Stopping at once", undefined]);
    }
    await using next = await startServer(file, { env });
    assert.equal(await next.stop(), 0, next.log);
    const values = (await readRows(file)).map(({ value }) => Number(value));
    assert.deepEqual(values, Array.from({ length: total }, (_, i) => i));
  },
});
