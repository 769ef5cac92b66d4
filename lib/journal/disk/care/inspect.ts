/** Examines the directory of a journal without changing anything, also while a process uses it. */
import { ClientTable, isMark, LOCAL_ORIGIN } from "../../../points/origins.ts";
import { lockHolder } from "../../../base/file_lock.ts";
import type { Batch } from "../../../points/measurement.ts";
import { Census, keyOf, LOCAL_KEY } from "../format/census.ts";
import { loadCursors, outputOf } from "../format/cursor.ts";
import { type Files, SYSTEM_FILES } from "../format/files.ts";
import { findSegments } from "../format/find_segments.ts";
import { type Identity, readIdentity } from "../format/identity.ts";
import { Quarantine, type QuarantineContent } from "../quarantine.ts";
import type { RecordStop } from "../format/record_reader.ts";
import { censusBefore } from "../recover.ts";
import { scanSegment } from "../format/scan.ts";
import type { Segment } from "../format/segment.ts";
import { SegmentSource } from "../format/segment_source.ts";

/** A time in the form of batches. */
export interface PointTime {
  readonly seconds: number;
  readonly nanos: number;
}

/** The progress of an output. */
export interface OutputPlace {
  readonly output: string;
  /** `null`: its cursor is damaged. */
  readonly position: number | null;
  /** Points in the journal for it. */
  readonly points: number;
  /** The time of the first point for it, in the order of the journal. */
  readonly oldest: PointTime | null;
}

/** A client in the journal. */
export interface ClientEntry {
  /** `""` for the inputs of the process that the journal belongs to. */
  readonly name: string;
  readonly instance: string;
  /** Number of its last batch; 0 if it does not number them. */
  readonly sequence: number;
  /** Its points in the journal, for the output that has taken least. */
  readonly kept: number;
  /** In ms since the epoch; 0 if it is not known. */
  readonly contactMs: number;
}

export interface Inspection {
  readonly directory: string;
  /** `null`: it is unreadable; `undefined`: there is none. */
  readonly identity: Identity | null | undefined;
  /** The process that uses it; `null` for none, `undefined` if the system does not tell. */
  readonly holder: number | null | undefined;
  readonly segments: readonly Segment[];
  readonly bytes: number;
  /** Points on disk. */
  readonly points: number;
  /** Times of the first and of the last point on disk, in the order of the journal. */
  readonly oldest: PointTime | null;
  readonly newest: PointTime | null;
  readonly outputs: readonly OutputPlace[];
  readonly clients: readonly ClientEntry[];
  readonly quarantine: QuarantineContent;
  /** Problems that are visible without reading everything, by path. */
  readonly problems: ReadonlyMap<string, string>;
}

const TIMES = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };

const SILENT = (() => {
  const nothing = () => {};
  const log = {
    error: nothing,
    warn: nothing,
    info: nothing,
    debug: nothing,
    trace: nothing,
    for: () => log,
  };
  return log;
})();

/** @throws errors of the file system when it lists the directory. */
export async function inspect(directory: string, files: Files = SYSTEM_FILES): Promise<Inspection> {
  const names = await files.list(directory);
  const { segments, problems } = await findSegments(directory, names, files, TIMES);
  const end = await endOf(segments, files);
  const begin = await censusBefore(0, segments, end, files);
  const outputs: OutputPlace[] = [];
  const places: Census[] = [];
  for (const [path, position] of await loadCursors(files, directory)) {
    if (position === null) {
      problems.set(path, "it is damaged: its output will get all points in the journal again");
    }
    const place = position === null ? begin : await censusBefore(position, segments, end, files);
    places.push(place);
    const points = Math.max(0, end.points - place.points);
    const oldest = points > 0 ? await firstTime(segments, position ?? 0, files) : null;
    outputs.push({ output: outputOf(path), position, points, oldest });
  }
  if (places.length === 0) places.push(begin);
  const identity = readIdentity(files, directory);
  if (identity === null) {
    problems.set(`${directory}/journal.id`, "it cannot be read: the journal will get a new id");
  }
  return {
    directory,
    identity,
    holder: lockHolder(`${directory}/lock`),
    segments,
    bytes: segments.reduce((sum, { fileBytes }) => sum + fileBytes, 0),
    points: Math.max(0, end.points - begin.points),
    oldest: await firstTime(segments, 0, files),
    newest: await lastTime(segments, files),
    outputs,
    clients: clientsOf(end, places),
    quarantine: await new Quarantine(directory, files, SILENT).content(),
    problems,
  };
}

