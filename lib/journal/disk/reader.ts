/** One output's view of a journal on disk. It reads from memory while it keeps up, and from segments while it is behind. */
import type { BatchReader, ReaderOptions, WaitResult } from "../contract.ts";
import { type Batch, BatchPool } from "../../points/measurement.ts";
import type { Census } from "./format/census.ts";
import { onAbort, Wakeup } from "../../base/waiting.ts";
import type { Core } from "./core.ts";
import type { RecordStop } from "./format/record_reader.ts";
import { HEADER_BYTES, type Segment } from "./format/segment.ts";
import { SegmentSource } from "./format/segment_source.ts";
import type { Entry } from "./tail.ts";

/** Points that are decoded ahead of an output that is behind. */
const AHEAD_POINTS = 8192;
/** After this time without reading, nobody waits for an output, in ms. */
const ACTIVE_MS = 200;
/** With a limited rate, the time whose bytes may be read at once, in ms. */
const BURST_MS = 100;
/** Tries to read a file that fails (too many are open, a network file system is away). */
const MAX_TRIES = 5;

export class DiskReader implements BatchReader {
  position = -1;
  droppedPoints = 0;
  /** Number of the next batch to take from memory or disk. */
  nextNumber: number;
  readonly #core: Core;
  /** Decoded from disk and not read yet. */
  readonly #ahead: Entry[] = [];
  /** Read and not committed. Batches from disk belong to this reader. */
  readonly #read: { entry: Entry; own: boolean }[] = [];
  readonly #pool = new BatchPool(4096, 8);
  /** Points for this reader in the journal when it was opened, and points that were committed or dropped since. */
  readonly #keptAtStart: number;
  /** Time of the last read, in `performance.now()` ms. */
  #movedMs = -Infinity;
  #settledPoints = 0;
  /** Batches up to this number are skipped, because the output has them. */
  #passUpTo = -1;
  /** Points were lost, and their clients are not known yet. */
  #owes = false;
  #source: SegmentSource | null = null;
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #loading: Promise<void> | null = null;
  /** Failed tries in a row. */
  #failures = 0;
  /** Reading from disk waits until this time, by the monotonic clock. */
  #notBeforeMs = -Infinity;
  readonly #wakeup = new Wakeup();
  /** What ends its waits. Outputs wait with one signal all the time: to listen for each wait would cost more than to wait. */
  #interrupt: { readonly signal: AbortSignal; readonly listening: Disposable } | null = null;
  /** Whether the output waits for more. */
  #isAsked = false;
  /** Since when the batch of that number could be read, in `performance.now()` ms. */
  #readable = { number: -1, sinceMs: 0 };
  readonly #onlyDurable: boolean;
  readonly #onlyWritten: boolean;
  #keepFrom = Infinity;

  constructor(
    readonly name: string,
    core: Core,
    position: number,
    start: Census,
    { onlyDurable = false, onlyWritten = false }: ReaderOptions,
  ) {
    this.#core = core;
    this.#onlyDurable = onlyDurable;
    this.#onlyWritten = onlyWritten;
    this.nextNumber = position;
    core.ledger.openAccounts(name, start);
    this.#keptAtStart = core.ledger.keptAtStart(start);
  }

  get journalId(): string {
    return this.#core.id;
  }

  get lastPosition(): number {
    return this.#core.tail.next - 1;
  }

  isOwn(number: number): boolean {
    return number <= this.lastPosition && this.#core.isOwn(number);
  }

  /** All batches before this number are committed, or will never come. */
  get committed(): number {
    return this.#read[0]?.entry.number ?? this.#ahead[0]?.number ?? this.nextNumber;
  }

