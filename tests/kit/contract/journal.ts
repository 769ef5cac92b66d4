/**
 * A journal that a test can replay: it keeps everything, gives it to one reader after the other as to processes that
 * come after one another, and finds out what a reader's user does wrong.
 */
import assert from "node:assert/strict";
import { ClientTable } from "../../../lib/points/origins.ts";
import { type BatchReader, newJournalId, type WaitResult } from "../../../lib/journal.ts";
import { Batch, Series, seriesOf } from "../../../lib/points/measurement.ts";
import { metricOf } from "../decode.ts";
import { type Point, seriesKey } from "./points.ts";

/** Whose batch it is, where it is not of this process. */
export interface Sender {
  readonly name: string;
  readonly instance: string;
  /** Number of the client's batch. */
  readonly sequence: number;
}

interface Entry {
  readonly number: number;
  readonly points: () => readonly Point[];
  readonly sender?: Sender;
}

/** What a batch looks like after it was committed, when it is somebody else's. */
const GONE = seriesOf(metricOf("USED AFTER COMMIT"));

export class ReplayJournal {
  /** `null`: positions mean nothing after the end of the process. */
  readonly id: string | null;
  readonly entries: Entry[] = [];
  ended = false;
  #reader: ReplayReader | null = null;

  constructor(options: { durable: boolean }) {
    this.id = options.durable ? newJournalId() : null;
  }

  /** One batch. A function makes the points each time that they are read. */
  push(points: readonly Point[] | (() => readonly Point[]), sender?: Sender): void {
    // Numbers ascend, and there are gaps.
    const number = (this.entries.at(-1)?.number ?? 6) + (this.entries.length % 4 === 3 ? 3 : 1);
    this.entries.push({ number, points: typeof points === "function" ? points : () => points, sender });
    this.#reader?.wake();
  }

  end(): void {
    this.ended = true;
    this.#reader?.wake();
  }

  /** The reader of the next process, from entry `from` on. */
  reader(from = 0): ReplayReader {
    return this.#reader = new ReplayReader(this, from);
  }
}

/** Thrown where a process is killed. */
export class Killed extends Error {
  override readonly name = "Killed";
}

export class ReplayReader implements BatchReader {
  readonly clients: ClientTable = new ClientTable();
  readonly droppedPoints = 0;
  readonly isFull = false;
  position = -1;
  /** Entries that are committed, or were stored by a process before. */
  committed: number;
  committedPoints = 0;
  uncommittedPoints = 0;
  mostUncommittedPoints = 0;
  /** The process dies in the commit that comes then. */
  killInCommit = false;
  readonly #journal: ReplayJournal;
  #next: number;
  #resumed = false;
  #began = false;
  readonly #read: { batch: Batch; length: number; index: number }[] = [];
  readonly #series = new Map<string, Series>();
  #wake: (() => void) | null = null;

  constructor(journal: ReplayJournal, from: number) {
    this.#journal = journal;
    this.committed = this.#next = from;
    this.clients.addOutput("output");
  }

  get journalId(): string | null {
    return this.#journal.id;
  }

  get uncommitted(): number {
    return this.#read.length;
  }

  get lastPosition(): number {
    return this.#journal.entries.at(-1)?.number ?? -1;
  }

  isOwn(number: number): boolean {
    return number <= this.lastPosition;
  }

  get pendingPoints(): number {
    return this.#journal.entries.slice(this.committed).reduce((sum, { points }) => sum + points().length, 0);
  }

  resumeAfter(position: number): void {
    assert.notEqual(this.#journal.id, null, "resumeAfter although the journal's numbers mean nothing");
    assert.ok(!this.#began, "resumeAfter after the first next()");
    assert.ok(!this.#resumed, "resumeAfter twice");
    this.#resumed = true;
    const { entries } = this.#journal;
    while (this.#next < entries.length && entries[this.#next].number <= position) this.#next++;
    this.committed = Math.max(this.committed, this.#next);
  }

  keepFrom(): void {}

  next(): Batch | undefined {
    this.#began = true;
    const entry = this.#journal.entries[this.#next];
    if (!entry) return undefined;
    const points = entry.points();
    const batch = this.#batchOf(points, entry.sender);
    this.#read.push({ batch, length: points.length, index: this.#next++ });
    this.position = entry.number;
    this.uncommittedPoints += points.length;
    this.mostUncommittedPoints = Math.max(this.mostUncommittedPoints, this.uncommittedPoints);
    return batch;
  }

  #batchOf(points: readonly Point[], sender?: Sender): Batch {
    const batch = new Batch(Math.max(1, points.length));
    // Two equal series may be two objects: now and then they are registered again.
    if (this.#next % 5 === 4) this.#series.clear();
    for (const point of points) {
      const key = seriesKey(point);
      let series = this.#series.get(key);
      if (!series) {
        const { metric, resourceKind, resourceId, consumerKind, consumerId, attributes } = point;
        series = new Series(metric, resourceKind, resourceId, consumerKind, consumerId, attributes);
        this.#series.set(key, series);
      }
      const { seconds, nanos, value } = point;
      if (typeof value === "bigint") batch.pushU64(series, seconds, nanos, value);
      else batch.push(series, seconds, nanos, value);
    }
    if (sender) batch.credit(this.clients.get(sender.name, sender.instance), sender.sequence);
    return batch;
  }

  async wait(timeoutMs = Infinity, signal?: AbortSignal): Promise<WaitResult> {
    const deadline = performance.now() + timeoutMs;
    while (true) {
      if (this.#next < this.#journal.entries.length) return "ready";
      if (this.#journal.ended) return "ended";
      if (signal?.aborted) return "aborted";
      const left = deadline - performance.now();
      if (left <= 0) return "timeout";
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", wake);
          this.#wake = null;
          resolve();
        };
        const timer = left < Infinity ? setTimeout(wake, Math.min(left, 2_147_483_647)) : undefined;
        signal?.addEventListener("abort", wake, { once: true });
        this.#wake = wake;
      });
    }
  }

  wake(): void {
    this.#wake?.();
  }

  commit(count: number): void {
    assert.ok(Number.isInteger(count) && count >= 0 && count <= this.#read.length, `commit(${count})`);
    if (this.killInCommit && count > 0) throw new Killed("in the commit");
    for (const { batch, length, index } of this.#read.splice(0, count)) {
      this.clients.settle(batch, "output", "stored");
      this.committed = index + 1;
      this.committedPoints += length;
      this.uncommittedPoints -= length;
      // As a pool would use it again.
      batch.series.fill(batch.store.numberOf(GONE));
      batch.seconds.fill(1);
      batch.values.fill(-999);
      batch.exact = null;
    }
  }
}
