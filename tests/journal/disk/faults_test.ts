/** A journal whose file system is full, broken or in the way, and whose clocks jump. */
import assert from "node:assert/strict";
import type { DiskJournalOptions } from "../../../lib/journal/disk/disk_journal.ts";
import { type Files, type JournalFile, SYSTEM_FILES } from "../../../lib/journal/disk/format/files.ts";
import { EXIT, ExitError } from "../../../lib/base/errors.ts";
import { createLogger } from "../../../lib/base/log.ts";
import {
  batchOf,
  copyOf,
  drain,
  fill,
  open,
  range,
  segmentsOf,
  synced,
  withDirectory,
} from "../../kit/journal.ts";
import { numbered } from "../../kit/points.ts";
import { pause, until } from "../../kit/waiting.ts";
import { Wakeup } from "../../../lib/base/waiting.ts";

/** A disk of its own, of 256 KiB where nothing else is said, mounted at a directory for as long as the work takes. */
async function withDisk(work: (directory: string) => Promise<void>, size = "256k"): Promise<void> {
  await withDirectory(async (directory) => {
    if (!await mounted(directory, size)) {
      if (Deno.env.get("CI")) throw new Error("Cannot mount a tmpfs, which CI must be able to");
      console.log("skipped: a tmpfs cannot be mounted here");
      return;
    }
    try {
      await work(directory);
    } finally {
      await new Deno.Command("umount", { args: [directory] }).output();
    }
  });
}

async function mounted(directory: string, size: string): Promise<boolean> {
  const args = ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", directory];
  try {
    return (await new Deno.Command("mount", { args }).output()).success;
  } catch {
    return false;
  }
}

/** The system's files, which fail when they are told to. */
class FaultyFiles implements Files {
  /** Says with which error a call fails. */
  fault: (call: string, path: string) => Error | undefined = () => undefined;
  readonly calls: string[] = [];

  #check(call: string, path: string): void {
    this.calls.push(call);
    const error = this.fault(call, path);
    if (error) throw error;
  }

  async open(path: string, options?: Deno.OpenOptions): Promise<JournalFile> {
    this.#check("open", path);
    const file = await SYSTEM_FILES.open(path, options);
    return {
      read: (bytes) => this.#then("read", path, () => file.read(bytes)),
      write: (bytes) => this.#then("write", path, () => file.write(bytes)),
      seek: (offset, whence) => file.seek(offset, whence),
      sync: () => this.#then("sync", path, () => file.sync()),
      syncData: () => this.#then("sync", path, () => file.syncData()),
      truncate: (length) => this.#then("truncate", path, () => file.truncate(length)),
      close: () => file.close(),
      [Symbol.dispose]: () => file.close(),
    };
  }

  // deno-lint-ignore require-await
  async #then<T>(call: string, path: string, work: () => Promise<T>): Promise<T> {
    this.#check(call, path);
    return work();
  }

  readStart(path: string, length: number): Uint8Array<ArrayBuffer> {
    this.#check("readStart", path);
    return SYSTEM_FILES.readStart(path, length);
  }

  list(directory: string): Promise<string[]> {
    return this.#then("list", directory, () => SYSTEM_FILES.list(directory));
  }

  stat(path: string): Promise<Pick<Deno.FileInfo, "size" | "mtime">> {
    return this.#then("stat", path, () => SYSTEM_FILES.stat(path));
  }

  makeDirectory(path: string): Promise<void> {
    return this.#then("makeDirectory", path, () => SYSTEM_FILES.makeDirectory(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#then("rename", from, () => SYSTEM_FILES.rename(from, to));
  }

  copy(from: string, to: string): Promise<void> {
    return this.#then("copy", from, () => SYSTEM_FILES.copy(from, to));
  }

  truncate(path: string, length: number): Promise<void> {
    return this.#then("truncate", path, () => SYSTEM_FILES.truncate(path, length));
  }

  remove(path: string): void {
    this.#check("remove", path);
    SYSTEM_FILES.remove(path);
  }

  freeBytes(directory: string): Promise<number> {
    return this.#then("freeBytes", directory, () => SYSTEM_FILES.freeBytes(directory));
  }
}

const systemError = (code: string, message: string) => Object.assign(new Error(message), { code });
const EIO = () => systemError("EIO", "Input/output error (os error 5)");
const EACCES = () => new Deno.errors.PermissionDenied("Permission denied (os error 13)");

/** A log whose lines are kept. */
function keptLog() {
  const lines: string[] = [];
  return { lines, log: createLogger("journal", { write: (line) => lines.push(line) }) };
}

/** Both clocks, set by hand. */
class HandTimes {
  wall = Date.parse("2026-03-01T00:00:00Z");
  monotonic = 1_000_000;
  wallMs = () => this.wall;
  monotonicMs = () => this.monotonic;

