/** What a journal on disk keeps in memory: its last batches, and the accounts of clients. */
import assert from "node:assert/strict";
import { Census, keyOf, LOCAL_KEY } from "../../../lib/journal/disk/format/census.ts";
import { Ledger } from "../../../lib/journal/disk/ledger.ts";
import { Tail } from "../../../lib/journal/disk/tail.ts";
import { Batch } from "../../../lib/points/measurement.ts";
import { FORGET_MS } from "../../../lib/points/origins.ts";
import { NUMBERS } from "../../kit/points.ts";

/** Memory of a point, and of a batch without its points, in bytes. */
const [POINT, BATCH] = [32, 256];

function pointsOf(count: number): Batch {
  const batch = new Batch(16);
  for (let i = 0; i < count; i++) batch.push(NUMBERS, 1, 0, i);
  return batch;
}

/** A tail with batches 10 … 17, of which batch 10+n has n points, and 10 … 12 are written. */
function tailOf(): Tail {
  const tail = new Tail(10);
  for (let n = 0; n < 8; n++) tail.append(pointsOf(n));
  tail.advance(13);
  return tail;
}

const numbersOf = (entries: readonly { number: number }[]) => entries.map(({ number }) => number);
const costOf = (...points: number[]) => points.reduce((sum, count) => sum + BATCH + POINT * count, 0);

Deno.test("a new tail begins with its first number, and is empty and written", () => {
  const tail = new Tail(10);
  assert.deepEqual([tail.next, tail.written, tail.inFlight, tail.bytes, tail.unwrittenBytes], [
    10,
    10,
    10,
    0,
    0,
  ]);
  assert.deepEqual([tail.first, tail.hasUnwritten, tail.at(10), tail.from(0)], [
    undefined,
    false,
    undefined,
    [],
  ]);
  assert.ok(tail.isWritten(11));
});

Deno.test("the memory of a tail is that of its batches, and of those that are not written", () => {
  const tail = tailOf();
  assert.deepEqual([tail.next, tail.written], [18, 13]);
  assert.equal(tail.bytes, costOf(0, 1, 2, 3, 4, 5, 6, 7));
  assert.equal(tail.unwrittenBytes, costOf(3, 4, 5, 6, 7));
  assert.equal(tail.writtenBytes, costOf(0, 1, 2));
  tail.advance(12);
  assert.deepEqual([tail.written, tail.unwrittenBytes], [13, costOf(3, 4, 5, 6, 7)], "it never goes back");
  assert.equal(tail.bytesBetween(11, 14), costOf(1, 2, 3));
  assert.equal(tail.bytesBetween(0, 100), tail.bytes);
  assert.equal(tail.bytesBetween(14, 14), 0);
  assert.ok(tail.hasUnwritten);
  tail.advance(17);
  assert.deepEqual([tail.hasUnwritten, tail.unwrittenBytes], [true, costOf(7)]);
  tail.advance(18);
  assert.deepEqual([tail.hasUnwritten, tail.unwrittenBytes], [false, 0]);
});

Deno.test("batches are found by their numbers, across gaps, and those that are only on disk are not", () => {
  const tail = tailOf();
  assert.deepEqual(numbersOf([tail.first!, tail.at(10)!, tail.at(17)!]), [10, 10, 17]);
  assert.equal(tail.at(18), undefined);
  assert.deepEqual(numbersOf(tail.from(15)), [15, 16, 17]);
  assert.deepEqual(numbersOf(tail.takeFirst(12)), [10, 11]);
  assert.deepEqual([tail.at(11), tail.at(12)!.number], [undefined, 12]);
  assert.equal(tail.takeOut(15)!.number, 15);
  assert.equal(tail.takeOut(15), undefined);
  assert.equal(tail.takeOut(99), undefined);
  assert.deepEqual([tail.at(15)!.number, tail.at(17)!.number], [16, 17]);
  assert.deepEqual(numbersOf(tail.from(15)), [16, 17]);
  assert.equal(tail.bytes, costOf(2, 3, 4, 6, 7));
  assert.equal(tail.unwrittenBytes, costOf(3, 4, 6, 7));
  assert.deepEqual(numbersOf(tail.takeFirst(0)), []);
});

