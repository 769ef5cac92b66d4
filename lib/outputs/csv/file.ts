/** One file that rows are appended to: how it is begun or found again, and written. */
import type { Clock } from "../../base/clock.ts";
import { EXIT, ExitError, messageOf } from "../../base/errors.ts";
import { fileSystemOf, statOf } from "../../base/file_system.ts";
import type { Logger } from "../../base/log.ts";
import type { Batch } from "../../points/measurement.ts";
import { Complaint } from "../../base/complaint.ts";
import { closeQuietly } from "../../base/waiting.ts";
import { type CsvFormat, CsvRenderer } from "./format.ts";
import { RowBuffer } from "../rendering/numbers.ts";
import type { HandlePool, Parkable } from "./handle_pool.ts";
import { columnsOf, MAX_HEADER_BYTES } from "./header.ts";
import { type Opened, openForAppending } from "./opening.ts";
import type { PathPattern } from "../files/path.ts";
import type { SeriesTexts } from "../rendering/series_texts.ts";

/** Bytes gathered for one write. */
const WRITE_BYTES = 256 * 1024;
const FIRST_BYTES = 16 * 1024;
/** Unused buffers that are kept, in bytes. */
const SPARE_BYTES = 2 * WRITE_BYTES;
/** Wait before a write that failed is tried again, in ms. */
const RETRY_MS = 1000;
/** Files beside the configured one that are tried. */
const MAX_SIBLINGS = 10_000;
/** How often a file is compared with what was written to it, in ms. */
const COMPARE_MS = 100;

/** What the files of one output share. */
export interface FileContext {
  readonly log: Logger;
  readonly clock: Clock;
  readonly pattern: PathPattern;
  readonly format: CsvFormat;
  /** What is rendered once per series, for all files. */
  readonly texts: SeriesTexts;
  readonly buffers: BufferPool;
  readonly stats: { points: number; bytes: number; rotations: number };
  /** Bounds how many of the files are open; `null` where there is one at a time. */
  readonly handles: HandlePool | null;
  /** The time for an orderly stop is over. */
  readonly signal: AbortSignal;
}

/** Buffers that are not in use. */
export class BufferPool {
  readonly #free: RowBuffer[] = [];
  #bytes = 0;

  take(): RowBuffer {
    const buffer = this.#free.pop();
    if (!buffer) return new RowBuffer(FIRST_BYTES);
    this.#bytes -= buffer.bytes.length;
    return buffer;
  }

  give(buffer: RowBuffer): void {
    buffer.length = 0;
    if (this.#bytes + buffer.bytes.length > SPARE_BYTES) return;
    this.#bytes += buffer.bytes.length;
    this.#free.push(buffer);
  }
}

export class CsvFile implements Parkable {
  inode: number;
  born: number | null;
  /** It was empty when it was opened. */
  isNew = false;
  /** Bytes with all that is in buffers, as far as this process knows. */
  size: number;
  /** Bytes up to the last position that is safe, as they are on disk. */
  safeSize: number;
  /** When the file was last written to before it was opened, in ms. */
  readonly modifiedMs: number;
  readonly #context: FileContext;
  /** `null` while it is parked. */
  #handle: Opened["handle"] | null;
  /** The same, if it is a regular file: it can be found again, and cut. */
  #file: Deno.FsFile | null;
  /** A regular file, not a pipe or a device. */
  readonly isRegular: boolean;
  readonly #isLocal: boolean;
  /** How much is under way that needs the handle. */
  #users = 0;
  #reopening: Promise<void> | null = null;
  /** Syncing through another one does not keep writes waiting. Not where there may be many files. */
  #syncHandle: Deno.FsFile | null = null;
  #buffer: RowBuffer | null = null;
  #writing: Promise<boolean> = Promise.resolve(true);
  /** What others have added to the file or taken from it since it was opened, in bytes. */
  #shift = 0;
  #written: number;
  #comparedMs = 0;
  /** The last write has failed: the disk is full, say. */
  isAway = false;
  readonly #complaint: Complaint;
  #writingSince: number | undefined;
  #syncingSince: number | undefined;

