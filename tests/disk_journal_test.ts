import assert from "node:assert/strict";
import { DiskJournal, type DiskJournalOptions } from "../lib/disk_journal/disk_journal.ts";
import { ExitError } from "../lib/errors.ts";
import type { BatchReader } from "../lib/journal.ts";
import { createLogger } from "../lib/log.ts";
import { segmentsOf, synced } from "./kit/journal.ts";
import { numbered } from "./kit/points.ts";

type Options = Partial<DiskJournalOptions>;

async function withDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const log = createLogger("journal", { write: () => {} });

function open(directory: string, options: Options = {}): Promise<DiskJournal> {
  return DiskJournal.open({ directory, log, sync: "always", ...options });
}

/** Appends batches of `each` points that number themselves from `first` on; the last one is on disk afterwards. */
async function fill(journal: DiskJournal, count: number, first = 0, each = 1): Promise<void> {
  for (let n = 0; n < count; n++) journal.append(numbered(each, first + n * each));
  await synced(journal);
}

/** The numbers that a reader has until nothing comes; all are committed. */
async function drain(reader: BatchReader, most = Infinity): Promise<number[]> {
  const numbers: number[] = [];
  while (numbers.length < most && await reader.wait(20) === "ready") {
    for (let batch; numbers.length < most && (batch = reader.next());) {
      for (let row = 0; row < batch.length; row++) numbers.push(batch.values[row]);
      reader.commit(1);
    }
  }
  return numbers;
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

async function copyOf(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isFile } of Deno.readDir(from)) {
    // One that is not complete has its name for a moment only.
    if (isFile && !name.endsWith(".tmp")) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

Deno.test("a restart resumes each cursor where it was", () =>
  withDirectory(async (directory) => {
    {
      await using journal = await open(directory);
      const [a, b] = [journal.reader("a"), journal.reader("b")];
      await fill(journal, 10);
      assert.deepEqual(await drain(a, 7), range(0, 7));
      assert.deepEqual(await drain(b, 3), range(0, 3));
      assert.equal(b.position, 2);
      assert.equal(journal.pendingPoints, 7);
    }
    await using journal = await open(directory);
    const [a, b] = [journal.reader("a"), journal.reader("b")];
    assert.equal(journal.pendingPoints, 7);
    await fill(journal, 5, 10);
    assert.deepEqual(await drain(a), range(7, 15));
    assert.deepEqual(await drain(b), range(3, 15));
    assert.equal(journal.pendingPoints, 0);
    assert.equal(journal.stats.damagedPoints + journal.stats.droppedPoints, 0);
  }));

Deno.test("what was read and not committed comes again; a reader may begin where its output says", () =>
  withDirectory(async (directory) => {
    {
      await using journal = await open(directory);
      const reader = journal.reader("a");
      await fill(journal, 6);
      await drain(reader, 2);
      for (let n = 0; n < 3; n++) reader.next();
    }
    await using journal = await open(directory);
    const [a, own] = [journal.reader("a"), journal.reader("own")];
    own.resumeAfter(3);
    assert.deepEqual(await drain(a), range(2, 6));
    assert.deepEqual(await drain(own), range(4, 6));
  }));

Deno.test("a number never stands for two batches, even if the first one never came to disk", () =>
  withDirectory(async (root) => {
    await using journal = await open(`${root}/live`, { sync: 60_000 });
    const reader = journal.reader("a");
    for (let n = 0; n < 5; n++) journal.append(numbered(1, n));
    assert.deepEqual(await drain(reader), range(0, 5));
    assert.equal(reader.position, 4);
    // As after a crash: nothing has been written, neither batches nor the cursor.
    await copyOf(`${root}/live`, `${root}/copy`);
    assert.deepEqual(segmentsOf(`${root}/copy`), []);
    let last = 4;
    for (let start = 0; start < 4; start++) {
      // The first two starts crash in the same way.
      const crashes = start < 2;
      {
        await using copy = await open(`${root}/copy`, { sync: crashes ? 60_000 : "always" });
        const reader = copy.reader("a");
        copy.append(numbered(1, start));
        assert.deepEqual(await drain(reader), [start]);
        assert.ok(reader.position > last + 900_000_000, `${reader.position} after ${last}`);
        last = reader.position;
        if (crashes) await copyOf(`${root}/copy`, `${root}/crashed`);
      }
      if (!crashes) continue;
      await Deno.remove(`${root}/copy`, { recursive: true });
      await Deno.rename(`${root}/crashed`, `${root}/copy`);
    }
  }));

Deno.test("the id is that of the directory on its host; a copy on another host has its own, and says so", () =>
  withDirectory(async (root) => {
    const lines: string[] = [];
    const options = { log: createLogger("journal", { write: (line) => lines.push(line) }), host: "one" };
    const ids: string[] = [];
    const opened = async (directory: string, host: string) => {
      await using journal = await open(directory, { ...options, host });
      ids.push(journal.id);
    };
    await opened(`${root}/a`, "one");
    await opened(`${root}/a`, "one");
    assert.deepEqual(lines, []);
    await copyOf(`${root}/a`, `${root}/b`);
    await opened(`${root}/b`, "two");
    assert.match(lines.join(), /WARN .*new id.*host=two made_on=one/);
    await opened(`${root}/b`, "two");
    assert.equal(lines.length, 1);
    await Deno.writeTextFile(`${root}/b/journal.id`, "garbage");
    await opened(`${root}/b`, "two");
    assert.match(lines[1], /WARN .*cannot be read.*new one/);
    await opened(`${root}/b`, "two");
    assert.equal(lines.length, 2);
    const [a, again, b, bAgain, c, cAgain] = ids;
    assert.ok(a === again && b === bAgain && c === cAgain && new Set([a, b, c]).size === 3);
  }));

for (
  const [name, position, expected] of [
    ["before everything", -1, 0],
    ["in a segment", 3, 4],
    ["behind the last record, where the numbers have a gap", 500_000_000, 6],
    ["in the records of the start after", 1_000_000_007, 8],
    ["beyond everything", 5_000_000_000, 9],
  ] as const
) {
  Deno.test(`an output resumes after a position ${name}; what is passed over counts as stored`, () =>
    withDirectory(async (directory) => {
      for (const [first, count] of [[0, 6], [6, 3]]) {
        await using journal = await open(directory, { segmentBytes: 200 });
        await fill(journal, count, first);
      }
      await using journal = await open(directory);
      const reader = journal.reader("a");
      const other = journal.reader("b");
      // It may have waited already.
      if (position % 2 === 1) assert.equal(await reader.wait(), "ready");
      reader.resumeAfter(position);
      await fill(journal, 2, 9);
      assert.deepEqual(await drain(reader), range(expected, 11));
      assert.equal(journal.clients.local.account("a").stored, 11);
      assert.equal(journal.clients.local.account("b").stored, 0);
      assert.throws(() => reader.resumeAfter(7), RangeError);
      assert.deepEqual(await drain(other), range(0, 11));
      assert.equal(journal.pendingPoints, 0);
    }));
}

Deno.test("100,000 points in small segments, two readers at different paces, segments deleted behind both", () =>
  withDirectory(async (directory) => {
    await using journal = await open(directory, { segmentBytes: 4096, memoryBytes: 32_000, sync: 1 });
    const [fast, slow] = [journal.reader("fast"), journal.reader("slow")];
    const got: number[] = [];
    for (let n = 0; n < 1000; n++) {
      await journal.append(numbered(100, 100 * n));
      if (n % 10 === 0) got.push(...await drain(fast, 1000));
    }
    got.push(...await drain(fast));
    assert.deepEqual(got, range(0, 100_000));
    assert.ok((segmentsOf(directory)).length > 20);
    assert.equal(journal.pendingPoints, 100_000);
    assert.deepEqual(await drain(slow), range(0, 100_000));
    assert.ok((segmentsOf(directory)).length <= 1);
    assert.equal(journal.pendingPoints, 0);
    assert.ok(journal.stats.diskBytes < 8192);
  }));

Deno.test("cut at any byte of its last records, the journal has every record before, and goes on", () =>
  withDirectory(async (root) => {
    const whole = `${root}/whole`;
    {
      await using journal = await open(whole);
      journal.reader("a");
      await fill(journal, 4, 0, 3);
    }
    const [segment] = segmentsOf(whole);
    const bytes = await Deno.readFile(segment);
    let before = 0;
    for (let length = 0; length <= bytes.length; length++) {
      const directory = `${root}/${length}`;
      await copyOf(whole, directory);
      await Deno.truncate(segment.replace(whole, directory), length);
      await using journal = await open(directory);
      const reader = journal.reader("b");
      await fill(journal, 1, 100);
      journal.end();
      const numbers = await drain(reader);
      assert.equal(numbers.pop(), 100);
      assert.deepEqual(numbers, range(0, numbers.length));
      assert.ok(numbers.length >= before && numbers.length % 3 === 0);
      before = numbers.length;
    }
    assert.equal(before, 12);
  }));

Deno.test("copied while it runs, the journal has all that was durable", () =>
  withDirectory(async (root) => {
    await using journal = await open(`${root}/live`, { segmentBytes: 2000 });
    journal.reader("a");
    for (let n = 0; n < 20; n++) {
      const done = fill(journal, 10, 10 * n);
      const durable = journal.writtenPosition;
      await copyOf(`${root}/live`, `${root}/copy`);
      await done;
      {
        await using copy = await open(`${root}/copy`);
        const numbers = await drain(copy.reader("a"));
        assert.deepEqual(numbers, range(0, numbers.length));
        assert.ok(numbers.length >= durable, `${numbers.length} of ${durable}`);
      }
      await Deno.remove(`${root}/copy`, { recursive: true });
    }
  }));

/** What a byte of a segment belongs to. */
function placeOf(
  bytes: Uint8Array,
  at: number,
): "header" | "length" | "snapshot" | "number of points" | "record" | "last record" {
  if (at < 40) return "header";
  const view = new DataView(bytes.buffer);
  for (let start = 40, end;; start = end) {
    end = start + 8 + view.getUint32(start, true);
    if (at >= end) continue;
    if (at < start + 4) return "length";
    if (start === 40) return "snapshot";
    if (end === bytes.length) return "last record";
    // How many origins there are, and how many rows.
    return at === start + 8 || at === start + 9 ? "number of points" : "record";
  }
}

Deno.test("a flipped byte anywhere costs what comes behind it in its segment, which is counted and set aside", () =>
  withDirectory(async (root) => {
    const whole = `${root}/whole`;
    {
      await using journal = await open(whole, { segmentBytes: 100 });
      journal.reader("a");
      for (let n = 0; n < 12; n++) await fill(journal, 1, n);
    }
    const segments = segmentsOf(whole);
    assert.equal(segments.length, 3);
    for (const [which, segment] of segments.entries()) {
      const isLast = which === segments.length - 1;
      const bytes = await Deno.readFile(segment);
      for (let at = 0; at < bytes.length; at++) {
        const place = placeOf(bytes, at);
        const what = `byte ${at} of segment ${which}: ${place}`;
        const directory = `${root}/${which}-${at}`;
        await copyOf(whole, directory);
        const damaged = bytes.slice();
        damaged[at] ^= 0x10;
        await Deno.writeFile(segment.replace(whole, directory), damaged);
        {
          await using journal = await open(directory);
          const reader = journal.reader("a");
          await fill(journal, 1, 100);
          journal.end();
          const numbers = await drain(reader);
          const { stats } = journal;
          assert.equal(numbers.pop(), 100, what);
          assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b), what);
          // Behind the last segment nothing says what should be there: its end may be torn by a crash, and what a
          // record says of itself may be what is damaged.
          const isCounted = !isLast || ["header", "snapshot", "record"].includes(place);
          if (isCounted) assert.equal(numbers.length + stats.damagedPoints, 12, what);
          assert.equal(numbers.length === 12, place === "snapshot", what);
          assert.ok(stats.quarantinedSegments + stats.tornTails >= 1, what);
          if (stats.quarantinedSegments > 0) {
            const kept = [...Deno.readDirSync(`${directory}/quarantine`)].map(({ name }) =>
              Deno.readFileSync(`${directory}/quarantine/${name}`)
            );
            assert.deepEqual(kept[0], damaged, what);
          }
        }
        await Deno.remove(directory, { recursive: true });
      }
    }
  }));