  /** Where the next start continues; skipped batches count as committed. */
  get resumePosition(): number {
    return Math.min(this.#keepFrom, Math.max(this.committed, this.#passUpTo + 1));
  }

  get keptFrom(): number {
    return Math.min(this.#keepFrom, this.committed);
  }

  keepFrom(number: number): void {
    if (number === this.#keepFrom) return;
    this.#keepFrom = number;
    this.#core.onCommit();
  }

  get uncommitted(): number {
    return this.#read.length;
  }

  get isFull(): boolean {
    const { segments, settings: { maxBytes } } = this.#core;
    return segments.bytes > maxBytes;
  }

  get pendingPoints(): number {
    return this.#keptAtStart + this.#core.stats.appendedPoints - this.#settledPoints;
  }

  resumeAfter(position: number): void {
    if (this.position >= 0) throw new RangeError("Cannot resume: batches have already been read");
    // No output can have a batch of this session that it has not read: such a position belongs to another journal.
    this.#passUpTo = Math.min(position, this.#core.firstOfSession - 1);
    while (this.#ahead.length > 0 && this.#ahead[0].number <= this.#passUpTo) {
      this.#settle(this.#ahead.shift()!.batch, true);
    }
    this.#core.onCommit();
  }

  next(): Batch | undefined {
    const own = this.#ahead.length > 0;
    const entry = own ? this.#ahead.shift() : this.#inMemory;
    if (!entry) return undefined;
    if (!own) {
      this.nextNumber = entry.number + 1;
      this.#closeSource();
    }
    this.#read.push({ entry, own });
    this.position = entry.number;
    this.#movedMs = performance.now();
    return entry.batch;
  }

  /** Only an output that waits for batches can stall here: it should have been woken. */
  get stalledSince(): number | undefined {
    const { number, sinceMs } = this.#readable;
    if (!this.#isAsked || number !== this.nextNumber || !this.#isReadable) return undefined;
    return this.#notBeforeMs > this.#core.settings.times.monotonicMs() ? undefined : sinceMs;
  }

  async wait(timeoutMs = Infinity, signal?: AbortSignal): Promise<WaitResult> {
    this.#isAsked = true;
    try {
      return await this.#wait(timeoutMs, signal);
    } finally {
      this.#isAsked = false;
    }
  }

  async #wait(timeoutMs: number, signal?: AbortSignal): Promise<WaitResult> {
    const core = this.#core;
    const { tail } = core;
    const deadline = performance.now() + timeoutMs;
    if (signal) this.#listenTo(signal);
    while (true) {
      if (this.#isReady) return "ready";
      if (core.closed) return "ended";
      if (core.ended && this.nextNumber >= tail.next) return "ended";
      if (signal?.aborted) return "aborted";
      let left = deadline - performance.now();
      // What is on disk is there, however long it takes to read it.
      if (this.nextNumber < tail.written) {
        const pauseMs = this.#notBeforeMs - core.settings.times.monotonicMs();
        if (pauseMs <= 0) {
          await (this.#loading = this.#load());
          continue;
        }
        left = Math.min(left, pauseMs);
      }
      if (left <= 0) return "timeout";
      await this.#wakeup.wait(left);
    }
  }

  #listenTo(signal: AbortSignal): void {
    if (this.#interrupt?.signal === signal) return;
    this.#interrupt?.listening[Symbol.dispose]();
    this.#interrupt = { signal, listening: onAbort(signal, () => this.wake()) };
  }

  wake(): void {
    this.#wakeup.wake();
  }

  /** Whether the output has read something recently. */
  get isActive(): boolean {
    return performance.now() - this.#movedMs < ACTIVE_MS;
  }

  /** Whether the output will soon continue from memory: the batches there are new, or it is still reading. */
  get isOnMemory(): boolean {
    return (this.#wakeup.isAwaited || this.isActive) && this.#core.tail.at(this.nextNumber) !== undefined;
  }

  /** A batch was appended or written. */
  wakeIfReady(): void {
    if (!this.#isReadable) return;
    if (this.#readable.number !== this.nextNumber) {
      this.#readable = { number: this.nextNumber, sinceMs: performance.now() };
    }
    this.wake();
  }

  /** Batches on disk may no longer be in memory. */
  get #isReadable(): boolean {
    return this.#isReady || this.nextNumber < this.#core.tail.written;
  }

  get #isReady(): boolean {
    return this.#ahead.length > 0 || this.#inMemory !== undefined;
  }

  /** The next batch, if it is in memory and may be read. */
  get #inMemory(): Entry | undefined {
    const entry = this.#core.tail.at(this.nextNumber);
    return entry && this.#isHeldBack(entry) ? undefined : entry;
  }

  /** Real agents never send a batch again, and measurements of this process cannot come again. */
  #isHeldBack({ number, batch }: Entry): boolean {
    const core = this.#core;
    if (number < core.tail.written) return false;
    if (this.#onlyWritten) return true;
    if (!this.#onlyDurable || core.stopping && core.isStalled()) return false;
    return batch.origins.some(({ sequence }) => sequence > 0);
  }

  commit(count: number): void {
    if (count > this.uncommitted) {
      throw new RangeError(`Cannot commit ${count} batches: ${this.uncommitted} are read and not committed`);
    }
    for (const { entry, own } of this.#read.splice(0, count)) this.#settle(entry.batch, own);
    this.#core.onCommit();
  }

  // The following methods are for the journal.

  /** Batches that were read and are not settled. */
  *held(): Generator<Batch> {
    for (const { entry } of this.#read) yield entry.batch;
    for (const { batch } of this.#ahead) yield batch;
  }

  /** These batches will never come. @returns The points that this output loses. */
  dropUnwritten(entries: readonly Entry[]): number {
    let points = 0;
    for (const { number, batch } of entries) {
      if (number < this.nextNumber) continue;
      this.#core.clients.settle(batch, this.name, "dropped");
      points += batch.length;
    }
    this.droppedPoints += points;
    this.#settledPoints += points;
    return points;
  }

  /**
   * The journal deletes everything on disk before `number`.
   *
   * @param census Every client at that place; `null` if it is not known.
   * @returns The points that this output loses.
   */
  dropWritten(number: number, census: Census | null): number {
    if (this.nextNumber >= number) return 0;
    this.nextNumber = number;
    if (census === null) {
      this.#owes = true;
      return 0;
    }
    const points = this.#core.ledger.reconcile(this.name, census, this.held(), "dropped");
    this.droppedPoints += points;
    this.#settledPoints += points;
    return points;
  }

  /** Whether the output has read that batch from memory, and not committed it. */
  holds({ number }: Entry): boolean {
    return this.#read.some(({ entry, own }) => !own && entry.number === number);
  }

  async close(): Promise<void> {
    this.#interrupt?.listening[Symbol.dispose]();
    this.#interrupt = null;
    this.wake();
    await this.#loading;
    this.#closeSource();
  }

  /** The output has stored it. */
  #settle(batch: Batch, own: boolean): void {
    this.#settledPoints += batch.length;
    this.#core.clients.settle(batch, this.name, "stored");
    if (own) batch.release();
  }

  #closeSource(): void {
    if (!this.#source) return;
    this.#buffer = this.#source.buffer;
    this.#source[Symbol.dispose]();
    this.#source = null;
  }

  /** Decodes some batches from disk, or moves to where there are some. */
  async #load(): Promise<void> {
    const { segments, tail, settings: { catchUpRate, times } } = this.#core;
    const burst = catchUpRate * BURST_MS / 1000;
    let points = 0;
    let bytes = 0;
    while (points < AHEAD_POINTS && bytes < burst && !this.#core.closed) {
      if (this.nextNumber >= tail.written || tail.at(this.nextNumber)) break;
      const place = segments.find(this.nextNumber);
      if (!place) {
        // These batches were never written.
        this.nextNumber = Math.max(this.nextNumber, tail.written);
        return;
      }
      const { segment } = place;
      this.nextNumber = Math.max(this.nextNumber, segment.first);
      let source = this.#source;
      if (source?.segment !== segment || source.number > this.nextNumber) {
        this.#closeSource();
        if (segment.end !== null && this.nextNumber >= segment.end) {
          this.#leave(segment, null);
          continue;
        }
      }
      const from = this.#source?.offset ?? HEADER_BYTES;
      const { length } = segment;
      let batch: Batch | RecordStop;
      try {
        source = this.#source ??= await this.#open(segment);
        batch = await source.next();
        this.#failures = 0;
      } catch (error) {
        this.#closeSource();
        // A segment that was dropped meanwhile is not damaged.
        if (!segments.has(segment)) continue;
        if (!(error instanceof Deno.errors.NotFound) && ++this.#failures < MAX_TRIES) {
          this.#notBeforeMs = times.monotonicMs() + this.#core.settings.retryMs;
          return;
        }
        this.#failures = 0;
        this.#core.onUnreadable(segment, error);
        this.#leave(segment, null);
        continue;
      }
      if (typeof batch !== "string") {
        points += Math.max(1, batch.length);
        bytes += source.offset - from;
        this.#take({ number: source.number - 1, batch });
      } else if (batch !== "end") {
        await this.#core.setAside(segment, from);
      } else if (segment.length <= length && this.nextNumber < tail.written) {
        this.#leave(segment, source.points);
      }
    }
    if (bytes > 0 && catchUpRate < Infinity) {
      // On a busy machine waits end late: what was not read in that time is read then.
      this.#notBeforeMs = Math.max(this.#notBeforeMs, times.monotonicMs() - BURST_MS) +
        bytes / catchUpRate * 1000;
    }
  }

  #take(entry: Entry): void {
    const { number, batch } = entry;
    if (number < this.nextNumber) return batch.release();
    this.nextNumber = number + 1;
    if (number > this.#passUpTo) this.#ahead.push(entry);
    else {
      this.#settle(batch, true);
      this.#core.onCommit();
    }
  }

  /**
   * Continues after the end of a segment.
   *
   * @param points Points that were written to the journal up to here and are still there; `null` if they were not
   *   counted.
   */
  #leave(segment: Segment, points: number | null): void {
    const { segments, tail, ledger } = this.#core;
    const place = segments.find(segment.first);
    // It was dropped meanwhile.
    if (place?.segment !== segment) return;
    const { next } = place;
    const end = next?.first ?? tail.written;
    const shouldBe = next?.pointsBefore ?? ledger.writtenPoints;
    if (this.#owes || points !== shouldBe) {
      const census = next ? segments.censusAt(next) : ledger.census();
      this.#owes = census === null;
      if (census) {
        const had = end - 1 <= this.#passUpTo;
        const lost = ledger.reconcile(this.name, census, this.held(), had ? "stored" : "dropped");
        this.#settledPoints += lost;
        // If the list of clients of the first segment is lost, only the sum is known.
        if (!had) this.#core.onLoss(segment, Math.max(lost, points === null ? 0 : shouldBe - points));
      }
    }
    this.nextNumber = Math.max(this.nextNumber, end);
    this.#core.onCommit();
  }

  async #open(segment: Segment): Promise<SegmentSource> {
    const { settings: { files, makeMetric }, clients } = this.#core;
    const onBadSnapshot = () => this.#core.onBadSnapshot(segment);
    const options = { files, clients, makeMetric, pool: this.#pool, onBadSnapshot };
    const source = await SegmentSource.open(segment, options, this.#buffer);
    this.#buffer = undefined;
    return source;
  }
}
