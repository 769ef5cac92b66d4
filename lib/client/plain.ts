/**
 * Gathers batches and writes them to the connection of a real Alumet server, which acknowledges nothing: a batch is
 * committed when the messages with its points have been written. What has been gathered and not completely written
 * outlives the connection: the next one continues with it.
 */
import type { IntervalClock } from "../base/clock.ts";
import type { Dialled } from "./dial.ts";
import { Batch } from "../points/measurement.ts";
import type { BufferOptions, Outbox, SenderStats } from "./outbox.ts";
import type { PointEncoder } from "../wire/point_encoder.ts";
import { writeAll } from "../net/transport.ts";

/**
 * What a real Alumet server needs. It handles one message per read of its socket, and at the end of the connection
 * drops the messages that it has not handled (see docs/protocol.md). So a pause follows each message, long enough for
 * the server to read it alone, and messages are few and large: all points of one sender are in one.
 */
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** The pause, in ms. */
const GAP_MS = 25;

/** Bytes of encoded points that one round takes from what is ready, since messages need pauses. */
const ROUND_BYTES = 4 * 1024 * 1024;

/** Sends points to a real Alumet server. */
export class PlainSender {
  readonly #outbox: Outbox;
  readonly #encoder: PointEncoder;
  readonly #buffer: BufferOptions;
  readonly #stats: SenderStats;
  readonly #clock: IntervalClock;
  /** How many batches of the outbox have been measured, and the bytes of their points. */
  #measured = 0;
  #bytes = 0;
  /** When the first of them was gathered, in `performance.now()` ms. */
  #since = 0;
  /** What is being sent, in this order, from `#row` of the first part on. `null` while more is gathered. */
  #parts: Batch[] | null = null;
  #row = 0;

  constructor(
    outbox: Outbox,
    encoder: PointEncoder,
    buffer: BufferOptions,
    stats: SenderStats,
    clock: IntervalClock,
  ) {
    this.#outbox = outbox;
    this.#encoder = encoder;
    this.#buffer = buffer;
    this.#stats = stats;
    this.#clock = clock;
  }

  /** The next connection is to a server that acknowledges: another sender continues. */
  reset(): void {
    this.#encoder.clear();
    for (const part of this.#parts ?? []) part.release();
    this.#parts = null;
    this.#row = this.#measured = this.#bytes = 0;
  }

  /**
   * Sends until the reader has ended and everything is written. Each connection registers a metric before its first
   * point.
   *
   * @throws when writing fails or the signal is aborted.
   */
  async run(conn: Dialled, signal: AbortSignal): Promise<void> {
    let registered = 0;
    const pause = async () => {
      await this.#clock.sleep(GAP_MS, signal);
      signal.throwIfAborted();
    };
    const sendFrame = async () => {
      const encoder = this.#encoder;
      if (registered < encoder.metricCount) {
        for (const frame of encoder.registrations(registered)) {
          await this.#write(conn, frame);
          await pause();
        }
        registered = encoder.metricCount;
      }
      await this.#write(conn, encoder.frame());
      this.#stats.sentPoints += encoder.points;
      this.#stats.sentMessages++;
      encoder.clear();
      await pause();
    };

    while (this.#parts !== null || await this.#gather(signal)) {
      this.#parts ??= this.#groupBySender();
      // A frame that was not completely written to the last connection comes first.
      if (this.#encoder.points > 0) await sendFrame();
      await this.#sendParts(this.#parts, sendFrame);
      this.#outbox.commit(this.#measured);
      this.#parts = null;
      this.#measured = this.#bytes = 0;
    }
  }

  /** Gathers until there is a reason to send. @returns `false` if there is nothing, and the journal has ended. */
  async #gather(signal: AbortSignal): Promise<boolean> {
    const { maxBytes, timeoutMs } = this.#buffer;
    const outbox = this.#outbox;
    const { reader, parcels } = outbox;
    // A connection with acknowledgements may have left some.
    while (this.#measured < parcels.length) this.#measure(parcels[this.#measured].batch);
    while (true) {
      signal.throwIfAborted();
      const none = this.#measured === 0;
      if (!none && (this.#bytes >= maxBytes || performance.now() >= this.#since + timeoutMs)) break;
      const state = await reader.wait(none ? Infinity : this.#since + timeoutMs - performance.now(), signal);
      if (state === "ended") return !none;
      if (state === "timeout") return true;
      if (state === "aborted") continue;
      this.#measure(outbox.take()!.batch);
    }
    for (let parcel; this.#bytes < ROUND_BYTES && (parcel = outbox.take());) this.#measure(parcel.batch);
    return true;
  }

  #measure(batch: Batch): void {
    if (this.#measured++ === 0) this.#since = performance.now();
    this.#bytes += this.#encoder.measure(batch);
  }

  #groupBySender(): Batch[] {
    const groups = new Map<string, Batch>();
    for (const { batch } of this.#outbox.parcels) {
      for (let row = 0; row < batch.length; row++) {
        const sender = this.#encoder.senderOf(batch.series[row]);
        let group = groups.get(sender);
        if (!group) groups.set(sender, group = new Batch());
        group.pushFrom(batch, row);
      }
    }
    return [...groups.values()];
  }

  /** Cuts parts into frames and sends them; a part that is sent is removed from `parts`. */
  async #sendParts(parts: Batch[], sendFrame: () => Promise<void>): Promise<void> {
    const encoder = this.#encoder;
    while (parts.length > 0) {
      const { unsendable } = encoder;
      const result = encoder.add(parts[0], this.#row, MAX_MESSAGE_BYTES);
      this.#row = encoder.nextRow;
      this.#stats.unsendablePoints += encoder.unsendable - unsendable;
      if (result === "done") {
        parts.shift()!.release();
        this.#row = 0;
      }
      if (encoder.points > 0) await sendFrame();
    }
  }

  async #write(conn: Dialled, bytes: Uint8Array): Promise<void> {
    await writeAll(conn, bytes);
    this.#stats.sentBytes += bytes.length;
  }
}