Deno.test("a batch that will never be written is passed over by what is written", () => {
  const tail = tailOf();
  assert.deepEqual([tail.isWritten(13), tail.isWritten(14)], [true, false]);
  assert.equal(tail.takeOut(14)!.number, 14);
  assert.equal(tail.written, 13);
  assert.equal(tail.takeOut(13)!.number, 13);
  assert.equal(tail.written, 14);
  assert.deepEqual([tail.isWritten(15), tail.isWritten(16)], [true, false]);
});

Deno.test("of too many batches that wait for the disk the oldest go, but not the last one, nor those on their way", () => {
  const tail = tailOf();
  assert.deepEqual(tail.takeOldestUnwritten(costOf(3, 4, 5, 6, 7)), []);
  assert.deepEqual(numbersOf(tail.takeOldestUnwritten(costOf(3, 4, 5, 6, 7) - 1)), [13]);
  assert.deepEqual([tail.written, tail.unwrittenBytes], [14, costOf(4, 5, 6, 7)]);
  tail.inFlight = 16;
  assert.deepEqual(numbersOf(tail.takeOldestUnwritten(0)), [16]);
  assert.deepEqual([tail.written, tail.unwrittenBytes], [14, costOf(4, 5, 7)]);
  assert.deepEqual(tail.takeOldestUnwritten(0), []);
  assert.equal(tail.bytes, costOf(0, 1, 2, 4, 5, 7));
});

Deno.test("behind a batch that was dropped while those before it were written the next one is found", () => {
  const tail = tailOf();
  tail.inFlight = 15;
  assert.deepEqual(numbersOf(tail.takeOldestUnwritten(costOf(3, 4, 6, 7))), [15]);
  tail.advance(15);
  tail.takeFirst(15);
  assert.deepEqual([tail.written, tail.at(14), tail.at(15)!.number], [15, undefined, 16]);
});

Deno.test("of too many batches that are on disk the oldest leave the memory, and no others", () => {
  const tail = tailOf();
  assert.deepEqual(tail.takeWritten(costOf(0, 1, 2)), []);
  assert.deepEqual(numbersOf(tail.takeWritten(costOf(1, 2))), [10]);
  assert.deepEqual(numbersOf(tail.takeWritten(-1)), [11, 12]);
  assert.deepEqual([tail.written, tail.writtenBytes, tail.bytes], [13, 0, costOf(3, 4, 5, 6, 7)]);
});

const [DAY_MS, NOW_MS] = [24 * 3_600_000, 1_800_000_000_000];
const ONE = { name: "one", instance: "1".repeat(32) };

function ledgerOf(
  clients: { name: string; instance: string; sequence: number; points: number; contactMs: number }[],
) {
  const time = { ms: NOW_MS };
  const census = Census.ofStates(
    [{ name: "", instance: "", sequence: 0, points: 7, contactMs: 0 }, ...clients],
    7 + clients.reduce((sum, { points }) => sum + points, 0),
  );
  const ledger = new Ledger(census, { wallMs: () => time.ms, monotonicMs: () => time.ms - NOW_MS });
  return { ledger, time };
}

/** What a census says of a client. */
const stateIn = (census: Census, key: string) => {
  const { sequence, points, contactMs } = census.clients.get(key)!;
  return [sequence, points, contactMs];
};

