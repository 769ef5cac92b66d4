/** The limits of a journal on disk: its options, what it keeps in memory and on disk, and when producers wait. */
import assert from "node:assert/strict";
import { journal } from "../../../lib/journal/config.ts";
import { Census } from "../../../lib/journal/disk/format/census.ts";
import type { Core, Cursor } from "../../../lib/journal/disk/core.ts";
import { cursorPath } from "../../../lib/journal/disk/format/cursor.ts";
import { Cursors } from "../../../lib/journal/disk/cursors.ts";
import { SYSTEM_FILES } from "../../../lib/journal/disk/format/files.ts";
import { Ledger } from "../../../lib/journal/disk/ledger.ts";
import { complete, type DiskJournalOptions, newStats } from "../../../lib/journal/disk/options.ts";
import { Pace } from "../../../lib/journal/disk/pace.ts";
import { Retention } from "../../../lib/journal/disk/retention.ts";
import { type Entry, Tail } from "../../../lib/journal/disk/tail.ts";
import { Batch } from "../../../lib/points/measurement.ts";
import { seriesStore } from "../../../lib/points/series_store.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { MemoryFiles } from "../../kit/memory_files.ts";
import { NUMBERS } from "../../kit/points.ts";

const MIB = 1024 ** 2;
const { log } = new LogLines();

Deno.test("a journal has the limits that were set, and the documented ones otherwise", () => {
  const { onDrop, times, log: _log, ...defaults } = complete({ directory: "d", log, host: undefined });
  onDrop(1);
  assert.ok(Math.abs(times.wallMs() - Date.now()) < 60_000 && times.monotonicMs() <= performance.now());
  assert.deepEqual(defaults, {
    directory: "d",
    host: Deno.hostname(),
    sync: 50,
    onFull: "block",
    maxAgeMs: Infinity,
    minFreeBytes: 0,
    memoryBytes: 8 * MIB,
    catchUpRate: Infinity,
    retryMs: 1000,
    maxClients: 20_000,
    quarantineBytes: 256 * MIB,
    newOutputs: "now",
    random: Math.random,
    files: SYSTEM_FILES,
    maxBytes: 1024 * MIB,
    segmentBytes: 16 * MIB,
  });
  const small = complete({ directory: "d", log, maxBytes: 8 * MIB, retryMs: undefined, memoryBytes: 5 });
  assert.deepEqual([small.segmentBytes, small.retryMs, small.memoryBytes], [2 * MIB, 1000, 5]);
  assert.equal(complete({ directory: "d", log, segmentBytes: MIB }).segmentBytes, MIB);
  assert.ok(Object.values(newStats()).every((count) => count === 0));
});

Deno.test("points are synced always, or after a time", () => {
  const check = (sync: string) => journal.check({ sync }, [], ({ message }) => assert.fail(message));
  ["always", "50ms", "0s"].forEach(check);
  for (const sync of ["never", "50"]) assert.throws(() => check(sync));
});

/** Memory of a batch without points. */
const BATCH = 256;

/** A journal with nothing but what its limits look at, whose segments are numbers of their first records. */
class Rig {
  nowMs = 1_000_000;
  freeBytes = Infinity;
  readonly logs = new LogLines();
  readonly stats = newStats();
  readonly tail: Tail;
  readonly files = new MemoryFiles();
  readonly dropped: number[] = [];
  readonly readers = new Map<string, Cursor>();
  readonly core: Core;
  readonly segments: { first: number; pointsBefore: number; writtenMs: number; bytes: number }[] = [];
  wakes = 0;

