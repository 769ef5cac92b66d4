/** Numbers and times in texts, read from bytes without making a string where that is exact. */

/** Powers of ten that a f64 has exactly. */
const POWERS = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));
/** Integers with this number of digits are exact in a f64. */
const EXACT_DIGITS = 15;
const MAX_U64 = 2n ** 64n - 1n;
const MAX_EXACT = 2n ** 53n;

const ZERO = 48;
const MINUS = 45;
const PLUS = 43;
const DOT = 46;

const latin1 = new TextDecoder("latin1");

/** Where {@linkcode NumberReader} has read a number, and what it was. One object is used again and again. */
export class NumberReader {
  /** Behind the last number, or behind what could have begun one. */
  offset = 0;
  /** Of an integer above 2^53: its exact value. */
  exact: bigint | undefined = undefined;

  /**
   * Reads a decimal number (`-1.5e3`, `.5`, `7`) from `at` on; the offset behind it is in {@linkcode offset}.
   *
   * @returns the number, correctly rounded; NaN if there is none. If the offset is then `end`, more bytes may make one.
   */
  float(bytes: Uint8Array, at: number, end: number): number {
    const start = at;
    let byte = at < end ? bytes[at] : 0;
    const isNegative = byte === MINUS;
    if (isNegative || byte === PLUS) at++;
    let mantissa = 0;
    const digits = at;
    while (at < end && (byte = bytes[at] - ZERO) >= 0 && byte <= 9) {
      mantissa = mantissa * 10 + byte;
      at++;
    }
    let count = at - digits;
    let fraction = 0;
    if (at < end && bytes[at] === DOT) {
      at++;
      const first = at;
      while (at < end && (byte = bytes[at] - ZERO) >= 0 && byte <= 9) {
        mantissa = mantissa * 10 + byte;
        at++;
      }
      fraction = at - first;
      count += fraction;
    }
    this.offset = at;
    if (count === 0) return NaN;
    const hasExponent = at < end && (bytes[at] | 0x20) === 101;
    if (!hasExponent && count <= EXACT_DIGITS) {
      // Both are exact, so one division rounds correctly.
      const value = fraction === 0 ? mantissa : mantissa / POWERS[fraction];
      return isNegative ? -value : value;
    }
    if (hasExponent) {
      let next = at + 1;
      if (next < end && (bytes[next] === MINUS || bytes[next] === PLUS)) next++;
      const first = next;
      while (next < end && (byte = bytes[next] - ZERO) >= 0 && byte <= 9) next++;
      this.offset = next;
      if (next === first) return NaN;
    }
    return Number(latin1.decode(bytes.subarray(start, this.offset)));
  }

  /**
   * Reads an integer of digits and perhaps a sign, as text that {@linkcode float} has read from `at` to `end`.
   *
   * @returns it; {@linkcode exact} is set where it is above 2^53. NaN if it is not an integer, or not within 64 bits.
   */
  integer(bytes: Uint8Array, at: number, end: number): number {
    this.exact = undefined;
    const text = latin1.decode(bytes.subarray(at, end));
    if (!/^[-+]?[0-9]{1,25}$/.test(text)) return NaN;
    const value = BigInt(text);
    if (value > MAX_U64 || value < -(2n ** 63n)) return NaN;
    if (value > MAX_EXACT) this.exact = value;
    return Number(value);
  }
}

/** A unit of times: how many of it a second has, a minute or an hour. */
export type TimeUnit = 1 | 1_000 | 1_000_000 | 1_000_000_000 | "m" | "h";

/** Units by the names of InfluxDB's `precision`, those of version 1 and of version 2. */
export const TIME_UNITS: Readonly<Record<string, TimeUnit>> = {
  "n": 1_000_000_000,
  "ns": 1_000_000_000,
  "u": 1_000_000,
  "us": 1_000_000,
  "µ": 1_000_000,
  "ms": 1_000,
  "s": 1,
  "m": "m",
  "h": "h",
};

/** Seconds and nanoseconds since the epoch; one object is used again and again. */
export class TimeReader {
  seconds = 0;
  nanos = 0;

  /**
   * Reads the digits from `at` to `end`.
   *
   * @returns whether they are a time after the epoch.
   */
  read(bytes: Uint8Array, at: number, end: number, scale: TimeUnit): boolean {
    const places = scale === 1_000_000_000 ? 9 : scale === 1_000_000 ? 6 : scale === 1_000 ? 3 : 0;
    if (end - at > 24 || at === end) return false;
    const split = Math.max(at, end - places);
    let seconds = 0;
    for (; at < split; at++) {
      const digit = bytes[at] - ZERO;
      if (digit < 0 || digit > 9) return false;
      seconds = seconds * 10 + digit;
    }
    let fraction = 0;
    for (; at < end; at++) {
      const digit = bytes[at] - ZERO;
      if (digit < 0 || digit > 9) return false;
      fraction = fraction * 10 + digit;
    }
    this.seconds = scale === "m" ? seconds * 60 : scale === "h" ? seconds * 3600 : seconds;
    this.nanos = fraction * (places === 9 ? 1 : places === 6 ? 1_000 : 1_000_000);
    return true;
  }
}
