/**
 * What the encoder and the decoder of a stream of batches have in common: its limits, the codes of values, and the state
 * that both keep. The format is described in {@linkcode ./codec.ts}.
 */
import { grown, nextLength } from "../base/growing.ts";

/** When a stream forgets its dictionary. The decoder's limits must not be below the encoder's. */
export interface BatchCodecLimits {
  /** Most series in the dictionary at one time. @default {4_194_304} */
  maxSeries?: number;
  /** No further record is added to a dictionary whose definitions have taken more bytes. @default {64 MiB} */
  maxDictionaryBytes?: number;
}

export const DEFAULT_MAX_SERIES = 4_194_304;
export const DEFAULT_MAX_DICTIONARY_BYTES = 64 * 1024 * 1024;
/** What decoders take that do not know places that are used again: see {@linkcode ./codec.ts}. */
export const OLD_MAX_DICTIONARY_BYTES = 16 * 1024 * 1024;
/** 2^53: up to this, floating point has every whole number. */
export const MAX_SAFE = 9007199254740992;
/** Codes of f64 above this are the XOR of the bits, in (code - this) bytes. */
export const XOR_CODE = 6;
/** The XOR of the bits without the zero bytes at its low end. */
export const SHIFTED_CODE = 15;

/** What both ends know of each series, by its number in the stream. */
export class StreamState {
  /** Series in the dictionary. */
  size = 0;
  /** Their numbers in the store; 0 where the series was given back. */
  series = new Uint32Array(256);
  /** The number that came after this one last time, by number + 1; -1 where none did. */
  following = new Int32Array(257).fill(-1);
  isF64 = new Uint8Array(256);
  lastValues = new Float64Array(256);
  lastBits = bitsOf(this.lastValues);
  /** Last values of u64 above 2^53. */
  readonly lastExact = new Map<number, bigint>();
  /** Number of the row before, or -1. */
  last = -1;
  seconds = 0;
  nanos = 0;
  dictionaryBytes = 0;

  clear(): void {
    this.following.fill(-1, 0, this.size + 1);
    this.lastValues.fill(0, 0, this.size);
    this.size = 0;
    this.lastExact.clear();
    this.last = -1;
    this.seconds = this.nanos = this.dictionaryBytes = 0;
  }

  add(series: number, isF64: boolean): number {
    const number = this.size++;
    if (number === this.isF64.length) this.#grow(nextLength(number));
    this.series[number] = series;
    this.isF64[number] = isF64 ? 1 : 0;
    return number;
  }

  /** Puts a series into the place of one that is no longer in the dictionary, and whose values have the same type. */
  replace(number: number, series: number): void {
    this.series[number] = series;
    this.lastValues[number] = 0;
    this.lastExact.delete(number);
  }

  #grow(capacity: number): void {
    const { length } = this.following;
    this.series = grown(this.series, capacity);
    this.following = grown(this.following, capacity + 1).fill(-1, length);
    this.isF64 = grown(this.isF64, capacity);
    this.lastValues = grown(this.lastValues, capacity);
    this.lastBits = bitsOf(this.lastValues);
  }
}

/** Bits of a column of values, low word first: every platform of Deno is little-endian. */
export function bitsOf(values: Float64Array<ArrayBuffer>): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
}
