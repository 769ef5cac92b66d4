/**
 * Blocks: the points of some series that follow each other, in one compressed piece. A point takes a tenth of what it
 * takes as a row, because nothing is written twice: each time stands in one table, and a series only says where in the
 * table its times are; many series that were measured together say the same. Values: values.ts.
 *
 *     version (1 byte), then compressed with zstd, with a checksum:
 *     counts: series, times, bytes of the directory, of the lists of times
 *     times, in the order in which they first come: differences of differences
 *     directory: for each series the difference to the id before, points, bytes of its list of times, of its values
 *     lists of times, values
 */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { BlockError, ByteSink, ByteSource } from "./bytes.ts";
import { readValues, type Values, ValueWriter } from "./values.ts";

const VERSION = 1;
/** Most points of a block. */
export const MAX_BLOCK_POINTS = 65_536;
/** Most bytes of a block when it is not compressed: a damaged one must not take more. */
const MAX_BYTES = MAX_BLOCK_POINTS * 64;
const LEVEL = 3;

/** Points, sorted by series and time. */
export interface BlockRows {
  readonly length: number;
  /** Ids of series. */
  readonly series: Float64Array;
  /** Nanoseconds from the start of the part, which may be negative. */
  readonly offsets: Float64Array;
  /** NaN where there is no value. */
  readonly values: Float64Array;
  /** Integers that stand rounded in `values`, by row. */
  readonly exact: ReadonlyMap<number, bigint> | null;
}

/** Points of one series of a block, by time. */
export interface SeriesPoints extends Values {
  readonly offsets: Float64Array;
}

export class BlockWriter {
  readonly #all = new ByteSink();
  readonly #times = new ByteSink();
  readonly #directory = new ByteSink();
  readonly #lists = new ByteSink();
  readonly #values = new ByteSink();
  readonly #valueWriter = new ValueWriter();
  /** Times by their number, and the other way round. */
  readonly #table: number[] = [];
  readonly #numbers = new Map<number, number>();
  /** A time is not a whole number of nanoseconds. */
  #isOdd = false;

  /** @returns `null` if a series has times or values that a block cannot hold. */
  write(rows: BlockRows): Uint8Array | null {
    const sinks = [this.#all, this.#times, this.#directory, this.#lists, this.#values];
    for (const sink of sinks) sink.clear();
    this.#table.length = 0;
    this.#numbers.clear();
    this.#isOdd = false;
    const { series, values, exact, length } = rows;
    let count = 0;
    let id = 0;
    for (let from = 0, to = 0; from < length; from = to, count++) {
      while (to < length && series[to] === series[from]) to++;
      this.#directory.unsigned(series[from] - id);
      id = series[from];
      this.#directory.unsigned(to - from);
      let before = this.#lists.length;
      this.#writeTimes(rows.offsets, from, to);
      this.#directory.unsigned(this.#lists.length - before);
      before = this.#values.length;
      if (!this.#valueWriter.write(this.#values, values, from, to, exact)) return null;
      this.#directory.unsigned(this.#values.length - before);
    }
    if (this.#isOdd) return null;
    const all = this.#all;
    for (const n of [count, this.#table.length, this.#directory.length, this.#lists.length]) all.unsigned(n);
    for (const sink of sinks.slice(1)) all.append(sink.bytes);
    const compressed = zstdCompressSync(all.bytes, {
      params: { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },
    });
    const block = new Uint8Array(compressed.length + 1);
    block[0] = VERSION;
    block.set(compressed, 1);
    return block;
  }

  /** How many times follow the one before in the table, then where the next one is, and so on. */
  #writeTimes(offsets: Float64Array, from: number, to: number): void {
    const table = this.#table;
    let number = -1;
    let run = 0;
    for (let k = from; k < to; k++) {
      const offset = offsets[k];
      const next = number + 1;
      if (next < table.length && table[next] === offset) {
        number = next;
        run++;
        continue;
      }
      number = this.#numbers.get(offset) ?? this.#addTime(offset);
      if (number === next) {
        run++;
        continue;
      }
      this.#lists.unsigned(run);
      this.#lists.signed(number - next);
      run = 0;
    }
    if (run > 0) this.#lists.unsigned(run);
  }

  #addTime(offset: number): number {
    if (!Number.isInteger(offset)) this.#isOdd = true;
    const table = this.#table;
    const number = table.length;
    const before = number > 0 ? table[number - 1] : 0;
    const step = number > 1 ? before - table[number - 2] : 0;
    this.#times.signed(offset - before - step);
    table.push(offset);
    this.#numbers.set(offset, number);
    return number;
  }
}

interface Entry {
  readonly points: number;
  /** Where its list of times and its values begin. */
  readonly list: number;
  readonly values: number;
}

/** What an entry takes in a map. */
const ENTRY_BYTES = 100;

/** Reads a block; what is damaged throws {@linkcode BlockError}. */
export class Block {
  readonly #bytes: Uint8Array;
  readonly #times: Float64Array;
  readonly #entries = new Map<number, Entry>();

  constructor(block: Uint8Array) {
    if (block[0] !== VERSION) throw new BlockError("it has an unknown version");
    try {
      this.#bytes = zstdDecompressSync(block.subarray(1), { maxOutputLength: MAX_BYTES });
    } catch {
      throw new BlockError("it cannot be decompressed");
    }
    const source = new ByteSource(this.#bytes);
    const series = source.unsigned();
    const times = source.unsigned();
    const directoryBytes = source.unsigned();
    const listBytes = source.unsigned();
    if (times > MAX_BLOCK_POINTS) throw new BlockError("it has too many times");
    this.#times = new Float64Array(times);
    for (let k = 0, before = 0, step = 0; k < times; k++) {
      // The step before the second time is that time itself.
      const offset = before + (k > 1 ? step : 0) + source.signed();
      step = offset - before;
      before = this.#times[k] = offset;
    }
    let list = source.offset + directoryBytes;
    let values = list + listBytes;
    for (let k = 0, id = 0, all = 0; k < series; k++) {
      id += source.unsigned();
      const points = source.unsigned();
      all += points;
      if (all > MAX_BLOCK_POINTS) throw new BlockError("it has too many points");
      this.#entries.set(id, { points, list, values });
      list += source.unsigned();
      values += source.unsigned();
    }
  }

  /** What it takes in memory, in bytes. */
  get bytes(): number {
    return this.#bytes.length + this.#times.byteLength + this.#entries.size * ENTRY_BYTES;
  }

  /** Ids of its series, ascending. */
  get series(): Iterable<number> {
    return this.#entries.keys();
  }

  /** The points of a series; `undefined` if it has none. */
  points(series: number): SeriesPoints | undefined {
    const entry = this.#entries.get(series);
    if (!entry) return undefined;
    const offsets = this.#offsets(entry);
    return { ...readValues(new ByteSource(this.#bytes, entry.values), entry.points), offsets };
  }

  #offsets({ points, list }: Entry): Float64Array {
    const source = new ByteSource(this.#bytes, list);
    const offsets = new Float64Array(points);
    for (let k = 0, number = 0; k < points;) {
      const end = k + source.unsigned();
      if (end > points) throw new BlockError("a list of times is too long");
      while (k < end) offsets[k++] = this.#time(number++);
      if (k === points) break;
      number += source.signed();
      offsets[k++] = this.#time(number++);
    }
    return offsets;
  }

  #time(number: number): number {
    const time = this.#times[number];
    if (time === undefined) throw new BlockError("a time is missing");
    return time;
  }
}
