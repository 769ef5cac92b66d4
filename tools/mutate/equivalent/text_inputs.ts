/** Mutants of the inputs that read texts of others that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const TEXT_INPUTS: readonly EquivalentMutant[] = [
  {
    file: "lib/inputs/decoding/known_texts.ts",
    before: "const INITIAL_TEXTS = 1024;",
    after: "const INITIAL_TEXTS = 1025;",
    reason: "It only decides how much room there is at first.",
  },
  {
    file: "lib/inputs/decoding/known_texts.ts",
    before: "const INITIAL_BYTES = 64 * 1024;",
    after: [
      "const INITIAL_BYTES = 65 * 1024;",
      "const INITIAL_BYTES = 64 / 1024;",
      "const INITIAL_BYTES = 64 * 1025;",
    ],
    reason: "It only decides how much room there is at first.",
  },
  {
    file: "lib/inputs/decoding/known_texts.ts",
    before: "const SLACK = 16;",
    after: "const SLACK = 17;",
    reason: "It only decides how much room is left behind the last text.",
  },
  {
    file: "lib/inputs/decoding/known_texts.ts",
    before:
      "if (this.#hashes[text] === hash && this.parents[text] === parent && this.lengths[text] === length) {",
    after:
      "if (this.#hashes[text] === hash || this.parents[text] === parent && this.lengths[text] === length) {",
    reason: "The bytes are compared in any case, and the hash is one of parent and length, too.",
  },
  {
    file: "lib/inputs/decoding/known_texts.ts",
    before: "if (length >= 4) return sameBytes(this.view, own, view, start, length);",
    after: [
      "if (!!0 && length >= 4) return sameBytes(this.view, own, view, start, length);",
      "if (length > 4) return sameBytes(this.view, own, view, start, length);",
      "if (length >= 5) return sameBytes(this.view, own, view, start, length);",
    ],
    reason: "The other way compares the same bytes, more slowly.",
  },
  {
    file: "lib/inputs/decoding/known_texts.ts",
    before: "if (this.#end + length + SLACK > this.bytes.length) this.#growBytes(length);",
    after: "if (this.#end + length + SLACK >= this.bytes.length) this.#growBytes(length);",
    reason: "It only decides when there is more room.",
  },
  {
    file: "lib/inputs/decoding/naming.ts",
    before: "if (sender === this.#sender) return;",
    after: "if (!!0 && sender === this.#sender) return;",
    reason: "The same name is held once more before it is released.",
  },
  {
    file: "lib/inputs/decoding/numbers.ts",
    before: "const POWERS = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));",
    after: "const POWERS = Float64Array.from({ length: 24 }, (_, i) => Number(`1e${i}`));",
    reason: "At most 15 digits are read in this way.",
  },
  {
    file: "lib/inputs/decoding/numbers.ts",
    before: "offset = 0;",
    after: "offset = 1;",
    reason: "It is asked for after a number was read.",
  },
  {
    file: "lib/inputs/decoding/numbers.ts",
    before: "let byte = at < end ? bytes[at] : 0;",
    after: "let byte = at <= end ? bytes[at] : 0;",
    reason: "Of no bytes there is no number, whatever is behind them.",
  },
  {
    file: "lib/inputs/decoding/numbers.ts",
    before: "let byte = at < end ? bytes[at] : 0;",
    after: "let byte = at < end ? bytes[at] : 1;",
    reason: "Neither is a sign.",
  },
  {
    file: "lib/inputs/decoding/numbers.ts",
    before: "if (!hasExponent && count <= EXACT_DIGITS) {",
    after: [
      "if (!!0 && !hasExponent && count <= EXACT_DIGITS) {",
      "if (!hasExponent && count < EXACT_DIGITS) {",
    ],
    reason: "The other way gives the same number, more slowly.",
  },
  {
    file: "lib/inputs/decoding/numbers.ts",
    before: "seconds = 0;",
    after: "seconds = 1;",
    reason: "It is asked for after a time was read.",
  },
  {
    file: "lib/inputs/decoding/numbers.ts",
    before: "nanos = 0;",
    after: "nanos = 1;",
    reason: "It is asked for after a time was read.",
  },
  {
    file: "lib/inputs/decoding/numbers.ts",
    before: "if (next === first) return NaN;",
    after: "if (!!0 && next === first) return NaN;",
    reason: "Such a text is not a number for JavaScript either.",
  },
  {
    file: "lib/inputs/lines/http_dialect.ts",
    before: "const PATHS: Readonly<Record<string, readonly [Kind, 1 | 2]>> = {",
    after: [
      "const PATHS: Readonly<Record<string, readonly [Kind, 1 & 2]>> = {",
      "const PATHS: Readonly<Record<string, readonly [Kind, 2 | 2]>> = {",
      "const PATHS: Readonly<Record<string, readonly [Kind, 1 | 3]>> = {",
    ],
    reason: "It is a type.",
  },
  {
    file: "lib/inputs/lines/http_dialect.ts",
    before:
      "private constructor(readonly kind: Kind, readonly version: 1 | 2, readonly request: HttpRequest) {",
    after: [
      "private constructor(readonly kind: Kind, readonly version: 2 | 2, readonly request: HttpRequest) {",
      "private constructor(readonly kind: Kind, readonly version: 1 & 2, readonly request: HttpRequest) {",
      "private constructor(readonly kind: Kind, readonly version: 1 | 3, readonly request: HttpRequest) {",
    ],
    reason: "It is a type.",
  },
  {
    file: "lib/inputs/lines/json_line.ts",
    before: "const MAX_SERIES = 65_536;",
    after: "const MAX_SERIES = 65537;",
    reason: "It only decides when series are looked up again.",
  },
  {
    file: "lib/inputs/lines/json_line.ts",
    before: "if (this.#series.size >= MAX_SERIES) this.#series.clear();",
    after: "if (this.#series.size > MAX_SERIES) this.#series.clear();",
    reason: "It only decides when series are looked up again.",
  },
  {
    file: "lib/inputs/lines/json_line.ts",
    before: 'if (typeof value !== "number" || !Number.isFinite(value)) {',
    after: 'if (!!0 && typeof value !== "number" || !Number.isFinite(value)) {',
    reason: "Number.isFinite is false of what is not a number.",
  },
  {
    file: "lib/inputs/lines/json_line.ts",
    before: "return { series: 0, value, reason: error.message };",
    after: "return { series: 1, value, reason: error.message };",
    reason: "Nobody looks at the series of a value that is refused.",
  },
  {
    file: "lib/inputs/lines/json_line.ts",
    before: "if (!(seconds >= 0 && seconds <= MAX_SECONDS)) {",
    after: [
      "if (!(seconds > 0 && seconds <= MAX_SECONDS)) {",
      "if (!(seconds >= 0 && seconds < MAX_SECONDS)) {",
    ],
    reason: "A number with a fraction is neither of the ends.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "const MAX_TEXTS = 1_048_576;",
    after: "const MAX_TEXTS = 1048577;",
    reason: "It only decides when texts are learned again; the points are the same.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "const MAX_TEXT_BYTES = 64 * 1024 * 1024;",
    after: [
      "const MAX_TEXT_BYTES = 65 * 1024 * 1024;",
      "const MAX_TEXT_BYTES = 64 * 1025 * 1024;",
      "const MAX_TEXT_BYTES = 64 * 1024 * 1025;",
    ],
    reason: "It only decides when texts are learned again; the points are the same.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "#count = 0;",
    after: "#count = 1;",
    reason: "Each line begins with nothing, whatever there was before.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "#hasExact = false;",
    after: "#hasExact = true;",
    reason: "Each line begins with nothing, whatever there was before.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "#texts = 0;",
    after: "#texts = 1;",
    reason: "Each line begins with nothing, whatever there was before.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "#untimed = 0;",
    after: "#untimed = 1;",
    reason: "The bytes of each call begin with 0.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (this.#store.newBytes > newBytes) this.#out.charge(this.#store.newBytes - newBytes);",
    after: "if (this.#store.newBytes >= newBytes) this.#out.charge(this.#store.newBytes - newBytes);",
    reason: "Nothing is added then.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (at < 0) return end;",
    after: [
      "if (at <= 0) return end;",
      "if (at < 1) return end;",
    ],
    reason: "What is searched ends at 1 at least, or is not there.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (next < 0 && !options.isFinal) return at;",
    after: [
      "if (next <= 0 && !options.isFinal) return at;",
      "if (next < 1 && !options.isFinal) return at;",
    ],
    reason: "What is searched ends at 1 at least, or is not there.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (next < 0) next = end;",
    after: [
      "if (next <= 0) next = end;",
      "if (next < 1) next = end;",
    ],
    reason: "What is searched ends at 1 at least, or is not there.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (next < 0) return at;",
    after: [
      "if (next <= 0) return at;",
      "if (next < 1) return at;",
    ],
    reason: "What is searched ends at 1 at least, or is not there.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (next < 0) return next;",
    after: [
      "if (next <= 0) return next;",
      "if (next < 1) return next;",
    ],
    reason: "What is searched ends at 1 at least, or is not there.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (next >= 0) return next;",
    after: [
      "if (next > 0) return next;",
      "if (next >= 1) return next;",
    ],
    reason: "What is searched ends at 1 at least, or is not there.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before:
      "if (head !== NONE && known.parents[head] === NONE && known.matches(head, bytes, view, at, end)) {",
    after: [
      "if (!!0 && head !== NONE && known.parents[head] === NONE && known.matches(head, bytes, view, at, end)) {",
      "if (head !== NONE && known.parents[head] !== NONE && known.matches(head, bytes, view, at, end)) {",
    ],
    reason: "It only saves looking a text up by its hash: a guess is compared before it is used.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: 'if (next < 0) return incomplete(isFinal, "it has no fields");',
    after: [
      'if (next <= 0) return incomplete(isFinal, "it has no fields");',
      'if (next < 1) return incomplete(isFinal, "it has no fields");',
    ],
    reason: "What is searched ends at 1 at least, or is not there.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "while (at < end && bytes[at] === SPACE) at++;",
    after: "while (at <= end && bytes[at] === SPACE) at++;",
    reason: "Behind the end there is nothing in either case.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before:
      "if (field !== NONE && known.parents[field] === head && known.matches(field, bytes, view, at, end)) {",
    after: [
      "if (!!0 && field !== NONE && known.parents[field] === head && known.matches(field, bytes, view, at, end)) {",
      "if (field === NONE && known.parents[field] === head && known.matches(field, bytes, view, at, end)) {",
      "if (field !== NONE && known.parents[field] !== head && known.matches(field, bytes, view, at, end)) {",
    ],
    reason: "It only saves looking a text up by its hash: what follows a field is one of the same head.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: 'if (next < 0) return incomplete(isFinal, "a field has no value");',
    after: [
      'if (next <= 0) return incomplete(isFinal, "a field has no value");',
      'if (next < 1) return incomplete(isFinal, "a field has no value");',
    ],
    reason: "What is searched ends at 1 at least, or is not there.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (before === NONE) known.firsts[head] = field;",
    after: "if (before !== NONE) known.firsts[head] = field;",
    reason: "It only saves looking a text up by its hash: a guess is compared before it is used.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: 'if (at < 0) return incomplete(isFinal, "a text has no end");',
    after: [
      'if (at <= 0) return incomplete(isFinal, "a text has no end");',
      'if (at < 1) return incomplete(isFinal, "a text has no end");',
    ],
    reason: "What is searched ends at 1 at least, or is not there.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (after >= end && !isFinal) return -1;",
    after: "if (after >= end && !isFinal) return -2;",
    reason: "Any number below 0 says that more may come.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (!isFinal && end - at < 6) return -1;",
    after: [
      "if (!isFinal && end - at <= 6) return -1;",
      "if (!isFinal && end - at < 7) return -1;",
    ],
    reason: "A line that is not valid is found to be so with its next byte instead.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (!isFinal && end - at < 6) return -1;",
    after: "if (!isFinal && end - at < 6) return -2;",
    reason: "Any number below 0 says that more may come.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (at >= end && !isFinal) return -1;",
    after: [
      "if (at > end && !isFinal) return -1;",
      "if (!!0 && at >= end && !isFinal) return -1;",
    ],
    reason:
      "A part of a valid line is valid as far as it goes, and behind it a later line of the code says that more may come.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (at >= end && !isFinal) return -1;",
    after: "if (at >= end && !isFinal) return -2;",
    reason: "Any number below 0 says that more may come.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "while (at < end && (bytes[at] === SPACE || bytes[at] === CR)) at++;",
    after: "while (at <= end && (bytes[at] === SPACE || bytes[at] === CR)) at++;",
    reason: "Behind the end there is nothing in either case.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "return at < end ? at + 1 : end;",
    after: "return at <= end ? at + 1 : end;",
    reason: "Either way all bytes are read.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "this.#hasExact = false;",
    after: "this.#hasExact = true;",
    reason: "It only saves a look into a list that is empty.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "function incomplete(isFinal: boolean, reason: string): -1 {",
    after: "function incomplete(isFinal: boolean, reason: string): -2 {",
    reason: "It is a type.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "return -1;",
    after: "return -2;",
    reason: "Any number below 0 says that more may come.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "return found < 0 ? -1 : at + found + 1;",
    after: "return found < 0 ? -2 : at + found + 1;",
    reason: "Any number below 0 says that more may come.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "if (!this.#hasExact) return;",
    after: "if (!!0 && !this.#hasExact) return;",
    reason: "It only saves emptying a list that is empty.",
  },
  {
    file: "lib/inputs/lines/line_decoder.ts",
    before: "while (to < end && bytes[to] > SPACE && bytes[to] !== COMMA && to - at < 6) to++;",
    after: [
      "while (to < end && bytes[to] > SPACE && bytes[to] !== COMMA && to - at <= 6) to++;",
      "while (to < end && bytes[to] > SPACE && bytes[to] !== COMMA && to - at < 7) to++;",
    ],
    reason: "Six characters are already more than any of the words has.",
  },
  {
    file: "lib/inputs/lines/line_stream.ts",
    before: "export const READ_BYTES = 64 * 1024;",
    after: [
      "export const READ_BYTES = 65 * 1024;",
      "export const READ_BYTES = 64 / 1024;",
      "export const READ_BYTES = 64 * 1025;",
    ],
    reason: "It only decides how many bytes are taken at once.",
  },
  {
    file: "lib/inputs/lines/line_stream.ts",
    before: "if (this.#length > 0) this.#decode(true);",
    after: "if (this.#length >= 0) this.#decode(true);",
    reason: "In no bytes there is no line.",
  },
  {
    file: "lib/inputs/lines/line_text.ts",
    before: "return -1;",
    after: "return -2;",
    reason: "Any number below 0 says that more may come.",
  },
  {
    file: "lib/inputs/lines/line_text.ts",
    before: "for (let i = 0; i < text.length; i++) {",
    after: "for (let i = 0; i <= text.length; i++) {",
    reason: "Behind the end there is nothing in either case.",
  },
  {
    file: "lib/inputs/lines/rate_limits.ts",
    before: "const MAX_ADDRESSES = 10_000;",
    after: "const MAX_ADDRESSES = 10001;",
    reason: "It only decides when all are forgotten.",
  },
  {
    file: "lib/inputs/lines/rate_limits.ts",
    before: "if (this.#credits.size >= MAX_ADDRESSES) this.#credits.clear();",
    after: "if (this.#credits.size > MAX_ADDRESSES) this.#credits.clear();",
    reason: "It only decides when all are forgotten.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "const MAX_TEXTS = 1_048_576;",
    after: "const MAX_TEXTS = 1048577;",
    reason: "It only decides when texts are learned again; the points are the same.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "const MAX_TEXT_BYTES = 64 * 1024 * 1024;",
    after: [
      "const MAX_TEXT_BYTES = 65 * 1024 * 1024;",
      "const MAX_TEXT_BYTES = 64 * 1025 * 1024;",
      "const MAX_TEXT_BYTES = 64 * 1024 * 1025;",
    ],
    reason: "It only decides when texts are learned again; the points are the same.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "const KIND = { unknown: 0, gauge: 1, counter: 2, skipped: 3 } as const;",
    after: [
      "const KIND = { unknown: 1, gauge: 1, counter: 2, skipped: 3 } as const;",
      "const KIND = { unknown: 0, gauge: 1, counter: 2, skipped: 4 } as const;",
    ],
    reason: "It is only asked whether a text is a counter, or skipped.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "#before = new Float64Array(1024).fill(NaN);",
    after: "#before = new Float64Array(1025).fill(NaN);",
    reason: "It only decides how much room there is at first.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "#line = 0;",
    after: "#line = 1;",
    reason: "A page begins before it is decoded, and sets it.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "#time: Timestamp = { seconds: 0, nanos: 0 };",
    after: [
      "#time: Timestamp = { seconds: 1, nanos: 0 };",
      "#time: Timestamp = { seconds: 0, nanos: 1 };",
    ],
    reason: "A page begins before it is decoded, and sets it.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "#isOpenMetrics = false;",
    after: "#isOpenMetrics = true;",
    reason: "A page begins before it is decoded, and sets it.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "hasEnded = false;",
    after: "hasEnded = true;",
    reason: "A page begins before it is decoded, and sets it.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "points = 0;",
    after: "points = 1;",
    reason: "A page begins before it is decoded, and sets it.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "if (naming.store.newBytes > newBytes) out.charge(naming.store.newBytes - newBytes);",
    after: "if (naming.store.newBytes >= newBytes) out.charge(naming.store.newBytes - newBytes);",
    reason: "Nothing is added then.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "if (text !== NONE && known.matches(text, bytes, view, at, end)) at += known.lengths[text];",
    after:
      "if (!!0 && text !== NONE && known.matches(text, bytes, view, at, end)) at += known.lengths[text];",
    reason: "It only saves looking a text up by its hash: a guess is compared before it is used.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: 'if (next < 0) throw new ExpositionError("it has no value");',
    after: [
      'if (next <= 0) throw new ExpositionError("it has no value");',
      'if (next < 1) throw new ExpositionError("it has no value");',
    ],
    reason: "What is searched ends at 1 at least, or is not there.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "while (at < end && bytes[at] === SPACE) at++;",
    after: "while (at <= end && bytes[at] === SPACE) at++;",
    reason: "Behind the end there is nothing in either case.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "if (at < end && bytes[at] > SPACE && bytes[at] !== HASH) {",
    after: "if (at < end && bytes[at] >= SPACE && bytes[at] !== HASH) {",
    reason: "All blanks were passed.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "return at < end && bytes[at] === LF ? at : endOfLine(bytes, at, end);",
    after: "return at <= end && bytes[at] === LF ? at : endOfLine(bytes, at, end);",
    reason: "Either way all bytes are read.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "return found < 0 ? end : at + found;",
    after: [
      "return found <= 0 ? end : at + found;",
      "return found < 1 ? end : at + found;",
    ],
    reason: "It is asked for where there is something before the end of the line.",
  },
  {
    file: "lib/inputs/scrape/exposition_decoder.ts",
    before: "const word = String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 10))).toLowerCase();",
    after: "const word = String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 11))).toLowerCase();",
    reason: "Ten characters are already more than any of the words has.",
  },
];
