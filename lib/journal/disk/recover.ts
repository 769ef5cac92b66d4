/** What a journal finds when it is opened: whatever the directory looks like, it can go on. */
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
  /** Behind every record number that a segment or its name knows of. */
  readonly next: number;
  /** The end of the journal. */
  readonly end: Census;
  /** Where the first segment begins. */
  readonly begin: Census;
  /** What `end` has of clients is from behind damage, perhaps, where nobody will read it again. */
  readonly clientsToKeep: boolean;
  /** The last segment, where it is damaged and not cut yet. */
  readonly toCut: Segment | null;
  /** Where each cursor stands, by its file. What is damaged before it, in its segment, counts as if it were behind it. */
  readonly starts: Map<string, Census>;
}

/**
 * Finds the segments, cuts a torn tail, and sets aside what is damaged. Only the last segment is read, and those where a
 * cursor stands: the others were complete when the next one was begun, and damage to them since is found by whoever
 * reads them.
 *
 * @throws {ExitError} 65 where another version of this program wrote a segment: this one could only lose its points.
 * @throws What the file system throws when it lists the directory.
 */
export async function recover(options: RecoverOptions): Promise<Recovered> {
  const { directory, files, cursors, log, times } = options;
  const names = await files.list(directory);
  for (const name of names) if (name.endsWith(TEMPORARY)) removeQuietly(files, `${directory}/${name}`);
  // A name beyond is of no segment, whatever it contains.
  const numbers = names.map((name) => numberOfName(name) ?? 0).filter((number) => number <= MAX_NUMBER);
  const { segments, problems, otherFormats, misnamed } = await findSegments(directory, names, files, times);
  for (const [path, format] of otherFormats) throw otherVersion(directory, path, format);
  for (const path of misnamed) {
    log.warn("A segment of the journal has the name of another one, and is used all the same", { path });
  }
  const finds: Finds = { passed: new Census(), toCut: null };
  for (const [path, problem] of problems) {
    const number = numberOfName(path.slice(directory.length + 1))!;
    // Between two that are good, whoever reads them finds out what is missing.
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
  // What every output has must not be taken again, though its records are lost.
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

/** What is found beside good records. */
interface Finds {
  /** What files that are of no use say of clients, up to where every output is. */
  readonly passed: Census;
  /** The last segment, if it is damaged and there is a copy of it. */
  toCut: Segment | null;
}

/** Half of what a crash came between. */
function removeQuietly(files: Files, path: string): void {
  if (!/\.(segment|cursor|id)\.tmp$/.test(path)) return;
  try {
    files.remove(path);
  } catch { /* it disturbs nobody */ }
}

/** The first record that some output may not have. */
function firstOpen({ cursors }: RecoverOptions): number {
  return cursors.size > 0 ? Math.min(...[...cursors.values()].map((position) => position ?? 0)) : 0;
}

/** A whole file is of no use. Its points are counted as far as that is possible, unless others will do so. */
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
  log.error("A segment of the journal cannot be used and is set aside in quarantine/", {
    path,
    problem,
    lost_points: isCounted ? undefined : points,
    not_moved: failure ?? undefined,
  });
}

/** Reads the last segment, and ends it where it is no longer good. @returns `null` if it is of no use at all. */
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
    log.error("The list of clients in a segment of the journal is damaged, its points are used", {
      path: last.path,
    });
  }
  if (stop === "end") return census;
  const lostBytes = last.length - goodLength;
  last.length = goodLength;
  stats.damagedBytes += lostBytes;
  if (stop === "torn") {
    stats.tornTails++;
    log.warn("The journal ended within a record, which is cut off", {
      path: last.path,
      lost_bytes: lostBytes,
    });
  } else {
    stats.quarantinedSegments++;
    stats.damagedPoints += lostPoints;
    const failure = await quarantine.add(last.path, "copy", times.wallMs());
    log.error("The last segment of the journal has a damaged record; what comes before it is used", {
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
 * Cuts the last segment where it is damaged. What is known of clients from behind that place is written down before, as
 * the list at the beginning of a new segment. Never fails: the next start finds it all again.
 *
 * @param first Number of the new segment's first record, which no other has had.
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

/** Ends a file where its segment does, if that is possible: the journal knows it anyway. */
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
  // Its snapshot is damaged: where the next one begins, without what is in between.
  const behind = isLast ? end : await censusBefore(segments[at + 1].first, segments, end, files);
  const all = (await scanSegment(files, segment, { base: new Census() })).census;
  const passed = (await scanSegment(files, segment, { base: new Census(), before })).census;
  return all && passed ? behind.minus(all.minus(passed)) : behind;
}
