import assert from "node:assert/strict";
import { SeriesIndex } from "../../lib/points/series_index.ts";

/** Numbers without order, the same in each run. */
function* scrambled(count: number): Generator<number> {
  for (let i = 1, at = 12345; i <= count; i++) yield at = (Math.imul(at, 1664525) + 1013904223) >>> 0;
}

function has(index: SeriesIndex, number: number, hash: number): boolean {
  const slots = index.slotsOf(hash);
  for (let slot = hash & (slots.length - 1); slots[slot] !== 0; slot = (slot + 1) & (slots.length - 1)) {
    if (slots[slot] === number) return true;
  }
  return false;
}

for (
  const [what, hashOf] of [
    ["any hashes", (hash: number) => hash],
    ["hashes that differ in few bits", (hash: number) => hash & 0x0f0000ff],
  ] as const
) {
  Deno.test(`an index finds what is in it, and nothing else, with ${what}`, () => {
    const count = what === "any hashes" ? 60_000 : 3_000;
    const hashes = Uint32Array.from([0, ...scrambled(count)], hashOf);
    const index = new SeriesIndex();
    for (let number = 1; number <= count; number++) index.add(number, hashes);
    for (let number = 1; number <= count; number++) assert(has(index, number, hashes[number]));
    for (let number = 1; number <= count; number += 3) index.remove(number, hashes);
    for (let number = 1; number <= count; number++) {
      assert.equal(has(index, number, hashes[number]), number % 3 !== 1, `${number}`);
    }
    for (let number = 1; number <= count; number += 3) index.add(number, hashes);
    for (let number = 1; number <= count; number++) assert(has(index, number, hashes[number]));
    index.clear();
    for (let number = 1; number <= count; number++) assert(!has(index, number, hashes[number]));
    index.add(7, hashes);
    assert(has(index, 7, hashes[7]));
  });
}

Deno.test("however large an index is, no addition places more than 20,000 numbers again", () => {
  const count = 70_000;
  let reads = 0;
  const hashes = new Proxy(Uint32Array.from([0, ...scrambled(count)]), {
    get(target, key) {
      reads++;
      return target[Number(key)];
    },
  });
  const index = new SeriesIndex();
  let most = 0;
  for (let number = 1; number <= count; number++) {
    reads = 0;
    index.add(number, hashes);
    most = Math.max(most, reads);
  }
  assert(most < 40_000, `${most}`);
});
