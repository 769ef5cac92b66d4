/**
 * Acknowledged delivery, the server's end of one connection (see docs/protocol.md): it takes each numbered batch once,
 * and acknowledges it when it is safe.
 */
import type { BatchBuilder } from "../points/batch_builder.ts";
import { BatchCodecError, BatchDecoder } from "../batches/codec.ts";
import { checkOf } from "../points/batch_check.ts";
import type { ClientRecord } from "../points/origins.ts";
import type { ClientMetrics } from "./client_metrics.ts";
import type { FrameReader } from "../wire/frames.ts";
import { Batch, CLIENT_ATTRIBUTE, type Metric } from "../points/measurement.ts";
import { FIRST_SERIES, type RawSeries, type SeriesStore } from "../points/series_store.ts";
import { PostcardReader } from "../postcard.ts";
import { encodeFrame, MESSAGE, MESSAGE_END, ProtocolViolation, readSequence } from "../wire/protocol.ts";
import { RegistryError } from "../points/registry.ts";
import { type Transport, writeAll } from "../net/transport.ts";

/** When a batch is safe: when a crash cannot take it away, or when each output has stored it. */
export type Safety = "durable" | "stored";

export interface AcknowledgedReceiverOptions {
  conn: Transport;
  client: ClientRecord;
  metrics: ClientMetrics;
  builder: BatchBuilder;
  /** When a batch is acknowledged. */
  safety: Safety;
  /** Whether the client may pass on points of other clients, under their names. */
  forward: boolean;
  /** Series that the client may have in its stream. */
  maxSeries: number;
  /** Bytes of kinds and of keys of attributes. */
  maxNameBytes: number;
  /** Counters to update. */
  stats: { points: number; duplicatePoints: number; rejectedPoints: number };
  onRefusedMetric: (problem: string) => void;
  /** Where it is while some batches are not acknowledged. */
  unacknowledged: Set<AcknowledgedReceiver>;
}

/** Instead of numbers of series: what becomes of their points. */
const REFUSED_METRIC = 1;
const LONG_NAME = 2;

/** Takes the batches of a client of ours. */
export class AcknowledgedReceiver implements Disposable {
  readonly #options: AcknowledgedReceiverOptions;
  readonly #decoder: BatchDecoder;
  readonly #store: SeriesStore;
  /** Takes batches that the client sends again: they must be decoded because later ones refer to their series. */
  #discarded: Batch | null = null;
  /** Metrics that were refused. */
  readonly #refused = new Set<Metric>();
  /** Some series of the stream are refused. */
  #hasRefused = false;
  /** Points of series with a name that is too long. */
  longNames = 0;
  /** Number of the last batch on this connection. */
  #sequence = 0;
  readonly #welcomed: number;
  #acknowledged: number;
  #saidMs = performance.now();
  #saying = false;

