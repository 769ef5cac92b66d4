/** The segments of a journal, in the order of their numbers. */
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { Census } from "./format/census.ts";
import type { Files } from "./format/files.ts";
import type { DiskJournalStats } from "./options.ts";
import { readSnapshotPayload, type Segment } from "./format/segment.ts";

export class Segments {
  readonly #list: Segment[] = [];
  readonly #stats: Pick<DiskJournalStats, "diskBytes">;
  readonly #files: Files;
  readonly #log: Logger;

  /** @param stats Gets the size of the files. */
  constructor(
    segments: readonly Segment[],
    stats: Pick<DiskJournalStats, "diskBytes">,
    files: Files,
    log: Logger,
  ) {
    this.#stats = stats;
    this.#files = files;
    this.#log = log;
    for (const segment of segments) this.add(segment);
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#stats.diskBytes;
  }

  get length(): number {
    return this.#list.length;
  }

  get first(): Segment | undefined {
    return this.#list[0];
  }

  get last(): Segment | undefined {
    return this.#list.at(-1);
  }

  /** The segment of a record or, if it is lost, the next or the last segment; and the segment after it. */
  find(number: number): { segment: Segment; next: Segment | undefined } | undefined {
    const list = this.#list;
    if (list.length === 0) return undefined;
    let at = list.length - 1;
    while (at > 0 && list[at].first > number) at--;
    return { segment: list[at], next: list[at + 1] };
  }

  /** The second segment. */
  get second(): Segment | undefined {
    return this.#list[1];
  }

  has(segment: Segment): boolean {
    return this.#list.includes(segment);
  }

  /** Appends a segment. It replaces one without records that begins with the same number. */
  add(segment: Segment): void {
    const last = this.#list.at(-1);
    if (last?.first === segment.first) {
      this.#stats.diskBytes -= last.fileBytes;
      this.#list.pop();
    }
    this.#list.push(segment);
    this.#stats.diskBytes += segment.fileBytes;
  }

  /** Sets the length of the file. */
  resize(segment: Segment, fileBytes: number): void {
    if (this.has(segment)) this.#stats.diskBytes += fileBytes - segment.fileBytes;
    segment.fileBytes = fileBytes;
  }

  /** Removes a segment and deletes its file. */
  remove(segment: Segment): void {
    this.#list.splice(this.#list.indexOf(segment), 1);
    this.#stats.diskBytes -= segment.fileBytes;
    try {
      this.#files.remove(segment.path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      this.#log.warn("Cannot delete a segment of the journal", {
        path: segment.path,
        error: messageOf(error),
      });
    }
  }

  /** Every client at the beginning of a segment, or `null` if that is not readable. */
  censusAt(segment: Segment): Census | null {
    try {
      const payload = readSnapshotPayload(this.#files, segment.path);
      return payload && Census.ofSnapshot(payload, segment.pointsBefore);
    } catch {
      return null;
    }
  }
}
