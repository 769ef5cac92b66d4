/**
 * Lets outputs that read from memory set the pace of a network input, within limits. Batches from memory cost them
 * nothing; batches from disk must be decoded, and their series learnt again.
 */
import { delay } from "@std/async/delay";
import type { Core } from "./core.ts";

/** The slowest pace of producers. */
const POINTS_PER_MS = 200;
/** The longest pause, in ms. */
const MAX_PAUSE_MS = 500;

/** Share of the memory for batches that may wait for an output: producers wait above this, */
const WAIT_FROM = 0.75;
/** and continue below this, when the output has enough to do until more is on disk. */
const GO_ON = 0.5;

export class Pace {
  readonly #core: Core;
  #allowanceMs = 0;
  #waiting: Promise<void> | null = null;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Adds to the allowed pause for the points that came. */
  appended(points: number): void {
    this.#allowanceMs = Math.min(MAX_PAUSE_MS, this.#allowanceMs + points / POINTS_PER_MS);
  }

  /** Whether an active output has fallen behind the memory, or is about to. */
  get isAhead(): boolean {
    return this.#isAhead(WAIT_FROM);
  }

  /** Waits until the outputs have read on. All producers share one wait. */
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
