/** From a reader into files: renders batches, groups what is written, and commits it when it is safe. */
import type { BatchReader } from "../journal.ts";
import type { Batch } from "../measurement.ts";
import type { Committer } from "./csv_commit.ts";
import { Complaint } from "./csv_complaint.ts";
import { attributeColumns } from "./csv_format.ts";
import { CsvFile, type FileContext } from "./csv_file.ts";

/** Without `force_flush`, rows wait for others for at most this long, in ms. */
const LAZY_FLUSH_MS = 1000;
/** Wait before what has failed is tried again, in ms. */
const RETRY_MS = 1000;
/** No more is read while so many points are not committed. */
const MOST_UNCOMMITTED = 98_304;

/** The time for an orderly stop is over. */
class Aborted extends Error {
  override readonly name = "Aborted";
}

export interface WriterOptions {
  readonly path: string;
  /** Whether to write at once what has arrived; may change. */
  readonly forceFlush: () => boolean;
  /** Of the path, open already. */
  readonly handle: Deno.FsFile | null;
}

export class CsvWriter {
  readonly #reader: BatchReader;
  readonly #context: FileContext;
  readonly #options: WriterOptions;
  #committer!: Committer;
  #file: CsvFile | null = null;
  #handle: Deno.FsFile | null;
  /** The first row of the batch being taken that is in no buffer. */
  #row = 0;
  /** Files with rows that are not handed to the disk. */
  readonly #dirty = new Set<CsvFile>();
  /** Files that nothing has been written to yet. */
  readonly #opened = new Set<CsvFile>();
  /** Batches of which every row is in a buffer, since the last group. */
  #group = { batches: 0, points: 0, position: -1 };
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
    this.#handle = options.handle;
    this.#losses = new Complaint(
      context.log,
      "The disk may have lost rows, writing them again",
      "Rows are on disk again",
    );
  }

  get path(): string {
    return this.#file?.path ?? this.#options.path;
  }

  get stalledSince(): number | undefined {
    return this.#file?.stalledSince;
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
    const onAbort = () => this.#interrupt.abort();
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      await this.#run();
    } catch (error) {
      await this.#writing;
      await this.#file?.idle();
      await committer.abandon();
      if (!(error instanceof Aborted)) throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #run(): Promise<void> {
    while (true) {
      if (this.#lost) await this.#writeAgain();
      const waitMs = this.#group.batches > 0 ? LAZY_FLUSH_MS : Infinity;
      const state = await this.#reader.wait(waitMs, this.#interrupt.signal);
      this.#check();
      if (this.#lost) continue;
      for (let batch; state === "ready" && !this.#lost && (batch = this.#reader.next());) {
        if (!this.#takeNow(batch, this.#reader.position)) await this.#take(batch, this.#reader.position);
        if (this.#takenPoints >= MOST_UNCOMMITTED) await this.#settle();
        this.#check();
      }
      if (this.#options.forceFlush() || state !== "ready") await this.#flush();
      if (state === "ended") {
        await this.#settle();
        this.#check();
        if (!this.#lost) return await this.#committer.finish();
      }
    }
  }

  /** @throws what ends this output. */
  #check(): void {
    const { signal } = this.#failure;
    if (signal.aborted) throw signal.reason;
    if (this.#context.signal.aborted) throw new Aborted();
  }

  /** Takes a batch whose rows fit into a buffer; nearly all do. @returns whether it did. */
  #takeNow(batch: Batch, position: number): boolean {
    const { length } = batch;
    const file = this.#file;
    if (length > 0) {
      if (!file) return false;
      this.#row = file.render(batch, 0, length);
      this.#dirty.add(file);
      if (this.#row < length) return false;
      file.wholeSize = file.size;
    }
    this.#count(batch, position);
    return true;
  }

  /** Takes a batch, of which {@linkcode takeNow} may have taken some rows. */
  async #take(batch: Batch, position: number): Promise<void> {
    const { length } = batch;
    const file = this.#file ??= await this.#open(() => attributeColumns(batch));
    while (this.#row < length) {
      this.#row = file.render(batch, this.#row, length);
      this.#dirty.add(file);
      if (this.#row < length) await this.#flush();
      this.#check();
    }
    file.wholeSize = file.size;
    this.#count(batch, position);
  }

  #count(batch: Batch, position: number): void {
    this.#row = 0;
    this.#taken.push({ batch, position });
    this.#takenPoints += batch.length;
    this.#group.batches++;
    this.#group.points += batch.length;
    this.#group.position = position;
  }

  /** Tries until there is a file. */
  async #open(columns: () => readonly string[]): Promise<CsvFile> {
    const { path } = this.#options;
    const complaint = new Complaint(
      this.#context.log,
      "Cannot begin the file, trying on",
      "The file is begun",
    );
    while (true) {
      try {
        const handle = this.#handle;
        this.#handle = null;
        const file = await CsvFile.open(path, columns, this.#context, handle);
        this.#opened.add(file);
        complaint.end({ file: file.path });
        return file;
      } catch (error) {
        complaint.add(error, { file: path });
      }
      await this.#context.clock.sleep(RETRY_MS, this.#context.signal);
      this.#check();
    }
  }

  /** Hands what is in buffers to the disk, where rows go on being rendered into others. Waits for what was before. */
  async #flush(): Promise<void> {
    await this.#writing;
    if (this.#opened.size > 0) {
      await this.#committer.announce(this.#opened);
      this.#opened.clear();
    }
    const group = this.#group;
    this.#group = { batches: 0, points: 0, position: group.position };
    const files = [...this.#dirty];
    const sizes = new Map(files.map((file) => [file, file.wholeSize]));
    this.#dirty.clear();
    const writes = Promise.all(files.map((file) => file.flush()));
    this.#writing = writes.then((written) => {
      if (group.batches > 0 && written.every(Boolean)) this.#committer.written({ ...group, sizes });
    }).catch(this.fail);
  }

  /** Resolves when all that was taken is committed, unless the disk has lost it. */
  async #settle(): Promise<void> {
    await this.#flush();
    await this.#writing;
    await this.#committer.settled();
  }

  /** Goes back to the last position. */
  async #writeAgain(): Promise<void> {
    await this.#writing;
    await this.#file?.idle();
    while (this.#lost) {
      this.#losses.add(this.#lost.error, { points: this.#takenPoints });
      await this.#context.clock.sleep(RETRY_MS, this.#context.signal);
      this.#check();
      try {
        await this.#file?.cut();
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
    this.#group = { batches: 0, points: 0, position: -1 };
    this.#dirty.clear();
    this.#committer.restart();
    for (const { batch, position } of batches) {
      if (!this.#takeNow(batch, position)) await this.#take(batch, position);
    }
    await this.#settle();
    if (!this.#lost) this.#losses.end();
  }

  close(): void {
    this.#file?.close();
    try {
      this.#handle?.close();
    } catch { /* closed before */ }
  }
}
