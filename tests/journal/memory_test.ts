import assert from "node:assert/strict";
import { BatchPool, BYTES_PER_POINT } from "../../lib/points/measurement.ts";
import { MemoryJournal } from "../../lib/journal.ts";
import { numbered, NUMBERS } from "../kit/points.ts";
import { pause } from "../kit/waiting.ts";

const points = (count: number) => count * BYTES_PER_POINT;
const ROOMY = { limitBytes: points(1000) };

async function isPending(promise: Promise<unknown> | void): Promise<boolean> {
  if (!promise) return false;
  let pending = true;
  promise.then(() => pending = false);
  await pause(0);
  return pending;
}

Deno.test("each reader gets every batch, in order, at its own pace", async () => {
  const journal = new MemoryJournal(ROOMY);
  const [a, b] = [journal.reader(), journal.reader()];
  for (let n = 0; n < 3; n++) await journal.append(numbered(1, n));
  assert.deepEqual([a.next(), a.next(), a.next()].map((batch) => batch?.values[0]), [0, 1, 2]);
  assert.equal(a.next(), undefined);
  assert.equal(b.next()?.values[0], 0);
  a.commit(3);
  assert.deepEqual([b.next(), b.next()].map((batch) => batch?.values[0]), [1, 2]);
  assert.equal(journal.pendingPoints, 3);
  b.commit(3);
  assert.equal(journal.pendingPoints, 0);
});

Deno.test("a producer waits while the journal is full, and continues when the slowest reader has committed", async () => {
  const journal = new MemoryJournal({ limitBytes: points(10) });
  const [fast, slow] = [journal.reader(), journal.reader()];
  assert.equal(await isPending(journal.append(numbered(10))), false);
  const full = journal.append(numbered(1));
  assert.equal(await isPending(full), true);
  fast.next();
  fast.commit(1);
  assert.equal(await isPending(full), true);
  slow.next();
  slow.commit(1);
  assert.equal(await isPending(full), false);
});

Deno.test("one batch is accepted even if it is larger than the limit", async () => {
  const journal = new MemoryJournal({ limitBytes: 1 });
  const reader = journal.reader();
  const appended = journal.append(numbered(50));
  assert.equal(await isPending(appended), true);
  assert.equal(reader.next()?.length, 50);
  reader.commit(1);
  assert.equal(await isPending(appended), false);
});

Deno.test("with drop_oldest the oldest points are dropped and counted", () => {
  const dropped: number[] = [];
  const journal = new MemoryJournal({
    limitBytes: points(3),
    onFull: "drop_oldest",
    onDrop: (n) => dropped.push(n),
  });
  const reader = journal.reader();
  for (let n = 0; n < 5; n++) assert.equal(journal.append(numbered(1, n)), undefined);
  assert.deepEqual(dropped, [1, 1]);
  assert.equal(reader.droppedPoints, 2);
  assert.equal(journal.stats.droppedPoints, 2);
  assert.deepEqual([reader.next(), reader.next(), reader.next()].map((b) => b?.values[0]), [2, 3, 4]);
  reader.commit(3);
  assert.equal(journal.pendingPoints, 0);
});

Deno.test("a batch that is being read stays valid when it is dropped, and later commits are correct", () => {
  const journal = new MemoryJournal({ limitBytes: points(3), onFull: "drop_oldest" });
  const reader = journal.reader();
  journal.append(numbered(1, 0));
  const held = reader.next()!;
  for (let n = 1; n < 6; n++) journal.append(numbered(1, n));
  assert.equal(held.values[0], 0);
  // 0 was read; 1 and 2 were dropped; 3, 4 and 5 are kept.
  assert.equal(reader.droppedPoints, 2);
  assert.equal(reader.uncommitted, 1);
  reader.commit(1);
  assert.deepEqual([reader.next(), reader.next(), reader.next()].map((b) => b?.values[0]), [3, 4, 5]);
  reader.commit(2);
  assert.equal(journal.pendingPoints, 1);
  reader.commit(1);
  assert.equal(journal.pendingPoints, 0);
  assert.throws(() => reader.commit(1), RangeError);
});

Deno.test("wait tells why it ended", async () => {
  const journal = new MemoryJournal(ROOMY);
  const reader = journal.reader();
  assert.equal(await reader.wait(1), "timeout");
  assert.equal(await reader.wait(0), "timeout");
  const stop = new AbortController();
  const aborted = reader.wait(Infinity, stop.signal);
  stop.abort();
  assert.equal(await aborted, "aborted");
  const ready = reader.wait();
  journal.append(numbered(1));
  assert.equal(await ready, "ready");
  assert.equal(await reader.wait(Infinity, stop.signal), "ready");
  reader.next();
  const ended = reader.wait();
  journal.end();
  assert.equal(await ended, "ended");
});

Deno.test("after the end readers get the rest, and producers get an error", () => {
  const journal = new MemoryJournal(ROOMY);
  const reader = journal.reader();
  journal.append(numbered(2));
  journal.end();
  assert.equal(reader.next()?.length, 2);
  assert.throws(() => journal.append(numbered(1)), /ended/);
});

Deno.test("the end wakes a waiting producer", async () => {
  const journal = new MemoryJournal({ limitBytes: 1 });
  journal.reader();
  const waiting = journal.append(numbered(5));
  journal.end();
  assert.equal(await isPending(waiting), false);
});

