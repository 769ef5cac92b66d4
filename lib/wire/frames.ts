/** Cuts a byte stream into frames: a u32 big-endian length, then that many bytes. */
import { FRAME_HEADER_BYTES, MAX_BODY_BYTES } from "./protocol.ts";

/** The peer breaks the protocol; its connection cannot go on. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

/**
 * Bytes behind the input that decoders may read without looking at the end first (and must then find that they were
 * behind it): the longest run of numbers in a point is 40 bytes.
 */
const READ_SLACK_BYTES = 64;

const MIN_CAPACITY = 16 * 1024;
const QUIET_READS = 16;

/**
 * A receive buffer and the frames in it. `space()` is read into, `received(n)` says how much has come, `next()` finds
 * frames; no byte is copied unless a frame has to be moved to the front or the buffer grows. The buffer is never more
 * than about twice what has arrived, whatever length a frame announces.
 */
export class FrameReader {
  /** Where the bodies stand; it is replaced when the buffer grows. */
  bytes = new Uint8Array(MIN_CAPACITY + READ_SLACK_BYTES);
  view = new DataView(this.bytes.buffer);
  /** Bounds of the body that `next()` found. */
  start = 0;
  end = 0;
  #filled = 0;
  #consumed = 0;
  #quiet = 0;

  /** @param maxBodyBytes Longer bodies are refused. */
  constructor(readonly maxBodyBytes = MAX_BODY_BYTES) {}

  get capacity(): number {
    return this.bytes.length - READ_SLACK_BYTES;
  }

  /** Bytes of a frame that has begun and is not whole. After `next()` has returned `false`. */
  get partialBytes(): number {
    return this.#filled - this.#consumed;
  }

  /** Whole length of the frame that has begun, header included; 0 where it is not known yet. */
  get partialFrameBytes(): number {
    if (this.partialBytes < FRAME_HEADER_BYTES) return 0;
    return this.view.getUint32(this.#consumed) + FRAME_HEADER_BYTES;
  }

  /**
   * Room to read into, of at least one byte. To be called after `next()` has returned `false`; bodies found before are
   * no longer valid.
   */
  space(): Uint8Array<ArrayBuffer> {
    if (this.#consumed > 0) {
      this.bytes.copyWithin(0, this.#consumed, this.#filled);
      this.#filled -= this.#consumed;
      this.#consumed = 0;
    }
    const { capacity } = this;
    if (this.#filled === capacity) {
      // Full, and still no whole frame: it is longer than the buffer.
      this.#resize(Math.min(capacity * 2, this.partialFrameBytes));
    } else if (this.#quiet >= QUIET_READS && capacity > MIN_CAPACITY && this.#filled <= capacity / 4) {
      this.#resize(Math.max(MIN_CAPACITY, Math.floor(capacity / 2)));
      this.#quiet = 0;
    }
    return this.bytes.subarray(this.#filled, this.capacity);
  }

  /**
   * `count` bytes have been read into `space()`.
   *
   * @param maxIdleCapacity How large the buffer may grow for speed alone; a frame that has arrived in part may take more.
   */
  received(count: number, maxIdleCapacity = MIN_CAPACITY): void {
    this.#filled += count;
    const { capacity } = this;
    if (this.#filled === capacity && capacity < maxIdleCapacity) this.#resize(maxIdleCapacity);
    this.#quiet = count < capacity / 8 ? this.#quiet + 1 : 0;
  }

  /**
   * Finds the next whole body: `bytes[start … end-1]`.
   *
   * @throws {FrameError} when the length is over the limit.
   */
  next(): boolean {
    if (this.partialBytes < FRAME_HEADER_BYTES) return false;
    const length = this.view.getUint32(this.#consumed);
    if (length > this.maxBodyBytes) {
      throw new FrameError(`Cannot read frame: body is ${length} bytes, limit is ${this.maxBodyBytes}`);
    }
    const start = this.#consumed + FRAME_HEADER_BYTES;
    if (start + length > this.#filled) return false;
    this.start = start;
    this.end = start + length;
    this.#consumed = this.end;
    return true;
  }

  #resize(capacity: number): void {
    const bytes = new Uint8Array(capacity + READ_SLACK_BYTES);
    bytes.set(this.bytes.subarray(0, this.#filled));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}
