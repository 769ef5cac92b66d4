/** What parts of one process share without knowing each other, such as one view of the machine's control groups. */

export class Shared {
  readonly #things = new Map<() => unknown, unknown>();

  /** What `make` makes: it is called by the first that asks. */
  of<T>(make: () => T): T {
    if (!this.#things.has(make)) this.#things.set(make, make());
    return this.#things.get(make) as T;
  }
}
