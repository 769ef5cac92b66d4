/** Inputs to journal: every batch goes through the transforms, in order, once. */
import type { Journal } from "../journal.ts";
import type { Batch } from "../points/measurement.ts";
import type { BatchSink, Transform } from "../plugin.ts";

/** The sink that inputs push to. */
export class Pipeline implements BatchSink {
  readonly #transforms: readonly Transform[];
  readonly #journal: Journal;

  constructor(transforms: readonly Transform[], journal: Journal) {
    this.#transforms = transforms;
    this.#journal = journal;
  }

  push(batch: Batch): Promise<void> | void {
    let current: Batch | null = batch;
    for (const transform of this.#transforms) {
      const result: Batch | null = transform.apply(current);
      if (result !== current) current.release();
      if (result === null) return;
      current = result;
    }
    if (current.origins.length === 0) this.#journal.clients.local.receivedPoints += current.length;
    return this.#journal.append(current);
  }
}
