/**
 * Acknowledged delivery, the client's side (see docs/protocol.md): each batch of the journal goes as one message with
 * its number, in the codec of {@linkcode ../batches/codec.ts}, and is committed when the server acknowledges it.
 */
import type { Dialled } from "./dial.ts";
import type { Welcomed } from "./handshake.ts";
import { BatchEncoder } from "../batches/codec.ts";
import { enlarged } from "../base/bytes.ts";
import type { MonotonicClock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { messageOf } from "../base/errors.ts";
import { checkOf, EMPTY_CHECK } from "../points/batch_check.ts";
import { Batch } from "../points/measurement.ts";
import type { BufferOptions, Outbox, Parcel, SenderStats } from "./outbox.ts";
import { putVarint } from "../postcard.ts";
import { Rhythm } from "../base/rhythm.ts";
import { FRAME_HEADER_BYTES, MAX_BODY_BYTES, MESSAGE } from "../wire/protocol.ts";
import { writeAll } from "../net/transport.ts";
import { Wakeup } from "../base/waiting.ts";

/** Points that may wait for an acknowledgement: about a tenth of a second at full speed. */
const WINDOW_POINTS = 256 * 1024;
/** Batches that may wait for one. */
const WINDOW_BATCHES = 8192;
/** How long a batch of an earlier run of the process may take to be read from the journal, in ms. */
const READ_MS = 1000;
/** How long a hop gathers points of its clients, at most, in ms. */
const PASSING_MS = 50;
/** Bytes of sender, discriminant and number before a batch, at most. */
const MAX_HEAD_BYTES = 12;
/** Bytes of one write while earlier batches are sent again. */
const WRITE_BYTES = 64 * 1024;

/** Sends batches to a server of ours. */
export class AcknowledgedSender {
  readonly #stats: SenderStats;
  readonly #outbox: Outbox;
  readonly #buffer: BufferOptions;
  readonly #log: Logger;
  readonly #clock: MonotonicClock;
  /** When batches of a hop come. */
  readonly #rhythm = new Rhythm(PASSING_MS);
  #encoder!: BatchEncoder;
  /** Messages that are not written yet. */
  #bytes = new Uint8Array(16 * 1024);
  #length = 0;
  /** When they must be written, by the clock. */
  #deadline = 0;
  /** Number of the last batch in this connection's stream. */
  #last = 0;
  /** Number of the last batch that was written, or is being written, on this connection. */
  #written = 0;
  /** The highest number sent so far, on any connection. */
  #highest = 0;
  readonly #wakeup = new Wakeup();

  constructor(
    outbox: Outbox,
    buffer: BufferOptions,
    stats: SenderStats,
    log: Logger,
    clock: MonotonicClock,
  ) {
    this.#outbox = outbox;
    this.#buffer = buffer;
    this.#stats = stats;
    this.#log = log;
    this.#clock = clock;
  }

  /** Whether the server owes an acknowledgement for something that was written on this connection. */
  get isUnanswered(): boolean {
    const { parcels } = this.#outbox;
    return parcels.length > 0 && parcels[0].sequence <= this.#written;
  }

  /** The server has everything up to this number. @returns whether that is new. */
  acknowledge(sequence: number): boolean {
    const before = this.#outbox.parcels.length;
    this.#stats.acknowledgedPoints += this.#outbox.commitUpTo(sequence);
    this.#wakeup.wake();
    return this.#outbox.parcels.length < before;
  }

  /**
   * Compares the last batch that the server has with the one that this journal has under its number, where it is still
   * here: another client may use the same instance id.
   *
   * @returns `false` if they differ. @throws if the signal is aborted.
   */
  async isSame({ last }: Welcomed, signal: AbortSignal): Promise<boolean> {
    const outbox = this.#outbox;
    const { reader } = outbox;
    if (!last) return true;
    // After a restart it may have been acknowledged, and still be in the journal.
    while (reader.position + 1 < last.sequence && reader.pendingPoints > outbox.points && !this.#isFull) {
      const state = await reader.wait(READ_MS, signal);
      signal.throwIfAborted();
      if (state !== "ready") break;
      outbox.take();
    }
    const parcel = outbox.find(last.sequence);
    return !parcel || last.check === EMPTY_CHECK || last.check === checkOf(parcel.batch);
  }

  /** No more batches may be under way. */
  get #isFull(): boolean {
    return this.#outbox.points >= WINDOW_POINTS || this.#outbox.parcels.length >= WINDOW_BATCHES;
  }

  /**
   * Sends the batches that are not acknowledged again, then new ones, until the journal has ended and all are
   * acknowledged.
   *
   * @throws when writing fails or the signal is aborted.
   */
  async run(
    conn: Dialled,
    { sequence, maxSeries, reusesPlaces }: Welcomed,
    signal: AbortSignal,
  ): Promise<void> {
    const outbox = this.#outbox;
    this.#encoder = new BatchEncoder({ maxSeries, reusesPlaces });
    this.#length = 0;
    this.#last = this.#written = 0;
    this.acknowledge(sequence);
    // Acknowledgements remove parcels while this waits.
    for (let next: Parcel | undefined = outbox.parcels[0]; next; next = outbox.after(next.sequence)) {
      this.#put(next);
      if (this.#length >= WRITE_BYTES) await this.#flush(conn);
      signal.throwIfAborted();
    }
    await this.#flush(conn);

    while (true) {
      signal.throwIfAborted();
      if (this.#isFull) {
        // Acknowledgements may arrive while this waits for the socket.
        if (this.#length > 0) await this.#flush(conn);
        else await this.#wakeup.wait(Infinity, signal);
        continue;
      }
      const left = this.#length > 0 ? this.#deadline - this.#clock.monotonicMs() : Infinity;
      const state = await outbox.reader.wait(left, signal);
      if (state === "aborted") continue;
      if (state === "ready") {
        const parcel = outbox.take()!;
        // From an earlier run of this process; the server has it.
        if (parcel.sequence <= sequence) {
          this.acknowledge(sequence);
          continue;
        }
        this.#put(parcel);
        if (this.#length < Math.max(1, this.#buffer.maxBytes) && this.#clock.monotonicMs() < this.#deadline) {
          continue;
        }
      }
      await this.#flush(conn);
      if (state !== "ended") continue;
      while (outbox.parcels.length > 0) {
        signal.throwIfAborted();
        await this.#wakeup.wait(Infinity, signal);
      }
      return;
    }
  }

  /** Appends a batch to the messages to write. */
  #put({ sequence, batch }: Parcel): void {
    const stats = this.#stats;
    if (this.#length === 0) this.#deadline = Infinity;
    const now = this.#clock.monotonicMs();
    // Points of other clients have waited there already, and these clients wait for an acknowledgement.
    const waitMs = batch.origins.length > 0 ? this.#passingMs(now) : Infinity;
    this.#deadline = Math.min(this.#deadline, now + Math.min(this.#buffer.timeoutMs, waitMs));
    const payload = this.#encode(batch);
    this.#reserve(FRAME_HEADER_BYTES + MAX_HEAD_BYTES + payload.length);
    const bytes = this.#bytes;
    const start = this.#length;
    let at = start + FRAME_HEADER_BYTES;
    bytes[at++] = 0;
    bytes[at++] = MESSAGE.batch;
    at = putVarint(bytes, at, sequence - this.#last);
    bytes.set(payload, at);
    at += payload.length;
    new DataView(bytes.buffer).setUint32(start, at - start - FRAME_HEADER_BYTES);
    this.#length = at;
    this.#last = sequence;
    if (sequence > this.#highest) {
      this.#highest = sequence;
      stats.sentPoints += batch.length;
    } else stats.resentPoints += batch.length;
    stats.sentMessages++;
  }

  /** A batch of a hop has come. @returns how long it waits for others, in ms */
  #passingMs(now: number): number {
    this.#rhythm.add(now);
    return this.#rhythm.isSlow ? 0 : PASSING_MS;
  }

  /** A batch that cannot be encoded is given up: only its number is sent. */
  #encode(batch: Batch): Uint8Array {
    let problem: string;
    try {
      const payload = this.#encoder.encode(batch);
      if (payload.length <= MAX_BODY_BYTES - MAX_HEAD_BYTES) return payload;
      problem = `it takes ${payload.length} bytes`;
      this.#encoder.reset();
    } catch (error) {
      problem = messageOf(error);
    }
    this.#log.error("A batch cannot be sent and is given up", { points: batch.length, problem });
    this.#stats.unsendablePoints += batch.length;
    return this.#encoder.encode(new Batch(0));
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed > this.#bytes.length) this.#bytes = enlarged(this.#bytes, this.#length, needed);
  }

  async #flush(conn: Dialled): Promise<void> {
    this.#written = this.#last;
    await writeAll(conn, this.#bytes.subarray(0, this.#length));
    this.#stats.sentBytes += this.#length;
    this.#length = 0;
  }
}
