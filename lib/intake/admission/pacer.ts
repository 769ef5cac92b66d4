import { delay } from "@std/async/delay";

/** Limits the bytes per second of one connection; it may receive the bytes of one second at once. */
export class Pacer {
  readonly #rate: number;
  /** Bytes that may come at once; negative after too many have come. */
  #credit: number;
  #at = performance.now();

  constructor(bytesPerSecond: number) {
    this.#rate = this.#credit = bytesPerSecond;
  }

  /** Counts received bytes. @returns what to wait for before the next read, if anything */
  after(bytes: number): Promise<void> | undefined {
    const now = performance.now();
    this.#credit = Math.min(this.#rate, this.#credit + (now - this.#at) / 1000 * this.#rate) - bytes;
    this.#at = now;
    if (this.#credit >= 0) return undefined;
    const ms = -this.#credit / this.#rate * 1000;
    return delay(ms);
  }
}
