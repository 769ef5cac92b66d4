/** Mutants of what is expected to come next: whether it does decides only how fast a text or a series is found. */
import type { EquivalentMutant } from "./entry.ts";

const reason = "What is expected wrongly is found by its hash: the result is the same, but slower.";

export const EXPECTED: readonly EquivalentMutant[] = [
  {
    file: "lib/batches/text_table.ts",
    before: "const expected = this.#following[last + 1] - 1;",
    after: [
      "const expected = this.#following[last - 1] - 1;",
      "const expected = this.#following[last + 2] - 1;",
      "const expected = this.#following[last + 1] + 1;",
      "const expected = this.#following[last + 1] - 2;",
    ],
    reason,
  },
  {
    file: "lib/batches/text_table.ts",
    before: "expected < this.size && this.starts[expected + 1] - this.starts[expected] === length &&",
    after: "expected < this.size && this.starts[expected + 1] + this.starts[expected] === length &&",
    reason,
  },
  {
    file: "lib/batches/text_table.ts",
    before: "this.#following[last + 1] = number + 1;",
    after: [
      "this.#following[last - 1] = number + 1;",
      "this.#following[last + 2] = number + 1;",
      "this.#following[last + 1] = number - 1;",
      "this.#following[last + 1] = number + 2;",
    ],
    reason,
  },
  {
    file: "lib/batches/text_table.ts",
    before: "#following = new Uint32Array(INITIAL_TEXTS + 1);",
    after: [
      "#following = new Uint32Array(INITIAL_TEXTS - 1);",
      "#following = new Uint32Array(INITIAL_TEXTS + 2);",
    ],
    reason,
  },
  {
    file: "lib/batches/text_table.ts",
    before: "this.#following = grown(this.#following, nextLength(number + 1));",
    after: [
      "this.#following = grown(this.#following, nextLength(number - 1));",
      "this.#following = grown(this.#following, nextLength(number + 2));",
    ],
    reason,
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "const PLACES = 32;",
    after: "const PLACES = 33;",
    reason,
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "const CLIENT_PLACE = PLACES + 1;",
    after: ["const CLIENT_PLACE = PLACES - 1;", "const CLIENT_PLACE = PLACES + 2;"],
    reason,
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "const METRIC_PLACE = PLACES + 2;",
    after: ["const METRIC_PLACE = PLACES - 2;", "const METRIC_PLACE = PLACES + 3;"],
    reason,
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "readonly #last = new Int32Array(METRIC_PLACE + 1).fill(-1);",
    after: [
      "readonly #last = new Int32Array(METRIC_PLACE - 1).fill(-1);",
      "readonly #last = new Int32Array(METRIC_PLACE + 2).fill(-1);",
      "readonly #last = new Int32Array(METRIC_PLACE + 1).fill(-2);",
    ],
    reason,
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "const place = TAIL_TEXTS + 2 * n;",
    after: [
      "const place = TAIL_TEXTS - 2 * n;",
      "const place = TAIL_TEXTS + 3 * n;",
      "const place = TAIL_TEXTS + 2 / n;",
    ],
    reason,
  },
  {
    file: "lib/batches/definition_writer.ts",
    before: "this.#putNext(writer, bytes, view, reader, place + 1);",
    after: [
      "this.#putNext(writer, bytes, view, reader, place - 1);",
      "this.#putNext(writer, bytes, view, reader, place + 2);",
    ],
    reason,
  },
  {
    file: "lib/points/series_store.ts",
    before: "if (!this.matches(number, metric, client, view, 0, length)) {",
    after: "if (!this.matches(number, metric, client, view, 1, length)) {",
    reason,
  },
];
