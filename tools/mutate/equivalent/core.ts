/** Mutants of streams of batches, of the journal's files, of handshakes, and of what all use, that nobody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const CORE: readonly EquivalentMutant[] = [
  {
    file: "lib/batches/definition_reader.ts",
    before: "const SLACK = 64;",
    after: "const SLACK = 65;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "const MAX_VARINT_BYTES = 10;",
    after: "const MAX_VARINT_BYTES = 11;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before:
      "if (needed > this.bytes.length) this.bytes = new Uint8Array(this.bytes.buffer.transfer(2 * needed));",
    after: [
      "if (needed >= this.bytes.length) this.bytes = new Uint8Array(this.bytes.buffer.transfer(2 * needed));",
      "if (needed > this.bytes.length) this.bytes = new Uint8Array(this.bytes.buffer.transfer(3 * needed));",
    ],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "this.reserve(end - start);",
    after: "this.reserve(end + start);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "readonly #parts: readonly Part[] = Array.from({ length: TAIL_TEXTS + 1 }, () => new Part());",
    after: "readonly #parts: readonly Part[] = Array.from({ length: TAIL_TEXTS + 2 }, () => new Part());",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "#bytes = new Uint8Array(256);",
    after: "#bytes = new Uint8Array(257);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "if (length > this.#bytes.length) {",
    after: "if (length >= this.#bytes.length) {",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "part.reserve(1);",
    after: "part.reserve(2);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "#tail = new Uint8Array(256);",
    after: "#tail = new Uint8Array(257);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "#bounds = new Uint32Array(TAIL_TEXTS + 2);",
    after: "#bounds = new Uint32Array(TAIL_TEXTS + 3);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "if (this.#tail.length < end - start) this.#tail = new Uint8Array(2 * (end - start));",
    after: [
      "if (this.#tail.length <= end - start) this.#tail = new Uint8Array(2 * (end - start));",
      "if (this.#tail.length < end - start) this.#tail = new Uint8Array(3 * (end - start));",
      "if (this.#tail.length < end - start) this.#tail = new Uint8Array(2 * (end + start));",
    ],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/stream.ts",
    before: "series = new Uint32Array(256);",
    after: "series = new Uint32Array(257);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/stream.ts",
    before: "following = new Int32Array(257).fill(-1);",
    after: "following = new Int32Array(258).fill(-1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/stream.ts",
    before: "lastValues = new Float64Array(256);",
    after: "lastValues = new Float64Array(257);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/stream.ts",
    before: "this.following = grown(this.following, capacity + 1).fill(-1, length);",
    after: "this.following = grown(this.following, capacity + 2).fill(-1, length);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "length = 0;",
    after: "length = 1;",
    reason: "The first definition of a stream sets the length of each part.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "place = -1;",
    after: "place = -2;",
    reason: "Each definition sets it before anybody looks.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "#count = 0;",
    after: "#count = 1;",
    reason: "The first definition of a stream has attributes, and sets it.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "#namesClient = false;",
    after: "#namesClient = true;",
    reason: "The first definition of a stream has attributes, and sets it.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "#longestKey = 0;",
    after: "#longestKey = 1;",
    reason: "The first definition of a stream has attributes, and sets it.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "#clientText = -1;",
    after: "#clientText = -2;",
    reason: "No text has a number below 0.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "this.#clientText = -1;",
    after: "this.#clientText = -2;",
    reason: "No text has a number below 0.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "this.place = -1;",
    after: "this.place = -2;",
    reason: "Any number below 0 says that there is no place.",
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "write(writer: PostcardWriter, series: number, place = -1): void {",
    after: "write(writer: PostcardWriter, series: number, place = -2): void {",
    reason: "Any number below 0 says that there is no place.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "while (length - head >= 2 ** (7 * head)) head++;",
    after: "while (length - head > 2 ** (7 * head)) head++;",
    reason: "The two are never equal: a text of 127 bytes takes 128, and one of 128 takes 130.",
  },
  {
    file: "lib/batches/definition_reader.ts",
    before: "const isText = reader.discriminant(5) === VALUE.str;",
    after: "const isText = reader.discriminant(6) === VALUE.str;",
    reason: "The value is read again, with the true limit, and the error is the same.",
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "if (before[i + 1] - before[i] !== length) return false;",
    after: "if (!!0 && before[i + 1] - before[i] !== length) return false;",
    reason: "Each part says in its bytes where it ends, so none is the beginning of another one.",
  },
  {
    file: "lib/batches/definition_writer.ts",
    before:
      "for (let n = 0, at = before[i]; n < length; n++) if (tail[at + n] !== bytes[start + n]) return false;",
    after:
      "for (let n = 1, at = before[i]; n < length; n++) if (tail[at + n] !== bytes[start + n]) return false;",
    reason: "Of parts that have the same length, no two differ in the first byte alone.",
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "for (let i = start; i < end; i++) this.#tail[i - start] = bytes[i];",
    after: "for (let i = start; i <= end; i++) this.#tail[i - start] = bytes[i];",
    reason: "What is behind the tail is never compared.",
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "for (let i = 0; i < bounds.length; i++) this.#bounds[i] = bounds[i] - start;",
    after: "for (let i = 1; i < bounds.length; i++) this.#bounds[i] = bounds[i] - start;",
    reason: "The first part begins at 0, which is there from the start.",
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "for (let i = 0; i < bounds.length; i++) this.#bounds[i] = bounds[i] - start;",
    after: "for (let i = 0; i <= bounds.length; i++) this.#bounds[i] = bounds[i] - start;",
    reason: "Typed arrays ignore what is written behind their end.",
  },
  {
    file: "lib/batches/stream.ts",
    before: "export const MAX_SAFE = 9007199254740992;",
    after: "export const MAX_SAFE = 9007199254740993;",
    reason: "It is the same number of floating point.",
  },
  {
    file: "lib/batches/stream.ts",
    before: "following = new Int32Array(257).fill(-1);",
    after: "following = new Int32Array(257).fill(-2);",
    reason: "Any number below 0 says that none has followed.",
  },
  {
    file: "lib/batches/stream.ts",
    before: "this.following.fill(-1, 0, this.size + 1);",
    after: "this.following.fill(-2, 0, this.size + 1);",
    reason: "Any number below 0 says that none has followed.",
  },
  {
    file: "lib/batches/stream.ts",
    before: "this.following = grown(this.following, capacity + 1).fill(-1, length);",
    after: "this.following = grown(this.following, capacity + 1).fill(-2, length);",
    reason: "Any number below 0 says that none has followed.",
  },
  {
    file: "lib/batches/stream.ts",
    before: "this.following.fill(-1, 0, this.size + 1);",
    after: "this.following.fill(-1, 0, this.size + 2);",
    reason: "The place behind those that are used has -1 anyway.",
  },
  {
    file: "lib/journal/disk/format/census.ts",
    before: "#points = 0;",
    after: "#points = 1;",
    reason: "Counting a record begins with setting it.",
  },
  {
    file: "lib/journal/disk/format/files.ts",
    before: "for (let read; done < length && (read = file.readSync(bytes.subarray(done)));) done += read;",
    after: "for (let read; done <= length && (read = file.readSync(bytes.subarray(done)));) done += read;",
    reason: "Reading into no room ends it.",
  },
  {
    file: "lib/journal/disk/format/identity.ts",
    before: "const MAX_BYTES = 1024 ** 2;",
    after: ["const MAX_BYTES = 1025 ** 2;", "const MAX_BYTES = 1024 ** 3;"],
    reason: "The file is far shorter, and what is damaged is damaged in any case.",
  },
  {
    file: "lib/batches/decoder.ts",
    before: "if (value <= 0x7fffffff) return (value >>> 1) ^ -(value & 1);",
    after: [
      "if (!!0 && value <= 0x7fffffff) return (value >>> 1) ^ -(value & 1);",
      "if (value < 0x7fffffff) return (value >>> 1) ^ -(value & 1);",
      "if (value <= 2147483648) return (value >>> 1) ^ -(value & 1);",
    ],
    reason: "The slower way gives the same.",
  },
  {
    file: "lib/batches/decoder.ts",
    before: "let before = 0;",
    after: "let before = 1;",
    reason: "It is set before anybody looks.",
  },
  {
    file: "lib/batches/decoder.ts",
    before: "if (this.#numbers.length < rows) this.#numbers = new Int32Array(2 * rows);",
    after: "if (this.#numbers.length < rows) this.#numbers = new Int32Array(3 * rows);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/decoder.ts",
    before: "if (f64 ? value <= MAX_SAFE && value >= -MAX_SAFE : value < MAX_SAFE && value >= 0) {",
    after: [
      "if (f64 ? value <= MAX_SAFE && value >= -MAX_SAFE : value < MAX_SAFE && value > 0) {",
      "if (f64 ? value <= MAX_SAFE && value >= -MAX_SAFE : value < MAX_SAFE && value >= 1) {",
    ],
    reason: "The exact way gives the same.",
  },
  {
    file: "lib/batches/decoder.ts",
    before: "else xorHigh |= bytes[at++] << (8 * n - 32);",
    after: "else xorHigh |= bytes[at++] << (8 * n + 32);",
    reason: "Bits are shifted modulo 32.",
  },
  {
    file: "lib/base/suggest.ts",
    before: "let current = Array.from({ length: b.length + 1 }, (_, j) => j);",
    after: "let current = Array.from({ length: b.length + 2 }, (_, j) => j);",
    reason: "The place behind the last one is never read.",
  },
  {
    file: "lib/base/suggest.ts",
    before: "if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {",
    after: [
      "if (i >= 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {",
      "if (i > 1 && j >= 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {",
    ],
    reason: "A letter before the first one is equal to none.",
  },
  {
    file: "lib/base/retention_clock.ts",
    before: "#lastAheadMs = 0;",
    after: "#lastAheadMs = 1;",
    reason: "Nobody looks before it is set.",
  },
  {
    file: "lib/base/log.ts",
    before: "level?: LogLevel | (() => LogLevel);",
    after: "level?: LogLevel & (() => LogLevel);",
    reason: "Only the type checker reads it.",
  },
  {
    file: "lib/base/clock.ts",
    before:
      "const late = clock.sleep(ms, decided.signal).then(() => !decided.signal.aborted && within(promise, 0));",
    after:
      "const late = clock.sleep(ms, decided.signal).then(() => !decided.signal.aborted && within(promise, 1));",
    reason: "One turn of the event loop is waited for in any case.",
  },
  {
    file: "lib/base/clock.ts",
    before: "if (ms < wallMs) {",
    after: "if (ms <= wallMs) {",
    reason: "There is nothing to correct then.",
  },
  {
    file: "lib/base/growing.ts",
    before: "const RESERVED_BYTES = 2 ** 28;",
    after: "const RESERVED_BYTES = 2 ** 29;",
    reason: "It is only how many addresses are set aside; memory is taken as it is used.",
  },
  {
    file: "lib/base/growing.ts",
    before: "const SHIFT_BYTES = 4096 + 5 * 64;",
    after: ["const SHIFT_BYTES = 4096 - 5 * 64;", "const SHIFT_BYTES = 4096 + 6 * 64;"],
    reason: "Any distance of some lines does, and the arrays are the same.",
  },
  {
    file: "lib/base/growing.ts",
    before: "if (memory === undefined) buffer.transfer(0);",
    after: "if (memory === undefined) buffer.transfer(1);",
    reason: "The new buffer of it is nowhere used.",
  },
  {
    file: "lib/base/utf8.ts",
    before:
      'const [before] = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).split("\\ufffd", 1);',
    after:
      'const [before] = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).split("\\ufffd", 2);',
    reason: "Only the first part is used.",
  },
  {
    file: "lib/points/batch_check.ts",
    before: "let copies = new Float64Array(1024);",
    after: "let copies = new Float64Array(1025);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/points/batch_check.ts",
    before: "const MAX_KEPT = 8192;",
    after: "const MAX_KEPT = 8193;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/points/batch_check.ts",
    before: "const copy = count <= copies.length ? copies : new Float64Array(count);",
    after: "const copy = count < copies.length ? copies : new Float64Array(count);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/points/batch_check.ts",
    before: "if (count <= MAX_KEPT) copies = copy;",
    after: ["if (!!0 && count <= MAX_KEPT) copies = copy;", "if (count < MAX_KEPT) copies = copy;"],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/journal/disk/retention.ts",
    before: "if (seriesStore.isCrowded) this.#held.push(...tail.takeWritten(0));",
    after: "if (seriesStore.isCrowded) this.#held.push(...tail.takeWritten(1));",
    reason: "Each batch takes more than a byte.",
  },
  {
    file: "lib/journal/disk/retention.ts",
    before:
      "else if (tail.writtenBytes > memoryBytes) this.#held.push(...tail.takeWritten(this.#maxWrittenBytes));",
    after:
      "else if (tail.writtenBytes >= memoryBytes) this.#held.push(...tail.takeWritten(this.#maxWrittenBytes));",
    reason: "Nothing is above the limit then.",
  },
  {
    file: "lib/journal/disk/retention.ts",
    before: "if (this.#held.length === 0) return;",
    after: "if (!!0 && this.#held.length === 0) return;",
    reason: "There is nothing to go through.",
  },
  {
    file: "lib/journal/disk/retention.ts",
    before: "if (!first || !second) return false;",
    after: "if (!!0 && !first || !second) return false;",
    reason: "Where there is no first one, there is no second one.",
  },
];
