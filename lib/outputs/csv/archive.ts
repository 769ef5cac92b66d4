/**
 * What becomes of finished files: they are compressed, and the oldest are removed. It works on what is in the folder,
 * so that the next process does what a killed one left undone.
 */
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { ClockJumpWarning } from "../../base/clock_jump.ts";
import { Complaint } from "../../base/complaint.ts";
import { fileSystemOf } from "../../base/file_system.ts";
import { RetentionClock } from "../../base/retention_clock.ts";
import type { GzipAnswer, GzipRequest } from "./gzip_worker.ts";
import { type PathPattern, rotatedPath } from "../files/path.ts";
import { syncFolder } from "../files/position.ts";

const TEMPORARY = ".tmp";
/** What finished files may take where the configuration says nothing: this share of the file system. */
const DEFAULT_SHARE = 0.5;

export interface ArchiveOptions {
  readonly pattern: PathPattern;
  readonly gzip: boolean;
  /** Finished files that are kept, of each client. */
  readonly keepFiles: number;
  /** Finished files are removed when they were last written so long ago, in ms. */
  readonly keepAgeMs: number;
  /** What all finished files may take, in bytes. @default half of the file system */
  readonly keepBytes: number | undefined;
  /** When this output last wrote before this process, in ms since the Unix epoch, where it is known. */
  readonly writtenMs?: number;
}

/** Counters of files that were removed. */
export interface RemovalStats {
  removedFiles: number;
  removedBytes: number;
}

interface FinishedFile {
  readonly path: string;
  /** All that differ in time only. */
  readonly family: string;
  readonly isCompressed: boolean;
  readonly size: number;
  readonly modifiedMs: number;
}

export class Archive {
  readonly #options: ArchiveOptions;
  readonly #log: Logger;
  readonly #clock: Clock;
  /** Whether a file is being written, or about to be: it is not finished. */
  isOpen: (path: string) => boolean = () => false;
  readonly #complaint: Complaint;
  readonly #retention: RetentionClock;
  readonly #jumpWarning: ClockJumpWarning;
  readonly #roomComplaint: Complaint;
  readonly #look: typeof fileSystemOf;
  readonly #stats: RemovalStats;
  #sweeping: Promise<void> | null = null;
  #again = false;
  #closed = false;
  #worker: Worker | null = null;
  #stopWorker: (() => void) | null = null;

  constructor(
    options: ArchiveOptions,
    context: { log: Logger; clock: Clock },
    stats: RemovalStats,
    look: typeof fileSystemOf = fileSystemOf,
  ) {
    this.#options = options;
    this.#stats = stats;
    this.#look = look;
    this.#log = context.log;
    this.#clock = context.clock;
    this.#complaint = new Complaint(context.clock);
    this.#jumpWarning = new ClockJumpWarning(context.log, context.clock);
    this.#roomComplaint = new Complaint(context.clock);
    const nowMs = context.clock.now().seconds * 1000;
    this.#retention = new RetentionClock(nowMs, context.clock.monotonicMs(), options.writtenMs);
  }

  /** Looks for finished files, in the background. */
  sweep(): void {
    if (this.#closed) return;
    this.#again = true;
    this.#sweeping ??= this.#run();
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      try {
        let files = await this.#list();
        if (this.#remove(files)) files = await this.#list();
        if (this.#options.gzip) {
          for (const file of files) if (!file.isCompressed && !this.#closed) await this.#compress(file);
          // Compressed ones take less, and are counted again.
          this.#remove(await this.#list());
        }
        this.#complaint.end(() => this.#log.info("Tidying up finished files works again"));
      } catch (error) {
        if (this.#closed) break;
        this.#complaint.add(() => {
          this.#log.error("Cannot tidy up finished files, trying again", { reason: messageOf(error) });
        });
      }
    }
    // Whoever asks from now on begins another one.
    this.#sweeping = null;
  }

  /** The finished files, the oldest first; what was left half done is removed. */
  async #list(): Promise<FinishedFile[]> {
    const { pattern } = this.#options;
    const { folder, rest } = pattern.root;
    const { expression } = pattern;
    const { seconds } = this.#clock.now();
    const now = new Date(seconds * 1000);
    const files: FinishedFile[] = [];
    const visit = async (below: string, depth: number): Promise<void> => {
      for await (const { name, isFile, isDirectory } of readFolder(`${folder}${below}` || ".")) {
        const relative = below + name;
        if (isDirectory && depth > 0) await visit(`${relative}/`, depth - 1);
        if (!isFile || depth > 0) continue;
        const isLeft = name.endsWith(`.gz${TEMPORARY}`);
        const match = expression.exec(isLeft ? relative.slice(0, -TEMPORARY.length) : relative);
        if (!match?.groups) continue;
        const { client = "", stamp, gzip, stem, extension } = match.groups;
        const path = folder + relative;
        if (isLeft) {
          await Deno.remove(path).catch(() => {});
          continue;
        }
        // Without a stamp it is finished if there is a time in its name, and that has passed.
        const isCurrent = folder + stem + extension === pattern.path(client, now);
        if (this.isOpen(path) || (stamp === undefined && (!pattern.hasTime || isCurrent))) continue;
        const info = await Deno.stat(path).catch(() => null);
        if (!info) continue;
        files.push({
          path,
          family: client,
          isCompressed: gzip !== undefined,
          size: info.size,
          modifiedMs: info.mtime?.getTime() ?? 0,
        });
      }
    };
    await visit("", rest.split("/").length - 1);
    return files.sort((a, b) => a.modifiedMs - b.modifiedMs || (a.path < b.path ? -1 : 1));
  }

