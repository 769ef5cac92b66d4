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

/**
 * The CRC-32C of the seconds (f64), the nanoseconds (u32) and the values (f64) of rows `start … end-1`, each column as
 * little-endian bytes. The times alone differ between any two machines.
 */
export function checkOf({ seconds, nanos, values, length }: Columns, start = 0, end = length): number {
  let check = EMPTY_CHECK;
  for (const column of [seconds, nanos, values]) {
    const { buffer, byteOffset, BYTES_PER_ELEMENT: size } = column;
    check = crc32c(
      new Uint8Array(buffer, byteOffset + start * size, (end - start) * size),
      0,
      undefined,
      check,
    );
  }
  return check;
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
