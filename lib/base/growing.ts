/**
 * Arrays that grow where they are. Copying some megabytes into a longer array takes tens of milliseconds, in which nothing
 * else runs. A memory of WebAssembly reserves addresses for the longest array at once and takes pages as they are written
 * to, so nothing is copied; for JavaScript it is an `ArrayBuffer` like any other, and as fast.
 */

/** An array with a buffer of its own: bytes begin with the buffer, others where {@linkcode grown} has put them. */
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
/** How far apart two arrays begin in their memories: some pages and some lines of a processor's cache. */
const SHIFT_BYTES = 4096 + 5 * 64;
/** Longer arrays grow by a smaller part: those who fill what is new write less at a time. */
const LONG = 262_144;

const memories = new WeakMap<ArrayBuffer, WebAssembly.Memory>();

/** The length to which an array of `length` elements should grow. */
export function nextLength(length: number): number {
  return length + Math.ceil(length / (length < LONG ? 2 : 8));
}

/** Where the next array of columns begins in its memory, in bytes. */
let nextStart = 0;

/**
 * Where an array begins in a memory of its own. All memories begin at multiples of 4 GiB, so that arrays that begin
 * with them would have all that belongs to one row at addresses that differ in their high bits alone. Processors find
 * what is in their cache by the low ones, and take the one for the other: writing to four columns takes 23 ns a row
 * instead of 3. Bytes are not columns, and are read by a view of their whole buffer.
 */
function startOf(array: GrowingArray): number {
  if (array instanceof Uint8Array) return 0;
  nextStart = (nextStart + SHIFT_BYTES) % PAGE_BYTES;
  return nextStart;
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
  const bytes = length * array.BYTES_PER_ELEMENT;
  // An array that has grown has neither any more.
  const { buffer, byteOffset } = array;
  const memory = memories.get(buffer);
  if (memory === undefined && bytes < LARGE_BYTES) return new Same(buffer.transfer(bytes), 0, length);
  if (memory !== undefined && growTo(memory, byteOffset + bytes)) {
    return new Same(bufferOf(memory), byteOffset, length);
  }
  const start = startOf(array);
  const larger = memory === undefined ? reserved(start + bytes, start + reservedBytes) : undefined;
  const copy = larger ? new Same(larger, start, length) : new Same(new ArrayBuffer(bytes), 0, length);
  copy.set(array);
  // What was copied is freed at once, not when the garbage collector comes by.
  if (memory === undefined) buffer.transfer(0);
  return copy;
}

/** Whether the memory has that many bytes now. */
function growTo(memory: WebAssembly.Memory, bytes: number): boolean {
  const pages = Math.ceil(bytes / PAGE_BYTES) - memory.buffer.byteLength / PAGE_BYTES;
  return orNone(() => memory.grow(Math.max(0, pages))) !== undefined;
}

function reserved(bytes: number, maxBytes: number): ArrayBuffer | undefined {
  const [initial, maximum] = [bytes, maxBytes].map((n) => Math.ceil(n / PAGE_BYTES));
  const memory = orNone(() => new WebAssembly.Memory({ initial, maximum }));
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