  constructor(options: Partial<DiskJournalOptions> = {}, first = 10) {
    const times = { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs };
    const settings = complete({
      directory: "d",
      log: this.logs.log,
      times,
      files: this.files,
      onDrop: (points) => void this.dropped.push(points),
      ...options,
    });
    this.files.freeBytes = () => Promise.resolve(this.freeBytes);
    this.tail = new Tail(first);
    const { segments: list } = this;
    const least = (of: (cursor: Cursor) => number) => {
      const all = [...this.readers.values()].map(of);
      return all.length === 0 ? 0 : Math.min(...all);
    };
    const core = {
      settings,
      stats: this.stats,
      tail: this.tail,
      ledger: new Ledger(new Census(), times),
      readers: this.readers,
      onWritten: () => void this.wakes++,
      segments: {
        get bytes() {
          return list.reduce((sum, { bytes }) => sum + bytes, 0);
        },
        get first() {
          return list[0];
        },
        get second() {
          return list[1];
        },
        remove: (segment: { first: number }) => list.splice(list.findIndex((one) => one === segment), 1),
        censusAt: () => null,
      },
      get committed() {
        return least(({ committed }) => committed);
      },
      get keptFrom() {
        return least(({ keptFrom }) => keptFrom);
      },
      closed: false,
    };
    this.core = core as unknown as Core;
  }

  /** An output that has read up to a number, and committed up to another one. */
  reader(name: string, nextNumber: number, committed: number, facts: Partial<Cursor> = {}): void {
    const cursor = {
      nextNumber,
      committed,
      keptFrom: committed,
      resumePosition: committed,
      isActive: true,
      isOnMemory: false,
      holds: () => false,
      dropUnwritten: (entries: readonly Entry[]) => entries.length,
      dropWritten: (number: number) => number,
      ...facts,
    };
    this.readers.set(name, cursor as unknown as Cursor);
  }

  append(count: number, points = 0): void {
    for (; count > 0; count--) {
      const batch = new Batch(points);
      for (let n = 0; n < points; n++) batch.push(NUMBERS, 1, 0, n);
      this.tail.append(batch);
    }
  }

  segment(first: number, pointsBefore = 0, writtenMs = 0, bytes = 100): void {
    this.segments.push({ first, pointsBefore, writtenMs, bytes });
  }

  get inMemory(): number[] {
    return this.tail.from(0).map(({ number }) => number);
  }

  get onDisk(): number[] {
    return this.segments.map(({ first }) => first);
  }
}

Deno.test("a journal is full above its limit on disk, or of memory that is not written", () => {
  const rig = new Rig({ maxBytes: 200, memoryBytes: 2 * BATCH });
  const retention = new Retention(rig.core);
  rig.segment(1);
  rig.segment(2);
  rig.append(2);
  assert.equal(retention.isFull, false);
  rig.append(1);
  assert.equal(retention.isFull, true);
  rig.tail.advance(12);
  assert.equal(retention.isFull, false);
  rig.segment(3);
  assert.equal(retention.isFull, true);
  assert.equal(new Retention(new Rig({ maxAgeMs: 800 }).core).maxSpanMs, 100);
});

Deno.test("segments and batches go that every output has passed, but never the last segment", () => {
  const rig = new Rig();
  const retention = new Retention(rig.core);
  for (const first of [2, 5, 10, 12]) rig.segment(first);
  rig.append(4);
  rig.tail.advance(13);
  rig.reader("a", 14, 9);
  retention.forgetCommitted();
  assert.deepEqual([rig.onDisk, rig.inMemory], [[5, 10, 12], [10, 11, 12, 13]]);
  rig.reader("a", 14, 12);
  retention.forgetCommitted();
  assert.deepEqual([rig.onDisk, rig.inMemory], [[12], [12, 13]]);
  rig.reader("a", 14, 14);
  retention.forgetCommitted();
  assert.deepEqual([rig.onDisk, rig.inMemory], [[12], [13]], "it is not written yet");
  rig.tail.advance(14);
  retention.forgetCommitted();
  assert.deepEqual([rig.onDisk, rig.inMemory], [[12], []]);
});

Deno.test("what every output has need not be written where writing is not possible", () => {
  for (const stalled of [false, true]) {
    const rig = new Rig();
    const retention = new Retention(rig.core);
    retention.stalled = stalled;
    rig.append(4, 2);
    rig.tail.advance(11);
    rig.reader("a", 14, 13);
    retention.forgetCommitted();
    assert.deepEqual(rig.inMemory, stalled ? [13] : [11, 12, 13]);
    assert.deepEqual([rig.tail.written, rig.core.ledger.unwrittenPoints], stalled ? [13, 4] : [11, 0]);
    rig.reader("a", 14, 100);
    retention.forgetCommitted();
    assert.equal(rig.tail.written, stalled ? 14 : 11);
  }
});

