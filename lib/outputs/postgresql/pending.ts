/** Batches that were read from the journal and are not stored. */
import type { BatchReader } from "../../journal.ts";
import type { Batch } from "../../points/measurement.ts";

export interface PendingBatch {
  readonly batch: Batch;
  /** In the journal. */
  readonly number: number;
  /** When it was read, in ms of a clock that does not go back. */
  readonly readMs: number;
}

/** A transaction is not made larger than that, in batches: their origins take time too. */
const MOST_BATCHES = 4096;

export class Pending {
  readonly #reader: BatchReader;
  readonly list: PendingBatch[] = [];
  points = 0;

  constructor(reader: BatchReader) {
    this.#reader = reader;
  }

  /** Reads what is there, until that many points wait. */
  read(points: number, nowMs: number): void {
    while (this.points < points && this.list.length < 2 * MOST_BATCHES) {
      const batch = this.#reader.next();
      if (!batch) return;
      this.list.push({ batch, number: this.#reader.position, readMs: nowMs });
      this.points += batch.length;
    }
  }

  /** The first ones, up to that many points, one batch at least if there is one. */
  group(points: number): PendingBatch[] {
    const group: PendingBatch[] = [];
    let count = 0;
    for (const entry of this.list) {
      if (group.length === MOST_BATCHES) break;
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
