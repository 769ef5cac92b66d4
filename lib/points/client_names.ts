/** Names of clients, by numbers; a number is free again when nobody holds it. */

/** The number for points of this process, which have no client. */
export const NO_CLIENT = 0;

export class ClientNames {
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [""];
  /** How often a number is held. */
  readonly #holds: number[] = [1];
  readonly #free: number[] = [];

  /** Names that are held. */
  get size(): number {
    return this.#numbers.size;
  }

  /** The number of a name, which is held until it is {@linkcode release}d as often. */
  hold(name: string): number {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.#free.pop() ?? this.#names.length;
      this.#numbers.set(name, number);
      this.#names[number] = name;
      this.#holds[number] = 0;
    }
    this.#holds[number]++;
    return number;
  }

  /** Holds a number once more. */
  holdAgain(number: number): void {
    this.#holds[number]++;
  }

  release(number: number): void {
    if (number === NO_CLIENT || --this.#holds[number] > 0) return;
    this.#numbers.delete(this.#names[number]);
    this.#names[number] = "";
    this.#free.push(number);
  }

  nameOf(number: number): string {
    return this.#names[number];
  }
}
