/** The hash by which series are found. It has a random key, so that no peer can make collisions. */

const seeds = crypto.getRandomValues(new Int32Array(2));

/**
 * HalfSipHash-1-3 (https://github.com/veorq/SipHash) of two numbers and `bytes[start … start+length-1]`, with a random
 * key for each process.
 *
 * @returns 32 bits, unsigned.
 */
export function hashTail(
  view: DataView,
  start: number,
  length: number,
  metric: number,
  client: number,
): number {
  let v0 = seeds[0];
  let v1 = seeds[1];
  let v2 = 0x6c796765 ^ v0;
  let v3 = 0x74656462 ^ v1;
  const end = start + length;
  let at = start;
  let word = metric | 0;
  let isSecond = true;
  let last = false;
  while (true) {
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
    if (last) break;
    if (isSecond) {
      isSecond = false;
      word = client | 0;
    } else if (at + 4 <= end) {
      word = view.getInt32(at, true);
      at += 4;
    } else {
      last = true;
      word = length << 24;
      for (let shift = 0; at < end; at++, shift += 8) word |= view.getUint8(at) << shift;
    }
  }
  v2 ^= 0xff;
  for (let round = 0; round < 3; round++) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
  }
  return (v1 ^ v3) >>> 0;
}

/** Whether `length` (4 or more) bytes of two views are the same. */
export function sameBytes(a: DataView, aStart: number, b: DataView, bStart: number, length: number): boolean {
  const lastWord = length - 4;
  for (let i = 0; i < lastWord; i += 4) {
    if (a.getInt32(aStart + i, true) !== b.getInt32(bStart + i, true)) return false;
  }
  return a.getInt32(aStart + lastWord, true) === b.getInt32(bStart + lastWord, true);
}
