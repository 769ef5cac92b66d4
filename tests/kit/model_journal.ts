/** A journal whose disk is an array, for tests that decide what is durable when, and when the process dies. */
import { Wakeup } from "../../lib/base/waiting.ts";
import type { BatchReader, Journal, WaitResult } from "../../lib/journal.ts";
import { Batch, Series } from "../../lib/points/measurement.ts";
import { ClientTable } from "../../lib/points/origins.ts";

/** Entries of a segment. */
const SEGMENT_ENTRIES = 3;

interface Origin {
  readonly name: string;
  readonly instance: string;
  readonly start: number;
  readonly end: number;
  readonly sequence: number;
}

interface Row {
  readonly series: Series;
  readonly seconds: number;
  readonly nanos: number;
  readonly value: number;
}

interface Entry {
  readonly number: number;
  readonly rows: readonly Row[];
  readonly origins: readonly Origin[];
}

/** What outlives the process. */
export class ModelDisk {
  readonly entries: Entry[] = [];
  /** The last numbers of clients in all entries that there ever were. */
  readonly numbers = new Map<string, Omit<Origin, "start" | "end">>();
  /** The first number of the next life. */
  next = 0;
  /** Where the reader begins. */
  cursor = 0;

  constructor(readonly id: string) {}

  *rows(): Generator<Row & { client: string }> {
    for (const { rows, origins } of this.entries) {
      for (const { name, start, end } of origins) {
        for (const row of rows.slice(start, end)) yield { ...row, client: name };
      }
    }
  }
}

/** One life of it. */
export class ModelJournal implements Journal, BatchReader {
  readonly clients: ClientTable = new ClientTable();
  readonly stats = { appendedPoints: 0, droppedPoints: 0 };
  usage = { bytes: 0, limitBytes: 100, isFull: false };
  readonly pendingPoints = 0;
  readonly droppedPoints = 0;
  ended = false;
  position = -1;
  readonly #disk: ModelDisk;
  /** Appended, and not on disk. */
  readonly #memory: Entry[] = [];
  #next: number;
  #nextRead: number;
  #committed: number;
  #keepFrom = Infinity;
  #isOver = false;
  #isDead = false;
  readonly #wakeup = new Wakeup();

  constructor(disk: ModelDisk) {
    this.#disk = disk;
    this.#next = disk.next;
    disk.next += 1000;
    this.#nextRead = this.#committed = disk.cursor;
    for (const { name, instance, sequence } of disk.numbers.values()) {
      this.clients.get(name, instance).numbers.restore(sequence);
    }
  }

  get id(): string {
    return this.#disk.id;
  }

  get journalId(): string {
    return this.#disk.id;
  }

  get lastPosition(): number {
    return this.#next - 1;
  }

  get uncommitted(): number {
    return 0;
  }

  /** Entries that are not on disk. */
  get unwritten(): number {
    return this.#memory.length;
  }

  renewId(): Promise<void> {
    throw new Error("It was not asked for");
  }

  untilDurable(): Promise<void> {
    throw new Error("It was not asked for");
  }

  isOwn(): boolean {
    return true;
  }

  get isFull(): boolean {
    return false;
  }

  reader(): BatchReader {
    return this;
  }

  resumeAfter(): void {}
  beginStop(): void {}
  unblock(): void {}

  append(batch: Batch): void {
    this.#memory.push({
      number: this.#next++,
      rows: Array.from({ length: batch.length }, (_, row): Row => {
        const { metric, resourceKind, resourceId, consumerKind, consumerId, attributes } = batch.seriesAt(
          row,
        );
        return {
          series: new Series(metric, resourceKind, resourceId, consumerKind, consumerId, attributes),
          seconds: batch.seconds[row],
          nanos: batch.nanos[row],
          value: batch.values[row],
        };
      }),
      origins: batch.origins.map(({ client: { name, instance }, start, end, sequence }) => (
        { name, instance, start, end, sequence }
      )),
    });
    batch.release();
  }

  end(): void {
    this.ended = true;
    this.#wakeup.wake();
  }

  /** The process is killed: nothing that it still does comes to disk. */
  die(): void {
    this.#isDead = true;
  }

  /** The oldest batches that are only in memory come to disk. */
  sync(count: number): void {
    for (const entry of this.#memory.splice(0, count)) {
      this.#disk.entries.push(entry);
      for (const { name, instance, sequence } of entry.origins) {
        this.#disk.numbers.set(`${instance}/${name}`, { name, instance, sequence });
      }
      this.clients.makeDurable(this.#batchOf(entry));
    }
    this.clients.progress();
    this.#wakeup.wake();
  }

  /** A wait that lasts ends because its time is over. */
  timeOut(): void {
    this.#isOver = true;
    this.#wakeup.wake();
  }

  /** The cursor comes to disk. */
  saveCursor(): void {
    const disk = this.#disk;
    disk.cursor = Math.max(disk.cursor, Math.min(this.#keepFrom, this.#committed));
  }

  /** Deletes what the reader has passed, and with it whole segments, as a journal on disk does. */
  #forget(): void {
    if (this.#isDead) return;
    const { entries } = this.#disk;
    const count = entries.findIndex(({ number }) => number >= Math.min(this.#keepFrom, this.#committed));
    const passed = count < 0 ? entries.length : count;
    entries.splice(0, passed - passed % SEGMENT_ENTRIES);
  }

  next(): Batch | undefined {
    const entry = this.#disk.entries.find(({ number }) => number >= this.#nextRead);
    if (!entry) return undefined;
    this.#nextRead = entry.number + 1;
    this.position = entry.number;
    return this.#batchOf(entry);
  }

  async wait(_timeoutMs?: number, signal?: AbortSignal): Promise<WaitResult> {
    this.#isOver = false;
    while (true) {
      if (signal?.aborted) return "aborted";
      if (this.#disk.entries.some(({ number }) => number >= this.#nextRead)) return "ready";
      if (this.ended && this.#memory.length === 0) return "ended";
      if (this.#isOver) return "timeout";
      await this.#wakeup.wait(Infinity, signal);
    }
  }

  commit(): void {
    this.#committed = this.#nextRead;
    this.#forget();
  }

  keepFrom(number: number): void {
    this.#keepFrom = number;
    this.#forget();
  }

  #batchOf({ rows, origins }: Entry): Batch {
    const batch = new Batch(rows.length);
    for (const { series, seconds, nanos, value } of rows) batch.push(series, seconds, nanos, value);
    for (const { name, instance, start, end, sequence } of origins) {
      batch.origins.push({ client: this.clients.get(name, instance), start, end, sequence });
    }
    return batch;
  }
}
