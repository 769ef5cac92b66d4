import assert from "node:assert/strict";
import type { ClientTable } from "../../../lib/points/origins.ts";
import { DiskJournal, type DiskJournalOptions } from "../../../lib/journal/disk/disk_journal.ts";
import { createLogger } from "../../../lib/base/log.ts";
import { batchOf, segmentsOf, synced } from "../../kit/journal.ts";
import { instanceOf, numbered } from "../../kit/points.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { PATIENCE_MS } from "../../kit/waiting.ts";

const DAY_MS = 24 * 3_600_000;

function open(directory: string, options: Partial<DiskJournalOptions> = {}): Promise<DiskJournal> {
  return DiskJournal.open({
    directory,
    log: createLogger("journal", { write: () => {} }),
    sync: "always",
    ...options,
  });
}

/** A wall clock that is set by hand. */
class Wall {
  ms = Date.parse("2026-03-01T00:00:00Z");
  #passedMs = 0;

  get times() {
    return { wallMs: () => this.ms, monotonicMs: () => performance.now() + this.#passedMs };
  }

  /** Time passes, and is not only shown. */
  pass(ms: number): void {
    this.ms += ms;
    this.#passedMs += ms;
  }
}

const tableOf = (clients: ClientTable) =>
  Object.fromEntries(
    [...clients].map(({ name, instance, accepted, durable }) => {
      assert.equal(instance, instanceOf(name));
      assert.equal(accepted, durable);
      return [name, durable];
    }).sort(),
  );

Deno.test("numbers belong to an instance, whatever its name, across any number of starts", async () => {
  await using dir = new TempDir();
  const instance = instanceOf("one");
  {
    await using journal = await open(dir.path);
    journal.reader("a");
    journal.append(batchOf(journal.clients, "one", 7, 2));
    await synced(journal);
    assert.equal(journal.clients.get("two", instance).durable, 7);
  }
  {
    await using journal = await open(dir.path);
    const reader = journal.reader("a");
    const two = journal.clients.get("two", instance);
    assert.deepEqual([two.accepted, two.durable, two.stored], [7, 7, 0]);
    const batch = numbered(3);
    batch.credit(two, 9);
    two.numbers.accepted = 9;
    journal.append(batch);
    await synced(journal);
    while (await reader.wait(5) === "ready") for (; reader.next(); reader.commit(1));
    assert.equal(journal.clients.get("one", instance).stored, 9);
  }
  await using journal = await open(dir.path);
  assert.equal(journal.clients.get("one", instance).durable, 9);
  assert.equal(journal.clients.get("three", instance).durable, 9);
});

Deno.test("the table of clients outlives all committed points, across any number of starts", async () => {
  await using dir = new TempDir();
  {
    await using journal = await open(dir.path, { segmentBytes: 200 });
    const reader = journal.reader("a");
    for (let n = 1; n <= 40; n++) journal.append(batchOf(journal.clients, `client-${n % 4}`, n, n % 3));
    await synced(journal);
    while (await reader.wait(5) === "ready") for (; reader.next(); reader.commit(1));
    assert.equal(reader.pendingPoints, 0);
  }
  assert.equal(segmentsOf(dir.path).length, 1);
  const expected = { "client-0": 40, "client-1": 37, "client-2": 38, "client-3": 39 };
  for (let start = 0; start < 4; start++) {
    await using journal = await open(dir.path);
    assert.deepEqual(tableOf(journal.clients), expected);
    const reader = journal.reader("a");
    assert.equal(await reader.wait(5), "timeout");
    for (const client of journal.clients) assert.equal(client.account("a").sequence, client.durable);
  }
  // It moves on with the segments.
  {
    await using journal = await open(dir.path);
    const reader = journal.reader("a");
    journal.append(numbered(1));
    await synced(journal);
    await reader.wait();
    reader.next();
    reader.commit(1);
  }
  assert.equal(segmentsOf(dir.path).length, 1);
  await using journal = await open(dir.path);
  assert.deepEqual(tableOf(journal.clients), expected);
});

Deno.test("a batch without points keeps its number, and reaches every output", async () => {
  await using dir = new TempDir();
  {
    await using journal = await open(dir.path);
    journal.append(batchOf(journal.clients, "one", 7, 0));
    journal.append(batchOf(journal.clients, "one", 9, 2));
    journal.append(batchOf(journal.clients, "one", 12, 0));
  }
  await using journal = await open(dir.path);
  const reader = journal.reader("a");
  const [one] = journal.clients;
  assert.equal(one.durable, 12);
  assert.equal(one.kept("a"), 2);
  const seen: [number, number][] = [];
  while (await reader.wait(5) === "ready") {
    for (let batch; (batch = reader.next()); reader.commit(1)) {
      assert.deepEqual(batch.origins.map(({ client, start, end }) => [client, start, end]), [[
        one,
        0,
        batch.length,
      ]]);
      seen.push([batch.origins[0].sequence, batch.length]);
      assert.ok(one.stored < batch.origins[0].sequence);
    }
  }
  assert.deepEqual(seen, [[7, 0], [9, 2], [12, 0]]);
  assert.equal(one.stored, 12);
  assert.equal(one.kept("a"), 0);
});

Deno.test("an output that remembers gets batches of clients when they are on disk, other outputs at once", async () => {
  await using dir = new TempDir();
  await using journal = await open(dir.path, { sync: 3_600_000 });
  const [any, durable] = [journal.reader("any"), journal.reader("durable", { onlyDurable: true })];
  journal.append(numbered(1));
  journal.append(batchOf(journal.clients, "one", 1));
  journal.append(numbered(1, 2));
  assert.deepEqual([any.next(), any.next(), any.next()].map((batch) => batch?.values[0]), [0, 1, 2]);
  assert.equal(durable.next()?.values[0], 0, "nobody sends again what was measured here");
  assert.equal(durable.next(), undefined);
  assert.equal(await durable.wait(1), "timeout");
  assert.equal(journal.writtenPosition, 0);
  // So many are written at once.
  journal.append(numbered(10_000, 3));
  assert.equal(await durable.wait(PATIENCE_MS), "ready");
  assert.equal(journal.writtenPosition, 4);
  assert.deepEqual([durable.next(), durable.next(), durable.next()].map((batch) => batch?.values[0]), [
    1,
    2,
    3,
  ]);
  journal.append(batchOf(journal.clients, "one", 2));
  journal.end();
  assert.equal(await durable.wait(PATIENCE_MS), "ready", "at the end it is written without delay");
  assert.equal(durable.next()?.values[0], 2);
  assert.equal(await durable.wait(PATIENCE_MS), "ended");
});

Deno.test("synced batches are durable for their clients, which are told", async () => {
  await using dir = new TempDir();
  await using journal = await open(dir.path, { sync: 1 });
  journal.reader("a");
  const told: number[] = [];
  using _listener = journal.clients.onProgress(() =>
    told.push(journal.clients.get("one", instanceOf("one")).durable)
  );
  for (let n = 1; n <= 3; n++) {
    journal.append(batchOf(journal.clients, "one", n));
    assert.ok(journal.clients.get("one", instanceOf("one")).durable < n);
    await synced(journal);
    assert.equal(told.at(-1), n);
  }
});

Deno.test("clients are forgotten after 30 days without contact, unless their points are waiting", async () => {
  await using dir = new TempDir();
  const wall = new Wall();
  const options = { times: wall.times, segmentBytes: 100 };
  /** Begins a segment, which has the clients that are not forgotten. */
  const begin = async (journal: DiskJournal) => {
    const last = () => segmentsOf(dir.path).at(-1);
    for (const before = last(); last() === before;) {
      journal.append(numbered(10));
      await synced(journal);
    }
  };
  const days = async (count: number, work: (journal: DiskJournal) => void | Promise<void>) => {
    wall.ms += count * DAY_MS;
    {
      await using journal = await open(dir.path, options);
      const reader = journal.reader("a");
      while (await reader.wait(5) === "ready") {
        for (let batch; (batch = reader.next());) {
          // The output has no place for these.
          if (batch.origins[0]?.client.name === "waiting") return;
          reader.commit(1);
        }
      }
      await work(journal);
      await synced(journal);
    }
    // Files have the time of the system, not that of the test.
    for (const path of segmentsOf(dir.path)) Deno.utimeSync(path, wall.ms / 1000, wall.ms / 1000);
  };
  await days(0, (journal) => {
    for (const name of ["old", "new"]) journal.append(batchOf(journal.clients, name, 5));
  });
  await days(20, (journal) => journal.append(batchOf(journal.clients, "new", 6)) as void);
  await days(0, ({ clients }) => assert.deepEqual(tableOf(clients), { new: 6, old: 5 }));
  // Twelve days later, both the process that runs and the next one have forgotten the one, and not the other.
  await days(12, async (journal) => {
    await begin(journal);
    assert.deepEqual(tableOf(journal.clients), { new: 6, old: 5 }, "the clock may be ahead");
    wall.pass(DAY_MS);
    await begin(journal);
    assert.deepEqual(tableOf(journal.clients), { new: 6 });
  });
  await days(0, ({ clients }) => assert.deepEqual(tableOf(clients), { new: 6 }));
  await days(0, (journal) => journal.append(batchOf(journal.clients, "waiting", 1)) as void);
  await days(40, () => {});
  {
    await using journal = await open(dir.path, options);
    journal.reader("a");
    await begin(journal);
    wall.pass(DAY_MS);
    await begin(journal);
    assert.deepEqual(Object.keys(tableOf(journal.clients)), ["waiting"]);
  }
  // A clock that was in the future, and came back, does not keep clients for ever.
  wall.ms -= 100 * DAY_MS;
  await using journal = await open(dir.path, options);
  for (const client of journal.clients) assert.ok(client.lastContactMs <= wall.ms);
});

Deno.test("of too many clients, those longest without contact are forgotten, and those without points first", async () => {
  await using dir = new TempDir();
  const wall = new Wall();
  const options = { times: wall.times, segmentBytes: 100, maxClients: 5 };
  {
    await using journal = await open(dir.path, options);
    const reader = journal.reader("a");
    const say = async (name: string, take: boolean) => {
      wall.ms += 1000;
      journal.append(batchOf(journal.clients, name, 1));
      await synced(journal);
      if (!take) return;
      await reader.wait();
      reader.next();
      reader.commit(1);
    };
    for (const name of ["b", "a", "d", "c", "e"]) await say(name, true);
    for (const name of ["waits-1", "waits-2"]) await say(name, false);
    for (let n = 0; n < 50; n++) {
      await say(`f-${n}`, false);
      if (n === 1) {
        const names = [...journal.clients].map(({ name }) => name);
        assert.ok(names.includes("waits-1") && !names.includes("b"), `${names}`);
      }
      assert.ok(journal.clients.size <= 8);
    }
    // They have been waiting for longer than the others.
    assert.ok(![...journal.clients].some(({ name }) => name.length === 1 || name.startsWith("waits")));
  }
  await using journal = await open(dir.path, options);
  const names = Object.keys(tableOf(journal.clients));
  assert.ok(names.includes("f-49") && names.includes("f-48") && names.length <= 8, `${names}`);
});

Deno.test("20,000 clients are written with each segment and read at the start", async () => {
  await using dir = new TempDir();
  {
    await using journal = await open(dir.path, { segmentBytes: 100 });
    for (let n = 0; n < 20_000; n++) journal.append(batchOf(journal.clients, `client-${n}`, n + 1));
    await synced(journal);
    journal.append(numbered(1));
  }
  await using journal = await open(dir.path);
  assert.equal(journal.clients.size, 20_000);
  assert.equal(journal.clients.get("client-19999", instanceOf("client-19999")).durable, 20_000);
});

Deno.test("clients need not send damaged batches again that every output already had", async () => {
  for (const committed of [4, 8]) {
    await using dir = new TempDir();
    {
      await using journal = await open(dir.path);
      const reader = journal.reader("a");
      // The damaged record is the first one of a client: nobody can tell its number from then on.
      for (let n = 1; n <= 8; n++) {
        journal.append(batchOf(journal.clients, ["one", "two", "new"][n === 3 ? 2 : n % 2], n));
      }
      await synced(journal);
      await reader.wait();
      for (let n = 0; n < committed; n++) reader.next();
      reader.commit(committed);
    }
    const [segment] = segmentsOf(dir.path);
    const bytes = Deno.readFileSync(segment);
    const view = new DataView(bytes.buffer);
    let at = 40;
    for (let n = 0; n < 3; n++) at += 8 + view.getUint32(at, true);
    bytes[at + 10] ^= 1;
    Deno.writeFileSync(segment, bytes);
    await using journal = await open(dir.path);
    // Numbers 5 to 8 are lost to the output if it has four; then whoever still has them may send them again.
    const { one, two, new: third = 0 } = tableOf(journal.clients);
    assert.deepEqual([one, two, third], committed === 8 ? [8, 7, 0] : [4, 1, 0]);
    assert.equal(journal.stats.damagedPoints, 8 - committed);
  }
});
