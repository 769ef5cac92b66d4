/** The series of a round, with each of their texts once: as columns, because there may be a million. */
import { grown } from "../../base/growing.ts";
import type { Batch, SeriesDefinition } from "../../points/measurement.ts";
import { SERIES_FLAGS } from "../../points/series_store.ts";
import { unitDisplayName } from "../../points/units.ts";
import type { FileSeries } from "../files/file_series.ts";
import { renderAttributes } from "../rendering/attributes.ts";
import { SERIES_NUMBERS, SERIES_TEXTS } from "./messages.ts";

export class SeriesTable {
  /** By the number of a series in the store: its number here. */
  readonly #places = new Map<number, number>();
  /** {@linkcode SERIES_NUMBERS} of each series here. */
  #numbers = new Uint32Array(1024 * SERIES_NUMBERS);
  readonly #texts: string[] = [];
  readonly #textNumbers = new Map<string, number>();

  /** The number that a series of a batch has here. They follow each other. */
  numberOf({ store }: Batch, series: number): number {
    const place = this.#places.get(series);
    if (place !== undefined) return place;
    const number = this.#places.size;
    this.#places.set(series, number);
    let at = number * SERIES_NUMBERS;
    if (at === this.#numbers.length) this.#numbers = grown(this.#numbers, 2 * at);
    const texts = textsOf(store.definitionOf(series));
    for (const name of SERIES_TEXTS) this.#numbers[at++] = this.#numberOfText(texts[name]);
    this.#numbers[at] = (store.flags[series] & SERIES_FLAGS.u64) !== 0 ? 1 : 0;
    return number;
  }

  #numberOfText(text: string): number {
    let number = this.#textNumbers.get(text);
    if (number === undefined) {
      number = this.#texts.push(text) - 1;
      this.#textNumbers.set(text, number);
    }
    return number;
  }

  /** A text of the series that has this number here. */
  text(number: number, name: keyof FileSeries): string {
    return this.#texts[this.#numbers[number * SERIES_NUMBERS + SERIES_TEXTS.indexOf(name)]];
  }

  /**
   * Adds what the thread must be told of a series.
   *
   * @param told The texts that it knows, by their numbers here: their numbers there.
   */
  tell(number: number, told: Map<number, number>, texts: string[], series: number[]): void {
    const from = number * SERIES_NUMBERS;
    const last = from + SERIES_TEXTS.length;
    for (let i = from; i < last; i++) {
      const here = this.#numbers[i];
      let there = told.get(here);
      if (there === undefined) {
        there = told.size;
        told.set(here, there);
        texts.push(this.#texts[here]);
      }
      series.push(there);
    }
    series.push(this.#numbers[last]);
  }
}

function textsOf(definition: SeriesDefinition): FileSeries {
  const { metric, resourceKind, resourceId, consumerKind, consumerId } = definition;
  const { client, json } = renderAttributes(definition.attributes);
  return {
    metric: metric.name,
    unit: unitDisplayName(metric.unit),
    resourceKind,
    resourceId,
    consumerKind,
    consumerId,
    client,
    attributes: json,
  };
}
