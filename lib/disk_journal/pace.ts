/**
 * Lets outputs that read from memory set the pace of a network input, within limits: what they get from memory costs
 * them nothing, and what they have to read back from disk has to be decoded, and its series learnt, once more.
 */
import type { Core } from "./core.ts";

/** Producers are never made slower than this by it. */
const POINTS_PER_MS = 200;
/** The longest pause, in ms. */
const MAX_PAUSE_MS = 500;
/** An output that has read nothing for so long is not waited for, in ms. */
const ACTIVE_MS = 200;

export class Pace {
  readonly #core: Core;
  #allowanceMs = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  /** So many points have come: the pause for them may be so long. */
  appended(points: number): void {
    this.#allowanceMs = Math.min(MAX_PAUSE_MS, this.#allowanceMs + points / POINTS_PER_MS);
  }

  /** Whether an output is about to fall behind what is in memory, or has, and reads on. */
  get isAhead(): boolean {
    return this.#isAhead(0.5);
  }

  /** Waits until the outputs have read on. */
  async wait(): Promise<void> {
    const began = performance.now();
    do {
      await new Promise((resolve) => setTimeout(resolve, 1));
    } while (performance.now() - began < this.#allowanceMs && this.#isAhead(0.25));
    this.#allowanceMs = Math.max(0, this.#allowanceMs - (performance.now() - began));
  }

  /** @param share Of the memory for batches. */
  #isAhead(share: number): boolean {
    const { tail, readers, settings: { memoryBytes } } = this.#core;
    const { first } = tail;
    if (!first || tail.bytes < share * memoryBytes) return false;
    const perBatch = tail.bytes / (tail.next - first.number);
    for (const { nextNumber, movedMs } of readers.values()) {
      if ((tail.next - nextNumber) * perBatch < share * memoryBytes) continue;
      if (performance.now() - movedMs < ACTIVE_MS) return true;
    }
    return false;
  }
}
