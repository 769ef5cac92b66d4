/** The loop of outputs that post points, with a handler that a test plays. */
import assert from "node:assert/strict";
import { MemoryJournal } from "../../../lib/journal.ts";
import type { Batch } from "../../../lib/points/measurement.ts";
import { type Gathered, type RequestHandler, RequestLoop } from "../../../lib/outputs/http/loop.ts";
import { contextWith } from "../../kit/context.ts";
import { numbered } from "../../kit/points.ts";
import { PATIENCE_MS, until } from "../../kit/waiting.ts";

/** Room for so many points in a request. */
const CAPACITY = 4;

class Values implements Gathered {
  readonly values: number[] = [];

  get length(): number {
    return this.values.length;
  }

  clear(): void {
    this.values.length = 0;
  }
}

/** Keeps what is delivered. Negative values cannot be sent. */
class Target implements RequestHandler<Values> {
  readonly delivered: number[][] = [];
  flushMs = 60_000;
  hurried = 0;
  /** What a delivery waits for. */
  gate: Promise<void> = Promise.resolve();

  create = () => new Values();
  flushIntervalMs = () => this.flushMs;
  hurry(): void {
    this.hurried++;
  }

  fill({ values }: Values, batch: Batch, from: number): number {
    let row = from;
    for (; row < batch.length && values.length < CAPACITY; row++) {
      if (batch.values[row] >= 0) values.push(batch.values[row]);
    }
    return row;
  }

  isFull = ({ length }: Values, taken: number) => length === CAPACITY || taken > 3 * CAPACITY;

  async deliver({ values }: Values): Promise<void> {
    this.delivered.push([...values]);
    await this.gate;
  }
}

/** The loop, with a journal before it. */
class Rig implements AsyncDisposable {
  readonly target = new Target();
  readonly journal = new MemoryJournal({ limitBytes: 1e6 });
  readonly reader = this.journal.reader();
  readonly stop = new AbortController();
  readonly running = new RequestLoop(this.target, contextWith({})).run(this.reader, this.stop.signal);

  give(...batches: Batch[]): void {
    for (const batch of batches) this.journal.append(batch);
  }

  async delivered(count: number): Promise<void> {
    await until(() => this.target.delivered.length >= count, PATIENCE_MS, `${count} requests`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    await this.running.catch(() => {});
  }
}

Deno.test("points fill requests across batches, and a batch is committed with the request that has its last point", async () => {
  await using rig = new Rig();
  const gate = Promise.withResolvers<void>();
  rig.target.gate = gate.promise;
  rig.give(numbered(1), numbered(6, 1));
  await rig.delivered(1);
  assert.deepEqual(rig.target.delivered, [[0, 1, 2, 3]]);
  assert.equal(rig.reader.uncommitted, 2, "nothing is committed before it is delivered");
  gate.resolve();
  await until(() => rig.reader.uncommitted === 1);
  rig.give(numbered(1, 7));
  await rig.delivered(2);
  assert.deepEqual(rig.target.delivered[1], [4, 5, 6, 7]);
  await until(() => rig.reader.uncommitted === 0);
});

Deno.test("points wait for others no longer than the interval, which may change meanwhile", async () => {
  await using rig = new Rig();
  rig.target.flushMs = 20;
  rig.give(numbered(1));
  await rig.delivered(1);
  await until(() => rig.reader.uncommitted === 0);
  rig.target.flushMs = 60_000;
  rig.give(numbered(1, 1));
  await until(() => rig.reader.uncommitted === 1);
  rig.target.flushMs = 1;
  rig.give(numbered(1, 2));
  await rig.delivered(2);
  assert.deepEqual(rig.target.delivered, [[0], [1, 2]]);
});

Deno.test("batches of which nothing is to be sent are committed, without a request", async () => {
  await using rig = new Rig();
  rig.target.flushMs = 1;
  rig.give(numbered(2, -2));
  await until(() => rig.reader.uncommitted === 0 && rig.journal.pendingPoints === 0);
  // By the number of its points, too, long before the interval.
  rig.target.flushMs = 60_000;
  rig.give(numbered(3 * CAPACITY + 1, -100));
  await until(() => rig.journal.pendingPoints === 0);
  assert.deepEqual(rig.target.delivered, []);
});

Deno.test("the end hurries the request under way before the last points wait for it", async () => {
  await using rig = new Rig();
  const gate = Promise.withResolvers<void>();
  rig.target.gate = gate.promise;
  rig.target.hurry = () => gate.resolve();
  rig.give(numbered(CAPACITY), numbered(1, CAPACITY));
  await rig.delivered(1);
  rig.journal.end();
  await rig.running;
  assert.deepEqual(rig.target.delivered, [[0, 1, 2, 3], [4]]);
  assert.equal(rig.reader.uncommitted, 0);
});

Deno.test("a delivery that throws ends the loop while it waits for batches, and commits nothing", async () => {
  await using rig = new Rig();
  rig.target.gate = Promise.reject(new Error("no room"));
  rig.give(numbered(CAPACITY));
  await assert.rejects(rig.running, /no room/);
  assert.equal(rig.reader.uncommitted, 1);
});

Deno.test("an abort ends the loop without an error, and what is under way is not committed", async () => {
  await using rig = new Rig();
  const gate = Promise.withResolvers<void>();
  rig.target.gate = gate.promise;
  rig.give(numbered(CAPACITY), numbered(1, CAPACITY));
  await rig.delivered(1);
  rig.stop.abort();
  gate.resolve();
  await rig.running;
  assert.equal(rig.target.delivered.length, 1);
  assert.ok(rig.reader.uncommitted >= 1);
});