Deno.test("written batches leave the memory above its limit, twice as much for an output that reads on there", () => {
  const rest = (reader: (rig: Rig) => void) => {
    const rig = new Rig({ memoryBytes: 2 * BATCH });
    const retention = new Retention(rig.core);
    rig.append(8);
    rig.tail.advance(17);
    reader(rig);
    retention.forgetCommitted();
    return rig.inMemory.length;
  };
  // Of seven that are written two stay, and the one that is not.
  assert.equal(rest((rig) => rig.reader("a", 10, 10)), 3);
  assert.equal(rest((rig) => rig.reader("a", 10, 10, { isOnMemory: true })), 5);
  assert.equal(rest((rig) => rig.reader("a", 16, 16, { keptFrom: 10, committed: 10, isOnMemory: true })), 8);
  assert.equal(rest((rig) => rig.reader("a", 17, 14, { committed: 14, isOnMemory: true })), 4);
  // What an output has in hand takes memory in any case: here two batches.
  assert.equal(rest((rig) => rig.reader("a", 12, 10)), 5);
  assert.equal(
    rest((rig) => {
      rig.reader("a", 12, 10);
      rig.reader("b", 11, 10);
    }),
    5,
    "those of the output that is furthest",
  );
  assert.equal(
    rest((rig) => {
      for (const [name, committed] of [["a", 10], ["b", 11]] as const) rig.reader(name, 12, committed);
    }),
    5,
    "of several, the first one",
  );
  assert.equal(
    rest((rig) => {
      rig.reader("a", 17, 17, { isOnMemory: true });
      rig.reader("b", 10, 10);
    }),
    3,
    "it has read everything that is written",
  );
  const none = new Rig({ memoryBytes: 2 * BATCH - 1 });
  none.append(3);
  none.tail.advance(13);
  new Retention(none.core).forgetCommitted();
  assert.deepEqual(none.inMemory, [12]);
  const first = new Rig({ memoryBytes: 2 * BATCH }, 0);
  first.append(5);
  first.tail.advance(4);
  first.reader("a", 1, 0);
  new Retention(first.core).forgetCommitted();
  assert.deepEqual(first.inMemory, [1, 2, 3, 4], "batch 0 is in hand");
  const rig = new Rig({ memoryBytes: 2 * BATCH });
  rig.append(2);
  rig.tail.advance(12);
  rig.reader("a", 10, 10);
  new Retention(rig.core).forgetCommitted();
  assert.deepEqual(rig.inMemory, [10, 11], "just as many as there may be");
});

Deno.test("batches that left the memory are released when no output has them in hand", () => {
  const rig = new Rig({ memoryBytes: BATCH });
  const retention = new Retention(rig.core);
  const released: number[] = [];
  for (let n = 10; n < 13; n++) {
    const batch = new Batch(0);
    batch.release = () => void released.push(n);
    rig.tail.append(batch);
  }
  rig.tail.advance(13);
  let held = [10, 11];
  rig.reader("a", 10, 10, { holds: ({ number }) => held.includes(number) });
  rig.reader("b", 10, 10);
  retention.forgetCommitted();
  assert.deepEqual([rig.inMemory, released], [[12], []]);
  held = [11];
  retention.forgetCommitted();
  assert.deepEqual(released, [10]);
  held = [];
  retention.forgetCommitted();
  assert.deepEqual(released, [10, 11]);
  retention.forgetCommitted();
  assert.deepEqual(released, [10, 11]);
});

Deno.test("where there are too many series, no written batch stays in memory", () => {
  const rig = new Rig();
  rig.append(3);
  rig.tail.advance(12);
  rig.reader("a", 10, 10);
  const { limitBytes } = seriesStore;
  seriesStore.limitBytes = 0;
  seriesStore.bytes++;
  try {
    new Retention(rig.core).forgetCommitted();
  } finally {
    seriesStore.limitBytes = limitBytes;
    seriesStore.bytes--;
  }
  assert.deepEqual(rig.inMemory, [12]);
});

