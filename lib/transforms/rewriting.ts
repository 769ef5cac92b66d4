/** Makes a batch of another one, client by client: who sent the points that a row was made of gets the credit for it. */
import { type Batch, BatchPool } from "../points/measurement.ts";
import type { BySeries } from "./by_series.ts";
import type { DerivedSeries } from "./derived_series.ts";

const BATCH_POINTS = 4096;
const POOLED_BATCHES = 8;

/** Which rows stay: those of series with one of the numbers. */
export interface Selection {
  readonly by: BySeries;
  /** By number. */
  readonly stays: readonly boolean[];
}

export interface Rewriting {
  /** @default all rows stay */
  readonly selection?: Selection;
  /** The same by row. */
  keep?(batch: Batch, row: number): boolean;
  /** Appends what is made of a row; it comes behind the rows of the same client that stay. @default nothing */
  derive?(batch: Batch, row: number, out: Batch): void;
  /** Appends what is made of all rows of a client. @default nothing */
  finish?(out: Batch): void;
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
    const { length, series, store } = batch;
    let first = 0;
    while (first < length && derived.of(store, series[first]) === series[first]) first++;
    if (first === length) return batch;
    const out = this.#take(batch);
    copyRows(batch, 0, length, out);
    for (let row = first; row < length; row++) {
      const number = derived.of(store, series[row]);
      out.series[row] = number;
      store.seen[number] = store.epoch;
    }
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
  { selection, keep, derive, finish }: Rewriting,
): void {
  if (selection) selectRows(batch, start, end, out, selection);
  else if (!keep) copyRows(batch, start, end, out);
  else for (let row = start; row < end; row++) if (keep(batch, row)) out.pushFrom(batch, row);
  if (derive) { for (let row = start; row < end; row++) derive(batch, row, out); }
  finish?.(out);
}

/** Appends rows as they are. */
function copyRows(batch: Batch, start: number, end: number, out: Batch): void {
  const count = end - start;
  if (count === 0) return;
  const at = out.length;
  out.begin();
  out.reserve(count);
  out.series.set(batch.series.subarray(start, end), at);
  out.seconds.set(batch.seconds.subarray(start, end), at);
  out.nanos.set(batch.nanos.subarray(start, end), at);
  out.values.set(batch.values.subarray(start, end), at);
  out.length = at + count;
  const { seen, epoch } = batch.store;
  for (let row = at; row < out.length; row++) seen[out.series[row]] = epoch;
  for (const [row, value] of batch.exact ?? []) {
    if (row >= start && row < end) (out.exact ??= new Map()).set(row - start + at, value);
  }
}

/** Appends the rows that stay. */
function selectRows(batch: Batch, start: number, end: number, out: Batch, { by, stays }: Selection): void {
  out.begin();
  out.reserve(end - start);
  const { series, seconds, nanos, values, exact } = batch;
  const { seen, epoch } = batch.store;
  const numbers = by.of(batch, start, end);
  let at = out.length;
  for (let row = start; row < end; row++) {
    const number = series[row];
    if (!stays[numbers[number]]) continue;
    seen[number] = epoch;
    out.series[at] = number;
    out.seconds[at] = seconds[row];
    out.nanos[at] = nanos[row];
    out.values[at] = values[row];
    const value = exact?.get(row);
    if (value !== undefined) (out.exact ??= new Map()).set(at, value);
    at++;
  }
  out.length = at;
  // Nothing stays that would have to be held.
  if (at === 0) out.truncate(0);
}
