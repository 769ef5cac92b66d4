/** Mutants of configuration, pages and commands that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const DOORS: readonly EquivalentMutant[] = [
  {
    file: "lib/config/file.ts",
    before: "return { line: Number(line ?? 1), path: [], message: `this is not TOML: ${shown}` };",
    after: "return { line: Number(line ?? 2), path: [], message: `this is not TOML: ${shown}` };",
    reason: "The parser names a line in each of its errors.",
  },
  {
    file: "lib/http/negotiation.ts",
    before: "for (let i = 0; i < text.length; i++) {",
    after: "for (let i = 0; i <= text.length; i++) {",
    reason: "Behind the end of a text there is nothing, which adds nothing.",
  },
  {
    file: "lib/http/negotiation.ts",
    before: 'let best = { format: "text" as PageFormat, quality: 0, named: false };',
    after: 'let best = { format: "text" as PageFormat, quality: 0, named: true };',
    reason: "Whether it is named counts among equal qualities above 0 alone.",
  },
  {
    file: "lib/http/negotiation.ts",
    before: "let exactness = 0;",
    after: "let exactness = 1;",
    reason: "A range that fits everything has the exactness 1, and its quality is taken either way.",
  },
  {
    file: "lib/seeing/live/hosts.ts",
    before: "if (seconds > 0) {",
    after: "if (seconds >= 0) {",
    reason: "Of two looks at the same time, the second one ends before.",
  },
  {
    file: "lib/seeing/live/hosts.ts",
    before: "const mean = (power: Float32Array) => power.reduce((sum, watts) => sum + (watts || 0), 0);",
    after: "const mean = (power: Float32Array) => power.reduce((sum, watts) => sum + (watts || 0), 1);",
    reason: "Only the order of the sums counts, and each has the same more.",
  },
];
