/**
 * Lets outputs that read from memory set the pace of a network input, within limits: what they get from memory costs
 * them nothing, and what they have to read back from disk has to be decoded, and its series learnt, once more.
 */
import { delay } from "@std/async/delay";
import type { Core } from "./core.ts";

/** Producers are never made slower than this by it. */
const POINTS_PER_MS = 200;
/** The longest pause, in ms. */
const MAX_PAUSE_MS = 500;

/** Of the memory for batches, what an output may have before it: producers wait from there on, */
const WAIT_FROM = 0.75;
/** and go on here, where the output has enough to do until more has come to disk. */
const GO_ON = 0.5;

export class Pace {
  readonly #core: Core;
  #allowanceMs = 0;
  #waiting: Promise<void> | null = null;

  constructor(core: Core) {
    this.#core = core;
  }

  /** So many points have come: the pause for them may be so long. */
  appended(points: number): void {
    this.#allowanceMs = Math.min(MAX_PAUSE_MS, this.#allowanceMs + points / POINTS_PER_MS);
  }

  /** Whether an output is about to fall behind what is in memory, or has, and reads on. */
  get isAhead(): boolean {
    return this.#isAhead(WAIT_FROM);
  }

  /** Waits until the outputs have read on: one wait for all producers. */
  wait(): Promise<void> {
    return this.#waiting ??= this.#wait().finally(() => this.#waiting = null);
  }

  async #wait(): Promise<void> {
    const began = performance.now();
    do {
      await delay(1);
    } while (performance.now() - began < this.#allowanceMs && this.#isAhead(GO_ON));
    this.#allowanceMs = Math.max(0, this.#allowanceMs - (performance.now() - began));
  }

  /** @param share Of the memory for batches. */
  #isAhead(share: number): boolean {
    const { tail, readers, settings: { memoryBytes } } = this.#core;
    const { first } = tail;
    if (!first || tail.bytes < share * memoryBytes) return false;
    const perBatch = tail.bytes / (tail.next - first.number);
    for (const reader of readers.values()) {
      if ((tail.next - reader.nextNumber) * perBatch >= share * memoryBytes && reader.isActive) return true;
    }
    return false;
  }
}