  /** Removes what is not to be kept. @returns whether there was anything. */
  #remove(files: readonly FinishedFile[]): boolean {
    const { keepFiles, keepAgeMs } = this.#options;
    const keepBytes = this.#keepBytes;
    const oldest = this.#nowMs(keepAgeMs) - keepAgeMs;
    const counts = new Map<string, number>();
    let bytes = 0;
    let removed = false;
    for (const file of files.toReversed()) {
      const count = (counts.get(file.family) ?? 0) + 1;
      counts.set(file.family, count);
      bytes += file.size;
      const why = count > keepFiles
        ? "keep_files"
        : file.modifiedMs < oldest
        ? "keep_age"
        : bytes > keepBytes
        ? "keep_size"
        : null;
      if (!why || this.isOpen(file.path)) continue;
      try {
        Deno.removeSync(file.path);
        removed = true;
        this.#stats.removedFiles++;
        this.#stats.removedBytes += file.size;
        if (why === "keep_size" && this.#options.keepBytes === undefined) this.#noteRoom(keepBytes);
        this.#log.info("A finished file is removed", { file: file.path, bytes: file.size, by: why });
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    return removed;
  }

  get #keepBytes(): number {
    const { keepBytes, pattern } = this.#options;
    if (keepBytes !== undefined) return keepBytes;
    const disk = this.#look(pattern.root.folder || ".");
    return disk ? disk.totalBytes * DEFAULT_SHARE : Infinity;
  }

  #noteRoom(room: number): void {
    this.#roomComplaint.add(() => {
      this.#log.warn("Finished files have their largest size, the oldest give way", {
        folder: this.#options.pattern.root.folder,
        room,
      });
    });
  }

  /** The time by which files are too old. */
  #nowMs(keepAgeMs: number): number {
    const { seconds } = this.#clock.now();
    const believed = this.#retention.now(seconds * 1000, this.#clock.monotonicMs(), keepAgeMs);
    this.#jumpWarning.notice(keepAgeMs === Infinity ? 0 : this.#retention.aheadMs);
    return believed;
  }

  async #compress({ path, modifiedMs, size }: FinishedFile): Promise<void> {
    let target = `${path}.gz`;
    const before = await Deno.stat(target).catch(() => null);
    if (before) {
      if (before.mtime?.getTime() === modifiedMs) {
        // The process before was killed when it had compressed it.
        return await Deno.remove(path);
      }
      // It was written to again: this is a file of its own.
      const renamed = rotatedPath(path, new Date(modifiedMs), 1);
      if (await Deno.lstat(renamed).catch(() => null)) throw new Error(`${renamed} exists already`);
      await Deno.rename(path, renamed);
      path = renamed;
      target = `${path}.gz`;
    }
    const temporary = target + TEMPORARY;
    try {
      if (!await this.#gzip({ from: path, to: temporary })) return;
      const { mtime, size: now } = await Deno.stat(path);
      if (now !== size || mtime?.getTime() !== modifiedMs || this.isOpen(path)) {
        throw new Error(`${path} was changed while it was compressed`);
      }
      // Its age is that of its rows.
      await Deno.utime(temporary, new Date(modifiedMs), new Date(modifiedMs));
      await Deno.rename(temporary, target);
      await syncFolder(target);
      Deno.removeSync(path);
      const compressed = (await Deno.stat(target)).size;
      this.#log.info("A finished file is compressed", { file: target, bytes: compressed, before: size });
    } catch (error) {
      await Deno.remove(temporary).catch(() => {});
      throw error;
    }
  }

  /** @returns `false` when the archive was closed meanwhile. */
  async #gzip(request: GzipRequest): Promise<boolean> {
    const done = Promise.withResolvers<boolean>();
    this.#stopWorker = () => done.resolve(false);
    const worker = this.#worker = new Worker(import.meta.resolve("./gzip_worker.ts"), {
      type: "module",
      name: "gzip",
    });
    worker.onmessage = ({ data }: MessageEvent<GzipAnswer>) => {
      if (data.error === undefined) done.resolve(true);
      else done.reject(new Error(`Cannot compress ${request.from}: ${data.error}`));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      done.reject(new Error(`Cannot compress ${request.from}: ${event.message}`));
    };
    worker.postMessage(request);
    try {
      return await done.promise;
    } finally {
      worker.terminate();
      this.#worker = this.#stopWorker = null;
    }
  }

  /** Stops in the middle of a file, if need be: the next process begins it again. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopWorker?.();
    await this.#sweeping;
  }
}

async function* readFolder(path: string): AsyncGenerator<Deno.DirEntry> {
  try {
    yield* Deno.readDir(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw new Error(`${path}: ${messageOf(error)}`);
  }
}
