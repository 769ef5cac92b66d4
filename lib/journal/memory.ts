/** The journal in memory, bounded by bytes. */
import { Wakeup } from "../base/waiting.ts";
import type { Batch } from "../points/measurement.ts";
import { ClientTable } from "../points/origins.ts";
import { untilSafe } from "./durability.ts";
import {
  type BatchReader,
  type Journal,
  type JournalStats,
  type JournalUsage,
  newJournalId,
  type OnFull,
  type WaitResult,
} from "./contract.ts";

export interface MemoryJournalOptions {
  /** Most memory that batches may take, in bytes. One batch is always accepted. */
  limitBytes: number;
  /** @default {"block"} */
  onFull?: OnFull;
  /** Called with the number of dropped points. */
  onDrop?: (points: number) => void;
}

class MemoryReader implements BatchReader {
  position = -1;
  readonly journalId = null;
  /** Absolute number of the next batch to read. */
  nextPosition: number;
  /** Absolute number of the first batch that is not committed. */
  committed: number;
  droppedPoints = 0;
  /** Batches that were read and not committed, by absolute number; dropped batches leave gaps. */
  readonly #read: { number: number; batch: Batch }[] = [];
  readonly #journal: MemoryJournal;
  readonly #wakeup = new Wakeup();

  constructor(readonly name: string, journal: MemoryJournal, position: number) {
    this.#journal = journal;
    this.nextPosition = this.committed = position;
  }

  get uncommitted(): number {
    return this.#read.length;
  }

  next(): Batch | undefined {
    const batch = this.#journal.at(this.nextPosition);
    if (batch) this.#read.push({ number: this.position = this.nextPosition++, batch });
    return batch;
  }

  get lastPosition(): number {
    return this.#journal.lastPosition;
  }

  isOwn(number: number): boolean {
    return number <= this.lastPosition;
  }

  get pendingPoints(): number {
    return this.#journal.pointsFrom(this.committed);
  }

  get isFull(): boolean {
    return this.#journal.usage.isFull;
  }

  resumeAfter(): void {}

  keepFrom(): void {}