  private constructor(
    readonly path: string,
    readonly renderer: CsvRenderer,
    { handle, file }: Opened,
    info: Deno.FileInfo | null,
    context: FileContext,
  ) {
    this.#handle = handle;
    this.#file = file;
    this.isRegular = file !== null;
    this.#isLocal = file !== null && fileSystemOf(path)?.isLocal === true;
    this.#context = context;
    this.inode = info?.ino ?? 0;
    this.born = info?.birthtime?.getTime() ?? null;
    this.modifiedMs = info?.mtime?.getTime() ?? 0;
    this.size = this.safeSize = this.#written = info?.size ?? 0;
    this.#complaint = new Complaint(context.clock);
  }

  /**
   * Opens `path` if it is new or has a header that this output can have written, whose columns are then taken; else the
   * first such file beside it.
   *
   * @param columns Of attributes, for a new file.
   * @param opened `path`, if it is open already. It is closed where another file is taken, or on an error.
   * @throws what the file system throws.
   */
  static async open(
    path: string,
    columns: () => readonly string[],
    context: FileContext,
    opened: Opened | null = null,
  ): Promise<CsvFile> {
    const { log, format, texts, pattern } = context;
    for (let n = 0; n <= MAX_SIBLINGS; n++) {
      const candidate = n === 0 ? path : pattern.sibling(path, n);
      opened ??= await openForAppending(candidate);
      try {
        const info = opened.file && await opened.file.stat();
        const isNew = !info || info.size === 0;
        const found = isNew ? columns() : columnsOf(await readStart(opened.file!, MAX_HEADER_BYTES), format);
        if (found) {
          const renderer = new CsvRenderer(found, format, texts);
          const file = new CsvFile(candidate, renderer, opened, info, context);
          opened = null;
          await context.handles?.enter(file);
          file.isNew = isNew;
          if (isNew) file.#begin();
          else await file.#continue(info.size);
          if (candidate !== path) {
            log.warn("The file has another header, writing to a file beside it", {
              file: path,
              written_to: candidate,
            });
          }
          return file;
        }
      } finally {
        opened?.handle.close();
        opened = null;
      }
    }
    throw new Error(`${MAX_SIBLINGS} files beside it exist already`);
  }

  #begin(): void {
    this.#put(this.renderer.header);
  }

  get isBusy(): boolean {
    return this.#users > 0;
  }

  park(): void {
    closeQuietly(this.#handle);
    this.#handle = this.#file = null;
  }

  /** Does something with the handle, which is opened again if it was parked. */
  async #use<T>(work: (handle: Opened["handle"], file: Deno.FsFile | null) => Promise<T>): Promise<T> {
    const { handles } = this.#context;
    this.#users++;
    try {
      await handles?.enter(this);
      if (!this.#handle) await (this.#reopening ??= this.#reopen().finally(() => this.#reopening = null));
      return await work(this.#handle!, this.#file);
    } finally {
      this.#users--;
      handles?.notifyIdle();
    }
  }

  async #reopen(): Promise<void> {
    const { handle, file } = await openForAppending(this.path);
    this.#handle = handle;
    this.#file = file;
    const info = await file?.stat();
    if (!info || info.ino === this.inode) return;
    // Somebody has moved it meanwhile, which is seen when it is looked for; until then its rows go here.
    this.inode = info.ino ?? 0;
    this.born = info.birthtime?.getTime() ?? null;
  }

  /** A process that was killed may have left half a row: the next one must not be glued to it. */
  async #continue(size: number): Promise<void> {
    const { log, pattern } = this.#context;
    // Files of clients come and go.
    log[pattern.hasClient ? "debug" : "info"]("Appending to an existing file", {
      file: this.path,
      bytes: size,
    });
    if (await endsInLine(this.#file!, size)) return;
    log.warn("The file ends in half a row, which stays as it is", { file: this.path });
    this.#put(LINE_BREAK);
  }

  #put(bytes: Uint8Array): void {
    const buffer = this.#buffer ??= this.#context.buffers.take();
    buffer.reserve(bytes.length);
    buffer.bytes.set(bytes, buffer.length);
    buffer.length += bytes.length;
    this.size += bytes.length;
  }

  /** Bytes that wait to be written. */
  get buffered(): number {
    return this.#buffer?.length ?? 0;
  }

  /** Resolves when nothing is being written any more. */
  async idle(): Promise<void> {
    await this.#writing;
  }

  /** Renders rows for as long as there is room. @returns the first that did not fit, or `end`: then flush. */
  render(batch: Batch, row: number, end: number): number {
    const buffer = this.#buffer ??= this.#context.buffers.take();
    const { length } = buffer;
    while (true) {
      row = this.renderer.render(batch, row, buffer, end);
      if (row === end || buffer.bytes.length >= WRITE_BYTES) break;
      buffer.reserve(Math.min(4 * buffer.bytes.length, WRITE_BYTES) - buffer.length);
    }
    this.size += buffer.length - length;
    return row;
  }

  /** Hands the buffer to the disk. Resolves when all is written, or `false` when it was aborted before. */
  flush(): Promise<boolean> {
    const buffer = this.#buffer;
    if (!buffer) return this.#writing;
    this.#buffer = null;
    return this.#writing = this.#writing.then(async (written) => {
      if (!written || !await this.#writeAll(buffer.bytes, buffer.length)) return false;
      this.#context.buffers.give(buffer);
      await this.#compare();
      return true;
    });
  }

