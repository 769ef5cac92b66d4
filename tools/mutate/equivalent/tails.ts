/** Mutants of tails, columns and batches of points that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const TAILS: readonly EquivalentMutant[] = [
  {
    file: "lib/points/tail.ts",
    before: "if (length < 0x80 && at + length < reader.end) {",
    after: "if (!!0 && length < 0x80 && at + length < reader.end) {",
    reason: "It only saves to read the length as a number of any size.",
  },
  {
    file: "lib/points/tail.ts",
    before: "} else if (length > longest) longest = length;",
    after: "} else if (length >= longest) longest = length;",
    reason: "It becomes what it is.",
  },
  {
    file: "lib/points/tail.ts",
    before: "const facts: TailFacts = { longestName: 0, namesClient: false };",
    after: [
      "const facts: TailFacts = { longestName: 1, namesClient: false };",
      "const facts: TailFacts = { longestName: 0, namesClient: true };",
    ],
    reason: "Each use sets both.",
  },
  {
    file: "lib/points/tail.ts",
    before: "while (i < end && bytes[i] < 0x80) i++;",
    after: ["while (i <= end && bytes[i] < 0x80) i++;", "while (i < end && bytes[i] < 0x80) i--;"],
    reason: "It only saves to read a tail of ASCII as texts.",
  },
  {
    file: "lib/points/tail.ts",
    before: "if (i < end) readTail(new PostcardReader(bytes, start, end));",
    after: "if (i <= end) readTail(new PostcardReader(bytes, start, end));",
    reason: "It only saves to read a tail of ASCII as texts.",
  },
  {
    file: "lib/points/measurement.ts",
    before: "constructor(capacity = 256, pool: BatchPool | null = null, store: SeriesStore = seriesStore) {",
    after: "constructor(capacity = 257, pool: BatchPool | null = null, store: SeriesStore = seriesStore) {",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/points/measurement.ts",
    before: "if (to < row) {",
    after: "if (to <= row) {",
    reason: "A row is put where it stands.",
  },
  {
    file: "lib/points/measurement.ts",
    before: "while (this.length + points > this.#capacity) this.#grow();",
    after: "while (this.length + points >= this.#capacity) this.#grow();",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/points/measurement.ts",
    before: "if (hold.epoch === 0) return;",
    after: "if (!!0 && hold.epoch === 0) return;",
    reason: "Nothing has the epoch 0, so nothing ends.",
  },
  {
    file: "lib/points/measurement.ts",
    before: "const capacity = Math.max(16, this.#capacity * 2);",
    after: [
      "const capacity = Math.max(17, this.#capacity * 2);",
      "const capacity = Math.max(16, this.#capacity * 3);",
    ],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/points/series_column.ts",
    before: "this.values = grown(new Uint32Array(0), store.capacity);",
    after: "this.values = grown(new Uint32Array(1), store.capacity);",
    reason: "It gets its length at once.",
  },
  {
    file: "lib/points/series.ts",
    before: "number = 0;",
    after: "number = 1;",
    reason: "It counts where the store is known only.",
  },
  {
    file: "lib/points/series.ts",
    before: "generation = 0;",
    after: "generation = 1;",
    reason: "It counts where the store is known only.",
  },
  {
    file: "lib/points/hash.ts",
    before: "const seeds = crypto.getRandomValues(new Int32Array(2));",
    after: "const seeds = crypto.getRandomValues(new Int32Array(3));",
    reason: "Nobody reads the third one.",
  },
  {
    file: "lib/points/measurement.ts",
    before: "if (length > 0) copy.begin();",
    after: "if (length >= 0) copy.begin();",
    reason: "It holds what no point of it has, until it is released.",
  },
  {
    file: "lib/points/measurement.ts",
    before: "for (let row = 0; row < length; row++) seen[series[row]] = epoch;",
    after: "for (let row = 0; row <= length; row++) seen[series[row]] = epoch;",
    reason: "A series is known for longer than it must be.",
  },
  {
    file: "lib/points/series_index.ts",
    before: "this.#sizes = new Uint32Array(1);",
    after: "this.#sizes = new Uint32Array(2);",
    reason: "The first part is the only one.",
  },
  {
    file: "lib/points/series_index.ts",
    before: "this.#partMask = PARTS - 1;",
    after: "this.#partMask = PARTS - 2;",
    reason: "Half of the parts hold all numbers.",
  },
  {
    file: "lib/points/series_index.ts",
    before:
      "for (let i = 0; i < slots.length; i++) if (slots[i] !== 0) place(larger, slots[i], hashes[slots[i]]);",
    after:
      "for (let i = 0; i <= slots.length; i++) if (slots[i] !== 0) place(larger, slots[i], hashes[slots[i]]);",
    reason: "It puts a 0 into an empty slot.",
  },
  {
    file: "lib/batches/text_table.ts",
    before: "const INITIAL_BYTES = 4096;",
    after: "const INITIAL_BYTES = 4097;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/text_table.ts",
    before: "const INITIAL_TEXTS = 256;",
    after: "const INITIAL_TEXTS = 257;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/text_table.ts",
    before: "const SLACK = 8;",
    after: "const SLACK = 9;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/text_table.ts",
    before: "starts = new Uint32Array(INITIAL_TEXTS + 1);",
    after: "starts = new Uint32Array(INITIAL_TEXTS + 2);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/text_table.ts",
    before: "#hashes = new Uint32Array(INITIAL_TEXTS + 1);",
    after: "#hashes = new Uint32Array(INITIAL_TEXTS - 1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/text_table.ts",
    before: "if (at + length + SLACK > this.bytes.length) {",
    after: "if (at + length + SLACK >= this.bytes.length) {",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/batches/text_table.ts",
    before: "if (length >= 4) return sameBytes(this.#view, at, view, start, length);",
    after: [
      "if (!!0 && length >= 4) return sameBytes(this.#view, at, view, start, length);",
      "if (length > 4) return sameBytes(this.#view, at, view, start, length);",
      "if (length >= 5) return sameBytes(this.#view, at, view, start, length);",
    ],
    reason: "Words are compared faster than bytes, with the same result.",
  },
  {
    file: "lib/batches/text_table.ts",
    before: "for (let i = 0; i < length; i++) this.bytes[at + i] = bytes[start + i];",
    after: "for (let i = 0; i <= length; i++) this.bytes[at + i] = bytes[start + i];",
    reason: "The next text is put over it.",
  },
  {
    file: "lib/wire/names.ts",
    before: "if (text.length * 3 <= bytes) return false;",
    after: [
      "if (!!0 && text.length * 3 <= bytes) return false;",
      "if (text.length * 4 <= bytes) return false;",
      "if (text.length * 3 < bytes) return false;",
    ],
    reason: "It only saves to count the bytes.",
  },
  {
    file: "lib/points/hash.ts",
    before: "for (let i = 0; i < lastWord; i += 4) {",
    after: "for (let i = 0; i <= lastWord; i += 4) {",
    reason: "The last word is compared twice.",
  },
];
