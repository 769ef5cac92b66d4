/** When batches are safe: as soon as they are written, or when a position on disk says so. */
import type { Clock } from "../../base/clock.ts";
import type { BatchReader } from "../../journal.ts";
import type { Logger } from "../../base/log.ts";
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import { Timer } from "../../base/timers.ts";
import type { CsvFile } from "./file.ts";
import type { FilePosition, PositionFile } from "../files/position.ts";

/** Positions are saved so long after one another, in ms, */
const INTERVAL_MS = 1000;
/** sooner where a client waits until its points are safe, */
const AWAITED_MS = 250;
/** a bit sooner where rows have just been written, since waking the process once more costs more than to save, */
const EARLY_MS = 50;
/** or as soon as this many points wait for one. */
const MANY_POINTS = 49_152;
/** Wait before saving is tried again, in ms. */
const RETRY_MS = 1000;

/** Batches whose rows have been handed to files together. */
export interface Group {
  readonly batches: number;
  readonly points: number;
  /** Whether clients of ours sent some of them, who wait until they are safe. */
  readonly isAwaited: boolean;
  /** Of the last batch. */
  readonly position: number;
  /** The files that have rows of them, with the bytes up to the last one. */
  readonly sizes: ReadonlyMap<CsvFile, number>;
}

export interface Committer {
  /** Before anything is written to files that were opened. */
  announce(files: Iterable<CsvFile>): Promise<void>;
  /** The rows of a group, and of all before it, are written. */
  written(group: Group): void;
  /** Resolves when what is being committed at this moment is; `null` where nothing is. */
  readonly committing: Promise<void> | null;
  /** Resolves when all that is written is committed. */
  settled(): Promise<void>;
  /** Nothing more is written to files, of which all is committed. */
  release(files: Iterable<CsvFile>): Promise<void>;
  /** The files were cut to what is safe, and what came behind it is written again. */
  restart(): void;
  /** The journal has ended, and all is committed. */
  finish(): Promise<void>;
  /** The time for an orderly stop is over, and nothing is being written any more. */
  abandon(): Promise<void>;
}

/** A journal in memory ends with the process: there is no position to keep. */
export class CommitWhenWritten implements Committer {
  readonly committing = null;

  constructor(readonly commit: (batches: number) => void) {}

  announce(): Promise<void> {
    return Promise.resolve();
  }

  written({ batches }: Group): void {
    this.commit(batches);
  }

  settled(): Promise<void> {
    return Promise.resolve();
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  restart(): void {}

  finish(): Promise<void> {
    return Promise.resolve();
  }

  abandon(): Promise<void> {
    return Promise.resolve();
  }
}

export interface KeeperContext {
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly commit: (batches: number) => void;
  /** Told of what must end the output. */
  readonly fail: (error: unknown) => void;
  /** Told when the disk has lost what was written since the last position, or may have. */
  readonly onLoss: (error: unknown) => void;
}

function newPending(position: number) {
  return { batches: 0, points: 0, isAwaited: false, position, sizes: new Map<CsvFile, number>() };
}

/** Syncs the files, then saves the position, then commits: after a crash the files are cut to what the position says. */
export class CommitByPosition implements Committer {
  readonly #reader: BatchReader;
  readonly #file: PositionFile;
  readonly #context: KeeperContext;
  readonly #complaint: Complaint;
  /** Files that may be written to. */
  readonly #files = new Set<CsvFile>();
  /** Batches whose rows are in the files and that no position covers. */
  #pending = newPending(-1);
  /** Number of the last batch that is safe. */
  #position: number;
  #saving: Promise<void> | null = null;
  /** One write of the position at a time. */
  #saves: Promise<boolean> = Promise.resolve(true);
  #savedMs = -Infinity;
  /** Files were written to. */
  #began = false;
  #timer: Timer | undefined;
  /** When it is due, in `performance.now()` ms. */
  #timerMs = Infinity;
  #stopped = false;
  /** How often saving is tried. */
  #tries = Infinity;

  /** @param position Number of the last batch that the files have from an earlier process, or -1. */
  constructor(reader: BatchReader, file: PositionFile, position: number, context: KeeperContext) {
    this.#reader = reader;
    this.#file = file;
    this.#position = position;
    this.#context = context;
    this.#complaint = new Complaint(context.clock);
  }

