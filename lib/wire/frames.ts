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
/** Capacity of a buffer that is lent. */
const LENT_CAPACITY = 64 * 1024;
/** Buffers that are lent at the same time. */
const MAX_LENT_BUFFERS = 32;

interface Buffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
}

function bufferOf(capacity: number): Buffer {
  const bytes = new Uint8Array(capacity + READ_SLACK_BYTES);
  return { bytes, view: new DataView(bytes.buffer) };
}

/**
 * Buffers of 64 KiB that readers share: each has one while a message arrives that is longer than its own buffer. Most
 * connections are between two messages most of the time. When all are lent, the next reader's own buffer grows.
 */
export class LentBuffers {
  readonly #free: Buffer[] = [];
  #lent = 0;

  /** Buffers that readers have now. */
  get lent(): number {
    return this.#lent;
  }

  take(): Buffer | null {
    if (this.#lent === MAX_LENT_BUFFERS) return null;
    this.#lent++;
    return this.#free.pop() ?? bufferOf(LENT_CAPACITY);
  }

  give(buffer: Buffer): void {
    this.#lent--;
    this.#free.push(buffer);
  }

  /** A buffer does not come back, because somebody may still write into it. */
  lose(): void {
    this.#lent--;
  }
}

/**
 * A receive buffer and the frames in it. `space()` is read into, `received(n)` says how much has come, `next()` finds
 * frames; no byte is copied unless a frame has to be moved to the front or the buffer grows. The buffer is never more
 * than about twice what has arrived, or four times with a lent one, whatever length a frame announces.
 */
export class FrameReader implements Disposable {
  /** Where the bodies stand; it is replaced when the buffer grows. */
  bytes = new Uint8Array(MIN_CAPACITY + READ_SLACK_BYTES);
  view = new DataView(this.bytes.buffer);
  /** Bounds of the body that `next()` found. */
  start = 0;
  end = 0;
  #filled = 0;
  #consumed = 0;
  #quiet = 0;
  /** The room of an empty buffer: nearly each message begins with one. */
  #whole: Uint8Array<ArrayBuffer> | null = null;
  /** The buffer to go back to, while a lent one is used. */
  #own: Buffer | null = null;
  readonly #lent: LentBuffers | null;

  /**
   * @param maxBodyBytes Longer bodies are refused.
   * @param lent Where to take a buffer for a message that is longer than the own one; by default the own one grows.
   */
  constructor(readonly maxBodyBytes = MAX_BODY_BYTES, lent: LentBuffers | null = null) {
    this.#lent = lent;
  }

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
   * Gives a lent buffer back, if it is no longer needed. To be called after `next()` has returned `false`; bodies found
   * before are no longer valid.
   */
  giveBack(): void {
    if (this.#own && this.#fits(this.#own)) this.#moveTo(this.#own);
  }

  /** Nothing more is read. */
  [Symbol.dispose](): void {
    if (this.#own) this.#lent!.lose();
    this.#own = null;
  }

  /**
   * Room to read into, of at least one byte. To be called after `next()` has returned `false`; bodies found before are
   * no longer valid.
   */
  space(): Uint8Array<ArrayBuffer> {
    this.giveBack();
    if (this.#consumed > 0) {
      this.bytes.copyWithin(0, this.#consumed, this.#filled);
      this.#filled -= this.#consumed;
      this.#consumed = 0;
    }
    const { capacity } = this;
    if (this.#filled === capacity) {
      // Full, and still no whole frame: it is longer than the buffer.
      const wanted = this.partialFrameBytes;
      if (wanted > LENT_CAPACITY || !this.#borrow()) this.#resize(Math.min(capacity * 2, wanted));
    } else if (
      !this.#own && this.#quiet >= QUIET_READS && capacity > MIN_CAPACITY && this.#filled <= capacity / 4
    ) {
      this.#resize(Math.max(MIN_CAPACITY, Math.floor(capacity / 2)));
      this.#quiet = 0;
    }
    if (this.#filled > 0) return this.bytes.subarray(this.#filled, this.capacity);
    return this.#whole ??= this.bytes.subarray(0, this.capacity);
  }

  /**
   * `count` bytes have been read into `space()`.
   *
   * @param maxIdleCapacity How large the buffer may grow for speed alone (a part of a byte does not count); a frame that
   *   has arrived in part may take more.
   */
  received(count: number, maxIdleCapacity = MIN_CAPACITY): void {
    this.#filled += count;
    const { capacity } = this;
    const largest = Math.floor(maxIdleCapacity);
    if (this.#filled === capacity && capacity < largest) this.#resize(largest);
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

  /** Whether what has begun fits into that buffer, as far as its length is known. */
  #fits({ bytes }: Buffer): boolean {
    return this.partialFrameBytes <= bytes.length - READ_SLACK_BYTES;
  }

  #borrow(): boolean {
    const buffer = this.#own ? null : this.#lent?.take();
    if (!buffer) return false;
    const own = { bytes: this.bytes, view: this.view };
    this.#moveTo(buffer);
    this.#own = own;
    return true;
  }

  #resize(capacity: number): void {
    this.#moveTo(bufferOf(capacity));
  }

  /** Goes on in another buffer with what is not consumed; gives the one before back if it was lent. */
  #moveTo(buffer: Buffer): void {
    const { bytes, view } = this;
    buffer.bytes.set(bytes.subarray(this.#consumed, this.#filled));
    this.#filled -= this.#consumed;
    this.#consumed = 0;
    this.bytes = buffer.bytes;
    this.view = buffer.view;
    this.#whole = null;
    if (this.#own) this.#lent!.give({ bytes, view });
    this.#own = null;
  }
}
