import assert from "node:assert/strict";
import type { ClientRecord, ClientTable } from "../../../lib/points/origins.ts";
import { DiskJournal, type DiskJournalOptions } from "../../../lib/journal/disk/disk_journal.ts";
import { type BatchReader, type Journal, MemoryJournal } from "../../../lib/journal.ts";
import { createLogger } from "../../../lib/base/log.ts";
import { Batch } from "../../../lib/points/measurement.ts";
import { cases, Chance } from "../../kit/bytes.ts";
import { segmentsOf, synced } from "../../kit/journal.ts";
import { NUMBERS } from "../../kit/points.ts";
import { TempDir } from "../../kit/temp_dir.ts";

const log = createLogger("journal", { write: () => {} });
const OUTPUTS = ["a", "b"] as const;
/** Clients of ours, a real agent, and this process. */
const CLIENTS = [
  ["one", "1".repeat(32)],
  ["one", "2".repeat(32)],
  ["zwei/日本", "f".repeat(32)],
  ["agent", ""],
  ["", ""],
] as const;
const LOCAL = CLIENTS.length;

function recordOf(clients: ClientTable, which: number): ClientRecord {
  if (which === LOCAL) return clients.local;
  const [name, instance] = CLIENTS[which];
  return clients.get(name, instance);
}

/** Everything that clients have sent, with a number for each point, and who has got what. */
class World {
  /** By number: whose point it is. */
  readonly owners: number[] = [];
  readonly sequences: number[] = CLIENTS.map(() => 0);
  /** By output: the numbers that were committed. */
  readonly got = new Map(OUTPUTS.map((output) => [output as string, [] as number[]]));
  readonly dropped = new Map(OUTPUTS.map((output) => [output as string, 0]));

  /** A batch of some clients, or of this process. */
  batch(chance: Chance, clients: ClientTable): Batch {
    const batch = new Batch(16);
    if (chance.int(4) === 0) {
      this.#push(batch, LOCAL, 1 + chance.int(20));
      clients.local.receivedPoints += batch.length;
      return batch;
    }
    for (let parts = 1 + chance.int(3); parts > 0; parts--) {
      const which = chance.int(CLIENTS.length);
      const hasSequence = CLIENTS[which][1] !== "";
      // A batch of a client may have no points at all.
      const points = hasSequence && chance.int(5) === 0 ? 0 : 1 + chance.int(30);
      this.#push(batch, which, points);
      const client = recordOf(clients, which);
      client.receivedPoints += points;
      const sequence = hasSequence ? ++this.sequences[which] : 0;
      if (hasSequence) client.numbers.accepted = sequence;
      batch.credit(client, sequence);
    }
    return batch;
  }

  #push(batch: Batch, owner: number, points: number): void {
    for (let n = 0; n < points; n++) {
      batch.push(NUMBERS, 1_700_000_000, 0, this.owners.length);
      this.owners.push(owner);
    }
  }
}

/** Reads and commits some batches; what is committed is noted. */
async function take(
  world: World,
  output: string,
  reader: BatchReader,
  held: Batch[],
  most: number,
): Promise<void> {
  for (let n = 0; n < most; n++) {
    const batch = reader.next();
    if (!batch) {
      if (await reader.wait(0) !== "ready") break;
      continue;
    }
    held.push(batch);
  }
  const count = Math.min(held.length, most);
  for (const batch of held.splice(0, count)) {
    world.got.get(output)!.push(...batch.values.subarray(0, batch.length));
  }
  reader.commit(count);
}

/** Takes everything, and checks before that the accounts say how much it is, for each client. */
async function takeAll(world: World, journal: Journal, output: string, reader: BatchReader, held: Batch[]) {
  const all = [...CLIENTS.keys(), LOCAL];
  const before = all.map((which) => {
    const client = recordOf(journal.clients, which);
    return { kept: client.kept(output), dropped: client.account(output).dropped };
  });
  const from = world.got.get(output)!.length;
  while (await reader.wait(5) === "ready" || held.length > 0) await take(world, output, reader, held, 50);
  const came = all.map(() => 0);
  for (const number of world.got.get(output)!.slice(from)) came[world.owners[number]]++;
  for (const which of all) {
    const client = recordOf(journal.clients, which);
    const lost = client.account(output).dropped - before[which].dropped;
    assert.equal(
      before[which].kept,
      came[which] + lost,
      `${output}: what is kept of client ${which}, of which ${lost} were lost`,
    );
    assert.equal(client.kept(output), 0, `${output}: nothing is kept of client ${which}`);
  }
  assert.equal(reader.pendingPoints, 0);
}

function eachNumberOnce(world: World, output: string): number[] {
  const got = world.got.get(output)!;
  assert.deepEqual(got, [...new Set(got)].sort((a, b) => a - b), `${output}: in order, once`);
  return got;
}

const SESSIONS = 5;
const runs = (normal: number) => Array.from({ length: cases(normal) }, (_, seed) => seed);

