/**
 * Gathers the points of all connections of a server into batches and passes these on: full ones at once, others after
 * a few milliseconds. So many clients that send little do not make many small batches.
 */
import { BatchBuilder } from "../points/batch_builder.ts";
import { type Batch, BatchPool } from "../points/measurement.ts";
import type { BatchSink } from "../plugin.ts";

/** Points in a batch. */
const BATCH_POINTS = 4096;
/** Unused batches that are kept: about what the pipe holds when it is full, so that a busy server allocates none. */
const POOLED_BATCHES = 36;
/** How long points may wait for others before they are passed on, in ms. */
const GATHER_MS = 2;

export class Gatherer implements Disposable {
  /** Where connections put their points, before they call {@linkcode Gatherer.gathered}. */
  readonly builder = new BatchBuilder(new BatchPool(BATCH_POINTS, POOLED_BATCHES));
  #sink: BatchSink | null = null;
  /** Resolves when the sink has room again. */
  #blocked: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isFirst = true;
  #isClosed = false;

  /** Says where batches go; to be called before the first point comes. */
  start(sink: BatchSink): void {
    this.#sink = sink;
  }

  /** No message has been passed on yet: the next one is to be passed on alone. */
  get isFirst(): boolean {
    return this.#isFirst;
  }

  /** Everything has been handed over, and nothing more is taken. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Points are in the builder: passes them on when they fill a batch, otherwise soon.
   *
   * @returns What to wait for before more is read, if the pipe is full.
   */
  gathered(): Promise<void> | void {
    const { builder } = this;
    if (this.#blocked) return this.#blocked;
    // The first message is a batch of its own, like the first buffer of a real server: outputs such as CSV take
    // their columns from it.
    if (this.#isFirst) {
      this.#isFirst = false;
      return this.#push(builder.take());
    }
    if (builder.current.length > 0 || builder.current.origins.length > 0) {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        void (this.#blocked ?? this.#push(builder.take()));
      }, GATHER_MS);
    }
    if (builder.full.length > 0) return this.#push(builder.takeFull());
  }

  /** Passes everything on, when the sink has room for it. */
  async flush(): Promise<void> {
    while (this.#blocked) await this.#blocked;
    clearTimeout(this.#timer);
    await this.#push(this.builder.take());
  }

  /** Passes everything on now, whether the sink has room or not, and takes nothing more. */
  close(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    for (const batch of this.builder.take()) void this.#sink?.push(batch);
    this.#isClosed = true;
  }

  /** Passes nothing on any more. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #push(batches: Batch[]): Promise<void> | void {
    // Points that come after the end are never acknowledged.
    if (this.#isClosed) return;
    let room: Promise<void> | void = undefined;
    for (const batch of batches) room = this.#sink!.push(batch) ?? room;
    if (!room) return;
    return this.#blocked = room.then(() => {
      this.#blocked = null;
      // Passes on what was gathered meanwhile.
      this.gathered();
    });
  }
}
