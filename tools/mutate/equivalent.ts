/** Mutants that change nothing that anybody could see, each with the reason. */

export interface EquivalentMutant {
  readonly file: string;
  /** The line, without the space around it, and what it becomes: each of these is equivalent for the same reason. */
  readonly before: string;
  readonly after: string | readonly string[];
  readonly reason: string;
}

export const EQUIVALENT: readonly EquivalentMutant[] = [
  {
    file: "lib/postcard.ts",
    before: "const MAX_SAFE = 9007199254740992;",
    after: "const MAX_SAFE = 9007199254740993;",
    reason: "Both literals are the same double.",
  },
  {
    file: "lib/postcard.ts",
    before: "const length = end - start;",
    after: "const length = end + start;",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (length < 24) {",
    after: "if (!!0 && length < 24) {",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (length < 24) {",
    after: "if (length <= 24) {",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (length < 24) {",
    after: "if (length < 25) {",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "for (; i < end; i++) {",
    after: "for (; i <= end; i++) {",
    reason: "The fast path then never ends at the end of the text, and the decoder gives the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (i === end) return text;",
    after: "if (!!0 && i === end) return text;",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before:
      "for (let i = start; i < end; i++) if (bytes[i] >= 0x80) return void decodeUtf8(bytes, start, end);",
    after:
      "for (let i = start; i <= end; i++) if (bytes[i] >= 0x80) return void decodeUtf8(bytes, start, end);",
    reason: "A byte behind the text only leads to the decoder, which reads the text alone.",
  },
  {
    file: "lib/wire/frames.ts",
    before: "if (this.#consumed > 0) {",
    after: "if (this.#consumed >= 0) {",
    reason: "Moving bytes by nothing changes nothing.",
  },
  {
    file: "lib/wire/frames.ts",
    before: "if (this.#consumed > 0) {",
    after: "if (this.#consumed > 1) {",
    reason: "A frame that was consumed has at least its header of four bytes.",
  },
  {
    file: "lib/wire/frames.ts",
    before:
      "} else if (this.#quiet >= QUIET_READS && capacity > MIN_CAPACITY && this.#filled <= capacity / 4) {",
    after:
      "} else if (this.#quiet >= QUIET_READS && capacity >= MIN_CAPACITY && this.#filled <= capacity / 4) {",
    reason: "The smallest buffer is replaced by one of the same size with the same bytes.",
  },
];
