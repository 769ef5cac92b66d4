/**
 * A file as a journal: its id is that of the content, and its batches have the same numbers each time. So what remembers
 * which batches of a journal it has takes each point of the file once, however often the file is imported.
 */
import { MemoryJournal } from "../../journal.ts";
import type { BatchReader, WaitResult } from "../../journal.ts";
import type { Batch } from "../../points/measurement.ts";

/** Memory for batches that wait for the output, in bytes. */
const BUFFER_BYTES = 4 * 1024 * 1024;

export class FileJournal extends MemoryJournal {
  /** @param id 32 hexadecimal digits. */
  constructor(override readonly id: string) {
    super({ limitBytes: BUFFER_BYTES });
  }

  override reader(name?: string): FileReader {
    return new FileReader(super.reader(name), this.id);
  }

  /** The output's target has batches under this id that are not the file's. */
  override renewId(): Promise<void> {
    return Promise.reject(new Error("the target has other points under the id of this file"));
  }
}

class FileReader implements BatchReader {
  /** Points that the output had already. */
  skippedPoints = 0;
  readonly #reader: BatchReader;
  /** Number of the last batch that the output had already. */
  #last = -1;

  constructor(reader: BatchReader, readonly journalId: string) {
    this.#reader = reader;
  }

  next(): Batch | undefined {
    while (true) {
      const batch = this.#reader.next();
      if (!batch || this.#reader.position > this.#last) return batch;
      this.skippedPoints += batch.length;
      this.#reader.commit(1);
    }
  }

  async wait(timeoutMs = Infinity, signal?: AbortSignal): Promise<WaitResult> {
    const deadline = performance.now() + timeoutMs;
    while (true) {
      const result = await this.#reader.wait(deadline - performance.now(), signal);
      if (result !== "ready" || this.#reader.position >= this.#last) return result;
      const batch = this.#reader.next()!;
      this.skippedPoints += batch.length;
      this.#reader.commit(1);
    }
  }

  commit(count: number): void {
    this.#reader.commit(count);
  }

  resumeAfter(position: number): void {
    this.#last = position;
  }

  /** Another process may have written the batch of any number. */
  isOwn(): boolean {
    return true;
  }

  keepFrom(): void {}

  get uncommitted(): number {
    return this.#reader.uncommitted;
  }

  get isFull(): boolean {
    return this.#reader.isFull;
  }

  get pendingPoints(): number {
    return this.#reader.pendingPoints;
  }

  get droppedPoints(): number {
    return this.#reader.droppedPoints;
  }

  get position(): number {
    return this.#reader.position;
  }

  get lastPosition(): number {
    return this.#reader.lastPosition;
  }
}
