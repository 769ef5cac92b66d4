/** Bytes, seeded chance, and test data. */

/** Reads a file of tests/testdata. */
export function testdata(path: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(new URL(`../testdata/${path}`, import.meta.url));
}

export function testdataText(path: string): string {
  return Deno.readTextFileSync(new URL(`../testdata/${path}`, import.meta.url));
}

export function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

export function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The 64 bits of a double, in hexadecimal. */
export function bitsOf(value: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0).toString(16).padStart(16, "0");
}

/** A copy of `bytes` with as many readable bytes behind it as decoders may look at; they are not zero. */
export function withSlack(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const padded = new Uint8Array(bytes.length + 64).fill(0x81);
  padded.set(bytes);
  return padded;
}

/** Frames of a recorded session, headers included. */
export function framesOf(stream: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const frames = [];
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  for (let at = 0; at + 4 <= stream.length;) {
    const end = at + 4 + view.getUint32(at);
    frames.push(stream.subarray(at, end));
    at = end;
  }
  return frames;
}

/** A small generator of chance that can be repeated (mulberry32). */
export class Chance {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed | 0;
  }

  /** 0 to 1, 1 excluded. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** 0 to `below - 1`. */
  int(below: number): number {
    return Math.floor(this.next() * below);
  }

  u64(): bigint {
    const bits = BigInt(this.int(65));
    const value = (BigInt(this.int(0x100000000)) << 32n) | BigInt(this.int(0x100000000));
    return bits === 0n ? 0n : value >> (64n - bits);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.int(items.length)];
  }

  text(maxLength = 12): string {
    const alphabet = ["a", "Z", "0", "_", " ", '"', ";", "\n", "é", "日", "🔋", "\u0000", "\ufeff"];
    return Array.from({ length: this.int(maxLength) }, () => this.pick(alphabet)).join("");
  }

  bytes(maxLength = 64): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: this.int(maxLength) }, () => this.int(256));
  }

  /** Changes, removes, adds or cuts a few bytes. */
  mutate(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const result = [...bytes];
    for (let n = 1 + this.int(4); n > 0; n--) {
      const at = this.int(result.length + 1);
      const kind = this.int(5);
      if (kind === 0) result[Math.min(at, Math.max(0, result.length - 1))] = this.int(256);
      else if (kind === 1) result.splice(at, 1 + this.int(4));
      else if (kind === 2) {
        result.splice(
          at,
          0,
          ...Array.from({ length: 1 + this.int(4) }, () => this.int(256)),
        );
      } else if (kind === 3) result.length = at;
      else result.splice(at, 0, 0xff, 0xff, 0xff, 0xff, 0x7f);
    }
    return Uint8Array.from(result, (byte) => byte ?? 0);
  }
}

/**
 * How often random cases are tried: in long runs more, by the environment variable FUZZ_CASES; no more than
 * FUZZ_MAX_CASES, where that is set.
 */
export function cases(normal: number): number {
  const most = Number(Deno.env.get("FUZZ_MAX_CASES") ?? Infinity);
  return Math.min(Number(Deno.env.get("FUZZ_CASES") ?? normal), most);
}
