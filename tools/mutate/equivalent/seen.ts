/** Mutants of waits, of times, of what pages say, and of what `import` reads of Parquet, that nobody could see. */
import type { EquivalentMutant } from "./entry.ts";

const NEW_SERIES =
  "if (!series || isInteger !== wasInteger || texts.some(([, column]) => column[row] !== column[row - 1])) {";

export const SEEN: readonly EquivalentMutant[] = [
  {
    file: "lib/agent/figures.ts",
    before: 'const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");',
    after: 'const fields = stat.slice(stat.lastIndexOf(")") + 3).split(" ");',
    reason: "The first field is then empty instead of the state, and neither is read.",
  },
  {
    file: "lib/base/iso_time.ts",
    before:
      "const isDay = day <= LEAST_DAYS || new Date(Date.parse(text.slice(0, 10))).getUTCDate() === day;",
    after: "const isDay = day < LEAST_DAYS || new Date(Date.parse(text.slice(0, 10))).getUTCDate() === day;",
    reason: "Each month has that day, which the slow way finds as well.",
  },
  {
    file: "lib/cli/time_flag.ts",
    before: "if (!(error instanceof DurationError)) throw error;",
    after: "if (!!0 && !(error instanceof DurationError)) throw error;",
    reason: "Nothing else is thrown.",
  },
  {
    file: "lib/cli/time_flag.ts",
    before: "const sinceEpoch = (ns: bigint) => ns > 0n ? ns : 0n;",
    after: "const sinceEpoch = (ns: bigint) => ns >= 0n ? ns : 0n;",
    reason: "Both are 0 at 0.",
  },
  {
    file: "lib/base/waiting.ts",
    before: "if (ended) return;",
    after: "if (!!0 && ended) return;",
    reason: "Ending a wait twice undoes what is undone, and settles a promise that is settled.",
  },
  {
    file: "lib/base/waiting.ts",
    before: 'signal?.addEventListener("abort", end, { once: true });',
    after: 'signal?.addEventListener("abort", end, { once: false });',
    reason: "A signal is aborted once, and the end of the wait removes the listener.",
  },
  {
    file: "lib/base/waiting.ts",
    before: "const late = Promise.withResolvers<false>();",
    after: "const late = Promise.withResolvers<true>();",
    reason: "It is a type.",
  },
  {
    file: "lib/base/waiting.ts",
    before: 'else signal.addEventListener("abort", action, { once: true });',
    after: 'else signal.addEventListener("abort", action, { once: false });',
    reason: "A signal is aborted once.",
  },
  {
    file: "lib/cli/import/parquet.ts",
    before: "const MOST_ROWS = 65_536;",
    after: "const MOST_ROWS = 65537;",
    reason: "It only decides how much is in memory at the same time.",
  },
  {
    file: "lib/cli/import/parquet.ts",
    before: "const PART_ROWS = 32_768;",
    after: "const PART_ROWS = 32769;",
    reason: "It only decides how much is in memory at the same time.",
  },
  {
    file: "lib/cli/import/parquet.ts",
    before: "const partRows = length > MOST_ROWS ? PART_ROWS : length;",
    after: "const partRows = length >= MOST_ROWS ? PART_ROWS : length;",
    reason: "It only decides how much is in memory at the same time.",
  },
  {
    file: "lib/cli/import/parquet.ts",
    before: "for (let from = 0; from < length; from += partRows) {",
    after: "for (let from = 0; from <= length; from += partRows) {",
    reason: "A part without rows has no points.",
  },
  {
    file: "lib/cli/import/parquet.ts",
    before: "useOffsetIndex: true,",
    after: "useOffsetIndex: false,",
    reason: "Pages of other rows are then read too, and left out all the same.",
  },
  {
    file: "lib/cli/import/parquet.ts",
    before: "for (let i = 0, row = from - start; i < columnData.length; i++, row++) {",
    after: "for (let i = 0, row = from - start; i <= columnData.length; i++, row++) {",
    reason: "What is put behind the end of a chunk is overwritten by the next one.",
  },
  {
    file: "lib/cli/import/parquet.ts",
    before: "if (row >= 0 && row < length) column[row] = columnData[i];",
    after: [
      "if (row >= 0 && row <= length) column[row] = columnData[i];",
      "if (row >= 0 || row < length) column[row] = columnData[i];",
    ],
    reason: "What is outside of the part is not read.",
  },
  {
    file: "lib/cli/import/parquet.ts",
    before: "let wasInteger = false;",
    after: "let wasInteger = true;",
    reason: "It is set before it is read: the first row always looks for its series.",
  },
  {
    file: "lib/cli/import/parquet.ts",
    before: NEW_SERIES,
    after: NEW_SERIES.replace("(!series", "(!!0 && !series"),
    reason: "No text of the first row is that of a row before it.",
  },
  {
    file: "lib/cli/import/parquet.ts",
    before: "const seconds = time < 0n ? -1 : Number(time / NS_PER_SECOND);",
    after: "const seconds = time < 0n ? -2 : Number(time / NS_PER_SECOND);",
    reason: "Both are before 1970, and refused.",
  },
  {
    file: "lib/plugin.ts",
    before: "readonly metrics?: readonly string[] | ((config: C) => readonly string[]);",
    after: "readonly metrics?: readonly string[] & ((config: C) => readonly string[]);",
    reason: "It is a type.",
  },
  {
    file: "lib/seeing/api.ts",
    before: "if (name === null || live()?.hosts.find(name) === undefined) {",
    after: "if (!!0 && name === null || live()?.hosts.find(name) === undefined) {",
    reason: "No host has null as its name.",
  },
  {
    file: "lib/seeing/api.ts",
    before: "let looks = 0;",
    after: "let looks = 1;",
    reason: "It only tells whether two looks are the same.",
  },
  {
    file: "lib/seeing/api.ts",
    before: 'let event = { look: -1, text: "" };',
    after: 'let event = { look: -2, text: "" };',
    reason: "No look has either number.",
  },
  {
    file: "lib/seeing/api.ts",
    before: "now.onLook(() => looks++);",
    after: "now.onLook(() => looks--);",
    reason:
      "It only tells whether two looks are the same; the first event comes with the second look or later.",
  },
  {
    file: "lib/seeing/past.ts",
    before: 'if (!now || !history) throw new Error("no output stores them; the output sqlite does");',
    after: 'if (!!0 && !now || !history) throw new Error("no output stores them; the output sqlite does");',
    reason: "Before the agent runs there is neither.",
  },
];
