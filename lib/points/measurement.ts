/**
 * What flows through the pipe: metrics, series, and columnar batches of points.
 *
 * A {@linkcode Series} is everything about a point that repeats (metric, resource, consumer, attributes). It is
 * interned once by whoever produces points, and a {@linkcode Batch} is a set of columns: a reference to the series,
 * the time and the value. Nothing is allocated per point. A series lives as long as somebody refers to it, so tables
 * of series can be dropped at any time; two equal series may therefore be two objects, and identity is only ever a
 * key for caches.
 */

import type { ClientRecord, Origin } from "./origins.ts";

/** The attribute that says which client a point came from. */
export const CLIENT_ATTRIBUTE = "relay_client";

/** Seconds of 9999-12-31T23:59:59Z, the last time that RFC 3339 can write: points of later times are not taken. */
export const MAX_SECONDS = 253_402_300_799;

/** Type of the values of a metric. */
export type ValueType = "f64" | "u64";

/** Unit of a metric, by the unique names that Alumet uses: base `W`, `J`, `By`, `1` …, prefix `""`, `milli`, … */
export interface Unit {
  readonly base: string;
  readonly prefix: string;
}

/** The definition of a metric. One object per definition and registry, so identity is equality. */
export interface Metric {
  readonly name: string;
  readonly type: ValueType;
  readonly unit: Unit;
  readonly description: string;
}

/** Value of an attribute: `number` is f64, `bigint` is u64, an array is a list of u64. */
export type AttributeValue = number | bigint | boolean | string | readonly bigint[];

/** A name and its value. */
export type Attribute = readonly [name: string, value: AttributeValue];

/** Everything about a point except its time and its value. */
export interface SeriesDefinition {
  readonly metric: Metric;
  readonly resourceKind: string;
  readonly resourceId: string;
  readonly consumerKind: string;
  readonly consumerId: string;
  readonly attributes: readonly Attribute[];
}

let nextSlot = 0;

/**
 * Reserves places in {@linkcode Series.cache} for one user, and returns the first: an output keeps there what it
 * renders once per series. Small integers cost nothing beside the place itself. Slots are few (one per output or
 * encoder of a process) and never given back. Reserve them before series are made: their caches then have the right size.
 */
export function reserveCacheSlots(count = 1): number {
  nextSlot += count;
  return nextSlot - count;
}

/** An interned series. Immutable, but for the caches of its users. */
export class Series implements SeriesDefinition {
  readonly metric: Metric;
  readonly resourceKind: string;
  readonly resourceId: string;
  readonly consumerKind: string;
  readonly consumerId: string;
  readonly attributes: readonly Attribute[];
  /** What users of the series rendered from it, by {@linkcode reserveCacheSlots}; dies with the series. */
  readonly cache: unknown[] = new Array(nextSlot);

  constructor(
    metric: Metric,
    resourceKind: string,
    resourceId: string,
    consumerKind: string,
    consumerId: string,
    attributes: readonly Attribute[],
  ) {
    this.metric = metric;
    this.resourceKind = resourceKind;
    this.resourceId = resourceId;
    this.consumerKind = consumerKind;
    this.consumerId = consumerId;
    this.attributes = attributes;
  }
}

/** The resource and the consumer that stand for the whole machine. */
export const LOCAL_MACHINE = "local_machine";

/** Builds a series, with the whole machine as resource and consumer where nothing else is said. */
export function seriesOf(metric: Metric, rest: Partial<Omit<SeriesDefinition, "metric">> = {}): Series {
  return new Series(
    metric,
    rest.resourceKind ?? LOCAL_MACHINE,
    rest.resourceId ?? "",
    rest.consumerKind ?? LOCAL_MACHINE,
    rest.consumerId ?? "",
    rest.attributes ?? [],
  );
}

/** Approximate memory of one point in a batch, in bytes: what limits in bytes are counted with. */
export const BYTES_PER_POINT = 32;

const NO_SERIES = undefined as unknown as Series;

/**
 * Points, as columns. Rows `0 … length-1` are valid in each of them; the arrays themselves may be longer.
 *
 * Whoever fills a batch hands it to a sink and does not touch it again; readers read until they commit it.
 */
export class Batch {
  /** Number of points. */
  length = 0;
  /** The series of each point. */
  series: Series[];
  /** Whole seconds since the Unix epoch. */
  seconds: Float64Array<ArrayBuffer>;
  /** Nanoseconds within the second, 0 to 999,999,999. */
  nanos: Uint32Array<ArrayBuffer>;
  /** Values. A u64 above 2^53 is rounded here, and stands exactly in {@linkcode Batch.exact}. */
  values: Float64Array<ArrayBuffer>;
  /** Exact values of the u64 above 2^53, by row; `null` where there is none. */
  exact: Map<number, bigint> | null = null;
  /** Whose points these are, in the order of the rows and without gaps; empty for points of this process. */
  readonly origins: Origin[] = [];

