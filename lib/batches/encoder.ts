/** Encodes batches as the records of a stream, whose format is described in {@linkcode ./codec.ts}. */
import { DefinitionWriter } from "./definition_writer.ts";
import {
  type BatchCodecLimits,
  bitsOf,
  DEFAULT_MAX_DICTIONARY_BYTES,
  DEFAULT_MAX_SERIES,
  MAX_SAFE,
  OLD_MAX_DICTIONARY_BYTES,
  SHIFTED_CODE,
  StreamState,
  XOR_CODE,
} from "./stream.ts";
import { type Batch, MAX_SECONDS, type ValueType } from "../points/measurement.ts";
import { SeriesColumn } from "../points/series_column.ts";
import { SERIES_FLAGS, type SeriesStore, seriesStore } from "../points/series_store.ts";
import { enlarged } from "../base/bytes.ts";
import { PostcardWriter, putVarint } from "../postcard.ts";

/** Differences below this, in both directions, fit in 6 bytes of zigzag, exactly. */
const MAX_DELTA = 2 ** 47;
const MAX_U64 = (1n << 64n) - 1n;
const MAX_VALUE_BYTES = 9;
const MAX_VARINT_BYTES = 10;

function zigzag(difference: number): number {
  return difference >= 0 ? difference * 2 : difference * -2 - 1;
}

export interface BatchEncoderOptions extends BatchCodecLimits {
  /** Whether new series take the places of those that were given back; decoders of earlier versions do not know that. */
  reusesPlaces?: boolean;
}

/** Encodes the records of one stream. */
export class BatchEncoder {
  readonly #maxSeries: number;
  readonly #maxDictionaryBytes: number;
  readonly #store: SeriesStore;
  readonly #state = new StreamState();
  readonly #definitions: DefinitionWriter;
  /** The definition that is being written. */
  readonly #writer = new PostcardWriter(64);
  /** By the numbers of the store: those of the stream, + 1. */
  readonly #column: SeriesColumn;
  /** Numbers of the stream whose series were given back: others with the same type of values take their places. */
  readonly #places: Readonly<Record<ValueType, number[]>> = { f64: [], u64: [] };
  /** The next chunk says that the state is forgotten. */
  #begins = false;
  #numbers = new Int32Array(256);
  #bytes = new Uint8Array(4096);
  #length = 0;

