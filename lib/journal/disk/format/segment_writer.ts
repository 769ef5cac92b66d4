/** Writes one segment: groups of records, each of which is written and synced, or taken back. */
import { BatchEncoder } from "../../../batches/codec.ts";
import { seriesStore } from "../../../points/series_store.ts";
import { PostcardWriter } from "../../../postcard.ts";
import { type Files, type JournalFile, replaceFile, syncDirectory, writeAll } from "./files.ts";
import { OriginWriter } from "./record.ts";
import {
  encodeHeader,
  HEADER_BYTES,
  putRecordHead,
  RECORD_HEAD_BYTES,
  type Segment,
  segmentName,
} from "./segment.ts";
import { type ClientState, encodeSnapshot } from "./snapshot.ts";
import type { Entry } from "../tail.ts";

/** The most bytes of a group, approximately. */
const GROUP_BYTES = 1024 * 1024;
/** A larger buffer is not kept after its group, in bytes. */
const KEPT_BUFFER_BYTES = 2 * GROUP_BYTES;

export class SegmentWriter {
  readonly segment: Segment;
  /** Number of the next record. */
  next: number;
  /** Bytes of its header and snapshot. */
  readonly startBytes: number;
  /** In its records. */
  points = 0;
  readonly #file: JournalFile;
  readonly #encoder = new BatchEncoder({ maxDictionaryBytes: seriesStore.maxDictionaryBytes });
  readonly #origins = new OriginWriter();
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(64 * 1024);
  #length = 0;
  #encoded = 0;

  /** Series that it has defined, which other segments define again. */
  get seriesCount(): number {
    return this.#encoder.seriesCount;
  }

  private constructor(segment: Segment, file: JournalFile) {
    this.segment = segment;
    this.startBytes = segment.length;
    this.next = segment.first;
    this.#file = file;
  }

  /**
   * Begins a segment whose first record has the number `first`. The file appears with its complete snapshot.
   *
   * @throws errors of the file system.
   */
  static async begin(
    files: Files,
    directory: string,
    place: { first: number; pointsBefore: number; clients: readonly ClientState[] },
    nowMs: number,
  ): Promise<SegmentWriter> {
    const path = `${directory}/${segmentName(place.first)}`;
    const header = { first: place.first, pointsBefore: place.pointsBefore, missing: 0 };
    const snapshot = encodeSnapshot(place.clients);
    const length = HEADER_BYTES + RECORD_HEAD_BYTES + snapshot.length;
    const bytes = new Uint8Array(length);
    bytes.set(encodeHeader(header));
    bytes.set(snapshot, HEADER_BYTES + RECORD_HEAD_BYTES);
    putRecordHead(bytes, HEADER_BYTES, length);
    await replaceFile(path, bytes, files);
    await syncDirectory(directory, files);
    const file = await files.open(path, { append: true });
    return new SegmentWriter({
      ...header,
      path,
      length,
      fileBytes: length,
      end: null,
      begunMs: nowMs,
      writtenMs: nowMs,
      lostPoints: 0,
    }, file);
  }

  /**
   * Encodes entries with consecutive numbers, as many as fit into one group, for {@linkcode SegmentWriter.flush}.
   *
   * @param maxBytes Bytes that the segment may still take, approximately.
   * @returns The number of encoded entries, and the error of the next entry if it cannot be encoded. After an error this
   *   writer must not be used for later entries.
   */
  encode(entries: readonly Entry[], maxBytes: number): { count: number; error?: RangeError } {
    if (this.#buffer.length > KEPT_BUFFER_BYTES) this.#buffer = new Uint8Array(64 * 1024);
    this.#length = 0;
    let count = 0;
    let error: RangeError | undefined;
    for (; count < entries.length && this.#length < Math.min(GROUP_BYTES, maxBytes); count++) {
      const { number, batch } = entries[count];
      if (number !== this.next + count) break;
      try {
        const encoded = this.#encoder.encode(batch);
        const before = new PostcardWriter(16 + 40 * batch.origins.length);
        this.#origins.write(before, batch.origins);
        this.#add(before.written, encoded);
        this.points += batch.length;
      } catch (thrown) {
        if (!(thrown instanceof RangeError)) throw thrown;
        error = thrown;
        break;
      }
    }
    this.#encoded = count;
    return { count, error };
  }

  /**
   * Writes and syncs the encoded records.
   *
   * @throws errors of the file system. The file is then as before, and this writer must not be used again.
   */
  async flush(nowMs: () => number): Promise<void> {
    const { segment } = this;
    try {
      await writeAll(this.#file, this.#buffer.subarray(0, this.#length));
      await this.#file.syncData();
    } catch (error) {
      await this.#file.truncate(segment.length).catch(() => {});
      throw error;
    }
    segment.length += this.#length;
    segment.writtenMs = nowMs();
    this.next += this.#encoded;
    this.#encoded = 0;
  }

  /** Closes the file. */
  close(): void {
    this.segment.end = this.next;
    this.#file.close();
  }

  #add(origins: Uint8Array, batch: Uint8Array): void {
    const start = this.#length;
    const end = start + RECORD_HEAD_BYTES + origins.length + batch.length;
    if (end > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(end, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, start));
      this.#buffer = larger;
    }
    this.#buffer.set(origins, start + RECORD_HEAD_BYTES);
    this.#buffer.set(batch, start + RECORD_HEAD_BYTES + origins.length);
    putRecordHead(this.#buffer, start, end);
    this.#length = end;
  }
}
