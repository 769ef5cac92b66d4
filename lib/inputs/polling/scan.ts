/** Numbers out of the bytes of files in /proc and /sys, without making strings of them. */

/** A u64: a bigint only above 2^53, where a number is no longer exact. NaN: digits that are not a u64. */
export type U64 = number | bigint;

/** The largest value that a {@linkcode U64} has as a number. */
const MAX_NUMBER = 2 ** 53;
/** Digits of 2^64 - 1. */
const MAX_DIGITS = 20;

const NEWLINE = 10;
const TAB = 9;
const SPACE = 32;
const MINUS = 45;
const ZERO = 48;

function exact(value: bigint): U64 {
  return value > 9007199254740992n ? value : Number(value);
}

/** The digits from `first` to before `end`; NaN for what is above 2^64 - 1. */
export function exactNumber(bytes: Uint8Array, first: number, end: number): U64 {
  while (first < end - 1 && bytes[first] === ZERO) first++;
  if (end - first > MAX_DIGITS) return NaN;
  const value = BigInt(String.fromCharCode(...bytes.subarray(first, end)));
  return value >= 2n ** 64n ? NaN : exact(value);
}

/** Applies an operation to two values exactly; NaN where one of them is not a whole number. */
function exactly(a: U64, b: U64, operation: (a: bigint, b: bigint) => bigint): U64 {
  const isWhole = (value: U64) => typeof value === "bigint" || Number.isInteger(value);
  return isWhole(a) && isWhole(b) ? exact(operation(BigInt(a), BigInt(b))) : NaN;
}

/** `now - before`, or `undefined` where a counter went back. */
export function difference(now: U64, before: U64): U64 | undefined {
  if (now < before) return undefined;
  if (typeof now === "number" && typeof before === "number") return now - before;
  return exactly(now, before, (a, b) => a - b);
}

/** `value * factor`. */
export function product(value: U64, factor: number): U64 {
  if (typeof value === "number") {
    const result = value * factor;
    if (result < MAX_NUMBER) return result;
  }
  return exactly(value, factor, (a, b) => a * b);
}

/** `a + b`. */
export function sum(a: U64, b: U64): U64 {
  if (typeof a === "number" && typeof b === "number") {
    const result = a + b;
    if (result < MAX_NUMBER) return result;
  }
  return exactly(a, b, (a, b) => a + b);
}

/** Reads fields from left to right. Made once and used again with {@linkcode Scanner.start}. */
export class Scanner {
  bytes: Uint8Array = new Uint8Array(0);
  end = 0;
  position = 0;

  /** Begins with the first `length` bytes. */
  start(bytes: Uint8Array, length: number): void {
    this.bytes = bytes;
    this.end = length;
    this.position = 0;
  }

  /**
   * The number that begins here or after blanks; `undefined` (and nothing is passed) where there is none, NaN where it
   * is negative or above 2^64 - 1.
   */
  number(): U64 | undefined {
    const { bytes, end } = this;
    let at = this.position;
    while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
    const negative = bytes[at] === MINUS && at < end;
    if (negative) at++;
    const first = at;
    let value = 0;
    for (; at < end; at++) {
      const digit = bytes[at] - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at === first) return undefined;
    this.position = at;
    if (negative) return NaN;
    if (at - first <= 15) return value;
    return exactNumber(bytes, first, at);
  }

  /** Whether the text begins here. */
  startsWith(text: Uint8Array): boolean {
    const { bytes, position } = this;
    if (position + text.length > this.end) return false;
    for (let i = 0; i < text.length; i++) if (bytes[position + i] !== text[i]) return false;
    return true;
  }

  /** Goes behind the text, if it is in this line. */
  skipTo(text: Uint8Array): boolean {
    const before = this.position;
    for (; this.position < this.end && this.bytes[this.position] !== NEWLINE; this.position++) {
      if (!this.startsWith(text)) continue;
      this.position += text.length;
      return true;
    }
    this.position = before;
    return false;
  }

  /** Goes to the start of the next line; false at the end. */
  nextLine(): boolean {
    const newline = this.bytes.indexOf(NEWLINE, this.position);
    this.position = newline < 0 || newline >= this.end ? this.end : newline + 1;
    return this.position < this.end;
  }
}

const encoder = new TextEncoder();

/** The bytes of a text, to compare with. */
export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

const strict = new TextDecoder("utf-8", { fatal: true });

/** The text of some bytes. Where they are not UTF-8, each byte above 127 is written as `\\xNN`. */
export function textOf(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return Array.from(bytes, (byte) => byte < 128 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`)
      .join("");
  }
}

const KILO = "k".charCodeAt(0);
const MEGA = "m".charCodeAt(0);
const GIGA = "g".charCodeAt(0);

/**
 * Reads lines such as `MemTotal:  24684084 kB`, and calls `visit` with the index of the label (`MemTotal:`) and the
 * value in bytes, in the order of the file. `kB` are 1024 bytes (man 5 proc_meminfo); a value without a unit
 * is taken as it is. Lines without a number are passed over.
 */
export function eachLabelled(
  scanner: Scanner,
  labels: readonly Uint8Array[],
  visit: (label: number, value: U64) => void,
): void {
  if (scanner.end === 0) return;
  do {
    for (let i = 0; i < labels.length; i++) {
      if (!scanner.startsWith(labels[i])) continue;
      scanner.position += labels[i].length;
      const value = scanner.number();
      if (value !== undefined) visit(i, product(value, unitFactor(scanner)));
      break;
    }
  } while (scanner.nextLine());
}

function unitFactor({ bytes, position, end }: Scanner): number {
  if (position + 1 >= end || bytes[position] !== SPACE) return 1;
  switch (bytes[position + 1] | 0x20) {
    case KILO:
      return 2 ** 10;
    case MEGA:
      return 2 ** 20;
    case GIGA:
      return 2 ** 30;
    default:
      return 1;
  }
}
