/**
 * Which file a point belongs to: one for all, or one for each client; and when a file has become too large or too old,
 * is renamed, and the next one is begun.
 */
import { dirname } from "node:path";
import { NO_CLIENT } from "../../points/client_names.ts";
import type { Archive } from "./archive.ts";
import { compareTexts } from "../rendering/numbers.ts";
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import { CsvFile, type FileContext } from "./file.ts";
import { mayHaveColumn } from "./format.ts";
import type { Opened } from "./opening.ts";
import { clientFileName, LOCAL_NAME, type PathPattern, rotatedPath } from "../files/path.ts";
import { syncFolder } from "../files/position.ts";

/** Columns of attributes that a file takes over from the one before, at most. */
const MOST_COLUMNS = 256;
/** Wait before renaming is tried again, in ms. */
const RENAME_AGAIN_MS = 10_000;
/** How often to check whether somebody has moved a file, in ms. */
const LOOK_MS = 1000;

export interface RotationOptions {
  readonly pattern: PathPattern;
  /** A file is finished when it has this many bytes. */
  readonly sizeBytes: number;
  /** A file is finished at every multiple of this since the epoch, in ms. */
  readonly intervalMs: number;
  /** Of the files of clients. */
  readonly maxOpenFiles: number;
}

/** Clients whose streams are found by their numbers. */
const MAX_CLIENTS = 65_536;

/** What goes into one file after the other. */
export class Stream {
  file: CsvFile | null = null;
  /** The path of the file as the pattern says, whichever is written instead. */
  path = "";
  /** Number of the interval in which the file was begun. */
  interval = 0;
  /** For the next file. */
  columns: readonly string[] | null = null;
  /** Its file was closed, because too many were open; a new stream takes its place. */
  closed = false;

  /** @param client What stands for the client in the file's name. */
  constructor(readonly client: string) {}
}

/** Why a file is finished. */
type Reason = "size" | "time" | "moved";

export class Streams {
  /** By the client's part of the file's name; the one that was used last comes last. */
  readonly #streams = new Map<string, Stream>();
  readonly #context: FileContext;
  readonly #options: RotationOptions;
  readonly #archive: Archive | null;
  /** Where in the cache of a series its stream is. */
  /** By the numbers of clients: their names, and their streams. */
  #byClient: { name: string; stream: Stream }[] = [];
  /** Of a path without `{client}`. */
  readonly only: Stream | null;
  #nextTurnMs = -Infinity;
  /** Until then files are not renamed, because it has failed. */
  #blockedMs = -Infinity;
  readonly #complaint: Complaint;
  #lookedMs = -Infinity;

  constructor(context: FileContext, options: RotationOptions, archive: Archive | null) {
    this.#context = context;
    this.#options = options;
    this.#archive = archive;
    if (archive) archive.isOpen = (path) => this.isOpen(path);
    this.#complaint = new Complaint(context.clock);
    this.only = options.pattern.hasClient ? null : this.#make("");
  }

