/** Reads a segment from its beginning to its first bad record, and counts. */
import { messageOf } from "../../../base/errors.ts";
import { Census, Counter, guessPoints } from "./census.ts";
import type { Files } from "./files.ts";
import { type Damage, RecordReader, type RecordStop } from "./record_reader.ts";
import { HEADER_BYTES, type Segment } from "./segment.ts";

export interface Scan {
  /** Every client after the last valid record; `null` if there is neither a snapshot nor a base. */
  census: Census | null;
  /** The snapshot is damaged, and the base was used instead. */
  badSnapshot: boolean;
  stop: RecordStop;
  /** What is wrong, if it is `bad`. */
  problem?: string;
  /** Valid records. */
  records: number;
  /** Bytes before the first bad record. */
  goodLength: number;
  /** Points after that place, as far as they can be counted. */
  lostPoints: number;
}

export interface ScanOptions {
  /** Stops before the record with this number. @default {Infinity} */
  before?: number;
  /**
   * Counts lost points from the record with this number on. Every output has the earlier records, so clients need not send
   * them again, although they are lost. @default {0}
   */
  lostFrom?: number;
  /** Replaces a damaged snapshot; counting continues from it. @default none */
  base?: Census;
  /** The latest contact of the clients in its records, in ms since the epoch. @default {0} */
  seenMs?: number;
}

/** Never throws: an unreadable record is bad. */
export async function scanSegment(
  files: Files,
  segment: Pick<Segment, "path" | "first" | "pointsBefore" | "length">,
  options: ScanOptions = {},
): Promise<Scan> {
  const { before = Infinity, lostFrom = 0, base, seenMs } = options;
  const { path, first, pointsBefore, length } = segment;
  const scan: Scan = {
    census: null,
    badSnapshot: false,
    stop: "end",
    records: 0,
    goodLength: HEADER_BYTES,
    lostPoints: 0,
  };
  try {
    using reader = await RecordReader.open(files, path);
    let counter: Counter | null = null;
    let damage: Damage | null = null;
    while (counter === null || first + scan.records < before) {
      const payload = await reader.next(length);
      if (typeof payload === "string") {
        scan.stop = payload;
        if (payload !== "end") damage = await reader.skipDamage(length);
        if (damage === null || damage.what === "more" || counter || !base) break;
        // Only the snapshot.
        damage = null;
        scan.stop = "end";
        scan.badSnapshot = true;
        counter = new Counter(scan.census = base, seenMs);
      } else if (counter) {
        counter.add(payload);
        scan.records++;
      } else {
        counter = new Counter(scan.census = Census.ofSnapshot(payload, pointsBefore), seenMs);
      }
      scan.goodLength = reader.offset;
    }
    if (scan.stop === "bad") scan.problem = "it is not a record";
    // A torn record may contain something that looks like a record.
    if (damage && (scan.stop === "bad" || damage.what === "length")) {
      scan.problem = damage.what === "length" ? "its length is wrong" : "its checksum is wrong";
      scan.stop = "bad";
      let number = first + scan.records;
      if (counter === null) {
        // The list of clients has no points, and stands before the first record.
        damage = { ...damage, payload: new Uint8Array() };
        number = first - 1;
        counter = new Counter(new Census());
      }
      scan.lostPoints = await countLost(reader, length, damage, number, lostFrom, counter);
    }
  } catch (error) {
    scan.stop = "bad";
    scan.problem = messageOf(error);
  }
  // No crash leaves a segment without its snapshot.
  if (scan.census === null) {
    scan.problem ??= "its list of clients is incomplete";
    scan.stop = "bad";
  }
  return scan;
}

/**
 * Records after a damaged one cannot be decoded without it, but their numbers of points can be read.
 *
 * @param damage The first damage; the record there has that `number`.
 * @returns The points of the records from `lostFrom` on.
 */
async function countLost(
  reader: RecordReader,
  length: number,
  damage: Damage,
  number: number,
  lostFrom: number,
  counter: Counter,
): Promise<number> {
  let points = 0;
  for (let found: Damage | null = damage; found !== null;) {
    // If the number is unknown, no output is known to have the record.
    if (found.what === "more") number = Infinity;
    const { what, payload } = found;
    if (number >= lostFrom) points += guessPoints(payload);
    try {
      if (what === "payload" || what === "more") counter.passDamaged(payload);
      else if (number < lostFrom) counter.salvage(payload);
    } catch { /* what it says of clients cannot be told */ }
    number++;
    const next = await reader.next(length);
    if (typeof next !== "string") found = { what: "nothing", payload: next };
    else found = next === "end" ? null : await reader.skipDamage(length);
  }
  return points;
}
