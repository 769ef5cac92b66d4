/** Decodes the batches of one segment. */
import { BatchDecoder } from "../../../batches/codec.ts";
import type { ClientRecord, ClientTable, Origin } from "../../../points/origins.ts";
import { messageOf } from "../../../base/errors.ts";
import type { Batch, BatchPool, Metric } from "../../../points/measurement.ts";
import { PostcardReader } from "../../../postcard.ts";
import type { Files } from "./files.ts";
import { OriginReader } from "./record.ts";
import { RecordReader, type RecordStop } from "./record_reader.ts";
import type { Segment } from "./segment.ts";

export interface SourceOptions {
  readonly files: Files;
  readonly clients: ClientTable;
  readonly makeMetric?: (metric: Metric) => Metric;
  readonly pool?: BatchPool;
  /** Called when the list of clients is damaged. The batches are valid without it. */
  readonly onBadSnapshot?: () => Promise<void>;
}

export class SegmentSource implements Disposable {
  readonly segment: Segment;
  /** Number of the next record, and the points that were written to the journal before it. */
  number: number;
  points: number;
  /** What is wrong with the `bad` record. */
  problem = "";
  readonly #records: RecordReader;
  readonly #decoder: BatchDecoder;
  readonly #reader: OriginReader<ClientRecord>;
  #origins: Origin[] = [];
  readonly #onBadSnapshot: () => Promise<void>;
  #started = false;

  private constructor(segment: Segment, records: RecordReader, options: SourceOptions) {
    this.segment = segment;
    this.number = segment.first;
    this.points = segment.pointsBefore;
    this.#records = records;
    const { clients, makeMetric, pool, onBadSnapshot = () => Promise.resolve() } = options;
    this.#onBadSnapshot = onBadSnapshot;
    this.#decoder = new BatchDecoder({ pool, makeMetric });
    this.#reader = new OriginReader({
      client: ({ name, instance }) => clients.get(name, instance),
      origin: (client, points, sequence) => {
        const start = this.#origins.at(-1)?.end ?? 0;
        this.#origins.push({ client, start, end: start + points, sequence });
      },
    });
  }

  /** @param buffer The buffer of a source that is no longer used. @throws errors of the file system. */
  static async open(
    segment: Segment,
    options: SourceOptions,
    buffer?: Uint8Array<ArrayBuffer>,
  ): Promise<SegmentSource> {
    return new SegmentSource(segment, await RecordReader.open(options.files, segment.path, buffer), options);
  }

  /** Offset of the next record, in bytes. */
  get offset(): number {
    return this.#records.offset;
  }

  get buffer(): Uint8Array<ArrayBuffer> {
    return this.#records.buffer;
  }

  [Symbol.dispose](): void {
    this.#decoder.close();
    this.#records[Symbol.dispose]();
  }

  /**
   * Returns the next batch. Its number is then {@linkcode SegmentSource.number} - 1.
   *
   * @throws errors of the file system.
   */
  async next(): Promise<Batch | RecordStop> {
    const { length } = this.segment;
    if (!this.#started) {
      const snapshot = await this.#records.next(length);
      if (typeof snapshot === "string") {
        const damage = snapshot === "end" ? null : await this.#records.skipDamage(length);
        if (damage === null || damage.what === "more") return snapshot;
        await this.#onBadSnapshot();
      }
      this.#started = true;
    }
    const payload = await this.#records.next(length);
    if (typeof payload === "string") {
      this.problem = "its checksum is wrong";
      return payload;
    }
    let batch: Batch;
    try {
      const reader = new PostcardReader(payload);
      this.#origins = [];
      this.#reader.read(reader);
      batch = this.#decoder.decode(payload, reader.offset);
    } catch (error) {
      this.problem = messageOf(error);
      return "bad";
    }
    if (this.#origins.length > 0 && this.#origins.at(-1)!.end !== batch.length) {
      batch.release();
      this.problem = "its points do not match its clients";
      return "bad";
    }
    batch.origins.push(...this.#origins);
    this.number++;
    this.points += batch.length;
    return batch;
  }
}
