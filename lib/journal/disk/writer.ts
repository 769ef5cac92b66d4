/**
 * Writes appended batches: those that came together become one group of records, which is written and synced once, and is
 * durable then. Batches that cannot be written stay in memory and are retried.
 */
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import { Wakeup } from "../../base/waiting.ts";
import type { Core } from "./core.ts";
import type { Retention } from "./retention.ts";
import { Rhythm } from "../../base/rhythm.ts";
import type { Segment } from "./format/segment.ts";
import { SegmentWriter } from "./format/segment_writer.ts";

const SPACE_INTERVAL_MS = 1000;
/** While one group is written, the next one arrives, and outputs that wait for the disk read the previous one from memory. */
const GROUPS_IN_MEMORY = 4;
/** This many bytes, and what comes after a pause, get a sync of their own after this quiet time: senders may wait for it. */
const BULK_BYTES = 64 * 1024;
const QUIET_MS = 5;
/** Where batches come one by one and do not wait for others, the disk has a rest of this share of `sync`. */
const REST = 0.5;
/** Interval of checks for old segments while nothing comes, in ms. */
const AGE_INTERVAL_MS = 60_000;
/** The same right after the journal was opened, when its outputs begin to read, in ms. */
const FIRST_AGE_MS = 100;
/** The least ratio of data to the table of clients in a segment, however small segments are. */
const MIN_DATA_RATIO = 2;
/**
 * The least number of points for each series of a segment: to define a series takes as much time as ten points, and each
 * segment defines all of its series.
 */
const POINTS_PER_SERIES = 6;

export class Writer {
  /** Resolves when the journal is closed and everything possible is written. */
  readonly finished: Promise<void>;
  /**
   * Since when writing has failed although the disk has room, in `performance.now()` ms.
   */
  tryingSince: number | undefined;
  readonly #core: Core;
  readonly #retention: Retention;
  /** Called when producers may continue, if there is room. */
  readonly #onRoom: () => void;
  #active: SegmentWriter | null = null;
  #writing: Promise<void> | null = null;
  readonly #wakeup = new Wakeup();
  /** Whether the writer may stop waiting. */
  #isOver: () => boolean = () => true;
  readonly #complaint: Complaint;
  /** When the last group was durable, or the journal was opened, in `performance.now()` ms. */
  #groupedMs = performance.now();
  readonly #rhythm: Rhythm;
  #idleMs = FIRST_AGE_MS;

  constructor(core: Core, retention: Retention, onRoom: () => void) {
    this.#core = core;
    this.#retention = retention;
    this.#onRoom = onRoom;
    this.#complaint = new Complaint(core.settings.times);
    const { sync } = core.settings;
    this.#rhythm = new Rhythm(sync === "always" ? Infinity : sync);
    this.finished = this.#run();
  }

  /** A batch was appended. */
  appended(): void {
    this.#rhythm.add(this.#core.tail.appendedMs);
    this.wake();
  }

  /** Something has changed: the journal ends, say. */
  wake(): void {
    if (this.#wakeup.isAwaited && this.#isOver()) this.#wakeup.wake();
  }

  /** Ends the segment if it is the current one: the next record begins another one. */
  async seal(segment: Segment): Promise<void> {
    // If that fails, the writer says so, and tries again.
    while (this.#writing && this.#active?.segment === segment) await this.#writing.catch(() => {});
    if (this.#active?.segment === segment) this.#seal();
  }

  async #run(): Promise<void> {
    const { tail } = this.#core;
    while (true) {
      if (!tail.hasUnwritten) {
        if (this.#core.closed) break;
        await this.#idle();
        continue;
      }
      // Where there is nothing to wait for, no output has its turn before a thread writes.
      const gathering = this.#gather();
      if (gathering) await gathering;
      const hasSpace = this.#core.closed || this.#retention.hasSpace();
      if (hasSpace !== true && !await hasSpace) {
        this.tryingSince = undefined;
        this.#stall();
        await this.#sleep(SPACE_INTERVAL_MS, () => this.#core.closed);
        continue;
      }
      if (!tail.hasUnwritten) {
        // While the disk was full, outputs took what waited for it: there is nothing to write any more.
        this.tryingSince = undefined;
        this.#onRoom();
        continue;
      }
      try {
        this.#retention.stalled = false;
        this.tryingSince ??= performance.now();
        this.#writing = this.#writeGroup().finally(() => this.#writing = null);
        await this.#writing;
        this.#groupedMs = performance.now();
        await this.#retention.limitDisk(() => this.#begin());
        this.#onSuccess();
      } catch (error) {
        this.#onError(error);
        if (this.#core.closed) break;
        await this.#sleep(this.#core.settings.retryMs, () => this.#core.closed);
      }
    }
    this.#seal();
  }

  /** Waits until something is appended or the journal is closed. */
  async #idle(): Promise<void> {
    const { tail, settings: { maxAgeMs } } = this.#core;
    const isOver = () => tail.hasUnwritten || this.#core.closed;
    if (maxAgeMs === Infinity) return await this.#sleep(Infinity, isOver);
    await this.#sleep(this.#idleMs, isOver);
    this.#idleMs = Math.min(AGE_INTERVAL_MS, Math.max(FIRST_AGE_MS, maxAgeMs / 10));
    await this.#retention.limitDisk(() => this.#begin()).catch((error) => this.#onError(error));
  }

  /**
   * Waits for more batches to sync together. The first ones after a pause wait only until no more come, and those that come
   * one by one do not wait: each wait wakes the process, which costs more than what few points need.
   *
   * @returns `undefined` where there is nothing to wait for.
   */
  #gather(): Promise<void> | undefined {
    const { sync } = this.#core.settings;
    if (sync === "always") return undefined;
    const began = performance.now();
    const { isSlow } = this.#rhythm;
    const pauseMs = this.#groupedMs + (isSlow ? REST : 1) * sync - began;
    if (isSlow && pauseMs <= 0) return undefined;
    return this.#wait(pauseMs, isSlow ? -Infinity : began + sync);
  }

  /** Waits for the pause, and then until no more batches come, or the end. */
  async #wait(pauseMs: number, end: number): Promise<void> {
    const { tail, settings: { memoryBytes } } = this.#core;
    const isOver = () => this.#core.ended || tail.unwrittenBytes > memoryBytes / GROUPS_IN_MEMORY;
    if (pauseMs > 0) await this.#sleep(pauseMs, () => isOver() || tail.unwrittenBytes > BULK_BYTES);
    while (!isOver()) {
      const left = Math.min(end, tail.appendedMs + QUIET_MS) - performance.now();
      if (left <= 0) return;
      await this.#sleep(left, isOver);
    }
  }

  /** Waits for `ms`, or until something is appended and the condition holds. */
  #sleep(ms: number, isOver: () => boolean): Promise<void> {
    if (isOver()) return Promise.resolve();
    this.#isOver = isOver;
    return this.#wakeup.wait(ms);
  }