Deno.test("a missing segment is a gap, unknown files are left alone, a damaged cursor begins anew", () =>
  withDirectory(async (directory) => {
    {
      await using journal = await open(directory, { segmentBytes: 100 });
      await drain(journal.reader("a"));
      for (let n = 0; n < 12; n++) await fill(journal, 1, n);
    }
    const segments = segmentsOf(directory);
    await Deno.remove(segments[1]);
    await Deno.writeTextFile(`${directory}/notes.txt`, "mine");
    await Deno.writeTextFile(`${directory}/a.cursor`, "{");
    await using journal = await open(directory);
    const numbers = await drain(journal.reader("a"));
    assert.ok(numbers.length < 12 && numbers[0] === 0 && numbers.at(-1) === 11);
    assert.equal(numbers.length + journal.stats.damagedPoints, 12);
    assert.equal(await Deno.readTextFile(`${directory}/notes.txt`), "mine");
  }));

Deno.test("drop_oldest: a reader that is behind loses the oldest, each point counted", () =>
  withDirectory(async (directory) => {
    let told = 0;
    const options: Options = {
      maxBytes: 20_000,
      segmentBytes: 4000,
      memoryBytes: 3200,
      onFull: "drop_oldest",
    };
    await using journal = await open(directory, { ...options, onDrop: (points) => told += points });
    const [slow, fast] = [journal.reader("slow"), journal.reader("fast")];
    const got: number[] = [];
    for (let n = 0; n < 200; n++) {
      await fill(journal, 1, 100 * n, 100);
      got.push(...await drain(fast, 100));
    }
    assert.deepEqual(got, range(0, 20_000));
    const kept = await drain(slow);
    assert.deepEqual(kept, range(20_000 - kept.length, 20_000));
    assert.equal(slow.droppedPoints, 20_000 - kept.length);
    assert.ok(slow.droppedPoints > 0 && fast.droppedPoints === 0);
    assert.equal(journal.stats.droppedPoints, slow.droppedPoints);
    assert.equal(told, slow.droppedPoints);
  }));

