/**
 * The values of one series as bytes, exactly. Whole numbers, and floats that have few decimals, are written as integers:
 * as they are, as differences, or as differences of differences, whichever takes the fewest bytes. Other floats are
 * written as what differs from the bits of the one before, the lowest bytes of all of them first. What is left is a matter
 * for the compression of the block.
 */
import { BlockError, type ByteSink, type ByteSource, MAX_SIGNED, sizeOfSigned } from "./bytes.ts";

/** First byte: how the values are written, and whether some are missing (NaN). */
const KIND = { integers: 0, decimals: 1, floats: 2, big: 3 } as const;
const WITH_MISSING = 0x80;

/** What is written of an integer: itself, the difference to the one before, or the difference of differences. */
const PLAIN = 0;
const DELTA = 1;
const DELTA_OF_DELTA = 2;

/** Integers up to here have differences of differences that are exact. */
const MAX_INTEGER = (MAX_SIGNED - 3) / 4;
const MAX_DECIMALS = 12;
const POWERS = Array.from({ length: MAX_DECIMALS + 1 }, (_, i) => 10 ** i);

/** Values of a series. */
export interface Values {
  readonly length: number;
  /** NaN where there is none; rounded where {@linkcode Values.exact} has the value. */
  readonly numbers: Float64Array;
  /** Each value is an integer. */
  readonly isInteger: boolean;
  /** All values where an integer is above 2^50; `null` in it where there is none. */
  readonly exact: readonly (bigint | null)[] | null;
}

/** Writes values; its arrays are used again. */
export class ValueWriter {
  #present = new Float64Array(1024);
  #scaled = new Float64Array(1024);

  /**
   * @param numbers `from … to-1` are the values, NaN where there is none.
   * @param exact Integers that stand rounded in `numbers`, by their place there.
   * @returns whether the values can be written: floats beside integers above 2^53 that no float holds cannot.
   */
  write(
    sink: ByteSink,
    numbers: Float64Array,
    from: number,
    to: number,
    exact: ReadonlyMap<number, bigint> | null,
  ): boolean {
    if (exact === null && isConstant(numbers, from, to)) {
      writeConstant(sink, numbers[from], to - from);
      return true;
    }
    let missing = 0;
    let hasExact = false;
    for (let i = from; i < to; i++) {
      if (Number.isNaN(numbers[i])) missing++;
      else if (exact?.has(i)) hasExact = true;
    }
    const count = to - from - missing;
    const present = missing === 0 ? numbers.subarray(from, to) : this.#without(numbers, from, to, count);
    if (this.#scaled.length < count) this.#scaled = new Float64Array(count * 2);
    const decimals = hasExact ? -1 : this.#scale(present);
    const isBig = decimals < 0 && areIntegers(numbers, from, to, exact);
    if (hasExact && !isBig && !areFloats(from, to, exact!)) return false;
    const kind = isBig ? KIND.big : decimals < 0 ? KIND.floats : decimals > 0 ? KIND.decimals : KIND.integers;
    sink.unsigned8(kind | (missing > 0 ? WITH_MISSING : 0));
    if (missing > 0) writeMissing(sink, numbers, from, to, missing);
    if (isBig) writeBig(sink, numbers, from, to, exact);
    else if (decimals < 0) writeFloats(sink, present);
    else {
      if (decimals > 0) sink.unsigned8(decimals);
      writeIntegers(sink, this.#scaled, count);
    }
    return true;
  }

  #without(numbers: Float64Array, from: number, to: number, count: number): Float64Array {
    if (this.#present.length < count) this.#present = new Float64Array(count * 2);
    for (let i = from, at = 0; i < to; i++) if (!Number.isNaN(numbers[i])) this.#present[at++] = numbers[i];
    return this.#present.subarray(0, count);
  }

  /**
   * Finds the fewest decimals that all values have, exactly, and fills {@linkcode ValueWriter.#scaled}.
   *
   * @returns -1 where there are too many, or a value is too large.
   */
  #scale(values: Float64Array): number {
    const scaled = this.#scaled;
    const { length } = values;
    let decimals = 0;
    let power = 1;
    for (let i = 0; i < length; i++) {
      const value = values[i];
      if (Object.is(value, -0)) return -1;
      if (i > 0 && value === values[i - 1]) {
        scaled[i] = scaled[i - 1];
        continue;
      }
      let whole = Math.round(value * power);
      let isExact = true;
      while (whole / power !== value) {
        if (decimals === MAX_DECIMALS || !(Math.abs(value) * power <= MAX_INTEGER)) return -1;
        power = POWERS[++decimals];
        whole = Math.round(value * power);
        isExact = false;
      }
      if (!(Math.abs(whole) <= MAX_INTEGER)) return -1;
      scaled[i] = whole;
      // Those before have more decimals now.
      if (!isExact) i = -1;
    }
    return decimals;
  }
}

/** Whether all are one integer, as of what is idle. */
function isConstant(numbers: Float64Array, from: number, to: number): boolean {
  const first = numbers[from];
  if (!Number.isInteger(first) || !(Math.abs(first) <= MAX_INTEGER) || Object.is(first, -0)) return false;
  let end = from + 1;
  while (end < to && Object.is(numbers[end], first)) end++;
  return end === to;
}

/** Writes one integer `count` times, in the bytes that {@linkcode writeIntegers} would choose. */
function writeConstant(sink: ByteSink, value: number, count: number): void {
  sink.unsigned8(KIND.integers);
  const isShort = count === 1 || sizeOfSigned(value) === 1;
  sink.unsigned8(isShort ? PLAIN : DELTA);
  sink.signed(value);
  // The same byte again, or differences of nothing.
  sink.reserve(count - 1).fill(!isShort ? 0 : value < 0 ? -2 * value - 1 : 2 * value);
}

/** Whether all are integers that SQLite stored as such. */
function areIntegers(
  numbers: Float64Array,
  from: number,
  to: number,
  exact: ReadonlyMap<number, bigint> | null,
): boolean {
  for (let i = from; i < to; i++) {
    const value = numbers[i];
    if (Number.isNaN(value) || exact?.has(i)) continue;
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) return false;
  }
  return true;
}

