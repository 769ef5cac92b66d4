/** The interface of a journal, in memory or on disk, for inputs, outputs and the agent. */
import type { Batch } from "../points/measurement.ts";
import type { ClientTable } from "../points/origins.ts";

/**
 * What {@linkcode Journal.append} does when the limit is reached: `block` makes the producer wait (a network
 * input then stops reading), `drop_oldest` forgets the oldest batches and counts their points.
 */
export type OnFull = "block" | "drop_oldest";

/** Why {@linkcode BatchReader.wait} returned. */
export type WaitResult = "ready" | "ended" | "timeout" | "aborted";

/** One output's view of the journal. */
export interface BatchReader {
  /** Returns the next batch, or `undefined` if there is none yet. The batch stays valid until it is committed. */
  next(): Batch | undefined;
  /**
   * Waits until {@linkcode next} has a batch (`ready`) or never will (`ended`), for at most `timeoutMs`, or until the
   * signal is aborted.
   */
  wait(timeoutMs?: number, signal?: AbortSignal): Promise<WaitResult>;
  /** Reports that the oldest `count` batches that were read and not committed are safe. */
  commit(count: number): void;
  /**
   * The next start of a journal on disk begins with the batch of this number again, even if it is committed by then; it
   * is kept on disk until a later call names a larger number. `Infinity`: with the first one that is not committed.
   */
  keepFrom(number: number): void;
  /** Batches that were read and not committed. */
  readonly uncommitted: number;
  /** Points in the journal that are not committed. */
  readonly pendingPoints: number;
  /** The journal has no room for more before something is committed: an output that waits for more would wait in vain. */
  readonly isFull: boolean;
  /** Points that the journal dropped before this reader had read them. */
  readonly droppedPoints: number;
  /** Number of the batch that was read last, or -1. Each batch of a journal has its own number, and they ascend. */
  readonly position: number;
  /** Number of the last batch in the journal. No batch that was ever read has a larger number. */
  readonly lastPosition: number;
  /**
   * Whether this journal may have given this number to a batch, in this process or an earlier one. A number that it cannot
   * have used comes from a copy of the journal.
   */
  isOwn(number: number): boolean;
  /**
   * Id of the journal that the numbers belong to, 32 hexadecimal digits; `null` if they mean nothing after the end of the
   * process. An output that stores its position stores both.
   */
  readonly journalId: string | null;
  /**
   * Since when the output has been waiting in {@linkcode wait} although there is something to read, in
   * `performance.now()` ms: it should have been woken.
   */
  readonly stalledSince?: number | undefined;
  /**
   * Skips all batches up to and including this number, which the output already has; they count as committed. Call it
   * before the first {@linkcode next}. A number that this journal has not reached yet stands for everything that it had
   * before this process.
   */
  resumeAfter(position: number): void;
}

export interface ReaderOptions {
  /**
   * Returns numbered batches of clients only once a crash of this process can no longer lose them. Until then the clients
   * may send them again, and they would get other numbers here, so an output that remembers what it has could not
   * recognise them.
   *
   * @default {false}
   */
  readonly onlyDurable?: boolean;
  /**
   * Returns every batch only once it is on disk, also those that nobody can send again, and also while a stop lasts. For
   * a journal on disk.
   *
   * @default {false}
   */
  readonly onlyWritten?: boolean;
}

/** What inputs, outputs and the agent see of a journal. */
export interface Journal {
  /** 32 hexadecimal digits. A journal on disk keeps its id, so it identifies this process across restarts. */
  readonly id: string;
  /**
   * Changes the id permanently: somebody knows more batches under the old id than the journal has, because it was copied
   * or restored, and numbers would be used twice.
   */
  renewId(): Promise<void>;
  readonly stats: JournalStats;
  readonly usage: JournalUsage;
  /** The clients whose points are in it. */
  readonly clients: ClientTable;
  /** No more batches will come. */
  readonly ended: boolean;
  /** Points that some output has not committed yet. */
  readonly pendingPoints: number;
  /** Since when writing should have succeeded and has not, in `performance.now()` ms. A full disk does not count. */
  readonly stalledSince?: number | undefined;
  /** The cursor of one output; a journal on disk finds it again by its name. */
  reader(name?: string, options?: ReaderOptions): BatchReader;
  /**
   * Appends a batch. If it returns a promise, that resolves when there is room for the next batch. A batch without points
   * and origins is released.
   */
  append(batch: Batch): Promise<void> | void;
  /**
   * A stop has begun. If the journal cannot be written, readers get what is only in memory: no number will be used again,
   * and clients are told what becomes of their batches as long as they are connected.
   */
  beginStop(): void;
  /**
   * Resolves when a crash of this process can no longer take away what has been appended until now: it is on disk, or
   * every output has committed it, or a policy has dropped it.
   */
  untilDurable(): Promise<void>;
  /** Producers no longer wait for room. For a stop, when other limits bound what producers still have. */
  unblock(): void;
  /** Ends the journal: readers get the rest, and then the end. */
  end(): void;
}

/** How much room the journal takes, in memory or on disk, and how much it may take, in bytes. */
export interface JournalUsage {
  readonly bytes: number;
  readonly limitBytes: number;
  /** It takes no more than it has: producers wait, or the disk has no room. */
  readonly isFull: boolean;
}

/** Points that went in, and points that were dropped for at least one output. */
export interface JournalStats {
  appendedPoints: number;
  droppedPoints: number;
}

/** 16 random bytes. */
export function newJournalId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
