/** Reads a whole journal and reports what is wrong with it. Changes nothing. */
import { messageOf } from "../../../base/errors.ts";
import { lockHolder } from "../../../base/file_lock.ts";
import { ClientTable } from "../../../points/origins.ts";
import { loadCursors } from "../format/cursor.ts";
import { type Files, SYSTEM_FILES } from "../format/files.ts";
import { findSegments } from "../format/find_segments.ts";
import { readIdentity } from "../format/identity.ts";
import type { RecordStop } from "../format/record_reader.ts";
import { HEADER_BYTES, type Segment } from "../format/segment.ts";
import { SegmentSource } from "../format/segment_source.ts";

/** A problem. */
export interface Problem {
  readonly path: string;
  /** Offset in the file in bytes, if known. */
  readonly offset?: number;
  readonly problem: string;
}

export interface CheckResult {
  segments: number;
  records: number;
  points: number;
  problems: Problem[];
  /** Unusual facts that are not problems. */
  notes: string[];
}

/** @throws errors of the file system when it lists the directory. */
export async function check(directory: string, files: Files = SYSTEM_FILES): Promise<CheckResult> {
  const result: CheckResult = { segments: 0, records: 0, points: 0, problems: [], notes: [] };
  const { problems, notes } = result;
  const times = { wallMs: () => 0, monotonicMs: () => 0 };
  const found = await findSegments(directory, await files.list(directory), files, times);
  for (const [path, problem] of found.problems) problems.push({ path, problem });
  for (const path of found.misnamed) {
    notes.push(`${path} has the name of another segment, and is used anyway`);
  }
  for (const [path, position] of await loadCursors(files, directory)) {
    if (position === null) {
      problems.push({ path, problem: "it is damaged: its output will get all points in the journal again" });
    }
  }
  if (readIdentity(files, directory) === null) {
    problems.push({
      path: `${directory}/journal.id`,
      problem: "it cannot be read: the journal will get a new id",
    });
  }
  let before: Segment | null = null;
  let points = 0;
  for (const segment of found.segments) {
    const isLast = segment === found.segments.at(-1);
    const end = await checkSegment(segment, isLast, files, directory, result);
    if (end === null) {
      notes.push(`${segment.path} was deleted meanwhile by the process that uses the journal`);
      before = null;
      continue;
    }
    result.segments++;
    const gap = segment.pointsBefore - segment.missing - points;
    if (before && gap > 0) {
      problems.push({
        path: segment.path,
        problem: `${gap} points are missing between ${before.path} and this segment`,
      });
    } else if (before && segment.missing > 0) {
      notes.push(`${segment.missing} points before ${segment.path} are known to be lost`);
    }
    points = end;
    before = segment;
  }
  return result;
}

/** @returns The points that were written to the journal up to the end of the segment; `null` if the file is gone. */
async function checkSegment(
  segment: Segment,
  isLast: boolean,
  files: Files,
  directory: string,
  result: CheckResult,
): Promise<number | null> {
  const { path } = segment;
  const { problems, notes } = result;
  const isUsed = () => lockHolder(`${directory}/lock`) !== null;
  const onBadSnapshot = () => {
    problems.push({ path, offset: HEADER_BYTES, problem: "the list of clients is damaged" });
    return Promise.resolve();
  };
  let offset: number | undefined;
  try {
    using source = await SegmentSource.open(segment, {
      files,
      clients: new ClientTable(Infinity),
      onBadSnapshot,
    });
    let stop: RecordStop | undefined;
    while (stop === undefined) {
      offset = source.offset;
      const batch = await source.next();
      if (typeof batch === "string") stop = batch;
    }
    result.records += source.number - segment.first;
    result.points += source.points - segment.pointsBefore;
    if (stop === "bad") {
      problems.push({ path, offset, problem: `the record there is damaged: ${source.problem}` });
    } else if (stop === "torn") {
      const left = segment.length - offset!;
      if (isLast && isUsed()) notes.push(`${path}: ${left} bytes at the end are being written`);
      else {
        problems.push({
          path,
          offset,
          problem: isLast
            ? `the last ${left} bytes are an incomplete record, as after a crash; the next start cuts them off`
            : `the file ends in the middle of a record, ${left} bytes after the last complete one`,
        });
      }
    }
    return source.points;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && isUsed()) return null;
    problems.push({ path, offset, problem: messageOf(error) });
    return segment.pointsBefore;
  }
}
