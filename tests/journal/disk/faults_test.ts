/** A journal whose file system is broken or in the way, and whose clocks jump. */
import assert from "node:assert/strict";
import type { DiskJournalOptions } from "../../../lib/journal/disk/disk_journal.ts";
import { EXIT, ExitError } from "../../../lib/base/errors.ts";
import { copyOf, drain, fill, open, range, segmentsOf, synced, withDirectory } from "../../kit/journal.ts";
import { numbered } from "../../kit/points.ts";
import { pause, until } from "../../kit/waiting.ts";
import { Wakeup } from "../../../lib/base/waiting.ts";
import { EACCES, EIO, FaultyFiles, HandTimes, keptLog, systemError } from "./faults.ts";

for (const call of ["open", "write", "sync", "rename"]) {
  for (const code of ["EIO", "EACCES"]) {
    Deno.test(`${code} in ${call} costs nothing: batches stay in memory, and are written when that works again`, () =>
      withDirectory(async (directory) => {
        const files = new FaultyFiles();
        const { lines, log } = keptLog();
        const options = { files, log, retryMs: 5, segmentBytes: 200 };
        {
          await using journal = await open(directory, options);
          const reader = journal.reader("a");
          await fill(journal, 3, 0, 20);
          files.fault = (made, path) =>
            made === call && /segment/.test(path) ? (code === "EIO" ? EIO() : EACCES()) : undefined;
          for (let n = 3; n < 30; n++) journal.append(numbered(20, 20 * n));
          await until(() => lines.some((line) => /Cannot write the journal.*(error 5|denied)/.test(line)));
          assert.equal((await drain(reader, 200)).length, 200, "outputs go on from memory");
          await pause(30);
          assert.equal(lines.filter((line) => /Cannot write the journal/.test(line)).length, 1);
          files.fault = () => undefined;
          await synced(journal);
          await until(() => lines.some((line) => /is writable again/.test(line)));
        }
        await using journal = await open(directory, options);
        assert.deepEqual(await drain(journal.reader("a")), range(200, 600));
        const { damagedPoints, droppedPoints, quarantinedSegments } = journal.stats;
        assert.deepEqual([damagedPoints, droppedPoints, quarantinedSegments], [0, 0, 0]);
      }));
  }
}

Deno.test("a partly written group is taken back", () =>
  withDirectory(async (directory) => {
    const files = new FaultyFiles();
    {
      await using journal = await open(directory, { files, retryMs: 5 });
      journal.reader("a");
      await fill(journal, 3);
      let syncs = 0;
      // Written and not synced, several times.
      files.fault = (call, path) =>
        call === "sync" && /segment/.test(path) && syncs++ < 3 ? EIO() : undefined;
      await fill(journal, 3, 3);
    }
    await using journal = await open(directory);
    assert.deepEqual(await drain(journal.reader("a")), range(0, 6));
  }));

Deno.test("an unusable directory is an error that says what to do", () =>
  withDirectory(async (directory) => {
    for (const call of ["makeDirectory", "list"]) {
      const files = new FaultyFiles();
      files.fault = (made) => made === call ? EACCES() : undefined;
      await assert.rejects(open(directory, { files }), (error) => {
        assert.ok(error instanceof ExitError && error.exitCode === EXIT.unavailable);
        assert.match(error.message, /Cannot use the journal in .*Permission denied.*writable.*journal\.path/);
        return true;
      });
    }
    // Nothing holds the lock.
    await using _journal = await open(directory);
  }));

for (const call of ["readStart", "read", "stat"]) {
  Deno.test(`a segment whose ${call} fails at the start is moved to quarantine, and the rest is used`, () =>
    withDirectory(async (directory) => {
      {
        await using journal = await open(directory, { segmentBytes: 100 });
        journal.reader("a");
        for (let n = 0; n < 20; n++) await fill(journal, 1, n);
      }
      const last = segmentsOf(directory).at(-1)!;
      const files = new FaultyFiles();
      files.fault = (made, path) => made === call && path === last ? EIO() : undefined;
      const { lines, log } = keptLog();
      await using journal = await open(directory, { files, log });
      const numbers = await drain(journal.reader("a"));
      assert.ok(numbers.length > 5 && numbers.length < 20);
      assert.deepEqual(numbers, range(0, numbers.length));
      assert.match(lines.join(""), /ERROR .*moved to quarantine.*error 5/);
      assert.equal(journal.stats.quarantinedSegments, 1);
      await fill(journal, 3, 100);
    }));
}