  #make(client: string): Stream {
    const stream = new Stream(client);
    this.#streams.set(client, stream);
    return stream;
  }

  /** The stream of the points of a series. */
  of(series: number): Stream {
    const { store } = this.#context.texts;
    const number = store.clients[series];
    const name = store.names.nameOf(number);
    const known = number === NO_CLIENT ? undefined : this.#byClient[number];
    if (known && known.name === name && !known.stream.closed) return known.stream;
    const attribute = store.clientAttributeOf(series);
    const client = attribute ? clientFileName(String(attribute[1])) : LOCAL_NAME;
    const stream = this.#streams.get(client) ?? this.#make(client);
    if (number !== NO_CLIENT) {
      if (this.#byClient.length > MAX_CLIENTS) this.#byClient = [];
      this.#byClient[number] = { name, stream };
    }
    return stream;
  }

  /** It was just used. */
  touch(stream: Stream): void {
    this.#streams.delete(stream.client);
    this.#streams.set(stream.client, stream);
  }

  /** Streams whose file is open. */
  *open(): Generator<Stream> {
    for (const stream of this.#streams.values()) if (stream.file) yield stream;
  }

  isOpen(path: string): boolean {
    for (const { file, path: wanted } of this.#streams.values()) {
      if (wanted === path || file?.path === path) return true;
    }
    return false;
  }

  get #now(): number {
    const { seconds, nanos } = this.#context.clock.now();
    return seconds * 1000 + nanos / 1e6;
  }

  #intervalOf(ms: number): number {
    return Math.floor(ms / this.#options.intervalMs);
  }

  /**
   * Opens the file that a stream is to be written to now. One from before that is too large or too old is finished first.
   *
   * @param columns For a new file, where none was before it.
   * @throws what the file system throws.
   */
  async begin(
    stream: Stream,
    columns: () => readonly string[],
    opened: Opened | null,
  ): Promise<CsvFile> {
    const { pattern } = this.#options;
    const now = this.#now;
    stream.path = pattern.path(stream.client, new Date(now));
    stream.interval = this.#intervalOf(now);
    try {
      if (!pattern.isFixed) await Deno.mkdir(dirname(stream.path), { recursive: true });
      while (true) {
        const file = await CsvFile.open(
          stream.path,
          () => stream.columns ?? columns(),
          this.#context,
          opened,
        );
        opened = null;
        const isOld = this.#intervalOf(file.modifiedMs) < stream.interval;
        if (this.#isBlocked || !file.isRegular || file.isEmpty || !(isOld || this.#isFull(file))) {
          stream.columns = null;
          return stream.file = file;
        }
        stream.columns = columnsAfter(file);
        file.close();
        await this.#rename(file.path, isOld ? "time" : "size");
      }
    } catch (error) {
      stream.path = "";
      throw error;
    }
  }

  get #isBlocked(): boolean {
    return performance.now() < this.#blockedMs;
  }

  #isFull(file: CsvFile): boolean {
    return file.onDisk(file.size) >= this.#options.sizeBytes && file.isRegular && !file.isEmpty;
  }

  /** Whether {@linkcode due} may have something after that stream was written to. */
  isDue(stream: Stream): boolean {
    return this.#isFull(stream.file!) && !this.#isBlocked;
  }

  /** Whether {@linkcode due} may have something by the clock. */
  get isTime(): boolean {
    const now = this.#now;
    return now >= this.#nextTurnMs || now - this.#lookedMs >= LOOK_MS || now < this.#lookedMs;
  }

  /** What was due is so still. */
  again(): void {
    this.#nextTurnMs = this.#lookedMs = -Infinity;
  }

  /** When there may be something due that nobody has asked for, in ms from now. */
  get turnInMs(): number {
    return Math.max(0, this.#nextTurnMs - this.#now);
  }

  /** The streams whose file is to be finished. To be asked before each batch. */
  async due(): Promise<Map<Stream, Reason>> {
    const due = new Map<Stream, Reason>();
    const now = this.#now;
    if (now >= this.#nextTurnMs) this.#turn(now, due);
    for (const stream of this.open()) if (this.isDue(stream)) due.set(stream, "size");
    if (now - this.#lookedMs < LOOK_MS && now >= this.#lookedMs) return due;
    this.#lookedMs = now;
    for (const stream of this.open()) if (!await stream.file!.isInPlace()) due.set(stream, "moved");
    return due;
  }

  #turn(now: number, due: Map<Stream, Reason>): void {
    const { pattern, intervalMs } = this.#options;
    const time = new Date(now);
    for (const stream of this.open()) {
      if (!stream.file!.isRegular) continue;
      const isOver = pattern.path(stream.client, time) !== stream.path ||
        this.#intervalOf(now) > stream.interval;
      if (isOver) due.set(stream, "time");
    }
    const step = Math.min(intervalMs, pattern.stepMs);
    this.#nextTurnMs = step === Infinity ? Infinity : (Math.floor(now / step) + 1) * step;
    if (pattern.hasTime) this.#archive?.sweep();
  }

  /** Closes the file of a stream, of which everything is safe, and makes way for the next one. */
  async finish(stream: Stream, reason: Reason): Promise<void> {
    const file = stream.file!;
    const { path } = stream;
    stream.columns = columnsAfter(file);
    stream.file = null;
    stream.path = "";
    file.close();
    const { log } = this.#context;
    if (reason === "moved") {
      log.info("Another program moved or removed the file, beginning a new one", { file: path });
    } else if (file.isEmpty) {
      // Nothing was in it: the next one takes its place.
    } else if (this.#options.pattern.path(stream.client, new Date(this.#now)) === path) {
      await this.#rename(file.path, reason);
    } else this.#archive?.sweep();
  }

  async #rename(path: string, reason: Reason): Promise<void> {
    const time = new Date(this.#now);
    const { log, stats } = this.#context;
    try {
      let target: string;
      let n = 1;
      do target = rotatedPath(path, time, n++); while (await exists(target) || await exists(`${target}.gz`));
      await Deno.rename(path, target);
      await syncFolder(path);
      stats.rotations++;
      log.info("The file is finished", { file: path, renamed_to: target, by: reason });
      this.#complaint.end(() => log.info("Renaming finished files works again"));
      this.#archive?.sweep();
    } catch (error) {
      this.#complaint.add(() => {
        log.error("Cannot rename a finished file, continuing with it", {
          file: path,
          reason: messageOf(error),
        });
      });
      this.#blockedMs = performance.now() + RENAME_AGAIN_MS;
    }
  }

  /** Whether {@linkcode excess} may have something. */
  get isCrowded(): boolean {
    return this.#streams.size > this.#options.maxOpenFiles;
  }

  /** Streams that are to be dropped, because there are too many: those that were not used for longest. */
  excess(): Stream[] {
    const { maxOpenFiles } = this.#options;
    const streams = [...this.#streams.values()];
    return streams.slice(0, Math.max(0, streams.length - Math.ceil(maxOpenFiles * 3 / 4)));
  }

  /** Closes the file of a stream for now, of which everything is safe; it is opened again when it is needed. */
  drop(stream: Stream): void {
    stream.file?.close();
    stream.closed = true;
    this.#streams.delete(stream.client);
  }

  close(): void {
    for (const { file } of this.#streams.values()) file?.close();
  }
}

/** Those of a file and what came late to it, so that nothing is late for ever. */
function columnsAfter({ renderer: { columns, late } }: CsvFile): string[] {
  return [...columns, ...late].filter(mayHaveColumn).slice(0, Math.max(columns.length, MOST_COLUMNS)).sort(
    compareTexts,
  );
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