/** The end of the readable part. Sets the end of the last segment. */
async function endOf(segments: readonly Segment[], files: Files): Promise<Census> {
  const last = segments.at(-1);
  if (!last) return new Census();
  const seenMs = Math.floor(TIMES.wallMs() - (TIMES.monotonicMs() - last.writtenMs));
  let scan = await scanSegment(files, last, { seenMs });
  if (scan.census === null) {
    const before = segments.at(-2);
    const base = before ? (await scanSegment(files, before)).census : null;
    scan = await scanSegment(files, last, { seenMs, base: base ?? new Census(last.pointsBefore) });
  }
  last.end = last.first + scan.records;
  last.length = scan.goodLength;
  return scan.census ?? new Census(last.pointsBefore);
}

function clientsOf(end: Census, places: readonly Census[]): ClientEntry[] {
  const clients: ClientEntry[] = [];
  for (const [key, { name, instance, sequence, points, contactMs }] of end.clients) {
    const least = Math.min(...places.map((place) => place.clients.get(key)?.points ?? 0));
    const kept = Math.max(0, points - least);
    if (key === LOCAL_KEY && points === 0 || isMark({ name })) continue;
    clients.push({ name: name === LOCAL_ORIGIN ? "" : name, instance, sequence, kept, contactMs });
  }
  return clients.sort((a, b) => b.kept - a.kept || (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** How the batches of a segment ended. */
export interface BatchesEnd {
  readonly stop: RecordStop;
  /** Offset in bytes. */
  readonly offset: number;
  /** What is wrong, if it is `bad`. */
  readonly problem: string;
}

/**
 * Decodes the batches of a segment up to the first bad one.
 *
 * @returns How they ended; `null` if the file is gone. @throws errors of the file system.
 */
export async function* batchesOf(
  segment: Segment,
  files: Files,
): AsyncGenerator<{ number: number; batch: Batch }, BatchesEnd | null> {
  // Inspection must not add clients to the table.
  const clients = new ClientTable(Infinity);
  let source: SegmentSource;
  try {
    source = await SegmentSource.open(segment, { files, clients });
  } catch (error) {
    // The process that uses the journal deleted it meanwhile.
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  using _source = source;
  while (true) {
    const { offset } = source;
    const batch = await source.next();
    if (typeof batch === "string") return { stop: batch, offset, problem: source.problem };
    yield { number: source.number - 1, batch };
  }
}

async function firstTime(
  segments: readonly Segment[],
  from: number,
  files: Files,
): Promise<PointTime | null> {
  const at = Math.max(0, segments.findLastIndex(({ first }) => first <= from));
  for (const segment of segments.slice(at)) {
    if (segment.end !== null && segment.end <= from) continue;
    for await (const { number, batch } of batchesOf(segment, files)) {
      if (number >= from && batch.length > 0) return { seconds: batch.seconds[0], nanos: batch.nanos[0] };
    }
  }
  return null;
}

async function lastTime(segments: readonly Segment[], files: Files): Promise<PointTime | null> {
  for (const segment of segments.toReversed()) {
    let time: PointTime | null = null;
    for await (const { batch } of batchesOf(segment, files)) {
      const row = batch.length - 1;
      if (row >= 0) time = { seconds: batch.seconds[row], nanos: batch.nanos[row] };
    }
    if (time) return time;
  }
  return null;
}
