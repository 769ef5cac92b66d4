/**
 * Numbers by hashes: open addressing with linear probing, at most half full, without tombstones. A large index is made of
 * parts that grow one by one, because to place millions of numbers again takes 100 ms.
 */

/** Slots of an index that has one part. */
const MIN_SLOTS = 1024;
/** With more numbers, the index has parts. */
const SPLIT_SIZE = 16_384;
const PARTS = 256;
/** The highest bits of a hash are the number of its part. */
const PART_SHIFT = 24;

export class SeriesIndex {
  #parts: Part[] = [new Part(MIN_SLOTS)];
  /** 0 where there is one part. */
  #partMask = 0;
  #size = 0;

  /**
   * The numbers, 0 for none, among which those with this hash are: look at the slot `hash & (slots.length - 1)` and those
   * behind it, in a circle, up to an empty one.
   */
  slotsOf(hash: number): Uint32Array {
    return this.#partOf(hash).slots;
  }

  /** @param hashes Of each number that is in the index, as unsigned numbers of 32 bits. */
  add(number: number, hashes: Uint32Array): void {
    if (++this.#size > SPLIT_SIZE && this.#partMask === 0) this.#split(hashes);
    this.#partOf(hashes[number]).add(number, hashes);
  }

  remove(number: number, hashes: Uint32Array): void {
    this.#size--;
    this.#partOf(hashes[number]).remove(number, hashes);
  }

  clear(): void {
    this.#parts = [new Part(MIN_SLOTS)];
    this.#partMask = 0;
    this.#size = 0;
  }

  #partOf(hash: number): Part {
    return this.#parts[(hash >>> PART_SHIFT) & this.#partMask];
  }

  #split(hashes: Uint32Array): void {
    const [{ slots }] = this.#parts;
    this.#parts = Array.from({ length: PARTS }, () => new Part(4 * SPLIT_SIZE / PARTS));
    this.#partMask = PARTS - 1;
    for (const number of slots.filter((number) => number !== 0)) {
      this.#partOf(hashes[number]).add(number, hashes);
    }
  }
}

class Part {
  slots: Uint32Array;
  #size = 0;

  /** @param length A power of two. */
  constructor(length: number) {
    this.slots = new Uint32Array(length);
  }

  add(number: number, hashes: Uint32Array): void {
    if (++this.#size * 2 > this.slots.length) this.#grow(hashes);
    this.#place(number, hashes[number]);
  }

  #place(number: number, hash: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = number;
  }

  remove(number: number, hashes: Uint32Array): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let slot = hashes[number] & mask;
    while (slots[slot] !== number) slot = (slot + 1) & mask;
    // Those behind it move up, where their own place is not behind the gap.
    for (let next = (slot + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      const home = hashes[slots[next]] & mask;
      if (((next - home) & mask) >= ((next - slot) & mask)) {
        slots[slot] = slots[next];
        slot = next;
      }
    }
    slots[slot] = 0;
    this.#size--;
  }

  #grow(hashes: Uint32Array): void {
    const { slots } = this;
    this.slots = new Uint32Array(slots.length * 2);
    for (let i = 0; i < slots.length; i++) if (slots[i] !== 0) this.#place(slots[i], hashes[slots[i]]);
  }
}
