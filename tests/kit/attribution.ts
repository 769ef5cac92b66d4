/** Attribution by itself: batches in, results out. */
import assert from "node:assert/strict";
import { Batch } from "../../lib/points/measurement.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { config } from "../../lib/transforms/energy_attribution/config.ts";
import { EnergyAttribution } from "../../lib/transforms/energy_attribution/transform.ts";
import { contextWith } from "./context.ts";

type Context = Parameters<typeof contextWith>[0];

/** A transform behind the numbers of the batches that it has got. */
export class AttributionBench {
  readonly transform: EnergyAttribution;
  readonly clients: ClientTable = new ClientTable();
  #place = 0;
  #passed = 0;

  /** @param memory In bytes, instead of that in the configuration. */
  constructor(values: unknown, context: Context = {}, memory?: number) {
    const checked = config.check(values, [], ({ path, message }) => assert.fail(`${path}: ${message}`));
    const given = memory === undefined ? checked : { ...checked, memory };
    this.transform = new EnergyAttribution(given, contextWith(context));
  }

  /** The number of the next batch. */
  placeNext(place: number): void {
    this.#place = place;
  }

  /** The results of a batch. */
  take(batch: Batch): Batch {
    const { local } = this.clients;
    const place = this.#place++;
    const before = this.#passed;
    const results = this.#collect((out) => {
      if (batch.origins.length === 0) this.transform.take(batch, 0, batch.length, local, place, out);
      for (const { client, start, end } of batch.origins) {
        this.transform.take(batch, start, end, client, place, out);
      }
      this.transform.settle(out);
    });
    assert.equal(this.#passed - before, batch.length, "every point passes");
    return results;
  }

  /** The results of some seconds. */
  tick(count = 1): Batch {
    return this.#collect((out) => {
      for (let i = 0; i < count; i++) this.transform.tick(out);
    });
  }

  flush(): Batch {
    return this.#collect((out) => this.transform.flush(out));
  }

  #collect(act: (out: Parameters<EnergyAttribution["tick"]>[0]) => void): Batch {
    const results = new Batch(16);
    act({
      pass: () => void this.#passed++,
      add: (_client, series, seconds, nanos, value) =>
        results.pushNumber(series, seconds, nanos, Number(value)),
    });
    return results;
  }
}

/** All rows of batches as one. */
export function joined(batches: readonly Batch[]): Batch {
  const all = new Batch(16);
  for (const batch of batches) for (let row = 0; row < batch.length; row++) all.pushFrom(batch, row);
  return all;
}
