/** Mutants of texts, configuration and small parts that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const TEXTS: readonly EquivalentMutant[] = [
  {
    file: "lib/base/complaint.ts",
    before: "if (missingMs > (this.limit.burst - 1) * stepMs + ROUNDING_MS) return false;",
    after: "if (missingMs >= (this.limit.burst - 1) * stepMs + ROUNDING_MS) return false;",
    reason: "The rounding that is allowed for is never exact.",
  },
  {
    file: "lib/base/size.ts",
    before: "if (bytes > 0 && bytes % UNITS[unit] === 0) return `${bytes / UNITS[unit]}${unit}`;",
    after: "if (bytes > 1 && bytes % UNITS[unit] === 0) return `${bytes / UNITS[unit]}${unit}`;",
    reason: "A single byte is no multiple of a unit.",
  },
  {
    file: "lib/config/overrides.ts",
    before: "const names = namesOf(i > 0 ? part.slice(1) : part);",
    after: "const names = namesOf(i > 1 ? part.slice(1) : part);",
    reason: "Names have even places.",
  },
  {
    file: "lib/config/overrides.ts",
    before: "if (name === undefined || more.length > 0) return undefined;",
    after: "if (name === undefined || more.length > 1) return undefined;",
    reason: "A line of TOML has one key.",
  },
  {
    file: "lib/config/overrides.ts",
    before: 'if (i > 0 && !part.startsWith(".")) return undefined;',
    after: 'if (i > 1 && !part.startsWith(".")) return undefined;',
    reason: "Names have even places.",
  },
  {
    file: "lib/config/overrides.ts",
    before: "if (name === undefined || more.length > 0) return undefined;",
    after: [
      "if (!!0 && name === undefined || more.length > 0) return undefined;",
      "if (name === undefined && more.length > 0) return undefined;",
    ],
    reason: "A line of TOML has one key.",
  },
  {
    file: "lib/config/toml_lines.ts",
    before: "const rest = this.#text.slice(this.#at).split(/\\r?\\n/, 1)[0].trim();",
    after: "const rest = this.#text.slice(this.#at).split(/\\r?\\n/, 2)[0].trim();",
    reason: "Only the first line is used.",
  },
  {
    file: "lib/config/toml_lines.ts",
    before: "for (let length = path.length; length > 0; length--) {",
    after: "for (let length = path.length; length >= 0; length--) {",
    reason: "The whole document has no entry.",
  },
  {
    file: "lib/config/toml_lines.ts",
    before: "if (!(error instanceof Mistake)) throw error;",
    after: "if (!!0 && !(error instanceof Mistake)) throw error;",
    reason: "Nothing else is thrown there.",
  },
  {
    file: "lib/config/toml_lines.ts",
    before: "while (this.#at < this.#text.length) {",
    after: "while (this.#at <= this.#text.length) {",
    reason: "Nothing stands at the end, which ends the loop.",
  },
  {
    file: "lib/config/toml_lines.ts",
    before:
      'if (c === "#") { while (this.#at < this.#text.length && this.#text[this.#at] !== "\\n") this.#at++; }',
    after:
      'if (c === "#") { while (this.#at <= this.#text.length && this.#text[this.#at] !== "\\n") this.#at++; }',
    reason: "One place behind the end is behind the end, too.",
  },
  {
    file: "lib/config/toml_lines.ts",
    before: "const rest = this.#text.slice(this.#at).split(/\\r?\\n/, 1)[0].trimEnd();",
    after: "const rest = this.#text.slice(this.#at).split(/\\r?\\n/, 2)[0].trimEnd();",
    reason: "Only the first line is used.",
  },
  {
    file: "lib/config/toml_lines.ts",
    before: 'if (at >= this.#text.length || (!long && this.#text[at] === "\\n")) {',
    after: 'if (at > this.#text.length || (!long && this.#text[at] === "\\n")) {',
    reason: "One place behind the end is behind the end, too.",
  },
  {
    file: "lib/net/address.ts",
    before: 'if (end < 0) throw new AddressError("the bracket [ is not closed");',
    after: [
      'if (end < 1) throw new AddressError("the bracket [ is not closed");',
      'if (end <= 0) throw new AddressError("the bracket [ is not closed");',
    ],
    reason: "The text begins with the bracket, so nothing is found at place 0.",
  },
  {
    file: "lib/schema/scalars.ts",
    before: "secret?: boolean | ((value: string) => boolean);",
    after: "secret?: boolean & ((value: string) => boolean);",
    reason: "It is a type.",
  },
  {
    file: "lib/schema/scalars.ts",
    before: "if (!(error instanceof DurationError)) throw error;",
    after: "if (!!0 && !(error instanceof DurationError)) throw error;",
    reason: "Nothing else is thrown there.",
  },
  {
    file: "lib/schema/scalars.ts",
    before: "default: string | (() => string);",
    after: "default: string & (() => string);",
    reason: "It is a type.",
  },
  {
    file: "lib/schema/scalars.ts",
    before: 'if (typeof number !== "number" || !isOne(number)) return expected(wanted, value);',
    after: 'if (!!0 && typeof number !== "number" || !isOne(number)) return expected(wanted, value);',
    reason: "What is no number is neither whole nor finite.",
  },
  {
    file: "lib/schema/tables.ts",
    before: "if (!problem.isNote) problems++;",
    after: "if (!problem.isNote) problems--;",
    reason: "It only matters whether there are any.",
  },
  {
    file: "lib/base/glob.ts",
    before: "let star = -1;",
    after: "let star = -2;",
    reason: "Any number below 0 will do.",
  },
  {
    file: "lib/base/glob.ts",
    before: "let taken = 0;",
    after: "let taken = 1;",
    reason: "It is set with the first star, and not used before.",
  },
  {
    file: "lib/base/glob.ts",
    before: '} else if (place < pattern.length && (pattern[place] === "?" || pattern[place] === text[at])) {',
    after: '} else if (place <= pattern.length && (pattern[place] === "?" || pattern[place] === text[at])) {',
    reason: "Nothing stands at the end of a pattern, and no text has that.",
  },
  {
    file: "lib/base/glob.ts",
    before: "} else if (star >= 0) {",
    after: ["} else if (star > 0) {", "} else if (star >= 1) {"],
    reason: "The place behind a star is never the first one.",
  },
  {
    file: "lib/config/env.ts",
    before: 'if (!value.includes("${")) return value;',
    after: 'if (!!0 && !value.includes("${")) return value;',
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/config/layers.ts",
    before: "for (let length = path.length; length > 0; length--) {",
    after: "for (let length = path.length; length >= 0; length--) {",
    reason: "The whole tree is a table, of which an override replaces parts.",
  },
  {
    file: "lib/config/select.ts",
    before: 'const by = source.kind === "flag" ? source.flag : describeSource(source);',
    after: 'const by = source.kind !== "flag" ? source.flag : describeSource(source);',
    reason: "A plugin that its section disables is enabled by a flag alone, whose description it is.",
  },
];
