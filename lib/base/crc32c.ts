/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), eight bytes at a time by slicing tables. */

const POLYNOMIAL = 0x82f63b78;

function makeTables(): Int32Array[] {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    tables[0][byte] = crc;
  }
  for (let n = 1; n < 8; n++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = tables[n - 1][byte];
      tables[n][byte] = (before >>> 8) ^ tables[0][before & 255];
    }
  }
  return tables;
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = makeTables();

/**
 * The checksum of `bytes[start … end-1]`, as an unsigned number.
 *
 * @param before Checksum of the preceding bytes, to compute a checksum in pieces.
 */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length, before = 0): number {
  let crc = ~before;
  let at = start;
  for (const last = end - 8; at <= last; at += 8) {
    const word = crc ^ (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24));
    crc = T7[word & 255] ^ T6[(word >>> 8) & 255] ^ T5[(word >>> 16) & 255] ^ T4[word >>> 24] ^
      T3[bytes[at + 4]] ^ T2[bytes[at + 5]] ^ T1[bytes[at + 6]] ^ T0[bytes[at + 7]];
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ T0[(crc ^ bytes[at]) & 255];
  return ~crc >>> 0;
}
