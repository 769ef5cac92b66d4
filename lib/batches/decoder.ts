/** Decodes the records of a stream of batches, whose format is described in {@linkcode ./codec.ts}. */
import { DefinitionReader, UnknownReference } from "./definition_reader.ts";
import {
  type BatchCodecLimits,
  bitsOf,
  DEFAULT_MAX_DICTIONARY_BYTES,
  DEFAULT_MAX_SERIES,
  MAX_SAFE,
  SHIFTED_CODE,
  StreamState,
  XOR_CODE,
} from "./stream.ts";
import { Batch, type BatchPool, MAX_SECONDS, type Metric } from "../points/measurement.ts";
import { FIRST_SERIES, type RawSeries, type SeriesStore, seriesStore } from "../points/series_store.ts";
import { PostcardError, PostcardReader } from "../postcard.ts";

/** A row takes half a byte at least: what a decoder allocates is bounded by its input. */
const ROWS_PER_BYTE = 2;

/** Why a record cannot be decoded. */
export type BatchCodecErrorCode =
  /** It ends too early or too late, or has invalid numbers or text. */
  | "malformed"
  /** It refers to a series, metric or text that the stream does not have. */
  | "bad_reference"
  /** A time or value that no point can have. */
  | "bad_value"
  /** The dictionary would be larger than the decoder allows, or a metric was refused. */
  | "limit"
  /** A record before it could not be decoded, so nothing after it can, until a record begins a new dictionary. */
  | "broken";

/** The only error that decoding throws. */
export class BatchCodecError extends Error {
  override readonly name = "BatchCodecError";

  constructor(readonly code: BatchCodecErrorCode, detail: string, options?: ErrorOptions) {
    super(`Cannot decode a batch: ${detail}`, options);
  }
}

function unzigzag(value: number): number {
  if (value <= 0x7fffffff) return (value >>> 1) ^ -(value & 1);
  const half = Math.floor(value * 0.5);
  return value % 2 === 0 ? half : -half - 1;
}

export interface BatchDecoderOptions extends BatchCodecLimits {
  /** Where the series are. @default that of the process */
  store?: SeriesStore;
  /**
   * Gives the number of a series. One below `FIRST_SERIES` is a mark, which the batch has instead: whoever gives
   * marks takes those rows out.
   *
   * @default its number in the store
   */
  intern?: (series: RawSeries) => number;
  /** Gives the process' object for a metric. @default one object per stream */
  makeMetric?: ((metric: Metric) => Metric) | undefined;
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
  readonly #store: SeriesStore;
  readonly #intern: (series: RawSeries) => number;
  #numbers = new Int32Array(256);
  #broken = false;

  constructor(options: BatchDecoderOptions = {}) {
    this.#maxSeries = options.maxSeries ?? DEFAULT_MAX_SERIES;
    this.#maxDictionaryBytes = options.maxDictionaryBytes ?? DEFAULT_MAX_DICTIONARY_BYTES;
    this.#pool = options.pool;
    this.#definitions = new DefinitionReader(options.makeMetric ?? ((metric) => metric));
    this.#store = options.store ?? seriesStore;
    this.#intern = options.intern ?? ((series) => this.#store.internRaw(series));
  }

  /** Series in the dictionary. */
  get seriesCount(): number {
    return this.#state.size;
  }

  /** Lets the series of the dictionary go. Nothing more is decoded. */
  close(): void {
    this.#forget();
    this.#broken = true;
  }

  #forget(): void {
    const { series, size } = this.#state;
    for (let i = 0; i < size; i++) if (series[i] >= FIRST_SERIES) this.#store.unpin(series[i]);
    this.#state.clear();
    this.#definitions.clear();
  }

  /**
   * Decodes the record `bytes[start … end-1]`. Memory is at most about 80 times the input, which is what a point takes
   * in columns that did not change.
   *
   * @param room Gives the batch to which this many points are appended. @default a batch of their own
   * @throws {BatchCodecError} Nothing can be decoded then, until a record begins a new dictionary. A batch that `room` gave
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
      if (rows > 0) batch.begin();
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
      this.#forget();
      this.#broken = false;
    } else if (this.#broken) {
      throw new BatchCodecError("broken", "a record before it is damaged");
    } else if (this.#state.dictionaryBytes > this.#maxDictionaryBytes) {
      throw new BatchCodecError("limit", `the series take more than ${this.#maxDictionaryBytes} bytes`);
    }
    this.#readSeries(batch, start, rows, bytes, reader);
    this.#readTimes(batch, start, rows, reader);
    this.#readValues(batch, start, rows, bytes, reader);
    batch.length = start + rows;
  }

  #readSeries(batch: Batch, start: number, rows: number, bytes: Uint8Array, reader: PostcardReader): void {
    const state = this.#state;
    if (this.#numbers.length < rows) this.#numbers = new Int32Array(2 * rows);
    const numbers = this.#numbers;
    const { series } = batch;
    const store = this.#store;
    for (let i = 0; i < rows;) {
      const hits = Number(reader.u64Number());
      if (hits > rows - i) throw new BatchCodecError("malformed", "a run is longer than the chunk");
      const { following, series: known } = state;
      const { seen, epoch } = store;
      let { last } = state;
      for (const runEnd = i + hits; i < runEnd; i++) {
        last = following[last + 1];
        if (last < 0) throw new BatchCodecError("bad_reference", "no series has followed yet");
        numbers[i] = last;
        series[start + i] = known[last];
        seen[known[last]] = epoch;
      }
      state.last = last;
      if (i === rows) break;
      const reference = reader.u32();
      if (reference > state.size) {
        throw new BatchCodecError("bad_reference", `it refers to series ${reference - 1}, which is unknown`);
      }
      const number = reference > 0 ? reference - 1 : this.#define(bytes, reader);
      state.following[last + 1] = number;
      state.last = number;
      numbers[i] = number;
      store.seen[state.series[number]] = store.epoch;
      series[start + i++] = state.series[number];
    }
  }

  #define(bytes: Uint8Array, reader: PostcardReader): number {
    const state = this.#state;
    const from = reader.offset;
    const definition = this.#definitions.read(reader, bytes);
    const { place } = this.#definitions;
    const isF64 = definition.metric.type === "f64";
    if (place >= state.size || place >= 0 && (state.isF64[place] === 1) !== isF64) {
      throw new BatchCodecError("bad_reference", `a series cannot take the place of series ${place}`);
    }
    if (place < 0 && state.size >= this.#maxSeries) {
      throw new BatchCodecError("limit", `it has more than ${this.#maxSeries} series`);
    }
    state.dictionaryBytes += reader.offset - from;
    const series = this.#intern(definition);
    if (series >= FIRST_SERIES) this.#store.pin(series);
    if (place < 0) return state.add(series, isF64);
    if (state.series[place] >= FIRST_SERIES) this.#store.unpin(state.series[place]);
    state.replace(place, series);
    return place;
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
        // Where this byte is missing, so are those below.
        const shape = bytes[at++];
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