Deno.test("block: who appends waits until there is room again, or until unblock", () =>
  withDirectory(async (directory) => {
    await using journal = await open(directory, { maxBytes: 8000, memoryBytes: 6400 });
    const reader = journal.reader("a");
    let appended = 0;
    const producing = (async () => {
      for (; appended < 100; appended++) await journal.append(numbered(100, 100 * appended));
    })();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(appended > 10 && appended < 100, String(appended));
    assert.deepEqual(await drain(reader), range(0, 10_000));
    await producing;
    assert.equal(journal.stats.droppedPoints, 0);
  }));

Deno.test("the end: readers get what is kept and then the end, producers an error", () =>
  withDirectory(async (directory) => {
    await using journal = await open(directory, { sync: 60_000 });
    const reader = journal.reader("a");
    journal.append(numbered(0));
    journal.append(numbered(2));
    journal.end();
    assert.deepEqual(await drain(reader), [0, 1]);
    assert.equal(await reader.wait(), "ended");
    assert.throws(() => journal.append(numbered(1)), /ended/);
  }));

Deno.test("closing writes what waits for its interval", () =>
  withDirectory(async (directory) => {
    const journal = await open(directory, { sync: 60_000 });
    journal.append(numbered(5));
    await journal.close();
    await journal.close();
    await using again = await open(directory);
    assert.deepEqual(await drain(again.reader("a")), range(0, 5));
  }));

