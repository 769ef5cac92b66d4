/** What the `csv` output does: appends rows to files, and continues where the last process stopped. */
import { BoundedLog } from "../../base/complaint.ts";
import { EXIT, ExitError, messageOf } from "../../base/errors.ts";
import { closeQuietly } from "../../base/waiting.ts";
import type { BatchReader } from "../../journal.ts";
import { descriptors } from "../../net/descriptors.ts";
import type { Output, PluginContext } from "../../plugin.ts";
import { Archive } from "./archive.ts";
import { CommitByPosition, CommitWhenWritten } from "./commit.ts";
import { type CsvConfig, rotates } from "./config.ts";
import { BufferPool, type FileContext } from "./file.ts";
import { type Opened, openForAppending, pathOf } from "./opening.ts";
import { type FilePosition, PositionFile, PositionInUse } from "../files/position.ts";
import { HandlePool } from "./handle_pool.ts";
import { PathPattern } from "../files/path.ts";
import { SeriesTexts } from "../rendering/series_texts.ts";
import { Streams } from "./streams.ts";
import { CsvWriter } from "./writer.ts";

/**
 * Files of clients that may be open whatever the limit of the process is, and the part of the limit otherwise: the
 * runtime may have two descriptors for each.
 */
const LEAST_HANDLES = 4;
const HANDLE_SHARE = 8;

type CsvContext = Pick<PluginContext, "log" | "clock" | "keepsOnDisk" | "deadLetters" | "acknowledges">;

export interface CsvStats extends Record<string, number> {
  points: number;
  bytes: number;
  /** Files that were renamed because they were large or old enough. */
  rotations: number;
  /** Finished files that were removed to keep what the configuration says. */
  removedFiles: number;
  removedBytes: number;
}

/**
 * Appends rows to a file. Where the journal is on disk, a position beside the file says which batches are in it, so that
 * after a crash each row is there once; else a batch is committed when its rows are written. While the disk is full rows
 * are kept, and written when there is room.
 */
