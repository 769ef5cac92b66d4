/** Makes a batch of another one, client by client: who sent the points that a row was made of gets the credit for it. */
import { type Batch, BatchPool } from "../points/measurement.ts";
import type { DerivedSeries } from "./derived_series.ts";

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
    const out = this.#take(batch);
    const { origins } = batch;
    if (origins.length === 0) rewriteRows(batch, 0, batch.length, out, rewriting);
    for (const { client, start, end, sequence } of origins) {
      rewriteRows(batch, start, end, out, rewriting);
      out.credit(client, sequence);
    }
    return out;
  }

  /** The same points, each in the series that is made of its own; the batch itself where that changes none. */
  move(batch: Batch, derived: DerivedSeries): Batch {
    const { length, store } = batch;
    let first = 0;
    while (first < length && derived.of(batch, first) === batch.series[first]) first++;
    if (first === length) return batch;
    const out = this.#take(batch);
    out.reserve(length);
    out.begin();
    out.seconds.set(batch.seconds.subarray(0, length));
    out.nanos.set(batch.nanos.subarray(0, length));
    out.values.set(batch.values.subarray(0, length));
    for (let row = 0; row < length; row++) {
      const series = derived.of(batch, row);
      store.seen[series] = store.epoch;
      out.series[row] = series;
    }
    out.length = length;
    if (batch.exact) out.exact = new Map(batch.exact);
    for (const origin of batch.origins) out.origins.push({ ...origin });
    return out;
  }

  #take({ store }: Batch): Batch {
    if (this.#pool?.store !== store) this.#pool = new BatchPool(BATCH_POINTS, POOLED_BATCHES, store);
    return this.#pool.take();
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
