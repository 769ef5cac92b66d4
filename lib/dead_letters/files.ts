/**
 * The files of the dead letters of one output: `000001.jsonl`, `000002.jsonl` … in a directory, one letter per line. A
 * running agent and commands may use them at the same time: whoever changes anything holds the lock of the directory.
 */
import { replaceFile, syncDirectory } from "../journal/disk/format/files.ts";
import { lockFile, type LockResult } from "../base/file_lock.ts";

/** Number of files of a full directory, so that dropping the oldest does not drop much. */
const FILES = 8;
/** Tries to take the lock, of about a second each. */
const LOCK_TRIES = 10;
/** The subdirectory for letters during a replay. */
const REPLAY = "replay";

const encoder = new TextEncoder();
const fileName = (number: number) => `${String(number).padStart(6, "0")}.jsonl`;

/** One file with letters. */
export interface LetterFile {
  readonly path: string;
  readonly number: number;
  readonly bytes: number;
}

/** The files in a directory, oldest first; none if there is no directory. */
export async function letterFiles(directory: string): Promise<LetterFile[]> {
  const files: LetterFile[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(directory)) {
      if (!isFile || !/^[0-9]{6,}\.jsonl$/.test(name)) continue;
      const path = `${directory}/${name}`;
      files.push({ path, number: parseInt(name), bytes: (await Deno.stat(path)).size });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files.sort((a, b) => a.number - b.number);
}

/** The lines of a file; none if the file is gone. */
export async function lettersIn(path: string): Promise<string[]> {
  try {
    return (await Deno.readTextFile(path)).split("\n").filter((line) => line !== "");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** The outputs that have a directory below `base`, by name. */
export async function outputsIn(base: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(base)) if (isDirectory) names.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}

async function removeFile(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

export class DeadLetterFiles {
  /** @param maxBytes Most bytes of all files; above that the oldest are dropped. */
  constructor(readonly directory: string, readonly maxBytes = Infinity) {}

  /** The directory of letters in a replay, or in one that ended early. */
  get replayDirectory(): string {
    return `${this.directory}/${REPLAY}`;
  }

  /** Every file with letters, those in a replay first. */
  async all(): Promise<LetterFile[]> {
    return [...await letterFiles(this.replayDirectory), ...await letterFiles(this.directory)];
  }

  /**
   * Appends lines so that they survive a crash.
   *
   * @returns The number of letters that were dropped to make room.
   * @throws errors of the file system; a part of the lines may have been written.
   */
  async append(lines: readonly string[]): Promise<number> {
    using _lock = await this.#lock();
    const files = await letterFiles(this.directory);
    const fileBytes = this.maxBytes / FILES;
    let dropped = 0;
    for (let at = 0; at < lines.length;) {
      let last = files.at(-1);
      const first = encoder.encode(lines[at]).length + 1;
      if (first > this.maxBytes) {
        dropped++;
        at++;
        continue;
      }
      if (!last || last.bytes + first > fileBytes) {
        const number = (last?.number ?? 0) + 1;
        files.push(last = { path: `${this.directory}/${fileName(number)}`, number, bytes: 0 });
      }
      let text = "";
      let bytes = 0;
      do {
        text += lines[at] + "\n";
        bytes += encoder.encode(lines[at]).length + 1;
        at++;
      } while (at < lines.length && last.bytes + bytes + encoder.encode(lines[at]).length < fileBytes);
      dropped += await this.#makeRoom(files, bytes);
      const written = await appendText(last.path, text);
      files[files.length - 1] = { ...last, bytes: last.bytes + written };
    }
    if (files.length > 0) await syncDirectory(this.directory);
    return dropped;
  }

  /** Drops the oldest files until `bytes` more fit. The last file is kept for writing. */
  async #makeRoom(files: LetterFile[], bytes: number): Promise<number> {
    let total = files.reduce((sum, file) => sum + file.bytes, bytes);
    let dropped = 0;
    while (total > this.maxBytes && files.length > 1) {
      const oldest = files.shift()!;
      dropped += (await lettersIn(oldest.path)).length;
      await removeFile(oldest.path);
      total -= oldest.bytes;
    }
    return dropped;
  }

  /** Removes the letters for which `isOld` holds. @returns Their number. */
  async purge(isOld: (line: string) => boolean): Promise<number> {
    using _lock = await this.#lock();
    let purged = 0;
    for (const { path } of await this.all()) {
      const lines = await lettersIn(path);
      const kept = lines.filter((line) => !isOld(line));
      if (kept.length === lines.length) continue;
      if (kept.length === 0) await removeFile(path);
      else await replaceFile(path, kept.join("\n") + "\n");
      purged += lines.length - kept.length;
    }
    if (purged > 0) await syncDirectory(this.directory);
    return purged;
  }

  /**
   * Moves all letters aside for a replay, so that later letters are not among them. Closing the file ends the replay.
   *
   * @throws {Error} if another replay is running.
   */
  async takeForReplay(): Promise<{ files: LetterFile[]; lock: Deno.FsFile }> {
    await Deno.mkdir(this.replayDirectory, { recursive: true, mode: 0o750 });
    const result = await lockFile(`${this.replayDirectory}/lock`);
    if (!("file" in result)) throw new Error(`${result.holder} is replaying them`);
    try {
      using _lock = await this.#lock();
      const left = await letterFiles(this.replayDirectory);
      let number = left.at(-1)?.number ?? 0;
      for (const file of await letterFiles(this.directory)) {
        await Deno.rename(file.path, `${this.replayDirectory}/${fileName(++number)}`);
      }
      return { files: await letterFiles(this.replayDirectory), lock: result.file };
    } catch (error) {
      result.file.close();
      throw error;
    }
  }

  async #lock(): Promise<Deno.FsFile> {
    await Deno.mkdir(this.directory, { recursive: true, mode: 0o750 });
    let result: LockResult;
    for (let n = 0;; n++) {
      result = await lockFile(`${this.directory}/lock`);
      if ("file" in result) return result.file;
      if (n === LOCK_TRIES) throw new Error(`${result.holder} holds ${this.directory}/lock`);
    }
  }
}

/** Appends to a file and creates it if necessary. Half a line of a crash stays by itself. @returns The bytes. */
async function appendText(path: string, text: string): Promise<number> {
  using file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o640 });
  const end = await file.seek(0, Deno.SeekMode.End);
  if (end > 0) {
    const last = new Uint8Array(1);
    await file.seek(-1, Deno.SeekMode.End);
    await file.read(last);
    if (last[0] !== 10) text = "\n" + text;
  }
  const bytes = encoder.encode(text);
  try {
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    await file.syncData();
  } catch (error) {
    // The disk may be full: leave no half line.
    await file.truncate(end).catch(() => {});
    throw error;
  }
  return bytes.length;
}
