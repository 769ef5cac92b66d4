/**
 * Gathers the points of all connections of a server into batches and passes these on: full ones at once, others after
 * a short wait, which grows with the load. Each batch costs the journal and every output something, whatever is in it: so
 * many clients that send little make few batches, and a client that is alone waits for nobody.
 */
import { Timer } from "../base/timers.ts";
import { BatchBuilder } from "../points/batch_builder.ts";
import { type Batch, BatchPool } from "../points/measurement.ts";
import type { BatchSink } from "../plugin.ts";

/** Points in a batch. */
const BATCH_POINTS = 4096;
/** Unused batches that are kept: about what the pipe holds when it is full, so that a busy server allocates none. */
const POOLED_BATCHES = 36;
/** How long points wait for others before they are passed on: without any load, and how much longer at most, in ms. */
const GATHER_MS = 2;
const MAX_LONGER_MS = 50;
/** How much longer they wait for each read from a client, and each point, that came in the last second, in ms. */
const MS_PER_READ = 0.8;
const MS_PER_POINT = 0.0004;
/** What came counts for about this long, in ms. */
const MEMORY_MS = 1000;

export class Gatherer implements Disposable {
  /** Where connections put their points, before they call {@linkcode Gatherer.gathered}. */
  readonly builder = new BatchBuilder(new BatchPool(BATCH_POINTS, POOLED_BATCHES));
  #sink: BatchSink | null = null;
  /** Resolves when the sink has room again. */
  #blocked: Promise<void> | null = null;
  #timer: Timer | undefined;
  /** Resolves when the points in the builder have been passed on. */
  #passing: PromiseWithResolvers<void> | null = null;
  #isFirst = true;
  #isHeld = false;
  /** What comes between two {@linkcode hold}s has waited for others as well, before TLS was taken off it. */
  #haveWaited = false;
  #isClosed = false;
  /** How much longer points wait for the load of late, in ms, and when that was, in ms of `#nowMs`. */
  #longerMs = 0;
  #weighedMs: number;
  readonly #nowMs: () => number;

  /** @param nowMs The monotonic clock. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#weighedMs = nowMs();
  }

  /** Says where batches go; to be called before the first point comes. */
  start(sink: BatchSink): void {
    this.#sink = sink;
  }

  /** No message has been passed on yet: the next one is to be passed on alone. */
  get isFirst(): boolean {
    return this.#isFirst;
  }

  /** What to wait for before more is read, if the pipe is full. */
  get blocked(): Promise<void> | null {
    return this.#blocked;
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
    this.#longerMs += MS_PER_READ;
    if (this.#blocked) return this.#blocked;
    // The first message is a batch of its own, like the first buffer of a real server: outputs such as CSV take
    // their columns from it.
    if (this.#isFirst) {
      this.#isFirst = false;
      return this.#pushAll();
    }
    if (!this.#isHeld && hasPart(builder)) this.#startTimer();
    if (builder.full.length > 0) return this.#push(builder.takeFull());
  }

  /** Points come that have waited for each other: only full batches are passed on until {@linkcode letGo}. */
  hold(): void {
    this.#isHeld = true;
  }

  /** @param passOn Whether to pass on what has come, rather than to wait for more. */
  letGo(passOn: boolean): void {
    this.#isHeld = false;
    this.#haveWaited = passOn;
    if (this.#isFirst || this.#blocked || !hasPart(this.builder)) return;
    if (!passOn) return void this.#startTimer();
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    void this.#pushAll();
  }

  /** How long points wait for others now, in ms. */
  get waitMs(): number {
    const now = this.#nowMs();
    this.#longerMs *= Math.exp((this.#weighedMs - now) / MEMORY_MS);
    this.#weighedMs = now;
    return GATHER_MS + Math.min(MAX_LONGER_MS, this.#longerMs);
  }

  /** Passes everything on, when the sink has room for it. */
  async flush(): Promise<void> {
    while (this.#blocked) await this.#blocked;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    await this.#pushAll();
  }

  /** Resolves when the points that are in the builder now have been passed on. Call it after {@linkcode gathered}. */
  passedOn(): Promise<void> {
    if (this.builder.isEmpty) return Promise.resolve();
    return (this.#passing ??= Promise.withResolvers()).promise;
  }

  /** Passes everything on now, whether the sink has room or not, and takes nothing more. */
  close(): void {
    if (this.#isClosed) return;
    this.#timer?.[Symbol.dispose]();
    for (const batch of this.builder.take()) void this.#sink?.push(batch);
    this.#isClosed = true;
    this.#passing?.resolve();
  }

  /** Passes nothing on any more. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }

  #startTimer(): void {
    this.#timer ??= Timer.after(this.#haveWaited ? GATHER_MS : this.waitMs, () => {
      this.#timer = undefined;
      void (this.#blocked ?? this.#pushAll());
    });
  }

  #pushAll(): Promise<void> | void {
    const room = this.#push(this.builder.take());
    this.#passing?.resolve();
    this.#passing = null;
    return room;
  }

  #push(batches: Batch[]): Promise<void> | void {
    // Points that come after the end are never acknowledged.
    if (this.#isClosed) return;
    let room: Promise<void> | void = undefined;
    for (const batch of batches) {
      this.#longerMs += batch.length * MS_PER_POINT;
      room = this.#sink!.push(batch) ?? room;
    }
    if (!room) return;
    return this.#blocked = room.then(() => {
      this.#blocked = null;
      // Passes on what was gathered meanwhile.
      this.gathered();
    });
  }
}

/** Whether there is a batch that is not full. */
function hasPart({ current }: BatchBuilder): boolean {
  return current.length > 0 || current.origins.length > 0;
}
