/**
 * Follows a file to which somebody appends lines, through rotation (it is renamed and another one takes its name, or it
 * is truncated). Batches are numbered by the place in the file behind them, as a client numbers its batches: so the journal
 * knows which part of the file it has, and after a crash reading goes on exactly there.
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { closeQuietly, within } from "../../base/waiting.ts";
import type { BatchBuilder } from "../../points/batch_builder.ts";
import type { ClientRecord, ClientTable } from "../../points/origins.ts";
import type { BatchSink } from "../../plugin.ts";
import type { LineStream } from "./line_stream.ts";
import type { FileIdentity, Positions } from "./positions.ts";

/** How often is looked whether there is more, in ms. */
const LOOK_MS = 250;
/** A file that has lost its name is left when nothing was appended for this time, in ms: its writer has another one. */
const QUIET_MS = 2000;
/** How long a file that was left is still read, after the last line that came late, and how many of them are, at most. */
const LINGER_MS = 60_000;
const MOST_LEFT = 4;
/** How often the place is saved, in ms. */
const SAVE_MS = 1000;
/** Bytes by which a file is recognised: its first line, or as much of it. */
const FIRST_BYTES = 1024;
const LF = 10;

export interface FollowOptions {
  readonly log: Logger;
  readonly clock: Clock;
  readonly clients: ClientTable;
  readonly positions: Positions;
  untilDurable(): Promise<void>;
  /** How long the last place may take to be safe, in ms. */
  drainMs(): number;
  /** Where the decoder of the streams puts points, which are taken out at once: all files share it. */
  readonly builder: BatchBuilder;
  newStream(): LineStream;
}

/** A file that is open. */
interface Open {
  readonly file: Deno.FsFile;
  readonly identity: FileIdentity;
  readonly record: ClientRecord;
  /** Bytes that were read. */
  offset: number;
  /** Points of bytes before this were handed over. */
  handed: number;
}

/** A file that has lost its name to another one, and to which somebody may still append. */
interface Left {
  readonly open: Open;
  readonly stream: LineStream;
  /** When it is closed, in ms of the clock. */
  endMs: number;
}

export class FollowedFile {
  readonly #path: string;
  readonly #options: FollowOptions;
  #stream: LineStream;
  #open: Open | null = null;
  /** The oldest first. */
  readonly #left: Left[] = [];
  #savedMs = 0;
  readonly #complaint: Complaint;
  #isClosed = false;

  constructor(path: string, options: FollowOptions) {
    this.#path = path;
    this.#options = options;
    this.#stream = options.newStream();
    this.#complaint = new Complaint(options.clock);
  }

  /** Reads until the stop. */
  async run(sink: BatchSink, stop: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!stop.aborted && !this.#isClosed) {
      try {
        if (await this.#read(sink, stop)) continue;
        this.#complaint.end(() => log.info("The file can be read again", { file: this.#path }));
      } catch (error) {
        this.#complaint.add((times) => {
          log.warn("Cannot follow a file", { file: this.#path, reason: messageOf(error), times });
        });
      }
      this.#saveSometimes();
      await this.#readLeft(sink);
      await clock.sleep(LOOK_MS, stop);
    }
    // After a restart only the current file is known.
    while (this.#left.length > 0) await this.#leave(this.#left[0], sink);
    if (this.#open) await within(this.#save(this.#open), this.#options.drainMs());
    this.close();
  }

  close(): void {
    this.#isClosed = true;
    closeQuietly(this.#open?.file);
    this.#open = null;
    for (const { open } of this.#left.splice(0)) closeQuietly(open.file);
  }

  /** @returns whether there may be more at once. */
  async #read(sink: BatchSink, stop: AbortSignal): Promise<boolean> {
    this.#open ??= await this.#begin();
    const open = this.#open;
    if (!open) return false;
    if (await this.#readSome(open, this.#stream, sink)) {
      this.#saveSometimes();
      return true;
    }
    return await this.#lookForRotation(open, sink, stop);
  }

  /** @returns whether there was something */
  async #readSome(open: Open, stream: LineStream, sink: BatchSink): Promise<boolean> {
    const count = await open.file.read(stream.space);
    if (count === null || count === 0) return false;
    open.offset += count;
    stream.received(count);
    await this.#handOver(open, stream, sink);
    return true;
  }

  /** Reads what came late to files that were left. */
  async #readLeft(sink: BatchSink): Promise<void> {
    for (const left of [...this.#left]) {
      const { clock } = this.#options;
      try {
        while (await this.#readSome(left.open, left.stream, sink)) {
          left.endMs = clock.monotonicMs() + LINGER_MS;
        }
      } catch {
        // Leaving it says why.
        left.endMs = -Infinity;
      }
      if (clock.monotonicMs() >= left.endMs) await this.#leave(left, sink);
    }
  }

  /** Reads a file that was left to its end, and closes it. */
  async #leave(left: Left, sink: BatchSink): Promise<void> {
    const { open, stream } = left;
    try {
      while (await this.#readSome(open, stream, sink));
      stream.end();
      await this.#handOver(open, stream, sink);
    } catch (error) {
      this.#options.log.warn("Cannot read a rotated file to its end", {
        file: this.#path,
        reason: messageOf(error),
      });
    } finally {
      this.#forget(left);
    }
  }

