/**
 * Gathers batches and writes them to a server's connection, in the manner that the server needs. What has been
 * gathered and not been written completely outlives the connection: the next one goes on with it.
 */
import type { BatchReader } from "./journal.ts";
import { Batch } from "./measurement.ts";
import type { PointEncoder } from "./point_encoder.ts";

/** How a server takes messages. */
export interface Manner {
  /** Encoded points in one message, at most; a single point may be larger. */
  readonly maxBytes: number;
  /** Pause after each message, in ms. */
  readonly gapMs: number;
  /** Put all points of one sender together, so that there are few messages. */
  readonly bySender: boolean;
  /** The server only knows Alumet's own units. */
  readonly ownUnitsOnly: boolean;
}

/**
 * What a real Alumet server needs. It looks at one message per read of its socket, and at the end of the connection
 * drops what it has not looked at (see docs/protocol.md): so there is a pause behind each message that is long enough
 * for it to be read alone, and messages are few and large.
 */
export const GENTLE: Manner = { maxBytes: 1024 * 1024, gapMs: 25, bySender: true, ownUnitsOnly: true };

/** A server of ours takes messages as they come: they are as large as the buffer. */
export function swift(maxBytes: number): Manner {
  return { maxBytes: maxBytes === 0 ? Infinity : maxBytes, gapMs: 0, bySender: false, ownUnitsOnly: false };
}

/** With pauses between messages, this much of what is ready goes into one round, in bytes of encoded points. */
const ROUND_BYTES = 4 * 1024 * 1024;

export interface SendingStats extends Record<string, number> {
  points: number;
  frames: number;
  bytes: number;
  unsendablePoints: number;
}

export interface BufferOptions {
  /** Bytes of encoded points that are gathered before all are sent; 0 sends each batch at once. */
  maxBytes: number;
  /** The longest that a point waits, in ms. */
  timeoutMs: number;
}

export class Sending {
  readonly stats: SendingStats = { points: 0, frames: 0, bytes: 0, unsendablePoints: 0 };
  readonly #encoder: PointEncoder;
  readonly #buffer: BufferOptions;
  /** Batches that were read and not committed, and the bytes of their points. */
  #gathered: Batch[] = [];
  #bytes = 0;
  /** When the first of them was gathered, in `performance.now()` ms. */
  #since = 0;
  /** What is being sent of them: in this order, from `#row` of the first on. `null` while more is gathered. */
  #parts: Batch[] | null = null;
  #row = 0;

  constructor(encoder: PointEncoder, buffer: BufferOptions) {
    this.#encoder = encoder;
    this.#buffer = buffer;
  }

  /**
   * Sends until the reader has ended and all is written. Metrics are registered before their first point on this
   * connection.
   *
   * @throws when writing fails or the signal is aborted.
   */
  async run(conn: Deno.TcpConn, reader: BatchReader, manner: Manner, signal: AbortSignal): Promise<void> {
    let registered = 0;
    const pause = async () => {
      if (manner.gapMs > 0) await new Promise((resolve) => setTimeout(resolve, manner.gapMs));
      signal.throwIfAborted();
    };
    const sendFrame = async () => {
      const encoder = this.#encoder;
      if (registered < encoder.metricCount) {
        for (const frame of encoder.registrations(registered, manner.ownUnitsOnly)) {
          await this.#write(conn, frame);
          await pause();
        }
        registered = encoder.metricCount;
      }
      await this.#write(conn, encoder.frame());
      this.stats.points += encoder.points;
      this.stats.frames++;
      encoder.clear();
      await pause();
    };

    while (this.#parts !== null || await this.#gather(reader, manner, signal)) {
      this.#parts ??= manner.bySender ? this.#groupBySender() : [...this.#gathered];
      // A frame that the last connection could not take whole is the first one.
      if (this.#encoder.points > 0) await sendFrame();
      await this.#sendParts(this.#parts, manner, sendFrame);
      reader.commit(this.#gathered.length);
      this.#gathered = [];
      this.#bytes = 0;
      this.#parts = null;
    }
  }

  /** Gathers until there is reason to send. @returns `false` when there is nothing, and never will be. */
  async #gather(reader: BatchReader, manner: Manner, signal: AbortSignal): Promise<boolean> {
    const { maxBytes, timeoutMs } = this.#buffer;
    while (true) {
      signal.throwIfAborted();
      const none = this.#gathered.length === 0;
      const state = await reader.wait(none ? Infinity : this.#since + timeoutMs - performance.now(), signal);
      if (state === "ended") return !none;
      if (state === "timeout") return true;
      if (state === "aborted") continue;
      this.#take(reader.next()!);
      if (maxBytes === 0 || this.#bytes >= maxBytes || performance.now() >= this.#since + timeoutMs) break;
    }
    if (manner.gapMs > 0) {
      for (let batch; this.#bytes < ROUND_BYTES && (batch = reader.next());) this.#take(batch);
    }
    return true;
  }

  #take(batch: Batch): void {
    if (this.#gathered.length === 0) this.#since = performance.now();
    this.#gathered.push(batch);
    this.#bytes += this.#encoder.measure(batch);
  }

  #groupBySender(): Batch[] {
    const groups = new Map<string, Batch>();
    for (const batch of this.#gathered) {
      for (let row = 0; row < batch.length; row++) {
        const sender = this.#encoder.senderOf(batch.series[row]);
        let group = groups.get(sender);
        if (!group) groups.set(sender, group = new Batch());
        group.pushFrom(batch, row);
      }
    }
    return [...groups.values()];
  }

  /** Cuts parts into frames and sends them; what is sent is taken away from `parts`. */
  async #sendParts(parts: Batch[], { maxBytes }: Manner, sendFrame: () => Promise<void>): Promise<void> {
    const encoder = this.#encoder;
    while (parts.length > 0) {
      const result = encoder.add(parts[0], this.#row, maxBytes);
      this.#row = encoder.nextRow;
      this.stats.unsendablePoints = encoder.unsendable;
      if (result === "done") {
        parts.shift();
        this.#row = 0;
        // With buffer_max_length 0 each batch is a message.
        if (parts.length > 0 && this.#buffer.maxBytes > 0) continue;
      }
      if (encoder.points > 0) await sendFrame();
    }
  }

  async #write(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
    this.stats.bytes += bytes.length;
  }
}
