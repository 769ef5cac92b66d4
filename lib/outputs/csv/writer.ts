/** From a reader into files: renders batches, groups what is written, and commits it when it is safe. */
import type { BatchReader } from "../../journal.ts";
import { Batch } from "../../points/measurement.ts";
import type { DeadLetters } from "../../plugin.ts";
import type { Committer } from "./commit.ts";
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import { closeQuietly, onAbort } from "../../base/waiting.ts";
import { attributeColumns } from "./format.ts";
import type { CsvFile, FileContext } from "./file.ts";
import type { Opened } from "./opening.ts";
import type { Stream, Streams } from "./streams.ts";
import { valueProblems } from "../rendering/u64.ts";

/** Without `force_flush`, rows wait for others for at most this long, in ms. */
const LAZY_FLUSH_MS = 1000;
/** Wait before what has failed is tried again, in ms. */
const RETRY_MS = 1000;
/** Bytes in the buffers of all files that are handed to the disk. */
const FLUSH_BYTES = 1024 * 1024;
/** Nothing more is read while this many points are not committed. */
const MOST_UNCOMMITTED = 98_304;

function newGroup() {
  return { batches: 0, points: 0, isAwaited: false, position: -1, sizes: new Map<CsvFile, number>() };
}

/** The time for an orderly stop is over. */
class Aborted extends Error {
  override readonly name = "Aborted";
}

export interface WriterOptions {
  readonly streams: Streams;
  readonly deadLetters: DeadLetters;
  /** Whether to write at once what has arrived; may change. */
  readonly forceFlush: () => boolean;
  /** Of the path, open already. */
  readonly opened: Opened | null;
  /** When clients of ours learn that a batch is safe: with `stored`, once a position covers it. */
  readonly acknowledges: "durable" | "stored";
}

export class CsvWriter {
  readonly #reader: BatchReader;
  readonly #context: FileContext;
  readonly #options: WriterOptions;
  readonly #streams: Streams;
  #committer!: Committer;
  /** The first file, which is open already. */
  #first: Opened | null;
  /** The first row of the batch being taken that is in no buffer. */
  #row = 0;
  /** A file is to be finished. */
  #isFull = false;
  /** Files with rows that are not handed to the disk. */
  readonly #dirty = new Set<CsvFile>();
  /** Files with rows of the batch that is being taken. */
  readonly #touched = new Set<CsvFile>();
  /** Files that nothing has been written to yet. */
  readonly #opened = new Set<CsvFile>();
  /** Batches of which every row is in a buffer, since the last group. */
  #group = newGroup();
  #writing: Promise<void> = Promise.resolve();
  /** What was read and not committed. */
  #taken: { batch: Batch; position: number }[] = [];
  #takenPoints = 0;
  /** What ends this output. */
  readonly #failure = new AbortController();
  /** The disk has lost what was written since the last position, or may have. */
  #lost: { error: unknown } | null = null;
  /** Interrupts the wait for the next batch. */
  #interrupt = new AbortController();
  readonly #losses: Complaint;

  constructor(reader: BatchReader, context: FileContext, options: WriterOptions) {
    this.#reader = reader;
    this.#context = context;
    this.#options = options;
    this.#streams = options.streams;
    this.#first = options.opened;
    this.#losses = new Complaint(context.clock);
  }

  get stalledSince(): number | undefined {
    for (const { file } of this.#streams.open()) {
      const since = file!.stalledSince;
      if (since !== undefined) return since;
    }
    return undefined;
  }

