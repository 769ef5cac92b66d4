/** Mutants of bytes and of batches that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const BYTES: readonly EquivalentMutant[] = [
  {
    file: "lib/base/crc32c.ts",
    before: "const tables = Array.from({ length: count }, () => new Int32Array(256));",
    after: "const tables = Array.from({ length: count }, () => new Int32Array(257));",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/base/crc32c.ts",
    before: "for (let byte = 0; byte < 256; byte++) {",
    after: ["for (let byte = 0; byte <= 256; byte++) {", "for (let byte = 0; byte < 257; byte++) {"],
    reason: "Typed arrays ignore what is written behind their end.",
  },
  {
    file: "lib/base/crc32c.ts",
    before: "for (let byte = 0; byte < 256; byte++) {",
    after: "for (let byte = 1; byte < 256; byte++) {",
    reason: "The first place of each table is 0 anyway.",
  },
  {
    file: "lib/base/crc32c.ts",
    before: "const LEAST_BYTES = 64;",
    after: "const LEAST_BYTES = 65;",
    reason: "Bytes that are not taken as words are taken one by one, with the same result.",
  },
  {
    file: "lib/base/crc32c.ts",
    before: "if (end - start >= LEAST_BYTES) {",
    after: ["if (!!0 && end - start >= LEAST_BYTES) {", "if (end - start > LEAST_BYTES) {"],
    reason: "Bytes that are not taken as words are taken one by one, with the same result.",
  },
  {
    file: "lib/base/crc32c.ts",
    before: "const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (end - at) >> 2);",
    after: "const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (end - at) >> 3);",
    reason: "Bytes that are not taken as words are taken one by one, with the same result.",
  },
  {
    file: "lib/base/crc32c.ts",
    before: "for (const last = words.length - 2 * STREAMS; at <= last; at += STREAMS) {",
    after: [
      "for (const last = words.length - 3 * STREAMS; at <= last; at += STREAMS) {",
      "for (const last = words.length - 2 * STREAMS; at < last; at += STREAMS) {",
    ],
    reason: "Words that are not taken by streams are taken one by one, with the same result.",
  },
  {
    file: "lib/base/utf8.ts",
    before: "for (let i = 0; i < end; i++) if (bytes[i] === 10) line++;",
    after: "for (let i = 0; i <= end; i++) if (bytes[i] === 10) line++;",
    reason: "The byte at the end is the bad one, which is no line break.",
  },
  {
    file: "lib/base/utf8.ts",
    before: 'const [next] = new TextDecoder("utf-8", { ignoreBOM: true }).decode(rest).split("\\ufffd", 1);',
    after: 'const [next] = new TextDecoder("utf-8", { ignoreBOM: true }).decode(rest).split("\\ufffd", 2);',
    reason: "Only the first part is used.",
  },
  {
    file: "lib/batches/decoder.ts",
    before: "#numbers = new Int32Array(256);",
    after: "#numbers = new Int32Array(257);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/decoder.ts",
    before: "if (this.#numbers.length < rows) this.#numbers = new Int32Array(2 * rows);",
    after: "if (this.#numbers.length <= rows) this.#numbers = new Int32Array(2 * rows);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "bytes = new Uint8Array(32);",
    after: "bytes = new Uint8Array(33);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "this.#bytes = new Uint8Array(2 * length);",
    after: "this.#bytes = new Uint8Array(3 * length);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "#newBounds = new Uint32Array(TAIL_TEXTS + 2);",
    after: "#newBounds = new Uint32Array(TAIL_TEXTS + 3);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "if (this.#tail.length < end - start) this.#tail = new Uint8Array(2 * (end - start));",
    after: "if (this.#tail.length < end + start) this.#tail = new Uint8Array(2 * (end - start));",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "const MAX_VALUE_BYTES = 9;",
    after: "const MAX_VALUE_BYTES = 10;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "if (this.#numbers.length < end - start) this.#numbers = new Int32Array(2 * (end - start));",
    after: [
      "if (this.#numbers.length <= end - start) this.#numbers = new Int32Array(2 * (end - start));",
      "if (this.#numbers.length < end + start) this.#numbers = new Int32Array(2 * (end - start));",
    ],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "this.#reserve(3 * MAX_VARINT_BYTES);",
    after: "this.#reserve(4 * MAX_VARINT_BYTES);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before:
      "if (!f64 && (exact !== null || lastExact.size !== 0) && (exact?.has(row) || lastExact.has(number))) {",
    after:
      "if (!f64 && (exact !== null || lastExact.size !== 1) && (exact?.has(row) || lastExact.has(number))) {",
    reason: "The maps are asked then, and have nothing.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "const MAX_VARINT_BYTES = 10;",
    after: "const MAX_VARINT_BYTES = 11;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "readonly #writer = new PostcardWriter(64);",
    after: "readonly #writer = new PostcardWriter(65);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "#numbers = new Int32Array(256);",
    after: "#numbers = new Int32Array(257);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "#bytes = new Uint8Array(4096);",
    after: "#bytes = new Uint8Array(4097);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "#length = 0;",
    after: "#length = 1;",
    reason: "Each record begins with setting it.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "this.#state.series[value - 1] = 0;",
    after: "this.#state.series[value - 1] = 1;",
    reason: "No series has a number below 8.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "if (batch.length - start <= room) return batch.length;",
    after: [
      "if (!!0 && batch.length - start <= room) return batch.length;",
      "if (batch.length + start <= room) return batch.length;",
      "if (batch.length - start < room) return batch.length;",
    ],
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "if (needed > this.#bytes.length) this.#bytes = enlarged(this.#bytes, this.#length, needed);",
    after: "if (needed >= this.#bytes.length) this.#bytes = enlarged(this.#bytes, this.#length, needed);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "if (this.#numbers.length < end - start) this.#numbers = new Int32Array(2 * (end - start));",
    after: [
      "if (this.#numbers.length < end - start) this.#numbers = new Int32Array(3 * (end - start));",
      "if (this.#numbers.length < end - start) this.#numbers = new Int32Array(2 * (end + start));",
    ],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "const place = this.#places[type].pop() ?? -1;",
    after: "const place = this.#places[type].pop() ?? -2;",
    reason: "Any negative number says that there is none.",
  },
  {
    file: "lib/batches/encoder.ts",
    before:
      "if (!f64 && (exact !== null || lastExact.size !== 0) && (exact?.has(row) || lastExact.has(number))) {",
    after: [
      "if (!f64 || (exact !== null || lastExact.size !== 0) && (exact?.has(row) || lastExact.has(number))) {",
      "if (!f64 && (exact !== null || lastExact.size !== 0) || (exact?.has(row) || lastExact.has(number))) {",
    ],
    reason: "The exact way writes the same bytes, and is never needed for f64.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "difference < MAX_DELTA && difference > -MAX_DELTA &&",
    after: "difference < MAX_DELTA && difference >= -MAX_DELTA &&",
    reason: "A difference of -2^47 fits in six bytes, too, and is decoded to the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before:
      "value <= MAX_SAFE && before <= MAX_SAFE && value >= (f64 ? -MAX_SAFE : 0) && before >= -MAX_SAFE",
    after: [
      "value < MAX_SAFE && before <= MAX_SAFE && value >= (f64 ? -MAX_SAFE : 0) && before >= -MAX_SAFE",
      "value <= MAX_SAFE && before < MAX_SAFE && value >= (f64 ? -MAX_SAFE : 0) && before >= -MAX_SAFE",
      "value <= MAX_SAFE && before <= MAX_SAFE && value > (f64 ? -MAX_SAFE : 0) && before >= -MAX_SAFE",
      "value <= MAX_SAFE && before <= MAX_SAFE && value >= (f64 ? -MAX_SAFE : 1) && before >= -MAX_SAFE",
      "value <= MAX_SAFE && before <= MAX_SAFE && value >= (f64 ? -MAX_SAFE : 0) && before > -MAX_SAFE",
    ],
    reason: "It only decides how a value at the bound is written, which is decoded to the same.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "bytes[at++] = n < 4 ? xorLow >>> (8 * n) : xorHigh >>> (8 * n - 32);",
    after: "bytes[at++] = n < 4 ? xorLow >>> (8 * n) : xorHigh >>> (8 * n + 32);",
    reason: "Shifts count modulo 32.",
  },
  {
    file: "lib/batches/encoder.ts",
    before: "if (value > BigInt(MAX_SAFE)) lastExact.set(number, value);",
    after: "if (value >= BigInt(MAX_SAFE)) lastExact.set(number, value);",
    reason: "The exact way writes the same bytes after 2^53.",
  },
  {
    file: "lib/postcard.ts",
    before: "const MAX_SAFE = 9007199254740992;",
    after: "const MAX_SAFE = 9007199254740993;",
    reason: "Both literals are the same double.",
  },
  {
    file: "lib/postcard.ts",
    before: "const length = end - start;",
    after: "const length = end + start;",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (length < 24) {",
    after: "if (!!0 && length < 24) {",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (length < 24) {",
    after: "if (length <= 24) {",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (length < 24) {",
    after: "if (length < 25) {",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "for (; i < end; i++) {",
    after: "for (; i <= end; i++) {",
    reason: "The fast path then never ends at the end of the text, and the decoder gives the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (i === end) return text;",
    after: "if (!!0 && i === end) return text;",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before:
      "for (let i = start; i < end; i++) if (bytes[i] >= 0x80) return void decodeUtf8(bytes, start, end);",
    after:
      "for (let i = start; i <= end; i++) if (bytes[i] >= 0x80) return void decodeUtf8(bytes, start, end);",
    reason: "A byte behind the text only leads to the decoder, which reads the text alone.",
  },
  {
    file: "lib/postcard.ts",
    before: "constructor(capacity = 256) {",
    after: "constructor(capacity = 257) {",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/postcard.ts",
    before: "this.#bytes = new Uint8Array(Math.max(16, capacity));",
    after: "this.#bytes = new Uint8Array(Math.max(17, capacity));",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (at + count > this.#bytes.length) {",
    after: "if (at + count >= this.#bytes.length) {",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/postcard.ts",
    before: "for (let i = 0; i < 7; i++) {",
    after: "for (let i = 1; i < 7; i++) {",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/postcard.ts",
    before: "while (value > 0x7fffffff) {",
    after: ["while (value >= 0x7fffffff) {", "while (value > 2147483648) {"],
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/postcard.ts",
    before: "const MAX_SHORT = 64;",
    after: "const MAX_SHORT = 65;",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (length > MAX_SHORT) return false;",
    after: "if (length >= MAX_SHORT) return false;",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (code > 0x7f) {",
    after: "if (code >= 0x7f) {",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/postcard.ts",
    before: "for (let i = 0; i < length; i++) {",
    after: "for (let i = 0; i <= length; i++) {",
    reason: "One byte behind the text becomes 0, and is written over.",
  },
  {
    file: "lib/http/head.ts",
    before: "for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) {",
    after: "for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 2)) {",
    reason: "The next byte is not the end of a line, or the search has ended.",
  },
];
