/** Reads the records of a segment, in pieces of the file. */
import { crc32c } from "../crc32c.ts";
import type { Files, JournalFile } from "./files.ts";
import { HEADER_BYTES, RECORD_HEAD_BYTES } from "./segment.ts";

const PIECE_BYTES = 128 * 1024;

/**
 * Why there is no next record: the `end`; the file ends within one, as after a crash, and it is `torn`; or a `bad` one,
 * with more behind it.
 */
export type RecordStop = "end" | "torn" | "bad";

export class RecordReader implements Disposable {
  /** Where the next record begins. */
  offset = HEADER_BYTES;
  readonly #file: JournalFile;
  #buffer: Uint8Array<ArrayBuffer>;
  #start = 0;
  #end = 0;
  #badSize = 0;

  private constructor(file: JournalFile, buffer: Uint8Array<ArrayBuffer>) {
    this.#file = file;
    this.#buffer = buffer;
  }

  /** @param buffer The buffer of a reader that is no longer used. */
  static async open(
    files: Files,
    path: string,
    buffer: Uint8Array<ArrayBuffer> = new Uint8Array(PIECE_BYTES),
  ): Promise<RecordReader> {
    const file = await files.open(path);
    try {
      await file.seek(HEADER_BYTES, Deno.SeekMode.Start);
    } catch (error) {
      file.close();
      throw error;
    }
    return new RecordReader(file, buffer);
  }

  /** For the next reader. */
  get buffer(): Uint8Array<ArrayBuffer> {
    return this.#buffer;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  /**
   * The next payload of a file of which `length` bytes count, valid until the next call.
   *
   * @throws What the file system throws.
   */
  async next(length: number): Promise<Uint8Array | RecordStop> {
    const left = length - this.offset;
    if (left <= 0) return "end";
    if (left < RECORD_HEAD_BYTES || !await this.#fill(RECORD_HEAD_BYTES, left)) return "torn";
    const view = new DataView(this.#buffer.buffer, this.#start);
    const size = view.getUint32(0, true);
    const sum = view.getUint32(4, true);
    // After a power failure a file may end in zeros that were never written.
    if (size === 0) return await this.#onlyZeros(left) ? "torn" : "bad";
    const whole = RECORD_HEAD_BYTES + size;
    if (whole > left || !await this.#fill(whole, left)) return "torn";
    const from = this.#start + RECORD_HEAD_BYTES;
    if (crc32c(this.#buffer, from, from + size) !== sum) {
      this.#badSize = size;
      return whole === left ? "torn" : "bad";
    }
    this.#start += whole;
    this.offset += whole;
    return this.#buffer.subarray(from, from + size);
  }

  /** The payload of the record that was `bad`, which may be anything, to go on behind it; `null` where its end is unknown. */
  skipBad(): Uint8Array | null {
    if (this.#badSize === 0) return null;
    const from = this.#start + RECORD_HEAD_BYTES;
    const payload = this.#buffer.subarray(from, from + this.#badSize);
    this.#start = from + this.#badSize;
    this.offset += RECORD_HEAD_BYTES + this.#badSize;
    this.#badSize = 0;
    return payload;
  }

  async #onlyZeros(left: number): Promise<boolean> {
    let seen = 0;
    while (true) {
      for (let at = this.#start; at < this.#end; at++) if (this.#buffer[at] !== 0) return false;
      seen += this.#end - this.#start;
      if (seen >= left) return true;
      this.#start = this.#end = 0;
      const read = await this.#file.read(
        this.#buffer.subarray(0, Math.min(this.#buffer.length, left - seen)),
      );
      if (!read) return true;
      this.#end = read;
    }
  }

  /** Has `count` bytes in the buffer, of the `left` ones that may be read. */
  async #fill(count: number, left: number): Promise<boolean> {
    if (this.#end - this.#start >= count) return true;
    const target = count > this.#buffer.length ? new Uint8Array(count) : this.#buffer;
    // Of one array over itself, this copies as if through another one.
    target.set(this.#buffer.subarray(this.#start, this.#end));
    this.#end -= this.#start;
    this.#start = 0;
    this.#buffer = target;
    while (this.#end < count) {
      const room = this.#buffer.subarray(this.#end, Math.min(this.#buffer.length, left));
      const read = await this.#file.read(room);
      if (!read) return false;
      this.#end += read;
    }
    return true;
  }
}
