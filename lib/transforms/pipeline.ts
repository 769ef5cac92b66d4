/** Inputs to journal: every batch goes through the transforms, in order, once. */
import { Complaint } from "../base/complaint.ts";
import type { MonotonicClock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Journal } from "../journal.ts";
import type { Batch } from "../points/measurement.ts";
import type { BatchSink, Transform } from "../plugin.ts";

export interface NamedTransform {
  readonly name: string;
  readonly transform: Transform;
}

/** The sink that inputs push to. */
export class Pipeline implements BatchSink {
  readonly #transforms: readonly NamedTransform[];
  readonly #journal: Journal;
  readonly #log: Logger;
  readonly #complaint: Complaint;
  /** They see each batch before the journal gets it, and neither keep nor change it. */
  readonly watchers = new Set<(batch: Batch) => void>();

  constructor(transforms: readonly NamedTransform[], journal: Journal, log: Logger, clock: MonotonicClock) {
    this.#transforms = transforms;
    this.#journal = journal;
    this.#log = log;
    this.#complaint = new Complaint(clock);
  }

  push(batch: Batch): Promise<void> | void {
    const { clients } = this.#journal;
    if (batch.origins.length === 0) clients.local.receivedPoints += batch.length;
    if (this.#transforms.length > 0) batch = this.#transform(batch);
    for (const watch of this.watchers) watch(batch);
    return this.#journal.append(batch);
  }

  #transform(batch: Batch): Batch {
    const { clients } = this.#journal;
    clients.transform(batch, -1);
    for (const { name, transform } of this.#transforms) {
      try {
        const result = transform.apply(batch);
        if (result !== batch) batch.release();
        batch = result;
      } catch (error) {
        this.#complaint.add((batches) => {
          this.#log.error(`Transform ${name} failed, its batches are passed on unchanged`, {
            batches,
            error: String((error as Error)?.stack ?? error),
          });
        });
      }
    }
    clients.transform(batch, 1);
    return batch;
  }
}