Deno.test("with drop_oldest, batches above the memory are dropped: four times as much where the disk is only slow", () => {
  for (
    const [onFull, stalled, left] of [["block", true, 10], ["drop_oldest", true, 1], [
      "drop_oldest",
      false,
      4,
    ]] as const
  ) {
    const rig = new Rig({ onFull, memoryBytes: BATCH });
    const retention = new Retention(rig.core);
    retention.stalled = stalled;
    rig.append(10);
    rig.reader("a", 10, 10);
    retention.limitMemory();
    assert.equal(rig.inMemory.length, left);
    assert.deepEqual(
      [rig.dropped, rig.stats.droppedPoints],
      left === 10 ? [[], 0] : [[10 - left], 10 - left],
    );
    assert.equal(rig.wakes, left === 10 ? 0 : 1);
    retention.limitMemory();
    assert.equal(rig.wakes, left === 10 ? 0 : 1, "there is nothing more to drop");
  }
});

Deno.test("dropped points are those of the output that lost most, or all where there is no output", () => {
  const lossOf = (readers: Partial<Cursor>[]) => {
    const rig = new Rig({ onFull: "drop_oldest", memoryBytes: 1 });
    const retention = new Retention(rig.core);
    retention.stalled = true;
    rig.append(3, 2);
    rig.segment(2, 30);
    rig.segment(5, 37);
    readers.forEach((facts, n) => rig.reader(`${n}`, 10, 10, facts));
    retention.limitMemory();
    const unwritten = rig.core.ledger.unwrittenPoints;
    assert.equal(retention.dropSegment(), true);
    assert.equal(retention.dropSegment(), false, "the last one stays");
    assert.deepEqual(rig.onDisk, [5]);
    assert.equal(rig.stats.droppedPoints, rig.dropped.reduce((sum, points) => sum + points, 0));
    return [unwritten, ...rig.dropped];
  };
  assert.deepEqual(lossOf([]), [4, 4, 7]);
  assert.deepEqual(
    lossOf([{ dropUnwritten: () => 1, dropWritten: () => 2 }, {
      dropUnwritten: () => 3,
      dropWritten: () => 1,
    }]),
    [4, 3, 2],
  );
  assert.deepEqual(
    lossOf([{ dropUnwritten: () => 0, dropWritten: () => 0 }]),
    [4],
    "nothing is told of no loss",
  );
});

Deno.test("with drop_oldest segments go above the limit on disk; with block none does", async () => {
  for (const [onFull, left] of [["block", [1, 2, 3]], ["drop_oldest", [2, 3]]] as const) {
    const rig = new Rig({ onFull, maxBytes: 200 });
    for (const first of [1, 2, 3]) rig.segment(first);
    await new Retention(rig.core).limitDisk(() => assert.fail("nothing begins"));
    assert.deepEqual(rig.onDisk, left);
  }
});

Deno.test("segments that are too old go; for the last one another begins, if somebody waits for its points", async () => {
  const rig = new Rig({ maxAgeMs: 1000 });
  const retention = new Retention(rig.core);
  let begun = 0;
  const begin = () => {
    begun++;
    rig.segment(20, 0, rig.nowMs);
    return Promise.resolve();
  };
  rig.segment(1, 0, rig.nowMs - 1001);
  rig.segment(2, 0, rig.nowMs - 1000);
  rig.append(2);
  rig.tail.advance(12);
  rig.reader("a", 10, 10);
  await retention.limitDisk(begin);
  assert.deepEqual([rig.onDisk, begun], [[2], 0]);
  rig.nowMs++;
  await retention.limitDisk(begin);
  assert.deepEqual([rig.onDisk, begun], [[20], 1]);
  rig.nowMs += 2000;
  rig.reader("a", 12, 12);
  await retention.limitDisk(begin);
  assert.deepEqual([rig.onDisk, begun], [[20], 1], "it has the clients, and no points that are waited for");
  await retention.limitDisk(begin);
  rig.reader("a", 11, 11);
  await retention.limitDisk(() => Promise.resolve());
  assert.deepEqual(rig.onDisk, [20], "where none can begin, it stays");
});

