/**
 * One array of bytes in which pieces of any length come and go. A piece that is given back is used for the next one of
 * its size: what stays has the lengths of what was there before, so little is lost between the pieces.
 */
import { grown, nextLength } from "../base/growing.ts";

/** Pieces are multiples of this, in bytes. Two links of free pieces fit into one. */
const GRAIN = 8;
/** Above this, sizes are an eighth apart, in bytes. */
const FINE = 1024;
/** Readers that copy by words may look at some bytes behind a piece. */
const SLACK = 16;
/** Places are numbers of 32 bits. */
const MAX_BYTES = 2 ** 32 - 1;
const RESERVED_BYTES = 2 ** 32;

/** What a piece of `length` bytes takes, in bytes. */
export function pieceBytes(length: number): number {
  let grain = GRAIN;
  if (length > FINE) grain = 2 ** (Math.floor(Math.log2(length)) - 3);
  return Math.max(GRAIN, Math.ceil(length / grain) * grain);
}

export class Arena {
  /** The pieces. It is replaced when it grows, and so is the view. */
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView<ArrayBuffer>;
  /** Bytes of the pieces that are in use. */
  usedBytes = 0;
  #end = GRAIN;
  /** The first free piece of each size; its first word is the place of the next one, 0 for none. */
  readonly #free = new Map<number, number>();

  constructor(capacity = 64 * 1024) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  /** A place for `length` bytes, which is never 0. @throws {RangeError} where 4 GiB are full. */
  take(length: number): number {
    const size = pieceBytes(length);
    this.usedBytes += size;
    const free = this.#free.get(size);
    if (free !== undefined) {
      const next = this.view.getUint32(free, true);
      if (next === 0) this.#free.delete(size);
      else this.#free.set(size, next);
      return free;
    }
    const at = this.#end;
    if (at + size + SLACK > this.bytes.length) this.#grow(at + size + SLACK);
    this.#end = at + size;
    return at;
  }

  /** The piece of `length` bytes at that place is no longer used. */
  give(at: number, length: number): void {
    const size = pieceBytes(length);
    this.usedBytes -= size;
    this.view.setUint32(at, this.#free.get(size) ?? 0, true);
    this.#free.set(size, at);
  }

  #grow(needed: number): void {
    if (needed > MAX_BYTES) throw new RangeError("The texts of all series take more than 4 GiB");
    const length = Math.min(MAX_BYTES, Math.max(needed, nextLength(this.bytes.length)));
    this.bytes = grown(this.bytes, length, RESERVED_BYTES);
    this.view = new DataView(this.bytes.buffer);
  }
}