Deno.test("a segment that is unreadable for a moment is read later; one that stays unreadable is lost and counted", () =>
  withDirectory(async (directory) => {
    {
      await using journal = await open(directory, { segmentBytes: 100 });
      journal.reader("a");
      for (let n = 0; n < 20; n++) await fill(journal, 1, n);
    }
    const [, second] = segmentsOf(directory);
    const files = new FaultyFiles();
    const { lines, log } = keptLog();
    let failures = 3;
    await using journal = await open(directory, { files, log, retryMs: 5 });
    const [a, b] = [journal.reader("a"), journal.reader("b")];
    files.fault = (call, path) => call === "open" && path === second && failures-- > 0 ? EIO() : undefined;
    const numbers: number[] = [];
    while (numbers.at(-1) !== 19) numbers.push(...await drain(a));
    assert.deepEqual(numbers, range(0, 20));
    assert.deepEqual(lines, []);
    failures = Infinity;
    numbers.length = 0;
    while (numbers.at(-1) !== 19) numbers.push(...await drain(b));
    assert.equal(numbers.length + journal.stats.damagedPoints, 20);
    assert.equal(journal.clients.local.account("b").dropped, journal.stats.damagedPoints);
    assert.ok(journal.stats.damagedPoints > 0 && numbers.at(-1) === 19);
    assert.match(lines.join(""), /Cannot read a segment.*error 5/);
  }));

/** Flips a bit in place, as a disk does it: the journal has the file open. */
function damageMiddle(segment: string): void {
  const bytes = Deno.readFileSync(segment);
  bytes[Math.floor(bytes.length / 2)] ^= 1;
  using file = Deno.openSync(segment, { write: true });
  file.writeSync(bytes);
}

Deno.test("damage to the segment that is being written costs later records, which are counted, and writing continues", () =>
  withDirectory(async (directory) => {
    const journal = await open(directory, { memoryBytes: 2000 });
    const reader = journal.reader("a");
    await fill(journal, 50, 0, 10);
    damageMiddle(segmentsOf(directory)[0]);
    let appended = 500;
    const appending = (async () => {
      for (; appended < 1000; appended += 10) {
        await journal.append(numbered(10, appended));
        await pause(1);
      }
    })();
    const numbers = await drain(reader);
    await appending;
    await synced(journal);
    numbers.push(...await drain(reader));
    assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b));
    assert.equal(numbers.at(-1), 999);
    assert.ok(numbers.length < 1000);
    assert.equal(numbers.length + journal.stats.damagedPoints, 1000);
    assert.equal(journal.stats.quarantinedSegments, 1);
    assert.equal(journal.clients.local.account("a").dropped, journal.stats.damagedPoints);
    await fill(journal, 5, 1000);
    await journal.close();
    await using again = await open(directory);
    assert.deepEqual(await drain(again.reader("a")), range(1000, 1005));
  }));

Deno.test("damage that is found while a group cannot be written ends no output", () =>
  withDirectory(async (directory) => {
    const files = new FaultyFiles();
    const { lines, log } = keptLog();
    await using journal = await open(directory, { files, log, memoryBytes: 2000, retryMs: 1 });
    const reader = journal.reader("a");
    await fill(journal, 50, 0, 10);
    damageMiddle(segmentsOf(directory)[0]);
    const syncing = Promise.withResolvers<void>();
    files.beforeSync = () => syncing.promise;
    void journal.append(numbered(10, 500));
    const calls = files.calls.length;
    await until(() => files.calls.slice(calls).includes("sync"));
    const drained = drain(reader);
    // The reader comes to the damage.
    await pause(50);
    files.beforeSync = undefined;
    syncing.reject(EIO());
    const numbers = await drained;
    await synced(journal);
    numbers.push(...await drain(reader));
    assert.equal(numbers.at(-1), 509);
    assert.equal(numbers.length + journal.stats.damagedPoints, 510);
    assert.match(lines.join(""), /Cannot write the journal.*error 5/);
    assert.match(lines.join(""), /has a damaged record/);
  }));

