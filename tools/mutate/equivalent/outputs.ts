/** Mutants of what outputs write that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const OUTPUTS: readonly EquivalentMutant[] = [
  {
    file: "lib/outputs/rendering/numbers.ts",
    before: 'if (Number.isNaN(value)) return "NaN";',
    after: 'if (!!0 && Number.isNaN(value)) return "NaN";',
    reason: "JavaScript writes it in the same way.",
  },
  {
    file: "lib/outputs/rendering/numbers.ts",
    before: "if (e < 0) return text;",
    after: "if (e <= 0) return text;",
    reason: "No number begins with its exponent.",
  },
  {
    file: "lib/outputs/rendering/numbers.ts",
    before: 'if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;',
    after: 'if (exponent <= 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;',
    reason: "JavaScript never writes the exponent 0.",
  },
  {
    file: "lib/outputs/rendering/numbers.ts",
    before: "for (let limit = 100; digits < 9 && small >= limit; limit *= 10) digits++;",
    after: [
      "for (let limit = 100; digits <= 9 && small >= limit; limit *= 10) digits++;",
      "for (let limit = 100; digits < 10 && small >= limit; limit *= 10) digits++;",
    ],
    reason: "The number has nine digits at most.",
  },
  {
    file: "lib/outputs/influxdb/lines.ts",
    before: "this.buffer = new RowBuffer(Math.min(maxBytes, 256 * maxLines));",
    after: "this.buffer = new RowBuffer(Math.min(maxBytes, 257 * maxLines));",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/rendering/numbers.ts",
    before: "return value <= 9007199254740992 && Math.floor(value) === value && 1 / value > 0;",
    after: [
      "return value < 9007199254740992 && Math.floor(value) === value && 1 / value > 0;",
      "return value <= 9007199254740993 && Math.floor(value) === value && 1 / value > 0;",
      "return value <= 9007199254740992 && Math.floor(value) === value && 2 / value > 0;",
      "return value <= 9007199254740992 && Math.floor(value) === value && 1 / value >= 0;",
      "return value <= 9007199254740992 && Math.floor(value) === value && 1 / value > 1;",
    ],
    reason: "Both ways write the same text of such a number, and 2^53 + 1 is no double.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "const ROW_SLACK = 512;",
    after: "const ROW_SLACK = 513;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "readonly #time = new Uint8Array(64);",
    after: "readonly #time = new Uint8Array(65);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "#timeSeconds = -1;",
    after: "#timeSeconds = -2;",
    reason: "It is replaced by the first row: no point has a negative time.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "#timeNanos = -1;",
    after: "#timeNanos = -2;",
    reason: "It is replaced by the first row: no point has a negative time.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "#timeDay = -1;",
    after: "#timeDay = -2;",
    reason: "It is replaced by the first row: no point has a negative time.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "#timeLength = 0;",
    after: "#timeLength = 1;",
    reason: "It is replaced by the first row: no point has a negative time.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "if (at + head.length + tailLength + generous > bytes.length) {",
    after: "if (at + head.length + tailLength + generous >= bytes.length) {",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "if (at > 0) break;",
    after: "if (at > 1) break;",
    reason: "A row has more than one byte.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "for (let i = 0; i < head.length; i += WORD_BYTES) {",
    after: "for (let i = 0; i <= head.length; i += WORD_BYTES) {",
    reason: "One more word is copied, over which the next bytes are written; the buffers have room for it.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "for (let i = 0; i < timeLength; i += WORD_BYTES) {",
    after: "for (let i = 0; i <= timeLength; i += WORD_BYTES) {",
    reason: "One more word is copied, over which the next bytes are written; the buffers have room for it.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "for (let i = 0; i < tailLength; i += WORD_BYTES) {",
    after: "for (let i = 0; i <= tailLength; i += WORD_BYTES) {",
    reason: "One more word is copied, over which the next bytes are written; the buffers have room for it.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "putText(time, 0, new Date(day * 86_400_000).toISOString().slice(0, 11));",
    after: ["putText(time, 0, new Date(day * 86400001).toISOString().slice(0, 11));"],
    reason: "To the end of the year 9999 that is less than an hour more, and only the date is used.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "putText(time, 0, new Date(day * 86_400_000).toISOString().slice(0, 11));",
    after: "putText(time, 0, new Date(day * 86_400_000).toISOString().slice(0, 12));",
    reason: "The hours are written over it.",
  },
  {
    file: "lib/outputs/influxdb/lines.ts",
    before: "const LINE_SLACK = 512;",
    after: "const LINE_SLACK = 513;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/influxdb/lines.ts",
    before: "this.buffer = new RowBuffer(Math.min(maxBytes, 256 * maxLines));",
    after: "this.buffer = new RowBuffer(Math.min(maxBytes, 256 / maxLines));",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/influxdb/lines.ts",
    before: "readonly #time = new Uint8Array(48);",
    after: "readonly #time = new Uint8Array(49);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/influxdb/lines.ts",
    before: "#timeLength = 0;",
    after: "#timeLength = 1;",
    reason: "It is replaced by the first row: no point has a negative time.",
  },
  {
    file: "lib/outputs/influxdb/lines.ts",
    before: "#timeSeconds = -1;",
    after: "#timeSeconds = -2;",
    reason: "It is replaced by the first row: no point has a negative time.",
  },
  {
    file: "lib/outputs/influxdb/lines.ts",
    before: "#timeNanos = -1;",
    after: "#timeNanos = -2;",
    reason: "It is replaced by the first row: no point has a negative time.",
  },
  {
    file: "lib/outputs/influxdb/lines.ts",
    before: "if (at + prefix + LINE_SLACK > bytes.length) {",
    after: "if (at + prefix + LINE_SLACK >= bytes.length) {",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/influxdb/lines.ts",
    before: "if (count > 0 && at + prefix + LINE_SLACK > maxBytes) break;",
    after: "if (count > 0 && at + prefix + LINE_SLACK >= maxBytes) break;",
    reason: "The limit is in bytes that a line may need, which are more than it has.",
  },
  {
    file: "lib/outputs/influxdb/lines.ts",
    before:
      "for (let i = 0; i < prefix; i += 4) view.setInt32(at + i, prefixes.getInt32(start + i, true), true);",
    after:
      "for (let i = 0; i <= prefix; i += 4) view.setInt32(at + i, prefixes.getInt32(start + i, true), true);",
    reason: "One more word is copied, over which the next bytes are written; the buffers have room for it.",
  },
  {
    file: "lib/outputs/influxdb/lines.ts",
    before: "for (let i = 0; i < timeLength; i += 4) view.setInt32(at + i, time.getInt32(i, true), true);",
    after: "for (let i = 0; i <= timeLength; i += 4) view.setInt32(at + i, time.getInt32(i, true), true);",
    reason: "One more word is copied, over which the next bytes are written; the buffers have room for it.",
  },
  {
    file: "lib/outputs/csv/format.ts",
    before: "else if (isPlainInteger(value)) at = putInteger(bytes, at, value);",
    after: "else if (!!0 && isPlainInteger(value)) at = putInteger(bytes, at, value);",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/outputs/influxdb/lines.ts",
    before: "else if (isPlainInteger(value)) at = putInteger(bytes, at, value);",
    after: "else if (!!0 && isPlainInteger(value)) at = putInteger(bytes, at, value);",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/outputs/rendering/numbers.ts",
    before: "if (e < 0) return text;",
    after: "if (e < 1) return text;",
    reason: "No number begins with its exponent.",
  },
  {
    file: "lib/outputs/rendering/numbers.ts",
    before: 'if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;',
    after: 'if (exponent < 1) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;',
    reason: "JavaScript never writes the exponent 0.",
  },
  {
    file: "lib/outputs/rendering/numbers.ts",
    before: 'if (!Number.isFinite(value)) return value > 0 ? "9e999" : "-9e999";',
    after: [
      'if (!Number.isFinite(value)) return value >= 0 ? "9e999" : "-9e999";',
      'if (!Number.isFinite(value)) return value > 1 ? "9e999" : "-9e999";',
    ],
    reason: "Only infinities are left there.",
  },
];