  pass(ms: number): void {
    this.wall += ms;
    this.monotonic += ms;
  }
}

for (const call of ["open", "write", "sync", "rename"]) {
  for (const code of ["EIO", "EACCES"]) {
    Deno.test(`${code} in ${call} costs nothing: what comes is kept in memory, and written when that works again`, () =>
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
          await until(() => lines.some((line) => /can be written again/.test(line)));
        }
        await using journal = await open(directory, options);
        assert.deepEqual(await drain(journal.reader("a")), range(200, 600));
        const { damagedPoints, droppedPoints, quarantinedSegments } = journal.stats;
        assert.deepEqual([damagedPoints, droppedPoints, quarantinedSegments], [0, 0, 0]);
      }));
  }
}

Deno.test("a group of which only a part could be written is taken back", () =>
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

Deno.test("a directory that cannot be used is said to be so, with what to do", () =>
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
  Deno.test(`a segment whose ${call} fails when the journal is opened is set aside, and the rest is used`, () =>
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
      assert.match(lines.join(""), /ERROR .*set aside.*error 5/);
      assert.equal(journal.stats.quarantinedSegments, 1);
      await fill(journal, 3, 100);
    }));
}

Deno.test("a segment that cannot be read for a moment is read later; one that never can be is lost and counted", () =>
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

Deno.test("damage to the segment that is being written: what is behind is lost and counted, and writing goes on", () =>
  withDirectory(async (directory) => {
    const journal = await open(directory, { memoryBytes: 2000 });
    const reader = journal.reader("a");
    await fill(journal, 50, 0, 10);
    const [segment] = segmentsOf(directory);
    const bytes = Deno.readFileSync(segment);
    bytes[Math.floor(bytes.length / 2)] ^= 1;
    {
      // In place, as a disk does it: the journal has the file open.
      using file = Deno.openSync(segment, { write: true });
      file.writeSync(bytes);
    }
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

Deno.test("a copy to quarantine that fails is no reason to stop; the damaged file is left as it is", () =>
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

Deno.test("the quarantine is bounded: the oldest files are deleted, and named", () =>
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

Deno.test("max_age: what was written longer ago is dropped and counted, whatever the wall clock does meanwhile", () =>
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

for (const onFull of ["block", "drop_oldest"] as const) {
  Deno.test(`min_free, ${onFull}: nothing is written below it, what outputs take from memory need not be`, () =>
    withDisk(async (directory) => {
      const ballast = `${directory}/ballast`;
      const { lines, log } = keptLog();
      const times = new HandTimes();
      const options = {
        log,
        onFull,
        minFreeBytes: 64 * 1024,
        memoryBytes: 64_000,
        segmentBytes: 20_000,
        times,
      };
      await using journal = await open(directory, options);
      const [fast, slow] = [journal.reader("fast"), journal.reader("slow")];
      await fill(journal, 10, 0, 100);
      await drain(fast);
      await Deno.writeFile(ballast, new Uint8Array(200 * 1024));
      times.pass(2000);
      let appended = 10;
      const numbers: number[] = [];
      const before = journal.stats.diskBytes;
      const producing = (async () => {
        for (; appended < 60; appended++) await journal.append(numbered(100, 100 * appended));
      })();
      await until(() => lines.some((line) => /less room than it should/.test(line)));
      await pause(50);
      assert.equal(journal.stats.diskBytes, before, "nothing is written");
      assert.ok(onFull === "drop_oldest" || appended < 60, "the others wait");
      numbers.push(...await drain(fast));
      assert.ok(numbers.length > 0, "outputs go on from memory");
      numbers.push(...await drain(slow));
      await Deno.remove(ballast);
      times.pass(2000);
      await producing;
      await fill(journal, 1, 6000, 100);
      assert.match(lines.join(""), /has room again/);
      for (const reader of [fast, slow]) {
        await drain(reader);
        const { stored, dropped } = journal.clients.local.account(reader === fast ? "fast" : "slow");
        assert.equal(stored + dropped, 6100);
        assert.equal(dropped, reader.droppedPoints);
        if (onFull === "block") assert.equal(dropped, 0);
      }
      assert.equal(journal.stats.droppedPoints, Math.max(fast.droppedPoints, slow.droppedPoints));
    }));
}

Deno.test("while the disk is full, outputs that keep up get everything, and nobody waits", () =>
  withDisk(async (directory) => {
    await Deno.writeFile(`${directory}/ballast`, new Uint8Array(240 * 1024));
    const options = { memoryBytes: 64_000, segmentBytes: 20_000, retryMs: 5 };
    await using journal = await open(directory, options);
    const readers = ["a", "b"].map((name) => journal.reader(name));
    const got: number[][] = [[], []];
    // Ten times what there is room for, on the disk and in memory.
    for (let n = 0; n < 400; n++) {
      const room = journal.append(numbered(100, 100 * n));
      for (const [i, reader] of readers.entries()) {
        for (let batch; (batch = reader.next()); reader.commit(1)) {
          got[i].push(...batch.values.subarray(0, batch.length));
        }
      }
      await room;
      if (n % 20 === 0) await pause(2);
    }
    assert.deepEqual(got, [range(0, 40_000), range(0, 40_000)]);
    assert.equal(journal.pendingPoints, 0);
    assert.equal(journal.stats.droppedPoints, 0);
    for (const output of ["a", "b"]) assert.equal(journal.clients.local.account(output).stored, 40_000);
  }));

Deno.test("a journal that fills its disk goes on with the room that an output makes which waits for it", () =>
  withDisk(async (directory) => {
    const options = { memoryBytes: 64_000, segmentBytes: 20_000, retryMs: 5 };
    await using journal = await open(directory, options);
    const reader = journal.reader("a", { onlyDurable: true });
    let sequence = 0;
    let room: Promise<void> | void = undefined;
    // Until neither the disk nor the memory has room.
    while (true) {
      let full = true;
      room = journal.append(batchOf(journal.clients, "one", ++sequence, 100))?.then(() =>
        void (full = false)
      );
      if (room) await Promise.race([room, pause(200)]);
      else full = false;
      if (full) break;
    }
    const numbers: number[] = [];
    // It takes what it can get, and only then commits.
    while (numbers.length < sequence) {
      let taken = 0;
      assert.equal(await reader.wait(5000), "ready", `behind ${numbers.at(-1)} of ${sequence}`);
      for (let batch; (batch = reader.next()); taken++) numbers.push(batch.values[0]);
      reader.commit(taken);
    }
    await room;
    assert.deepEqual(numbers, range(1, sequence + 1));
    assert.equal(journal.stats.droppedPoints, 0);
  }));

for (const onFull of ["block", "drop_oldest"] as const) {
  Deno.test(`a full disk, then a free one, ${onFull}: nothing is lost but what is counted`, () =>
    withDisk(async (directory) => {
      const ballast = `${directory}/ballast`;
      await Deno.writeFile(ballast, new Uint8Array(200 * 1024));
      const options = { memoryBytes: 320_000, segmentBytes: 20_000, retryMs: 10, onFull };
      await using journal = await open(directory, options);
      const reader = journal.reader("a");
      let appended = 0;
      const producing = (async () => {
        for (; appended < 400; appended++) {
          await journal.append(numbered(100, 100 * appended));
          if (appended % 10 === 0) await pause(2);
        }
      })();
      await pause(300);
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
    }));
}

Deno.test("starts on a full disk have numbers of their own, and cursors are saved there", () =>
  withDisk(async (directory) => {
    {
      await using journal = await open(directory);
      journal.reader("a");
      await fill(journal, 10);
    }
    try {
      await Deno.writeFile(`${directory}/ballast`, new Uint8Array(256 * 1024));
    } catch { /* now it is full */ }
    const lines: string[] = [];
    const log = createLogger("journal", { write: (line) => lines.push(line) });
    let last = -1;
    for (let start = 0; start < 3; start++) {
      await using journal = await open(directory, { log });
      assert.ok(journal.lastPosition > last, `${journal.lastPosition} after ${last}`);
      const reader = journal.reader("a");
      // Only in memory, but an output has them, and their numbers.
      journal.append(numbered(1, 10));
      journal.append(numbered(1, 11));
      last = journal.lastPosition;
      assert.deepEqual(
        await drain(reader, start === 0 ? 4 : 3),
        range(start === 0 ? 0 : 1 + 3 * start, 4 + 3 * start),
      );
    }
    assert.deepEqual(lines.filter((line) => /id of the journal|cursor/.test(line)), []);
  }));

Deno.test("under a new id nothing is kept that an output was said to have under the old one, even after a crash", () =>
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

Deno.test("what should be written and cannot is a stall from the first try on, until it is written", () =>
  withDirectory(async (root) => {
    const directory = `${root}/journal`;
    await using journal = await open(directory, { retryMs: 10, segmentBytes: 64 });
    await fill(journal, 1, 0, 100);
    assert.equal(journal.stalledSince, undefined);
    await Deno.rename(directory, `${root}/away`);
    const before = performance.now();
    journal.append(numbered(1, 2));
    await pause(100);
    const since = journal.stalledSince!;
    assert.ok(since >= before && since < before + 90, `${since - before}`);
    assert.equal(journal.stalledSince, since);
    await Deno.rename(`${root}/away`, directory);
    await synced(journal);
    await pause(1);
    assert.equal(journal.stalledSince, undefined);
  }));

Deno.test("an output that waits although there is something to read is stalled, whatever kept it from being woken", () =>
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
