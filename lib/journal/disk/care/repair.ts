/**
 * Does for all segments what a start does for the last one: it cuts off damaged parts and keeps copies, and the rest
 * becomes usable. Afterwards a check finds no problem, because the segments record what was lost.
 */
import { EXIT, ExitError, messageOf } from "../../../base/errors.ts";
import { lockFile } from "../../../base/file_lock.ts";
import type { LogFields, Logger } from "../../../base/log.ts";
import { Census } from "../format/census.ts";
import { loadCursors, outputOf } from "../format/cursor.ts";
import { type Files, replaceFile, SYSTEM_FILES } from "../format/files.ts";
import { identify, readIdentity, SPARE_NUMBERS } from "../format/identity.ts";
import { newStats } from "../options.ts";
import { Quarantine } from "../quarantine.ts";
import { RecordReader } from "../format/record_reader.ts";
import { censusBefore, cut, recover, settleDamage } from "../recover.ts";
import { type Scan, scanSegment } from "../format/scan.ts";
import {
  encodeHeader,
  HEADER_BYTES,
  putRecordHead,
  RECORD_HEAD_BYTES,
  type Segment,
} from "../format/segment.ts";
import { encodeSnapshot } from "../format/snapshot.ts";

/** The result of a repair. */
export interface Repair {
  /** The actions, in words. */
  readonly actions: string[];
  /** Points that are lost, as far as they can be counted. */
  lostPoints: number;
}

/** A log that collects each line as a text. */
function keptLog(lines: string[]): Logger {
  const keep = (message: string, fields: LogFields = {}) => {
    const facts = Object.entries(fields).filter(([, value]) => value !== undefined);
    lines.push(facts.length === 0 ? message : `${message}: ${facts.map(([k, v]) => `${k} ${v}`).join(", ")}`);
  };
  const log: Logger = { error: keep, warn: keep, info: keep, debug: keep, trace: keep, for: () => log };
  return log;
}

/**
 * @throws {ExitError} 69 if a process uses the journal or the directory is unusable; 65 if another version of this program
 * wrote it.
 */
export async function repair(directory: string, files: Files = SYSTEM_FILES): Promise<Repair> {
  const where = `Cannot repair the journal in ${directory}`;
  let lock;
  try {
    lock = await lockFile(`${directory}/lock`);
  } catch (error) {
    throw new ExitError(EXIT.unavailable, `${where}: ${messageOf(error)}`, { cause: error });
  }
  if (!("file" in lock)) {
    throw new ExitError(EXIT.unavailable, `${where}: ${lock.holder} uses it. Stop that process first`);
  }
  try {
    return await repairLocked(directory, files);
  } catch (error) {
    if (error instanceof ExitError) throw error;
    throw new ExitError(EXIT.unavailable, `${where}: ${messageOf(error)}`, { cause: error });
  } finally {
    lock.file.close();
  }
}

async function repairLocked(directory: string, files: Files): Promise<Repair> {
  const actions: string[] = [];
  const log = keptLog(actions);
  const times = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };
  const quarantine = new Quarantine(directory, files, log);
  const stats = newStats();
  const cursors = await loadCursors(files, directory);
  for (const [path, position] of cursors) {
    if (position !== null) continue;
    files.remove(path);
    actions.push(
      `The cursor of ${
        outputOf(path)
      } was damaged and has been removed: the output gets all points in the journal again`,
    );
  }
  const found = await recover({ directory, files, log, stats, quarantine, cursors, times });
  const { segments, next, end } = found;
  if (readIdentity(files, directory) === null) await identify(files, directory, Deno.hostname(), next, log);
  const first = Math.max(next, readIdentity(files, directory)?.numbers ?? 0) + SPARE_NUMBERS;
  await settleDamage(found, first, { directory, files, log, times });

  const result: Repair = { actions, lostPoints: stats.damagedPoints };
  let before: { points: number } | null = null;
  for (const segment of segments) {
    let scan = await scanSegment(files, segment, { base: new Census() });
    if (scan.badSnapshot) {
      await replaceSnapshot(segment, await censusBefore(segment.first, segments, end, files), files);
      actions.push(`${segment.path}: its damaged list of clients was rebuilt`);
      scan = await scanSegment(files, segment);
    }
    if (scan.stop !== "end") await cutOff(segment, scan, files, log, quarantine);
    const missing = before ? segment.pointsBefore - before.points : segment.missing;
    if (missing > 0 && missing !== segment.missing) {
      await replaceHeader(segment, missing, files);
      actions.push(`${missing} points before ${segment.path} are lost; the segment now records that`);
      result.lostPoints += missing - segment.missing;
    }
    before = { points: scan.census?.points ?? segment.pointsBefore };
  }
  return result;
}

/** Ends a segment before its first damaged record, and keeps a copy. */
async function cutOff(
  segment: Segment,
  scan: Scan,
  files: Files,
  log: Logger,
  quarantine: Quarantine,
): Promise<void> {
  const { size } = await files.stat(segment.path);
  const failure = await quarantine.add(segment.path, "copy", Date.now());
  if (failure !== null) throw new Error(`Cannot copy ${segment.path} to quarantine/: ${failure}`);
  await cut(segment, scan.goodLength, files, log);
  log.info("A damaged record and everything after it were cut off, a copy is in quarantine/", {
    path: segment.path,
    at_byte: scan.goodLength,
    bytes: size - scan.goodLength,
    problem: scan.problem ?? "it is incomplete",
  });
}

async function contentOf(segment: Segment, files: Files): Promise<Uint8Array<ArrayBuffer>> {
  return files.readStart(segment.path, (await files.stat(segment.path)).size);
}

async function replaceHeader(segment: Segment, missing: number, files: Files): Promise<void> {
  const bytes = await contentOf(segment, files);
  bytes.set(encodeHeader({ ...segment, missing }));
  await replaceFile(segment.path, bytes, files);
}

async function replaceSnapshot(segment: Segment, census: Census, files: Files): Promise<void> {
  const bytes = await contentOf(segment, files);
  using reader = await RecordReader.open(files, segment.path);
  await reader.next(segment.length);
  await reader.skipDamage(segment.length);
  const records = bytes.subarray(reader.offset);
  const snapshot = encodeSnapshot([...census.clients.values()]);
  const start = HEADER_BYTES + RECORD_HEAD_BYTES + snapshot.length;
  const whole = new Uint8Array(start + records.length);
  whole.set(bytes.subarray(0, HEADER_BYTES));
  whole.set(snapshot, HEADER_BYTES + RECORD_HEAD_BYTES);
  putRecordHead(whole, HEADER_BYTES, start);
  whole.set(records, start);
  await replaceFile(segment.path, whole, files);
  segment.length = segment.fileBytes = whole.length;
}
