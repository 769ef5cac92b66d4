/**
 * The journal on disk: an append-only log of batches in segment files, one cursor per output.
 *
 * Batches wait in memory for the writer, which encodes and writes all that has come together and syncs it once.
 * Readers that keep up get the same batches from memory; those behind decode segments. What cannot be written stays in
 * memory and is tried again, up to the memory limit, where the policy for a full journal applies.
 */
import { statfs } from "node:fs/promises";
import type { DecodedMetric } from "../batch_dictionary.ts";
import { ClientTable } from "../clients.ts";
import { EXIT, ExitError, messageOf } from "../errors.ts";
import { type BatchReader, type Journal, type JournalStats, newJournalId, type OnFull } from "../journal.ts";
import type { Logger } from "../log.ts";
import type { Batch, Metric } from "../measurement.ts";
import { type Cursor, cursorPath, loadCursors, saveCursor } from "./cursor.ts";
import { identify, type Identity, saveIdentity } from "./identity.ts";
import { lockDirectory } from "./lock.ts";
import { DiskReader, type Entry } from "./reader.ts";
import { quarantine, recover, type Recovered } from "./recover.ts";
import type { Segment } from "./segment.ts";
import { SegmentWriter } from "./segment_writer.ts";

export interface DiskJournalOptions {
  directory: string;
  log: Logger;
  /** @default the name of this host */
  host?: string;
  /** `always` syncs as soon as something has come; a number waits so many ms for more first. @default {50} */
  sync?: "always" | number;
  /** @default {"block"} */
  onFull?: OnFull;
  /** Most bytes on disk. @default {1 GiB} */
  maxBytes?: number;
  /** A new segment is begun above this; at most a quarter of `maxBytes`. @default {16 MiB} */
  segmentBytes?: number;
  /** Segments that were last written so long ago are dropped, in ms. @default {Infinity} */
  maxAgeMs?: number;
  /** The journal is full where the file system has less room, in bytes. @default {0} */
  minFreeBytes?: number;
  /** Batches kept in memory for readers, and batches that cannot be written, each. @default {4 MiB} */
  memoryBytes?: number;
  /** Wait before writing is tried again. @default {1000} */
  retryMs?: number;
  /** Gives the process' object for a metric that was read from disk. @default one object per segment */
  makeMetric?: (metric: DecodedMetric) => Metric;
  /** Told of points that were dropped. */
  onDrop?: (points: number) => void;
}

export interface DiskJournalStats extends JournalStats {
  /** Points in records that could not be read; they were lost to each output that had not read them before. */
  damagedPoints: number;
  /** Bytes cut off where a segment was torn or damaged. */
  damagedBytes: number;
  tornTails: number;
  quarantinedSegments: number;
  /** Points that have values or times that no point can have, and were not written. */
  rejectedPoints: number;
  diskBytes: number;
}

const DEFAULT_MAX_BYTES = 1024 ** 3;
const DEFAULT_SEGMENT_BYTES = 16 * 1024 ** 2;
const DEFAULT_MEMORY_BYTES = 4 * 1024 ** 2;
const CURSOR_INTERVAL_MS = 1000;
const SPACE_INTERVAL_MS = 1000;
const LOG_INTERVAL_MS = 60_000;
/**
 * How many record numbers are left out at each start. Outputs may have committed batches that never came to disk, more
 * of them than any file knows of, and an output that keeps its position elsewhere may only say so hours later; no
 * number may stand for two batches. At a million records a second, these are the records of a quarter of an hour.
 */
const SPARE_NUMBERS = 1_000_000_000;

export class DiskJournal implements Journal, AsyncDisposable {
  #identity: Identity;
  readonly clients: ClientTable = new ClientTable();
  readonly stats: DiskJournalStats;
  readonly makeMetric: ((metric: DecodedMetric) => Metric) | undefined;
  ended = false;
  closed = false;
  /** Number of the first record that is not on disk: all before it are written and synced. */
  writtenPosition: number;
  /** Number of the first batch since the journal was opened. */
  readonly firstOfSession: number;