  /** @param welcomed The last batch that the client has been told is safe. */
  constructor(options: AcknowledgedReceiverOptions, welcomed: number) {
    this.#options = options;
    this.#acknowledged = this.#welcomed = welcomed;
    const { client, metrics, builder } = options;
    this.#store = builder.store;
    this.#decoder = new BatchDecoder({
      store: this.#store,
      maxSeries: options.maxSeries,
      makeMetric: (metric) => {
        try {
          return metrics.register(metric, client.name);
        } catch (error) {
          if (!(error instanceof RegistryError)) throw error;
          this.#refused.add(metric);
          options.onRefusedMetric(error.message);
          return metric;
        }
      },
      intern: (series) => this.#intern(series),
    });
  }

  #intern(series: RawSeries): number {
    const { maxNameBytes, forward, client } = this.#options;
    let refusal = 0;
    if (this.#refused.has(series.metric)) refusal = REFUSED_METRIC;
    else if (series.longestName > maxNameBytes) refusal = LONG_NAME;
    if (refusal !== 0) {
      this.#hasRefused = true;
      return refusal;
    }
    const isNamed = series.client !== null || series.namesClient;
    if (!isNamed || !series.namesClient && !forward) {
      return this.#store.internRaw(series, client.name);
    }
    const number = this.#store.internRaw(series);
    return forward ? number : this.#renamed(number);
  }

  /** The same series with the name of this client alone, which may not speak for others. */
  #renamed(number: number): number {
    const { attributes, ...rest } = this.#store.definitionOf(number);
    const own = attributes.filter(([key]) => key !== CLIENT_ATTRIBUTE);
    own.push([CLIENT_ATTRIBUTE, this.#options.client.name]);
    return this.#store.internDefinition({ ...rest, attributes: own });
  }

  /** Lets the series of the stream go. */
  [Symbol.dispose](): void {
    this.#decoder.close();
    this.#options.unacknowledged.delete(this);
  }

  /** Some batches are not acknowledged yet. */
  get waiting(): boolean {
    return this.#sequence > this.#acknowledged;
  }

  /**
   * Takes the message that `frames` has found.
   *
   * @returns how many points of it are kept; 0 for a batch that was taken before.
   * @throws {ProtocolViolation} if it is not a batch, or is another one than the batch that had its number.
   * @throws {PostcardError | BatchCodecError} if it is malformed; nothing of it is kept then.
   */
  take(frames: FrameReader): number {
    const { bytes } = frames;
    const reader = new PostcardReader(bytes, frames.start, frames.end);
    // The sender is the client that greeted.
    reader.string();
    const discriminant = reader.discriminant(MESSAGE_END);
    if (discriminant !== MESSAGE.batch) {
      throw new ProtocolViolation(`unexpected message number ${discriminant}`);
    }
    const { client, builder, stats } = this.#options;
    const sequence = this.#sequence + readSequence(reader);
    if (sequence <= this.#sequence || sequence > Number.MAX_SAFE_INTEGER) {
      throw new BatchCodecError("malformed", `batch ${sequence} comes after batch ${this.#sequence}`);
    }
    client.lastContactMs = Date.now();
    if (sequence <= client.accepted) {
      const discarded = this.#discarded ??= new Batch();
      this.#decoder.decode(bytes, reader.offset, reader.end, () => discarded);
      // It was told about what came before.
      if (sequence > this.#welcomed) this.#compare(sequence, discarded);
      client.receivedPoints += discarded.length;
      client.duplicatePoints += discarded.length;
      stats.duplicatePoints += discarded.length;
      discarded.clear();
      this.#sequence = sequence;
      this.#options.unacknowledged.add(this);
      // It may be safe already.
      this.acknowledge();
      return 0;
    }
    let before = 0;
    const bytesBefore = this.#store.newBytes;
    const batch = this.#decoder.decode(bytes, reader.offset, reader.end, (points) => {
      const room = builder.room(points);
      before = room.length;
      return room;
    });
    const received = batch.length - before;
    batch.newSeriesBytes += this.#store.newBytes - bytesBefore;
    const check = checkOf(batch, before);
    if (this.#hasRefused) batch.retain(before, (series) => this.#isTaken(series));
    const points = batch.length - before;
    batch.credit(client, sequence);
    builder.add(batch);
    this.#sequence = client.numbers.accepted = sequence;
    this.#options.unacknowledged.add(this);
    client.numbers.checks.add(sequence, check);
    client.receivedPoints += received;
    client.rejectedPoints += received - points;
    stats.points += points;
    stats.rejectedPoints += received - points;
    return points;
  }

  /** @throws {ProtocolViolation} if another connection has brought another batch under this number. */
  #compare(sequence: number, batch: Batch): void {
    const { numbers, instance } = this.#options.client;
    if (numbers.checks.of(sequence) === checkOf(batch)) return;
    batch.clear();
    throw new ProtocolViolation(
      `its batch ${sequence} is not the batch ${sequence} that the server has: two clients use the instance id ` +
        `${instance} (was a machine cloned, or a state directory copied?)`,
    );
  }

  #isTaken(series: number): boolean {
    if (series === LONG_NAME) this.longNames++;
    return series >= FIRST_SERIES;
  }

  /** Acknowledges the batches that have become safe, if there are any. */
  acknowledge(): void {
    if (this.#safe() > this.#acknowledged) void this.#say();
  }

  /** Repeats the last acknowledgement as a sign of life, if the client has waited for `afterMs`. */
  beat(now: number, afterMs: number): void {
    if (this.waiting && now - this.#saidMs > afterMs) void this.#say();
  }

  #safe(): number {
    const { client, safety } = this.#options;
    // Another connection of the same client may have sent more.
    return Math.min(client[safety], this.#sequence);
  }

  async #say(): Promise<void> {
    if (this.#saying) return;
    this.#saying = true;
    try {
      do {
        this.#saidMs = performance.now();
        const sequence = this.#safe();
        await writeAll(this.#options.conn, encodeFrame("", { type: "acknowledge", sequence }));
        this.#acknowledged = Math.max(this.#acknowledged, sequence);
      } while (this.#safe() > this.#acknowledged);
      if (!this.waiting) this.#options.unacknowledged.delete(this);
    } catch {
      // The connection is gone; the next read fails as well.
    }
    this.#saying = false;
  }
}