Deno.test("a second process is told which directory, and what to do", () =>
  withDirectory(async (directory) => {
    {
      await using _first = await open(directory);
      await assert.rejects(open(directory), (error) => {
        assert.ok(error instanceof ExitError && error.exitCode === 69);
        assert.match(error.message, new RegExp(`${directory}.*Stop that process`));
        return true;
      });
    }
    // What still waited for the lock lets it go.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await using _again = await open(directory);
  }));

async function mounted(directory: string): Promise<boolean> {
  const mount = new Deno.Command("mount", { args: ["-t", "tmpfs", "-o", "size=256k", "tmpfs", directory] });
  try {
    return (await mount.output()).success;
  } catch {
    return false;
  }
}

for (const onFull of ["block", "drop_oldest"] as const) {
  Deno.test(`a full disk, then a free one, ${onFull}: nothing is lost but what is counted`, () =>
    withDirectory(async (directory) => {
      if (!await mounted(directory)) {
        if (Deno.env.get("CI")) throw new Error("Cannot mount a tmpfs, which CI must be able to");
        console.log("skipped: a tmpfs cannot be mounted here");
        return;
      }
      try {
        const ballast = `${directory}/ballast`;
        await Deno.writeFile(ballast, new Uint8Array(200 * 1024));
        const options = { memoryBytes: 320_000, segmentBytes: 20_000, retryMs: 10, onFull };
        await using journal = await open(directory, options);
        const reader = journal.reader("a");
        let appended = 0;
        const producing = (async () => {
          for (; appended < 400; appended++) {
            await journal.append(numbered(100, 100 * appended));
            if (appended % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
          }
        })();
        await new Promise((resolve) => setTimeout(resolve, 300));
        if (onFull === "block") assert.ok(appended < 400);
        await Deno.remove(ballast);
        const numbers: number[] = [];
        while (appended < 400) numbers.push(...await drain(reader));
        await producing;
        await synced(journal);
        numbers.push(...await drain(reader));
        assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b));
        assert.equal(numbers.length + reader.droppedPoints, 40_000);
        assert.equal(numbers.at(-1), 39_999);
        if (onFull === "block") assert.equal(reader.droppedPoints, 0);
        assert.equal(journal.stats.droppedPoints, reader.droppedPoints);
        assert.equal(journal.stats.damagedPoints, 0);
      } finally {
        await new Deno.Command("umount", { args: [directory] }).output();
      }
    }));
}

