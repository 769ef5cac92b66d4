/** One output's view of a journal on disk: from memory where it has caught up, from the segments where it is behind. */
import { BatchDecoder } from "../batch_codec.ts";
import type { BatchReader, WaitResult } from "../journal.ts";
import { type Batch, BatchPool } from "../measurement.ts";
import type { DiskJournal } from "./disk_journal.ts";
import { RecordReader, type Segment } from "./segment.ts";

/** A batch in the journal. */
export interface Entry {
  readonly number: number;
  readonly batch: Batch;
  /** Points in the journal up to and with this batch. */
  readonly pointsEnd: number;
}

/** Decoded ahead of an output that is behind, in points. */
const AHEAD_POINTS = 8192;

interface OpenSegment extends Disposable {
  readonly segment: Segment;
  readonly records: RecordReader;
  readonly decoder: BatchDecoder;
  /** Number of the next record. */
  number: number;
  points: number;
}

export class DiskReader implements BatchReader {
  position = -1;
  droppedPoints = 0;
  /** Everything before this number is committed, and how many points those are. */
  committed: number;
  committedPoints: number;
  /** Number of the next batch to take from memory or disk, and the points before it. */
  nextNumber: number;
  nextPoints: number;
  readonly #journal: DiskJournal;
  /** From disk, not read yet. */
  readonly #ahead: Entry[] = [];
  /** Read and not committed; those from disk are this reader's own. */
  readonly #read: { entry: Entry; own: boolean }[] = [];
  readonly #pool = new BatchPool(4096, 8);
  /** Batches up to this number are passed over. */
  #passUpTo = -1;
  #open: OpenSegment | null = null;
  #loading: Promise<void> | null = null;
  #wake: (() => void) | null = null;

  constructor(readonly name: string, journal: DiskJournal, position: number, points: number) {
    this.#journal = journal;
    this.committed = this.nextNumber = position;
    this.committedPoints = this.nextPoints = points;
  }

  get journalId(): string {
    return this.#journal.id;
  }

  get lastPosition(): number {
    return this.#journal.lastPosition;
  }

  get pendingPoints(): number {
    return this.#journal.points - this.committedPoints;
  }

  resumeAfter(position: number): void {
    if (this.position >= 0) throw new RangeError("Cannot resume: batches have been read before");
    // No output can have a batch of this session that it has not read: such a position is of another journal.
    this.#passUpTo = Math.min(position, this.#journal.firstOfSession - 1);
    while (this.#ahead.length > 0 && this.#ahead[0].number <= this.#passUpTo) {
      this.#pass(this.#ahead.shift()!);
    }
    this.#journal.onCommit();
  }

  durable(): Promise<void> {
    return this.#journal.durable(this.position);
  }

