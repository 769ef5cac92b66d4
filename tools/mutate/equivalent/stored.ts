/** Mutants of what is stored in blocks and sums that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const STORED: readonly EquivalentMutant[] = [
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "const WIDTH = 8;",
    after: "const WIDTH = 9;",
    reason: "One number of each series is not used.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "#next = 0;",
    after: "#next = 1;",
    reason: "It only saves to look for a series that comes in the same order as before.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "this.#next = 0;",
    after: "this.#next = 1;",
    reason: "It only saves to look for a series that comes in the same order as before.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "this.#next = place + 1;",
    after: ["this.#next = place - 1;", "this.#next = place + 2;"],
    reason: "It only saves to look for a series that comes in the same order as before.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "if (numbers[at + POINTS]++ === 0) {",
    after: "if (numbers[at - POINTS]++ === 0) {",
    reason: "The place of the points is 0.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "into.points = numbers[at + POINTS];",
    after: "into.points = numbers[at - POINTS];",
    reason: "The place of the points is 0.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "this.#numbers[WIDTH * place + POINTS] = 0;",
    after: "this.#numbers[WIDTH * place - POINTS] = 0;",
    reason: "The place of the points is 0.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "let slot = id & mask;",
    after: "let slot = id | mask;",
    reason: "All are looked for from the start, which only takes longer.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "for (let place = 0; place < this.length; place++) {",
    after: "for (let place = 0; place <= this.length; place++) {",
    reason: "Behind the last series stands the id 0, which no series has.",
  },
  {
    file: "lib/outputs/sqlite/blocks/rows.ts",
    before: "for (let row = 0, number = -1; row < length; row++) {",
    after: "for (let row = 0, number = -2; row < length; row++) {",
    reason: "Each negative number is none.",
  },
  {
    file: "lib/outputs/sqlite/blocks/rows.ts",
    before: "if (number < 0 || ids[number] !== id) {",
    after: [
      "if (!!0 && number < 0 || ids[number] !== id) {",
      "if (number <= 0 || ids[number] !== id) {",
      "if (number < 1 || ids[number] !== id) {",
    ],
    reason: "It only saves to look for a series in the map.",
  },
  {
    file: "lib/outputs/sqlite/blocks/rows.ts",
    before: "if (number + 1 < found && ids[number + 1] === id) number++;",
    after: "if (number + 2 < found && ids[number + 1] === id) number++;",
    reason: "It only saves to look for a series in the map.",
  },
  {
    file: "lib/outputs/sqlite/blocks/rows.ts",
    before: "let isSorted = true;",
    after: "let isSorted = false;",
    reason: "What is sorted is sorted once more, and stays as it is.",
  },
  {
    file: "lib/outputs/sqlite/blocks/rows.ts",
    before:
      "for (let number = 1; number < found && isSorted; number++) isSorted = ids[number - 1] < ids[number];",
    after: [
      "for (let number = 1; number <= found && isSorted; number++) isSorted = ids[number - 1] < ids[number];",
      "for (let number = 1; number < found || isSorted; number++) isSorted = ids[number - 1] < ids[number];",
      "for (let number = 1; number < found && isSorted; number--) isSorted = ids[number - 1] < ids[number];",
      "for (let number = 1; number < found && isSorted; number++) isSorted = ids[number - 2] < ids[number];",
      "for (let number = 1; number < found && isSorted; number++) isSorted = ids[number - 1] <= ids[number];",
    ],
    reason: "What is sorted is sorted once more, and stays as it is.",
  },
  {
    file: "lib/outputs/sqlite/blocks/block.ts",
    before: "#isOdd = false;",
    after: "#isOdd = true;",
    reason: "Each block begins with setting it.",
  },
];
