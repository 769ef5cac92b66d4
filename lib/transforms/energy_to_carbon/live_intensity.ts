/** The carbon intensity that a metric tells, as it is known at present. */
import type { Batch } from "../../points/measurement.ts";
import { unitFactor } from "../../points/units.ts";
import { BySeries } from "../by_series.ts";
import type { MetricNames } from "../metric_names.ts";

/** What is known of a series. */
const LOOK = { other: 1, intensity: 2 } as const;
/** The client of points of this process. */
const NO_CLIENT = "";
/** Clients whose intensity is kept, at most. */
const MAX_CLIENTS = 65_536;

interface Known {
  readonly gramsPerKwh: number;
  readonly seconds: number;
}

export class LiveIntensity {
  readonly #maxAgeSeconds: number;
  readonly #looks: BySeries;
  /** By the name of the client whose point it was. */
  readonly #known = new Map<string, Known>();

  constructor(metric: string, maxAgeMs: number, names: MetricNames) {
    this.#maxAgeSeconds = maxAgeMs / 1000;
    this.#looks = new BySeries((store, series) => {
      const isIntensity = store.metricOf(series).name === metric;
      if (isIntensity) names.has(metric);
      return isIntensity ? LOOK.intensity : LOOK.other;
    });
  }

  /** Takes the intensities of a batch. */
  learn(batch: Batch): void {
    const looks = this.#looks.of(batch);
    const { series, seconds, values, store } = batch;
    for (let row = 0; row < batch.length; row++) {
      if (looks[series[row]] !== LOOK.intensity) continue;
      const value = values[row] * (unitFactor(store.metricOf(series[row]).unit) ?? 1);
      if (!(value >= 0 && value < Infinity)) continue;
      const client = store.names.nameOf(store.clients[series[row]]);
      const known = this.#known.get(client);
      if (known && known.seconds > seconds[row]) continue;
      if (!known && this.#known.size === MAX_CLIENTS) this.#known.clear();
      this.#known.set(client, { gramsPerKwh: value, seconds: seconds[row] });
    }
  }

  /** That for a row: what its client has told, or else what this process knows; `undefined` if that is too old. */
  of(batch: Batch, row: number): number | undefined {
    const { store } = batch;
    const client = store.names.nameOf(store.clients[batch.series[row]]);
    for (const name of [client, NO_CLIENT]) {
      const known = this.#known.get(name);
      if (known && Math.abs(batch.seconds[row] - known.seconds) <= this.#maxAgeSeconds) {
        return known.gramsPerKwh;
      }
    }
    return undefined;
  }
}
