/** Mutants of how outputs name their files and reach their targets that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const OUTPUT_TARGETS: readonly EquivalentMutant[] = [
  {
    file: "lib/outputs/files/path.ts",
    before: "const MOST_CHARACTERS = 1000;",
    after: "const MOST_CHARACTERS = 1001;",
    reason: "Longer names than 120 characters end in a hash, and only their beginning stands before it.",
  },
  {
    file: "lib/outputs/files/path.ts",
    before: "if (name.length <= MAX_CLIENT_BYTES && client.length <= MOST_CHARACTERS) return name;",
    after: "if (name.length <= MAX_CLIENT_BYTES && client.length < MOST_CHARACTERS) return name;",
    reason: "A name of 120 characters is that of a client with no more.",
  },
  {
    file: "lib/outputs/files/path.ts",
    before: '(text[i] === "." && i > 0 && !BEGINS_WITH_STAMP.test(text.slice(i + 1, i + 20)));',
    after: '(text[i] === "." && i > 0 && !BEGINS_WITH_STAMP.test(text.slice(i + 1, i + 21)));',
    reason: "A stamp has 16 characters.",
  },
  {
    file: "lib/outputs/postgresql/passfile.ts",
    before: "if (bits === null || !isPrivate(bits)) return undefined;",
    after: "if (!!0 && bits === null || !isPrivate(bits)) return undefined;",
    reason: "A file that is not there cannot be read.",
  },
  {
    file: "lib/outputs/postgresql/passfile.ts",
    before: 'if (line === "" || line.startsWith("#")) continue;',
    after: [
      'if (!!0 && line === "" || line.startsWith("#")) continue;',
      'if (line === "" && line.startsWith("#")) continue;',
    ],
    reason: "An empty line has no five fields, and no host has a name with a # before it.",
  },
  {
    file: "lib/outputs/postgresql/settings.ts",
    before: "if (!passfile) return undefined;",
    after: "if (!!0 && !passfile) return undefined;",
    reason: "Without a path there is no file to be read.",
  },
  {
    file: "lib/outputs/http/verdict.ts",
    before: "if (!text) return undefined;",
    after: "if (!!0 && !text) return undefined;",
    reason: "No text is neither a number nor a date.",
  },
  {
    file: "lib/outputs/influxdb/text.ts",
    before: "if (!SPECIAL.test(text)) return text;",
    after: "if (!!0 && !SPECIAL.test(text)) return text;",
    reason: "It only saves to look at each character.",
  },
  {
    file: "lib/outputs/influxdb/text.ts",
    before: '} else result += character < " " || character === "\\u007f" ? hex(character) : character;',
    after: '} else result += character <= " " || character === "\\u007f" ? hex(character) : character;',
    reason: "A space is always escaped before.",
  },
  {
    file: "lib/outputs/rendering/u64.ts",
    before: "const MAX_SAFE = 9_007_199_254_740_992;",
    after: "const MAX_SAFE = 9007199254740993;",
    reason: "It is the same number, rounded.",
  },
  {
    file: "lib/outputs/rendering/u64.ts",
    before: "for (let row = 0; row < batch.length; row++) {",
    after: "for (let row = 0; row <= batch.length; row++) {",
    reason: "Behind the last row there is none, and no problem.",
  },
];
