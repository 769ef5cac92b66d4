/** Sorts points into the files that they belong to. */
import type { Batch, SeriesDefinition } from "../../points/measurement.ts";
import { SERIES_FLAGS } from "../../points/series_store.ts";
import { unitDisplayName } from "../../points/units.ts";
import { clientFileName, LOCAL_NAME, type PathPattern } from "../files/path.ts";
import { type FileSeries, MAX_TIME_NS } from "../files/parquet.ts";
import { renderAttributes } from "../rendering/attributes.ts";
import { valueProblem } from "../rendering/u64.ts";

const NS_PER_SECOND = 1_000_000_000n;
/** From this second on, times have to be looked at. */
const LAST_SECOND = Number(MAX_TIME_NS / NS_PER_SECOND);
const METRIC = "{metric}";
/** Rows that are sorted at once, while nothing else runs. */
const TURN_ROWS = 16_384;
/** A row of a batch as one number. */
const ROWS = 2 ** 32;

/** The points of one file. */
export interface FilePoints {
  /** The path, without the time of writing. */
  readonly path: string;
  /** Number of the batch times {@linkcode ROWS}, and the row. */
  readonly rows: number[];
}

/** What a point is in a file. */
export interface FilePoint {
  readonly series: FileSeries;
  readonly timeNs: bigint;
  readonly value: number;
  readonly integer: bigint | null;
}

export class Sorting {
  readonly #pattern: PathPattern;
  readonly #stepSeconds: number;
  readonly #batches: readonly Batch[];
  readonly #files = new Map<string, FilePoints>();
  /** By the number of the series: its texts, and the file of its last point with the step that it is for. */
  readonly #series = new Map<
    number,
    { texts: FileSeries; isInteger: boolean; step: number; file?: FilePoints }
  >();
  /** Rows that no file can hold. */
  readonly refused: { batch: Batch; row: number; reason: string }[] = [];

  private constructor(pattern: PathPattern, batches: readonly Batch[]) {
    this.#pattern = pattern;
    this.#stepSeconds = pattern.stepMs / 1000;
    this.#batches = batches;
  }

  /** Others have their turn meanwhile. */
  static async of(pattern: PathPattern, batches: readonly Batch[]): Promise<Sorting> {
    const sorting = new Sorting(pattern, batches);
    let rows = 0;
    for (const [number, batch] of batches.entries()) {
      sorting.#add(batch, number);
      rows += batch.length;
      if (rows < TURN_ROWS) continue;
      rows = 0;
      await new Promise<void>((resolve) => setTimeout(resolve));
    }
    return sorting;
  }

  get files(): readonly FilePoints[] {
    return [...this.#files.values()];
  }

  #add(batch: Batch, number: number): void {
    const { length, series, seconds } = batch;
    for (let row = 0; row < length; row++) {
      const reason = valueProblem(batch, row) ??
        (seconds[row] >= LAST_SECOND
          ? "its time is after the year 2262, the last one of Parquet"
          : undefined);
      if (reason !== undefined) {
        this.refused.push({ batch, row, reason });
        continue;
      }
      const known = this.#known(batch, series[row]);
      const step = Math.floor(seconds[row] / this.#stepSeconds);
      if (known.file === undefined || known.step !== step) {
        known.step = step;
        known.file = this.#file(known.texts, seconds[row]);
      }
      known.file.rows.push(number * ROWS + row);
    }
  }

  #known({ store }: Batch, number: number) {
    let known = this.#series.get(number);
    if (!known) {
      const isInteger = (store.flags[number] & SERIES_FLAGS.u64) !== 0;
      known = { texts: textsOf(store.definitionOf(number)), isInteger, step: NaN };
      this.#series.set(number, known);
    }
    return known;
  }

  #file({ client, metric }: FileSeries, seconds: number): FilePoints {
    const name = client === "" ? LOCAL_NAME : clientFileName(client);
    const path = this.#pattern.path(name, new Date(seconds * 1000)).replaceAll(
      METRIC,
      clientFileName(metric),
    );
    let file = this.#files.get(path);
    if (!file) this.#files.set(path, file = { path, rows: [] });
    return file;
  }

  /** The points of a file, in the order in which they came. */
  *points({ rows }: FilePoints): Generator<FilePoint> {
    for (const place of rows) {
      const row = place % ROWS;
      const batch = this.#batches[(place - row) / ROWS];
      const { texts, isInteger } = this.#known(batch, batch.series[row]);
      yield {
        series: texts,
        timeNs: BigInt(batch.seconds[row]) * NS_PER_SECOND + BigInt(batch.nanos[row]),
        value: batch.values[row],
        integer: isInteger ? batch.exactValue(row) : null,
      };
    }
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
