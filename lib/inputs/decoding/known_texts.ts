/**
 * Texts that come again and again: what stands before the value in a line, and which series that is. A sender writes
 * in the same order every time, so the text that followed last time is compared first, and others are found by a hash
 * with a random key. A text has a parent, so that the names of fields are those of one head of a line.
 */
import { grown, nextLength } from "../../base/growing.ts";
import { hashTail, sameBytes } from "../../points/hash.ts";
import { SeriesIndex } from "../../points/series_index.ts";
import type { SeriesStore } from "../../points/series_store.ts";

/** No text. */
export const NONE = 0;

const INITIAL_TEXTS = 1024;
const INITIAL_BYTES = 64 * 1024;
/** Readers that compare by words may look at some bytes behind a text. */
const SLACK = 16;

export class KnownTexts {
  /** By the number of a text: where it is in {@linkcode bytes}, and its length. */
  starts = new Uint32Array(INITIAL_TEXTS);
  lengths = new Uint32Array(INITIAL_TEXTS);
  parents = new Uint32Array(INITIAL_TEXTS);
  /** The text that came behind it last time: a guess. */
  following = new Uint32Array(INITIAL_TEXTS);
  /** Of a text that is a parent: the first of its children last time, a guess. */
  firsts = new Uint32Array(INITIAL_TEXTS);
  /** The number of the series; {@linkcode NONE} where it is not known. */
  series = new Uint32Array(INITIAL_TEXTS);
  /** The generation of the series' number, with which it is valid. */
  generations = new Uint32Array(INITIAL_TEXTS);
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(INITIAL_BYTES);
  view: DataView<ArrayBuffer> = new DataView(this.bytes.buffer);
  #hashes = new Uint32Array(INITIAL_TEXTS);
  readonly #index = new SeriesIndex();
  #count = 1;
  #end = 0;

  /** @param maxTexts Of more texts, @param maxBytes or more bytes, none are remembered: everything is learned again. */
  constructor(readonly maxTexts: number, readonly maxBytes: number) {}

  get size(): number {
    return this.#count - 1;
  }

  /** Whether a text is what stands from `at` on. */
  matches(text: number, bytes: Uint8Array, view: DataView, at: number, end: number): boolean {
    const length = this.lengths[text];
    return at + length <= end && this.#isSame(text, bytes, view, at, length);
  }

  /** The number of the text `bytes[start … start+length-1]` below a parent; {@linkcode NONE} if it is not known. */
  find(bytes: Uint8Array, view: DataView, start: number, length: number, parent: number): number {
    const hash = hashTail(view, start, length, parent, 0);
    const slots = this.#index.slotsOf(hash);
    const mask = slots.length - 1;
    for (let slot = hash & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const text = slots[slot];
      if (this.#hashes[text] === hash && this.parents[text] === parent && this.lengths[text] === length) {
        if (this.#isSame(text, bytes, view, start, length)) return text;
      }
    }
    return NONE;
  }

  #isSame(text: number, bytes: Uint8Array, view: DataView, start: number, length: number): boolean {
    const own = this.starts[text];
    if (length >= 4) return sameBytes(this.view, own, view, start, length);
    for (let i = 0; i < length; i++) if (this.bytes[own + i] !== bytes[start + i]) return false;
    return true;
  }

  /** Remembers a text that is not known. Everything else may be forgotten for it: its number is then 1. */
  add(bytes: Uint8Array, view: DataView, start: number, length: number, parent: number): number {
    if (this.#count > this.maxTexts || this.#end + length > this.maxBytes) {
      if (parent !== NONE) {
        // Its parent is forgotten, too: the caller begins with that again.
        this.clear();
        return NONE;
      }
      this.clear();
    }
    const text = this.#count++;
    if (text === this.starts.length) this.#growTexts();
    if (this.#end + length + SLACK > this.bytes.length) this.#growBytes(length);
    this.bytes.set(bytes.subarray(start, start + length), this.#end);
    this.starts[text] = this.#end;
    this.lengths[text] = length;
    this.parents[text] = parent;
    this.following[text] = this.firsts[text] = this.series[text] = NONE;
    this.#hashes[text] = hashTail(view, start, length, parent, 0);
    this.#index.add(text, this.#hashes);
    this.#end += length;
    return text;
  }

  /** Says which series a text stands for. */
  setSeries(text: number, series: number, store: SeriesStore): void {
    this.series[text] = series;
    this.generations[text] = store.generations[series];
  }

  /** Forgets everything. Numbers from before mean nothing, so no guess may lead to one. */
  clear(): void {
    this.#index.clear();
    this.following.fill(NONE);
    this.firsts.fill(NONE);
    this.#count = 1;
    this.#end = 0;
  }

  #growTexts(): void {
    const length = nextLength(this.starts.length);
    this.starts = grown(this.starts, length);
    this.lengths = grown(this.lengths, length);
    this.parents = grown(this.parents, length);
    this.following = grown(this.following, length);
    this.firsts = grown(this.firsts, length);
    this.series = grown(this.series, length);
    this.generations = grown(this.generations, length);
    this.#hashes = grown(this.#hashes, length);
  }

  #growBytes(length: number): void {
    this.bytes = grown(this.bytes, Math.max(nextLength(this.bytes.length), this.#end + length + SLACK));
    this.view = new DataView(this.bytes.buffer);
  }
}
