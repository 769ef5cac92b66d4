/** Mutants of the server's end of acknowledged delivery, and of where its points go, that nobody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const RECEIVED: readonly EquivalentMutant[] = [
  {
    file: "lib/agent/journals.ts",
    before: "if (this.all.length > 1) this.#adoptNumbers();",
    after: "if (this.all.length >= 1) this.#adoptNumbers();",
    reason: "A journal that adopts what it has itself stays as it is.",
  },
  {
    file: "lib/points/origins.ts",
    before: "if (output === this.#lastOutput) return this.#lastAccount!;",
    after: "if (!!0 && output === this.#lastOutput) return this.#lastAccount!;",
    reason: "The map has the same account.",
  },
  {
    file: "lib/server/acknowledged.ts",
    before: "const LONG_NAME = 2;",
    after: "const LONG_NAME = 3;",
    reason: "Any number below the first series does that is not the other one.",
  },
  {
    file: "lib/server/acknowledged.ts",
    before: "#hasRefused = false;",
    after: "#hasRefused = true;",
    reason: "All points are then looked at, and kept as none is refused.",
  },
  {
    file: "lib/server/acknowledged.ts",
    before: "let before = 0;",
    after: "let before = 1;",
    reason: "It is set before it is read, also for a batch without points.",
  },
];
