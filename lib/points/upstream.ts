/**
 * The hops whose points come to this process, directly or over other hops. A hop tells its server about them, so that
 * points that would come back to where they were are refused at the connection that closes the loop.
 */

/** Longer ways are not told: the list of a hop is part of its introduction. */
const MAX_HOPS = 256;

export class Upstream {
  /** Whether this process receives points: where it also sends, it is a hop. */
  receives = false;
  readonly #ids = new Set<string>();
  readonly #listeners = new Set<() => void>();

  /** Instance ids of the hops. */
  get ids(): string[] {
    return [...this.#ids];
  }

  /** A hop sends to this process what these hops, itself among them, have sent to it. */
  add(ids: Iterable<string>): void {
    const before = this.#ids.size;
    for (const id of ids) if (this.#ids.size < MAX_HOPS) this.#ids.add(id);
    if (this.#ids.size > before) { for (const listener of this.#listeners) listener(); }
  }

  /** Calls back when there are more hops. */
  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
