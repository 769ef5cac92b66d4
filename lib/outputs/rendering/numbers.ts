/** Numbers, attributes and texts as bytes, for the outputs that write text: nothing is allocated per point. */
import type { AttributeValue } from "../../points/measurement.ts";

const encoder = new TextEncoder();

/** A f64 as Alumet prints it: plain decimal, as short as reads back the same, `NaN`, `inf`, `-inf`, `-0`. */
export function formatF64(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Infinity) return "inf";
  if (value === -Infinity) return "-inf";
  if (Object.is(value, -0)) return "-0";
  const text = String(value);
  const e = text.indexOf("e");
  if (e < 0) return text;
  const sign = text.startsWith("-") ? "-" : "";
  const [whole, fraction = ""] = text.slice(sign.length, e).split(".");
  const exponent = Number(text.slice(e + 1));
  const digits = whole + fraction;
  // The exponents of JavaScript's text begin at 21 and at -7: the point is always outside of the digits.
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  return sign + digits.padEnd(exponent + 1, "0");
}

/**
 * A f64 as JSON: always with a point or an exponent, so that it is read as a float; infinity is a number that is too large
 * for any, which is what it is read as; NaN is null.
 */
export function jsonF64(value: number): string {
  if (Number.isNaN(value)) return "null";
  if (!Number.isFinite(value)) return value > 0 ? "9e999" : "-9e999";
  if (Object.is(value, -0)) return "-0.0";
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** An attribute's value as text; lists as `[1, 2, 3]`. */
export function formatAttribute(value: AttributeValue): string {
  if (typeof value === "number") return formatF64(value);
  if (typeof value === "object") return `[${value.join(", ")}]`;
  return String(value);
}

/** UTF-16 sorts astral characters before U+E000: compares as bytes do. */
export const compareTexts = (a: string, b: string) => compareBytes(encoder.encode(a), encoder.encode(b));

export function compareBytes(x: Uint8Array, y: Uint8Array): number {
  for (let i = 0; i < x.length && i < y.length; i++) if (x[i] !== y[i]) return x[i] - y[i];
  return x.length - y.length;
}

/** Bytes that are being filled. Some bytes behind the end may be written to. */
export class RowBuffer {
  length = 0;
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView<ArrayBuffer>;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Makes room for `count` bytes behind the end. */
  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const larger = new Uint8Array(this.length + count);
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }
}

/** Writes text as UTF-8; nearly all of it is ASCII, for which a call of the encoder costs more than the text. */
export function putUtf8(bytes: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return at + encoder.encodeInto(text, bytes.subarray(at)).written;
    bytes[at + i] = code;
  }
  return at + text.length;
}

/** Writes text that is ASCII alone. */
export function putText(bytes: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/** Writes a whole number of 0 to 99 as two digits. */
export function putTwoDigits(bytes: Uint8Array, at: number, value: number): void {
  const ten = (value / 10) | 0;
  bytes[at] = 48 + ten;
  bytes[at + 1] = 48 + value - ten * 10;
}

/** Whether {@linkcode putInteger} writes a f64 as {@linkcode formatF64} does: a whole number of 0 to 2^53, and not -0. */
export function isPlainInteger(value: number): boolean {
  return value <= 9007199254740992 && Math.floor(value) === value && 1 / value > 0;
}

/** Writes a whole number of 0 to 2^53. */
export function putInteger(bytes: Uint8Array, at: number, value: number): number {
  if (value >= 1_000_000_000) {
    const high = Math.floor(value / 1_000_000_000);
    at = putInteger(bytes, at, high);
    return putDigits(bytes, at, value - high * 1_000_000_000, 9);
  }
  const small = value | 0;
  if (small < 10) {
    bytes[at] = 48 + small;
    return at + 1;
  }
  let digits = 2;
  for (let limit = 100; digits < 9 && small >= limit; limit *= 10) digits++;
  return putDigits(bytes, at, small, digits);
}

/** Below this, no two f64 are the same number of thousandths, whose digits are the shortest text then. */
const MAX_THOUSANDTHS = 1e15;

/** Writes a f64 as {@linkcode formatF64} does. Where it has three places or fewer, nothing is allocated. */
export function putF64(bytes: Uint8Array, at: number, value: number): number {
  if (isPlainInteger(value)) return putInteger(bytes, at, value);
  const thousandths = Math.round(value * 1000);
  if (!(thousandths > 0 && thousandths < MAX_THOUSANDTHS && thousandths / 1000 === value)) {
    return putText(bytes, at, formatF64(value));
  }
  const whole = Math.floor(value);
  at = putInteger(bytes, at, whole);
  bytes[at++] = 46;
  let rest = thousandths - whole * 1000;
  let digits = 3;
  for (; rest % 10 === 0; rest /= 10) digits--;
  return putDigits(bytes, at, rest, digits);
}

/** Writes the last `digits` digits of a whole number below 2^31. */
function putDigits(bytes: Uint8Array, at: number, value: number, digits: number): number {
  let rest = value | 0;
  for (let i = at + digits - 1; i >= at; i--) {
    const tenth = (rest / 10) | 0;
    bytes[i] = 48 + rest - tenth * 10;
    rest = tenth;
  }
  return at + digits;
}