Deno.test("free space is looked at once a second, and both ends of a lack are logged", async () => {
  const rig = new Rig({ minFreeBytes: 100 });
  const retention = new Retention(rig.core);
  const lines = () => rig.logs.lines.splice(0).join("");
  rig.freeBytes = 100;
  assert.equal(await retention.hasSpace(), true);
  rig.freeBytes = 99;
  rig.nowMs += 999;
  assert.equal(await retention.hasSpace(), true);
  assert.equal(lines(), "");
  rig.nowMs += 1;
  assert.equal(await retention.hasSpace(), false);
  assert.match(
    lines(),
    /^WARN .*has less free space than min_free directory=d free_bytes=99 min_free=100\n$/,
  );
  rig.nowMs += 1000;
  assert.equal(await retention.hasSpace(), false);
  assert.equal(lines(), "");
  rig.files.freeBytes = () => Promise.reject(new Error("unknown"));
  rig.nowMs += 1000;
  assert.equal(await retention.hasSpace(), true, "if nobody knows, the next write will");
  assert.match(lines(), /^INFO .*has enough free space again directory=d\n$/);
  rig.nowMs += 1000;
  assert.equal(await retention.hasSpace(), true);
  assert.equal(lines(), "");
});

Deno.test("with drop_oldest a lack of space costs the oldest segment; without a limit nobody looks", async () => {
  const rig = new Rig({ minFreeBytes: 100, onFull: "drop_oldest" });
  const retention = new Retention(rig.core);
  rig.freeBytes = 0;
  rig.segment(1);
  rig.segment(2);
  assert.equal(await retention.hasSpace(), true);
  assert.deepEqual([rig.onDisk, retention.lowSpace], [[2], true]);
  rig.nowMs += 1000;
  assert.equal(await retention.hasSpace(), false);
  const block = new Rig({ minFreeBytes: 100 });
  block.freeBytes = 0;
  block.segment(1);
  block.segment(2);
  assert.equal(await new Retention(block.core).hasSpace(), false);
  assert.deepEqual(block.onDisk, [1, 2]);
  const any = new Rig();
  any.files.freeBytes = () => assert.fail("it is asked");
  const free = new Retention(any.core);
  assert.deepEqual([await free.hasSpace(), free.lowSpace], [true, false]);
});

/** Timers and a clock that a test moves; `passMs` is what each timer takes. */
class FakeTime implements Disposable {
  readonly #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  readonly #now = performance.now;
  readonly waits: number[] = [];
  nowMs = 0;
  readonly #actions = new Map<number, () => void>();

