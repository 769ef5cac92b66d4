/** What a journal finds when it is opened: whatever the directory looks like, it can go on. */
import { messageOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { DiskJournalStats } from "./disk_journal.ts";
import {
  decodeHeader,
  HEADER_BYTES,
  isSegmentName,
  scanSegment,
  type Segment,
  segmentName,
} from "./segment.ts";

export interface Recovered {
  segments: Segment[];
  /** Behind every number that any file knows of, and the points in the journal before it. */
  next: number;
  points: number;
}

/**
 * Finds the segments, cuts a torn tail, and sets aside what is damaged. Only the last segment is read: the others were
 * complete when the next one was begun, and damage to them since is found by whoever reads them.
 */
export async function recover(directory: string, stats: DiskJournalStats, log: Logger): Promise<Recovered> {
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(directory)) {
    if (isFile && isSegmentName(name)) names.push(name);
  }
  names.sort();
  const segments: Segment[] = [];
  for (const name of names) {
    const path = `${directory}/${name}`;
    const { size, mtime } = await Deno.stat(path);
    const header = await readHeader(path);
    if (header && segmentName(header.first) === name) {
      segments.push({ path, ...header, length: size, modifiedMs: mtime?.getTime() ?? 0, lossCounted: false });
    } else if (size <= HEADER_BYTES && name === names.at(-1)) {
      // The process died while it began this segment: nothing was in it yet.
      await Deno.remove(path);
    } else {
      await quarantine(directory, path, "move");
      stats.quarantinedSegments++;
      log.error("A segment of the journal is damaged and has been set aside", {
        path,
        quarantine: "quarantine/",
      });
    }
  }
  const lastNumber = names.length > 0 ? Number(names.at(-1)!.slice(0, 20)) : 0;
  const last = segments.at(-1);
  if (!last) return { segments, next: lastNumber, points: 0 };

  const { stop, records, points, goodLength } = await scanSegment(last.path, last.length);
  if (stop === "bad") {
    await quarantine(directory, last.path, "copy");
    stats.quarantinedSegments++;
    log.error("The last segment of the journal has a damaged record; what comes before it is used", {
      path: last.path,
      kept_records: records,
      lost_bytes: last.length - goodLength,
    });
  } else if (stop === "torn") {
    stats.tornTails++;
    log.warn("The journal ended within a record, which is cut off", {
      path: last.path,
      lost_bytes: last.length - goodLength,
    });
  }
  if (stop !== "end") {
    stats.damagedBytes += last.length - goodLength;
    await Deno.truncate(last.path, goodLength);
    last.length = goodLength;
  }
  const next = Math.max(lastNumber, last.first + records);
  if (records === 0 && goodLength === HEADER_BYTES) {
    await Deno.remove(last.path);
    segments.pop();
  }
  return { segments, next, points: last.pointsBefore + points };
}

async function readHeader(path: string): Promise<{ first: number; pointsBefore: number } | null> {
  using file = await Deno.open(path);
  const bytes = new Uint8Array(HEADER_BYTES);
  let length = 0;
  for (let read; length < HEADER_BYTES && (read = await file.read(bytes.subarray(length)));) length += read;
  return decodeHeader(bytes.subarray(0, length));
}

/** Puts a segment, or a copy of it, where it can be looked at. Never fails: the journal must go on. */
export async function quarantine(
  directory: string,
  path: string,
  how: "move" | "copy",
): Promise<string | null> {
  const target = `${directory}/quarantine/${Date.now()}-${path.slice(path.lastIndexOf("/") + 1)}`;
  try {
    await Deno.mkdir(`${directory}/quarantine`, { recursive: true });
    if (how === "move") await Deno.rename(path, target);
    else await Deno.copyFile(path, target);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}
