/**
 * Bounds how many files are open, however many there are: who needs one more closes the one that was not used for
 * longest, which is opened again when rows come for it.
 */

/** A file that can do without its handle while nothing is being done with it. */
export interface Parkable {
  readonly isBusy: boolean;
  /** Closes the handle. */
  park(): void;
}

export class HandlePool {
  /** Files that are open; the one that was used last comes last. */
  readonly #open = new Set<Parkable>();
  #waiting: (() => void)[] = [];

  /** @param max Files that may be open. */
  constructor(readonly max: number) {}

  get size(): number {
    return this.#open.size;
  }

  /** Makes room for a file that is to be opened, or is open. Resolves when there is. */
  async enter(file: Parkable): Promise<void> {
    while (!this.#open.delete(file) && this.#open.size >= this.max) {
      const idle = this.#open.values().find(({ isBusy }) => !isBusy);
      if (idle) {
        this.#open.delete(idle);
        idle.park();
      } else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#open.add(file);
  }

  /** A file is not busy any more. */
  notifyIdle(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** A file is closed. */
  leave(file: Parkable): void {
    if (this.#open.delete(file)) this.notifyIdle();
  }
}
