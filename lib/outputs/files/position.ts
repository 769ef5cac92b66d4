/**
 * How far the files of an output have come, in a small file beside them: two slots of the same size that are overwritten in turn,
 * each with a checksum, so that a crash in the middle of one leaves the other. Overwriting in place needs one fdatasync
 * and no change to the folder; it works on a disk that is full.
 *
 * A slot is text: the CRC-32C of what follows in 8 hexadecimal digits, a blank, an object in JSON, a line break, blanks.
 */
import { dirname, relative, resolve } from "node:path";
import { crc32c } from "../../base/crc32c.ts";
import { tryLock } from "../../base/file_lock.ts";
import { fileSystemOf, statOf } from "../../base/file_system.ts";

/** A file up to its last safe row. */
export interface FilePosition {
  /** Relative to the folder of the position file. */
  readonly path: string;
  /** Of the file, so that another one of the same name is recognised. */
  readonly inode: number;
  /** When the file was made, in ms, where the file system knows. */
  readonly born: number | null;
  /** In bytes. */
  readonly size: number;
}

export interface Position {
  /** Id of the journal that `position` belongs to. */
  readonly journal: string;
  /** The batches up to this one are in the files, and nothing of any other; -1: none. */
  readonly position: number;
  /** The process stopped in good order: what is in a file beyond its size was written by somebody else. */
  readonly clean: boolean;
  /** Files that may have more than what is safe. */
  readonly files: readonly FilePosition[];
}

const SLOT_BYTES = 4096;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Another process writes the same files. */
export class PositionInUse extends Error {
  override readonly name = "PositionInUse";
}

export class PositionFile {
  #file: Deno.FsFile;
  /** What tells the file from others; it stays the same while the file is open. */
  #identity: { readonly dev: number; readonly ino: number | null } | null = null;
  /** Files that this one has replaced, still locked. */
  readonly #replaced: Deno.FsFile[] = [];
  readonly #isLocal: boolean;
  #slotBytes = SLOT_BYTES;
  /** Number of the slot that was written last. */
  #generation = 0;
  /** What it says. */
  latest: Position | null = null;
  /** There was something in the file, and it was no position. */
  damaged = false;
  /** When it was last written before it was opened, in ms since the Unix epoch; `undefined` for one that is new. */
  changedMs: number | undefined;

  private constructor(readonly path: string, file: Deno.FsFile) {
    this.#file = file;
    this.#isLocal = fileSystemOf(path)?.isLocal === true;
  }

