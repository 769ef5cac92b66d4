/** The texts of a stream by number, as bytes in one array, and the numbers by the texts. */
import { grown, nextLength } from "../base/growing.ts";
import { hashTail, sameBytes } from "../points/hash.ts";
import { SeriesIndex } from "../points/series_index.ts";

const INITIAL_BYTES = 4096;
const INITIAL_TEXTS = 256;
/** Texts are compared by words, which may be read from behind their end; then what is there is the same. */
const SLACK = 8;

export class TextTable {
  /** Number of texts. */
  size = 0;
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.bytes.buffer);
  /** Where text `n` begins; it ends where the next one begins. */
  starts = new Uint32Array(INITIAL_TEXTS + 1);
  /** By number + 1, as {@linkcode SeriesIndex} takes no 0. */
  #hashes = new Uint32Array(INITIAL_TEXTS + 1);
  readonly #index = new SeriesIndex();
  /** By number + 1: the text that {@linkcode findAfter} has found after it last, + 1. It may be any. */
  #following = new Uint32Array(INITIAL_TEXTS + 1);

  clear(): void {
    this.size = 0;
    this.#index.clear();
  }

  /** The number of the text `bytes[start … start+length-1]`, or -1. */
  find(view: DataView, start: number, length: number): number {
    const hash = hashTail(view, start, length, 0, 0);
    const { starts } = this;
    const slots = this.#index.slotsOf(hash);
    const mask = slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const number = slots[slot] - 1;
      if (number < 0) return -1;
      if (
        this.#hashes[number + 1] === hash && starts[number + 1] - starts[number] === length &&
        this.#isSame(number, view, start, length)
      ) return number;
    }
  }

  /**
   * The same, without a hash where the text is the one that was found after `last` before.
   *
   * @param last The number of any text of this table, or -1.
   */
  findAfter(last: number, view: DataView, start: number, length: number): number {
    const expected = this.#following[last + 1] - 1;
    if (
      expected < this.size && this.starts[expected + 1] - this.starts[expected] === length &&
      this.#isSame(expected, view, start, length)
    ) return expected;
    const number = this.find(view, start, length);
    this.#following[last + 1] = number + 1;
    return number;
  }

  #isSame(number: number, view: DataView, start: number, length: number): boolean {
    const at = this.starts[number];
    if (length >= 4) return sameBytes(this.#view, at, view, start, length);
    for (let i = 0; i < length; i++) {
      if (this.#view.getUint8(at + i) !== view.getUint8(start + i)) return false;
    }
    return true;
  }

  /** Adds a text. @returns its number. */
  add(bytes: Uint8Array, start: number, length: number): number {
    const number = this.size++;
    const at = this.starts[number];
    if (at + length + SLACK > this.bytes.length) {
      this.bytes = grown(this.bytes, Math.max(nextLength(this.bytes.length), at + length + SLACK));
      this.#view = new DataView(this.bytes.buffer);
    }
    for (let i = 0; i < length; i++) this.bytes[at + i] = bytes[start + i];
    if (number + 1 === this.#hashes.length) {
      this.starts = grown(this.starts, nextLength(number + 1));
      this.#hashes = grown(this.#hashes, nextLength(number + 1));
      this.#following = grown(this.#following, nextLength(number + 1));
    }
    this.starts[number + 1] = at + length;
    this.#hashes[number + 1] = hashTail(this.#view, at, length, 0, 0);
    this.#index.add(number + 1, this.#hashes);
    return number;
  }
}