Deno.test("readers get no empty batches", () => {
  const journal = new MemoryJournal(ROOMY);
  const reader = journal.reader();
  journal.append(numbered(0));
  assert.equal(reader.next(), undefined);
});

Deno.test("after unblock nobody waits for room, and the position is that of the last batch read", async () => {
  const journal = new MemoryJournal({ limitBytes: 1 });
  const reader = journal.reader();
  assert.equal(reader.position, -1);
  const waiting = journal.append(numbered(5));
  assert.equal(await isPending(waiting), true);
  journal.unblock();
  assert.equal(await isPending(waiting), false);
  assert.equal(await isPending(journal.append(numbered(5))), false);
  reader.next();
  reader.next();
  assert.equal(reader.position, 1);
});

Deno.test("what was appended is durable when every reader has committed it, whatever comes later", async () => {
  const journal = new MemoryJournal(ROOMY);
  const [a, b] = [journal.reader(), journal.reader()];
  await journal.untilDurable();
  await journal.append(numbered(1));
  const durable = journal.untilDurable();
  await journal.append(numbered(1));
  a.next();
  a.commit(1);
  assert.equal(await isPending(durable), true);
  b.next();
  b.commit(1);
  await durable;
  assert.equal(await isPending(journal.untilDurable()), true);
});

Deno.test("batches that were dropped are used again at once, but for those that an output still has", () => {
  const pool = new BatchPool(4, 10);
  const journal = new MemoryJournal({ limitBytes: 2 * points(4), onFull: "drop_oldest" });
  const reader = journal.reader();
  const full = () => {
    const batch = pool.take();
    for (let n = 0; n < 4; n++) batch.push(NUMBERS, 1, 0, n);
    return batch;
  };
  const [held, dropped] = [full(), full()];
  journal.append(held);
  assert.equal(reader.next(), held);
  for (const batch of [dropped, full(), full(), full()]) journal.append(batch);
  const again = [pool.take(), pool.take()];
  assert.ok(again.includes(dropped), "nobody had read it");
  assert.ok(!again.includes(held) && held.length === 4, "the output has not committed it");
  reader.commit(1);
  assert.equal(pool.take(), held);
});

Deno.test("exactly as much as it may have is not too much", () => {
  const journal = new MemoryJournal({ limitBytes: points(4), onFull: "drop_oldest" });
  const reader = journal.reader();
  journal.append(numbered(2));
  journal.append(numbered(2, 2));
  assert.deepEqual([journal.stats.droppedPoints, journal.usage.isFull], [0, false]);
  journal.append(numbered(1, 4));
  assert.equal(journal.stats.droppedPoints, 2);
  assert.deepEqual([reader.next()!.length, reader.next()!.length], [2, 1]);
});

Deno.test("what was appended is counted, and numbers up to the last one are the journal's own", () => {
  const journal = new MemoryJournal(ROOMY);
  const reader = journal.reader();
  assert.deepEqual([journal.stats.appendedPoints, reader.isOwn(0)], [0, false]);
  journal.append(numbered(2));
  journal.append(numbered(3));
  assert.deepEqual([journal.stats.appendedPoints, reader.isOwn(1), reader.isOwn(2)], [5, true, false]);
});

Deno.test("a producer goes on when exactly as much is left as there may be", async () => {
  const journal = new MemoryJournal({ limitBytes: points(10) });
  const reader = journal.reader();
  assert.equal(await isPending(journal.append(numbered(1))), false);
  const full = journal.append(numbered(10));
  assert.equal(await isPending(full), true);
  reader.next();
  reader.commit(1);
  assert.equal(await isPending(full), false);
});

Deno.test("one large batch drops all before it and stays, and what an output has read is not lost", () => {
  const dropped: number[] = [];
  const journal = new MemoryJournal({
    limitBytes: points(3),
    onFull: "drop_oldest",
    onDrop: (count) => dropped.push(count),
  });
  const [ahead, behind] = [journal.reader("ahead"), journal.reader("behind")];
  for (let n = 0; n < 3; n++) journal.append(numbered(1, n));
  for (const reader of [ahead, ahead, ahead, behind, behind]) reader.next();
  journal.append(numbered(5, 10));
  assert.deepEqual([dropped, ahead.droppedPoints, behind.droppedPoints], [[1], 0, 1]);
  assert.deepEqual([ahead.next()?.values[0], behind.next()?.values[0]], [10, 10]);
  // The batches that one output still has are behind the first one that is kept.
  ahead.commit(4);
  assert.deepEqual([journal.pendingPoints, behind.uncommitted], [5, 3]);
  journal.append(numbered(6, 20));
  assert.deepEqual([dropped, ahead.next()?.values[0], behind.next()?.values[0]], [[1], 20, 20]);
  behind.commit(4);
  ahead.commit(1);
  assert.equal(journal.pendingPoints, 0);
});

Deno.test("each batch that is dropped at once with others stays while an output has it", () => {
  const pool = new BatchPool(4, 10);
  const journal = new MemoryJournal({ limitBytes: 2 * points(4), onFull: "drop_oldest" });
  const reader = journal.reader();
  const read = [pool.take(), pool.take()];
  for (const batch of read) {
    batch.push(NUMBERS, 1, 0, 1);
    journal.append(batch);
    reader.next();
  }
  journal.append(numbered(50));
  assert.ok(!read.includes(pool.take()));
  reader.commit(2);
  assert.deepEqual(new Set([pool.take(), pool.take()]), new Set(read));
});
