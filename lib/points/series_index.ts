/** Numbers of series by their hashes: open addressing with linear probing, at most half full, without tombstones. */

const MIN_SLOTS = 1024;

export class SeriesIndex {
  /** Numbers, 0 for none; look at `hash & mask` and the slots behind it, up to an empty one. */
  slots = new Uint32Array(MIN_SLOTS);
  mask = MIN_SLOTS - 1;
  #size = 0;

  /** @param hashes Of each number that is in the index. */
  add(number: number, hashes: Uint32Array): void {
    if (++this.#size * 2 > this.slots.length) this.#grow(hashes);
    this.#place(number, hashes[number]);
  }

  #place(number: number, hash: number): void {
    const { slots, mask } = this;
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = number;
  }

  remove(number: number, hashes: Uint32Array): void {
    const { slots, mask } = this;
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
    this.mask = this.slots.length - 1;
    for (let i = 0; i < slots.length; i++) if (slots[i] !== 0) this.#place(slots[i], hashes[slots[i]]);
  }
}
