/**
 * Segment files: a header, a snapshot of the clients, and records. All numbers are little-endian.
 *
 *     header    8 bytes "ALRJRNL3", u64 number of the first record, u64 points that were written to the journal before
 *               it, u64 points before it that are known to be missing, u32 0, u32 CRC-32C of the bytes before
 *     records   u32 length, u32 CRC-32C of the payload, payload. The first one is the snapshot, see ./snapshot.ts; the
 *               others have consecutive numbers, see ./record.ts
 *
 * A segment is decoded from its beginning, without other segments. Segments of an earlier version, "ALRJRNL2", never replace
 * a series by another, and have at most 131,072; they are read in the same way.
 */
import { crc32c } from "../../../base/crc32c.ts";
import type { Files } from "./files.ts";

export const HEADER_BYTES = 40;
export const RECORD_HEAD_BYTES = 8;
/** The formats that this version reads; it writes the last one. */
const FORMATS = ["ALRJRNL2", "ALRJRNL3"] as const;
export const READABLE_FORMATS = FORMATS.join(" and ");
const MAGICS = FORMATS.map((format) => new TextEncoder().encode(format));
const MAGIC = MAGICS.at(-1)!;
/** The beginning of the formats of all versions. */
const FAMILY_LENGTH = 7;

/** The content of the header of a segment. */
export interface SegmentHeader {
  /** Number of its first record. */
  readonly first: number;
  /** Points that were written to the journal before it, since the journal was created. */
  readonly pointsBefore: number;
  /** Points right before it that are known to be missing; only for a check. */
  readonly missing: number;
}

/** A segment in use. */
export interface Segment extends SegmentHeader {
  readonly path: string;
  /** Readable bytes: written, synced and not known to be damaged. */
  length: number;
  /** Bytes of the file. */
  fileBytes: number;
  /** One more than the number of its last record, if known: not while records are added, and not before it was read. */
  end: number | null;
  /** When it began, and the time of its last write, by the journal's {@linkcode Ages}. */
  readonly begunMs: number;
  writtenMs: number;
  /** Points of it that are counted as lost to damage. */
  lostPoints: number;
  /** Its snapshot is damaged. */
  badSnapshot?: boolean;
}

/** `00000000000000000042.segment`: names sort by number. */
export function segmentName(first: number): string {
  return `${String(first).padStart(20, "0")}.segment`;
}

/** The number in the name of a segment, or `null` if it is not such a name. */
export function numberOfName(name: string): number | null {
  return /^\d{20}\.segment$/.test(name) ? parseInt(name, 10) : null;
}

export function encodeHeader({ first, pointsBefore, missing }: SegmentHeader): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setBigUint64(8, BigInt(first), true);
  view.setBigUint64(16, BigInt(pointsBefore), true);
  view.setBigUint64(24, BigInt(missing), true);
  view.setUint32(36, crc32c(bytes, 0, 36), true);
  return bytes;
}

/** Why a header is unusable. */
export interface HeaderProblem {
  readonly problem: string;
  /** The format, if the file is intact and another version of this program wrote it. */
  readonly otherFormat?: string;
}

/** Returns the content of the header, or the problem with these bytes. */
function decodeHeader(bytes: Uint8Array): SegmentHeader | HeaderProblem {
  if (bytes.length < HEADER_BYTES) {
    return { problem: `it has ${bytes.length} bytes, a header has ${HEADER_BYTES}` };
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const checksum = view.getUint32(36, true);
  if (!MAGICS.some((magic) => magic.every((byte, i) => bytes[i] === byte))) {
    const isFamily = MAGIC.subarray(0, FAMILY_LENGTH).every((byte, i) => bytes[i] === byte);
    const otherFormat = new TextDecoder().decode(bytes.subarray(0, MAGIC.length));
    const isValidWith = (magic: Uint8Array) => {
      const repaired = Uint8Array.from(bytes.subarray(0, HEADER_BYTES));
      repaired.set(magic);
      return checksum === crc32c(repaired, 0, 36);
    };
    // If the header is valid with a format of this version, a letter is damaged: it is not another version.
    if (!isFamily || !/^\w+$/.test(otherFormat) || MAGICS.some(isValidWith)) {
      return { problem: "it does not begin like a segment" };
    }
    const problem =
      `its format is ${otherFormat}, of another version of this program; this one reads ${READABLE_FORMATS}`;
    return { problem, otherFormat };
  }
  if (checksum !== crc32c(bytes, 0, 36)) return { problem: "the checksum of its header is wrong" };
  return {
    first: Number(view.getBigUint64(8, true)),
    pointsBefore: Number(view.getBigUint64(16, true)),
    missing: Number(view.getBigUint64(24, true)),
  };
}

/** Returns the header of a file, or the problem with it. @throws errors of the file system. */
export function readHeader(files: Pick<Files, "readStart">, path: string): SegmentHeader | HeaderProblem {
  return decodeHeader(files.readStart(path, HEADER_BYTES));
}

/** Returns the payload of the first record, or `null` if it is damaged. @throws errors of the file system. */
export function readSnapshotPayload(files: Pick<Files, "readStart">, path: string): Uint8Array | null {
  const at = HEADER_BYTES + RECORD_HEAD_BYTES;
  const head = files.readStart(path, at);
  if (head.length < at) return null;
  const view = new DataView(head.buffer);
  const length = view.getUint32(HEADER_BYTES, true);
  if (length === 0 || length > MAX_SNAPSHOT_BYTES) return null;
  const bytes = files.readStart(path, at + length);
  if (bytes.length < at + length || crc32c(bytes, at) !== view.getUint32(HEADER_BYTES + 4, true)) return null;
  return bytes.subarray(at);
}

/** The largest snapshot: 20,000 clients with the longest names are smaller. */
const MAX_SNAPSHOT_BYTES = 2 ** 31;

/** Writes the head of a record before its payload, which is in `bytes` at `start` + {@linkcode RECORD_HEAD_BYTES}. */
export function putRecordHead(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const from = start + RECORD_HEAD_BYTES;
  view.setUint32(start, end - from, true);
  view.setUint32(start + 4, crc32c(bytes, from, end), true);
}