  /** The output has it already. */
  #pass(entry: Entry): void {
    this.committed = entry.number + 1;
    this.committedPoints = entry.pointsEnd;
    this.#journal.clients.settle(entry.batch, this.name, "stored");
    entry.batch.release();
  }

  get uncommitted(): number {
    return this.#read.length;
  }

  next(): Batch | undefined {
    const own = this.#ahead.length > 0;
    const entry = own ? this.#ahead.shift() : this.#journal.fromMemory(this.nextNumber);
    if (!entry) return undefined;
    if (!own) {
      this.nextNumber = entry.number + 1;
      this.nextPoints = entry.pointsEnd;
      this.#closeSegment();
    }
    this.#read.push({ entry, own });
    this.position = entry.number;
    return entry.batch;
  }

  async wait(timeoutMs = Infinity, signal?: AbortSignal): Promise<WaitResult> {
    const deadline = performance.now() + timeoutMs;
    while (true) {
      if (this.#ahead.length > 0 || this.#journal.fromMemory(this.nextNumber)) return "ready";
      if (this.#journal.closed) return "ended";
      if (this.#journal.ended && this.nextNumber > this.#journal.lastPosition) return "ended";
      if (signal?.aborted) return "aborted";
      const left = deadline - performance.now();
      if (left <= 0) return "timeout";
      if (this.nextNumber < this.#journal.writtenPosition) {
        await (this.#loading = this.#load());
        continue;
      }
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", wake);
          this.#wake = null;
          resolve();
        };
        const timer = left < Infinity ? setTimeout(wake, Math.min(left, 2_147_483_647)) : undefined;
        signal?.addEventListener("abort", wake, { once: true });
        this.#wake = wake;
      });
    }
  }

  wake(): void {
    this.#wake?.();
  }

  commit(count: number): void {
    if (count > this.uncommitted) {
      throw new RangeError(`Cannot commit ${count} batches: ${this.uncommitted} are read and not committed`);
    }
    for (const { entry, own } of this.#read.splice(0, count)) {
      this.committed = entry.number + 1;
      this.committedPoints = entry.pointsEnd;
      this.#journal.clients.settle(entry.batch, this.name, "stored");
      if (own) entry.batch.release();
    }
    this.#journal.onCommit();
  }

  /** What lies before `number` is no longer kept; returns the points that this reader loses by it. */
  skipTo(number: number, points: number): number {
    if (this.nextNumber >= number) return 0;
    const lost = Math.max(0, points - this.nextPoints);
    this.nextNumber = number;
    this.nextPoints = points;
    // Nothing is left to commit before it: what it loses does not keep segments.
    if (this.#read.length === 0 && this.#ahead.length === 0) {
      this.committed = number;
      this.committedPoints = points;
    }
    return lost;
  }

  async close(): Promise<void> {
    this.wake();
    await this.#loading;
    this.#closeSegment();
  }

  #closeSegment(): void {
    this.#open?.[Symbol.dispose]();
    this.#open = null;
  }

  /** Decodes some batches from disk, or moves on to where there are some. */
  async #load(): Promise<void> {
    let points = 0;
    while (points < AHEAD_POINTS && !this.#journal.closed) {
      const place = this.#journal.segmentOf(this.nextNumber);
      if (!place) {
        const { number, points } = this.#journal.start();
        if (number > this.nextNumber) [this.nextNumber, this.nextPoints] = [number, points];
        return;
      }
      const { segment, nextFirst, nextPoints, isLast } = place;
      if (this.nextNumber < segment.first) {
        this.nextNumber = segment.first;
        this.nextPoints = segment.pointsBefore;
      }
      let open = this.#open;
      if (open?.segment !== segment || open.number > this.nextNumber) {
        this.#closeSegment();
        open = this.#open = await this.#openSegment(segment);
        if (!open) {
          this.#journal.countLoss(segment, nextPoints - segment.pointsBefore);
          this.nextNumber = nextFirst;
          this.nextPoints = nextPoints;
          continue;
        }
      }
      let batch: Batch | null = null;
      const { length } = segment;
      const from = open.records.offset;
      const payload = await open.records.next(length);
      if (typeof payload !== "string") {
        try {
          batch = open.decoder.decode(payload);
        } catch {
          // Handled below, like a record whose sum is wrong.
        }
      }
      if (batch) {
        const entry = { number: open.number++, batch, pointsEnd: open.points += batch.length };
        if (entry.number >= this.nextNumber) {
          this.nextNumber = entry.number + 1;
          this.nextPoints = entry.pointsEnd;
          points += Math.max(1, batch.length);
          if (entry.number > this.#passUpTo) this.#ahead.push(entry);
          else {
            this.#pass(entry);
            this.#journal.onCommit();
          }
        } else batch.release();
      } else if (payload !== "end") {
        await this.#journal.setAside(segment, from);
      } else if (segment.length <= length && this.nextNumber < nextFirst) {
        this.#journal.countLoss(segment, nextPoints - open.points);
        this.nextNumber = nextFirst;
        this.nextPoints = nextPoints;
      } else if (isLast) return;
      if (this.#journal.fromMemory(this.nextNumber) || this.nextNumber >= this.#journal.writtenPosition) {
        return;
      }
    }
  }

  async #openSegment(segment: Segment): Promise<OpenSegment | null> {
    try {
      const records = await RecordReader.open(segment.path);
      const { makeMetric } = this.#journal;
      return {
        segment,
        records,
        decoder: new BatchDecoder({ pool: this.#pool, makeMetric }),
        number: segment.first,
        points: segment.pointsBefore,
        [Symbol.dispose]: () => records[Symbol.dispose](),
      };
    } catch (error) {
      this.#journal.onUnreadable(segment, error);
      return null;
    }
  }
}
