/** The memory that all connections of a server together may use for large frames. */
import { MAX_BODY_BYTES } from "../wire/protocol.ts";

/** Frames larger than a receive buffer share at most this much memory, in bytes. */
const LARGE_FRAMES_BYTES = 64 * 1024 * 1024;
/** The part of the memory of a small machine that they share. */
const MEMORY_SHARE = 16;
/** The part that the largest message has, and how large a message may be on any machine, in bytes. */
const MESSAGE_SHARE = 32;
const MIN_MESSAGE_BYTES = 4 * 1024 * 1024;

/** What large frames of all connections may take, in bytes, where the process may use so much memory. */
export function largeFrameBytes(memoryBytes: number): number {
  return Math.min(LARGE_FRAMES_BYTES, Math.floor(memoryBytes / MEMORY_SHARE));
}

/** The largest message, in bytes, where the process may use so much memory: what is in it takes some times as much. */
export function largestMessageBytes(memoryBytes: number): number {
  return Math.min(MAX_BODY_BYTES, Math.max(MIN_MESSAGE_BYTES, Math.floor(memoryBytes / MESSAGE_SHARE)));
}

/**
 * A semaphore in bytes, first come, first served. A frame larger than the whole budget passes when it is alone.
 */
export class FrameBudget {
  #free: number;
  readonly #limit: number;
  readonly #waiting: { bytes: number; resume: () => void }[] = [];

  constructor(limitBytes: number) {
    this.#free = this.#limit = limitBytes;
  }

  async take(bytes: number): Promise<void> {
    bytes = Math.min(bytes, this.#limit);
    if (this.#waiting.length > 0 || bytes > this.#free) {
      await new Promise<void>((resume) => this.#waiting.push({ bytes, resume }));
    } else this.#free -= bytes;
  }

  give(bytes: number): void {
    this.#free += Math.min(bytes, this.#limit);
    while (this.#waiting.length > 0 && this.#waiting[0].bytes <= this.#free) {
      const { bytes, resume } = this.#waiting.shift()!;
      this.#free -= bytes;
      resume();
    }
  }
}
