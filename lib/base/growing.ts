/**
 * Arrays that grow where they are. Copying some megabytes into a longer array takes tens of milliseconds, in which nothing
 * else runs. A memory of WebAssembly reserves addresses for the longest array at once and takes pages as they are written
 * to, so nothing is copied; for JavaScript it is an `ArrayBuffer` like any other, and as fast.
 */

/** An array with a buffer of its own, which begins at its first byte. */
type GrowingArray =
  | Uint8Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>;

/** Shorter arrays are copied, in bytes: there are many of them, and each memory takes whole pages. */
const LARGE_BYTES = 256 * 1024;
/** Addresses for an array, in bytes. A longer one is copied once, and copied each time from then on. */
const RESERVED_BYTES = 2 ** 28;
const PAGE_BYTES = 64 * 1024;
/** Longer arrays grow by a smaller part: those who fill what is new write less at a time. */
const LONG = 262_144;

const memories = new WeakMap<ArrayBuffer, WebAssembly.Memory>();

/** The length to which an array of `length` elements should grow. */
export function nextLength(length: number): number {
  return length + Math.ceil(length / (length < LONG ? 2 : 8));
}

/**
 * The array with room for `length` elements, of which the new ones are 0. The array before, and all views of its buffer,
 * must not be used from then on.
 *
 * @param reservedBytes Up to here nothing is copied once the array is large. At most 4 GiB.
 * @throws {RangeError} where memory is not available.
 */
export function grown<T extends GrowingArray>(array: T, length: number, reservedBytes = RESERVED_BYTES): T {
  const Same = array.constructor as new (buffer: ArrayBuffer, byteOffset: number, length: number) => T;
  return new Same(grownBuffer(array.buffer, length * array.BYTES_PER_ELEMENT, reservedBytes), 0, length);
}

function grownBuffer(buffer: ArrayBuffer, bytes: number, reservedBytes: number): ArrayBuffer {
  const memory = memories.get(buffer);
  if (memory === undefined && bytes < LARGE_BYTES) return buffer.transfer(bytes);
  const pages = Math.ceil(bytes / PAGE_BYTES);
  if (
    memory !== undefined && orNone(() => memory.grow(pages - buffer.byteLength / PAGE_BYTES)) !== undefined
  ) {
    return bufferOf(memory);
  }
  const larger = memory === undefined ? reserved(pages, reservedBytes / PAGE_BYTES) : undefined;
  const copy = larger ?? new ArrayBuffer(bytes);
  new Uint8Array(copy).set(new Uint8Array(buffer));
  // What was copied is freed at once, not when the garbage collector comes by.
  if (memory === undefined) buffer.transfer(0);
  return copy;
}

function reserved(pages: number, maxPages: number): ArrayBuffer | undefined {
  if (pages > maxPages) return undefined;
  const memory = orNone(() => new WebAssembly.Memory({ initial: pages, maximum: maxPages }));
  return memory && bufferOf(memory);
}

function bufferOf(memory: WebAssembly.Memory): ArrayBuffer {
  const buffer = memory.buffer as ArrayBuffer;
  memories.set(buffer, memory);
  return buffer;
}

/** `undefined` where there is no room. */
function orNone<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
