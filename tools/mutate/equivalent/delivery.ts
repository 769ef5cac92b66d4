/** Mutants of outputs, and of what they share, that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const DELIVERY: readonly EquivalentMutant[] = [
  {
    file: "lib/outputs/files/columns.ts",
    before: "for (let row = 1; row < times.length; row++) {",
    after: "for (let row = 1; row <= times.length; row++) {",
    reason: "There is no time behind the last one, and no comparison with that is true.",
  },
  {
    file: "lib/outputs/files/columns.ts",
    before: "if (times[row] < min) min = times[row];",
    after: "if (times[row] <= min) min = times[row];",
    reason: "Where both are equal, the result is the same.",
  },
  {
    file: "lib/outputs/files/columns.ts",
    before: "else if (times[row] > max) max = times[row];",
    after: "else if (times[row] >= max) max = times[row];",
    reason: "Where both are equal, the result is the same.",
  },
  {
    file: "lib/outputs/files/columns.ts",
    before: "if (value < min) min = value;",
    after: "if (value <= min) min = value;",
    reason: "The two zeros are the only equal values that differ, and both become one.",
  },
  {
    file: "lib/outputs/files/columns.ts",
    before: "if (value > max) max = value;",
    after: "if (value >= max) max = value;",
    reason: "The two zeros are the only equal values that differ, and both become one.",
  },
  {
    file: "lib/outputs/rendering/series_texts.ts",
    before: "let marks = 0;",
    after: "let marks = 1;",
    reason: "Marks only have to differ.",
  },
  {
    file: "lib/outputs/rendering/series_texts.ts",
    before: "bytes: Uint8Array<ArrayBuffer> = new Uint8Array(16 * 1024);",
    after: [
      "bytes: Uint8Array<ArrayBuffer> = new Uint8Array(17 * 1024);",
      "bytes: Uint8Array<ArrayBuffer> = new Uint8Array(16 / 1024);",
      "bytes: Uint8Array<ArrayBuffer> = new Uint8Array(16 * 1025);",
    ],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/rendering/series_texts.ts",
    before: "#start = 0;",
    after: "#start = 1;",
    reason: "It is set before it is read.",
  },
  {
    file: "lib/outputs/parquet/sorting.ts",
    before: "const TURN_MS = 5;",
    after: "const TURN_MS = 6;",
    reason: "It only decides how often others have their turn; the result is the same.",
  },
  {
    file: "lib/outputs/parquet/sorting.ts",
    before: "const LOOK_ROWS = 512;",
    after: "const LOOK_ROWS = 513;",
    reason: "It only decides how often others have their turn; the result is the same.",
  },
  {
    file: "lib/outputs/parquet/sorting.ts",
    before: "const ROWS = 2 ** 32;",
    after: "const ROWS = 2 ** 33;",
    reason: "There are fewer batches than would need the bits above.",
  },
  {
    file: "lib/outputs/parquet/sorting.ts",
    before: "let turnEndsMs = performance.now() + TURN_MS;",
    after: "let turnEndsMs = performance.now() - TURN_MS;",
    reason: "It only decides how often others have their turn; the result is the same.",
  },
  {
    file: "lib/outputs/parquet/sorting.ts",
    before: "for (let row = 0; row < batch.length; row += LOOK_ROWS) {",
    after: "for (let row = 0; row <= batch.length; row += LOOK_ROWS) {",
    reason: "It sorts no rows once more.",
  },
  {
    file: "lib/outputs/parquet/sorting.ts",
    before: "if (performance.now() < turnEndsMs) continue;",
    after: [
      "if (!!0 && performance.now() < turnEndsMs) continue;",
      "if (performance.now() <= turnEndsMs) continue;",
    ],
    reason: "It only decides how often others have their turn; the result is the same.",
  },
  {
    file: "lib/outputs/parquet/sorting.ts",
    before: "turnEndsMs = performance.now() + TURN_MS;",
    after: "turnEndsMs = performance.now() - TURN_MS;",
    reason: "It only decides how often others have their turn; the result is the same.",
  },
  {
    file: "lib/outputs/parquet/series_table.ts",
    before: "#numbers = new Uint32Array(1024 * SERIES_NUMBERS);",
    after: "#numbers = new Uint32Array(1025 * SERIES_NUMBERS);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/parquet/series_table.ts",
    before: "if (at === this.#numbers.length) this.#numbers = grown(this.#numbers, 2 * at);",
    after: "if (at === this.#numbers.length) this.#numbers = grown(this.#numbers, 3 * at);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/opentelemetry/request.ts",
    before: "const TWO_63 = 9_223_372_036_854_775_808;",
    after: "const TWO_63 = 9223372036854775809;",
    reason: "As a double it is the same number.",
  },
  {
    file: "lib/outputs/opentelemetry/request.ts",
    before: "#request = 0;",
    after: "#request = 1;",
    reason: "Numbers of requests only have to differ.",
  },
  {
    file: "lib/outputs/opentelemetry/request.ts",
    before: "const request = ++this.#request;",
    after: "const request = --this.#request;",
    reason: "Numbers of requests only have to differ.",
  },
  {
    file: "lib/outputs/opentelemetry/request.ts",
    before:
      "for (; n + 4 <= length; n += 4) view.setInt32(at + n, textView.getInt32(start + n, true), true);",
    after: [
      "for (; n + 5 <= length; n += 4) view.setInt32(at + n, textView.getInt32(start + n, true), true);",
      "for (; n + 4 < length; n += 4) view.setInt32(at + n, textView.getInt32(start + n, true), true);",
    ],
    reason: "The rest is copied byte by byte, with the same result.",
  },
  {
    file: "lib/outputs/opentelemetry/request.ts",
    before: "group = { place, resource, head, request: 0, bytes: 0, offset: 0 };",
    after: [
      "group = { place, resource, head, request: 0, bytes: 1, offset: 0 };",
      "group = { place, resource, head, request: 0, bytes: 0, offset: 1 };",
    ],
    reason: "They are set before they are read.",
  },
  {
    file: "lib/outputs/opentelemetry/receiver.ts",
    before: "if (status < 300) {",
    after: ["if (status <= 300) {", "if (status < 301) {"],
    reason: "For 300 there is an answer before.",
  },
  {
    file: "lib/outputs/prometheus/config.ts",
    before: "? addressProblem(addressText(host, 0), { listen: true })",
    after: "? addressProblem(addressText(host, 1), { listen: true })",
    reason: "Any port may be listened on.",
  },
  {
    file: "lib/outputs/rollups/config.ts",
    before: "const MAX_FIRST_MS = 300_000;",
    after: "const MAX_FIRST_MS = 300001;",
    reason: "An interval has whole seconds.",
  },
  {
    file: "lib/outputs/influxdb/refusals.ts",
    before: "const dropped = Number(/ dropped=(\\d+)$/.exec(message)?.[1] ?? 0);",
    after: "const dropped = Number(/ dropped=(\\d+)$/.exec(message)?.[1] ?? 1);",
    reason: "Of a single line all is refused anyway.",
  },
  {
    file: "lib/outputs/sqlite/identities.ts",
    before: "const INITIAL_SERIES = 4096;",
    after: "const INITIAL_SERIES = 4097;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/identities.ts",
    before: "#version = -1;",
    after: "#version = -2;",
    reason: "SQLite's numbers begin with 1.",
  },
  {
    file: "lib/outputs/sqlite/identities.ts",
    before: "if (this.ids[number] > 0) this.#touchSeries.run(group.day, this.ids[number]);",
    after: "if (this.ids[number] >= 0) this.#touchSeries.run(group.day, this.ids[number]);",
    reason: "No row has the id 0.",
  },
  {
    file: "lib/outputs/sqlite/identities.ts",
    before: "const length = Math.max(number + 1, this.ids.length * 2);",
    after: [
      "const length = Math.max(number + 2, this.ids.length * 2);",
      "const length = Math.max(number + 1, this.ids.length / 2);",
      "const length = Math.max(number + 1, this.ids.length * 3);",
    ],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/rollup_rows.ts",
    before: "const ROWS = [64, 8, 1];",
    after: "const ROWS = [64, 9, 1];",
    reason: "It only decides how many statements there are; the rows are the same.",
  },
  {
    file: "lib/outputs/sqlite/rollup_rows.ts",
    before: "readonly #values = new Array<number | string>(ROWS[0] * WIDTH).fill(0);",
    after: "readonly #values = new Array<number | string>(ROWS[0] * WIDTH).fill(1);",
    reason: "Values are set before they are read.",
  },
  {
    file: "lib/outputs/sqlite/rollup_rows.ts",
    before:
      "statement.run(...from === 0 && width === values.length ? values : values.slice(from, from + width));",
    after: [
      "statement.run(...from !== 0 && width === values.length ? values : values.slice(from, from + width));",
      "statement.run(...from === 1 && width === values.length ? values : values.slice(from, from + width));",
    ],
    reason: "All values are the same as their slice.",
  },
  {
    file: "lib/outputs/sqlite/part_deletion.ts",
    before: "let parts = 0;",
    after: "let parts = 1;",
    reason: "It is set before it is read.",
  },
  {
    file: "lib/outputs/sqlite/part_deletion.ts",
    before: "let points = 0;",
    after: "let points = 1;",
    reason: "It is set before it is read.",
  },
  {
    file: "lib/outputs/sqlite/part_deletion.ts",
    before: "const end = part.points > DELETE_POINTS",
    after: "const end = part.points >= DELETE_POINTS",
    reason: "A part with just that many points has no row behind them.",
  },
  {
    file: "lib/outputs/sqlite/history/buckets.ts",
    before: "if (first < this.#firsts[place]) this.#firsts[place] = first;",
    after: "if (first <= this.#firsts[place]) this.#firsts[place] = first;",
    reason: "Where both are equal, the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/history/buckets.ts",
    before: "if (last > this.#lasts[place]) this.#lasts[place] = last;",
    after: "if (last >= this.#lasts[place]) this.#lasts[place] = last;",
    reason: "Where both are equal, the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/history/buckets.ts",
    before: "for (let i = 0; i < this.#axis.count; i++) {",
    after: "for (let i = 0; i <= this.#axis.count; i++) {",
    reason: "Behind the last sample there is none, and no gap to it is the least.",
  },
  {
    file: "lib/outputs/sqlite/history/buckets.ts",
    before: "if (gap < least) least = gap;",
    after: "if (gap <= least) least = gap;",
    reason: "Where both are equal, the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/history/answers.ts",
    before: "let [last, since] = [NaN, 0];",
    after: "let [last, since] = [NaN, 1];",
    reason: "It counts from the first value on, which sets it to 0.",
  },
  {
    file: "lib/outputs/sqlite/history/answers.ts",
    before: "return { name, watts, sum: watts.reduce((all, value) => all + (value || 0), 0) };",
    after: "return { name, watts, sum: watts.reduce((all, value) => all + (value || 0), 1) };",
    reason: "The sums only have to be in order.",
  },
  {
    file: "lib/outputs/postgresql/hosts.ts",
    before: "else if (time < times.first) times.first = time;",
    after: "else if (time <= times.first) times.first = time;",
    reason: "Where both are equal, the result is the same.",
  },
  {
    file: "lib/outputs/postgresql/hosts.ts",
    before: "else if (time > times.last) times.last = time;",
    after: "else if (time >= times.last) times.last = time;",
    reason: "Where both are equal, the result is the same.",
  },
  {
    file: "lib/outputs/postgresql/positions.ts",
    before: ".sort(([a], [b]) => a < b ? -1 : 1);",
    after: [
      ".sort(([a], [b]) => a <= b ? -1 : 1);",
      ".sort(([a], [b]) => a < b ? -2 : 1);",
      ".sort(([a], [b]) => a < b ? -1 : 2);",
    ],
    reason: "No two keys are the same, and only the sign counts.",
  },
  {
    file: "lib/outputs/postgresql/rollups/marks.ts",
    before: "for (let from = 0, to = 0; from < points.length; from = to) {",
    after: "for (let from = 0, to = 1; from < points.length; from = to) {",
    reason: "It is set before it is read.",
  },
  {
    file: "lib/outputs/postgresql/identity.ts",
    before:
      "const attributes = series.attributes.map(attributeParts).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);",
    after: [
      "const attributes = series.attributes.map(attributeParts).sort(([a], [b]) => a < b ? -2 : a > b ? 1 : 0);",
      "const attributes = series.attributes.map(attributeParts).sort(([a], [b]) => a < b ? -1 : a > b ? 2 : 0);",
    ],
    reason: "Only the sign counts.",
  },
  {
    file: "lib/outputs/postgresql/identity.ts",
    before:
      "const attributes = series.attributes.map(attributeParts).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);",
    after: [
      "const attributes = series.attributes.map(attributeParts).sort(([a], [b]) => a < b ? -1 : a >= b ? 1 : 0);",
      "const attributes = series.attributes.map(attributeParts).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 1);",
    ],
    reason: "The engine's sort asks only whether the answer is below 0.",
  },
  {
    file: "lib/outputs/postgresql/rollups/summing.ts",
    before: "if ((rowCount ?? 0) < STEP_ROWS) break;",
    after: "if ((rowCount ?? 1) < STEP_ROWS) break;",
    reason: "Both are less than a step.",
  },
  {
    file: "lib/outputs/files/parquet.ts",
    before: 'const SCHEMA: ConstructorParameters<typeof ParquetWriter>[0]["schema"] = [',
    after: 'const SCHEMA: ConstructorParameters<typeof ParquetWriter>[1]["schema"] = [',
    reason: "It is a type.",
  },
  {
    file: "lib/outputs/files/parquet.ts",
    before: "#place = 0;",
    after: "#place = 1;",
    reason: "It is set before it is read.",
  },
  {
    file: "lib/outputs/http/control.ts",
    before: "#witnessMs = 0;",
    after: "#witnessMs = 1;",
    reason: "It is set together with the witness.",
  },
];
