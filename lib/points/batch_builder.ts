/** Where the connections of a server put their points, until there are enough of them to be passed on. */
import type { ClientRecord } from "./origins.ts";
import { Batch, type BatchPool } from "./measurement.ts";
import type { SeriesStore } from "./series_store.ts";

/** Gathers points into batches of a pool's capacity. */
export class BatchBuilder {
  /** Batches that are full. */
  readonly full: Batch[] = [];
  /** The batch that is being filled. */
  current: Batch;
  readonly #pool: BatchPool;
  /** How many of the full batches are credited up to their last row. */
  #credited = 0;

  constructor(pool: BatchPool) {
    this.#pool = pool;
    this.current = pool.take();
  }

  /** Whose numbers the series of the points have. */
  get store(): SeriesStore {
    return this.#pool.store;
  }

  /** Points gathered. */
  get length(): number {
    let { length } = this.current;
    for (const batch of this.full) length += batch.length;
    return length;
  }

  /** Nothing is to be handed over, not even the number of a batch without points. */
  get isEmpty(): boolean {
    return this.full.length === 0 && this.current.length === 0 && this.current.origins.length === 0;
  }

  /** Where `rows` points fit that must not be parted: it is {@linkcode add}ed when they are in. */
  room(rows: number): Batch {
    const { capacity } = this.#pool;
    // What came before stays before it.
    if (
      this.current.length + rows > capacity && (this.current.length > 0 || this.current.origins.length > 0)
    ) {
      this.rotate();
    }
    return rows > capacity ? new Batch(rows, null, this.store) : this.current;
  }

  /** A batch from {@linkcode room} has been filled. */
  add(batch: Batch): void {
    if (batch !== this.current) this.full.push(batch);
  }

  /** Puts the current batch aside and begins another one. */
  rotate(): Batch {
    this.full.push(this.current);
    return this.current = this.#pool.take();
  }

  /** Says whose the points are that came since the last time. */
  credit(client: ClientRecord): void {
    for (let i = this.#credited; i < this.full.length; i++) this.full[i].credit(client);
    this.#credited = this.full.length;
    this.current.credit(client);
  }

  /** Says what series that are new with the last points take in memory, in bytes. */
  charge(newSeriesBytes: number): void {
    const batch = this.current.length > 0 ? this.current : this.full.at(-1) ?? this.current;
    batch.newSeriesBytes += newSeriesBytes;
  }

  /** Hands over the batches that are full. */
  takeFull(): Batch[] {
    this.#credited = 0;
    return this.full.splice(0);
  }

  /** Hands over all that was gathered; a batch that is mostly empty is copied into one that fits. */
  take(): Batch[] {
    const batches = this.takeFull();
    const { current } = this;
    if (current.length * 2 > this.#pool.capacity) {
      batches.push(current);
      this.current = this.#pool.take();
    } else if (current.length > 0 || current.origins.length > 0) {
      batches.push(current.copy(this.#pool.takeFor(current.length)));
      current.clear();
    }
    return batches;
  }

  /** Forgets the points behind the first `length`. */
  truncate(length: number): void {
    while (this.length > length) {
      const excess = this.length - length;
      if (excess > this.current.length) {
        this.current.release();
        this.current = this.full.pop()!;
      } else this.current.truncate(this.current.length - excess);
    }
  }
}
