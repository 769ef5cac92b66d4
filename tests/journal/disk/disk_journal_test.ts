import assert from "node:assert/strict";
import type { DiskJournalOptions } from "../../../lib/journal/disk/disk_journal.ts";
import { ExitError } from "../../../lib/base/errors.ts";
import { createLogger } from "../../../lib/base/log.ts";
import { type Batch, BatchPool } from "../../../lib/points/measurement.ts";
import { seriesStore } from "../../../lib/points/series_store.ts";
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
import { unlocked } from "../../kit/locks.ts";
import { FaultyFiles } from "./faults.ts";
import { batchOf as pointsOf, numbered, NUMBERS, series } from "../../kit/points.ts";
import { PATIENCE_MS, pause, until } from "../../kit/waiting.ts";

Deno.test("a restart resumes each cursor at its position", () =>
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

Deno.test("uncommitted batches come again; a reader can begin where its output says", () =>
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

Deno.test("a number never stands for two batches, even if the first one was never written", () =>
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

Deno.test("the id belongs to the directory on its host; a copy on another host gets its own, which is logged", () =>
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
    assert.match(lines[1], /WARN .*Cannot read the id.*new one/);
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
  Deno.test(`an output resumes after a position ${name}; skipped batches count as stored`, () =>
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

Deno.test("two readers at different paces get 100,000 points from small segments, which are deleted behind both", () =>
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

Deno.test("a segment has six points of each of its series, but at most a quarter of the largest size", () =>
  withDirectory(async (root) => {
    const all = Array.from({ length: 50 }, (_, n) => series(NUMBERS.metric, [["n", String(n)]]));
    const sizesWith = async (maxBytes: number) => {
      const directory = `${root}/${maxBytes}`;
      await using journal = await open(directory, { segmentBytes: 64, maxBytes });
      journal.reader("a");
      for (let n = 0; n < 24; n++) {
        journal.append(pointsOf(all.map((series) => [series, 1])));
        await synced(journal);
      }
      return segmentsOf(directory).map((path) => Deno.statSync(path).size);
    };
    const sizes = await sizesWith(100_000);
    assert.equal(sizes.length, 4);
    const most = Math.min(...sizes);
    const smaller = await sizesWith(2 * most);
    assert.ok(smaller.length > 4 && smaller.every((bytes) => bytes < most), `${smaller} instead of ${sizes}`);
  }));

Deno.test("drop_oldest: a reader that is behind loses the oldest points, each of them counted", () =>
  withDirectory(async (directory) => {
    let told = 0;
    const options: Partial<DiskJournalOptions> = {
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

Deno.test("block: a producer waits until there is room again, or until unblock", () =>
  withDirectory(async (directory) => {
    await using journal = await open(directory, { maxBytes: 8000, memoryBytes: 6400 });
    const reader = journal.reader("a");
    let appended = 0;
    const producing = (async () => {
      for (; appended < 100; appended++) await journal.append(numbered(100, 100 * appended));
    })();
    await until(() => appended > 10);
    await pause(100);
    assert.ok(appended < 100, String(appended));
    const got: number[] = [];
    while (got.length < 10_000) got.push(...await drain(reader));
    assert.deepEqual(got, range(0, 10_000));
    await producing;
    assert.equal(journal.stats.droppedPoints, 0);
  }));

Deno.test("the end: readers get the rest and then the end, producers get an error", () =>
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

Deno.test("closing writes batches that wait for the sync interval", () =>
  withDirectory(async (directory) => {
    const journal = await open(directory, { sync: 60_000 });
    journal.append(numbered(5));
    await journal.close();
    await journal.close();
    await using again = await open(directory);
    assert.deepEqual(await drain(again.reader("a")), range(0, 5));
  }));

Deno.test("a second process gets an error with the directory and what to do", () =>
  withDirectory(async (directory) => {
    {
      await using _first = await open(directory);
      await assert.rejects(open(directory), (error) => {
        assert.ok(error instanceof ExitError && error.exitCode === 69);
        assert.match(error.message, new RegExp(`${directory}.*Stop that process`));
        return true;
      });
    }
    await unlocked(directory);
    await using _again = await open(directory);
  }));

Deno.test("what is on disk is ready, however short the wait, and what is not there is waited for", () =>
  withDirectory(async (directory) => {
    {
      await using journal = await open(directory, { segmentBytes: 64 });
      await fill(journal, 3);
    }
    await using journal = await open(directory);
    const reader = journal.reader("a");
    for (let n = 0; n < 3; n++) {
      const state = await reader.wait(0);
      assert.deepEqual([state, reader.next()?.values[0]], ["ready", n]);
    }
    assert.equal(await reader.wait(0), "timeout");
  }));

Deno.test("a reader listens once to a signal that it waits with again and again, until another one comes or the journal is closed", () =>
  withDirectory(async (directory) => {
    const listeners = (signal: AbortSignal) => {
      const count = { added: 0, removed: 0 };
      const { addEventListener, removeEventListener } = signal;
      signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
        count.added++;
        addEventListener.apply(signal, args);
      };
      signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
        count.removed++;
        removeEventListener.apply(signal, args);
      };
      return count;
    };
    const [first, second] = [new AbortController(), new AbortController()];
    const counts = [listeners(first.signal), listeners(second.signal)];
    {
      await using journal = await open(directory);
      const reader = journal.reader();
      for (let n = 0; n < 3; n++) {
        const waiting = reader.wait(PATIENCE_MS, first.signal);
        await journal.append(numbered(1, n));
        assert.equal(await waiting, "ready");
        reader.next();
      }
      const waiting = reader.wait(PATIENCE_MS, first.signal);
      first.abort();
      assert.equal(await waiting, "aborted");
      assert.equal(await reader.wait(PATIENCE_MS, first.signal), "aborted");
      assert.deepEqual(counts, [{ added: 1, removed: 0 }, { added: 0, removed: 0 }]);
      assert.equal(await reader.wait(1, second.signal), "timeout");
    }
    assert.deepEqual(counts, [{ added: 1, removed: 1 }, { added: 1, removed: 1 }]);
  }));

for (const lateMs of [10, 90]) {
  Deno.test(`catch_up_rate limits reading from disk and nothing else, where waits end up to ${lateMs} ms late`, () =>
    withDirectory(async (directory) => {
      {
        await using journal = await open(directory);
        await fill(journal, 400, 0, 50);
      }
      const rate = 40_000;
      const bytes = segmentsOf(directory).reduce((sum, path) => sum + Deno.statSync(path).size, 0);
      let ms = 0;
      const times = { wallMs: () => Date.now(), monotonicMs: () => ms };
      await using journal = await open(directory, { catchUpRate: rate, times });
      const reader = journal.reader("a");
      const numbers: number[] = [];
      while (numbers.length < 20_000) {
        // Waiting for the rate is waiting like any other: it ends without a batch.
        if (await reader.wait(1) === "timeout") ms += lateMs;
        for (let batch; (batch = reader.next()); reader.commit(1)) {
          numbers.push(...batch.values.subarray(0, batch.length));
        }
      }
      const seconds = ms / 1000;
      assert.deepEqual(numbers, range(0, 20_000));
      assert.ok(bytes > 20_000, `${bytes} bytes`);
      // The first burst is free, and the last wait is for what comes behind it.
      assert.ok(
        seconds > 0.8 * bytes / rate - 0.3 && seconds < bytes / rate + 0.3,
        `${bytes} bytes in ${seconds} s`,
      );
      await fill(journal, 1000, 20_000, 50);
      assert.equal((await drain(reader)).length, 50_000, "from memory there is no limit");
    }));
}

/** Time passes so much slower: an output that a busy machine keeps waiting is still an active one. */
function slowedDown(times: number): Disposable {
  const { now } = performance;
  const began = performance.now();
  performance.now = () => began + (now.call(performance) - began) / times;
  return { [Symbol.dispose]: () => void (performance.now = now) };
}

Deno.test("a network input waits for active outputs, and not for one that is stuck", () =>
  withDirectory(async (directory) => {
    using _ = slowedDown(100);
    await using journal = await open(directory, { memoryBytes: 400_000, sync: 5 });
    const [live, stuck] = [journal.reader("live"), journal.reader("stuck")];
    let behind = 0;
    let read = 0;
    const reading = (async () => {
      while (await live.wait() === "ready") {
        for (let batch; (batch = live.next());) {
          read += batch.length;
          behind = Math.max(behind, journal.lastPosition - live.position);
          live.commit(1);
          // Half as fast as what comes.
          await pause(2);
        }
      }
    })();
    for (let n = 0; n < 300; n++) await journal.append(numbered(1000, 1000 * n));
    journal.end();
    await reading;
    assert.equal(read, 300_000);
    assert.ok(behind < 100, `${behind} batches behind`);
    assert.equal(stuck.pendingPoints, 300_000);
  }));

Deno.test("batches that were just written are not read from disk, unless they far exceed the memory", () =>
  withDirectory(async (directory) => {
    const memoryBytes = 400_000;
    await using journal = await open(directory, { memoryBytes, sync: 20, onFull: "drop_oldest" });
    const reader = journal.reader("a", { onlyDurable: true });
    const hasStarted = reader.wait();
    const sent: Batch[] = [];
    for (let bytes = 0; bytes < 1.5 * memoryBytes; bytes += sent.at(-1)!.byteLength) {
      sent.push(batchOf(journal.clients, "c", sent.length + 1, 100));
      journal.append(sent.at(-1)!);
    }
    assert.equal(reader.next(), undefined, "nothing is durable yet");
    await synced(journal);
    assert.equal(await hasStarted, "ready");
    for (const [n, batch] of sent.entries()) {
      assert.equal(await reader.wait(PATIENCE_MS), "ready");
      assert.equal(reader.next(), batch, `batch ${n} of ${sent.length} is the one that was appended`);
    }
    reader.commit(sent.length);
  }));

Deno.test("an output that stopped reading gets no more memory, and reads the rest from disk", () =>
  withDirectory(async (directory) => {
    const memoryBytes = 400_000;
    await using journal = await open(directory, { memoryBytes, sync: 5, onFull: "drop_oldest" });
    const reader = journal.reader("a");
    const sent: Batch[] = [];
    for (let bytes = 0; bytes < 1.5 * memoryBytes; bytes += sent.at(-1)!.byteLength) {
      sent.push(batchOf(journal.clients, "c", sent.length + 1, 100));
      journal.append(sent.at(-1)!);
    }
    await synced(journal);
    let same = 0;
    for (const batch of sent) {
      assert.equal(await reader.wait(PATIENCE_MS), "ready");
      const read = reader.next()!;
      assert.deepEqual(read.values.subarray(0, read.length), batch.values.subarray(0, batch.length));
      if (read === batch) same++;
      reader.commit(1);
    }
    assert.ok(same > 0.5 * sent.length && same < 0.8 * sent.length, `${same} of ${sent.length} from memory`);
  }));

Deno.test("a few points wait for others until the sync time is over, many do not, nor the first ones after a pause", () =>
  withDirectory(async (directory) => {
    const sync = 3_600_000;
    await using journal = await open(directory, { sync });
    journal.append(numbered(10));
    await pause(50);
    assert.equal(journal.writtenPosition, 0, "a few points wait");
    journal.append(numbered(10_000, 10));
    await synced(journal);
    const { now } = performance;
    performance.now = () => now.call(performance) + sync;
    try {
      journal.append(numbered(10, 10_010));
      await synced(journal);
    } finally {
      performance.now = now;
    }
  }));

Deno.test("batches that come one by one, about as far apart as syncs, are written at once, unless the disk is slow", async () => {
  const sync = 3_600_000;
  const { now } = performance;
  let laterMs = 0;
  performance.now = () => now.call(performance) + laterMs;
  try {
    for (const slowness of [0, 0.6]) {
      await withDirectory(async (directory) => {
        const files = new FaultyFiles();
        await using journal = await open(directory, { sync, files });
        const append = (share: number) => {
          laterMs += share * sync;
          journal.append(numbered(1));
        };
        for (let n = 0; n < 8; n++) {
          append(1.1);
          await synced(journal);
        }
        // From here on none waits for the rest of the time, nor for others.
        const reader = journal.reader();
        while (reader.next());
        for (let n = 0; n < 3; n++) {
          const waiting = reader.wait(PATIENCE_MS);
          files.calls.length = 0;
          append(0.9);
          assert.equal(await waiting, "ready");
          assert.deepEqual(files.calls, ["write"], "a thread writes before an output reads");
          reader.next();
          await synced(journal);
        }
        files.beforeSync = () => {
          laterMs += slowness * sync;
          return Promise.resolve();
        };
        append(0.9);
        await synced(journal);
        append(0.3);
        await pause(20);
        assert.equal(
          journal.lastPosition + 1 - journal.writtenPosition,
          1,
          slowness ? "the disk has a pause" : "what comes sooner waits",
        );
      });
    }
  } finally {
    performance.now = now;
  }
});

Deno.test("batches that are only on disk any more are used again, but for those that an output still has", () =>
  withDirectory(async (directory) => {
    const { limitBytes } = seriesStore;
    // There is little memory for batches, or series are held that have no room.
    for (const [name, options] of Object.entries({ little: { memoryBytes: 10_000 }, crowded: {} })) {
      const pool = new BatchPool(100, 1000);
      if (name === "crowded") seriesStore.limit({ limitBytes: 1 });
      try {
        await using journal = await open(`${directory}/${name}`, options);
        const reader = journal.reader("slow");
        const sent: Batch[] = [];
        for (let n = 0; n < 40; n++) {
          const batch = pool.take();
          assert.ok(!sent.slice(0, 2).includes(batch), "the output has it");
          for (let row = 0; row < 100; row++) batch.push(NUMBERS, 1_700_000_000, 0, 100 * n + row);
          sent.push(batch);
          journal.append(batch);
          if (n < 2) assert.equal(reader.next(), batch);
          await synced(journal);
        }
        assert.ok(new Set(sent).size < 15, `${name}: ${new Set(sent).size} batches`);
        reader.commit(2);
        assert.deepEqual(await drain(reader), range(200, 4000));
      } finally {
        seriesStore.limit({ limitBytes });
      }
    }
  }));
