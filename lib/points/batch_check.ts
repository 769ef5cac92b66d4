/**
 * Check values of batches. Two clients that number their batches under one instance id (a cloned machine, a copied state
 * directory) use one number for two batches; check values tell these apart from one batch that is sent twice.
 */
import { crc32c } from "../base/crc32c.ts";

/** The columns of a batch that its check is made of. */
interface Columns {
  readonly length: number;
  readonly seconds: Float64Array<ArrayBuffer>;
  readonly nanos: Uint32Array<ArrayBuffer>;
  readonly values: Float64Array<ArrayBuffer>;
}

/** A batch, as far as it can be recognised: its number, and {@linkcode checkOf} it. */
export interface BatchCheck {
  readonly sequence: number;
  readonly check: number;
}

/** The check value of a batch without points; also of one that could not be sent. */
export const EMPTY_CHECK = 0;

/** Bytes of the one NaN that counts: its bits may change on the way. */
const NAN_BITS = new Uint32Array([0, 0x7ff8_0000]);

/**
 * The CRC-32C of the seconds (f64), the nanoseconds (u32) and the values (f64) of rows `start … end-1`, each column as
 * little-endian bytes; -0 counts as 0, and every NaN as 0x7ff8000000000000. The times alone differ between any two
 * machines.
 */
export function checkOf({ seconds, nanos, values, length }: Columns, start = 0, end = length): number {
  let check = EMPTY_CHECK;
  const columns = [seconds.subarray(start, end), nanos.subarray(start, end), plain(values, start, end)];
  for (const { buffer, byteOffset, byteLength } of columns) {
    check = crc32c(new Uint8Array(buffer, byteOffset, byteLength), 0, byteLength, check);
  }
  return check;
}

/** Copies of values are made here, one batch after the other. */
let copies = new Float64Array(1024);
/** A longer array is not kept, in values. */
const MAX_KEPT = 8192;

/** A copy of some values, without the differences that mean nothing; it is valid until the next one. */
function plain(values: Float64Array, start: number, end: number): Float64Array<ArrayBuffer> {
  const count = end - start;
  const copy = count <= copies.length ? copies : new Float64Array(count);
  if (count <= MAX_KEPT) copies = copy;
  let words: Uint32Array | undefined;
  for (let row = start, at = 0; row < end; row++, at++) {
    const value = values[row];
    if (value === value) copy[at] = value + 0;
    else (words ??= new Uint32Array(copy.buffer)).set(NAN_BITS, 2 * at);
  }
  return copy.subarray(0, count);
}

/** How many checks are kept of batches that a client may send again on another connection. */
const KEPT = 256;

/** The checks of the last batches of one instance, in the order of their numbers. */
export class RecentChecks {
  readonly #checks: BatchCheck[] = [];

  add(sequence: number, check: number): void {
    this.#checks.push({ sequence, check });
    // Removing in bulk costs nothing per batch.
    if (this.#checks.length > 2 * KEPT) this.#checks.splice(0, KEPT);
  }

  /** The check of the batch with this number; `undefined` if there was none, or it is too long ago. */
  of(sequence: number): number | undefined {
    const found = this.upTo(sequence);
    return found?.sequence === sequence ? found.check : undefined;
  }

  /** The last batch up to this number. */
  upTo(sequence: number): BatchCheck | undefined {
    return this.#checks.findLast((batch) => batch.sequence <= sequence);
  }
}
