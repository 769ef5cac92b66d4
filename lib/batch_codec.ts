/**
 * A compact codec for streams of batches, exact to the bit: for the journal's segments, and for the wire between two
 * of ours. Encoder and decoder keep the same state, so the records of a stream must be decoded from the first one on,
 * each of them once, in order.
 *
 * A record is `varint rows`, then chunks until all rows are there:
 *
 *     varint  rows of the chunk × 2, + 1 if all state is forgotten first
 *     series  varint hits: so many rows whose series is the one that followed last time,
 *             then (unless the chunk is complete) varint number + 1 of a series, or 0 and the definition of a new one;
 *             and again
 *     times   varint rows × 2, + 1 if the seconds change; zigzag change of the seconds if so, and of the nanoseconds;
 *             and again
 *     codes   a nibble for each row, low nibble first
 *     values  what the codes say, by row, in 0 to 9 bytes
 *
 * Values are relative to the last value of the same series, which is 0 at first. Code 0 is "the same bits". For u64,
 * 1 to 8 is the zigzag difference (modulo 2^64) in so many bytes. For f64, 1 to 6 is the zigzag difference of two
 * whole numbers in so many bytes, 7 to 14 is the XOR of the bits in its lowest 1 to 8 bytes, and 15 is one byte
 * (zero bytes at the low end × 8, + bytes - 1) and the bytes of the XOR above those. All of it is little-endian.
 */
import {
  type Attribute,
  Batch,
  type BatchPool,
  type Metric,
  reserveCacheSlots,
  type Series,
  seriesOf,
} from "./measurement.ts";
import {
  type DecodedMetric,
  DefinitionReader,
  DefinitionWriter,
  UnknownReference,
} from "./batch_dictionary.ts";
import { MAX_SECONDS } from "./point_decoder.ts";
import { PostcardError, PostcardReader, PostcardWriter, putVarint } from "./postcard.ts";

/** When a stream forgets its dictionary. The decoder's limits must not be below the encoder's. */
export interface BatchCodecLimits {
  /** Most series in the dictionary. @default {65_536} */
  maxSeries?: number;
  /** No further record is added to a dictionary whose definitions take more bytes. @default {16 MiB} */
  maxDictionaryBytes?: number;
}

const DEFAULT_MAX_SERIES = 65_536;
const DEFAULT_MAX_DICTIONARY_BYTES = 16 * 1024 * 1024;
/** A row takes half a byte at least: what a decoder allocates is bounded by its input. */
const ROWS_PER_BYTE = 2;
/** Differences below this, in both directions, fit in 6 bytes of zigzag, exactly. */
const MAX_DELTA = 2 ** 47;
const MAX_SAFE = 9007199254740992;
const MAX_U64 = (1n << 64n) - 1n;
const XOR_CODE = 6;
const SHIFTED_CODE = 15;
const MAX_VALUE_BYTES = 9;
const MAX_VARINT_BYTES = 10;

/** Why a record cannot be decoded. */
export type BatchCodecErrorCode =
  /** It ends too early or too late, or has numbers or text that are none. */
  | "malformed"
  /** It refers to a series, metric or text that the stream does not have. */
  | "bad_reference"
  /** A time or value that no point can have. */
  | "bad_value"
  /** The dictionary would be larger than the decoder allows, or a metric was refused. */
  | "limit"
  /** A record before it could not be decoded, so nothing after it can, up to one that begins anew. */
  | "broken";

/** The only error that decoding throws. */
export class BatchCodecError extends Error {
  override readonly name = "BatchCodecError";

  constructor(readonly code: BatchCodecErrorCode, detail: string, options?: ErrorOptions) {
    super(`Cannot decode a batch: ${detail}`, options);
  }
}

/** Number of the stream that gave a series its number, and that number. */
const CACHE_STREAM = 0;
const CACHE_NUMBER = 1;
const sharedSlots = reserveCacheSlots(2);
let nextStream = 0;

/** What both ends know of each series, by its number. */
class StreamState {
  series: Series[] = [];
  /** The number that came after this one last time, by number + 1; -1 where none did. */
  following = new Int32Array(257).fill(-1);
  isF64 = new Uint8Array(256);
  lastValues = new Float64Array(256);
  lastBits = new Uint32Array(this.lastValues.buffer);
  /** Last values of u64 above 2^53. */
  readonly lastExact = new Map<number, bigint>();
  /** Number of the row before, or -1. */
  last = -1;
  seconds = 0;
  nanos = 0;
  dictionaryBytes = 0;

