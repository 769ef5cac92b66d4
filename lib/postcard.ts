/**
 * The postcard wire format, version 1 (https://postcard.jamesmunns.com/wire-format): varints, zigzag, and the values
 * made of them. Readers and writers know no sockets and no messages.
 */
import { enlarged } from "./base/bytes.ts";

/** Why bytes are not what they should be. */
export type PostcardErrorCode =
  /** The bytes end before the value does, or a length points beyond them. */
  | "end_of_input"
  /** A varint is longer than its type allows, or its last byte overflows the type. */
  | "bad_varint"
  | "bad_bool"
  | "bad_option"
  | "bad_utf8"
  /** An enum's discriminant is not one of its variants. */
  | "bad_discriminant";

/** The only error that reading throws, whatever the bytes. */
export class PostcardError extends Error {
  override readonly name = "PostcardError";

  /** @param offset Where in the bytes, counted from their beginning. */
  constructor(readonly code: PostcardErrorCode, readonly offset: number, detail: string) {
    super(`Cannot decode: ${detail} at byte ${offset}`);
  }
}

const U64_MASK = (1n << 64n) - 1n;
const MAX_SAFE = 9007199254740992;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Unsigned to signed: 0, 1, 2, 3 … is 0, -1, 1, -2 …, in 32 bits. */
export function zigzagDecode32(n: number): number {
  return (n >>> 1) ^ -(n & 1);
}

/** Signed to unsigned, in 32 bits: the inverse of {@linkcode zigzagDecode32}. */
export function zigzagEncode32(n: number): number {
  return ((n << 1) ^ (n >> 31)) >>> 0;
}

/** {@linkcode zigzagDecode32} in 64 bits. */
export function zigzagDecode64(n: bigint): bigint {
  return (n >> 1n) ^ -(n & 1n);
}

/** {@linkcode zigzagEncode32} in 64 bits. */
export function zigzagEncode64(n: bigint): bigint {
  return ((n << 1n) ^ (n >> 63n)) & U64_MASK;
}

/**
 * Decodes valid UTF-8, to the letter: nothing is replaced and a byte order mark stays.
 *
 * @throws {PostcardError} `bad_utf8`
 */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length < 24) {
    // Short names in ASCII are nearly all there is; the decoder's call costs more than they do.
    let text = "";
    let i = start;
    for (; i < end; i++) {
      const byte = bytes[i];
      if (byte >= 0x80) break;
      text += String.fromCharCode(byte);
    }
    if (i === end) return text;
  }
  try {
    return decoder.decode(bytes.subarray(start, end));
  } catch {
    throw new PostcardError("bad_utf8", start, "text is not valid UTF-8");
  }
}

