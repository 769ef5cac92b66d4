/** The series of points that are kept: their numbers are not given back meanwhile. */
import type { SeriesDefinition } from "../../points/measurement.ts";
import type { SeriesStore } from "../../points/series_store.ts";

export interface Source {
  readonly series: number;
  readonly definition: SeriesDefinition;
  /** Points that are kept. */
  uses: number;
}

export class Sources {
  readonly #bySeries = new Map<number, Source>();
  #store: SeriesStore | null = null;

  /** Counts one more point of a series. */
  hold(store: SeriesStore, series: number): Source {
    this.#store = store;
    let source = this.#bySeries.get(series);
    if (!source) {
      store.pin(series);
      source = { series, definition: store.definitionOf(series), uses: 0 };
      this.#bySeries.set(series, source);
    }
    source.uses++;
    return source;
  }

  /** Counts one point less. */
  readonly release = (source: Source): void => {
    if (--source.uses > 0) return;
    this.#bySeries.delete(source.series);
    this.#store!.unpin(source.series);
  };
}