  /** @param passMs What each timer takes, which then fires by itself; `null`: they fire when the test says so. */
  constructor(passMs: number | null) {
    let id = 0;
    performance.now = () => this.nowMs;
    globalThis.setTimeout = ((action: () => void, ms: number) => {
      this.waits.push(ms);
      this.#actions.set(++id, action);
      if (passMs !== null) {
        queueMicrotask(() => {
          this.nowMs += passMs;
          this.fire();
        });
      }
      return id;
    }) as unknown as typeof setTimeout;
    globalThis.clearTimeout = ((id: number) => void this.#actions.delete(id)) as typeof clearTimeout;
  }

  fire(): void {
    const due = [...this.#actions.values()];
    this.#actions.clear();
    for (const action of due) action();
  }

  get count(): number {
    return this.#actions.size;
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, this.#real);
    performance.now = this.#now;
  }
}

Deno.test("producers are ahead of an active output that has three quarters of the memory to read", () => {
  const isAhead = (unread: number, count: number, isActive = true) => {
    const rig = new Rig({ memoryBytes: 8 * BATCH });
    rig.append(count);
    rig.reader("a", rig.tail.next, 10);
    rig.reader("b", rig.tail.next - unread, 10, { isActive });
    return new Pace(rig.core).isAhead;
  };
  assert.equal(isAhead(6, 6), true);
  assert.equal(isAhead(5, 6), false);
  assert.equal(isAhead(5, 5), false);
  assert.equal(isAhead(6, 8), true);
  assert.equal(isAhead(6, 6, false), false);
  for (const memoryBytes of [0, MIB]) {
    assert.equal(new Pace(new Rig({ memoryBytes }).core).isAhead, false, "nothing is there");
  }
  assert.equal(isAhead(11, 1), false, "what is only on disk is no matter of memory");
});

Deno.test("producers wait until half of the memory is left to read, but no longer than their points allow", async () => {
  const waited = async (points: number, behind: number, passMs = 10) => {
    using time = new FakeTime(passMs);
    const rig = new Rig({ memoryBytes: 8 * BATCH });
    rig.append(8);
    rig.reader("a", rig.tail.next - behind, 10);
    const pace = new Pace(rig.core);
    pace.appended(points);
    const one = pace.wait();
    assert.equal(pace.wait(), one, "all share one wait");
    await one;
    const first = time.nowMs;
    assert.ok(time.waits.every((ms) => ms === 1));
    await pace.wait();
    return [first, time.nowMs - first];
  };
  assert.deepEqual(await waited(200 * 35, 4), [40, 10], "35 ms are up, and then there is nothing left");
  assert.deepEqual(await waited(200 * 30 + 10, 4), [40, 10], "200 points a millisecond");
  assert.deepEqual(await waited(200 * 3, 4, 0.5), [3, 0.5]);
  assert.deepEqual(await waited(200 * 35, 3), [10, 10], "the output has read on");
  assert.deepEqual(await waited(200 * 40, 4), [40, 10]);
  assert.deepEqual(await waited(200 * 10_000, 4), [500, 10], "half a second at most");
});

Deno.test("what is left of a pause is for the next one", async () => {
  using time = new FakeTime(10);
  const rig = new Rig({ memoryBytes: 8 * BATCH });
  rig.append(8);
  rig.reader("a", 18, 10);
  const pace = new Pace(rig.core);
  pace.appended(200 * 95);
  for (const end of [10, 20]) {
    await pace.wait();
    assert.equal(time.nowMs, end, "nobody has to wait any more");
  }
  rig.reader("a", 10, 10);
  await pace.wait();
  assert.equal(time.nowMs, 100);
});

Deno.test("positions are saved a second after they move, once, and at the end", async () => {
  using time = new FakeTime(null);
  const rig = new Rig();
  rig.reader("a", 10, 7);
  rig.reader("b", 10, 5);
  const path = (name: string) => cursorPath("d", name);
  const cursors = new Cursors(rig.core, new Map([[path("b"), 5], [path("damaged"), null]]));
  assert.deepEqual(cursors.of("b"), { path: path("b"), position: 5 });
  assert.deepEqual(cursors.of("damaged"), { path: path("damaged"), position: undefined });
  for (let n = 0; n < 2; n++) cursors.schedule();
  assert.deepEqual([time.waits, time.count], [[1000], 1]);
  time.fire();
  await cursors.close();
  assert.deepEqual([...rig.files.content.keys()], [path("a")], "that of b is saved");
  assert.equal(cursors.of("a").position, 7);
  time.nowMs = 899;
  cursors.schedule();
  await cursors.flush();
  time.nowMs = 900;
  cursors.schedule();
  assert.deepEqual([time.waits, time.count], [[1000, 101], 0], "at once where a second is nearly over");
  (rig.core as { closed: boolean }).closed = true;
  cursors.schedule();
  assert.equal(time.count, 0);
});

Deno.test("a position that cannot be saved is logged, told to whoever asked for it, and saved the next time", async () => {
  const rig = new Rig();
  rig.reader("a", 10, 7);
  const cursors = new Cursors(rig.core, new Map());
  rig.files.failing.add("open d/a.cursor.tmp");
  await assert.rejects(cursors.flush(), new Error("open fails"));
  assert.match(
    rig.logs.lines.join(""),
    /^WARN .*Cannot save a cursor of the journal path=d\/a\.cursor error="open fails" times=1\n$/,
  );
  assert.equal(cursors.of("a").position, undefined);
  rig.files.failing.clear();
  await cursors.flush();
  assert.equal(cursors.of("a").position, 7);
});