/** @throws {PostcardError} `bad_utf8` where {@linkcode decodeUtf8} would throw it. */
export function checkUtf8(bytes: Uint8Array, start: number, end: number): void {
  for (let i = start; i < end; i++) if (bytes[i] >= 0x80) return void decodeUtf8(bytes, start, end);
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** Reads values one after another. Every method throws {@linkcode PostcardError} and nothing else. */
export class PostcardReader {
  /** Where the next value begins. */
  offset: number;
  /** Where the input ends. */
  readonly end: number;
  readonly #bytes: Uint8Array;
  #lazyView: DataView | null = null;

  /** Reads `bytes[start … end-1]`. */
  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.offset = start;
    this.end = end;
  }

  /** Most messages need none. */
  get #view(): DataView {
    return this.#lazyView ??= viewOf(this.#bytes);
  }

  /** Bytes that have not been read. */
  get remaining(): number {
    return this.end - this.offset;
  }

  #need(count: number): number {
    const at = this.offset;
    if (count > this.end - at) {
      throw new PostcardError("end_of_input", at, `${count} bytes are needed, ${this.end - at} are left`);
    }
    this.offset = at + count;
    return at;
  }

  /** Steps over `count` bytes. */
  skip(count: number): void {
    this.#need(count);
  }

  u8(): number {
    return this.#bytes[this.#need(1)];
  }

  i8(): number {
    return this.#view.getInt8(this.#need(1));
  }

  u16(): number {
    return this.#varint32(3, 0x03);
  }

  u32(): number {
    return this.#varint32(5, 0x0f);
  }

  i16(): number {
    return zigzagDecode32(this.u16());
  }

  i32(): number {
    return zigzagDecode32(this.u32());
  }

  #varint32(maxBytes: number, maxOfLastByte: number): number {
    const start = this.offset;
    let value = 0;
    for (let i = 0; i < maxBytes; i++) {
      const byte = this.u8();
      if (byte < 0x80) {
        if (i === maxBytes - 1 && byte > maxOfLastByte) break;
        return (value | (byte << (7 * i))) >>> 0;
      }
      value |= (byte & 0x7f) << (7 * i);
    }
    throw new PostcardError("bad_varint", start, "a varint is too long for its type");
  }

  u64(): bigint {
    const start = this.offset;
    let value = 0n;
    for (let i = 0; i < 10; i++) {
      const byte = this.u8();
      if (byte < 0x80) {
        if (i === 9 && byte > 1) break;
        return value | (BigInt(byte) << BigInt(7 * i));
      }
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    }
    throw new PostcardError("bad_varint", start, "a varint is too long for its type");
  }

  i64(): bigint {
    return zigzagDecode64(this.u64());
  }

  /** A u64 as a number where that is exact (up to 2^53), as a bigint above. */
  u64Number(): number | bigint {
    const start = this.offset;
    const bytes = this.#bytes;
    let word = 0;
    for (let at = start, shift = 0; shift < 28 && at < this.end; shift += 7) {
      const byte = bytes[at++];
      word |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      this.offset = at;
      return word;
    }
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 7; i++) {
      const byte = this.u8();
      if (byte < 0x80) return value + byte * scale;
      value += (byte & 0x7f) * scale;
      scale *= 128;
    }
    this.offset = start;
    const big = this.u64();
    return big <= BigInt(MAX_SAFE) ? Number(big) : big;
  }

  f32(): number {
    return this.#view.getFloat32(this.#need(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#need(8), true);
  }

  bool(): boolean {
    const byte = this.u8();
    if (byte > 1) throw new PostcardError("bad_bool", this.offset - 1, `a bool is 0 or 1, not ${byte}`);
    return byte === 1;
  }

  /** @returns `null` for None. */
  option<T>(read: (reader: this) => T): T | null {
    const byte = this.u8();
    if (byte > 1) throw new PostcardError("bad_option", this.offset - 1, `an option is 0 or 1, not ${byte}`);
    return byte === 1 ? read(this) : null;
  }

  /** The length of what follows, of which each item takes at least `minItemBytes`. */
  length(minItemBytes = 1): number {
    const at = this.offset;
    const count = this.u64Number();
    if (typeof count === "bigint" || count * minItemBytes > this.remaining) {
      throw new PostcardError(
        "end_of_input",
        at,
        `${count} items are announced, ${this.remaining} bytes are left`,
      );
    }
    return count;
  }

  string(): string {
    const length = this.length();
    const start = this.#need(length);
    return decodeUtf8(this.#bytes, start, start + length);
  }

  /** A copy of the bytes. */
  bytes(): Uint8Array<ArrayBuffer> {
    const length = this.length();
    const start = this.#need(length);
    return this.#bytes.slice(start, start + length);
  }

  /**
   * A sequence. A count above the bytes that are left is refused before anything is allocated, so items are taken to
   * be of one byte at least.
   */
  sequence<T>(read: (reader: this) => T): T[] {
    const count = this.length();
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read(this));
    return items;
  }

  map<K, V>(readKey: (reader: this) => K, readValue: (reader: this) => V): Map<K, V> {
    const count = this.length();
    const entries = new Map<K, V>();
    for (let i = 0; i < count; i++) {
      const key = readKey(this);
      entries.set(key, readValue(this));
    }
    return entries;
  }

  /** The discriminant of an enum with `variants` variants, numbered from 0. */
  discriminant(variants: number): number {
    const at = this.offset;
    const value = this.u32();
    if (value >= variants) {
      throw new PostcardError("bad_discriminant", at, `variant ${value} is not one of ${variants}`);
    }
    return value;
  }

  /** A unit or a unit struct takes no bytes. */
  unit(): void {}
}

/** Bytes of the varint of a whole number up to 2^53. */
export function varintLength(value: number): number {
  let length = 1;
  while (value >= 128) {
    value = Math.floor(value / 128);
    length++;
  }
  return length;
}

