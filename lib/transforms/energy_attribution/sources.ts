/** A series of which points are kept: its number is not given back meanwhile. */
import type { SeriesDefinition } from "../../points/measurement.ts";
import type { SeriesStore } from "../../points/series_store.ts";

export class Source {
  /** Points that are kept, and others that refer to it. */
  #uses = 0;

  constructor(
    readonly store: SeriesStore,
    readonly series: number,
    readonly definition: SeriesDefinition,
  ) {}

  get isHeld(): boolean {
    return this.#uses > 0;
  }

  hold(): void {
    if (this.#uses++ === 0) this.store.pin(this.series);
  }

  release(): void {
    if (--this.#uses === 0) this.store.unpin(this.series);
  }
}
