/**
 * The journal on disk: an append-only log of batches in segment files, one cursor per output.
 *
 * Batches wait in memory ({@linkcode ./tail.ts}) for the writer ({@linkcode ./writer.ts}), which encodes and writes them in
 * groups and syncs each group once. Readers ({@linkcode ./reader.ts}) that keep up get the same batches from
 * memory; those behind decode segments. {@linkcode ./retention.ts} decides what is kept and what happens at a
 * limit; {@linkcode ./ledger.ts} has the accounts of each client.
 */
import type { ClientTable } from "../../points/origins.ts";
import { EXIT, ExitError, messageOf } from "../../base/errors.ts";
import {
  type BatchReader,
  type Journal,
  type JournalUsage,
  newJournalId,
  type ReaderOptions,
} from "../contract.ts";
import type { Batch } from "../../points/measurement.ts";
import { Census } from "./format/census.ts";
import { Core } from "./core.ts";
import { loadCursors } from "./format/cursor.ts";
import { Cursors } from "./cursors.ts";
import { identify, type Identity, readIdentity, saveIdentity } from "./format/identity.ts";
import { Ledger } from "./ledger.ts";
import { lockDirectory } from "./format/lock.ts";
import { complete, type DiskJournalOptions, type DiskJournalStats, newStats } from "./options.ts";
import { Quarantine } from "./quarantine.ts";
import { DiskReader } from "./reader.ts";
import { beginNewOutputs, outputsOf } from "./new_outputs.ts";
import { Pace } from "./pace.ts";
import { recover, type Recovered, settleDamage } from "./recover.ts";
import { Retention } from "./retention.ts";
import { Segments } from "./segments.ts";
import { Tail } from "./tail.ts";
import { untilSafe } from "../durability.ts";
import { Writer } from "./writer.ts";

export type { DiskJournalOptions, DiskJournalStats } from "./options.ts";

/** Points that are not on disk. */
interface UnwrittenPoints {
  /** Measured here, or sent by real agents. */
  lost: number;
  /** Sent by clients of ours, and not acknowledged: these still have them, and send them again. */
  leftWithClients: number;
}

export class DiskJournal implements Journal, AsyncDisposable {
  readonly #core: Core;
  readonly #lock: Deno.FsFile;
  readonly #cursors: Cursors;
  readonly #retention: Retention;
  readonly #pace: Pace;
  readonly #writer: Writer;
  readonly #found: Recovered;
  /** Where outputs begin that the journal has never had. */
  readonly #beginnings: ReadonlyMap<string, Census>;
  #identity: Identity;
  #unblocked = false;
  #waiting: (() => void)[] = [];
  #closing: Promise<void> | null = null;

  /**
   * Opens the journal in a directory, and creates the directory if necessary. Damage is not an error.
   *
   * @throws {ExitError} 69 if the directory is unusable or another process uses it; 65 if another version of this program
   * wrote it.
   */
  static async open(options: DiskJournalOptions): Promise<DiskJournal> {
    const settings = complete(options);
    const { directory, files, log, times } = settings;
    const unusable = (error: unknown) =>
      error instanceof ExitError ? error : new ExitError(
        EXIT.unavailable,
        `Cannot use the journal in ${directory}: ${
          messageOf(error)
        }. Make the directory writable for this process, ` +
          "or set journal.path to another one",
        { cause: error },
      );
    let lock: Deno.FsFile;
    try {
      await files.makeDirectory(directory);
      lock = await lockDirectory(directory);
    } catch (error) {
      throw unusable(error);
    }
    try {
      const cursors = await loadCursors(files, directory);
      for (const [path, position] of cursors) {
        if (position !== null) continue;
        log.error("A cursor of the journal is damaged, its output gets all points in the journal again", {
          path,
        });
      }
      const stats = newStats();
      const quarantine = new Quarantine(directory, files, log, settings.quarantineBytes);
      const found = await recover({ directory, files, log, stats, quarantine, cursors, times });
      const known = Math.max(found.next, ...[...cursors.values()].map((position) => position ?? 0));
      const opening = { ...settings, identity: readIdentity(files, directory), cursors, found, known };
      const beginnings = await beginNewOutputs(opening);
      const identity = await identify(files, directory, settings.host, known, log, {
        outputs: outputsOf(opening),
        random: settings.random,
      });
      await settleDamage(found, identity.numbers, { directory, files, log, times });
      const segments = new Segments(found.segments, stats, files, log);
      const ledger = new Ledger(found.end, times, settings.maxClients);
      const tail = new Tail(identity.numbers);
      const core = new Core(identity, { settings, stats, ledger, segments, tail, quarantine });
      return new DiskJournal(core, identity, lock, cursors, found, beginnings);
    } catch (error) {
      lock.close();
      throw unusable(error);
    }
  }