Deno.test("a reader is told when what it has read is safe, and not before", () =>
  withDirectory(async (directory) => {
    await using journal = await open(directory, { sync: 100 });
    const reader = journal.reader("a");
    await reader.durable();
    await journal.append(numbered(1));
    await journal.append(numbered(1, 1));
    assert.deepEqual([reader.next()?.values[0], reader.next()?.values[0]], [0, 1]);
    let told = false;
    const durable = reader.durable().then(() => told = true);
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.deepEqual([told, journal.writtenPosition], [false, 0]);
    await durable;
    assert.equal(journal.writtenPosition, 2);
  }));

Deno.test("what should be written and cannot is a stall from the first try on, until it is written", () =>
  withDirectory(async (root) => {
    const directory = `${root}/journal`;
    await using journal = await open(directory, { retryMs: 10, segmentBytes: 64 });
    await fill(journal, 1, 0, 100);
    assert.equal(journal.stalledSince, undefined);
    await Deno.rename(directory, `${root}/away`);
    const before = performance.now();
    journal.append(numbered(1, 2));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const since = journal.stalledSince!;
    assert.ok(since >= before && since < before + 90, `${since - before}`);
    assert.equal(journal.stalledSince, since);
    await Deno.rename(`${root}/away`, directory);
    await journal.durable(journal.lastPosition);
    await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(journal.stalledSince, undefined);
  }));