Deno.test("the ledger goes on with the clients that the journal ended with", () => {
  const { ledger } = ledgerOf([{ ...ONE, sequence: 4, points: 30, contactMs: NOW_MS - 5 }]);
  const one = ledger.clients.get(ONE.name, ONE.instance);
  assert.deepEqual([one.durable, one.accepted, one.lastContactMs], [4, 4, NOW_MS - 5]);
  assert.deepEqual([ledger.writtenPoints, ledger.unwrittenPoints], [37, 0]);
  const census = ledger.census();
  assert.equal(census.points, 37);
  assert.deepEqual([...census.clients.keys()], [LOCAL_KEY, keyOf(ONE)]);
  assert.deepEqual(stateIn(census, keyOf(ONE)), [4, 30, NOW_MS - 5]);
  assert.deepEqual(stateIn(census, LOCAL_KEY), [0, 7, 0]);
});

Deno.test("a contact in the future is one of now", () => {
  const { ledger } = ledgerOf([{ ...ONE, sequence: 4, points: 30, contactMs: NOW_MS + DAY_MS }]);
  assert.equal(ledger.clients.get(ONE.name, ONE.instance).lastContactMs, NOW_MS);
});

Deno.test("each client's points are counted where they went, and its numbers are durable then", () => {
  const { ledger, time } = ledgerOf([{ ...ONE, sequence: 4, points: 30, contactMs: NOW_MS }]);
  const { clients } = ledger;
  const one = clients.get(ONE.name, ONE.instance);
  const batch = pointsOf(2);
  batch.credit(one, 5);
  for (let i = 0; i < 3; i++) batch.push(NUMBERS, 1, 0, i);
  batch.credit(clients.local);
  clients.addOutput("out");
  time.ms += 1000;
  ledger.enter(batch, "written");
  ledger.enter(pointsOf(6), "unwritten");
  assert.deepEqual([ledger.writtenPoints, ledger.unwrittenPoints, one.durable], [42, 6, 5]);
  assert.deepEqual(stateIn(ledger.census(), keyOf(ONE)), [5, 32, NOW_MS + 1000]);
  assert.deepEqual(stateIn(ledger.census(), LOCAL_KEY), [0, 10, 0]);
});

Deno.test("an output that begins has to take what was written since its place, less what never will be", () => {
  const { ledger } = ledgerOf([{ ...ONE, sequence: 4, points: 30, contactMs: NOW_MS }]);
  ledger.enter(pointsOf(2), "unwritten");
  const start = Census.ofStates([
    { name: "", instance: "", sequence: 0, points: 1, contactMs: 0 },
    { ...ONE, sequence: 3, points: 12, contactMs: 0 },
  ], 13);
  ledger.openAccounts("late", start);
  ledger.openAccounts("new", new Census());
  const { local } = ledger.clients;
  const one = ledger.clients.get(ONE.name, ONE.instance);
  assert.deepEqual([one.account("late").keptAtStart, one.account("late").sequence], [18, 3]);
  assert.deepEqual([one.account("new").keptAtStart, one.account("new").sequence], [30, 0]);
  assert.deepEqual([local.account("late").keptAtStart, local.account("new").keptAtStart], [4, 5]);
  assert.equal(ledger.keptAtStart(start), 37 - 13 - 2);
});

Deno.test("points before the place of an output that it neither had nor has in hand are lost to it", () => {
  const { ledger } = ledgerOf([{ ...ONE, sequence: 4, points: 30, contactMs: NOW_MS }]);
  const one = ledger.clients.get(ONE.name, ONE.instance);
  ledger.openAccounts(
    "out",
    Census.ofStates([
      { name: "", instance: "", sequence: 0, points: 7, contactMs: 0 },
      { ...ONE, sequence: 1, points: 10, contactMs: 0 },
    ], 17),
  );
  const place = Census.ofStates([
    { name: "", instance: "", sequence: 0, points: 7, contactMs: 0 },
    { ...ONE, sequence: 4, points: 30, contactMs: 0 },
  ], 37);
  const stored = pointsOf(6);
  stored.credit(one, 2);
  ledger.clients.settle(stored, "out", "stored");
  const held = pointsOf(5);
  held.credit(one, 3);
  assert.equal(ledger.reconcile("out", place, [held, pointsOf(3)], "dropped"), 9);
  const account = one.account("out");
  assert.deepEqual([account.stored, account.dropped, account.sequence], [6, 9, 4]);
  assert.equal(ledger.reconcile("out", place, [held], "dropped"), 0, "they are counted once");
  assert.equal(ledger.reconcile("out", place, [], "stored"), 5);
  assert.deepEqual([account.stored, account.dropped], [11, 9]);
  assert.equal(ledger.clients.local.account("out").dropped, 0);
});

