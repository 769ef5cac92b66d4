/** Whether batches come one by one, about as far apart as they would wait for each other. None has others to wait for then. */

/** After so many of them, the next one is expected to come alone as well. */
const BATCHES = 8;
/** They come one by one where they are at least this share of the wait apart. */
const SPACING = 0.8;

export class Rhythm {
  readonly #leastMs: number;
  #lastMs = -Infinity;
  /** Batches, up to the last one, that came long enough after the one before. */
  #count = 0;

  /** @param waitMs How long a batch would wait for others, in ms. */
  constructor(waitMs: number) {
    this.#leastMs = SPACING * waitMs;
  }

  /** A batch has come. */
  add(nowMs: number): void {
    this.#count = nowMs - this.#lastMs >= this.#leastMs ? this.#count + 1 : 0;
    this.#lastMs = nowMs;
  }

  get isSlow(): boolean {
    return this.#count >= BATCHES;
  }
}