  async announce(files: Iterable<CsvFile>): Promise<void> {
    const { size } = this.#files;
    for (const file of files) if (file.isRegular) this.#files.add(file);
    if (this.#files.size === size) return;
    this.#began = true;
    await this.#save(false);
  }

  written(group: Group): void {
    const pending = this.#pending;
    pending.batches += group.batches;
    pending.points += group.points;
    pending.isAwaited ||= group.isAwaited;
    pending.position = group.position;
    for (const [file, size] of group.sizes) pending.sizes.set(file, size);
    this.#schedule(EARLY_MS);
  }

  #schedule(earlyMs = 0): void {
    const { batches, points, isAwaited } = this.#pending;
    if (this.#saving || this.#stopped || batches === 0) return;
    const dueMs = this.#savedMs + (isAwaited ? AWAITED_MS : INTERVAL_MS);
    const nowMs = performance.now();
    if (dueMs - earlyMs > nowMs && points < MANY_POINTS) {
      if (dueMs >= this.#timerMs) return;
      this.#endTimer();
      this.#timerMs = dueMs;
      this.#timer = Timer.after(dueMs - nowMs, () => {
        this.#endTimer();
        this.#schedule();
      });
      return;
    }
    this.#endTimer();
    this.#saving = this.#commit().catch(this.#context.fail).finally(() => {
      this.#saving = null;
      this.#schedule();
    });
  }

  #endTimer(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timerMs = Infinity;
  }

  get committing(): Promise<void> | null {
    return this.#saving;
  }

  async settled(): Promise<void> {
    while (!this.#stopped && !this.#context.signal.aborted) {
      if (this.#saving) await this.#saving;
      else if (this.#pending.batches > 0) {
        this.#savedMs = -Infinity;
        this.#schedule();
      } else return;
    }
  }

  async release(files: Iterable<CsvFile>): Promise<void> {
    for (const file of files) this.#files.delete(file);
    await this.#save(false);
  }

  async #commit(): Promise<void> {
    const { batches, position, sizes } = this.#pending;
    this.#pending = newPending(position);
    this.#savedMs = performance.now();
    try {
      await Promise.all([...sizes.keys()].map((file) => file.sync()));
    } catch (error) {
      // What the system could not write it has forgotten: only writing it again helps.
      this.#stopped = true;
      return this.#context.onLoss(error);
    }
    for (const [file, size] of sizes) file.safeSize = file.onDisk(size);
    this.#position = position;
    if (!await this.#save(false)) return;
    this.#context.commit(batches);
  }

  #save(clean: boolean): Promise<boolean> {
    return this.#saves = this.#saves.then(() => this.#saveNow(clean));
  }

  /** @returns `false` when it was aborted before. */
  async #saveNow(clean: boolean): Promise<boolean> {
    const { signal, clock, log } = this.#context;
    while (true) {
      try {
        const latest = this.#file.latest;
        await this.#file.makeAgain();
        await this.#file.write({
          journal: this.#reader.journalId ?? "",
          position: this.#position,
          clean,
          // Where nothing has been written yet, the files are those of the last process.
          files: this.#began ? [...this.#files].map((file) => this.#positionOf(file)) : latest?.files ?? [],
        });
        this.#complaint.end(() => log.info("Saving the position works again", { file: this.#file.path }));
        return true;
      } catch (error) {
        this.#complaint.add(() => {
          log.error("Cannot save the position, rows wait, trying again", {
            file: this.#file.path,
            reason: messageOf(error),
          });
        });
      }
      if (signal.aborted || --this.#tries === 0) return false;
      await clock.sleep(RETRY_MS, signal);
    }
  }

  #positionOf({ path, inode, born, safeSize }: CsvFile): FilePosition {
    return { path: this.#file.relative(path), inode, born, size: safeSize };
  }

  async finish(): Promise<void> {
    await this.#end();
    await this.#save(true);
  }

  async abandon(): Promise<void> {
    await this.#end();
    // The batches come again, to the next process.
    for (const file of this.#files) {
      await file.cut().catch((error) => {
        this.#context.log.error("Cannot remove rows that are not safe, the next process removes them", {
          file: file.path,
          reason: messageOf(error),
        });
      });
    }
    // Where that is not possible now, the next process does it.
    this.#tries = 1;
    await this.#save(true);
  }

  /** The files have been cut to the last position: what came behind it is written again. */
  restart(): void {
    this.#pending = newPending(this.#position);
    this.#stopped = false;
  }

  async #end(): Promise<void> {
    this.#stopped = true;
    this.#endTimer();
    await this.#saving;
  }
}
