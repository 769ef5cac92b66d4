/** Which epochs of a store are held, by batches with series that were seen in them or later. */

export class Holds {
  /** The oldest epoch that is held; `Infinity` if none is. */
  oldest = Infinity;
  /** How often each epoch is held. */
  readonly #counts = new Map<number, number>();

  add(epoch: number): void {
    this.#counts.set(epoch, (this.#counts.get(epoch) ?? 0) + 1);
    if (epoch < this.oldest) this.oldest = epoch;
  }

  /** Ends one hold of an epoch, which must be held. */
  release(epoch: number): void {
    const left = this.#counts.get(epoch)! - 1;
    if (left > 0) return void this.#counts.set(epoch, left);
    this.#counts.delete(epoch);
    if (epoch > this.oldest) return;
    this.oldest = Infinity;
    for (const held of this.#counts.keys()) if (held < this.oldest) this.oldest = held;
  }
}
