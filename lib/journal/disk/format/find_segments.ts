/** Finds the segments in a directory by their headers. */
import { messageOf } from "../../../base/errors.ts";
import type { Files } from "./files.ts";
import type { Times } from "../options.ts";
import { numberOfName, readHeader, type Segment, type SegmentHeader, segmentName } from "./segment.ts";

export interface FoundSegments {
  /** Segments with valid headers, ordered by number. Only their headers have been read. */
  readonly segments: Segment[];
  /** The problems of other files with names of segments, by path. */
  readonly problems: Map<string, string>;
  /** The formats of those of {@linkcode problems} that another version of this program wrote, by path. */
  readonly otherFormats: Map<string, string>;
  /** Segments with the name of another segment; the header decides. */
  readonly misnamed: string[];
}

interface Candidate {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly isNamedWell: boolean;
  readonly size: number;
  /** Time of the last change, in ms since the epoch; `null` if the file system does not say. */
  readonly changedMs: number | null;
}

/** Never throws: an unreadable file is a problem. @param names The names of all files in the directory. */
export async function findSegments(
  directory: string,
  names: readonly string[],
  files: Files,
  times: Times,
): Promise<FoundSegments> {
  const problems = new Map<string, string>();
  const otherFormats = new Map<string, string>();
  const candidates: Candidate[] = [];
  for (const name of names) {
    if (numberOfName(name) === null) continue;
    const path = `${directory}/${name}`;
    try {
      const header = readHeader(files, path);
      const { size, mtime } = await files.stat(path);
      if ("problem" in header) {
        problems.set(path, header.problem);
        if (header.otherFormat) otherFormats.set(path, header.otherFormat);
      } else {
        const isNamedWell = segmentName(header.first) === name;
        candidates.push({ path, header, isNamedWell, size, changedMs: mtime?.getTime() ?? null });
      }
    } catch (error) {
      problems.set(path, messageOf(error));
    }
  }
  candidates.sort((a, b) => a.header.first - b.header.first || Number(b.isNamedWell) - Number(a.isNamedWell));
  const segments: Segment[] = [];
  const misnamed: string[] = [];
  for (const { path, header, isNamedWell, size, changedMs } of candidates) {
    const before = segments.at(-1);
    if (before?.first === header.first) {
      problems.set(path, `it begins with the same record as ${before.path}`);
      continue;
    }
    if (!isNamedWell) misnamed.push(path);
    const writtenMs = times.monotonicMs() - Math.max(0, times.wallMs() - (changedMs ?? Infinity));
    segments.push({
      ...header,
      path,
      length: size,
      fileBytes: size,
      end: null,
      begunMs: writtenMs,
      writtenMs,
      lostPoints: 0,
    });
  }
  return { segments, problems, otherFormats, misnamed };
}
