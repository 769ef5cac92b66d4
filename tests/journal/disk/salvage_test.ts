/** What is still known, behind damage in the last segment, of the numbers of clients' batches that every output has. */
import assert from "node:assert/strict";
import type { DiskJournal } from "../../../lib/journal/disk/disk_journal.ts";
import { RecordReader } from "../../../lib/journal/disk/format/record_reader.ts";
import { repair } from "../../../lib/journal/disk/care/repair.ts";
import { HEADER_BYTES, putRecordHead, RECORD_HEAD_BYTES } from "../../../lib/journal/disk/format/segment.ts";
import { SYSTEM_FILES } from "../../../lib/journal/disk/format/files.ts";
import { Batch } from "../../../lib/points/measurement.ts";
import { Chance } from "../../kit/bytes.ts";
import { copyOf, drain, open, segmentsOf, synced, withDirectory } from "../../kit/journal.ts";
import { NUMBERS } from "../../kit/points.ts";
import { PATIENCE_MS, pause } from "../../kit/waiting.ts";

/** Digits of an instance id: the client's number. */
const instanceOf = (n: number) => String(n).padStart(32, "0");

type Batches = readonly (readonly [client: number, sequence: number])[];

/** One record for each of these: a client's number, and its batch's number. Its output has them. */
async function append(journal: DiskJournal, batches: Batches): Promise<void> {
  const reader = journal.reader("a");
  for (const [client, sequence] of batches) {
    const batch = new Batch();
    for (let n = 0; n < 3; n++) batch.push(NUMBERS, 1_700_000_000, 0, sequence);
    batch.credit(journal.clients.get(`client-${client}`, instanceOf(client)), sequence);
    journal.append(batch);
    await synced(journal);
  }
  while (reader.next());
  reader.commit(reader.uncommitted);
}

async function write(directory: string, batches: Batches): Promise<void> {
  await using journal = await open(directory);
  await append(journal, batches);
}

/** Where the records of a segment begin and end; the first one is the list of clients. */
function recordsOf(bytes: Uint8Array): { from: number; to: number }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const records = [];
  for (let from = HEADER_BYTES, to; from < bytes.length; from = to) {
    to = from + RECORD_HEAD_BYTES + view.getUint32(from, true);
    records.push({ from, to });
  }
  return records;
}

/** What a journal knows of these clients. */
async function known(
  directory: string,
  clients: number,
): Promise<{ sequences: number[]; isDamaged: boolean }> {
  await using journal = await open(directory);
  const sequences = Array.from(
    { length: clients },
    (_, n) => journal.clients.get(`client-${n + 1}`, instanceOf(n + 1)).accepted,
  );
  return { sequences, isDamaged: journal.stats.quarantinedSegments > 0 };
}

Deno.test("the clients of records after one flipped byte are known, also at the next start, unless the record that names a client is hit", () =>
  withDirectory(async (root) => {
    const BATCHES = 9;
    const whole = `${root}/whole`;
    const batches = Array.from({ length: BATCHES }, (_, n) => [[1, n + 1], [2, n + 1]] as const).flat();
    // The second client comes later.
    await write(whole, batches.filter(([client, n]) => client === 1 || n > 3));
    const [segment] = segmentsOf(whole);
    const bytes = Deno.readFileSync(segment);
    const records = recordsOf(bytes);
    let complete = 0;
    let tried = 0;
    // Of the last record of a client nothing else is known.
    for (const [n, { from, to }] of records.slice(0, -2).entries()) {
      for (let at = from; at < to; at++) {
        const directory = `${root}/${at}`;
        await copyOf(whole, directory);
        const damaged = bytes.slice();
        damaged[at] ^= 1 << at % 8;
        Deno.writeFileSync(segment.replace(whole, directory), damaged);
        for (let start = 0; start < 2; start++) {
          const what = `byte ${at - from} of record ${n}, start ${start}`;
          const { sequences, isDamaged } = await known(directory, 2);
          assert.ok(sequences.every((sequence) => sequence <= BATCHES), `${what}: ${sequences}`);
          const isComplete = sequences.every((sequence) => sequence === BATCHES);
          // The first records of the two clients are 1 and 5: before them, whoever else comes may be hit.
          const isSure = n === 0 || n > 5 || at < from + RECORD_HEAD_BYTES;
          if (isSure) assert.ok(isComplete, `${what}: ${sequences}`);
          if (start === 0) {
            tried++;
            assert.ok(isDamaged, what);
            if (isComplete) complete++;
          } else assert.equal(isDamaged, n === 0, `${what}: it is said once, and of a list until it is gone`);
        }
        await Deno.remove(directory, { recursive: true });
      }
    }
    assert.ok(complete > tried / 2 && complete < tried, `${complete} of ${tried}`);
  }));

