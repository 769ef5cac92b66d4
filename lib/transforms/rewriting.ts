/** Makes a batch of another one, client by client: who sent the points that a row was made of gets the credit for it. */
import { type Batch, BatchPool } from "../points/measurement.ts";

const BATCH_POINTS = 4096;
const POOLED_BATCHES = 8;

export interface Rewriting {
  /** Whether a row stays. @default all do */
  keep?(batch: Batch, row: number): boolean;
  /** Appends what is made of a row; it comes behind the rows of the same client that stay. @default nothing */
  derive?(batch: Batch, row: number, out: Batch): void;
}

export class Rewriter {
  #pool: BatchPool | null = null;

  /** A new batch; the one given is as it was. */
  rewrite(batch: Batch, rewriting: Rewriting): Batch {
    if (this.#pool?.store !== batch.store) {
      this.#pool = new BatchPool(BATCH_POINTS, POOLED_BATCHES, batch.store);
    }
    const out = this.#pool.take();
    const { origins } = batch;
    if (origins.length === 0) rewriteRows(batch, 0, batch.length, out, rewriting);
    for (const { client, start, end, sequence } of origins) {
      rewriteRows(batch, start, end, out, rewriting);
      out.credit(client, sequence);
    }
    return out;
  }
}

function rewriteRows(
  batch: Batch,
  start: number,
  end: number,
  out: Batch,
  { keep, derive }: Rewriting,
): void {
  for (let row = start; row < end; row++) if (!keep || keep(batch, row)) out.pushFrom(batch, row);
  if (derive) { for (let row = start; row < end; row++) derive(batch, row, out); }
}
