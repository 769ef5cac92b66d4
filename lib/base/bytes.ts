/** Bytes that are written one after another into an array that grows. */

/**
 * The first `length` bytes in a longer array: `factor` times as long or, where that is not enough, as long as `needed`.
 * Whoever has a view of the old array makes a new one.
 */
export function enlarged(
  bytes: Uint8Array,
  length: number,
  needed: number,
  factor = 2,
): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(needed, Math.floor(bytes.length * factor)));
  larger.set(bytes.subarray(0, length));
  return larger;
}