  #forget(left: Left): void {
    closeQuietly(left.open.file);
    const at = this.#left.indexOf(left);
    if (at >= 0) this.#left.splice(at, 1);
  }

  /** Opens the file where it was left, or the one that it has become. */
  async #begin(): Promise<Open | null> {
    const { positions, log } = this.#options;
    const saved = positions.of(this.#path);
    const found = await this.#identify(this.#path);
    if (saved && (!found || !isSame(found, saved))) {
      const renamed = this.#findRenamed(saved);
      if (renamed) return this.#openAt(renamed, saved, saved.offset);
      log.warn("A followed file is gone that had perhaps not been read to its end", {
        file: this.#path,
        offset: saved.offset,
      });
    }
    if (!found) return null;
    const isKnown = saved !== undefined && isSame(found, saved);
    return this.#openAt(this.#path, isKnown ? saved : found, isKnown ? saved.offset : 0);
  }

  #openAt(path: string, { device, inode, first, generation }: FileIdentity, saved: number): Open {
    const file = Deno.openSync(path);
    const identity = { device, inode, first, generation };
    const name = `${this.#path}\n${device} ${inode} ${first} ${generation}`;
    const instance = createHash("sha256").update(name).digest("hex").slice(0, 32);
    const record = this.#options.clients.get("", instance);
    // A file that is now shorter is looked at below.
    const offset = Math.max(saved, record.accepted);
    file.seekSync(offset, Deno.SeekMode.Start);
    this.#options.log.info("Following a file", { file: path, offset });
    const open = { file, identity, record, offset, handed: offset };
    void this.#save(open);
    return open;
  }

  async #handOver(open: Open, stream: LineStream, sink: BatchSink): Promise<void> {
    const end = open.offset - stream.pendingBytes;
    if (end === open.handed) return;
    open.handed = end;
    const { record } = open;
    const { builder } = this.#options;
    const { length } = builder;
    record.receivedPoints += length;
    record.lastContactMs = Date.now();
    record.numbers.accepted = end;
    builder.current.credit(record, end);
    for (const batch of builder.take()) await sink.push(batch);
  }

  /** The end of the file is reached. @returns whether another one is open now. */
  async #lookForRotation(open: Open, sink: BatchSink, stop: AbortSignal): Promise<boolean> {
    const { clock, log } = this.#options;
    const { identity } = open;
    // Before it is identified: a file that is truncated in between is then seen to be another one, and is opened as what
    // it has become.
    const { size } = await open.file.stat();
    let found = await this.#identify(this.#path);
    if (!found) return false;
    if (isOther(found, identity)) {
      // The writer may still have it open.
      await clock.sleep(QUIET_MS, stop);
      if (stop.aborted || (await open.file.stat()).size !== size) return !stop.aborted;
      found = await this.#identify(this.#path);
      if (!found || !isOther(found, identity)) return false;
      // Its last lines may have come together with the other file, after the last read.
      while (await this.#readSome(open, this.#stream, sink));
      this.#stream.end();
      await this.#handOver(open, this.#stream, sink);
      log.info("A followed file was rotated", { file: this.#path });
      await this.#save(open);
      if (this.#left.length === MOST_LEFT) await this.#leave(this.#left[0], sink);
      this.#left.push({ open, stream: this.#stream, endMs: clock.monotonicMs() + LINGER_MS });
      this.#beginNext({ ...found, generation: 0 });
      return true;
    }
    if (size >= open.offset && found.first === identity.first) return false;
    log.info("A followed file was truncated", { file: this.#path });
    const generation = identity.generation + 1;
    await this.#save(open);
    open.file.close();
    this.#beginNext({ ...found, generation });
    return true;
  }

  #beginNext(next: FileIdentity): void {
    this.#open = null;
    this.#stream = this.#options.newStream();
    this.#open = this.#openAt(this.#path, next, 0);
  }

  /** Who the file at a path is; `null` if there is none, or it has no line yet. */
  async #identify(path: string): Promise<FileIdentity | null> {
    try {
      using file = await Deno.open(path);
      const { dev, ino, isFile } = await file.stat();
      if (!isFile) throw new Error("it is not a file");
      const bytes = new Uint8Array(FIRST_BYTES);
      let length = 0;
      for (let count; (count = await file.read(bytes.subarray(length))) !== null && count > 0;) {
        length += count;
      }
      const end = bytes.subarray(0, length).indexOf(LF);
      if (end < 0 && length < FIRST_BYTES) return null;
      const first = createHash("sha256").update(bytes.subarray(0, end < 0 ? length : end)).digest("hex");
      return { device: dev, inode: ino ?? 0, first: first.slice(0, 32), generation: 0 };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  }

  /** The path under which a file is now that had our name. */
  #findRenamed({ device, inode }: FileIdentity): string | null {
    const directory = dirname(this.#path);
    try {
      for (const { name, isFile } of Deno.readDirSync(directory)) {
        if (!isFile) continue;
        const path = join(directory, name);
        const { dev, ino } = Deno.lstatSync(path);
        if (dev === device && ino === inode) return path;
      }
    } catch { /* the directory is gone */ }
    return null;
  }

  #saveSometimes(): void {
    const now = this.#options.clock.monotonicMs();
    if (!this.#open || now - this.#savedMs < SAVE_MS) return;
    this.#savedMs = now;
    void this.#save(this.#open);
  }

  /** Saves how much of the file is safe, when it is. */
  async #save({ identity, handed }: Open): Promise<void> {
    const { positions, untilDurable } = this.#options;
    const saved = positions.of(this.#path);
    if (
      saved && isSame(saved, identity) && saved.generation === identity.generation && saved.offset === handed
    ) {
      // An earlier call may still be writing it.
      return await positions.settled;
    }
    await untilDurable();
    await positions.save(this.#path, { ...identity, offset: handed });
  }
}

function isOther(one: FileIdentity, other: FileIdentity): boolean {
  return one.device !== other.device || one.inode !== other.inode;
}

function isSame(one: FileIdentity, other: FileIdentity): boolean {
  return one.device === other.device && one.inode === other.inode && one.first === other.first;
}
