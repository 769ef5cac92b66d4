/** Opens what is in a directory. The journal can continue whatever the directory looks like. */
import { EXIT, ExitError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { Census } from "./format/census.ts";
import { type Files, TEMPORARY } from "./format/files.ts";
import { findSegments } from "./format/find_segments.ts";
import { MAX_NUMBER } from "./format/identity.ts";
import type { DiskJournalStats, Times } from "./options.ts";
import type { Quarantine } from "./quarantine.ts";
import { scanSegment } from "./format/scan.ts";
import { HEADER_BYTES, numberOfName, READABLE_FORMATS, type Segment } from "./format/segment.ts";
import { SegmentWriter } from "./format/segment_writer.ts";

export interface RecoverOptions {
  readonly directory: string;
  readonly files: Files;
  readonly log: Logger;
  readonly stats: DiskJournalStats;
  readonly quarantine: Quarantine;
  /** Positions by the files of the cursors. */
  readonly cursors: ReadonlyMap<string, number | null>;
  readonly times: Times;
}

export interface Recovered {
  readonly segments: Segment[];
  /** Greater than every record number in a segment or its name. */
  readonly next: number;
  /** The end of the journal. */
  readonly end: Census;
  /** Where the first segment begins. */
  readonly begin: Census;
  /** The clients in `end` may come from records after damage, which nobody will read again. */
  readonly clientsToKeep: boolean;
  /** The last segment, if it is damaged and not cut yet. */
  readonly toCut: Segment | null;
  /** The position of each cursor, by its file. Damage before a cursor in its segment counts as damage after it. */
  readonly starts: Map<string, Census>;
}

/**
 * Finds the segments, cuts a torn tail, and moves damaged segments to quarantine. It reads only the last segment and those
 * with a cursor: the others were complete when the next one began, and their reader finds later damage.
 *
 * @throws {ExitError} 65 if another version of this program wrote a segment: this version could only lose its points.
 * @throws errors of the file system when it lists the directory.
 */
export async function recover(options: RecoverOptions): Promise<Recovered> {
  const { directory, files, cursors, log, times } = options;
  const names = await files.list(directory);
  for (const name of names) if (name.endsWith(TEMPORARY)) removeQuietly(files, `${directory}/${name}`);
  // A larger number in a name is not a segment, whatever the file contains.
  const numbers = names.map((name) => numberOfName(name) ?? 0).filter((number) => number <= MAX_NUMBER);
  const { segments, problems, otherFormats, misnamed } = await findSegments(directory, names, files, times);
  for (const [path, format] of otherFormats) throw otherVersion(directory, path, format);
  for (const path of misnamed) {
    log.warn("A segment of the journal has the name of another one, and is used anyway", { path });
  }
  const finds: Finds = { passed: new Census(), toCut: null };
  for (const [path, problem] of problems) {
    const number = numberOfName(path.slice(directory.length + 1))!;
    // Between two valid segments, their reader finds out what is missing.
    const isBetween = segments.some(({ first }) => first < number) &&
      segments.some(({ first }) => first > number);
    await setAside({ path, number }, problem, options, finds, isBetween);
  }
  let end: Census | null = null;
  while (end === null && segments.length > 0) {
    end = await recoverLast(segments, options, finds);
    if (end === null) segments.pop();
  }
  const next = Math.max(0, segments.at(-1)?.end ?? 0, ...numbers);
  end ??= new Census();
  // Batches that every output has must not be taken again, although their records are lost.
  end.overhear(finds.passed);
  const { toCut } = finds;
  const begin = await censusBefore(0, segments, end, files);
  const starts = new Map<string, Census>();
  for (const [path, position] of cursors) {
    if (position !== null) starts.set(path, await censusBefore(position, segments, end, files));
  }
  const clientsToKeep = (toCut ? end : finds.passed).hasSequences;
  return { segments, next, begin, end, clientsToKeep, toCut, starts };
}

function otherVersion(directory: string, path: string, format: string): ExitError {
  return new ExitError(
    EXIT.data,
    `Cannot use the journal in ${directory}: another version of this program wrote ${path} (its format is ${format}, ` +
      `this version reads ${READABLE_FORMATS}). Run that version again until journal status shows no waiting points, or move ` +
      "the directory away to begin with an empty journal: then nothing stores the points in it",
  );
}

/** What recovery finds besides valid records. */
interface Finds {
  /** What unusable files say about clients, up to the position of the last output. */
  readonly passed: Census;
  /** The last segment, if it is damaged and copied. */
  toCut: Segment | null;
}

/** Removes a temporary file that a crash left. */
function removeQuietly(files: Files, path: string): void {
  if (!/\.(segment|cursor|id)\.tmp$/.test(path)) return;
  try {
    files.remove(path);
  } catch { /* it disturbs nobody */ }
}

/** The first record that some output may be missing. */
function firstOpen({ cursors }: RecoverOptions): number {
  return cursors.size > 0 ? Math.min(...[...cursors.values()].map((position) => position ?? 0)) : 0;
}

/** A file is unusable. Counts its points as far as possible, unless others will count them. */
async function setAside(
  { path, number }: { path: string; number: number },
  problem: string,
  options: RecoverOptions,
  finds: Finds,
  isCounted: boolean,
): Promise<void> {
  const { log, stats, quarantine, times, files } = options;
  stats.quarantinedSegments++;
  let points = 0;
  if (!isCounted) {
    const { size } = await files.stat(path).catch(() => ({ size: 0 }));
    const whole = { path, first: number, pointsBefore: 0, length: size };
    const lostFrom = firstOpen(options);
    const all = await scanSegment(files, whole, { base: new Census(), lostFrom });
    const passed = await scanSegment(files, whole, { base: new Census(), lostFrom, before: lostFrom });
    points = (all.census?.points ?? 0) - (passed.census?.points ?? 0) + all.lostPoints;
    stats.damagedPoints += points;
    if (passed.census) finds.passed.overhear(passed.census);
  }
  const failure = await quarantine.add(path, "move", times.wallMs());
  log.error("A segment of the journal is unusable and was moved to quarantine/", {
    path,
    problem,
    lost_points: isCounted ? undefined : points,
    not_moved: failure ?? undefined,
  });
}

/** Reads the last segment and ends it at its first bad record. @returns `null` if the segment is unusable. */
async function recoverLast(
  segments: readonly Segment[],
  options: RecoverOptions,
  finds: Finds,
): Promise<Census | null> {
  const { files, log, stats, quarantine, times } = options;
  const last = segments.at(-1)!;
  const lostFrom = firstOpen(options);
  const seenMs = Math.floor(times.wallMs() - (times.monotonicMs() - last.writtenMs));
  let scan = await scanSegment(files, last, { lostFrom, seenMs });
  if (scan.census === null) {
    const before = segments.at(-2);
    const base = before ? (await scanSegment(files, before)).census : null;
    scan = await scanSegment(files, last, { lostFrom, seenMs, base: base ?? new Census(last.pointsBefore) });
  }
  const { census, badSnapshot, stop, problem, records, goodLength, lostPoints } = scan;
  if (census === null || badSnapshot && records === 0) {
    const place = { path: last.path, number: last.first };
    await setAside(place, problem ?? "it is damaged", options, finds, false);
    return null;
  }
  last.end = last.first + records;
  if (badSnapshot) {
    last.badSnapshot = true;
    stats.quarantinedSegments++;
    await quarantine.add(last.path, "copy", times.wallMs());
    log.error("The list of clients in a segment of the journal is damaged, its points are still used", {
      path: last.path,
    });
  }
  if (stop === "end") return census;
  const lostBytes = last.length - goodLength;
  last.length = goodLength;
  stats.damagedBytes += lostBytes;
  if (stop === "torn") {
    stats.tornTails++;
    log.warn("The journal ended in the middle of a record, which is cut off", {
      path: last.path,
      lost_bytes: lostBytes,
    });
  } else {
    stats.quarantinedSegments++;
    stats.damagedPoints += lostPoints;
    const failure = await quarantine.add(last.path, "copy", times.wallMs());
    log.error("The last segment of the journal has a damaged record, only the records before it are used", {
      path: last.path,
      at_byte: goodLength,
      problem,
      kept_records: records,
      lost_points: lostPoints,
      lost_bytes: lostBytes,
      no_copy: failure ?? undefined,
    });
    if (failure === null) finds.toCut = last;
  }
  if (stop === "torn" && goodLength > HEADER_BYTES) await cut(last, goodLength, files, log);
  return census;
}

/**
 * Cuts the last segment where it is damaged. Before that, it writes what is known about clients from later records as the
 * list at the beginning of a new segment. Never throws: the next start finds the same again.
 *
 * @param first Number of the new segment's first record, which no other record has had.
 */
export async function settleDamage(
  { segments, end, clientsToKeep, toCut }: Recovered,
  first: number,
  { directory, files, log, times }: Pick<RecoverOptions, "directory" | "files" | "log" | "times">,
): Promise<void> {
  if (clientsToKeep) {
    const place = { first, pointsBefore: end.points, clients: [...end.clients.values()] };
    try {
      const writer = await SegmentWriter.begin(files, directory, place, times.monotonicMs());
      writer.close();
      segments.push(writer.segment);
    } catch (error) {
      log.warn("Cannot begin a segment of the journal", { directory, error: messageOf(error) });
      return;
    }
  }
  if (toCut) await cut(toCut, toCut.length, files, log);
}

/** Cuts a file to the length of its segment. If that fails, the journal still knows the length. */
export async function cut(segment: Segment, length: number, files: Files, log: Logger): Promise<void> {
  try {
    await files.truncate(segment.path, length);
    segment.fileBytes = length;
  } catch (error) {
    log.warn("Cannot cut a segment of the journal", { path: segment.path, error: messageOf(error) });
  }
}

/** Every client before the record with that number. */
export async function censusBefore(
  number: number,
  segments: readonly Segment[],
  end: Census,
  files: Files,
): Promise<Census> {
  if (segments.length === 0) return end;
  const at = Math.max(0, segments.findLastIndex(({ first }) => first <= number));
  const segment = segments[at];
  const isLast = at === segments.length - 1;
  if (isLast && number >= segment.end!) return end;
  const before = Math.max(number, segment.first);
  const { census } = await scanSegment(files, segment, { before });
  if (census !== null) return census;
  // Its snapshot is damaged: take the beginning of the next segment, without the records in between.
  const behind = isLast ? end : await censusBefore(segments[at + 1].first, segments, end, files);
  const all = (await scanSegment(files, segment, { base: new Census() })).census;
  const passed = (await scanSegment(files, segment, { base: new Census(), before })).census;
  return all && passed ? behind.minus(all.minus(passed)) : behind;
}
