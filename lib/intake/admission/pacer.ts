import { delay } from "@std/async/delay";

/** Limits how much of something one connection may bring per second: bytes, or new series. A second's worth may come at once. */
export class Pacer {
  readonly #rate: number;
  /** What may come at once; negative after too much has come. */
  #credit: number;
  #at = performance.now();

  constructor(perSecond: number) {
    this.#rate = this.#credit = perSecond;
  }

  /** Counts what has come. @returns what to wait for before the next read, if anything; an abort ends the wait */
  after(count: number, signal?: AbortSignal): Promise<void> | undefined {
    const now = performance.now();
    this.#credit = Math.min(this.#rate, this.#credit + (now - this.#at) / 1000 * this.#rate) - count;
    this.#at = now;
    if (this.#credit >= 0) return undefined;
    const ms = -this.#credit / this.#rate * 1000;
    return delay(ms, signal ? { signal } : {}).catch(() => {});
  }
}