  clear(): void {
    this.series = [];
    this.following.fill(-1);
    this.lastValues.fill(0);
    this.lastExact.clear();
    this.last = -1;
    this.seconds = this.nanos = this.dictionaryBytes = 0;
  }

  add(series: Series): number {
    const number = this.series.length;
    if (number === this.isF64.length) this.#grow(number * 2);
    this.series.push(series);
    this.isF64[number] = series.metric.type === "f64" ? 1 : 0;
    return number;
  }

  #grow(capacity: number): void {
    const { following, isF64, lastValues } = this;
    this.following = new Int32Array(capacity + 1).fill(-1);
    this.following.set(following);
    this.isF64 = new Uint8Array(capacity);
    this.isF64.set(isF64);
    this.lastValues = new Float64Array(capacity);
    this.lastValues.set(lastValues);
    this.lastBits = new Uint32Array(this.lastValues.buffer);
  }
}

/** Bits of a column of values, low word first: every platform of Deno is little-endian. */
function bitsOf(values: Float64Array<ArrayBuffer>): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
}

function zigzag(difference: number): number {
  return difference >= 0 ? difference * 2 : difference * -2 - 1;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : (value + 1) / -2;
}

/** Encodes the records of one stream. */
export class BatchEncoder {
  readonly #maxSeries: number;
  readonly #maxDictionaryBytes: number;
  readonly #slots: number;
  readonly #state = new StreamState();
  readonly #definitions = new DefinitionWriter();
  /** For series whose cache has the number of another stream. */
  readonly #numbering = new Map<Series, number>();
  #stream = nextStream++;
  /** The next chunk says that the state is forgotten. */
  #begins = false;
  #numbers = new Int32Array(256);
  #bytes = new Uint8Array(4096);
  #length = 0;

  /**
   * @param cacheSlots Two places of {@linkcode reserveCacheSlots}, so that encoders of the same series do not take
   *   them from each other; it only costs time if they do.
   */
  constructor(limits: BatchCodecLimits = {}, cacheSlots = sharedSlots) {
    this.#maxSeries = limits.maxSeries ?? DEFAULT_MAX_SERIES;
    this.#maxDictionaryBytes = limits.maxDictionaryBytes ?? DEFAULT_MAX_DICTIONARY_BYTES;
    this.#slots = cacheSlots;
  }

  /** Series in the dictionary. */
  get seriesCount(): number {
    return this.#state.series.length;
  }

  /** Forgets the stream so far, and tells the decoder to: a record will not reach it. */
  reset(): void {
    this.#reset();
  }

