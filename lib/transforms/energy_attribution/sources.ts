/** A series of which points are kept: its number is not given back meanwhile. */
import type { SeriesDefinition } from "../../points/measurement.ts";
import type { SeriesStore } from "../../points/series_store.ts";

export class Source {
  /** Points that are kept. */
  #uses = 0;

  constructor(
    readonly store: SeriesStore,
    readonly series: number,
    readonly definition: SeriesDefinition,
  ) {}

  hold(): void {
    if (this.#uses++ === 0) this.store.pin(this.series);
  }

  release(): void {
    if (--this.#uses === 0) this.store.unpin(this.series);
  }
}
