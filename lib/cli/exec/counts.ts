/** Adds up what inputs count for processes, such as instructions and cache misses. */
import type { Batch } from "../../points/measurement.ts";
import { LOCAL_MACHINE } from "../../points/series.ts";

/** Something that was counted. */
export interface Count {
  /** The metric. */
  readonly what: string;
  readonly count: number;
}

export class CountMeter {
  readonly #sums = new Map<string, number>();

  /** Takes numbers without a unit whose consumer is a process. */
  take(batch: Batch): void {
    for (let row = 0; row < batch.length; row++) {
      const { metric: { name, type, unit }, consumerKind, resourceKind } = batch.seriesAt(row);
      if (consumerKind !== "process" || resourceKind !== LOCAL_MACHINE || type !== "u64") continue;
      if (unit.base === "1") this.#sums.set(name, (this.#sums.get(name) ?? 0) + batch.values[row]);
    }
  }

  get counts(): Count[] {
    return Array.from(this.#sums, ([what, count]) => ({ what, count }));
  }
}