  async wait(timeoutMs = Infinity, signal?: AbortSignal): Promise<WaitResult> {
    const deadline = performance.now() + timeoutMs;
    while (true) {
      if (this.#journal.at(this.nextPosition)) return "ready";
      if (this.#journal.ended) return "ended";
      if (signal?.aborted) return "aborted";
      const left = deadline - performance.now();
      if (left <= 0) return "timeout";
      await this.#wakeup.wait(left, signal);
    }
  }

  wake(): void {
    this.#wakeup.wake();
  }

  /** Whether the output has read that batch, and not committed it. */
  holds(number: number): boolean {
    return this.#read.some((read) => read.number === number);
  }

  commit(count: number): void {
    if (count > this.uncommitted) {
      throw new RangeError(`Cannot commit ${count} batches: ${this.uncommitted} are read and not committed`);
    }
    for (const { batch } of this.#read.splice(0, count)) {
      this.#journal.clients.settle(batch, this.name, "stored");
    }
    this.committed = this.#read[0]?.number ?? this.nextPosition;
    this.#journal.forgetCommitted();
  }
}

/** A bounded queue with one cursor per output. */
export class MemoryJournal implements Journal {
  id: string = newJournalId();
  readonly clients: ClientTable = new ClientTable();
  readonly stats: JournalStats = { appendedPoints: 0, droppedPoints: 0 };
  readonly #batches: Batch[] = [];
  /** Absolute number of `#batches[0]`. */
  #first = 0;
  /** Batches that are no longer in the journal while an output may hold them. */
  #held: { number: number; batch: Batch }[] = [];
  #bytes = 0;
  readonly #limitBytes: number;
  readonly #onFull: OnFull;
  readonly #onDrop: (points: number) => void;
  readonly #readers: MemoryReader[] = [];
  #waiting: (() => void)[] = [];
  #ended = false;
  #unblocked = false;

  constructor(options: MemoryJournalOptions) {
    this.#limitBytes = options.limitBytes;
    this.#onFull = options.onFull ?? "block";
    this.#onDrop = options.onDrop ?? (() => {});
  }

  /** No more batches will come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Points that some output has not committed yet. */
  get pendingPoints(): number {
    return this.pointsFrom(this.#first);
  }

  /** Number of the batch that was appended last. */
  get lastPosition(): number {
    return this.#first + this.#batches.length - 1;
  }

  get usage(): JournalUsage {
    const bytes = this.#bytes;
    const limitBytes = this.#limitBytes;
    return { bytes, limitBytes, isFull: bytes > limitBytes };
  }

  renewId(): Promise<void> {
    this.id = newJournalId();
    return Promise.resolve();
  }

  /** Points in the batches from that number on. For readers. */
  pointsFrom(position: number): number {
    let points = 0;
    for (let i = Math.max(0, position - this.#first); i < this.#batches.length; i++) {
      points += this.#batches[i].length;
    }
    return points;
  }

  /** Returns a new cursor at the first batch. Batches here will never be more durable. */
  reader(name = "default"): BatchReader {
    const reader = new MemoryReader(name, this, this.#first);
    this.#readers.push(reader);
    this.clients.addOutput(name);
    return reader;
  }

  /** Returns the batch with that absolute number while the journal has it. For readers. */
  at(position: number): Batch | undefined {
    return this.#batches[position - this.#first];
  }

  /** With `block`, resolves when there is room for another one; with `drop_oldest`, at once. */
  append(batch: Batch): Promise<void> | void {
    if (batch.length === 0 && batch.origins.length === 0) return batch.release();
    if (this.#ended) throw new Error("Cannot append: the journal has ended");
    this.stats.appendedPoints += batch.length;
    this.#batches.push(batch);
    this.#bytes += batch.byteLength;
    if (this.#bytes > this.#limitBytes && this.#onFull === "drop_oldest") this.#dropOldest();
    for (const reader of this.#readers) reader.wake();
    if (this.#bytes > this.#limitBytes && this.#onFull === "block" && !this.#unblocked) {
      return new Promise((resolve) => this.#waiting.push(resolve));
    }
  }

  beginStop(): void {}

  untilDurable(): Promise<void> {
    const { lastPosition } = this;
    return untilSafe(this.clients, () => this.#first > lastPosition);
  }

  /** Producers no longer wait for room. For a stop, when other limits bound what producers still have. */
  unblock(): void {
    this.#unblocked = true;
    this.#wakeProducers();
  }

  /** Ends the journal: readers get the rest, and then the end. */
  end(): void {
    this.#ended = true;
    for (const reader of this.#readers) reader.wake();
    this.#wakeProducers();
  }

  /** Drops what every cursor has passed. For readers. */
  forgetCommitted(): void {
    let passed = Infinity;
    for (const reader of this.#readers) passed = Math.min(passed, reader.committed);
    this.#forget(Math.min(passed, this.#first + this.#batches.length) - this.#first);
    this.#releaseHeld();
  }

  #forget(count: number): void {
    if (count <= 0) return;
    for (const [i, batch] of this.#batches.splice(0, count).entries()) {
      this.#bytes -= batch.byteLength;
      // Every output has it, so it will never be safer.
      this.clients.makeDurable(batch);
      this.#held.push({ number: this.#first + i, batch });
    }
    this.#first += count;
    this.#releaseHeld();
    this.clients.progress();
    if (this.#bytes <= this.#limitBytes) this.#wakeProducers();
  }

  /** Releases what no output reads any more. */
  #releaseHeld(): void {
    this.#held = this.#held.filter(({ number, batch }) => {
      if (this.#readers.some((reader) => reader.holds(number))) return true;
      batch.release();
      return false;
    });
  }

  #dropOldest(): void {
    let count = 0;
    let bytes = this.#bytes;
    let points = 0;
    while (bytes > this.#limitBytes && count < this.#batches.length - 1) {
      const batch = this.#batches[count];
      bytes -= batch.byteLength;
      let lost = false;
      for (const reader of this.#readers) {
        if (reader.nextPosition <= this.#first + count) {
          reader.nextPosition = this.#first + count + 1;
          reader.droppedPoints += batch.length;
          this.clients.settle(batch, reader.name, "dropped");
          lost = true;
        }
      }
      if (lost) points += batch.length;
      count++;
    }
    this.#forget(count);
    this.stats.droppedPoints += points;
    if (points > 0) this.#onDrop(points);
  }

  #wakeProducers(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }
}
