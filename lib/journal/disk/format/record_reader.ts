/** Reads the records of a segment, piece by piece. */
import { crc32c } from "../../../base/crc32c.ts";
import type { Files, JournalFile } from "./files.ts";
import { HEADER_BYTES, RECORD_HEAD_BYTES } from "./segment.ts";

const PIECE_BYTES = 128 * 1024;
/** The longest record; a larger length is invalid. */
const MAX_BYTES = 256 * 1024 * 1024;
/** How far after damage to search for the next valid record, which may be as large, in bytes. */
const SEARCH_BYTES = 2 * 1024 * 1024;
/** Bytes that the search may checksum in vain: in some data a record seems to begin at every byte. */
const SEARCH_SUM_BYTES = 64 * 1024 * 1024;

/**
 * Why there is no next record: the `end`; a `torn` record at the end of the file, as after a crash; or a `bad` record with
 * more data after it.
 */
export type RecordStop = "end" | "torn" | "bad";

/** What was skipped to reach a valid record. */
export interface Damage {
  /**
   * What is damaged: the `payload` of one record, or its checksum; the `length` of one record, whose payload is valid;
   * `nothing`; or `more`, an unknown number of records.
   */
  readonly what: "payload" | "length" | "nothing" | "more";
  /** The data after the first head, valid until the next call. */
  readonly payload: Uint8Array;
}

export class RecordReader implements Disposable {
  /** Offset of the next record. */
  offset = HEADER_BYTES;
  readonly #file: JournalFile;
  #buffer: Uint8Array<ArrayBuffer>;
  #start = 0;
  #end = 0;
  #badSize = 0;
  /** Bytes that were checksummed in vain. */
  #summedInVain = 0;

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

  /** The buffer, for the next reader. */
  get buffer(): Uint8Array<ArrayBuffer> {
    return this.#buffer;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  /**
   * Returns the next payload within the first `length` bytes of the file, valid until the next call.
   *
   * @throws errors of the file system.
   */
  async next(length: number): Promise<Uint8Array | RecordStop> {
    const left = length - this.offset;
    if (left <= 0) return "end";
    if (left < RECORD_HEAD_BYTES || !await this.#fill(RECORD_HEAD_BYTES, left)) return "torn";
    const view = this.#view();
    const size = view.getUint32(0, true);
    const sum = view.getUint32(4, true);
    // After a power failure a file may end in zeros that were never written.
    if (size === 0) return await this.#onlyZeros(left) ? "torn" : "bad";
    const whole = RECORD_HEAD_BYTES + size;
    if (size > MAX_BYTES) return "bad";
    if (whole > left || !await this.#fill(whole, left)) return "torn";
    const from = this.#start + RECORD_HEAD_BYTES;
    if (crc32c(this.#buffer, from, from + size) !== sum) {
      this.#badSize = size;
      this.#summedInVain += size;
      return whole === left ? "torn" : "bad";
    }
    this.#start += whole;
    this.offset += whole;
    return this.#buffer.subarray(from, from + size);
  }

  /**
   * After `torn` or `bad`: moves to the next valid record, at the end of the damaged one by its length or, because the
   * length may be damaged, at the next one that is found. If none is found after a `bad` record, moves to the end.
   *
   * @returns What was skipped; `null` if nothing valid follows, and the file may just end there. @throws errors of the
   *   file system.
   */
  async skipDamage(length: number): Promise<Damage | null> {
    const left = length - this.offset;
    const badEnd = this.#badSize === 0 ? 0 : RECORD_HEAD_BYTES + this.#badSize;
    this.#badSize = 0;
    // The search for zeros may have read far ahead.
    await this.#file.seek(this.offset, Deno.SeekMode.Start);
    this.#start = this.#end = 0;
    if (badEnd > 0 && await this.#isGoodAt(badEnd, left)) {
      return { what: "payload", payload: this.#pass(badEnd) };
    }
    const at = await this.#findGood(left);
    if (at !== null) {
      const sum = this.#view().getUint32(4, true);
      const payload = this.#pass(at);
      return { what: crc32c(payload) === sum ? "length" : "more", payload };
    }
    if (badEnd === 0 || !await this.#fill(badEnd, left)) return null;
    const payload = this.#pass(badEnd);
    this.offset = length;
    return { what: "more", payload };
  }

  /** The distance to the first valid record after this place, if it is found with reasonable effort. */
  async #findGood(left: number): Promise<number | null> {
    const count = Math.min(left, 2 * SEARCH_BYTES);
    if (!await this.#fill(count, left)) return null;
    const view = this.#view();
    for (let at = RECORD_HEAD_BYTES + 1; at <= Math.min(SEARCH_BYTES, count - RECORD_HEAD_BYTES); at++) {
      const size = view.getUint32(at, true);
      if (size > 0 && at + RECORD_HEAD_BYTES + size <= count && this.#isGood(at)) return at;
    }
    return null;
  }

  /** Whether a valid record begins `at` bytes from here. */
  async #isGoodAt(at: number, left: number): Promise<boolean> {
    if (at + RECORD_HEAD_BYTES > left || !await this.#fill(at + RECORD_HEAD_BYTES, left)) return false;
    const end = at + RECORD_HEAD_BYTES + this.#view().getUint32(at, true);
    return end <= left && await this.#fill(end, left) && this.#isGood(at);
  }

  /** The same for a record that is completely in the buffer. */
  #isGood(at: number): boolean {
    const view = this.#view();
    const size = view.getUint32(at, true);
    // An empty record is not valid.
    if (size === 0 || this.#summedInVain + size > SEARCH_SUM_BYTES) return false;
    const from = this.#start + at + RECORD_HEAD_BYTES;
    if (crc32c(this.#buffer, from, from + size) === view.getUint32(at + 4, true)) return true;
    this.#summedInVain += size;
    return false;
  }

  /** From here on. */
  #view(): DataView {
    return new DataView(this.#buffer.buffer, this.#start);
  }

  /** Skips bytes in the buffer. @returns These bytes without a head. */
  #pass(bytes: number): Uint8Array {
    const payload = this.#buffer.subarray(this.#start + RECORD_HEAD_BYTES, this.#start + bytes);
    this.#start += bytes;
    this.offset += bytes;
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

  /** Reads until `count` bytes are in the buffer, of the `left` bytes that may be read. */
  async #fill(count: number, left: number): Promise<boolean> {
    if (this.#end - this.#start >= count) return true;
    const target = count > this.#buffer.length ? new Uint8Array(count) : this.#buffer;
    // `set` handles overlapping ranges of one array.
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
