/** Inputs to journal: every batch goes through the transforms, in order, once. */
import { Complaint } from "../base/complaint.ts";
import type { MonotonicClock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Journal } from "../journal.ts";
import { type Batch, MAX_SECONDS } from "../points/measurement.ts";
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
  readonly #timeComplaint: Complaint;
  /** Points with impossible times that were not logged yet. */
  #rejected = 0;
  readonly #watch: (batch: Batch) => void;

  /** @param watch Sees each batch before the journal gets it, and neither keeps nor changes it. */
  constructor(
    transforms: readonly NamedTransform[],
    journal: Journal,
    log: Logger,
    clock: MonotonicClock,
    watch: (batch: Batch) => void = () => {},
  ) {
    this.#watch = watch;
    this.#transforms = transforms;
    this.#journal = journal;
    this.#log = log;
    this.#complaint = new Complaint(clock);
    this.#timeComplaint = new Complaint(clock);
  }

  push(batch: Batch): Promise<void> | void {
    const { clients } = this.#journal;
    if (batch.origins.length === 0) {
      clients.local.receivedPoints += batch.length;
      this.#rejectImpossibleTimes(batch);
    }
    if (this.#transforms.length > 0) batch = this.#transform(batch);
    this.#watch(batch);
    return this.#journal.append(batch);
  }

  /** A clock before 1970 gives points that no journal and no protocol can hold. */
  #rejectImpossibleTimes(batch: Batch): void {
    const { seconds, length } = batch;
    const isPossible = (row: number) => seconds[row] >= 0 && seconds[row] <= MAX_SECONDS;
    let row = 0;
    while (row < length && isPossible(row)) row++;
    if (row === length) {
      this.#timeComplaint.end(() => this.#log.info("The times of points are possible again"));
      return;
    }
    batch.retain(row, (_, row) => isPossible(row));
    const points = length - batch.length;
    this.#journal.clients.local.rejectedPoints += points;
    this.#rejected += points;
    this.#timeComplaint.add(() => {
      this.#log.error("The clock shows a time that no point can have, set it: points are dropped", {
        points: this.#rejected,
      });
      this.#rejected = 0;
    });
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