export class CsvOutput implements Output {
  readonly stats: CsvStats = { points: 0, bytes: 0, rotations: 0, removedFiles: 0, removedBytes: 0 };
  readonly #context: CsvContext;
  #config: CsvConfig;
  readonly #pattern: PathPattern;
  readonly #positions: PositionFile | null;
  #opened: Opened | null;
  #writer: CsvWriter | null = null;
  #archive: Archive | null = null;
  /** A share of what this process may have open: connections need the others. */
  readonly #mostHandles = Math.max(
    LEAST_HANDLES,
    Math.floor((descriptors()?.limit ?? Infinity) / HANDLE_SHARE),
  );

  private constructor(
    config: CsvConfig,
    opened: Opened | null,
    positions: PositionFile | null,
    context: CsvContext,
  ) {
    this.#config = config;
    this.#pattern = new PathPattern(pathOf(config.output_path));
    this.#opened = opened;
    this.#positions = positions;
    this.#context = context;
  }

  /** @throws {ExitError} when the file cannot be opened for writing, or another process writes it. */
  static async open(config: CsvConfig, context: CsvContext): Promise<CsvOutput> {
    const pattern = new PathPattern(pathOf(config.output_path));
    const where = `Cannot open ${config.output_path} for writing (plugins.csv.output_path)`;
    let opened: Opened | null = null;
    try {
      if (pattern.isFixed) opened = await openForAppending(pattern.path("", new Date(0)));
      // Reading one entry would leave the folder open.
      else Deno.readDirSync(pattern.root.folder || ".");
    } catch (error) {
      throw new ExitError(EXIT.unavailable, `${where}: ${messageOf(error)}`, { cause: error });
    }
    try {
      const positions = !opened || opened.file ? await openPosition(pattern.positionPath, context) : null;
      return new CsvOutput(config, opened, positions, context);
    } catch (error) {
      opened?.handle.close();
      if (!(error instanceof PositionInUse)) throw error;
      throw new ExitError(
        EXIT.unavailable,
        `${where}: another process writes it. Stop that process, or write to another file`,
      );
    }
  }

  readonly onlyDurable = true;

  get stalledSince(): number | undefined {
    return this.#writer?.stalledSince;
  }

  get isTargetAway(): boolean {
    return this.#writer?.isTargetAway ?? false;
  }

  reconfigure(config: CsvConfig): void {
    this.#config = config;
  }

  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    // There may be a file for each client.
    const log = new BoundedLog(this.#context.log, clock);
    const config = this.#config;
    const pattern = this.#pattern;
    const forceFlush = () => this.#config.force_flush;
    const files: FileContext = {
      log,
      clock,
      signal,
      pattern,
      format: {
        delimiter: config.csv_delimiter,
        lateDelimiter: config.csv_late_delimiter,
        appendUnit: config.append_unit_to_metric_name,
        unitDisplayName: config.use_unit_display_name,
        escapeFormulas: config.escape_formulas,
      },
      texts: new SeriesTexts(),
      buffers: new BufferPool(),
      handles: pattern.hasClient ? new HandlePool(Math.min(config.max_open_files, this.#mostHandles)) : null,
      stats: this.stats,
    };
    const archive = this.#archive = this.#openArchive(config);
    const rotation = {
      pattern,
      sizeBytes: config.rotate_size ?? Infinity,
      intervalMs: config.rotate_interval ?? Infinity,
      maxOpenFiles: config.max_open_files,
    };
    const streams = new Streams(files, rotation, archive);
    const writer = this.#writer = new CsvWriter(reader, files, {
      streams,
      deadLetters: this.#context.deadLetters,
      forceFlush,
      opened: this.#opened,
      acknowledges: this.#context.acknowledges,
    });
    this.#opened = null;
    const { commit, fail, onLoss } = writer;
    if (this.#positions && reader.journalId !== null) {
      const position = await this.#resume(this.#positions, reader);
      archive?.sweep();
      await writer.run(
        new CommitByPosition(reader, this.#positions, position, { log, clock, signal, commit, fail, onLoss }),
      );
    } else {
      archive?.sweep();
      await writer.run(new CommitWhenWritten(commit));
    }
    await archive?.close();
  }

  #openArchive(config: CsvConfig): Archive | null {
    const { rotate_gzip: gzip, keep_files, keep_age, keep_size } = config;
    if (!rotates(config)) return null;
    return new Archive(
      {
        pattern: this.#pattern,
        gzip,
        keepFiles: keep_files ?? Infinity,
        keepAgeMs: keep_age ?? Infinity,
        keepBytes: keep_size,
        writtenMs: this.#positions?.changedMs,
      },
      this.#context,
      this.stats,
    );
  }

  /** Goes on where the last process was. @returns the number of the last batch that the files have, or -1. */
  async #resume(positions: PositionFile, reader: BatchReader): Promise<number> {
    const { log } = this.#context;
    const { latest, damaged, path } = positions;
    if (damaged) {
      log.warn("The position of the file is damaged, the last rows may be in the file twice", { path });
    }
    if (!latest || latest.journal !== reader.journalId) return -1;
    if (!latest.clean) {
      for (const file of latest.files) await this.#cut(positions, file);
      // From here on they may be renamed, or appended to by others.
      await positions.write({ ...latest, clean: true }).catch((error) =>
        log.warn("Cannot save the position", { path, reason: messageOf(error) })
      );
    }
    reader.resumeAfter(latest.position);
    return latest.position;
  }

  /** Takes back rows that a process wrote just before it died: they come again. */
  async #cut(positions: PositionFile, { path, inode, born, size }: FilePosition): Promise<void> {
    const { log } = this.#context;
    const leave = (reason: string) =>
      log.warn(
        "The file has changed, rows written just before the last process died may be in it twice",
        {
          file: path,
          reason,
        },
      );
    try {
      using file = await Deno.open(positions.absolute(path), { read: true, write: true });
      const info = await file.stat();
      if (info.ino !== inode || (born !== null && info.birthtime?.getTime() !== born)) {
        return leave(info.size === 0 ? "it was removed" : "it is another file of the same name");
      }
      if (info.size < size) return leave(`it has ${info.size} bytes, not ${size}`);
      if (info.size === size) return;
      await file.truncate(size);
      await file.sync();
      log.info("Removing the rows that the last process wrote just before it died, they are written again", {
        file: path,
        bytes: info.size - size,
      });
    } catch (error) {
      leave(error instanceof Deno.errors.NotFound ? "it was removed" : messageOf(error));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#archive?.close();
    this.#writer?.close();
    for (const closable of [this.#opened?.handle, this.#positions]) closeQuietly(closable);
  }
}

/** The position beside a file; `null` where it is not kept. */
async function openPosition(path: string, { log, keepsOnDisk }: CsvContext): Promise<PositionFile | null> {
  if (!keepsOnDisk) {
    // Rows of this process are in no journal: a position from before it must not take them for somebody else's.
    await Deno.remove(path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return;
      log.warn("Cannot remove the position of an earlier process that had a journal", {
        path,
        reason: messageOf(error),
      });
    });
    return null;
  }
  try {
    return await PositionFile.open(path);
  } catch (error) {
    if (error instanceof PositionInUse) throw error;
    log.warn("Cannot keep the position of the file, after a crash the last rows may be in the file twice", {
      path,
      reason: messageOf(error),
    });
    return null;
  }
}
