/** Gathers the rows of batches for one transaction, and numbers series so that each one's texts are sent once. */
import {
  type Attribute,
  type AttributeValue,
  type Batch,
  CLIENT_ATTRIBUTE,
  type Metric,
  type Series,
} from "../../points/measurement.ts";
import { unitDisplayName } from "../../points/units.ts";
import type { ClientRows, MetricRow, PointColumns, PointGroup, SeriesRow } from "./messages.ts";

/** Places in the cache of a series: its number, and the generation that the number is of. */
export const CACHE_SLOTS = 2;
/** A generation ends with so many series; then they are learnt anew. */
export const MAX_SERIES = 262_144;
/** A group with so many series that are new is full: their texts take time to be sent. */
const MAX_NEW_SERIES = 4096;
const MS_PER_DAY = 86_400_000;

export function newColumns(capacity: number): PointColumns {
  return {
    length: 0,
    series: new Uint32Array(capacity),
    seconds: new Float64Array(capacity),
    nanos: new Uint32Array(capacity),
    values: new Float64Array(capacity),
  };
}

/** Numbers of the generation's series and metrics. */
export class Numbering {
  generation = 0;
  #day = -1;
  #nextSeries = 0;
  #metrics = new Map<Metric, number>();
  readonly #attributes = new WeakMap<readonly Attribute[], { client: string; json: string }>();
  #newMetrics: MetricRow[] = [];
  #newSeries: SeriesRow[] = [];

  /** @param slot The first of {@linkcode CACHE_SLOTS} places in the caches of series. */
  constructor(readonly slot: number) {}

  get newSeries(): number {
    return this.#newSeries.length;
  }

  /** To be called before the first row of a group. */
  begin(nowMs: number, maxSeries = MAX_SERIES): void {
    const day = Math.floor(nowMs / MS_PER_DAY);
    if (day === this.#day && this.#nextSeries < maxSeries) return;
    this.#day = day;
    this.generation++;
    this.#nextSeries = 0;
    this.#metrics = new Map();
  }

  /** What the group brings. */
  take(): Pick<PointGroup, "generation" | "firstMetric" | "metrics" | "firstSeries" | "series" | "day"> {
    const [metrics, series] = [this.#newMetrics, this.#newSeries];
    this.#newMetrics = [];
    this.#newSeries = [];
    return {
      generation: this.generation,
      firstMetric: this.#metrics.size - metrics.length,
      metrics,
      firstSeries: this.#nextSeries - series.length,
      series,
      day: this.#day,
    };
  }

  /** Gives a series a number, which is put into its cache. */
  number(series: Series): number {
    const { metric, resourceKind, resourceId, consumerKind, consumerId, attributes, cache } = series;
    let rendered = this.#attributes.get(attributes);
    if (!rendered) this.#attributes.set(attributes, rendered = renderAttributes(attributes));
    this.#newSeries.push({
      metric: this.#metricNumber(metric),
      relayClient: rendered.client,
      resourceKind,
      resourceId,
      consumerKind,
      consumerId,
      attributes: rendered.json,
    });
    cache[this.slot] = this.#nextSeries;
    cache[this.slot + 1] = this.generation;
    return this.#nextSeries++;
  }

  #metricNumber(metric: Metric): number {
    let number = this.#metrics.get(metric);
    if (number === undefined) {
      const { name, type, unit, description } = metric;
      this.#metrics.set(metric, number = this.#metrics.size);
      this.#newMetrics.push({
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
  /** Batches of which all rows are in it. */
  batches = 0;
  /** Of the last batch. */
  position = -1;
  readonly #numbering: Numbering;
  #columns: PointColumns;
  #exact: [number, bigint][] = [];
  #clients: ClientRows[] = [];

  constructor(numbering: Numbering, columns: PointColumns) {
    this.#numbering = numbering;
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
    return this.points >= this.#columns.series.length || this.#numbering.newSeries >= MAX_NEW_SERIES;
  }

  /** Adds a batch that there is room for. */
  add(batch: Batch, position: number): void {
    const { length } = batch;
    const from = this.points;
    if (length > this.#columns.series.length) this.#columns = newColumns(length);
    const { series, seconds, nanos, values } = this.#columns;
    const numbering = this.#numbering;
    const { slot, generation } = numbering;
    const source = batch.series;
    for (let row = 0; row < length; row++) {
      const { cache } = source[row];
      series[from + row] = cache[slot + 1] === generation
        ? cache[slot] as number
        : numbering.number(source[row]);
    }
    seconds.set(batch.seconds.subarray(0, length), from);
    nanos.set(batch.nanos.subarray(0, length), from);
    values.set(batch.values.subarray(0, length), from);
    if (batch.exact) { for (const [row, value] of batch.exact) this.#exact.push([from + row, value]); }
    for (const { client, start, end, sequence } of batch.origins) {
      if (sequence === 0) continue;
      const { name, instance } = client;
      this.#clients.push({ name, instance, sequence, start: from + start, end: from + end });
    }
    this.#columns.length = from + length;
    this.batches++;
    this.position = position;
  }

  /** For the writer. */
  group(journal: string | null, busy: boolean): PointGroup {
    return {
      columns: this.#columns,
      exact: this.#exact,
      ...this.#numbering.take(),
      clients: this.#clients,
      position: journal === null ? null : { journal, number: this.position },
      busy,
    };
  }
}

/**
 * Attributes as a JSON object, without the client's name, which has a column of its own. Of attributes with the same
 * name the last one counts.
 */
export function renderAttributes(attributes: readonly Attribute[]): { client: string; json: string } {
  const last = new Map(attributes);
  const client = last.get(CLIENT_ATTRIBUTE);
  if (typeof client === "string") last.delete(CLIENT_ATTRIBUTE);
  const entries = [...last].map(([name, value]) => `${JSON.stringify(name)}:${jsonOf(value)}`);
  return { client: typeof client === "string" ? client : "", json: `{${entries.join(",")}}` };
}

/**
 * A u64 is an integer of all its digits, a f64 always has a point or an exponent, infinity is a number that is too
 * large for any (which is what it is read as), NaN is null.
 */
function jsonOf(value: AttributeValue): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (Number.isNaN(value)) return "null";
    if (!Number.isFinite(value)) return value > 0 ? "9e999" : "-9e999";
    if (Object.is(value, -0)) return "-0.0";
    const text = String(value);
    return /[.e]/.test(text) ? text : `${text}.0`;
  }
  return typeof value === "object" ? `[${value.join(",")}]` : String(value);
}
