/** Mutants of configuration, pages and commands that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const DOORS: readonly EquivalentMutant[] = [
  {
    file: "lib/agent/special_paths.ts",
    before: "if (above === known) return path;",
    after: "if (!!0 && above === known) return path;",
    reason: "The root is always there, so nobody looks above it.",
  },
  {
    file: "lib/cli/agents/text.ts",
    before:
      "return Number.isInteger(value) || Math.abs(value) >= 10 ? String(Math.round(value)) : value.toFixed(1);",
    after:
      "return Number.isInteger(value) || Math.abs(value) > 10 ? String(Math.round(value)) : value.toFixed(1);",
    reason: "10 is an integer.",
  },
  {
    file: "lib/cli/exec/report.ts",
    before:
      "const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => [...row[column]].length)) + 2);",
    after:
      "const widths = rows[1].map((_, column) => Math.max(...rows.map((row) => [...row[column]].length)) + 2);",
    reason: "Each table has two rows at least, and all of its rows have the same number of cells.",
  },
  {
    file: "lib/cli/exec/report.ts",
    before: "const decimals = Math.max(0, 3 - Math.floor(Math.log10(Math.abs(value) || 1)));",
    after: "const decimals = Math.max(0, 3 - Math.floor(Math.log10(Math.abs(value) || 2)));",
    reason: "1 and 2 have as many digits, and nothing has no decimals.",
  },
  {
    file: "lib/cli/completions/grammar.ts",
    before: 'if (name === "help") {',
    after: 'if (name !== "help") {',
    reason: "Each command adds all words of help, in the same order, and none of them twice.",
  },
  {
    file: "lib/cli/parse.ts",
    before: "return false;",
    after: "return true;",
    reason: "A line with an unknown flag is refused, whatever becomes of the flag.",
  },
  {
    file: "lib/cli/query_selection.ts",
    before: "if (!(error instanceof DurationError)) throw error;",
    after: "if (!!0 && !(error instanceof DurationError)) throw error;",
    reason: "Nothing else is thrown there.",
  },
  {
    file: "lib/cli/export/text.ts",
    before: 'return Number.isFinite(value) ? String(value) : value > 0 ? "inf" : "-inf";',
    after: [
      'return Number.isFinite(value) ? String(value) : value >= 0 ? "inf" : "-inf";',
      'return Number.isFinite(value) ? String(value) : value > 1 ? "inf" : "-inf";',
    ],
    reason: "The value is infinite.",
  },
  {
    file: "lib/cli/import/files.ts",
    before: "let total = 1;",
    after: "let total = 2;",
    reason: "The number of rows is known before the first batch.",
  },
  {
    file: "lib/cli/import/text.ts",
    before: "const timeEnd = line.indexOf(toValue, metricEnd + toTime.length);",
    after: "const timeEnd = line.indexOf(toValue, metricEnd - toTime.length);",
    reason: "There is no room for a value between so few characters and the time.",
  },
  {
    file: "lib/cli/import/files.ts",
    before: "onProgress(read / Math.max(1, size));",
    after: "onProgress(read / Math.max(2, size));",
    reason: "A file of one byte has no point.",
  },
  {
    file: "lib/cli/import/rows.ts",
    before: "seconds = 0;",
    after: "seconds = 1;",
    reason: "A time is read before it is used.",
  },
  {
    file: "lib/cli/import/rows.ts",
    before: "nanos = 0;",
    after: "nanos = 1;",
    reason: "A time is read before it is used.",
  },
  {
    file: "lib/cli/import/text.ts",
    before: "if (metricEnd < 0 || timeEnd < 0 || valueEnd < 0) return undefined;",
    after: [
      "if (metricEnd <= 0 || timeEnd < 0 || valueEnd < 0) return undefined;",
      "if (metricEnd < 1 || timeEnd < 0 || valueEnd < 0) return undefined;",
      "if (metricEnd < 0 || timeEnd <= 0 || valueEnd < 0) return undefined;",
      "if (metricEnd < 0 || timeEnd < 1 || valueEnd < 0) return undefined;",
      "if (metricEnd < 0 || timeEnd < 0 || valueEnd <= 0) return undefined;",
      "if (metricEnd < 0 || timeEnd < 0 || valueEnd < 1) return undefined;",
    ],
    reason: "A line that begins with one of them is not JSON, in either way.",
  },
  {
    file: "lib/cli/import/text.ts",
    before: "let width = 0;",
    after: "let width = 1;",
    reason: "The first row sets it.",
  },
  {
    file: "lib/cli/import/text.ts",
    before: 'if (!record.includes(\'"\')) return record.split(",");',
    after: 'if (!!0 && !record.includes(\'"\')) return record.split(",");',
    reason: "It is only faster.",
  },
  {
    file: "lib/cli/rows.ts",
    before: 'return value > 0 ? "9e999" : "-9e999";',
    after: ['return value >= 0 ? "9e999" : "-9e999";', 'return value > 1 ? "9e999" : "-9e999";'],
    reason: "The value is infinite.",
  },
  {
    file: "lib/cli/rows.ts",
    before: 'if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";',
    after: [
      'if (!Number.isFinite(value)) return value >= 0 ? "inf" : "-inf";',
      'if (!Number.isFinite(value)) return value > 1 ? "inf" : "-inf";',
    ],
    reason: "The value is infinite: databases have no NaN.",
  },
  {
    file: "lib/seeing/pages.ts",
    before: "const GZIP_LEVEL = 4;",
    after: "const GZIP_LEVEL = 5;",
    reason: "The bytes are the same when they are unpacked.",
  },
  {
    file: "lib/seeing/tap.ts",
    before: "unsigned: true,",
    after: "unsigned: false,",
    reason: "Attributes are tags, which have no types.",
  },
  {
    file: "lib/seeing/tap.ts",
    before: "const DIFFERS = 2;",
    after: "const DIFFERS = 3;",
    reason: "It only tells two things apart.",
  },
  {
    file: "lib/systemd/journal_stream.ts",
    before: "if (device === undefined) return false;",
    after: "if (!!0 && device === undefined) return false;",
    reason: "It only saves a look at standard error, which has no device without a number.",
  },
  {
    file: "lib/systemd/status.ts",
    before: "const digits = value < 10 && !Number.isInteger(value) ? 1 : 0;",
    after: "const digits = value <= 10 && !Number.isInteger(value) ? 1 : 0;",
    reason: "10 is an integer.",
  },
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
  {
    file: "lib/seeing/live/ring.ts",
    before: "const INITIAL_RINGS = 64;",
    after: "const INITIAL_RINGS = 65;",
    reason: "There is room for more when more come.",
  },
  {
    file: "lib/seeing/live/ring.ts",
    before: "const INITIAL_SLOTS = 256;",
    after: "const INITIAL_SLOTS = 257;",
    reason: "There is room for more when more come.",
  },
  {
    file: "lib/seeing/live/ring.ts",
    before: "const NO_RING = -1;",
    after: "const NO_RING = -2;",
    reason: "It is only told from rings, and their numbers begin at 0.",
  },
  {
    file: "lib/seeing/live/ring.ts",
    before: "const REFUSED_OTHER = 2;",
    after: "const REFUSED_OTHER = 3;",
    reason: "It is only told from the other one, which is less.",
  },
  {
    file: "lib/seeing/live/ring.ts",
    before: "const FLAG_BITS = 3;",
    after: "const FLAG_BITS = 4;",
    reason: "The bit more is not used.",
  },
  {
    file: "lib/seeing/live/ring.ts",
    before: "if (since >= 0) {",
    after: "if (since > 0) {",
    reason: "Of two points at the same time, the second one has been passed over before.",
  },
  {
    file: "lib/seeing/live/ring.ts",
    before: "if ((place & HAS_RING) === 0 || whole < oldest || whole >= end) continue;",
    after: [
      "if (!!0 && (place & HAS_RING) === 0 || whole < oldest || whole >= end) continue;",
      "if ((place & HAS_RING) === 1 || whole < oldest || whole >= end) continue;",
    ],
    reason: "Where there is no ring, the place is one before the first, where nothing is written.",
  },
  {
    file: "lib/seeing/live/ring.ts",
    before: "this.#factors[slot] = kind ? kind.factor : 1;",
    after: "this.#factors[slot] = kind ? kind.factor : 2;",
    reason: "Only that of power is read.",
  },
  {
    file: "lib/seeing/live/ring.ts",
    before: "#refuse(number: number, place: typeof REFUSED_POWER | typeof REFUSED_OTHER): void {",
    after: "#refuse(number: number, place: typeof REFUSED_POWER & typeof REFUSED_OTHER): void {",
    reason: "Only the type checker reads it.",
  },
  {
    file: "lib/seeing/live/ring.ts",
    before: "if ((ring + 1) * SAMPLES > this.#rings.length) {",
    after: [
      "if ((ring + 2) * SAMPLES > this.#rings.length) {",
      "if ((ring + 1) * SAMPLES >= this.#rings.length) {",
    ],
    reason: "It grows one ring earlier.",
  },
  {
    file: "lib/seeing/live/ring.ts",
    before: "if (steps <= 0) {",
    after: "if (steps < 0) {",
    reason: "Of no steps, no sample is begun.",
  },
  {
    file: "lib/seeing/live/ring.ts",
    before: "const first = Math.max(this.newestStep + 2, now - SAMPLES + 2);",
    after: "const first = Math.max(this.newestStep + 2, now - SAMPLES - 2);",
    reason: "All samples are gone already, and some are emptied twice.",
  },
  {
    file: "lib/seeing/live/ring.ts",
    before: "for (let at = step % SAMPLES; at < end; at += SAMPLES) this.#rings[at] = NaN;",
    after: "for (let at = step % SAMPLES; at <= end; at += SAMPLES) this.#rings[at] = NaN;",
    reason: "A ring is emptied before it is used.",
  },
];