  async #writeGroup(): Promise<void> {
    const { tail, ledger, segments, settings: { segmentBytes, maxBytes, times } } = this.#core;
    const entries = tail.from(tail.written);
    // From here on nobody removes them.
    tail.inFlight = entries.at(-1)!.number + 1;
    try {
      const room = ({ segment, startBytes, points, seriesCount }: SegmentWriter) => {
        const least = Math.max(segmentBytes, MIN_DATA_RATIO * startBytes);
        const most = points < POINTS_PER_SERIES * seriesCount ? Math.max(least, maxBytes / 4) : least;
        return most - (segment.length - startBytes);
      };
      const isOver = (active: SegmentWriter) =>
        room(active) <= 0 || active.segment.begunMs < times.monotonicMs() - this.#retention.maxSpanMs;
      if (this.#active && (this.#active.next !== entries[0].number || isOver(this.#active))) this.#seal();
      if (!this.#active) await this.#begin(entries[0].number);
      const active = this.#active!;
      const { count, error } = active.encode(entries, room(active));
      if (count > 0) {
        tail.inFlight = entries[count - 1].number + 1;
        await active.flush(() => times.monotonicMs());
        segments.resize(active.segment, active.segment.length);
        for (let i = 0; i < count; i++) ledger.enter(entries[i].batch, "written");
        tail.advance(entries[count - 1].number + 1);
      }
      if (error) this.#reject(entries[count].number, error);
    } finally {
      tail.inFlight = 0;
    }
    this.tryingSince = undefined;
    this.#retention.forgetCommitted();
    this.#core.onWritten();
  }

  /** Begins a segment with the record of that number. */
  async #begin(first = this.#core.tail.written): Promise<void> {
    const { ledger, segments, settings: { files, directory, times } } = this.#core;
    this.#seal();
    const place = { first, pointsBefore: ledger.writtenPoints, clients: ledger.snapshot() };
    this.#active = await SegmentWriter.begin(files, directory, place, times.monotonicMs());
    segments.add(this.#active.segment);
  }

  #seal(): void {
    this.#active?.close();
    this.#active = null;
  }

  /** A batch that cannot be encoded gets no record, and the encoder has restarted: outputs without the batch never get it. */
  #reject(number: number, error: RangeError): void {
    const { tail, stats, settings: { log } } = this.#core;
    const entry = tail.takeOut(number)!;
    stats.rejectedPoints += entry.batch.length;
    log.error("Cannot write a batch to the journal, its points are lost", {
      points: entry.batch.length,
      error: error.message,
    });
    this.#retention.giveUp([entry]);
    this.#seal();
  }

  #stall(): void {
    this.#retention.stalled = true;
    this.#retention.limitMemory();
    this.#retention.forgetCommitted();
    this.#core.onWritten();
    this.#onRoom();
  }

  #onError(error: unknown): void {
    const { segments, settings: { log, directory, onFull } } = this.#core;
    const active = this.#active;
    this.#seal();
    // Without records the segment is useless, unless it has the only table of clients.
    if (active && active.next === active.segment.first && segments.length > 1) {
      segments.remove(active.segment);
    }
    if (isOutOfRoom(error)) {
      // A restart would not make room, and would lose what is in memory.
      this.tryingSince = undefined;
      // Make room by dropping the oldest segment.
      if (onFull === "drop_oldest") this.#retention.dropSegment();
    }
    this.#stall();
    this.#complaint.add(() => {
      log.error("Cannot write the journal, points stay in memory until it is writable again", {
        directory,
        error: messageOf(error),
      });
    });
  }

  #onSuccess(): void {
    this.#complaint.end(() => this.#core.settings.log.info("The journal is writable again"));
    this.#retention.limitMemory();
    this.#onRoom();
  }
}

/** The disk or a quota is full, or a file is as large as `ulimit -f` allows, for which Deno has no code. */
function isOutOfRoom(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return code === "ENOSPC" || code === "EDQUOT" || /\(os error 27\)/.test(message ?? "");
}
