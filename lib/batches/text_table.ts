/** The texts of a stream by number, as bytes in one array, and the numbers by the texts. */
import { hashTail, sameBytes } from "../points/hash.ts";

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
  #hashes = new Uint32Array(INITIAL_TEXTS);
  /** Numbers + 1, by their hashes. */
  #slots = new Uint32Array(2 * INITIAL_TEXTS);

  clear(): void {
    this.size = 0;
    this.#slots.fill(0);
  }

  /** The number of the text `bytes[start … start+length-1]`, or -1. */
  find(view: DataView, start: number, length: number): number {
    const hash = hashTail(view, start, length, 0, 0);
    const { starts } = this;
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const number = slots[slot] - 1;
      if (number < 0) return -1;
      if (
        this.#hashes[number] === hash && starts[number + 1] - starts[number] === length &&
        this.#isSame(number, view, start, length)
      ) return number;
    }
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
      this.bytes = new Uint8Array(
        this.bytes.buffer.transfer(Math.max(2 * this.bytes.length, at + length + SLACK)),
      );
      this.#view = new DataView(this.bytes.buffer);
    }
    for (let i = 0; i < length; i++) this.bytes[at + i] = bytes[start + i];
    if (number === this.#hashes.length) this.#grow();
    this.starts[number + 1] = at + length;
    this.#hashes[number] = hashTail(this.#view, at, length, 0, 0);
    this.#place(number);
    return number;
  }

  #place(number: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = this.#hashes[number] & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = number + 1;
  }

  #grow(): void {
    const capacity = 2 * this.#hashes.length;
    this.starts = new Uint32Array(this.starts.buffer.transfer(4 * (capacity + 1)));
    this.#hashes = new Uint32Array(this.#hashes.buffer.transfer(4 * capacity));
    this.#slots = new Uint32Array(2 * capacity);
    for (let number = 0; number < this.size - 1; number++) this.#place(number);
  }
}
