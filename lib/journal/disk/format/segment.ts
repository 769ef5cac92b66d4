/**
 * Segment files: a header, a snapshot of the clients, and records. All numbers are little-endian.
 *
 *     header    8 bytes "ALRJRNL3", u64 number of the first record, u64 points that were written to the journal before
 *               it, u64 points before it that are known to be missing, u32 0, u32 CRC-32C of the bytes before
 *     records   u32 length, u32 CRC-32C of the payload, payload. The first one is the snapshot, see ./snapshot.ts; the
 *               others have consecutive numbers, see ./record.ts
 *
 * A segment is decoded from its beginning and without any other. Those that an earlier version wrote, "ALRJRNL2", never
 * put a series into the place of another, and have 131,072 at most; they are read in the same way.
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
/** What the formats of all versions begin with. */
const FAMILY_LENGTH = 7;

/** What the header of a segment says. */
export interface SegmentHeader {
  /** Number of its first record. */
  readonly first: number;
  /** Points that were written to the journal before it, since the journal was made. */
  readonly pointsBefore: number;
  /** How many of those that should stand right before it are known to be missing. Only of interest to a check. */
  readonly missing: number;
}

/** A segment that is in use. */
export interface Segment extends SegmentHeader {
  readonly path: string;
  /** Bytes that may be read: written, synced and not known to be damaged. */
  length: number;
  /** Bytes of the file. */
  fileBytes: number;
  /** Number behind its last record, where that is known: not while records are added, nor before it has been read. */
  end: number | null;
  /** When it was begun, and when it was written to last, by the journal's {@linkcode Ages}. */
  readonly begunMs: number;
  writtenMs: number;
  /** Points of it that are counted as lost by damage. */
  lostPoints: number;
  /** Its snapshot has been found to be damaged. */
  badSnapshot?: boolean;
}

/** `00000000000000000042.segment`: names sort by number. */
export function segmentName(first: number): string {
  return `${String(first).padStart(20, "0")}.segment`;
}

/** The number in a segment's name, or `null` where that is no such name. */
export function numberOfName(name: string): number | null {
  return /^\d{20}\.segment$/.test(name) ? Number(name.slice(0, 20)) : null;
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

/** Why a header cannot be used. */
export interface HeaderProblem {
  readonly problem: string;
  /** The format, where the file is whole and another version of this program wrote it. */
  readonly otherFormat?: string;
}

/** The header's content, or the problem with these bytes. */
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
    // A header that is valid with a format of this version has a damaged letter, and no other version.
    if (!isFamily || !/^\w+$/.test(otherFormat) || MAGICS.some(isValidWith)) {
      return { problem: "it does not begin as a segment does" };
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

/** The header of a file, or the problem with it. @throws What the file system throws. */
export function readHeader(files: Files, path: string): SegmentHeader | HeaderProblem {
  return decodeHeader(files.readStart(path, HEADER_BYTES));
}

/** The payload of a segment's first record, or `null` where it is damaged. @throws What the file system throws. */
export function readSnapshotPayload(files: Files, path: string): Uint8Array | null {
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

/** A snapshot is not larger: 20,000 clients whose names are as long as a greeting may be are not either. */
const MAX_SNAPSHOT_BYTES = 2 ** 31;

/** Puts the head of a record before its payload, which stands in `bytes` from `start` + {@linkcode RECORD_HEAD_BYTES} on. */
export function putRecordHead(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const from = start + RECORD_HEAD_BYTES;
  view.setUint32(start, end - from, true);
  view.setUint32(start + 4, crc32c(bytes, from, end), true);
}
