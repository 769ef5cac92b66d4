import assert from "node:assert/strict";
import { enlarged } from "../../lib/base/bytes.ts";
import { grown, nextLength } from "../../lib/base/growing.ts";

const KIB = 1024;

/** A buffer of JavaScript can be taken from its arrays, one that grows in place cannot. */
function growsInPlace({ buffer }: { buffer: ArrayBuffer }): boolean {
  try {
    buffer.transfer();
    return false;
  } catch (error) {
    assert(error instanceof TypeError);
    return true;
  }
}

for (const type of [Uint8Array, Int32Array, Uint32Array, Float32Array, Float64Array] as const) {
  Deno.test(`a ${type.name} keeps its elements as it grows, and the new ones are 0`, () => {
    let array: InstanceType<typeof type> = new type(3);
    for (const length of [1000, 70_000, 70_001, 300 * KIB]) {
      const before = array.length;
      array.forEach((_, i) => array[i] = i % 100);
      array = grown(array as Uint8Array<ArrayBuffer>, length);
      assert.equal(array.length, length);
      assert(array.every((n, i) => n === (i < before ? i % 100 : 0)));
    }
    assert(growsInPlace(array));
  });
}

Deno.test("arrays that have grown begin at different places of their memories, and stay there", () => {
  const columns = [Float64Array, Uint32Array, Float64Array, Uint32Array, Int32Array, Float32Array].map((
    type,
  ) => grown(new type(8) as Float64Array<ArrayBuffer>, 100_000));
  const places = columns.map(({ byteOffset }) => byteOffset);
  // What belongs to one row is neither in one line of a processor's cache, nor in lines that it takes for each other.
  for (const  of of[64, 4096]) {
    const lines = places.map((place) => Math.floor(place % of / 64) + Math.floor(place / of));
    assert.equal(new Set(lines).size, places.length, `${places}`);
  }
  assert.equal(
    new Set(places.map((place) => Math.floor(place % 4096 / 64))).size,
    places.length,
    `${places}`,
  );
  const further = columns.map((column) => grown(column, 200_000));
  assert.deepEqual(further.map(({ byteOffset }) => byteOffset), places);
});

Deno.test("bytes begin with their buffer, for those who read them by a view", () => {
  for (let n = 0; n < 3; n++) assert.equal(grown(new Uint8Array(8), 300 * KIB).byteOffset, 0);
});

Deno.test("a short array is copied, a large one grows where it is", () => {
  assert(!growsInPlace(grown(new Uint8Array(10), 256 * KIB - 1)));
  assert(growsInPlace(grown(new Uint8Array(10), 256 * KIB)));
  const short = grown(new Uint32Array(10), 1000);
  assert.equal(short.buffer.byteLength, 4000);
  const large = grown(short.fill(5), 100_000);
  assert.equal(short.length, 0);
  const further = grown(large, 101_000);
  assert.equal(further.length, 101_000);
  assert.equal(further[999], 5);
  const larger = grown(further, 1_000_000);
  assert.equal(further.length, 0);
  assert.equal(larger[999], 5);
  assert(growsInPlace(larger));
});

Deno.test("an array that outgrows its addresses is copied", () => {
  const within = grown(new Uint8Array(10).fill(3), 512 * KIB, 512 * KIB);
  assert(growsInPlace(within));
  const beyond = grown(within, 600 * KIB, 512 * KIB);
  assert.equal(beyond.length, 600 * KIB);
  assert.deepEqual([...beyond.subarray(8, 12)], [3, 3, 0, 0]);
  const further = grown(beyond, 700 * KIB, 512 * KIB);
  assert.equal(beyond.length, 0);
  assert.deepEqual([...further.subarray(8, 12)], [3, 3, 0, 0]);
  assert(!growsInPlace(further));
});

Deno.test("where no addresses are available, an array is copied", () => {
  const { Memory } = WebAssembly;
  WebAssembly.Memory = class {
    constructor() {
      throw new RangeError("could not allocate memory");
    }
  } as unknown as typeof Memory;
  try {
    const array = grown(new Float64Array(10).fill(0.5), 100_000);
    assert.deepEqual([...array.subarray(9, 11)], [0.5, 0]);
    assert(!growsInPlace(array));
  } finally {
    WebAssembly.Memory = Memory;
  }
});

Deno.test("a short array grows by half, a long one by an eighth", () => {
  assert.equal(nextLength(1), 2);
  assert.equal(nextLength(1000), 1500);
  assert.equal(nextLength(1_000_000), 1_125_000);
  assert.deepEqual([nextLength(262_143), nextLength(262_144)], [393_215, 294_912]);
});

Deno.test("a memory has the pages that its array needs, and no more until it grows", () => {
  const pages = (array: Uint8Array) => array.buffer.byteLength / (64 * KIB);
  let array = grown(new Uint8Array(10), 300 * KIB, 512 * KIB);
  assert.equal(pages(array), 5);
  for (const [length, count] of [[301 * KIB, 5], [320 * KIB, 5], [400 * KIB, 7], [512 * KIB, 8]]) {
    array = grown(array, length, 512 * KIB);
    assert.deepEqual([array.length, pages(array)], [length, count]);
  }
  assert(growsInPlace(array));
  assert.equal(pages(grown(new Uint8Array(10), 2000 * 64 * KIB)), 2000);
});

Deno.test("bytes are copied into an array that is twice as long, or another time, or as long as is needed", () => {
  const bytes = Uint8Array.of(1, 2, 3);
  assert.deepEqual(enlarged(bytes, 3, 4), Uint8Array.of(1, 2, 3, 0, 0, 0));
  assert.deepEqual(enlarged(bytes, 2, 0), Uint8Array.of(1, 2, 0, 0, 0, 0));
  assert.deepEqual(enlarged(bytes, 2, 4, 1.5), Uint8Array.of(1, 2, 0, 0));
  assert.deepEqual(enlarged(bytes, 1, 7), Uint8Array.of(1, 0, 0, 0, 0, 0, 0));
  assert.deepEqual(bytes, Uint8Array.of(1, 2, 3));
});
