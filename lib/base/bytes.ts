/** Arrays of bytes that grow. */

/**
 * Copies the first `length` bytes into a longer array: `factor` times as long, or `needed` bytes if that is more. Views of
 * the old array stay with the old array.
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
