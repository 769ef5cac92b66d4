/** Lets one connection have so many bytes a second, and a second's worth at once. */
export class Pacer {
  readonly #rate: number;
  /** Bytes that may come at once; negative while too many have come. */
  #credit: number;
  #at = performance.now();

  constructor(bytesPerSecond: number) {
    this.#rate = this.#credit = bytesPerSecond;
  }

  /** So many bytes have come. @returns what to wait for before more are read, if anything. */
  after(bytes: number): Promise<void> | undefined {
    const now = performance.now();
    this.#credit = Math.min(this.#rate, this.#credit + (now - this.#at) / 1000 * this.#rate) - bytes;
    this.#at = now;
    if (this.#credit >= 0) return undefined;
    const ms = -this.#credit / this.#rate * 1000;
    return new Promise((resolve) => setTimeout(resolve, ms));
  }
}