Deno.test("what an output took from memory and never was on disk does not hide what it has lost there", () => {
  const { ledger } = ledgerOf([{ ...ONE, sequence: 4, points: 30, contactMs: NOW_MS }]);
  const one = ledger.clients.get(ONE.name, ONE.instance);
  const two = ledger.clients.get("two");
  ledger.openAccounts("out", ledger.census());
  const [taken, lost, other] = [pointsOf(6), pointsOf(1), pointsOf(8)];
  taken.credit(one, 5);
  ledger.enter(taken, "unwritten");
  ledger.clients.settle(taken, "out", "stored");
  lost.credit(one, 6);
  other.credit(two);
  for (const batch of [lost, other]) ledger.enter(batch, "written");
  assert.equal(ledger.reconcile("out", ledger.census(), [other], "dropped"), 1);
  assert.equal(ledger.reconcile("out", ledger.census(), [], "dropped"), 8);
  assert.deepEqual([one.account("out").dropped, two.account("out").dropped], [1, 8]);
});

Deno.test("a batch that an output has in hand does not count as stored", () => {
  const { ledger } = ledgerOf([{ ...ONE, sequence: 4, points: 30, contactMs: NOW_MS }]);
  const one = ledger.clients.get(ONE.name, ONE.instance);
  ledger.openAccounts("out", ledger.census());
  const held = pointsOf(2);
  held.credit(one, 5);
  ledger.enter(held, "written");
  assert.equal(ledger.reconcile("out", ledger.census(), [held], "stored"), 0);
  assert.equal(one.account("out").sequence, 4);
});

Deno.test("a client that has sent nothing has no points", () => {
  const { ledger } = ledgerOf([]);
  ledger.clients.get("new").lastContactMs = NOW_MS;
  assert.deepEqual(ledger.snapshot().map(({ name, points }) => [name, points]), [["", 7], ["new", 0]]);
});

Deno.test("a journal that is opened when the clock is 60 days ahead forgets no client", () => {
  const { ledger } = ledgerOf([{ ...ONE, sequence: 4, points: 30, contactMs: NOW_MS - 60 * DAY_MS }]);
  assert.deepEqual(ledger.snapshot().map(({ name }) => name), ["", "one"]);
});

Deno.test("a client that is forgotten is in no later snapshot, unless it comes back", () => {
  const { ledger, time } = ledgerOf([
    { ...ONE, sequence: 4, points: 30, contactMs: NOW_MS },
    { name: "two", instance: "", sequence: 0, points: 5, contactMs: NOW_MS },
  ]);
  const one = ledger.clients.get(ONE.name, ONE.instance);
  for (let day = 0; day < 29; day++) {
    time.ms += DAY_MS;
    ledger.snapshot();
  }
  const batch = pointsOf(1);
  batch.credit(ledger.clients.get("two"));
  ledger.enter(batch, "written");
  assert.deepEqual(ledger.snapshot().map(({ name }) => name), ["", "one", "two"]);
  for (let hours = 0; hours < 48; hours++) {
    time.ms += DAY_MS / 24;
    ledger.snapshot();
  }
  assert.ok(time.ms - NOW_MS > FORGET_MS);
  assert.deepEqual(ledger.snapshot().map(({ name, points }) => [name, points]), [["", 7], ["two", 6]]);
  const back = pointsOf(2);
  back.credit(one, 5);
  ledger.enter(back, "written");
  assert.deepEqual(ledger.snapshot().map(({ name, points }) => [name, points]), [["", 7], ["two", 6], [
    "one",
    2,
  ]]);
});