  /**
   * Opens the file, or creates it, and reads it.
   *
   * @throws {PositionInUse} if another process has it, and what the file system throws.
   */
  static async open(path: string): Promise<PositionFile> {
    const file = await lockedFile(path);
    try {
      const position = new PositionFile(path, file);
      await position.#load();
      return position;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  async #load(): Promise<void> {
    const { size, mtime } = await this.#file.stat();
    if (size === 0) return;
    this.changedMs = mtime?.getTime();
    const bytes = new Uint8Array(size);
    let length = 0;
    for (let count; length < size && (count = await this.#file.read(bytes.subarray(length)));) {
      length += count;
    }
    const slotBytes = Math.floor(size / 2);
    for (const slot of [bytes.subarray(0, slotBytes), bytes.subarray(slotBytes, 2 * slotBytes)]) {
      const found = decodeSlot(slot);
      if (found && found.generation > this.#generation) {
        this.#generation = found.generation;
        this.latest = found.position;
      }
    }
    this.damaged = this.latest === null;
    // A file of another size was cut, or is not one of ours: it is written again from the start.
    if (this.latest && size === 2 * slotBytes && slotBytes >= SLOT_BYTES) this.#slotBytes = slotBytes;
    else this.#generation = 0;
  }

  /** A path as it stands in a position. */
  relative(path: string): string {
    return relative(dirname(resolve(this.path)), resolve(path));
  }

  absolute(path: string): string {
    return resolve(dirname(this.path), path);
  }

  /** Whether it is still under its name: nobody has moved, removed or replaced it, or a folder that it is in. */
  async isThere(): Promise<boolean> {
    const ours = this.#identity ??= await this.#file.stat();
    const there = await statOf(this.path, this.#isLocal).catch(() => null);
    return there !== null && there.ino === ours.ino && there.dev === ours.dev;
  }

  /**
   * Makes the file again where somebody has moved or removed it, also with its folder: the next {@linkcode write} says all
   * there. Until there is a folder again, the file that was moved goes on.
   *
   * @throws {PositionInUse} if another process has one there, and what the file system throws.
   */
  async makeAgain(): Promise<void> {
    if (await this.isThere()) return;
    const file = await lockedFile(this.path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    });
    if (file === null) return;
    this.#file.close();
    this.#replaceBy(file);
    this.#generation = 0;
    this.#slotBytes = SLOT_BYTES;
    this.latest = null;
  }

  #replaceBy(file: Deno.FsFile): void {
    this.#file = file;
    this.#identity = null;
  }

  /** Replaces what the file says; afterwards a crash cannot take it away. @throws what the file system throws. */
  async write(position: Position): Promise<void> {
    const generation = this.#generation + 1;
    const slot = encodeSlot({ generation, position });
    if (generation > 1 && slot.length <= this.#slotBytes) {
      await this.#put(this.#file, slot, (generation % 2) * this.#slotBytes);
      await this.#file.syncData();
    } else await this.#make(slot);
    this.#generation = generation;
    this.latest = position;
  }

  /** Both slots, with room for twice as much: in the file itself where it says nothing, or in a new one. */
  async #make(slot: Uint8Array): Promise<void> {
    let slotBytes = this.#slotBytes;
    while (slotBytes < 2 * slot.length) slotBytes *= 2;
    const bytes = new Uint8Array(2 * slotBytes).fill(32);
    bytes.set(slot, 0);
    bytes.set(slot, slotBytes);
    if (this.latest === null) {
      await this.#file.truncate(0);
      await this.#put(this.#file, bytes, 0);
      await this.#file.sync();
    } else {
      const temporary = `${this.path}.tmp`;
      const file = await Deno.open(temporary, { write: true, create: true, truncate: true });
      try {
        await this.#put(file, bytes, 0);
        await file.sync();
        await file.lock(true);
        await Deno.rename(temporary, this.path);
      } catch (error) {
        file.close();
        await Deno.remove(temporary).catch(() => {});
        throw error;
      }
      // Another process may just be waiting for the lock of the old one, and must not get it.
      this.#replaced.push(this.#file);
      this.#replaceBy(file);
    }
    this.#slotBytes = slotBytes;
    await syncFolder(this.path);
  }

  async #put(file: Deno.FsFile, bytes: Uint8Array, offset: number): Promise<void> {
    file.seekSync(offset, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
  }

  close(): void {
    for (const file of [this.#file, ...this.#replaced.splice(0)]) file.close();
  }
}

interface Slot {
  readonly generation: number;
  readonly position: Position;
}

function encodeSlot({ generation, position }: Slot): Uint8Array<ArrayBuffer> {
  const text = JSON.stringify({ generation, ...position });
  const sum = crc32c(encoder.encode(text)).toString(16).padStart(8, "0");
  return encoder.encode(`${sum} ${text}\n`);
}

function decodeSlot(bytes: Uint8Array): Slot | null {
  const end = bytes.indexOf(10);
  if (end < 9) return null;
  const sum = decoder.decode(bytes.subarray(0, 8));
  if (crc32c(bytes, 9, end).toString(16).padStart(8, "0") !== sum) return null;
  try {
    const { generation, ...position } = JSON.parse(decoder.decode(bytes.subarray(9, end)));
    return { generation, position };
  } catch {
    return null;
  }
}

/** @throws {PositionInUse} if another process has it, and what the file system throws. */
async function lockedFile(path: string): Promise<Deno.FsFile> {
  const file = await Deno.open(path, { read: true, write: true, create: true });
  if (!await tryLock(file)) throw new PositionInUse(`Another process uses ${path}`);
  return file;
}

/** Makes the names in the folder of a file survive a power failure. */
export async function syncFolder(path: string): Promise<void> {
  using folder = await Deno.open(dirname(resolve(path)));
  await folder.sync();
}