  #capacity: number;
  #pool: BatchPool | null;

  /** @param capacity How many points fit before the columns grow. */
  constructor(capacity = 256, pool: BatchPool | null = null) {
    this.#capacity = capacity;
    this.#pool = pool;
    this.series = new Array(capacity).fill(NO_SERIES);
    this.seconds = new Float64Array(capacity);
    this.nanos = new Uint32Array(capacity);
    this.values = new Float64Array(capacity);
  }

  /** Approximate memory that the points take, in bytes. */
  get byteLength(): number {
    return this.length * BYTES_PER_POINT;
  }

  /** Appends a point whose value is a f64, or a u64 of at most 2^53. */
  push(series: Series, seconds: number, nanos: number, value: number): void {
    const row = this.length;
    if (row === this.#capacity) this.#grow();
    this.series[row] = series;
    this.seconds[row] = seconds;
    this.nanos[row] = nanos;
    this.values[row] = value;
    this.length = row + 1;
  }

  /** Appends a point whose value is any u64. */
  pushU64(series: Series, seconds: number, nanos: number, value: bigint): void {
    const row = this.length;
    this.push(series, seconds, nanos, Number(value));
    if (value > 9007199254740992n) (this.exact ??= new Map()).set(row, value);
  }

  /** The value of a row as an exact integer; only for metrics of type u64. */
  exactValue(row: number): bigint {
    return this.exact?.get(row) ?? BigInt(this.values[row]);
  }

  /** Appends row `row` of another batch. */
  pushFrom(other: Batch, row: number): void {
    const exact = other.exact?.get(row);
    if (exact !== undefined) this.pushU64(other.series[row], other.seconds[row], other.nanos[row], exact);
    else this.push(other.series[row], other.seconds[row], other.nanos[row], other.values[row]);
  }

  /**
   * Says that the rows from the last origin's end on are a client's, and with which number its batch ends here
   * (0: it does not number them).
   */
  credit(client: ClientRecord, sequence = 0): void {
    const last = this.origins.at(-1);
    if (sequence === 0 && (last?.end ?? 0) === this.length) return;
    if (last && last.client === client && last.sequence === 0 && sequence === 0) last.end = this.length;
    else this.origins.push({ client, start: last?.end ?? 0, end: this.length, sequence });
  }

  /** Forgets the points from row `length` on, and whose they are. */
  truncate(length: number): void {
    while (this.origins.length > 0 && this.origins.at(-1)!.end > length) this.origins.pop();
    this.series.fill(NO_SERIES, length, this.length);
    if (this.exact) {
      for (const row of this.exact.keys()) if (row >= length) this.exact.delete(row);
      if (this.exact.size === 0) this.exact = null;
    }
    this.length = length;
  }

  /** Takes out the rows from `start` on whose series fails the test. They must not be credited yet. */
  retain(start: number, test: (series: Series) => boolean): void {
    const { exact, length } = this;
    let to = start;
    for (let row = start; row < length; row++) {
      if (!test(this.series[row])) continue;
      if (to < row) {
        this.series[to] = this.series[row];
        this.seconds[to] = this.seconds[row];
        this.nanos[to] = this.nanos[row];
        this.values[to] = this.values[row];
        const value = exact?.get(row);
        exact?.delete(to);
        if (value !== undefined) exact!.set(to, value);
      }
      to++;
    }
    this.truncate(to);
  }

  /** Forgets everything. */
  clear(): void {
    this.truncate(0);
    this.origins.length = 0;
  }

  /** Makes room for so many points more. */
  reserve(points: number): void {
    while (this.length + points > this.#capacity) this.#grow();
  }

  /** Ends the use of this batch; one that came from a pool is used again. */
  release(): void {
    this.#pool?.give(this);
  }

  #grow(): void {
    const capacity = Math.max(16, this.#capacity * 2);
    const seconds = new Float64Array(capacity);
    const nanos = new Uint32Array(capacity);
    const values = new Float64Array(capacity);
    seconds.set(this.seconds);
    nanos.set(this.nanos);
    values.set(this.values);
    for (let i = this.#capacity; i < capacity; i++) this.series.push(NO_SERIES);
    this.seconds = seconds;
    this.nanos = nanos;
    this.values = values;
    this.#capacity = capacity;
  }
}

/** Batches of one capacity, used again and again so that a busy server does not allocate columns. */
export class BatchPool {
  readonly #free: Batch[] = [];

  /** At most `keep` unused batches of `capacity` points are kept. */
  constructor(readonly capacity: number, readonly keep: number) {}

  take(): Batch {
    return this.#free.pop() ?? new Batch(this.capacity, this);
  }

  give(batch: Batch): void {
    if (this.#free.length >= this.keep) return;
    batch.clear();
    this.#free.push(batch);
  }
}
