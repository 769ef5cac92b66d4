/** Mutants of batches, series, journals and accounts that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const POINTS: readonly EquivalentMutant[] = [
  {
    file: "lib/intake/gatherer.ts",
    before: "const BATCH_POINTS = 4096;",
    after: "const BATCH_POINTS = 4097;",
    reason: "It is a matter of speed and memory alone.",
  },
  {
    file: "lib/intake/gatherer.ts",
    before: "const POOLED_BATCHES = 36;",
    after: "const POOLED_BATCHES = 37;",
    reason: "It is a matter of speed and memory alone.",
  },
  {
    file: "lib/intake/gatherer.ts",
    before: "const MEMORY_MS = 1000;",
    after: "const MEMORY_MS = 1001;",
    reason: "A thousandth more or less of a time that was chosen.",
  },
  {
    file: "lib/intake/gatherer.ts",
    before: "if (builder.full.length > 0) return this.#push(builder.takeFull());",
    after: "if (builder.full.length >= 0) return this.#push(builder.takeFull());",
    reason: "Passing on an empty list does nothing.",
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
    file: "lib/points/series_store.ts",
    before: "const INITIAL_CAPACITY = 1024;",
    after: "const INITIAL_CAPACITY = 1025;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/points/series_store.ts",
    before: "#fruitless = 0;",
    after: "#fruitless = 1;",
    reason: "It is reset at the first sweep that finds something.",
  },
  {
    file: "lib/points/series_store.ts",
    before: "const tail = new Uint8Array(length + 32);",
    after: "const tail = new Uint8Array(length + 33);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/points/series_store.ts",
    before: "if (series.store === this && this.generations[number] === series.generation) return number;",
    after:
      "if (!!0 && series.store === this && this.generations[number] === series.generation) return number;",
    reason: "The series is looked up by its bytes then, which gives the same number.",
  },
  {
    file: "lib/journal/disk/format/record.ts",
    before: "for (let left = reader.length(3); left > 0; left--) {",
    after: "for (let left = reader.length(4); left > 0; left--) {",
    reason: "It is a bound for a number of entries that is checked against the bytes that are there.",
  },
  {
    file: "lib/journal/disk/format/record.ts",
    before: "const count = reader.length(3);",
    after: "const count = reader.length(4);",
    reason: "It is a bound for a number of entries that is checked against the bytes that are there.",
  },
  {
    file: "lib/points/batch_check.ts",
    before: "for (let row = start, at = 0; row < end; row++, at++) {",
    after: "for (let row = start, at = 0; row <= end; row++, at++) {",
    reason: "Typed arrays ignore what is written behind their end.",
  },
  {
    file: "lib/points/units.ts",
    before: "const isSmall = (factor: number) => factor < 1;",
    after: "const isSmall = (factor: number) => factor <= 1;",
    reason: "Of 1 both ways make 1.",
  },
  {
    file: "lib/journal/memory.ts",
    before: "if (count <= 0) return;",
    after: "if (count < 0) return;",
    reason: "Forgetting nothing changes nothing.",
  },
  {
    file: "lib/points/origins.ts",
    before: "const SOURCE_MS = 5000;",
    after: "const SOURCE_MS = 5001;",
    reason: "A thousandth more or less of a time that was chosen.",
  },
  {
    file: "lib/points/origins.ts",
    before: "if (count > 0) this.#instances.set(client.name, count);",
    after: "if (count >= 0) this.#instances.set(client.name, count);",
    reason: "A name that is not there counts as 0.",
  },
  {
    file: "lib/points/origins.ts",
    before: "if (order.length <= this.#maxClients) return;",
    after: "if (order.length < this.#maxClients) return;",
    reason: "Of as many as there may be, none goes.",
  },
  {
    file: "lib/points/origins.ts",
    before: "if (this.#outputs.includes(name)) return;",
    after: "if (!!0 && this.#outputs.includes(name)) return;",
    reason: "An account that is there is left as it is.",
  },
  {
    file: "lib/points/origins.ts",
    before: "transform(batch: Credited, sign: 1 | -1): void {",
    after: [
      "transform(batch: Credited, sign: 1 | -2): void {",
      "transform(batch: Credited, sign: 2 | -1): void {",
    ],
    reason: "It is a type.",
  },
  {
    file: "lib/points/origins.ts",
    before: "if (sequence > account.sequence) account.sequence = sequence;",
    after: "if (sequence >= account.sequence) account.sequence = sequence;",
    reason: "The same number is set again.",
  },
  {
    file: "lib/points/origins.ts",
    before: "if (sequence > client.durable) client.numbers.durable = sequence;",
    after: "if (sequence >= client.durable) client.numbers.durable = sequence;",
    reason: "The same number is set again.",
  },
  {
    file: "lib/points/origins.ts",
    before: 'if (safety === "stored" && this.sources.length > 0) {',
    after: 'if (safety === "stored" && this.sources.length >= 0) {',
    reason: "Of no answers only the client's own number is left.",
  },
  {
    file: "lib/points/units.ts",
    before: "const isSmall = (factor: number) => factor < 1;",
    after: "const isSmall = (factor: number) => factor < 2;",
    reason: "Of 1 both ways make 1, and no prefix is between them.",
  },
  {
    file: "lib/journal/memory.ts",
    before: 'if (left <= 0) return "timeout";',
    after: ['if (left < 0) return "timeout";', 'if (left <= 1) return "timeout";'],
    reason: "A millisecond more or less of a time that was chosen.",
  },
  {
    file: "lib/journal/memory.ts",
    before: 'if (this.#bytes > this.#limitBytes && this.#onFull === "drop_oldest") this.#dropOldest();',
    after: 'if (this.#bytes >= this.#limitBytes && this.#onFull === "drop_oldest") this.#dropOldest();',
    reason: "Nothing is dropped then.",
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
];
