/** Sorts points into the files that they belong to. */
import type { Batch } from "../../points/measurement.ts";
import { MAX_TIME_NS } from "../files/file_series.ts";
import { clientFileName, LOCAL_NAME, type PathPattern } from "../files/path.ts";
import { valueProblem } from "../rendering/u64.ts";
import type { Fill } from "./encoder.ts";
import { SeriesTable } from "./series_table.ts";

/** From this second on, times have to be looked at. */
const LAST_SECOND = Number(MAX_TIME_NS / 1_000_000_000n);
const METRIC = "{metric}";
/** How long sorting goes on while nothing else runs, in ms, and after how many rows it looks at the time. */
const TURN_MS = 5;
const LOOK_ROWS = 512;
/** Series that the thread is told of at once: copying their texts takes time. */
const CHUNK_SERIES = 4096;
/** A row of a batch as one number. */
const ROWS = 2 ** 32;

/** The points of one file. */
export interface FilePoints {
  /** The path, without the time of writing. */
  readonly path: string;
  /** Number of the batch times {@linkcode ROWS}, and the row. */
  readonly rows: number[];
}

export class Sorting {
  readonly #pattern: PathPattern;
  readonly #stepSeconds: number;
  readonly #batches: readonly Batch[];
  readonly #files = new Map<string, FilePoints>();
  readonly #series = new SeriesTable();
  /** By the number of a series there: the file of its last point, and the step of the path that it is for. */
  readonly #fileOf: FilePoints[] = [];
  readonly #stepOf: number[] = [];
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
    let turnEndsMs = performance.now() + TURN_MS;
    for (const [number, batch] of batches.entries()) {
      for (let row = 0; row < batch.length; row += LOOK_ROWS) {
        sorting.#add(batch, number, row, Math.min(row + LOOK_ROWS, batch.length));
        if (performance.now() < turnEndsMs) continue;
        await new Promise<void>((resolve) => setTimeout(resolve));
        turnEndsMs = performance.now() + TURN_MS;
      }
    }
    return sorting;
  }

  get files(): readonly FilePoints[] {
    return [...this.#files.values()];
  }

  #add(batch: Batch, number: number, from: number, to: number): void {
    const { series, seconds } = batch;
    for (let row = from; row < to; row++) {
      const reason = valueProblem(batch, row) ??
        (seconds[row] >= LAST_SECOND
          ? "its time is after the year 2262, the last one of Parquet"
          : undefined);
      if (reason !== undefined) {
        this.refused.push({ batch, row, reason });
        continue;
      }
      const known = this.#series.numberOf(batch, series[row]);
      const step = Math.floor(seconds[row] / this.#stepSeconds);
      if (this.#stepOf[known] !== step) {
        this.#stepOf[known] = step;
        this.#fileOf[known] = this.#file(known, seconds[row]);
      }
      this.#fileOf[known].rows.push(number * ROWS + row);
    }
  }

  #file(series: number, seconds: number): FilePoints {
    const [client, metric] = [this.#series.text(series, "client"), this.#series.text(series, "metric")];
    const name = client === "" ? LOCAL_NAME : clientFileName(client);
    const path = this.#pattern.path(name, new Date(seconds * 1000)).replaceAll(
      METRIC,
      clientFileName(metric),
    );
    let file = this.#files.get(path);
    if (!file) this.#files.set(path, file = { path, rows: [] });
    return file;
  }

  /** The points of a file, in the order in which they came; for one try. */
  fill({ rows }: FilePoints): Fill {
    let next = 0;
    /** By the number of a series or text here: its number there. */
    const toldSeries = new Map<number, number>();
    const toldTexts = new Map<number, number>();
    return (columns) => {
      if (next === rows.length) return null;
      const texts: string[] = [];
      const series: number[] = [];
      const exact = new Map<number, bigint>();
      const room = columns.series.length;
      const mostTold = toldSeries.size + CHUNK_SERIES;
      let length = 0;
      while (length < room && next < rows.length && toldSeries.size < mostTold) {
        const place = rows[next++];
        const row = place % ROWS;
        const batch = this.#batches[(place - row) / ROWS];
        const known = this.#series.numberOf(batch, batch.series[row]);
        let there = toldSeries.get(known);
        if (there === undefined) {
          there = toldSeries.size;
          toldSeries.set(known, there);
          this.#series.tell(known, toldTexts, texts, series);
        }
        columns.series[length] = there;
        columns.seconds[length] = batch.seconds[row];
        columns.nanos[length] = batch.nanos[row];
        columns.values[length] = batch.values[row];
        const value = batch.exact?.get(row);
        if (value !== undefined) exact.set(length, value);
        length++;
      }
      columns.length = length;
      return { texts, series, columns, exact };
    };
  }
}