  /** Writes until all is written. @returns `false` when it was aborted before. */
  async #writeAll(bytes: Uint8Array<ArrayBuffer>, length: number): Promise<boolean> {
    const { signal, clock, stats, log } = this.#context;
    await this.#noticeCut();
    for (let done = 0; done < length;) {
      if (signal.aborted) {
        await this.#cutHalfRow(bytes.subarray(0, done));
        return false;
      }
      try {
        this.#writingSince = performance.now();
        const rest = bytes.subarray(done, length);
        const count = await this.#use((handle) => handle.write(rest));
        done += count;
        this.#written += count;
        stats.bytes += count;
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) {
          throw new ExitError(
            EXIT.unavailable,
            `Nobody reads ${this.path} any more (plugins.csv.output_path)`,
            {
              cause: error,
            },
          );
        }
        this.#complaint.add(() => {
          log.error("Cannot write, keeping the rows and trying again", {
            file: this.path,
            reason: messageOf(error),
          });
        });
        this.#writingSince = undefined;
        this.isAway = true;
        await clock.sleep(RETRY_MS, signal);
      }
    }
    this.#writingSince = undefined;
    this.isAway = false;
    this.#complaint.end(() => log.info("Writing to the file again", { file: this.path }));
    return true;
  }

  /** Takes back the row of which only the beginning could be written. */
  async #cutHalfRow(written: Uint8Array): Promise<void> {
    const half = written.length - (written.lastIndexOf(10) + 1);
    if (half === 0 || !this.isRegular) return;
    try {
      await this.#use(async (_, file) => await file!.truncate((await file!.stat()).size - half));
    } catch { /* whoever appends to the file next sees it */ }
  }

  /**
   * Another program may have cut the file, as logrotate does with copytruncate: rows that follow get a header, and are
   * not glued to half a row.
   */
  async #noticeCut(): Promise<void> {
    if (!this.isRegular) return;
    try {
      if (await this.#sizeOnDisk() >= this.onDisk(this.#written)) return;
      await this.#use(async (handle, file) => {
        const { size } = await file!.stat();
        this.#context.log.warn("Another program has cut the file", { file: this.path, bytes: size });
        this.#shift = size - this.#written;
        const bytes = size === 0 ? this.renderer.header : await endsInLine(file!, size) ? null : LINE_BREAK;
        if (bytes) this.#shift += await handle.write(bytes);
      });
    } catch { /* what follows says what is wrong */ }
  }

  /** Each write asks for it, so it takes no thread where no server has to be waited for. */
  async #sizeOnDisk(): Promise<number> {
    if (this.#isLocal && this.#file) {
      try {
        return this.#file.seekSync(0, Deno.SeekMode.End);
      } catch { /* the file is being synced */ }
    }
    return await this.#use(async (_, file) => (await file!.stat()).size);
  }

  /** Somebody else may write to the file too. */
  async #compare(): Promise<void> {
    const now = performance.now();
    if (!this.isRegular || now - this.#comparedMs < COMPARE_MS) return;
    this.#comparedMs = now;
    try {
      const size = await this.#sizeOnDisk();
      if (size <= this.#written + this.#shift) return;
      if (this.#shift === 0) {
        this.#context.log.warn("Another program has changed the file", { file: this.path });
      }
      this.#shift = size - this.#written;
    } catch { /* the next one tells */ }
  }

  /** There are no rows in it. */
  get isEmpty(): boolean {
    return this.size <= this.renderer.header.length;
  }

  /** The bytes on disk that are `size` as this process counts. */
  onDisk(size: number): number {
    return Math.max(0, size + this.#shift);
  }

  /** Whether the path still leads to this file. */
  async isInPlace(): Promise<boolean> {
    if (!this.isRegular) return true;
    try {
      return (await statOf(this.path, this.#isLocal)).ino === this.inode;
    } catch (error) {
      return !(error instanceof Deno.errors.NotFound);
    }
  }

  /** What is written cannot be lost any more. @throws what the file system throws; then it may be. */
  async sync(): Promise<void> {
    if (!this.isRegular) return;
    const { handles } = this.#context;
    if (!handles && !this.#syncHandle) {
      const handle = await Deno.open(this.path).catch(() => null);
      const info = await handle?.stat();
      if (handle && info?.ino === this.inode) this.#syncHandle = handle;
      else handle?.close();
    }
    this.#syncingSince = performance.now();
    try {
      if (this.#syncHandle) await this.#syncHandle.syncData();
      else await this.#use((_, file) => file!.syncData());
    } finally {
      this.#syncingSince = undefined;
    }
  }

  /** When a write or a sync was begun that has not returned, in `performance.now()` ms. */
  get stalledSince(): number | undefined {
    // Whoever reads a pipe may take its time.
    return this.isRegular ? this.#writingSince ?? this.#syncingSince : undefined;
  }

  /** Takes back what is not safe, in buffers and in the file. To be called when nothing is being written. */
  async cut(): Promise<void> {
    if (this.#buffer) this.#context.buffers.give(this.#buffer);
    this.#buffer = null;
    if (this.isRegular) {
      await this.#use(async (_, file) => {
        if ((await file!.stat()).size > this.safeSize) await file!.truncate(this.safeSize);
      });
    }
    this.#shift = 0;
    this.size = this.#written = this.safeSize;
    if (this.safeSize === 0) this.#begin();
  }

  /** May be called twice. */
  close(): void {
    if (this.#buffer) this.#context.buffers.give(this.#buffer);
    this.#buffer = null;
    for (const handle of [this.#handle, this.#syncHandle]) closeQuietly(handle);
    this.#context.handles?.leave(this);
  }
}

const LINE_BREAK = new Uint8Array([10]);

async function endsInLine(file: Deno.FsFile, size: number): Promise<boolean> {
  await file.seek(size - 1, Deno.SeekMode.Start);
  const last = new Uint8Array(1);
  await file.read(last);
  return last[0] === 10;
}

async function readStart(handle: Deno.FsFile, most: number): Promise<Uint8Array> {
  await handle.seek(0, Deno.SeekMode.Start);
  let bytes = new Uint8Array(4096);
  for (let length = 0;;) {
    const count = await handle.read(bytes.subarray(length));
    if (count === null) return bytes.subarray(0, length);
    const start = length;
    length += count;
    // A header may have line breaks in it; nearly none has.
    if (length >= most || (bytes.subarray(start, length).includes(10) && length > 65_536)) {
      return bytes.subarray(0, length);
    }
    if (length === bytes.length) {
      const larger = new Uint8Array(2 * length);
      larger.set(bytes);
      bytes = larger;
    }
  }
}
