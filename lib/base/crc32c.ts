/** CRC-32C (Castagnoli, RFC 3720 appendix B.4). */

const POLYNOMIAL = 0x82f63b78;
/** Streams of words in a long array: word `n` belongs to stream `n % 4`. They do not wait for each other. */
const STREAMS = 4;
const WORD_BYTES = 4;
/** Fewer bytes are taken one by one; more have two words for each stream, wherever the first word begins. */
const LEAST_BYTES = 64;

/** `tables[n][byte]` is what a byte does to the checksum when `n` bytes follow it. */
function makeTables(count: number): Int32Array[] {
  const tables = Array.from({ length: count }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    tables[0][byte] = crc;
  }
  for (let n = 1; n < count; n++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = tables[n - 1][byte];
      tables[n][byte] = (before >>> 8) ^ tables[0][before & 255];
    }
  }
  return tables;
}

const [T0, T1, T2, T3, ...longer] = makeTables(STREAMS * WORD_BYTES);
/** For a word whose stream goes on 16 bytes later. */
const [F0, F1, F2, F3] = longer.slice(-WORD_BYTES);

/**
 * The checksum of `bytes[start … end-1]`, as an unsigned number.
 *
 * @param before Checksum of the preceding bytes, to compute a checksum in pieces.
 */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length, before = 0): number {
  let crc = ~before;
  let at = start;
  if (end - start >= LEAST_BYTES) {
    // Words have addresses that are multiples of four.
    while ((bytes.byteOffset + at) % WORD_BYTES !== 0) crc = (crc >>> 8) ^ T0[(crc ^ bytes[at++]) & 255];
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (end - at) >> 2);
    crc = withWords(crc, words);
    at += words.length * WORD_BYTES;
  }
  while (at < end) crc = (crc >>> 8) ^ T0[(crc ^ bytes[at++]) & 255];
  return ~crc >>> 0;
}

/** The state `crc` after some words, low byte first; at least two for each stream. */
function withWords(crc: number, words: Int32Array): number {
  let at = 0;
  let [second, third, fourth] = [0, 0, 0];
  // Where the streams end, a word of each is left, with what comes from the words before it.
  for (const last = words.length - 2 * STREAMS; at <= last; at += STREAMS) {
    crc = far(crc ^ words[at]);
    second = far(second ^ words[at + 1]);
    third = far(third ^ words[at + 2]);
    fourth = far(fourth ^ words[at + 3]);
  }
  crc = near(crc ^ words[at++]);
  crc = near(crc ^ second ^ words[at++]);
  crc = near(crc ^ third ^ words[at++]);
  crc = near(crc ^ fourth ^ words[at++]);
  while (at < words.length) crc = near(crc ^ words[at++]);
  return crc;
}

function far(word: number): number {
  return F3[word & 255] ^ F2[(word >>> 8) & 255] ^ F1[(word >>> 16) & 255] ^ F0[word >>> 24];
}

function near(word: number): number {
  return T3[word & 255] ^ T2[(word >>> 8) & 255] ^ T1[(word >>> 16) & 255] ^ T0[word >>> 24];
}
