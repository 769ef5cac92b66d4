/** Decides what a journal on disk keeps: what some output has not committed, within limits of size, age, space and memory. */
import { seriesStore } from "../../points/series_store.ts";
import type { Core } from "./core.ts";
import type { Entry } from "./tail.ts";

const SPACE_INTERVAL_MS = 1000;
/** Memory for a slow disk, as a multiple of the memory for a failing one. */
const SLOW_FACTOR = 4;
/**
 * Memory for batches that an active output has not read yet, as a multiple of the normal memory: to read them from disk,
 * everything before them in their segment would have to be decoded as well.
 */
const READ_ON_FACTOR = 2;
/** Share of the maximum age that one segment may span: dropped points are at most that much younger. */
const AGE_PARTS = 8;

export class Retention {
  /** Writing is not possible at present. */
  stalled = false;
  /** The file system has less free space than `minFreeBytes`. */
  lowSpace = false;
  readonly #core: Core;
  #spaceCheckedMs = -Infinity;
  /** Batches that left the tail while an output may hold them. */
  #held: Entry[] = [];

  constructor(core: Core) {
    this.#core = core;
  }

  /** Whether producers should wait. */
  get isFull(): boolean {
    const { segments, tail, settings: { maxBytes, memoryBytes } } = this.#core;
    return segments.bytes > maxBytes || tail.unwrittenBytes > memoryBytes;
  }

  /** The maximum age of the oldest record in the segment that is being written, in ms. */
  get maxSpanMs(): number {
    return this.#core.settings.maxAgeMs / AGE_PARTS;
  }

  /**
   * Deletes segments that every output has passed, except the last one, which has the table of clients. Forgets batches
   * that need not be in memory.
   */
  forgetCommitted(): void {
    const { segments, tail, ledger, committed, keptFrom, settings: { memoryBytes } } = this.#core;
    while (segments.first && segments.second && segments.second.first <= keptFrom) {
      segments.remove(segments.first);
    }
    if (this.stalled) {
      // Every output has it, so it need not be written.
      const end = Math.min(keptFrom, tail.next);
      for (const { number, batch } of tail.from(tail.written)) {
        if (number >= end) break;
        ledger.enter(batch, "unwritten");
      }
      tail.advance(end);
    }
    for (const { batch } of tail.takeFirst(Math.min(committed, tail.written))) batch.release();
    // A reader that is behind gets these from disk. While one does, they keep all series in memory that it meets.
    if (seriesStore.isCrowded) this.#held.push(...tail.takeWritten(0));
    else if (tail.writtenBytes > memoryBytes) this.#held.push(...tail.takeWritten(this.#maxWrittenBytes));
    this.#releaseHeld();
  }

  /**
   * Releases what only the outputs had: the series of a batch, and all that came later, stay in memory until it is
   * released.
   */
  #releaseHeld(): void {
    if (this.#held.length === 0) return;
    const readers = [...this.#core.readers.values()];
    this.#held = this.#held.filter((entry) => {
      if (readers.some((reader) => reader.holds(entry))) return true;
      entry.batch.release();
      return false;
    });
  }

  /** Most memory for batches that are written. */
  get #maxWrittenBytes(): number {
    const { tail, readers, settings: { memoryBytes } } = this.#core;
    let max = memoryBytes;
    let furthest = 0;
    let held = 0;
    for (const reader of readers.values()) {
      const { nextNumber, committed } = reader;
      if (nextNumber > furthest) {
        furthest = nextNumber;
        // Removing these frees nothing while the output holds them.
        held = tail.bytesBetween(committed, nextNumber);
      }
      if (nextNumber < tail.written && reader.isOnMemory) max = READ_ON_FACTOR * memoryBytes;
    }
    return max + held;
  }

  /** With `drop_oldest`: drops batches that are only in memory, above the limit. */
  limitMemory(): void {
    const { onFull, memoryBytes } = this.#core.settings;
    if (onFull !== "drop_oldest") return;
    this.giveUp(this.#core.tail.takeOldestUnwritten(this.stalled ? memoryBytes : SLOW_FACTOR * memoryBytes));
  }

  /** These batches were removed from memory and will never be written. */
  giveUp(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const { readers, ledger } = this.#core;
    let lost = readers.size > 0 ? 0 : entries.reduce((sum, { batch }) => sum + batch.length, 0);
    for (const reader of readers.values()) lost = Math.max(lost, reader.dropUnwritten(entries));
    for (const { batch } of entries) ledger.enter(batch, "unwritten");
    this.#held.push(...entries);
    this.#releaseHeld();
    this.#countDropped(lost);
    this.#core.onWritten();
  }

  /** Drops the oldest segment, unless it is the last one. */
  dropSegment(): boolean {
    const { segments, readers } = this.#core;
    const { first, second } = segments;
    if (!first || !second) return false;
    const census = segments.censusAt(second);
    let lost = readers.size > 0 ? 0 : second.pointsBefore - first.pointsBefore;
    for (const reader of readers.values()) lost = Math.max(lost, reader.dropWritten(second.first, census));
    segments.remove(first);
    this.#countDropped(lost);
    return true;
  }

  /** Applies the limits of size and age. @param beginSegment Begins a new last segment. */
  async limitDisk(beginSegment: () => Promise<void>): Promise<void> {
    const { segments, tail, settings: { onFull, maxBytes, maxAgeMs, times } } = this.#core;
    if (onFull === "drop_oldest") { while (segments.bytes > maxBytes && this.dropSegment()); }
    const oldest = times.monotonicMs() - maxAgeMs;
    while (segments.first && segments.first.writtenMs < oldest) {
      if (!segments.second) {
        // Without points that somebody waits for, only its table of clients is needed.
        if (this.#core.keptFrom >= tail.written) return;
        await beginSegment();
      }
      if (!this.dropSegment()) return;
    }
  }

  /** Whether the file system has enough free space, as far as it is known; with `drop_oldest`, makes room. */
  hasSpace(): Promise<boolean> | boolean {
    const { minFreeBytes, times } = this.#core.settings;
    if (minFreeBytes === 0) return true;
    const now = times.monotonicMs();
    if (now - this.#spaceCheckedMs < SPACE_INTERVAL_MS) return !this.lowSpace;
    this.#spaceCheckedMs = now;
    return this.#checkSpace();
  }

  async #checkSpace(): Promise<boolean> {
    const { minFreeBytes, onFull, directory, files, log } = this.#core.settings;
    // If the system does not say, the next write will.
    const free = await files.freeBytes(directory).catch(() => Infinity);
    const before = this.lowSpace;
    this.lowSpace = free < minFreeBytes;
    if (this.lowSpace && !before) {
      log.warn("The file system of the journal has less free space than min_free", {
        directory,
        free_bytes: free,
        min_free: minFreeBytes,
      });
    } else if (before && !this.lowSpace) {
      log.info("The file system of the journal has enough free space again", { directory });
    }
    return !this.lowSpace || onFull === "drop_oldest" && this.dropSegment();
  }

  #countDropped(points: number): void {
    if (points === 0) return;
    this.#core.stats.droppedPoints += points;
    this.#core.settings.onDrop(points);
  }
}
