/** The tail of a journal on disk: the last batches, which are in memory, written or not. */
import type { Batch } from "../../points/measurement.ts";

/** A batch in the journal. */
export interface Entry {
  readonly number: number;
  readonly batch: Batch;
}

/** Memory of a batch without its points, in bytes. */
const BATCH_BYTES = 256;

function costOf({ batch }: Entry): number {
  return batch.byteLength + BATCH_BYTES;
}

export class Tail {
  /** Number of the next batch. */
  next: number;
  /** Number of the first batch that may still be written: earlier ones are on disk, or never will be. */
  written: number;
  /** One more than the last number that is being written. */
  inFlight: number;
  /** Estimated memory in bytes: of all batches, and of those that are not written. */
  bytes = 0;
  unwrittenBytes = 0;
  /** When the last batch came, in `performance.now()` ms. */
  appendedMs = -Infinity;
  /** Ordered by number; removed batches leave gaps. */
  readonly #entries: Entry[] = [];

  constructor(first: number) {
    this.next = this.written = this.inFlight = first;
  }

  get first(): Entry | undefined {
    return this.#entries[0];
  }

  get hasUnwritten(): boolean {
    const last = this.#entries.at(-1);
    return last !== undefined && last.number >= this.written;
  }

  /** Whether each batch before `number` is on disk, or never will be. */
  isWritten(number: number): boolean {
    const first = this.#entries[this.#indexOf(this.written)];
    return first === undefined || first.number >= number;
  }

  append(batch: Batch): void {
    const entry = { number: this.next++, batch };
    this.#entries.push(entry);
    this.appendedMs = performance.now();
    this.bytes += costOf(entry);
    this.unwrittenBytes += costOf(entry);
  }

  /** The batch with that number or the next one, if no batch between is only on disk. */
  at(number: number): Entry | undefined {
    const first = this.#entries[0];
    if (!first || number < first.number && number < this.written) return undefined;
    return this.#entries[this.#indexOf(number)];
  }

  /** The batches from that number on. */
  from(number: number): Entry[] {
    return this.#entries.slice(this.#indexOf(number));
  }

  /** All batches before `number` are on disk, or never will be. */
  advance(number: number): void {
    if (number <= this.written) return;
    const end = this.#indexOf(number);
    for (let i = this.#indexOf(this.written); i < end; i++) this.unwrittenBytes -= costOf(this.#entries[i]);
    this.written = number;
  }

  /** Removes the batches before `number`. */
  takeFirst(number: number): Entry[] {
    return this.#take(0, this.#indexOf(number));
  }

  /** Removes the oldest batches that are not being written, except the last one, until the rest is below a limit. */
  takeOldestUnwritten(maxBytes: number): Entry[] {
    const from = this.#indexOf(Math.max(this.written, this.inFlight));
    let end = from;
    let left = this.unwrittenBytes;
    while (left > maxBytes && end < this.#entries.length - 1) left -= costOf(this.#entries[end++]);
    return this.#take(from, end);
  }

  /** Removes one batch. */
  takeOut(number: number): Entry | undefined {
    const index = this.#indexOf(number);
    if (this.#entries[index]?.number === number) return this.#take(index, index + 1)[0];
  }

  /** Removes the oldest written batches until the rest is below a limit. */
  takeWritten(maxBytes: number): Entry[] {
    let end = 0;
    let left = this.writtenBytes;
    while (left > maxBytes && this.#entries[end]?.number < this.written) left -= costOf(this.#entries[end++]);
    return this.#take(0, end);
  }

  /** Bytes of memory of the batches that are written. */
  get writtenBytes(): number {
    return this.bytes - this.unwrittenBytes;
  }

  /** Bytes of memory of the batches from one number to before another. */
  bytesBetween(from: number, to: number): number {
    const end = this.#indexOf(to);
    let bytes = 0;
    for (let i = this.#indexOf(from); i < end; i++) bytes += costOf(this.#entries[i]);
    return bytes;
  }

  #take(from: number, end: number): Entry[] {
    if (end <= from) return [];
    const taken = this.#entries.splice(from, end - from);
    for (const entry of taken) {
      this.bytes -= costOf(entry);
      if (entry.number >= this.written) this.unwrittenBytes -= costOf(entry);
    }
    // Skip gaps at the place where writing continues.
    if (taken[0].number === this.written) this.written = taken.at(-1)!.number + 1;
    return taken;
  }

  /** The index of the batch with that number, or of the next one. */
  #indexOf(number: number): number {
    const entries = this.#entries;
    if (entries.length === 0 || number <= entries[0].number) return 0;
    // Without gaps the index is the distance; gaps make it smaller.
    let at = Math.min(number - entries[0].number, entries.length);
    while (at > 0 && entries[at - 1].number >= number) at--;
    return at;
  }
}