  /** Begins another stream, for a decoder that knows nothing. */
  restart(): void {
    this.#forget();
    this.#begins = false;
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
      this.#reset();
      throw error;
    }
  }

  #forget(): void {
    this.#state.clear();
    this.#definitions.clear();
    this.#numbering.clear();
    this.#stream = nextStream++;
  }

  #reset(): void {
    this.#forget();
    this.#begins = true;
  }

  /** Where a chunk from `start` on must end for the dictionary to hold its series; makes room if there is none. */
  #chunkEnd(batch: Batch, start: number): number {
    if (this.#state.dictionaryBytes > this.#maxDictionaryBytes) this.#reset();
    let room = this.#maxSeries - this.#state.series.length;
    if (batch.length - start <= room) return batch.length;
    for (let row = start; row < batch.length; row++) {
      if (this.#numberOf(batch.series[row]) < 0 && --room < 0) {
        this.#reset();
        return Math.min(batch.length, start + this.#maxSeries);
      }
    }
    return batch.length;
  }

  #numberOf(series: Series): number {
    const slots = this.#slots;
    if (series.cache[slots + CACHE_STREAM] === this.#stream) {
      return series.cache[slots + CACHE_NUMBER] as number;
    }
    const number = this.#numbering.get(series);
    if (number === undefined) return -1;
    series.cache[slots + CACHE_STREAM] = this.#stream;
    series.cache[slots + CACHE_NUMBER] = number;
    return number;
  }

  #varint(value: number): void {
    this.#reserve(MAX_VARINT_BYTES);
    this.#length = putVarint(this.#bytes, this.#length, value);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }

  #putSeries(batch: Batch, start: number, end: number): void {
    const state = this.#state;
    if (this.#numbers.length < end - start) this.#numbers = new Int32Array(2 * (end - start));
    const numbers = this.#numbers;
    const { series } = batch;
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
        let number = this.#numberOf(one);
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

  #define(series: Series): number {
    const number = this.#state.add(series);
    this.#numbering.set(series, number);
    series.cache[this.#slots + CACHE_STREAM] = this.#stream;
    series.cache[this.#slots + CACHE_NUMBER] = number;
    const writer = new PostcardWriter(64);
    this.#definitions.write(writer, series);
    this.#varint(0);
    const { written } = writer;
    this.#state.dictionaryBytes += written.length;
    this.#reserve(written.length);
    this.#bytes.set(written, this.#length);
    this.#length += written.length;
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
          difference < MAX_DELTA && difference > -MAX_DELTA && difference !== 0 &&
          value === Math.floor(value) && before === Math.floor(before) && (low | high) !== -0x80000000 &&
          value <= MAX_SAFE && before <= MAX_SAFE && value >= (f64 ? -MAX_SAFE : 0) && before >= -MAX_SAFE
        ) {
          let rest = difference >= 0 ? difference * 2 : difference * -2 - 1;
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
    let rest = BigInt.asUintN(64, (difference << 1n) ^ (difference >> 63n));
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

export interface BatchDecoderOptions extends BatchCodecLimits {
  /** Makes the attributes that a series has here. @default those of its definition */
  attributes?: (attributes: readonly Attribute[]) => readonly Attribute[];
  /** Told of each new series. */
  onSeries?: ((series: Series) => void) | undefined;
  /** Gives the process' object for a metric. @default one object per stream */
  makeMetric?: ((metric: DecodedMetric) => Metric) | undefined;
  /** Batches that fill half of its capacity or more, and fit, are taken from there. */
  pool?: BatchPool;
}

/** Decodes the records of one stream. */
export class BatchDecoder {
  readonly #maxSeries: number;
  readonly #maxDictionaryBytes: number;
  readonly #pool: BatchPool | undefined;
  readonly #state = new StreamState();
  readonly #definitions: DefinitionReader;
  readonly #attributes: (attributes: readonly Attribute[]) => readonly Attribute[];
  readonly #onSeries: ((series: Series) => void) | undefined;
  #numbers = new Int32Array(256);
  #broken = false;

  constructor(options: BatchDecoderOptions = {}) {
    this.#maxSeries = options.maxSeries ?? DEFAULT_MAX_SERIES;
    this.#maxDictionaryBytes = options.maxDictionaryBytes ?? DEFAULT_MAX_DICTIONARY_BYTES;
    this.#pool = options.pool;
    this.#definitions = new DefinitionReader(options.makeMetric ?? ((metric) => metric));
    this.#attributes = options.attributes ?? ((attributes) => attributes);
    this.#onSeries = options.onSeries;
  }

  /** Series in the dictionary. */
  get seriesCount(): number {
    return this.#state.series.length;
  }

  /**
   * Decodes the record `bytes[start … end-1]`. Memory is at most about 80 times the input, which is what a point takes
   * in columns that did not change.
   *
   * @param room Gives the batch to which so many points are appended. @default a batch of their own
   * @throws {BatchCodecError} Nothing can be decoded then, up to a record that begins anew. A batch that `room` gave
   *   is as before.
   */
  decode(
    bytes: Uint8Array,
    start = 0,
    end = bytes.length,
    room: (points: number) => Batch = (points) => this.#own(points),
  ): Batch {
    let batch: Batch | undefined;
    let before = 0;
    try {
      const reader = new PostcardReader(bytes, start, end);
      const rows = Number(reader.u64Number());
      if (rows > reader.remaining * ROWS_PER_BYTE) {
        throw new BatchCodecError("malformed", `${rows} points are announced in ${reader.remaining} bytes`);
      }
      batch = room(rows);
      before = batch.length;
      batch.reserve(rows);
      const total = before + rows;
      while (batch.length < total) this.#chunk(batch, total, bytes, reader);
      if (reader.remaining > 0) throw new BatchCodecError("malformed", "there are bytes behind its end");
      return batch;
    } catch (error) {
      this.#broken = true;
      if (batch) {
        // A chunk that failed has left points behind the length.
        batch.length = batch.series.length;
        batch.truncate(before);
      }
      if (error instanceof BatchCodecError) throw error;
      if (error instanceof PostcardError) {
        throw new BatchCodecError("malformed", error.message, { cause: error });
      }
      if (error instanceof UnknownReference) {
        throw new BatchCodecError("bad_reference", `it refers to ${error.message}, which is unknown`);
      }
      throw new BatchCodecError("limit", "a metric was refused", { cause: error });
    }
  }

  #own(points: number): Batch {
    const pool = this.#pool;
    return pool && points <= pool.capacity && points * 2 > pool.capacity ? pool.take() : new Batch(points);
  }

  #chunk(batch: Batch, total: number, bytes: Uint8Array, reader: PostcardReader): void {
    const head = Number(reader.u64Number());
    const start = batch.length;
    const rows = Math.floor(head / 2);
    if (rows === 0 || rows > total - start) {
      throw new BatchCodecError("malformed", `a chunk has ${rows} of ${total - start} points`);
    }
    if (head % 2 === 1) {
      this.#state.clear();
      this.#definitions.clear();
      this.#broken = false;
    } else if (this.#broken) {
      throw new BatchCodecError("broken", "a record before it is damaged");
    } else if (this.#state.dictionaryBytes > this.#maxDictionaryBytes) {
      throw new BatchCodecError("limit", `the series take more than ${this.#maxDictionaryBytes} bytes`);
    }
    this.#readSeries(batch, start, rows, reader);
    this.#readTimes(batch, start, rows, reader);
    this.#readValues(batch, start, rows, bytes, reader);
    batch.length = start + rows;
  }

  #readSeries(batch: Batch, start: number, rows: number, reader: PostcardReader): void {
    const state = this.#state;
    if (this.#numbers.length < rows) this.#numbers = new Int32Array(2 * rows);
    const numbers = this.#numbers;
    const { series } = batch;
    for (let i = 0; i < rows;) {
      const hits = Number(reader.u64Number());
      if (hits > rows - i) throw new BatchCodecError("malformed", "a run is longer than the chunk");
      const { following, series: known } = state;
      let { last } = state;
      for (const runEnd = i + hits; i < runEnd; i++) {
        last = following[last + 1];
        if (last < 0) throw new BatchCodecError("bad_reference", "no series has followed yet");
        numbers[i] = last;
        series[start + i] = known[last];
      }
      state.last = last;
      if (i === rows) break;
      const reference = reader.u32();
      if (reference > known.length) {
        throw new BatchCodecError("bad_reference", `it refers to series ${reference - 1}, which is unknown`);
      }
      const number = reference > 0 ? reference - 1 : this.#define(reader);
      state.following[last + 1] = number;
      state.last = number;
      numbers[i] = number;
      series[start + i++] = state.series[number];
    }
  }

  #define(reader: PostcardReader): number {
    const state = this.#state;
    if (state.series.length >= this.#maxSeries) {
      throw new BatchCodecError("limit", `it has more than ${this.#maxSeries} series`);
    }
    const from = reader.offset;
    const { metric, ...rest } = this.#definitions.read(reader);
    const series = seriesOf(metric, { ...rest, attributes: this.#attributes(rest.attributes) });
    state.dictionaryBytes += reader.offset - from;
    this.#onSeries?.(series);
    return state.add(series);
  }

  #readTimes(batch: Batch, start: number, rows: number, reader: PostcardReader): void {
    const state = this.#state;
    for (let i = 0; i < rows;) {
      const head = Number(reader.u64Number());
      const run = Math.floor(head / 2);
      if (run === 0 || run > rows - i) throw new BatchCodecError("malformed", "a run of times is too long");
      if (head % 2 === 1) state.seconds += unzigzag(Number(reader.u64Number()));
      state.nanos += unzigzag(Number(reader.u64Number()));
      const { seconds, nanos } = state;
      if (!(seconds >= 0 && seconds <= MAX_SECONDS && nanos >= 0 && nanos < 1e9)) {
        throw new BatchCodecError("bad_value", `a time of ${seconds} s and ${nanos} ns is out of range`);
      }
      const end = i + run;
      for (; i < end; i++) {
        batch.seconds[start + i] = seconds;
        batch.nanos[start + i] = nanos;
      }
    }
  }

  #readValues(batch: Batch, start: number, rows: number, bytes: Uint8Array, reader: PostcardReader): void {
    const { isF64, lastValues, lastBits, lastExact } = this.#state;
    const numbers = this.#numbers;
    const { values } = batch;
    const bits = bitsOf(values);
    const codesAt = reader.offset;
    reader.skip((rows + 1) >> 1);
    let at = reader.offset;
    const { end } = reader;
    for (let i = 0; i < rows; i++) {
      const row = start + i;
      const number = numbers[i];
      const code = i & 1 ? bytes[codesAt + (i >> 1)] >> 4 : bytes[codesAt + (i >> 1)] & 15;
      if (code === 0) {
        bits[2 * row] = lastBits[2 * number];
        bits[2 * row + 1] = lastBits[2 * number + 1];
        if (lastExact.size !== 0) {
          const exact = lastExact.get(number);
          if (exact !== undefined) (batch.exact ??= new Map()).set(row, exact);
        }
        continue;
      }
      const f64 = isF64[number] === 1;
      if (code <= XOR_CODE && !(lastExact.size !== 0 && lastExact.has(number))) {
        if (at + code > end) throw new BatchCodecError("malformed", "a value is not complete");
        let lower = bytes[at];
        let upper = 0;
        if (code > 1) {
          lower |= bytes[at + 1] << 8;
          if (code > 2) lower |= bytes[at + 2] << 16;
          if (code > 3) lower |= bytes[at + 3] << 24;
          if (code > 4) upper = bytes[at + 4];
          if (code > 5) upper |= bytes[at + 5] << 8;
        }
        at += code;
        // Half of the zigzag, and its sign.
        const half = (lower >>> 1) + upper * 0x80000000;
        const value = lastValues[number] + (lower & 1 ? -half - 1 : half);
        // A u64 of 2^53 may be a larger one that was rounded.
        if (f64 ? value <= MAX_SAFE && value >= -MAX_SAFE : value < MAX_SAFE && value >= 0) {
          lastValues[number] = values[row] = value;
          continue;
        }
        if (f64) throw new BatchCodecError("bad_value", `a whole number of ${value} is out of range`);
        // Modulo 2^64: below, exactly.
        at -= code;
      }
      if (!f64) {
        if (code > 8) throw new BatchCodecError("bad_value", `an integer has the code ${code}`);
        if (at + code > end) throw new BatchCodecError("malformed", "a value is not complete");
        let rest = 0n;
        for (let n = code - 1; n >= 0; n--) rest = (rest << 8n) | BigInt(bytes[at + n]);
        at += code;
        const difference = (rest >> 1n) ^ -(rest & 1n);
        const exact = BigInt.asUintN(64, (lastExact.get(number) ?? BigInt(lastValues[number])) + difference);
        lastValues[number] = values[row] = Number(exact);
        if (exact > BigInt(MAX_SAFE)) {
          lastExact.set(number, exact);
          (batch.exact ??= new Map()).set(row, exact);
        } else lastExact.delete(number);
        continue;
      }
      let zeros = 0;
      let count = code - XOR_CODE;
      if (code === SHIFTED_CODE) {
        const shape = at < end ? bytes[at++] : 255;
        zeros = shape >> 3;
        count = (shape & 7) + 1;
        if (zeros + count > 8) throw new BatchCodecError("malformed", "the bits of a value are more than 64");
      }
      if (at + count > end) throw new BatchCodecError("malformed", "a value is not complete");
      let xorLow = 0, xorHigh = 0;
      for (let n = zeros; n < zeros + count; n++) {
        if (n < 4) xorLow |= bytes[at++] << (8 * n);
        else xorHigh |= bytes[at++] << (8 * n - 32);
      }
      bits[2 * row] = lastBits[2 * number] ^= xorLow;
      bits[2 * row + 1] = lastBits[2 * number + 1] ^= xorHigh;
    }
    reader.offset = at;
  }
}
