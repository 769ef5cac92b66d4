/**
 * What an output renders once per series: bytes in one array. The caches of series say where theirs begin, and of which
 * generation of the pool they are; another one means that they are no longer there, or in another pool.
 */
import { enlarged } from "../../base/bytes.ts";

/** How much longer the array becomes: less of it is empty than of a buffer that is used for a moment. */
const GROWTH = 1.5;

/** What a pool may take in memory where nothing else is said, in bytes. */
const LIMIT_BYTES = 16 * 1024 * 1024;

let generations = 0;

export class SeriesPool {
  bytes: Uint8Array<ArrayBuffer>;
  /** The same bytes; another one after {@linkcode SeriesPool.reserve} and {@linkcode SeriesPool.reserveWithin}. */
  view: DataView<ArrayBuffer>;
  /** Bytes that are used. */
  length = 0;
  /** No other pool of this process has had it. */
  generation = ++generations;

  /** @param limit Bytes after which everything is forgotten. */
  constructor(capacity: number, readonly limit: number = LIMIT_BYTES) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Forgets everything. */
  clear(): void {
    this.length = 0;
    this.generation = ++generations;
  }

  /** Makes room for `count` bytes behind the end. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    this.bytes = enlarged(this.bytes, this.length, needed, GROWTH);
    this.view = new DataView(this.bytes.buffer);
  }

  /** The same; where that would be more than the limit, everything is forgotten before. */
  reserveWithin(count: number): void {
    if (this.length + count > this.limit && this.length > 0) this.clear();
    this.reserve(count);
  }
}
