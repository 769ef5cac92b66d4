/**
 * Numbers by hashes: open addressing with linear probing, at most half full, without tombstones. A large index is made of
 * parts that grow one by one, because to place millions of numbers again takes 100 ms.
 */

/** Slots of an index that has one part. */
const MIN_SLOTS = 1024;
/** An index with this many slots is not enlarged, but split into parts. */
const SPLIT_SLOTS = 32_768;
const PARTS = 256;
/** The highest bits of a hash are the number of its part. */
const PART_SHIFT = 24;

export class SeriesIndex {
  /** The slots of each part, a power of two of them, and how many numbers are in them. */
  #slots = [new Uint32Array(MIN_SLOTS)];
  #sizes = new Uint32Array(1);
  /** 0 where there is one part. */
  #partMask = 0;

  /**
   * The numbers, 0 for none, among which those with this hash are: look at the slot `hash & (slots.length - 1)` and those
   * behind it, in a circle, up to an empty one.
   */
  slotsOf(hash: number): Uint32Array {
    return this.#slots[this.#partOf(hash)];
  }

  #partOf(hash: number): number {
    return (hash >>> PART_SHIFT) & this.#partMask;
  }

  /** @param hashes Of each number that is in the index, as unsigned numbers of 32 bits. */
  add(number: number, hashes: Uint32Array): void {
    const hash = hashes[number];
    const part = this.#partOf(hash);
    let slots = this.#slots[part];
    if (++this.#sizes[part] * 2 > slots.length) {
      if (this.#partMask === 0 && slots.length >= SPLIT_SLOTS) {
        this.#split(hashes);
        return this.add(number, hashes);
      }
      slots = this.#slots[part] = enlarged(slots, hashes);
    }
    place(slots, number, hash);
  }

  remove(number: number, hashes: Uint32Array): void {
    const part = this.#partOf(hashes[number]);
    const slots = this.#slots[part];
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
    this.#sizes[part]--;
  }

  clear(): void {
    this.#slots = [new Uint32Array(MIN_SLOTS)];
    this.#sizes = new Uint32Array(1);
    this.#partMask = 0;
  }

  #split(hashes: Uint32Array): void {
    const [slots] = this.#slots;
    this.#slots = Array.from({ length: PARTS }, () => new Uint32Array(4 * slots.length / PARTS));
    this.#sizes = new Uint32Array(PARTS);
    this.#partMask = PARTS - 1;
    for (const number of slots.filter((number) => number !== 0)) this.add(number, hashes);
  }
}

function place(slots: Uint32Array, number: number, hash: number): void {
  const mask = slots.length - 1;
  let slot = hash & mask;
  while (slots[slot] !== 0) slot = (slot + 1) & mask;
  slots[slot] = number;
}

/** Twice the slots, with the same numbers. */
function enlarged(slots: Uint32Array, hashes: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(slots.length * 2);
  for (let i = 0; i < slots.length; i++) if (slots[i] !== 0) place(larger, slots[i], hashes[slots[i]]);
  return larger;
}
