/** Writes one segment: whole groups of records, each written and synced or taken back. */
import { BatchEncoder } from "../batch_codec.ts";
import { crc32c } from "../crc32c.ts";
import type { Entry } from "./reader.ts";
import { encodeHeader, HEADER_BYTES, RECORD_HEAD_BYTES, type Segment, segmentName } from "./segment.ts";

/** Records that are written and synced together take about this at most. */
const GROUP_BYTES = 1024 * 1024;

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}

export class SegmentWriter {
  readonly segment: Segment;
  /** Number of the next record. */
  next: number;
  readonly #file: Deno.FsFile;
  readonly #encoder = new BatchEncoder();
  #buffer = new Uint8Array(64 * 1024);
  #length = 0;

  private constructor(segment: Segment, file: Deno.FsFile) {
    this.segment = segment;
    this.next = segment.first;
    this.#file = file;
  }

  /** Begins a segment whose first record has the number `first`. */
  static async begin(directory: string, first: number, pointsBefore: number): Promise<SegmentWriter> {
    const path = `${directory}/${segmentName(first)}`;
    const file = await Deno.open(path, { create: true, write: true, truncate: true });
    try {
      await writeAll(file, encodeHeader(first, pointsBefore));
      await file.syncData();
      // The directory's entry must last as well.
      using folder = await Deno.open(directory);
      await folder.sync();
    } catch (error) {
      file.close();
      await Deno.remove(path).catch(() => {});
      throw error;
    }
    const segment = {
      path,
      first,
      pointsBefore,
      length: HEADER_BYTES,
      modifiedMs: Date.now(),
      lossCounted: false,
    };
    return new SegmentWriter(segment, file);
  }

  /**
   * Writes and syncs as many of the entries as make one group and have consecutive numbers.
   *
   * @param onReject Told of an entry that cannot be encoded: a fault of whoever made it. The group ends before it.
   * @returns How many were written.
   * @throws What the file system throws. The file is as before then, and this writer must not be used again.
   */
  async write(
    entries: readonly Entry[],
    maxBytes: number,
    onReject: (entry: Entry, error: RangeError) => void,
  ): Promise<number> {
    this.#length = 0;
    let count = 0;
    for (; count < entries.length && this.#length < Math.min(GROUP_BYTES, maxBytes); count++) {
      const entry = entries[count];
      if (entry.number !== this.next + count) break;
      try {
        this.#add(this.#encoder.encode(entry.batch));
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        onReject(entry, error);
        break;
      }
    }
    if (count === 0) return 0;
    const { segment } = this;
    try {
      await writeAll(this.#file, this.#buffer.subarray(0, this.#length));
      await this.#file.syncData();
    } catch (error) {
      await this.#file.truncate(segment.length).catch(() => {});
      throw error;
    }
    segment.length += this.#length;
    segment.modifiedMs = Date.now();
    this.next += count;
    return count;
  }

  close(): void {
    this.#file.close();
  }

  #add(payload: Uint8Array): void {
    const start = this.#length;
    const needed = start + RECORD_HEAD_BYTES + payload.length;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, start));
      this.#buffer = larger;
    }
    const view = new DataView(this.#buffer.buffer);
    view.setUint32(start, payload.length, true);
    view.setUint32(start + 4, crc32c(payload), true);
    this.#buffer.set(payload, start + RECORD_HEAD_BYTES);
    this.#length = needed;
  }
}