  private constructor(
    core: Core,
    identity: Identity,
    lock: Deno.FsFile,
    cursors: Map<string, number | null>,
    found: Recovered,
    beginnings: ReadonlyMap<string, Census>,
  ) {
    this.#core = core;
    this.#identity = identity;
    this.#lock = lock;
    this.#found = found;
    this.#beginnings = beginnings;
    this.#cursors = new Cursors(core, cursors);
    this.#retention = new Retention(core);
    this.#pace = new Pace(core);
    this.#writer = new Writer(core, this.#retention, () => this.#wakeProducers());
    core.isStalled = () => this.#retention.stalled;
    core.seal = (segment) => this.#writer.seal(segment);
    core.onCommit = () => {
      this.#retention.forgetCommitted();
      this.#wakeProducers();
      this.#cursors.schedule();
      // Clients may be waiting until this is stored.
      core.clients.progress();
    };
  }

  get directory(): string {
    return this.#core.settings.directory;
  }

  get id(): string {
    return this.#core.id;
  }

  get stats(): DiskJournalStats {
    return this.#core.stats;
  }

  get usage(): JournalUsage {
    const { stats: { diskBytes }, settings: { maxBytes } } = this.#core;
    const { isFull, stalled, lowSpace } = this.#retention;
    return { bytes: diskBytes, limitBytes: maxBytes, isFull: isFull || stalled || lowSpace };
  }

  get clients(): ClientTable {
    return this.#core.clients;
  }

  get ended(): boolean {
    return this.#core.ended;
  }

  /** Number of the last batch. */
  get lastPosition(): number {
    return this.#core.tail.next - 1;
  }

  /** Number of the first batch that is not on disk: all earlier ones are written and synced, or given up. */
  get writtenPosition(): number {
    return this.#core.tail.written;
  }

  get pendingPoints(): number {
    const { readers, segments, ledger, stats } = this.#core;
    let pending = 0;
    for (const reader of readers.values()) pending = Math.max(pending, reader.pendingPoints);
    if (readers.size > 0) return pending;
    const kept = segments.first ? ledger.keptAtStart(new Census(segments.first.pointsBefore)) : 0;
    return kept + stats.appendedPoints;
  }

  /** Points that are only in memory, and that some output has not committed: what a stop gives up, and what it does not. */
  get unwritten(): UnwrittenPoints {
    const { tail, committed } = this.#core;
    const points = { lost: 0, leftWithClients: 0 };
    for (const { batch } of tail.from(Math.max(tail.written, committed))) {
      let left = 0;
      for (const { start, end, sequence } of batch.origins) if (sequence > 0) left += end - start;
      points.leftWithClients += left;
      points.lost += batch.length - left;
    }
    return points;
  }

  get stalledSince(): number | undefined {
    return this.#writer.tryingSince;
  }

  async renewId(): Promise<void> {
    const { files, directory } = this.#core.settings;
    // Batches that outputs have under the old id must not be sent under the new one.
    await this.#cursors.flush();
    const identity = { ...this.#identity, id: newJournalId() };
    await saveIdentity(files, directory, identity);
    this.#identity = identity;
    this.#core.id = identity.id;
  }

  /** The cursor of that name continues where it was, or begins with the first batch in the journal. */
  reader(name = "default", options: ReaderOptions = {}): BatchReader {
    const { readers, segments, tail } = this.#core;
    if (readers.has(name)) throw new RangeError(`Cannot open reader ${name}: it is already open`);
    const { path, position = -1 } = this.#cursors.of(name);
    const { first } = segments;
    const from = first?.first ?? tail.first?.number ?? tail.next;
    const { begin, starts } = this.#found;
    const start = position >= from
      ? this.#beginnings.get(name) ?? starts.get(path)!
      : (first && first !== this.#found.segments[0] && segments.censusAt(first)) || begin;
    const reader = new DiskReader(name, this.#core, Math.max(position, from), start, options);
    readers.set(name, reader);
    return reader;
  }

  append(batch: Batch): Promise<void> | void {
    const { ended, stats, tail, readers, settings } = this.#core;
    if (batch.length === 0 && batch.origins.length === 0) return batch.release();
    if (ended) throw new Error("Cannot append: the journal has ended");
    stats.appendedPoints += batch.length;
    tail.append(batch);
    this.#retention.limitMemory();
    for (const reader of readers.values()) reader.wakeIfReady();
    this.#writer.appended();
    if (settings.onFull !== "block" || this.#unblocked) return;
    if (this.#retention.isFull) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#pace.appended(batch.length);
    if (this.#pace.isAhead) return this.#pace.wait();
  }

  beginStop(): void {
    this.#core.stopping = true;
    for (const reader of this.#core.readers.values()) reader.wakeIfReady();
  }

  untilDurable(): Promise<void> {
    const { tail, clients } = this.#core;
    const { next } = tail;
    return untilSafe(clients, () => tail.isWritten(next));
  }

  unblock(): void {
    this.#unblocked = true;
    this.#wakeProducers(true);
  }

  end(): void {
    this.#core.ended = true;
    for (const reader of this.#core.readers.values()) reader.wake();
    this.#wakeProducers(true);
    this.#writer.wake();
  }

  /** Writes what it can, saves the cursors and releases the directory. It may be called several times. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const core = this.#core;
    this.end();
    core.closed = true;
    this.#writer.wake();
    await this.#writer.finished;
    for (const reader of core.readers.values()) await reader.close();
    await this.#cursors.close();
    this.#lock.close();
  }

  #wakeProducers(all = false): void {
    if (!all && this.#retention.isFull) return;
    for (const resume of this.#waiting.splice(0)) resume();
  }
}