Deno.test("a failed copy to quarantine does not stop the journal; the damaged file stays as it is", () =>
  withDirectory(async (directory) => {
    {
      await using journal = await open(directory, { segmentBytes: 100 });
      journal.reader("a");
      for (let n = 0; n < 20; n++) await fill(journal, 1, n);
    }
    const segments = segmentsOf(directory);
    const damaged = [segments[1], segments.at(-1)!].map((path) => {
      const bytes = Deno.readFileSync(path);
      bytes[90] ^= 1;
      Deno.writeFileSync(path, bytes);
      return { path, bytes };
    });
    const files = new FaultyFiles();
    files.fault = (call) => call === "copy" ? systemError("ENOSPC", "No space left on device") : undefined;
    const { lines, log } = keptLog();
    {
      await using journal = await open(directory, { files, log });
      const reader = journal.reader("a");
      await fill(journal, 1, 100);
      const numbers = await drain(reader, 2);
      // What is read ahead is enough to come to both.
      assert.deepEqual(numbers, [0, 1]);
      assert.equal(journal.stats.quarantinedSegments, 2);
      assert.ok(journal.stats.damagedPoints > 0);
    }
    assert.equal(lines.filter((line) => /no_copy="No space/.test(line)).length, 2);
    for (const { path, bytes } of damaged) assert.deepEqual(Deno.readFileSync(path), bytes);
    await using journal = await open(directory);
    const numbers = await drain(journal.reader("a"));
    assert.equal(numbers[0], 2);
    assert.equal(numbers.at(-1), 100);
  }));

Deno.test("the quarantine is bounded: the oldest files are deleted and logged", () =>
  withDirectory(async (directory) => {
    const { lines, log } = keptLog();
    const times = new HandTimes();
    const found: string[][] = [];
    for (let n = 0; n < 6; n++) {
      times.pass(1000);
      const garbage = new Uint8Array(1000).fill(n + 1);
      Deno.mkdirSync(directory, { recursive: true });
      Deno.writeFileSync(`${directory}/${String(n).padStart(20, "0")}.segment`, garbage);
      await using _journal = await open(directory, { log, times, quarantineBytes: 3500 });
      found.push([...Deno.readDirSync(`${directory}/quarantine`)].map(({ name }) => name).sort());
    }
    assert.deepEqual(found.map(({ length }) => length), [1, 2, 3, 3, 3, 3]);
    assert.ok(found.at(-1)!.every((name, i) => name.endsWith(`${i + 3}.segment`)), `${found.at(-1)}`);
    const deleted = lines.filter((line) => /oldest file is deleted/.test(line));
    assert.equal(deleted.length, 3);
    assert.match(deleted[0], /0{20}\.segment bytes=1000/);
  }));

Deno.test("max_age: older points are dropped and counted, whatever the wall clock does", () =>
  withDirectory(async (directory) => {
    const HOUR = 3_600_000;
    const times = new HandTimes();
    const options: Partial<DiskJournalOptions> = { times, maxAgeMs: HOUR, memoryBytes: 100 };
    const journal = await open(directory, options);
    const reader = journal.reader("a");
    await fill(journal, 4);
    times.pass(20 * 60_000);
    // A segment does not span more than an eighth of the age.
    await fill(journal, 4, 4);
    assert.equal(segmentsOf(directory).length, 2);
    // A year forth, and two back: nothing of that has passed.
    times.wall += 365 * 24 * HOUR;
    await fill(journal, 1, 8);
    times.wall -= 2 * 365 * 24 * HOUR;
    await fill(journal, 1, 9);
    assert.equal(journal.stats.droppedPoints, 0);
    times.pass(30 * 60_000);
    await fill(journal, 1, 10);
    assert.equal(journal.stats.droppedPoints, 0);
    times.pass(15 * 60_000);
    await fill(journal, 1, 11);
    await until(() => journal.stats.droppedPoints === 4);
    assert.equal(reader.droppedPoints, 4);
    assert.equal(journal.clients.local.account("a").dropped, 4);
    await journal.close();
    // What is older than that when the journal is opened goes too; what is only the table of clients stays.
    for (const path of segmentsOf(directory)) Deno.utimeSync(path, times.wall / 1000, times.wall / 1000);
    times.pass(2 * HOUR);
    {
      await using again = await open(directory, options);
      const reader = again.reader("a");
      assert.equal(reader.pendingPoints, 8);
      await until(() => again.stats.droppedPoints === 8);
      assert.equal(reader.pendingPoints, 0);
      assert.equal(await reader.wait(1), "timeout");
      assert.equal(segmentsOf(directory).length, 1);
      await fill(again, 1, 12);
      assert.deepEqual(await drain(reader), [12]);
    }
    // A file from the future is as if it were new.
    for (const path of segmentsOf(directory)) {
      Deno.utimeSync(path, times.wall / 1000 + 1e6, times.wall / 1000 + 1e6);
    }
    await using again = await open(directory, options);
    await fill(again, 1, 13);
    assert.deepEqual(await drain(again.reader("b")), [12, 13]);
  }));

Deno.test("a new id keeps nothing that an output had under the old one, even after a crash", () =>
  withDirectory(async (root) => {
    const directory = `${root}/journal`;
    {
      await using journal = await open(directory);
      await fill(journal, 10);
    }
    await using journal = await open(directory);
    const { id } = journal;
    const reader = journal.reader("a");
    reader.resumeAfter(journal.lastPosition + 5);
    await journal.renewId();
    assert.notEqual(journal.id, id);
    // As if it had been killed now.
    await copyOf(directory, `${root}/killed`);
    await using next = await open(`${root}/killed`);
    assert.equal(next.id, journal.id);
    assert.deepEqual(await drain(next.reader("a")), []);
  }));

Deno.test("a failing write is a stall from the first try until it succeeds", () =>
  withDirectory(async (root) => {
    const directory = `${root}/journal`;
    await using journal = await open(directory, { retryMs: 10, segmentBytes: 64 });
    await fill(journal, 1, 0, 100);
    assert.equal(journal.stalledSince, undefined);
    await Deno.rename(directory, `${root}/away`);
    const before = performance.now();
    journal.append(numbered(1, 2));
    await until(() => journal.stalledSince !== undefined);
    const since = journal.stalledSince!;
    assert.ok(since >= before, `${since - before}`);
    // It tries again and again.
    await pause(50);
    assert.equal(journal.stalledSince, since);
    await Deno.rename(`${root}/away`, directory);
    await synced(journal);
    await until(() => journal.stalledSince === undefined);
  }));

Deno.test("an output that waits although there is something to read is stalled, whatever the cause", () =>
  withDirectory(async (directory) => {
    await using journal = await open(directory);
    const reader = journal.reader("a");
    const waiting = reader.wait();
    assert.equal(reader.stalledSince, undefined);
    const { wake } = Wakeup.prototype;
    Wakeup.prototype.wake = () => {};
    const before = performance.now();
    try {
      journal.append(numbered(1));
    } finally {
      Wakeup.prototype.wake = wake;
    }
    const since = reader.stalledSince!;
    assert.ok(since >= before && since <= performance.now());
    // What comes later does not make it younger, and wakes the output.
    await fill(journal, 1, 1);
    assert.equal(await waiting, "ready");
    assert.equal(reader.stalledSince, undefined);
    assert.deepEqual(await drain(reader), [0, 1]);
    assert.equal(reader.stalledSince, undefined);
  }));

Deno.test("what was appended is durable when it is synced, and not while the disk fails", () =>
  withDirectory(async (directory) => {
    const files = new FaultyFiles();
    await using journal = await open(directory, { files, retryMs: 5, sync: "always" });
    journal.reader("a");
    await journal.untilDurable();
    let fails = 0;
    files.fault = (call, path) => call === "sync" && /segment/.test(path) && ++fails > 0 ? EIO() : undefined;
    journal.append(numbered(1));
    let isDurable = false;
    const durable = journal.untilDurable().then(() => isDurable = true);
    await until(() => fails > 2);
    assert.equal(isDurable, false);
    files.fault = () => undefined;
    await durable;
    assert.equal(journal.writtenPosition, journal.lastPosition + 1);
  }));