Deno.test("across restarts, kept, stored and dropped points of each client add up to the received ones, for each output", async () => {
  for (const seed of runs(12)) {
    await using dir = new TempDir();
    const chance = new Chance(seed);
    const world = new World();
    const drops = chance.int(2) === 0;
    for (let session = 0; session < SESSIONS; session++) {
      const options: Partial<DiskJournalOptions> = {
        sync: chance.pick(["always", 1]),
        segmentBytes: chance.pick([200, 1000, 5000]),
        memoryBytes: chance.pick([5000, 50_000]),
        ...(drops ? { onFull: "drop_oldest", maxBytes: chance.pick([4000, 12_000]) } : {}),
      };
      const journal = await DiskJournal.open({ directory: dir.path, log, ...options });
      const { clients } = journal;
      for (const [which, sequence] of world.sequences.entries()) {
        const record = recordOf(clients, which);
        assert.equal(record.accepted, sequence, `seed ${seed}, session ${session}`);
        assert.equal(record.durable, sequence);
        assert.equal(record.receivedPoints, 0);
      }
      const readers = OUTPUTS.map((output) => ({
        output,
        reader: journal.reader(output),
        held: [] as Batch[],
      }));
      for (let step = 0; step < 60; step++) {
        await journal.append(world.batch(chance, clients));
        if (chance.int(5) === 0) {
          const { output, reader, held } = chance.pick(readers);
          await take(world, output, reader, held, chance.int(30));
        }
        if (chance.int(10) === 0) await synced(journal);
      }
      await synced(journal);
      for (const { output, reader, held } of readers) {
        if (session === SESSIONS - 1 || chance.int(3) === 0) {
          await takeAll(world, journal, output, reader, held);
        }
      }
      await journal.close();
      for (const { output, reader } of readers) {
        for (const which of [...CLIENTS.keys(), LOCAL]) {
          const { dropped, sequence } = recordOf(clients, which).account(output);
          if (which < LOCAL) assert.ok(sequence <= world.sequences[which]);
          world.dropped.set(output, world.dropped.get(output)! + dropped);
        }
        const got = world.got.get(output)!.length;
        const { pendingPoints } = reader;
        assert.equal(got + world.dropped.get(output)! + pendingPoints, world.owners.length, `seed ${seed}`);
      }
    }
    for (const output of OUTPUTS) {
      const got = eachNumberOnce(world, output);
      assert.equal(got.length + world.dropped.get(output)!, world.owners.length, `seed ${seed}: ${output}`);
      if (drops) assert.ok(got.length > 0);
      else assert.equal(world.dropped.get(output), 0);
    }
  }
});

Deno.test("the journal in memory keeps the same accounts", async () => {
  for (const seed of runs(12)) {
    const chance = new Chance(seed);
    const world = new World();
    const journal = new MemoryJournal({ limitBytes: 8000, onFull: "drop_oldest" });
    const readers = OUTPUTS.map((output) => ({
      output,
      reader: journal.reader(output),
      held: [] as Batch[],
    }));
    for (let step = 0; step < 100; step++) {
      await journal.append(world.batch(chance, journal.clients));
      const { output, reader, held } = chance.pick(readers);
      if (chance.int(3) === 0) await take(world, output, reader, held, chance.int(20));
    }
    for (const { output, reader, held } of readers) {
      await takeAll(world, journal, output, reader, held);
      const all = [...CLIENTS.keys(), LOCAL].map((which) => recordOf(journal.clients, which));
      const dropped = all.reduce((sum, client) => sum + client.account(output).dropped, 0);
      assert.equal(dropped, reader.droppedPoints);
      assert.equal(eachNumberOnce(world, output).length + dropped, world.owners.length);
    }
    for (const [which, sequence] of world.sequences.entries()) {
      assert.equal(recordOf(journal.clients, which).durable, sequence);
    }
  }
});

Deno.test("damage costs each client its points there, counted for each output that had not read them", async () => {
  for (const seed of runs(25)) {
    await using dir = new TempDir();
    const chance = new Chance(seed);
    const world = new World();
    const damage = (segment: string, isFirst: boolean) => {
      // Nobody knows what was in a first segment that is gone.
      if (!isFirst && chance.int(4) === 0) return Deno.removeSync(segment);
      const bytes = Deno.readFileSync(segment);
      // Nor whose points they were, if the end of its list of clients is not known.
      const at = chance.int(bytes.length);
      bytes[isFirst && at >= 40 && at < 48 ? 0 : at] ^= 1 << chance.int(8);
      if (!isFirst && chance.int(4) === 0) bytes.fill(0, chance.int(bytes.length));
      Deno.writeFileSync(segment, bytes);
    };
    // The first output has got some before, the other one nothing.
    {
      await using journal = await DiskJournal.open({
        directory: dir.path,
        log,
        segmentBytes: 500,
        memoryBytes: 2000,
      });
      const [a] = OUTPUTS.map((output) => journal.reader(output));
      for (let step = 0; step < 60; step++) await journal.append(world.batch(chance, journal.clients));
      await synced(journal);
      await take(world, "a", a, [], chance.int(40));
    }
    // Two places, but not the last segment: nobody knows what was in it.
    const segments = segmentsOf(dir.path);
    const first = chance.int(segments.length - 4);
    damage(segments[first], first === 0);
    damage(segments[first + 2 + chance.int(segments.length - first - 3)], false);
    {
      await using journal = await DiskJournal.open({ directory: dir.path, log, memoryBytes: 2000 });
      const { damagedPoints } = journal.stats;
      const readers = OUTPUTS.map((output) => ({
        output,
        reader: journal.reader(output),
        held: [] as Batch[],
      }));
      for (let step = 0; step < 20; step++) await journal.append(world.batch(chance, journal.clients));
      await synced(journal);
      for (const { output, reader, held } of readers) {
        await takeAll(world, journal, output, reader, held);
        const got = eachNumberOnce(world, output);
        const all = [...CLIENTS.keys(), LOCAL].map((which) => recordOf(journal.clients, which));
        const dropped = all.reduce((sum, client) => sum + client.account(output).dropped, 0);
        const missing = world.owners.length - got.length;
        // In the segment where it stood, what was before a damaged place is not known: it counts as lost once more.
        if (output === "a") assert.ok(missing <= dropped + damagedPoints, `seed ${seed}: ${missing}`);
        else assert.equal(missing, dropped + damagedPoints, `seed ${seed}`);
        assert.ok(missing === 0 || journal.stats.damagedPoints > 0);
      }
    }
  }
});
