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
];