  constructor(options: BatchEncoderOptions = {}, store: SeriesStore = seriesStore) {
    const { reusesPlaces = true } = options;
    this.#maxSeries = options.maxSeries ?? DEFAULT_MAX_SERIES;
    this.#maxDictionaryBytes = options.maxDictionaryBytes ??
      (reusesPlaces ? DEFAULT_MAX_DICTIONARY_BYTES : OLD_MAX_DICTIONARY_BYTES);
    this.#store = store;
    this.#definitions = new DefinitionWriter(store);
    this.#column = new SeriesColumn(store, (_, value) => {
      // The number in the store may become that of another series.
      this.#state.series[value - 1] = 0;
      if (reusesPlaces) this.#places[this.#state.isF64[value - 1] === 1 ? "f64" : "u64"].push(value - 1);
    });
  }

  /** Series in the dictionary. */
  get seriesCount(): number {
    return this.#state.size - this.#places.f64.length - this.#places.u64.length;
  }

  /** What the definitions of the dictionary have taken, in bytes. */
  get dictionaryBytes(): number {
    return this.#state.dictionaryBytes;
  }

  /** Forgets the stream so far, and tells the decoder to: a record will not reach it. */
  reset(): void {
    this.#state.clear();
    this.#definitions.clear();
    this.#column.clear();
    this.#places.f64.length = this.#places.u64.length = 0;
    this.#begins = true;
  }

  /**
   * Encodes a batch as one record, which is valid until the next call.
   *
   * @throws {RangeError} if a time or a u64 is out of range; the stream goes on with the next batch.
   */
  encode(batch: Batch): Uint8Array<ArrayBuffer> {
    try {
      this.#length = 0;
      this.#varint(batch.length);
      for (let row = 0; row < batch.length;) {
        const end = this.#chunkEnd(batch, row);
        this.#varint((end - row) * 2 + (this.#begins ? 1 : 0));
        this.#begins = false;
        this.#putSeries(batch, row, end);
        this.#putTimes(batch, row, end);
        this.#putValues(batch, row, end);
        row = end;
      }
      return this.#bytes.subarray(0, this.#length);
    } catch (error) {
      this.reset();
      throw error;
    }
  }

  /** Where a chunk from `start` on must end for the dictionary to hold its series; makes room if there is none. */
  #chunkEnd(batch: Batch, start: number): number {
    const state = this.#state;
    if (state.dictionaryBytes > this.#maxDictionaryBytes) this.reset();
    let room = this.#maxSeries - state.size;
    if (batch.length - start <= room) return batch.length;
    const { values } = this.#column;
    const { flags } = this.#store;
    const places = [this.#places.f64.length, this.#places.u64.length];
    const counted = new Set<number>();
    for (let row = start; row < batch.length; row++) {
      const series = batch.series[row];
      if (values[series] !== 0 || counted.has(series)) continue;
      counted.add(series);
      if (--places[flags[series] & SERIES_FLAGS.u64] >= 0 || --room >= 0) continue;
      this.reset();
      return Math.min(batch.length, start + this.#maxSeries);
    }
    return batch.length;
  }

  #varint(value: number): void {
    this.#reserve(MAX_VARINT_BYTES);
    this.#length = putVarint(this.#bytes, this.#length, value);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed > this.#bytes.length) this.#bytes = enlarged(this.#bytes, this.#length, needed);
  }

  #putSeries(batch: Batch, start: number, end: number): void {
    const state = this.#state;
    if (this.#numbers.length < end - start) this.#numbers = new Int32Array(2 * (end - start));
    const numbers = this.#numbers;
    const { series } = batch;
    const { values } = this.#column;
    let { series: known, following, last } = state;
    let hits = 0;
    for (let row = start; row < end; row++) {
      const one = series[row];
      const predicted = following[last + 1];
      if (predicted >= 0 && known[predicted] === one) {
        hits++;
        last = predicted;
      } else {
        this.#varint(hits);
        hits = 0;
        let number = values[one] - 1;
        if (number >= 0) this.#varint(number + 1);
        else {
          number = this.#define(one);
          ({ series: known, following } = state);
        }
        following[last + 1] = number;
        last = number;
      }
      numbers[row - start] = last;
    }
    if (hits > 0) this.#varint(hits);
    state.last = last;
  }

  #define(series: number): number {
    const { type } = this.#store.metricOf(series);
    const place = this.#places[type].pop() ?? -1;
    let number = place;
    if (place >= 0) this.#state.replace(place, series);
    else number = this.#state.add(series, type === "f64");
    this.#column.values[series] = number + 1;
    const writer = this.#writer;
    writer.clear();
    this.#definitions.write(writer, series, place);
    this.#varint(0);
    const { length } = writer;
    this.#state.dictionaryBytes += length;
    this.#reserve(length);
    writer.copyTo(this.#bytes, this.#length);
    this.#length += length;
    return number;
  }

  #putTimes(batch: Batch, start: number, end: number): void {
    const state = this.#state;
    const { seconds, nanos } = batch;
    for (let row = start; row < end;) {
      const secs = seconds[row], fraction = nanos[row];
      let next = row + 1;
      while (next < end && nanos[next] === fraction && seconds[next] === secs) next++;
      if (!(secs >= 0 && secs <= MAX_SECONDS && fraction < 1e9) || secs !== Math.floor(secs)) {
        throw new RangeError(`Cannot encode a time of ${secs} s and ${fraction} ns: it is out of range`);
      }
      this.#reserve(3 * MAX_VARINT_BYTES);
      let at = this.#length;
      const changed = secs !== state.seconds;
      at = putVarint(this.#bytes, at, (next - row) * 2 + (changed ? 1 : 0));
      if (changed) at = putVarint(this.#bytes, at, zigzag(secs - state.seconds));
      this.#length = putVarint(this.#bytes, at, zigzag(fraction - state.nanos));
      state.seconds = secs;
      state.nanos = fraction;
      row = next;
    }
  }

  #putValues(batch: Batch, start: number, end: number): void {
    const rows = end - start;
    const codeBytes = (rows + 1) >> 1;
    this.#reserve(codeBytes + rows * MAX_VALUE_BYTES);
    const { isF64, lastValues, lastBits, lastExact } = this.#state;
    const { values, exact } = batch;
    const bits = bitsOf(values);
    const bytes = this.#bytes;
    const numbers = this.#numbers;
    const codesAt = this.#length;
    bytes.fill(0, codesAt, codesAt + codeBytes);
    let at = codesAt + codeBytes;
    for (let i = 0; i < rows; i++) {
      const row = start + i;
      const number = numbers[i];
      const value = values[row];
      const before = lastValues[number];
      const low = bits[2 * row], high = bits[2 * row + 1];
      const xorLow = low ^ lastBits[2 * number], xorHigh = high ^ lastBits[2 * number + 1];
      const f64 = isF64[number] === 1;
      let code = 0;
      if (!f64 && (exact !== null || lastExact.size !== 0) && (exact?.has(row) || lastExact.has(number))) {
        const from = at;
        at = this.#putExact(number, batch.exactValue(row), at);
        code = at - from;
      } else if ((xorLow | xorHigh) !== 0) {
        const difference = value - before;
        // NaN and infinities fail the comparisons; -0 is not a whole number here.
        if (
          difference < MAX_DELTA && difference > -MAX_DELTA &&
          value === Math.floor(value) && before === Math.floor(before) && (low | high) !== -0x80000000 &&
          value <= MAX_SAFE && before <= MAX_SAFE && value >= (f64 ? -MAX_SAFE : 0) && before >= -MAX_SAFE
        ) {
          let rest = zigzag(difference);
          if (rest > 0xffffffff) {
            const lower = rest % 0x100000000;
            rest = (rest - lower) / 0x100000000;
            bytes[at++] = lower;
            bytes[at++] = lower >>> 8;
            bytes[at++] = lower >>> 16;
            bytes[at++] = lower >>> 24;
            code = 4;
          }
          let word = rest | 0;
          do {
            bytes[at++] = word;
            word >>>= 8;
            code++;
          } while (word !== 0);
        } else if (f64) {
          let count = xorHigh !== 0 ? 8 - (Math.clz32(xorHigh) >> 3) : 4 - (Math.clz32(xorLow) >> 3);
          let zeros = xorLow !== 0 ? trailingZeroBytes(xorLow) : 4 + trailingZeroBytes(xorHigh);
          if (zeros < 2) {
            zeros = 0;
            code = XOR_CODE + count;
          } else {
            count -= zeros;
            code = SHIFTED_CODE;
            bytes[at++] = zeros * 8 + count - 1;
          }
          for (let n = zeros; n < zeros + count; n++) {
            bytes[at++] = n < 4 ? xorLow >>> (8 * n) : xorHigh >>> (8 * n - 32);
          }
        } else {
          const from = at;
          at = this.#putExact(number, batch.exactValue(row), at);
          code = at - from;
        }
        lastBits[2 * number] = low;
        lastBits[2 * number + 1] = high;
      }
      bytes[codesAt + (i >> 1)] |= i & 1 ? code << 4 : code;
    }
    this.#length = at;
  }

  /** A u64 that numbers cannot tell from its neighbours, or that is far from the last one. */
  #putExact(number: number, value: bigint, at: number): number {
    const { lastValues, lastExact } = this.#state;
    if (value < 0n || value > MAX_U64) {
      throw new RangeError(`Cannot encode ${value} as u64: it is out of range`);
    }
    const before = lastExact.get(number) ?? BigInt(lastValues[number]);
    const difference = BigInt.asIntN(64, value - before);
    let rest = (difference << 1n) ^ (difference >> 63n);
    for (; rest > 0n; rest >>= 8n) this.#bytes[at++] = Number(rest & 0xffn);
    lastValues[number] = Number(value);
    if (value > BigInt(MAX_SAFE)) lastExact.set(number, value);
    else lastExact.delete(number);
    return at;
  }
}

function trailingZeroBytes(word: number): number {
  return (31 - Math.clz32(word & -word)) >> 3;
}
