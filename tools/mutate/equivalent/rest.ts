/** Mutants of what was changed since its others were named, and of the rows of SQLite, that nobody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const REST: readonly EquivalentMutant[] = [
  {
    file: "lib/batches/text_table.ts",
    before: "if (number + 1 === this.#hashes.length) {",
    after: "if (number + 2 === this.#hashes.length) {",
    reason: "It only decides when there is more room; the result is the same.",
  },
  {
    file: "lib/batches/text_table.ts",
    before: "this.starts = grown(this.starts, nextLength(number + 1));",
    after: "this.starts = grown(this.starts, nextLength(number + 2));",
    reason: "It only decides how much more room there is; the result is the same.",
  },
  {
    file: "lib/batches/text_table.ts",
    before: "this.#hashes = grown(this.#hashes, nextLength(number + 1));",
    after: "this.#hashes = grown(this.#hashes, nextLength(number - 1));",
    reason: "Half of it is more than the two that are missing, so there is room for the next one.",
  },
  {
    file: "lib/outputs/sqlite/point_inserter.ts",
    before: "const ROWS = [128, 16, 1];",
    after: ["const ROWS = [129, 16, 1];", "const ROWS = [128, 17, 1];"],
    reason: "It only decides how many statements write the rows; the rows and their order are the same.",
  },
  {
    file: "lib/outputs/sqlite/point_inserter.ts",
    before: "const SMALL_INTEGERS = 1024;",
    after: "const SMALL_INTEGERS = 1025;",
    reason: "An integer that is kept is the same as one that is made.",
  },
  {
    file: "lib/outputs/sqlite/point_inserter.ts",
    before: "readonly #values = new Array(ROWS[0] * COLUMNS).fill(0) as [Value, ...Value[]];",
    after: "readonly #values = new Array(ROWS[0] * COLUMNS).fill(1) as [Value, ...Value[]];",
    reason: "Only places that were written over are read.",
  },
  {
    file: "lib/outputs/sqlite/point_inserter.ts",
    before: "#length = 0;",
    after: "#length = 1;",
    reason: "Each insertion sets it to 0 first.",
  },
  {
    file: "lib/outputs/sqlite/point_inserter.ts",
    before: "if (this.#length === all.length) {",
    after: "if (!!0 && this.#length === all.length) {",
    reason: "What no statement wrote before, the ones at the end write, in the same order.",
  },
  {
    file: "lib/outputs/sqlite/hosts.ts",
    before: "if (first < times.first) times.first = first;",
    after: "if (first <= times.first) times.first = first;",
    reason: "Where both are equal, the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/hosts.ts",
    before: "if (last > times.last) times.last = last;",
    after: "if (last >= times.last) times.last = last;",
    reason: "Where both are equal, the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/hosts.ts",
    before: "return time < MAX_TIME ? time : MAX_TIME;",
    after: "return time <= MAX_TIME ? time : MAX_TIME;",
    reason: "Where both are equal, the result is the same.",
  },
  {
    file: "lib/transforms/aggregation/windows.ts",
    before: "if (this.exact.size > 0) this.exact.delete(window);",
    after: "if (this.exact.size >= 0) this.exact.delete(window);",
    reason: "There is nothing to delete in an empty map.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "if (exact === null && isConstant(numbers, from, to)) {",
    after: [
      "if (!!0 && exact === null && isConstant(numbers, from, to)) {",
      "if (exact !== null && isConstant(numbers, from, to)) {",
    ],
    reason:
      "The fast way and the slow one write the same bytes, and no integer of the map is as small as the limit.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "if (i > 0 && value === values[i - 1]) {",
    after: [
      "if (!!0 && i > 0 && value === values[i - 1]) {",
      "if (i >= 0 && value === values[i - 1]) {",
      "if (i > 1 && value === values[i - 1]) {",
    ],
    reason: "A value that is scaled again is the same, and none stands before the first one.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before:
      "if (!Number.isInteger(first) || !(Math.abs(first) <= MAX_INTEGER) || Object.is(first, -0)) return false;",
    after:
      "if (!Number.isInteger(first) || !(Math.abs(first) < MAX_INTEGER) || Object.is(first, -0)) return false;",
    reason: "It only decides between the fast way and the slow one, which write the same bytes.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "let end = from + 1;",
    after: "let end = from - 1;",
    reason: "It only takes the slow way more often, which writes the same bytes.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "while (end < to && Object.is(numbers[end], first)) end++;",
    after: [
      "while (end <= to && Object.is(numbers[end], first)) end++;",
      "while (end < to && Object.is(numbers[end], first)) end--;",
    ],
    reason: "It only takes the slow way more often, which writes the same bytes.",
  },
];
