/** Batches that were read from the journal and are not stored, and which of them may be written. */
import type { BatchReader } from "../../journal.ts";
import type { Batch } from "../../measurement.ts";

export interface PendingBatch {
  readonly batch: Batch;
  /** In the journal. */
  readonly number: number;
  /** When it was read, in ms of a clock that does not go back. */
  readonly readMs: number;
  /** A crash of this process cannot take it away any more. */
  durable: boolean;
}

/** A transaction is not made larger than that, in batches: their origins take time too. */
const MOST_BATCHES = 4096;

export class Pending {
  readonly #reader: BatchReader;
  readonly #waitForDisk: boolean;
  readonly #onDurable: () => void;
  readonly list: PendingBatch[] = [];
  points = 0;

  /**
   * @param waitForDisk Only what the journal has safely may be written: otherwise, after a crash of this machine,
   *   clients would send again what the database has.
   */
  constructor(reader: BatchReader, waitForDisk: boolean, onDurable: () => void) {
    this.#reader = reader;
    this.#waitForDisk = waitForDisk;
    this.#onDurable = onDurable;
  }

  /** Reads what is there, until that many points wait. */
  read(points: number, nowMs: number): void {
    while (this.points < points && this.list.length < 2 * MOST_BATCHES) {
      const batch = this.#reader.next();
      if (!batch) return;
      const entry = { batch, number: this.#reader.position, readMs: nowMs, durable: !this.#waitForDisk };
      this.list.push(entry);
      this.points += batch.length;
      if (this.#waitForDisk) {
        this.#reader.durable().then(() => {
          entry.durable = true;
          this.#onDurable();
        }, () => {/* the journal was closed: it will not be written */});
      }
    }
  }

  /** The first ones that may be written, up to that many points, one batch at least if there is one. */
  group(points: number): PendingBatch[] {
    const group: PendingBatch[] = [];
    let count = 0;
    for (const entry of this.list) {
      if (!entry.durable || group.length === MOST_BATCHES) break;
      if (group.length > 0 && count + entry.batch.length > points) break;
      group.push(entry);
      count += entry.batch.length;
    }
    return group;
  }

  /** The first `count` are stored. */
  commit(count: number): void {
    for (const { batch } of this.list.splice(0, count)) this.points -= batch.length;
    this.#reader.commit(count);
  }
}
