/** What a journal is to inputs, outputs and the agent, whether it is in memory or on disk. */
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
  /** The next batch, or `undefined` where none is there yet. It stays valid until it is committed. */
  next(): Batch | undefined;
  /**
   * Waits until {@linkcode next} has a batch (`ready`) or never will (`ended`), for at most `timeoutMs`, or until the
   * signal is aborted.
   */
  wait(timeoutMs?: number, signal?: AbortSignal): Promise<WaitResult>;
  /** Promises that the oldest `count` batches that were read and not committed are safe. */
  commit(count: number): void;
  /** Batches that were read and not committed. */
  readonly uncommitted: number;
  /** Points in the journal that are not committed. */
  readonly pendingPoints: number;
  /** Points that the policy dropped before this reader had read them. */
  readonly droppedPoints: number;
  /** Number of the batch that was read last, or -1: each batch of a journal has its own, and they ascend. */
  readonly position: number;
  /** Number of the batch that the journal took last. No batch that was ever read has a larger one. */
  readonly lastPosition: number;
  /**
   * Whether this journal may have given a batch that number, in this process or in an earlier one. A number that it
   * cannot have used is of a copy of the journal.
   */
  isOwn(number: number): boolean;
  /**
   * Id of the journal that the numbers belong to, 32 hexadecimal digits; `null` where they mean nothing after the end
   * of the process. An output that stores its position stores both.
   */
  readonly journalId: string | null;
  /**
   * Since when the output has been waiting in {@linkcode wait} although there is something to read, in
   * `performance.now()` ms: it should have been woken.
   */
  readonly stalledSince?: number | undefined;
  /**
   * The output has everything up to and with that number: these batches are passed over, and count as committed. To
   * be called before the first {@linkcode next}. A number that this journal has not reached yet stands for all that it
   * had before this process.
   */
  resumeAfter(position: number): void;
}

export interface ReaderOptions {
  /**
   * Batches that clients have numbered are handed out when a crash of this process cannot take them away any more: until
   * then the clients may send them again, to get other numbers here, and an output that remembers what it has could not
   * see that they are the same.
   *
   * @default {false}
   */
  readonly onlyDurable?: boolean;
}

/** What inputs, outputs and the agent see of a journal. */
export interface Journal {
  /** 32 hexadecimal digits. A journal on disk keeps them, so they are the id of this process over restarts. */
  readonly id: string;
  /**
   * Gives it another id, for good: somebody knows more of the old one than the journal does, because it was copied or
   * restored, and numbers would be used twice.
   */
  renewId(): Promise<void>;
  readonly stats: JournalStats;
  /** Whose points are in it. */
  readonly clients: ClientTable;
  /** No more batches will come. */
  readonly ended: boolean;
  /** Points that some output has not committed yet. */
  readonly pendingPoints: number;
  /** Since when it should have been written and is not, in `performance.now()` ms. A full disk is not that. */
  readonly stalledSince?: number | undefined;
  /** The cursor of one output; a journal on disk finds it again by its name. */
  reader(name?: string, options?: ReaderOptions): BatchReader;
  /**
   * Takes a batch. A promise resolves when there is room for the next one. A batch without points and origins is
   * released.
   */
  append(batch: Batch): Promise<void> | void;
  /**
   * A stop has begun. If the journal cannot be written, readers get what is only in memory: no number will be used again,
   * and clients are told what becomes of their batches as long as they are connected.
   */
  beginStop(): void;
  /** From now on nobody waits for room: for a stop, when what producers still have is bounded by other means. */
  unblock(): void;
  /** Readers get what is kept, and then the end. */
  end(): void;
}

/** Points that went in, and that every output has, or that the policy dropped for one output or more. */
export interface JournalStats {
  appendedPoints: number;
  droppedPoints: number;
}

/** 16 random bytes. */
export function newJournalId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