  readonly #options: Required<Omit<DiskJournalOptions, "makeMetric" | "onDrop" | "host">>;
  readonly #onDrop: (points: number) => void;
  readonly #lock: Deno.FsFile;
  readonly #segments: Segment[];
  readonly #cursors: Map<string, Cursor | null>;
  readonly #readers = new Map<string, DiskReader>();
  /** The last batches, written or not, without gaps behind the written ones but for those that were dropped. */
  readonly #recent: Entry[] = [];
  #recentBytes = 0;
  #unwrittenBytes = 0;
  #nextNumber: number;
  #points: number;
  #writtenPoints: number;
  #active: SegmentWriter | null = null;
  #writing = false;
  /** Since when it has been tried to write what is there, without success and with room on the disk. */
  #tryingSince: number | undefined;
  #lowSpace = false;
  #spaceCheckedMs = -Infinity;
  #failureLoggedMs = -Infinity;
  #unblocked = false;
  #waiting: (() => void)[] = [];
  #durable: { position: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  #wakeWriter: (() => void) | null = null;
  #cursorTimer: ReturnType<typeof setTimeout> | undefined;
  #saving: Promise<void> = Promise.resolve();
  readonly #writer: Promise<void>;

  /** Opens the journal in a directory, which is made if need be. @throws {ExitError} if it cannot be used. */
  static async open(options: DiskJournalOptions): Promise<DiskJournal> {
    const { directory, log } = options;
    try {
      await Deno.mkdir(directory, { recursive: true, mode: 0o750 });
    } catch (error) {
      throw new ExitError(EXIT.unavailable, `Cannot use the journal in ${directory}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const lock = await lockDirectory(directory);
    try {
      const cursors = await loadCursors(directory);
      for (const [path, cursor] of cursors) {
        if (!cursor) {
          log.error("A cursor of the journal is damaged: its output gets all that is kept", { path });
        }
      }
      const stats: DiskJournalStats = {
        appendedPoints: 0,
        droppedPoints: 0,
        damagedPoints: 0,
        damagedBytes: 0,
        tornTails: 0,
        quarantinedSegments: 0,
        rejectedPoints: 0,
        diskBytes: 0,
      };
      const recovered = await recover(directory, stats, log);
      const known = [...cursors.values()].map((cursor) => cursor?.position ?? 0);
      const host = options.host ?? Deno.hostname();
      const identity = await identify(
        directory,
        host,
        Math.max(recovered.next, ...known),
        SPARE_NUMBERS,
        log,
      );
      return new DiskJournal(identity, options, lock, cursors, stats, recovered);
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  private constructor(
    identity: Identity,
    options: DiskJournalOptions,
    lock: Deno.FsFile,
    cursors: Map<string, Cursor | null>,
    stats: DiskJournalStats,
    recovered: Recovered,
  ) {
    const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    this.#options = {
      directory: options.directory,
      log: options.log,
      sync: options.sync ?? 50,
      onFull: options.onFull ?? "block",
      maxBytes,
      // Then a full journal always has segments that can be deleted.
      segmentBytes: Math.min(options.segmentBytes ?? DEFAULT_SEGMENT_BYTES, maxBytes / 4),
      maxAgeMs: options.maxAgeMs ?? Infinity,
      minFreeBytes: options.minFreeBytes ?? 0,
      memoryBytes: options.memoryBytes ?? DEFAULT_MEMORY_BYTES,
      retryMs: options.retryMs ?? 1000,
    };
    this.#identity = identity;
    this.makeMetric = options.makeMetric;
    this.#onDrop = options.onDrop ?? (() => {});
    this.#lock = lock;
    this.#cursors = cursors;
    this.stats = stats;
    this.#segments = recovered.segments;
    for (const segment of recovered.segments) stats.diskBytes += segment.length;
    this.#points = this.#writtenPoints = recovered.points;
    for (const cursor of cursors.values()) {
      if (cursor) this.#points = this.#writtenPoints = Math.max(this.#points, cursor.points);
    }
    this.#nextNumber = this.firstOfSession = this.writtenPosition = identity.numbers;
    this.#writer = this.#write();
  }

  /** Number of the batch that was appended last. */
  get lastPosition(): number {
    return this.#nextNumber - 1;
  }

  get pendingPoints(): number {
    let committed = Infinity;
    for (const reader of this.#readers.values()) committed = Math.min(committed, reader.committedPoints);
    if (committed === Infinity) committed = this.#segments[0]?.pointsBefore ?? this.#writtenPoints;
    return this.#points - committed;
  }

  /** Points that are in memory alone, and that some output has not committed. */
  get unwrittenPoints(): number {
    return Math.min(this.#points - this.#writtenPoints, this.pendingPoints);
  }

  get stalledSince(): number | undefined {
    return this.#tryingSince;
  }

  get id(): string {
    return this.#identity.id;
  }

  async renewId(): Promise<void> {
    const identity = { ...this.#identity, id: newJournalId() };
    await saveIdentity(this.#options.directory, identity);
    this.#identity = identity;
  }

  /** Points in the journal, since it was made. */
  get points(): number {
    return this.#points;
  }

  /** The cursor of that name goes on where it was, or begins with the first batch that is kept. */
  reader(name = "default"): BatchReader {
    if (this.#readers.has(name)) throw new RangeError(`Cannot open reader ${name}: it is open already`);
    const first = this.#segments[0];
    const path = cursorPath(this.#options.directory, name);
    let position = first?.first ?? this.#recent[0]?.number ?? this.#nextNumber;
    let points = first?.pointsBefore ?? this.#pointsBefore(this.#recent[0]) ?? this.#points;
    const cursor = this.#cursors.get(path);
    if (cursor && cursor.position > position) ({ position, points } = cursor);
    const reader = new DiskReader(name, this, position, points);
    this.#readers.set(name, reader);
    this.clients.addOutput(name);
    return reader;
  }

  append(batch: Batch): Promise<void> | void {
    if (batch.length === 0 && batch.origins.length === 0) return batch.release();
    if (this.ended) throw new Error("Cannot append: the journal has been ended");
    this.stats.appendedPoints += batch.length;
    this.#points += batch.length;
    this.#recent.push({ number: this.#nextNumber++, batch, pointsEnd: this.#points });
    this.#recentBytes += batch.byteLength;
    this.#unwrittenBytes += batch.byteLength;
    if (this.#options.onFull === "drop_oldest") this.#dropOldest();
    for (const reader of this.#readers.values()) reader.wake();
    this.#wakeWriter?.();
    if (this.#options.onFull === "block" && !this.#unblocked && this.#isFull()) {
      return new Promise((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Resolves when the batch with that number, and all before it, are on disk and synced. */
  durable(position: number): Promise<void> {
    if (position < this.writtenPosition) return Promise.resolve();
    return new Promise((resolve, reject) => this.#durable.push({ position, resolve, reject }));
  }

  unblock(): void {
    this.#unblocked = true;
    this.#wakeProducers(true);
  }

  end(): void {
    this.ended = true;
    for (const reader of this.#readers.values()) reader.wake();
    this.#wakeProducers(true);
    this.#wakeWriter?.();
  }

  /** Writes what it can, saves the cursors and lets the directory go. May be called twice. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.end();
    this.closed = true;
    this.#wakeWriter?.();
    await this.#writer;
    for (const reader of this.#readers.values()) await reader.close();
    clearTimeout(this.#cursorTimer);
    await this.#saveCursors();
    this.#active?.close();
    this.#active = null;
    this.#lock.close();
    for (const { reject } of this.#durable.splice(0)) reject(new Error("The journal was closed before"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // What follows is for readers.

  /** The batch with that number or the next one there is, if it is in memory and nothing before it is on disk only. */
  fromMemory(number: number): Entry | undefined {
    const recent = this.#recent;
    const first = recent[0];
    if (!first || number >= this.#nextNumber) return undefined;
    if (number < first.number && number < this.writtenPosition) return undefined;
    // Without gaps it stands at its distance; behind dropped ones, further ahead.
    let at = Math.max(0, Math.min(number - first.number, recent.length - 1));
    while (at > 0 && recent[at - 1].number >= number) at--;
    return recent[at].number >= number ? recent[at] : undefined;
  }

  /** The segment where that record is or, if it is lost, the next one; and where the records behind it begin. */
  segmentOf(
    number: number,
  ): { segment: Segment; nextFirst: number; nextPoints: number; isLast: boolean } | undefined {
    const segments = this.#segments;
    if (segments.length === 0) return undefined;
    let at = segments.length - 1;
    while (at > 0 && segments[at].first > number) at--;
    const next = this.#endOf(at);
    return {
      segment: segments[at],
      nextFirst: next.number,
      nextPoints: next.points,
      isLast: at === segments.length - 1,
    };
  }

  /** Where to go on when there are no segments. */
  start(): { number: number; points: number } {
    const [first] = this.#recent;
    if (first) return { number: first.number, points: this.#pointsBefore(first)! };
    return { number: this.writtenPosition, points: this.#writtenPoints };
  }

  /** Points that should be in a segment and are not: counted once. */
  countLoss(segment: Segment, points: number): void {
    if (segment.lossCounted) return;
    segment.lossCounted = true;
    if (points <= 0) return;
    this.stats.damagedPoints += points;
    this.#options.log.error("Points of the journal are lost by damage", { points, path: segment.path });
  }

  /** A record at `offset` is bad: the segment is copied to quarantine, and ends before that record from now on. */
  async setAside(segment: Segment, offset: number): Promise<void> {
    // Another reader may have come to it first.
    if (segment.length <= offset) return;
    if (this.#active?.segment === segment) {
      if (this.#writing) return await new Promise((resolve) => setTimeout(resolve, 1));
      this.#seal();
    }
    const { directory, log } = this.#options;
    const lost = segment.length - offset;
    this.stats.quarantinedSegments++;
    this.stats.damagedBytes += lost;
    this.stats.diskBytes -= lost;
    segment.length = offset;
    const failure = await quarantine(directory, segment.path, "copy");
    log.error("A segment of the journal has a damaged record; what comes before it is used", {
      path: segment.path,
      lost_bytes: lost,
      no_copy: failure ?? undefined,
    });
    if (failure === null) await Deno.truncate(segment.path, offset).catch(() => {});
  }

  onUnreadable(segment: Segment, error: unknown): void {
    // One that was dropped meanwhile is no damage.
    if (this.#segments.includes(segment)) {
      this.#options.log.error("Cannot read a segment of the journal", {
        path: segment.path,
        error: messageOf(error),
      });
    }
  }

  onCommit(): void {
    this.#forgetCommitted();
    if (this.closed) return;
    this.#cursorTimer ??= setTimeout(() => {
      this.#cursorTimer = undefined;
      this.#saving = this.#saveCursors();
    }, CURSOR_INTERVAL_MS);
  }

  /** Where the records behind a segment begin, and the points before them. */
  #endOf(at: number): { number: number; points: number } {
    const next = this.#segments[at + 1];
    if (next) return { number: next.first, points: next.pointsBefore };
    return { number: this.writtenPosition, points: this.#writtenPoints };
  }

  #pointsBefore(entry: Entry | undefined): number | undefined {
    return entry && entry.pointsEnd - entry.batch.length;
  }

  #isFull(): boolean {
    const { maxBytes, memoryBytes } = this.#options;
    return this.stats.diskBytes > maxBytes || this.#unwrittenBytes > memoryBytes || this.#lowSpace;
  }

  #wakeProducers(all = false): void {
    if (!all && this.#isFull()) return;
    for (const resume of this.#waiting.splice(0)) resume();
  }

  #forgetCommitted(): void {
    let committed = this.#readers.size > 0 ? Infinity : 0;
    for (const reader of this.#readers.values()) committed = Math.min(committed, reader.committed);
    while (this.#segments.length > 0 && this.#segments[0] !== this.#active?.segment) {
      if (this.#endOf(0).number > committed) break;
      this.#remove(this.#segments[0]);
    }
    const recent = this.#recent;
    let count = 0;
    while (count < recent.length && recent[count].number < Math.min(committed, this.writtenPosition)) {
      this.#recentBytes -= recent[count].batch.byteLength;
      recent[count++].batch.release();
    }
    // A reader that is behind gets them from disk; one that has them keeps them, so they are not used again.
    while (
      count < recent.length && this.#recentBytes > this.#options.memoryBytes &&
      recent[count].number < this.writtenPosition
    ) this.#recentBytes -= recent[count++].batch.byteLength;
    recent.splice(0, count);
    this.#wakeProducers();
  }

  #remove(segment: Segment): void {
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    this.stats.diskBytes -= segment.length;
    try {
      Deno.removeSync(segment.path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      this.#options.log.warn("Cannot delete a segment of the journal", {
        path: segment.path,
        error: messageOf(error),
      });
    }
  }

  /** Drops the oldest segment, unless it is being written. */
  #dropSegment(): boolean {
    const [segment] = this.#segments;
    if (!segment || segment === this.#active?.segment) return false;
    const end = this.#endOf(0);
    this.#skipReaders(end.number, end.points, end.points - segment.pointsBefore);
    this.#remove(segment);
    return true;
  }

  /** Readers go on at `number` at the earliest; what they lose is counted. */
  #skipReaders(number: number, points: number, all: number): void {
    let lost = this.#readers.size > 0 ? 0 : all;
    for (const reader of this.#readers.values()) {
      const own = reader.skipTo(number, points);
      reader.droppedPoints += own;
      lost = Math.max(lost, own);
    }
    this.#countDropped(lost);
  }

  #countDropped(points: number): void {
    if (points === 0) return;
    this.stats.droppedPoints += points;
    this.#onDrop(points);
  }

  #dropOldest(): void {
    while (this.stats.diskBytes > this.#options.maxBytes && this.#dropSegment());
    if (this.#writing || this.#unwrittenBytes <= this.#options.memoryBytes) return;
    // Writing fails. Giving up what is on disk would not make room in memory.
    const recent = this.#recent;
    let count = 0;
    while (count < recent.length - 1 && this.#unwrittenBytes > this.#options.memoryBytes) {
      const { batch, number } = recent[count++];
      this.#recentBytes -= batch.byteLength;
      if (number >= this.writtenPosition) this.#unwrittenBytes -= batch.byteLength;
    }
    const last = recent[count - 1];
    if (!last) return;
    const first = this.writtenPosition;
    const firstPoints = this.#writtenPoints;
    if (last.number < first) return void recent.splice(0, count);
    recent.splice(0, count);
    this.writtenPosition = last.number + 1;
    this.#writtenPoints = last.pointsEnd;
    // Who reads the last segment comes to the gap later; it is counted here.
    const segment = this.#segments.at(-1);
    if (segment) segment.lossCounted = true;
    let lost = this.#readers.size > 0 ? 0 : last.pointsEnd - firstPoints;
    for (const reader of this.#readers.values()) {
      const own = reader.nextNumber < first
        ? last.pointsEnd - firstPoints
        : reader.skipTo(last.number + 1, last.pointsEnd);
      reader.droppedPoints += own;
      lost = Math.max(lost, own);
    }
    this.#countDropped(lost);
    this.#resolveDurable();
  }

  #seal(): void {
    this.#active?.close();
    this.#active = null;
  }

  #resolveDurable(): void {
    if (this.#durable.length === 0) return;
    const waiting = this.#durable;
    this.#durable = [];
    for (const waiter of waiting) {
      if (waiter.position < this.writtenPosition) waiter.resolve();
      else this.#durable.push(waiter);
    }
  }

  /** Waits for `ms`, or until something is appended (where `ms` is infinite) or the journal ends. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        if (ms < Infinity && !this.ended && this.#unwrittenBytes <= this.#options.memoryBytes / 2) return;
        end();
      };
      const end = () => {
        clearTimeout(timer);
        this.#wakeWriter = null;
        resolve();
      };
      const timer = ms < Infinity ? setTimeout(end, ms) : undefined;
      this.#wakeWriter = wake;
    });
  }

  async #write(): Promise<void> {
    const { sync, retryMs } = this.#options;
    while (true) {
      if (this.writtenPosition >= this.#nextNumber) {
        if (this.closed) return;
        if (this.#lowSpace) {
          await this.#pause(SPACE_INTERVAL_MS);
          await this.#maintain().catch((error) => this.#onWriteError(error));
          continue;
        }
        await this.#pause(Infinity);
        if (sync !== "always" && !this.ended) await this.#pause(sync);
        continue;
      }
      try {
        this.#writing = true;
        this.#tryingSince ??= performance.now();
        await this.#writeGroup();
        this.#tryingSince = undefined;
        this.#writing = false;
        await this.#maintain();
      } catch (error) {
        this.#writing = false;
        this.#onWriteError(error);
        if (this.closed) return;
        await new Promise<void>((resolve) => {
          const end = () => {
            clearTimeout(timer);
            this.#wakeWriter = null;
            resolve();
          };
          const timer = setTimeout(end, retryMs);
          this.#wakeWriter = () => this.closed && end();
        });
      }
    }
  }

  async #writeGroup(): Promise<void> {
    const { directory, segmentBytes } = this.#options;
    const from = this.#recent.findIndex(({ number }) => number >= this.writtenPosition);
    const entries = this.#recent.slice(from);
    const active = this.#active;
    if (active && (active.segment.length >= segmentBytes || active.next !== entries[0].number)) this.#seal();
    if (!this.#active) {
      const before = this.#pointsBefore(entries[0])!;
      this.#active = await SegmentWriter.begin(directory, entries[0].number, before);
      this.#segments.push(this.#active.segment);
      this.stats.diskBytes += this.#active.segment.length;
    }
    const { segment } = this.#active;
    const before = segment.length;
    let rejected: Entry | undefined;
    const count = await this.#active.write(entries, segmentBytes - before, (entry, error) => {
      rejected = entry;
      this.stats.rejectedPoints += entry.batch.length;
      this.#options.log.error("A batch cannot be kept in the journal", { error: error.message });
    });
    this.stats.diskBytes += segment.length - before;
    const done = rejected ? count + 1 : count;
    for (let i = 0; i < done; i++) this.#unwrittenBytes -= entries[i].batch.byteLength;
    for (let i = 0; i < done; i++) this.clients.makeDurable(entries[i].batch);
    this.writtenPosition = entries[done - 1].number + 1;
    this.#writtenPoints = entries[done - 1].pointsEnd;
    if (rejected) {
      // The encoder began anew, and the number has no record.
      segment.lossCounted = true;
      this.#seal();
    }
    this.#resolveDurable();
    this.#forgetCommitted();
    this.clients.progress();
  }

  #onWriteError(error: unknown): void {
    const { log, directory, onFull } = this.#options;
    const empty = this.#active && this.#active.next === this.#active.segment.first;
    const segment = this.#active?.segment;
    this.#seal();
    if (segment && empty) this.#remove(segment);
    const { code } = error as { code?: string };
    // A process that is started anew has no more room, and has lost what is in memory.
    if (code === "ENOSPC" || code === "EDQUOT") this.#tryingSince = undefined;
    // Room may be made by what is oldest.
    if (onFull === "drop_oldest" && code === "ENOSPC") this.#dropSegment();
    const now = performance.now();
    if (now - this.#failureLoggedMs < LOG_INTERVAL_MS) return;
    this.#failureLoggedMs = now;
    log.error("Cannot write the journal, what comes is kept in memory until it can", {
      directory,
      error: messageOf(error),
    });
  }

  /** The limits of age and of free space. */
  async #maintain(): Promise<void> {
    if (this.#failureLoggedMs > -Infinity) {
      this.#failureLoggedMs = -Infinity;
      this.#options.log.info("The journal can be written again");
    }
    const { maxAgeMs, minFreeBytes, onFull, directory } = this.#options;
    if (maxAgeMs < Infinity) {
      const oldest = Date.now() - maxAgeMs;
      while (this.#segments[0]?.modifiedMs < oldest && this.#dropSegment());
    }
    const now = performance.now();
    if (minFreeBytes > 0 && now - this.#spaceCheckedMs >= SPACE_INTERVAL_MS) {
      this.#spaceCheckedMs = now;
      const { bavail, bsize } = await statfs(directory);
      this.#lowSpace = bavail * bsize < minFreeBytes;
      if (this.#lowSpace && onFull === "drop_oldest") this.#dropSegment();
    }
    if (onFull === "drop_oldest") this.#dropOldest();
    this.#wakeProducers();
  }

  async #saveCursors(): Promise<void> {
    await this.#saving;
    for (const [name, reader] of this.#readers) {
      const path = cursorPath(this.#options.directory, name);
      const cursor = { position: reader.committed, points: reader.committedPoints };
      if (this.#cursors.get(path)?.position === cursor.position) continue;
      try {
        await saveCursor(path, cursor);
        this.#cursors.set(path, cursor);
      } catch (error) {
        this.#options.log.warn("Cannot save a cursor of the journal", { path, error: messageOf(error) });
      }
    }
  }
}