Deno.test("however much is damaged, no client is credited with what it has not sent", () =>
  withDirectory(async (root) => {
    const CLIENTS = 6;
    const chance = new Chance(7);
    const whole = `${root}/whole`;
    // The later a client comes, the smaller are its numbers: one taken for another would have too large a number.
    const last = (client: number) => 1000 * (CLIENTS - client) + 20;
    const batches = Array.from({ length: 20 }, (_, n) => n + 1).flatMap((n) =>
      Array.from({ length: CLIENTS }, (_, c) => c + 1).filter((c) => n >= 2 * c).map((c) =>
        [c, last(c) - 20 + n] as const
      )
    );
    await write(whole, batches);
    const [segment] = segmentsOf(whole);
    const bytes = Deno.readFileSync(segment);
    const begin = recordsOf(bytes)[1].from;
    let knew = 0;
    for (let n = 0; n < 300; n++) {
      const directory = `${root}/${n}`;
      await copyOf(whole, directory);
      const damaged = bytes.slice();
      for (let left = 2 + chance.int(3); left > 0; left--) {
        const at = begin + chance.int(bytes.length - begin);
        // Bits, or what a block of a disk may become.
        if (chance.int(3) > 0) damaged[at] ^= 1 << chance.int(8);
        else damaged.fill(chance.int(2) * chance.int(256), at, at + chance.int(100));
      }
      Deno.writeFileSync(segment.replace(whole, directory), damaged);
      const { sequences } = await known(directory, CLIENTS);
      for (const [i, sequence] of sequences.entries()) {
        assert.ok(sequence <= last(i + 1), `${n}: client ${i + 1} has ${sequence} of ${last(i + 1)}`);
      }
      if (sequences.some((sequence) => sequence > 0)) knew++;
      await Deno.remove(directory, { recursive: true });
    }
    assert.ok(knew > 200, `${knew}`);
  }));

Deno.test("the search for the next record ends soon, whatever the bytes are", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/segment`;
    const bytes = new Uint8Array(16 * 1024 * 1024);
    // At every fourth byte a record of 1 MiB could begin.
    for (let at = HEADER_BYTES; at < bytes.length; at++) bytes[at] = at % 4 === 2 ? 16 : 0;
    new DataView(bytes.buffer).setUint32(HEADER_BYTES, 0x0fff_ffff, true);
    await Deno.writeFile(path, bytes);
    using reader = await RecordReader.open(SYSTEM_FILES, path);
    assert.equal(await reader.next(bytes.length), "torn");
    const began = performance.now();
    assert.equal(await reader.skipDamage(bytes.length), null);
    // Without a limit it is a quarter of a million times 1 MiB.
    assert.ok(performance.now() - began < PATIENCE_MS, `${performance.now() - began} ms`);

    // The same with a good record in reach, at once behind the damage.
    const at = 5000 + HEADER_BYTES;
    putRecordHead(bytes, at, at + RECORD_HEAD_BYTES + 100);
    await Deno.writeFile(path, bytes.fill(1, HEADER_BYTES + 4, at));
    using second = await RecordReader.open(SYSTEM_FILES, path);
    assert.equal(await second.next(bytes.length), "torn");
    assert.equal((await second.skipDamage(bytes.length))?.what, "more");
    assert.equal((await second.next(bytes.length)).length, 100);
  }));

Deno.test("a journal that finds damage while it runs, and is killed, knows it at the next start", () =>
  withDirectory(async (root) => {
    await using journal = await open(`${root}/live`);
    await append(journal, Array.from({ length: 9 }, (_, n) => [1 + n % 2, n + 1]));
    const [segment] = segmentsOf(`${root}/live`);
    const bytes = Deno.readFileSync(segment);
    bytes[recordsOf(bytes)[4].to - 1] ^= 1;
    Deno.writeFileSync(segment, bytes);
    const late = journal.reader("late");
    assert.equal((await drain(late)).length, 3 * 3);
    assert.equal(journal.stats.quarantinedSegments, 1);
    // Cursors are saved each second.
    for (let n = 0, found: number[] = []; !(found[0] === 9 && found[1] === 8); n++) {
      assert.ok(n < 100, `after ${n} looks the copy knows ${found}`);
      await pause(100);
      await copyOf(`${root}/live`, `${root}/copy${n}`);
      found = (await known(`${root}/copy${n}`, 2)).sequences;
    }
  }));

Deno.test("a repair keeps what is known about records after damage", () =>
  withDirectory(async (directory) => {
    await write(directory, Array.from({ length: 9 }, (_, n) => [1 + n % 2, n + 1]));
    const [segment] = segmentsOf(directory);
    const bytes = Deno.readFileSync(segment);
    bytes[recordsOf(bytes)[4].to - 1] ^= 1;
    Deno.writeFileSync(segment, bytes);
    await repair(directory);
    assert.deepEqual(await known(directory, 2), { sequences: [9, 8], isDamaged: false });
  }));