/** Whether none of the exact integers is rounded as a float. */
function areFloats(from: number, to: number, exact: ReadonlyMap<number, bigint>): boolean {
  for (const [i, value] of exact) if (i >= from && i < to && BigInt(Number(value)) !== value) return false;
  return true;
}

/** Places of values that are missing. */
function writeMissing(
  sink: ByteSink,
  numbers: Float64Array,
  from: number,
  to: number,
  count: number,
): void {
  sink.unsigned(count);
  let next = from;
  for (let i = from; i < to; i++) {
    if (!Number.isNaN(numbers[i])) continue;
    sink.unsigned(i - next);
    next = i + 1;
  }
}

function writeBig(
  sink: ByteSink,
  numbers: Float64Array,
  from: number,
  to: number,
  exact: ReadonlyMap<number, bigint> | null,
): void {
  let before = 0n;
  for (let i = from; i < to; i++) {
    if (Number.isNaN(numbers[i])) continue;
    const value = exact?.get(i) ?? BigInt(numbers[i]);
    sink.signedBig(value - before);
    before = value;
  }
}

function writeIntegers(sink: ByteSink, values: Float64Array, count: number): void {
  let plain = 0;
  let delta = 0;
  let second = 0;
  let before = 0;
  let step = 0;
  for (let i = 0; i < count; i++) {
    const value = values[i];
    const difference = value - before;
    plain += sizeOfSigned(value);
    delta += sizeOfSigned(difference);
    second += sizeOfSigned(difference - step);
    before = value;
    step = difference;
  }
  const form = second < delta && second < plain ? DELTA_OF_DELTA : delta < plain ? DELTA : PLAIN;
  sink.unsigned8(form);
  before = step = 0;
  for (let i = 0; i < count; i++) {
    const value = values[i];
    const difference = value - before;
    sink.signed(form === PLAIN ? value : form === DELTA ? difference : difference - step);
    before = value;
    step = difference;
  }
}

