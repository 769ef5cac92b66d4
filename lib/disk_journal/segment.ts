/**
 * Segment files: a header, and records behind it. All numbers are little-endian.
 *
 *     header  8 bytes "ALRJRNL1", u64 number of the first record, u64 points in the journal before it, u32 0,
 *             u32 CRC-32C of the bytes before
 *     record  u32 length, u32 CRC-32C of the payload, payload: a record of ../batch_codec.ts
 *
 * A segment is one stream of the codec, so it is decoded from its beginning and without any other.
 */
import { crc32c } from "../crc32c.ts";
import { PostcardReader } from "../postcard.ts";

export const HEADER_BYTES = 32;
export const RECORD_HEAD_BYTES = 8;
const MAGIC = new TextEncoder().encode("ALRJRNL1");
const PIECE_BYTES = 128 * 1024;

/** What is known of a segment without reading its records. */
export interface Segment {
  readonly path: string;
  /** Number of its first record. */
  readonly first: number;
  /** Points in the journal before it, since the journal was made. */
  readonly pointsBefore: number;
  /** Bytes that may be read: written, synced and not known to be damaged. */
  length: number;
  /** When something was last written, in ms since the epoch. */
  modifiedMs: number;
  /** Whether points that are missing at its end have been counted. */
  lossCounted: boolean;
}

/** `00000000000000000042.segment`: names sort by number. */
export function segmentName(first: number): string {
  return `${String(first).padStart(20, "0")}.segment`;
}

export function isSegmentName(name: string): boolean {
  return /^\d{20}\.segment$/.test(name);
}

export function encodeHeader(first: number, pointsBefore: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setBigUint64(8, BigInt(first), true);
  view.setBigUint64(16, BigInt(pointsBefore), true);
  view.setUint32(28, crc32c(bytes, 0, 28), true);
  return bytes;
}

/** The header's content, or `null` where these bytes are none. */
export function decodeHeader(bytes: Uint8Array): { first: number; pointsBefore: number } | null {
  if (bytes.length < HEADER_BYTES || MAGIC.some((byte, i) => bytes[i] !== byte)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(28, true) !== crc32c(bytes, 0, 28)) return null;
  return { first: Number(view.getBigUint64(8, true)), pointsBefore: Number(view.getBigUint64(16, true)) };
}

/** Why there is no next record: the `end`, a record that is cut off or the last one and `torn`, or a `bad` one. */
export type RecordStop = "end" | "torn" | "bad";

/** Reads the records of a file in pieces. */
export class RecordReader implements Disposable {
  /** Where the next record begins. */
  offset = HEADER_BYTES;
  readonly #file: Deno.FsFile;
  #buffer = new Uint8Array(PIECE_BYTES);
  #start = 0;
  #end = 0;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  static async open(path: string): Promise<RecordReader> {
    const file = await Deno.open(path);
    await file.seek(HEADER_BYTES, Deno.SeekMode.Start);
    return new RecordReader(file);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  /** The next payload of a file of `length` bytes, valid until the next call. */
  async next(length: number): Promise<Uint8Array | RecordStop> {
    const left = length - this.offset;
    if (left <= 0) return "end";
    if (left < RECORD_HEAD_BYTES || !await this.#fill(RECORD_HEAD_BYTES, left)) return "torn";
    const view = new DataView(this.#buffer.buffer, this.#start);
    const size = view.getUint32(0, true);
    const sum = view.getUint32(4, true);
    const whole = RECORD_HEAD_BYTES + size;
    if (whole > left || !await this.#fill(whole, left)) return "torn";
    const from = this.#start + RECORD_HEAD_BYTES;
    if (size === 0 || crc32c(this.#buffer, from, from + size) !== sum) return whole === left ? "torn" : "bad";
    this.#start += whole;
    this.offset += whole;
    return this.#buffer.subarray(from, from + size);
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

/** What a segment holds that may have been damaged. */
export interface ScanResult {
  stop: RecordStop;
  records: number;
  points: number;
  /** Bytes up to the first record that is not good. */
  goodLength: number;
}

/** Checks every record of a file. */
export async function scanSegment(path: string, length: number): Promise<ScanResult> {
  using reader = await RecordReader.open(path);
  const result: ScanResult = { stop: "end", records: 0, points: 0, goodLength: HEADER_BYTES };
  while (true) {
    const payload = await reader.next(length);
    if (typeof payload === "string") return { ...result, stop: payload };
    result.records++;
    try {
      result.points += Number(new PostcardReader(payload).u64Number());
    } catch {
      return { ...result, stop: "bad", records: result.records - 1 };
    }
    result.goodLength = reader.offset;
  }
}
