/** Gathers the rows of batches for one transaction, and sees to it that each series' texts are sent once. */
import type { Batch } from "../../points/measurement.ts";
import { isOwn } from "../../points/origins.ts";
import { SeriesColumn } from "../../points/series_column.ts";
import { type SeriesStore, seriesStore } from "../../points/series_store.ts";
import { unitDisplayName } from "../../points/units.ts";
import { renderAttributes } from "../rendering/attributes.ts";
import { valueProblems } from "../rendering/u64.ts";
import { newColumns, type PointColumns } from "../threads/point_columns.ts";
import type { ClientRows, MetricRow, PointGroup, RefusedRow, SeriesRow } from "./messages.ts";

/** A group with this many new series is full: sending their texts takes time. */
const MAX_NEW_SERIES = 4096;
const MS_PER_DAY = 86_400_000;

/** What the thread knows of series and metrics, by their numbers in the store. */
export class Known {
  /** The day on which the thread was told of a series, or that it is still used. */
  readonly #told: SeriesColumn;
  readonly #store: SeriesStore;
  #day = -1;
  #second = 0;
  #metrics = new Set<number>();
  #newMetrics: MetricRow[] = [];
  #newSeries: SeriesRow[] = [];
  #usedSeries: number[] = [];

  constructor(store: SeriesStore = seriesStore) {
    this.#store = store;
    this.#told = new SeriesColumn(store);
  }

  get newSeries(): number {
    return this.#newSeries.length;
  }

  /** To be called before the first row of a group. Each day, what is used is marked so. */
  begin(nowMs: number): void {
    this.#day = Math.floor(nowMs / MS_PER_DAY);
    this.#second = Math.floor(nowMs / 1000);
  }

  /** What the group brings. */
  take(): Pick<PointGroup, "metrics" | "series" | "used" | "day" | "second"> {
    const [metrics, series, used] = [this.#newMetrics, this.#newSeries, this.#usedSeries];
    this.#newMetrics = [];
    this.#newSeries = [];
    this.#usedSeries = [];
    return { metrics, series, used, day: this.#day, second: this.#second };
  }

  /** Looks for series of a batch that the thread does not know. */
  look(batch: Batch): void {
    const { values } = this.#told;
    const { series, length } = batch;
    const day = this.#day;
    for (let row = 0; row < length; row++) if (values[series[row]] !== day) this.#tell(series[row]);
  }

  #tell(number: number): void {
    const before = this.#told.values[number];
    this.#told.values[number] = this.#day;
    // Nobody deletes the row of a series that was used yesterday.
    if (before !== 0 && before === this.#day - 1) this.#usedSeries.push(number);
    else this.#describe(number);
  }

  #describe(number: number): void {
    const { resourceKind, resourceId, consumerKind, consumerId, attributes } = this.#store.definitionOf(
      number,
    );
    const { client, json } = renderAttributes(attributes);
    this.#newSeries.push({
      number,
      metric: this.#metric(number),
      relayClient: client,
      resourceKind,
      resourceId,
      consumerKind,
      consumerId,
      attributes: json,
    });
  }

  /** Series by their numbers, for a thread that may know none of them. */
  describe(numbers: Iterable<number>): Pick<PointGroup, "metrics" | "series"> {
    const [metrics, rows] = [this.#newMetrics, this.#newSeries];
    const known = this.#metrics;
    this.#newMetrics = [];
    this.#newSeries = [];
    this.#metrics = new Set();
    for (const number of numbers) this.#describe(number);
    const all = { metrics: this.#newMetrics, series: this.#newSeries };
    [this.#newMetrics, this.#newSeries, this.#metrics] = [metrics, rows, known];
    return all;
  }

  /** The number of a series' metric, of which the thread is told. */
  #metric(series: number): number {
    const number = this.#store.metrics[series];
    if (!this.#metrics.has(number)) {
      this.#metrics.add(number);
      const { name, type, unit, description } = this.#store.metricOf(series);
      this.#newMetrics.push({
        number,
        name,
        type,
        unitBase: unit.base,
        unitPrefix: unit.prefix,
        unit: unitDisplayName(unit),
        description,
      });
    }
    return number;
  }
}

/** One transaction's rows. */
export class Gathering {
  /** Batches of which all rows are in it. They keep the numbers of their series in use. */
  readonly batches: Batch[] = [];
  /** Of the last batch. */
  position = -1;
  /** Rows that cannot be stored, with the reason for each. */
  readonly problems: RefusedRow[] = [];
  readonly #known: Known;
  #columns: PointColumns;
  #exact: [number, bigint][] = [];
  #clients: ClientRows[] = [];

  constructor(known: Known, columns: PointColumns) {
    this.#known = known;
    this.#columns = columns;
    columns.length = 0;
  }

  get points(): number {
    return this.#columns.length;
  }

  /** Whether the batch can be added. The first one can, however large it is. */
  hasRoomFor(batch: Batch): boolean {
    return this.points === 0 || this.points + batch.length <= this.#columns.series.length;
  }

  get isFull(): boolean {
    return this.points >= this.#columns.series.length || this.#known.newSeries >= MAX_NEW_SERIES;
  }

  /** Adds a batch that there is room for. */
  add(batch: Batch, position: number): void {
    const { length } = batch;
    const from = this.points;
    if (length > this.#columns.series.length) this.#columns = newColumns(length);
    const { series, seconds, nanos, values } = this.#columns;
    this.#known.look(batch);
    for (const { row, reason } of valueProblems(batch)) this.problems.push({ row: from + row, reason });
    series.set(batch.series.subarray(0, length), from);
    seconds.set(batch.seconds.subarray(0, length), from);
    nanos.set(batch.nanos.subarray(0, length), from);
    values.set(batch.values.subarray(0, length), from);
    if (batch.exact) { for (const [row, value] of batch.exact) this.#exact.push([from + row, value]); }
    for (const { client, start, end, sequence } of batch.origins) {
      const { name, instance } = client;
      // The inputs of this process are not a client.
      if (sequence === 0 && name === "" || isOwn(client)) continue;
      this.#clients.push({ name, instance, sequence, start: from + start, end: from + end });
    }
    this.#columns.length = from + length;
    this.batches.push(batch);
    this.position = position;
  }

  /** For the writer. */
  group(journal: string | null, busy: boolean): PointGroup {
    return {
      columns: this.#columns,
      exact: this.#exact,
      ...this.#known.take(),
      clients: this.#clients,
      position: journal === null ? null : { journal, number: this.position },
      busy,
    };
  }
}
