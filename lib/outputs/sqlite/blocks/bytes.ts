/** Integers as bytes: seven bits in each, the lowest first. */
import { enlarged } from "../../../base/bytes.ts";

/** Largest magnitude of which the zigzag number is exact. */
export const MAX_SIGNED = 2 ** 52 - 1;

/** Bytes are not those of a block. */
export class BlockError extends Error {
  override readonly name = "BlockError";
}

/** How many bytes the zigzag number of an integer takes. */
export function sizeOfSigned(n: number): number {
  const z = n < 0 ? -2 * n - 1 : 2 * n;
  if (z < 0x80) return 1;
  if (z < 0x4000) return 2;
  if (z < 0x200000) return 3;
  if (z < 0x10000000) return 4;
  return z < 2 ** 35 ? 5 : z < 2 ** 42 ? 6 : z < 2 ** 49 ? 7 : 8;
}

export class ByteSink {
  #bytes = new Uint8Array(65_536);
  length = 0;

  clear(): void {
    this.length = 0;
  }

  /** What was written; a view that is valid until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  /** Room for `count` bytes, which the caller fills. */
  reserve(count: number): Uint8Array {
    const at = this.length;
    if (at + count > this.#bytes.length) this.#bytes = enlarged(this.#bytes, at, at + count);
    this.length = at + count;
    return this.#bytes.subarray(at, at + count);
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length).set(bytes);
  }

  /** @param n A whole number of 0 to 2^53-1. */
  unsigned(n: number): void {
    let at = this.length;
    if (at + 8 > this.#bytes.length) this.#bytes = enlarged(this.#bytes, at, at + 8);
    const bytes = this.#bytes;
    while (n >= 0x80000000) {
      bytes[at++] = (n % 128) | 0x80;
      n = Math.floor(n / 128);
    }
    while (n >= 0x80) {
      bytes[at++] = (n & 0x7f) | 0x80;
      n >>>= 7;
    }
    bytes[at++] = n;
    this.length = at;
  }

  /** @param n A whole number of at most {@linkcode MAX_SIGNED} to both sides. */
  signed(n: number): void {
    this.unsigned(n < 0 ? -2 * n - 1 : 2 * n);
  }

  signedBig(n: bigint): void {
    let z = n < 0n ? -2n * n - 1n : 2n * n;
    while (z > 0x7fn) {
      this.unsigned8(Number(z & 0x7fn) | 0x80);
      z >>= 7n;
    }
    this.unsigned8(Number(z));
  }

  unsigned8(byte: number): void {
    this.reserve(1)[0] = byte;
  }
}

/** Reads what {@linkcode ByteSink} wrote. Each method throws {@linkcode BlockError} where the bytes end early. */
export class ByteSource {
  readonly #bytes: Uint8Array;
  offset: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.offset = offset;
  }

  unsigned8(): number {
    const byte = this.#bytes[this.offset++];
    if (byte === undefined) throw new BlockError("it ends early");
    return byte;
  }

  unsigned(): number {
    let value = 0;
    let scale = 1;
    while (true) {
      const byte = this.unsigned8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
      if (scale > 2 ** 49) throw new BlockError("a number is too long");
    }
    return value;
  }

  signed(): number {
    const z = this.unsigned();
    return z % 2 === 0 ? z / 2 : -(z + 1) / 2;
  }

  signedBig(): bigint {
    let z = 0n;
    for (let shift = 0n; shift < 77n; shift += 7n) {
      const byte = this.unsigned8();
      z |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return z & 1n ? -(z + 1n) / 2n : z / 2n;
    }
    throw new BlockError("a number is too long");
  }

  /** The next `count` bytes. */
  take(count: number): Uint8Array {
    const at = this.offset;
    if (count > this.#bytes.length - at) throw new BlockError("it ends early");
    this.offset = at + count;
    return this.#bytes.subarray(at, at + count);
  }
}