/** The bytes of one place of all values stand together: those of the exponent hardly change. */
function writeFloats(sink: ByteSink, values: Float64Array): void {
  const count = values.length;
  const words = new Uint32Array(values.buffer, values.byteOffset, count * 2);
  const planes = sink.reserve(count * 8);
  let low = 0;
  let high = 0;
  for (let i = 0; i < count; i++) {
    const [a, b] = [words[2 * i] ^ low, words[2 * i + 1] ^ high];
    low = words[2 * i];
    high = words[2 * i + 1];
    for (let k = 0; k < 4; k++) {
      planes[k * count + i] = a >>> (8 * k);
      planes[(k + 4) * count + i] = b >>> (8 * k);
    }
  }
}

/** @throws {BlockError} if the bytes are not those of `length` values. */
export function readValues(source: ByteSource, length: number): Values {
  const first = source.unsigned8();
  const kind = first & ~WITH_MISSING;
  const missing: number[] = [];
  if (first & WITH_MISSING) {
    const count = source.unsigned();
    if (count > length) throw new BlockError("too many values are missing");
    for (let k = 0, next = 0; k < count; k++) {
      missing.push(next + source.unsigned());
      next = missing[k] + 1;
    }
  }
  const count = length - missing.length;
  if (kind === KIND.big) {
    const values: bigint[] = [];
    for (let i = 0; i < count; i++) values.push((i > 0 ? values[i - 1] : 0n) + source.signedBig());
    const exact = spread(values, missing, length, null as bigint | null);
    const numbers = Float64Array.from(exact, (value) => value === null ? NaN : Number(value));
    return { length, numbers, isInteger: true, exact };
  }
  let numbers: Float64Array;
  if (kind === KIND.floats) numbers = readFloats(source, count);
  else if (kind === KIND.integers) numbers = readIntegers(source, count, 1);
  else if (kind === KIND.decimals) {
    const decimals = source.unsigned8();
    if (decimals > MAX_DECIMALS) throw new BlockError("a value has too many decimals");
    numbers = readIntegers(source, count, POWERS[decimals]);
  } else throw new BlockError("values are written in an unknown way");
  if (missing.length > 0) numbers = Float64Array.from(spread([...numbers], missing, length, NaN));
  return { length, numbers, isInteger: kind === KIND.integers, exact: null };
}

/** Puts `none` at the places of what is missing, in ascending order. */
function spread<T>(values: readonly T[], missing: readonly number[], length: number, none: T): T[] {
  if (missing.length === 0) return [...values];
  const all: T[] = [];
  for (let i = 0, next = 0, at = 0; i < length; i++) {
    if (missing[next] === i) {
      all.push(none);
      next++;
    } else all.push(values[at++]);
  }
  return all;
}

function readIntegers(source: ByteSource, count: number, power: number): Float64Array {
  const form = source.unsigned8();
  const values = new Float64Array(count);
  let before = 0;
  let step = 0;
  for (let i = 0; i < count; i++) {
    const n = source.signed();
    step = form === PLAIN ? n - before : form === DELTA ? n : step + n;
    before += step;
    values[i] = before / power;
  }
  return values;
}

function readFloats(source: ByteSource, count: number): Float64Array {
  const planes = source.take(count * 8);
  const values = new Float64Array(count);
  const words = new Uint32Array(values.buffer);
  let low = 0;
  let high = 0;
  for (let i = 0; i < values.length; i++) {
    for (let k = 0; k < 4; k++) {
      low ^= planes[k * count + i] << (8 * k);
      high ^= planes[(k + 4) * count + i] << (8 * k);
    }
    words[2 * i] = low;
    words[2 * i + 1] = high;
  }
  return values;
}
