/** Mutants of the inputs that measure, and of the intake, that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const INPUTS: readonly EquivalentMutant[] = [
  {
    file: "lib/inputs/polling/energy_counter.ts",
    before: "#beforeMs = 0;",
    after: "#beforeMs = 1;",
    reason: "Before the first value there is none to which a time is asked for.",
  },
  {
    file: "lib/inputs/polling/energy_counter.ts",
    before: "if (joules === undefined) return undefined;",
    after: "if (!!0 && joules === undefined) return undefined;",
    reason: "Nothing is more than undefined, so it is returned as it is.",
  },
  {
    file: "lib/inputs/polling/energy_counter.ts",
    before: "this.hasJumped = now >= before && joules > AHEAD * most;",
    after: "this.hasJumped = now > before && joules > AHEAD * most;",
    reason: "The same value is no energy.",
  },
  {
    file: "lib/inputs/polling/energy_counter.ts",
    before: "return this.hasJumped || (now < before && joules > most) ? undefined : joules;",
    after: "return this.hasJumped || (now <= before && joules > most) ? undefined : joules;",
    reason: "The same value is no energy.",
  },
  {
    file: "lib/inputs/polling/points.ts",
    before: "time: Timestamp = { seconds: 0, nanos: 0 };",
    after: [
      "time: Timestamp = { seconds: 1, nanos: 0 };",
      "time: Timestamp = { seconds: 0, nanos: 1 };",
    ],
    reason: "Each poll begins with its time.",
  },
  {
    file: "lib/inputs/polling/scan.ts",
    before: "const MAX_DIGITS = 20;",
    after: "const MAX_DIGITS = 21;",
    reason: "It only saves making a number that is too large.",
  },
  {
    file: "lib/inputs/polling/scan.ts",
    before: "if (end - first > MAX_DIGITS) return NaN;",
    after: "if (!!0 && end - first > MAX_DIGITS) return NaN;",
    reason: "It only saves making a number that is too large.",
  },
  {
    file: "lib/inputs/polling/scan.ts",
    before: "while (first < end - 1 && bytes[first] === ZERO) first++;",
    after: [
      "while (first <= end - 1 && bytes[first] === ZERO) first++;",
      "while (first < end + 1 && bytes[first] === ZERO) first++;",
      "while (first < end - 2 && bytes[first] === ZERO) first++;",
    ],
    reason: "Of no digits, and of one more 0 before them, there is the same number.",
  },
  {
    file: "lib/inputs/polling/scan.ts",
    before: 'if (typeof now === "number" && typeof before === "number") return now - before;',
    after: 'if (!!0 && typeof now === "number" && typeof before === "number") return now - before;',
    reason: "The other way gives the same, more slowly.",
  },
  {
    file: "lib/inputs/polling/scan.ts",
    before: 'if (typeof a === "number" && typeof b === "number") {',
    after: 'if (!!0 && typeof a === "number" && typeof b === "number") {',
    reason: "The other way gives the same, more slowly.",
  },
  {
    file: "lib/inputs/polling/scan.ts",
    before: "if (result < MAX_NUMBER) return result;",
    after: "if (!!0 && result < MAX_NUMBER) return result;",
    reason: "The other way gives the same, more slowly.",
  },
  {
    file: "lib/inputs/polling/scan.ts",
    before: "bytes: Uint8Array = new Uint8Array(0);",
    after: "bytes: Uint8Array = new Uint8Array(1);",
    reason: "It begins with start().",
  },
  {
    file: "lib/inputs/polling/scan.ts",
    before: "end = 0;",
    after: "end = 1;",
    reason: "It begins with start().",
  },
  {
    file: "lib/inputs/polling/scan.ts",
    before: "position = 0;",
    after: "position = 1;",
    reason: "It begins with start().",
  },
  {
    file: "lib/inputs/polling/scan.ts",
    before: "while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;",
    after: "while (at <= end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;",
    reason: "Behind the end there is nothing in either case.",
  },
  {
    file: "lib/inputs/polling/scan.ts",
    before: "const negative = bytes[at] === MINUS && at < end;",
    after: "const negative = bytes[at] === MINUS && at <= end;",
    reason: "Behind the end there is nothing in either case.",
  },
  {
    file: "lib/inputs/rapl/perf.ts",
    before: "this.#descriptor = -1;",
    after: "this.#descriptor = -2;",
    reason: "Any number below 0 is no descriptor.",
  },
];
