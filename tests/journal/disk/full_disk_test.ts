/** A journal whose disk is full. */
import assert from "node:assert/strict";
import { createLogger } from "../../../lib/base/log.ts";
import { batchOf, drain, fill, open, range, synced, withDirectory } from "../../kit/journal.ts";
import { numbered } from "../../kit/points.ts";
import { PATIENCE_MS, pause, settled, until } from "../../kit/waiting.ts";
import { FaultyFiles, HandTimes, keptLog, withDisk } from "./faults.ts";

for (const onFull of ["block", "drop_oldest"] as const) {
  Deno.test(`min_free, ${onFull}: nothing is written below it, and outputs still read from memory`, () =>
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
      await until(() => lines.some((line) => /less free space than min_free/.test(line)));
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
      assert.match(lines.join(""), /has enough free space again/);
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

Deno.test("while the disk is full, outputs that keep up get everything and nobody waits", () =>
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

Deno.test("a journal that fills its disk continues with the room that a waiting output makes", () =>
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
      // The time is tested: a journal with room takes a batch within 40 tries of its disk.
      if (room) await Promise.race([room, pause(200)]);
      else full = false;
      if (full) break;
    }
    const numbers: number[] = [];
    // It takes what it can get, and only then commits.
    while (numbers.length < sequence) {
      let taken = 0;
      assert.equal(await reader.wait(PATIENCE_MS), "ready", `behind ${numbers.at(-1)} of ${sequence}`);
      for (let batch; (batch = reader.next()); taken++) numbers.push(batch.values[0]);
      reader.commit(taken);
    }
    await room;
    assert.deepEqual(numbers, range(1, sequence + 1));
    assert.equal(journal.stats.droppedPoints, 0);
  }));

for (const onFull of ["block", "drop_oldest"] as const) {
  Deno.test(`a full disk, then a free one, ${onFull}: every lost point is counted`, () =>
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
      if (onFull === "block") {
        await settled(() => appended);
        assert.ok(appended < 400);
      } else await until(() => appended === 400);
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

Deno.test("each start on a full disk has its own numbers, and saves its cursors", () =>
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

Deno.test("what outputs take while the disk is asked for room is not written any more, and is no hang", () =>
  withDirectory(async (directory) => {
    const files = new FaultyFiles();
    const times = new HandTimes();
    const { log } = keptLog();
    await using journal = await open(directory, { files, times, log, minFreeBytes: 1, retryMs: 1 });
    const reader = journal.reader("a");
    const got: number[] = [];
    let asked = 0;
    files.fault = (call) => {
      if (call === "write") return Object.assign(new Error("No space left on device"), { code: "ENOSPC" });
      if (call !== "freeBytes") return;
      for (let batch; (batch = reader.next()); reader.commit(1)) got.push(batch.values[0]);
      asked++;
    };
    for (let n = 0; n < 3; n++) {
      times.pass(2000);
      void journal.append(numbered(1, n));
      await until(() => asked === n + 1);
      await pause(20);
      assert.equal(journal.stalledSince, undefined);
    }
    assert.deepEqual(got, range(0, 3));
    files.fault = () => undefined;
    await fill(journal, 1, 3, 1);
    assert.deepEqual(await drain(reader), [3]);
  }));