/** Writes the varint of a whole number of 0 to 2^53 into `bytes` at `at`; returns the place after it. */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  while (value > 0x7fffffff) {
    bytes[at++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  while (value >= 128) {
    bytes[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  bytes[at++] = value;
  return at;
}

/** Characters of a short text; its length in bytes takes one byte. */
const MAX_SHORT = 64;

/** Writes values one after another into a buffer that grows. */
export class PostcardWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(Math.max(16, capacity));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What has been written; valid until the next write. */
  get written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Copies what has been written, for which a view would cost more where it is short. */
  copyTo(bytes: Uint8Array, at: number): void {
    const own = this.#bytes;
    for (let i = 0; i < this.#length; i++) bytes[at + i] = own[i];
  }

  /** Begins again, in the same buffer. */
  clear(): void {
    this.#length = 0;
  }

  /** Makes room for `count` bytes and returns where they begin. */
  #room(count: number): number {
    const at = this.#length;
    if (at + count > this.#bytes.length) {
      this.#bytes = enlarged(this.#bytes, at, at + count);
      this.#view = new DataView(this.#bytes.buffer);
    }
    this.#length = at + count;
    return at;
  }

  #integer(value: number, min: number, max: number, type: string): number {
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new RangeError(`Cannot encode ${value} as ${type}: it takes whole numbers of ${min} to ${max}`);
    }
    return value;
  }

  #byte(value: number): this {
    // The room first: it may replace the buffer.
    const at = this.#room(1);
    this.#bytes[at] = value;
    return this;
  }

  u8(value: number): this {
    return this.#byte(this.#integer(value, 0, 0xff, "u8"));
  }

  i8(value: number): this {
    return this.#byte(this.#integer(value, -0x80, 0x7f, "i8"));
  }

  u16(value: number): this {
    return this.#varint(this.#integer(value, 0, 0xffff, "u16"));
  }

  u32(value: number): this {
    return this.#varint(this.#integer(value, 0, 0xffffffff, "u32"));
  }

  i16(value: number): this {
    return this.#varint(zigzagEncode32(this.#integer(value, -0x8000, 0x7fff, "i16")));
  }

  i32(value: number): this {
    return this.#varint(zigzagEncode32(this.#integer(value, -0x80000000, 0x7fffffff, "i32")));
  }

  u64(value: number | bigint): this {
    if (typeof value === "number") {
      return this.#varint(this.#integer(value, 0, MAX_SAFE, "u64 (as a number)"));
    }
    if (value < 0n || value > U64_MASK) throw new RangeError(`Cannot encode ${value} as u64: out of range`);
    while (value >= 128n) {
      this.#byte(Number(value & 0x7fn) | 0x80);
      value >>= 7n;
    }
    return this.#byte(Number(value));
  }

  i64(value: bigint): this {
    if (BigInt.asIntN(64, value) !== value) {
      throw new RangeError(`Cannot encode ${value} as i64: out of range`);
    }
    return this.u64(zigzagEncode64(value));
  }

  #varint(value: number): this {
    const at = this.#room(varintLength(value));
    putVarint(this.#bytes, at, value);
    return this;
  }

  f32(value: number): this {
    const at = this.#room(4);
    this.#view.setFloat32(at, value, true);
    return this;
  }

  f64(value: number): this {
    const at = this.#room(8);
    this.#view.setFloat64(at, value, true);
    return this;
  }

  bool(value: boolean): this {
    return this.#byte(value ? 1 : 0);
  }

  /** `null` is None. */
  option<T>(value: T | null, write: (writer: this, value: T) => void): this {
    this.bool(value !== null);
    if (value !== null) write(this, value);
    return this;
  }

  /** UTF-8; a lone surrogate, which UTF-8 cannot say, becomes U+FFFD. */
  string(value: string): this {
    return this.#shortAscii(value) ? this : this.bytes(encoder.encode(value));
  }

  /** Most texts are names of a few letters, for which calling the encoder takes longer than encoding. */
  #shortAscii(value: string): boolean {
    const { length } = value;
    if (length > MAX_SHORT) return false;
    const at = this.#room(1 + length);
    const bytes = this.#bytes;
    bytes[at] = length;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.#length = at;
        return false;
      }
      bytes[at + 1 + i] = code;
    }
    return true;
  }

  bytes(value: Uint8Array): this {
    this.u64(value.length);
    return this.raw(value);
  }

  /** Bytes as they are, without a length. */
  raw(value: Uint8Array): this {
    const at = this.#room(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  sequence<T>(items: readonly T[], write: (writer: this, item: T) => void): this {
    this.u64(items.length);
    for (const item of items) write(this, item);
    return this;
  }

  map<K, V>(
    entries: ReadonlyMap<K, V>,
    writeKey: (writer: this, key: K) => void,
    writeValue: (writer: this, value: V) => void,
  ): this {
    this.u64(entries.size);
    for (const [key, value] of entries) {
      writeKey(this, key);
      writeValue(this, value);
    }
    return this;
  }

  discriminant(value: number): this {
    return this.u32(value);
  }

  unit(): this {
    return this;
  }
}