  /** Some file cannot be written at present. */
  get isTargetAway(): boolean {
    for (const { file } of this.#streams.open()) if (file!.isAway) return true;
    return false;
  }

  /** The oldest batches are safe. For the committer. */
  readonly commit = (batches: number): void => {
    let points = 0;
    for (let n = 0; n < batches; n++) points += this.#taken[n].batch.length;
    this.#taken.splice(0, batches);
    this.#takenPoints -= points;
    this.#context.stats.points += points;
    this.#reader.commit(batches);
  };

  /** For the committer. */
  readonly fail = (error: unknown): void => {
    this.#failure.abort(error);
    this.#interrupt.abort();
  };

  /** For the committer. */
  readonly onLoss = (error: unknown): void => {
    this.#lost = { error };
    this.#interrupt.abort();
  };

  async run(committer: Committer): Promise<void> {
    this.#committer = committer;
    const { signal } = this.#context;
    using _interrupting = onAbort(signal, () => this.#interrupt.abort());
    try {
      await this.#run();
    } catch (error) {
      await this.#writing;
      for (const { file } of this.#streams.open()) await file!.idle();
      await committer.abandon();
      if (!(error instanceof Aborted)) throw error;
    }
  }

  async #run(): Promise<void> {
    const { forceFlush } = this.#options;
    const streams = this.#streams;
    while (true) {
      if (this.#lost) await this.#writeAgain();
      const waitMs = Math.min(this.#group.batches > 0 ? LAZY_FLUSH_MS : Infinity, streams.turnInMs);
      const state = await this.#reader.wait(waitMs, this.#interrupt.signal);
      this.#check();
      if (this.#lost) continue;
      if (streams.isTime || this.#isFull) await this.#turn();
      if (streams.isCrowded) await this.#drop();
      this.#check();
      for (let next; state === "ready" && !this.#lost && (next = this.#reader.next());) {
        const batch = this.#withoutProblems(next);
        if (!this.#takeNow(batch, this.#reader.position)) await this.#take(batch, this.#reader.position);
        if (!streams.only && this.#buffered > FLUSH_BYTES) await this.#flush();
        while (this.#takenPoints >= MOST_UNCOMMITTED && !this.#lost) await this.#makeRoom();
        this.#check();
        if (this.#isFull || streams.isCrowded || streams.isTime) break;
      }
      if (forceFlush() || state !== "ready") await this.#flush();
      if (state === "ended") {
        await this.#settle();
        this.#check();
        if (!this.#lost) return await this.#committer.finish();
      }
    }
  }

  /** The batch, or a copy without the points that cannot be written, which are set aside. */
  #withoutProblems(batch: Batch): Batch {
    const problems = valueProblems(batch);
    if (problems.length === 0) return batch;
    const bad = new Set(problems.map(({ row }) => row));
    for (const { row, reason } of problems) this.#options.deadLetters.add(batch, row, reason);
    const copy = new Batch(batch.length, null, batch.store);
    for (let row = 0; row < batch.length; row++) {
      if (bad.has(row)) continue;
      const value = batch.exact?.get(row);
      if (value !== undefined) (copy.exact ??= new Map()).set(copy.length, value);
      copy.pushNumber(batch.series[row], batch.seconds[row], batch.nanos[row], batch.values[row]);
    }
    return copy;
  }

  /** Finishes files that are too large or too old, or that somebody has moved. */
  async #turn(): Promise<void> {
    this.#isFull = false;
    const due = await this.#streams.due();
    if (due.size === 0) return;
    await this.#settle();
    this.#check();
    // What is lost is written again first, to the same file.
    if (this.#lost) return this.#streams.again();
    await this.#committer.release([...due.keys()].map(({ file }) => file!));
    for (const [stream, reason] of due) await this.#streams.finish(stream, reason);
  }

  /** Closes files, where too many are open. */
  async #drop(): Promise<void> {
    await this.#settle();
    this.#check();
    if (this.#lost) return;
    const streams = this.#streams.excess();
    await this.#committer.release(streams.flatMap(({ file }) => file ?? []));
    for (const stream of streams) this.#streams.drop(stream);
  }

  /** @throws what ends this output. */
  #check(): void {
    const { signal } = this.#failure;
    if (signal.aborted) throw signal.reason;
    if (this.#context.signal.aborted) throw new Aborted();
  }

  /** Takes a batch whose rows fit into the buffers; nearly all do. @returns whether it did. */
  #takeNow(batch: Batch, position: number): boolean {
    const { length } = batch;
    const { only } = this.#streams;
    while (this.#row < length) {
      const stream = only ?? this.#streams.of(batch.series[this.#row]);
      const { file } = stream;
      if (!file) return false;
      const end = only ? length : this.#endOf(stream, batch);
      this.#row = file.render(batch, this.#row, end);
      this.#dirty.add(file);
      this.#touched.add(file);
      if (this.#row < end) return false;
      if (!only) this.#streams.touch(stream);
      if (this.#streams.isDue(stream)) this.#isFull = true;
    }
    this.#count(batch, position);
    return true;
  }

  get #buffered(): number {
    let bytes = 0;
    for (const file of this.#dirty) bytes += file.buffered;
    return bytes;
  }

  /** The first row that is of another stream. */
  #endOf(stream: Stream, { series, length }: Batch): number {
    let end = this.#row + 1;
    while (end < length && this.#streams.of(series[end]) === stream) end++;
    return end;
  }

  /** Takes a batch, of which {@linkcode takeNow} may have taken some rows. */
  async #take(batch: Batch, position: number): Promise<void> {
    do {
      const stream = this.#streams.only ?? this.#streams.of(batch.series[this.#row]);
      if (stream.file) await this.#flush();
      else await this.#begin(stream, batch);
      this.#check();
    } while (!this.#takeNow(batch, position));
  }

  #count(batch: Batch, position: number): void {
    this.#row = 0;
    for (const file of this.#touched) this.#group.sizes.set(file, file.size);
    this.#touched.clear();
    this.#taken.push({ batch, position });
    this.#takenPoints += batch.length;
    this.#group.batches++;
    this.#group.points += batch.length;
    this.#group.isAwaited ||= this.#options.acknowledges === "stored" &&
      batch.origins.some(({ sequence }) => sequence > 0);
    this.#group.position = position;
  }

  /** Tries until there is a file. */
  async #begin(stream: Stream, batch: Batch): Promise<void> {
    const { log, clock, signal } = this.#context;
    const complaint = new Complaint(clock);
    const { only } = this.#streams;
    const columns = () =>
      attributeColumns(batch, (series) => only !== null || this.#streams.of(series) === stream);
    while (true) {
      try {
        const opened = this.#first;
        this.#first = null;
        const file = await this.#streams.begin(stream, columns, opened);
        this.#opened.add(file);
        return complaint.end(() => log.info("The file exists now", { file: file.path }));
      } catch (error) {
        complaint.add(() => {
          log.error("Cannot begin a file, trying again", {
            file: this.#context.pattern.text,
            reason: messageOf(error),
          });
        });
      }
      await clock.sleep(RETRY_MS, signal);
      this.#check();
    }
  }

  /** Hands what is in buffers to the disk, while rows are rendered into others. Waits for the previous write. */
  async #flush(): Promise<void> {
    await this.#writing;
    if (this.#opened.size > 0) {
      await this.#committer.announce(this.#opened);
      this.#opened.clear();
    }
    const group = this.#group;
    this.#group = newGroup();
    const files = [...this.#dirty];
    this.#dirty.clear();
    const writes = Promise.all(files.map((file) => file.flush()));
    this.#writing = writes.then(async (written) => {
      const { deadLetters } = this.#options;
      if (deadLetters.pending > 0) await deadLetters.sync();
      if (group.batches > 0 && written.every(Boolean)) this.#committer.written(group);
    }).catch(this.fail);
  }

  /** Resolves when all that was taken is committed, unless the disk has lost it. */
  async #settle(): Promise<void> {
    await this.#flush();
    await this.#writing;
    await this.#committer.settled();
  }

  /** Resolves when some of what was taken is committed. */
  async #makeRoom(): Promise<void> {
    // While that is under way, more may be written behind it.
    await (this.#committer.committing ?? this.#settle());
    this.#check();
  }

  /** Goes back to the last position. */
  async #writeAgain(): Promise<void> {
    await this.#writing;
    for (const { file } of this.#streams.open()) await file!.idle();
    while (this.#lost) {
      const { error } = this.#lost;
      this.#losses.add(() => {
        this.#context.log.error("The disk may have lost rows, writing them again", {
          points: this.#takenPoints,
          reason: messageOf(error),
        });
      });
      await this.#context.clock.sleep(RETRY_MS, this.#context.signal);
      this.#check();
      try {
        for (const { file } of this.#streams.open()) await file!.cut();
        this.#lost = null;
      } catch (error) {
        this.#lost = { error };
      }
    }
    this.#interrupt = new AbortController();
    if (this.#context.signal.aborted || this.#failure.signal.aborted) this.#interrupt.abort();
    this.#row = 0;
    const batches = this.#taken;
    this.#taken = [];
    this.#takenPoints = 0;
    this.#group = newGroup();
    this.#touched.clear();
    this.#dirty.clear();
    this.#committer.restart();
    for (const { batch, position } of batches) {
      if (!this.#takeNow(batch, position)) await this.#take(batch, position);
    }
    await this.#settle();
    if (!this.#lost) this.#losses.end(() => this.#context.log.info("The rows are on disk again"));
  }

  close(): void {
    this.#streams.close();
    closeQuietly(this.#first?.handle);
  }
}
