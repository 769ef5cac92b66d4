/**
 * What flows through the pipe: metrics and series (./series.ts), and columnar batches of points.
 *
 * A {@linkcode Batch} is a set of columns: the number of the series (./series_store.ts), the time and the value. Nothing
 * is allocated per point. A number means something for as long as the batch is in use, that is until it is released.
 */
import type { ClientRecord, Origin } from "./origins.ts";
import type { Metric, Series, SeriesDefinition } from "./series.ts";
import { type SeriesStore, seriesStore } from "./series_store.ts";
export * from "./series.ts";

/** Approximate memory of one point in a batch, in bytes: what limits in bytes are counted with. */
export const BYTES_PER_POINT = 32;

/** Keeps the series of a batch from being given back. */
interface Hold {
  readonly store: SeriesStore;
  /** Since when; 0 while the batch has no points. */
  epoch: number;
}

/** Releases the hold of a batch that the garbage collector has taken: nobody can read its numbers any more. */
const abandoned = new FinalizationRegistry<Hold>((hold) => {
  if (hold.epoch !== 0) hold.store.release(hold.epoch);
});

/**
 * Points, as columns. Rows `0 … length-1` are valid in each of them; the arrays themselves may be longer.
 *
 * Whoever fills a batch hands it to a sink and does not touch it again; readers read until they commit it.
 */
export class Batch {
  /** Number of points. */
  length = 0;
  /** Numbers of the series of the points, in {@linkcode Batch.store}. */
  series: Uint32Array<ArrayBuffer>;
  /** Whole seconds since the Unix epoch. */
  seconds: Float64Array<ArrayBuffer>;
  /** Nanoseconds within the second, 0 to 999,999,999. */
  nanos: Uint32Array<ArrayBuffer>;
  /** Values. A u64 above 2^53 is rounded here; {@linkcode Batch.exact} has its exact value. */
  values: Float64Array<ArrayBuffer>;
  /** Exact values of the u64 above 2^53, by row; `null` if there are none. */
  exact: Map<number, bigint> | null = null;
  /** Whose points these are, in the order of the rows and without gaps; empty for points of this process. */
  readonly origins: Origin[] = [];
  /** Memory of the series that came with these points, in bytes: as long as the batch is in use, they stay. */
  newSeriesBytes = 0;

  #capacity: number;
  readonly #pool: BatchPool | null;
  readonly #hold: Hold;

  /** @param capacity How many points fit before the columns grow. */
  constructor(capacity = 256, pool: BatchPool | null = null, store: SeriesStore = seriesStore) {
    this.#capacity = capacity;
    this.#pool = pool;
    this.#hold = { store, epoch: 0 };
    abandoned.register(this, this.#hold);
    this.series = new Uint32Array(capacity);
    this.seconds = new Float64Array(capacity);
    this.nanos = new Uint32Array(capacity);
    this.values = new Float64Array(capacity);
  }

  /** Approximate memory that the points and their new series take, in bytes. */
  get byteLength(): number {
    return this.length * BYTES_PER_POINT + this.newSeriesBytes;
  }

  /** Whose numbers the series have. */
  get store(): SeriesStore {
    return this.#hold.store;
  }

  /** All of the series of a row, decoded. */
  seriesAt(row: number): SeriesDefinition {
    return this.store.definitionOf(this.series[row]);
  }

  metricAt(row: number): Metric {
    return this.store.metricOf(this.series[row]);
  }

  /**
   * To be called before rows are written into the columns themselves. From then on the store keeps the series that
   * are put into it; whoever puts them there says so in the store's column `seen`.
   */
  begin(): void {
    if (this.#hold.epoch === 0) this.#hold.epoch = this.store.hold();
  }

  /** Appends a point whose value is a f64, or a u64 of at most 2^53. */
  push(series: Series, seconds: number, nanos: number, value: number): void {
    this.pushNumber(this.store.numberOf(series), seconds, nanos, value);
  }

  /** The same for the number of a series. */
  pushNumber(series: number, seconds: number, nanos: number, value: number): void {
    const row = this.length;
    if (row === 0) this.begin();
    if (row === this.#capacity) this.#grow();
    this.store.seen[series] = this.store.epoch;
    this.series[row] = series;
    this.seconds[row] = seconds;
    this.nanos[row] = nanos;
    this.values[row] = value;
    this.length = row + 1;
  }

  /** Appends a point whose value is any u64. */
  pushU64(series: Series, seconds: number, nanos: number, value: bigint): void {
    this.pushExact(this.store.numberOf(series), seconds, nanos, value);
  }

  /** The same for the number of a series. */
  pushExact(series: number, seconds: number, nanos: number, value: bigint): void {
    const row = this.length;
    this.pushNumber(series, seconds, nanos, Number(value));
    if (value > 9007199254740992n) (this.exact ??= new Map()).set(row, value);
  }

  /** The value of a row as an exact integer; only for metrics of type u64. */
  exactValue(row: number): bigint {
    return this.exact?.get(row) ?? BigInt(this.values[row]);
  }

  /** Appends row `row` of another batch of the same store, as a point of its series or of another one. */
  pushFrom(other: Batch, row: number, series: number = other.series[row]): void {
    const exact = other.exact?.get(row);
    if (exact !== undefined) this.pushExact(series, other.seconds[row], other.nanos[row], exact);
    else this.pushNumber(series, other.seconds[row], other.nanos[row], other.values[row]);
  }

  /** The same points, in an empty batch of the same store; by default in columns that are no longer than they must be. */
  copy(copy: Batch = new Batch(this.length, null, this.store)): Batch {
    const { length, store, series } = this;
    if (length > 0) copy.begin();
    const { seen, epoch } = store;
    for (let row = 0; row < length; row++) seen[series[row]] = epoch;
    copy.series.set(series.subarray(0, length));
    copy.seconds.set(this.seconds.subarray(0, length));
    copy.nanos.set(this.nanos.subarray(0, length));
    copy.values.set(this.values.subarray(0, length));
    if (this.exact) copy.exact = new Map(this.exact);
    copy.length = length;
    copy.origins.push(...this.origins);
    copy.newSeriesBytes = this.newSeriesBytes;
    return copy;
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

  /** Removes the points from row `length` on, and their origins. */
  truncate(length: number): void {
    while (this.origins.length > 0 && this.origins.at(-1)!.end > length) this.origins.pop();
    if (length === 0) this.#letGo();
    if (this.exact) {
      for (const row of this.exact.keys()) if (row >= length) this.exact.delete(row);
      if (this.exact.size === 0) this.exact = null;
    }
    this.length = length;
  }

  /** Takes out the rows from `start` on that fail the test. They must not be credited yet. */
  retain(start: number, test: (series: number, row: number) => boolean): void {
    const { exact, length } = this;
    let to = start;
    for (let row = start; row < length; row++) {
      if (!test(this.series[row], row)) continue;
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
    this.newSeriesBytes = 0;
  }

  /** Makes room for more points. */
  reserve(points: number): void {
    while (this.length + points > this.#capacity) this.#grow();
  }

  /** Ends the use of this batch: its series may be given back, and one that came from a pool is used again. */
  release(): void {
    if (this.store.debug) this.store.assertLive(this.series, this.length);
    this.#letGo();
    this.#pool?.give(this);
  }

  #letGo(): void {
    const hold = this.#hold;
    if (hold.epoch === 0) return;
    hold.store.release(hold.epoch);
    hold.epoch = 0;
  }

  #grow(): void {
    const capacity = Math.max(16, this.#capacity * 2);
    const series = new Uint32Array(capacity);
    const seconds = new Float64Array(capacity);
    const nanos = new Uint32Array(capacity);
    const values = new Float64Array(capacity);
    series.set(this.series);
    seconds.set(this.seconds);
    nanos.set(this.nanos);
    values.set(this.values);
    this.series = series;
    this.seconds = seconds;
    this.nanos = nanos;
    this.values = values;
    this.#capacity = capacity;
  }
}

/** The shortest columns of a pool's smaller batches. */
const LEAST_CAPACITY = 64;

/** Batches of one capacity, used again and again so that a busy server does not allocate columns. */
export class BatchPool {
  readonly #free: Batch[] = [];
  /** Batches of half the capacity. */
  #smaller: BatchPool | null = null;

  /** At most `keep` unused batches of `capacity` points are kept. */
  constructor(
    readonly capacity: number,
    readonly keep: number,
    readonly store: SeriesStore = seriesStore,
  ) {}

  take(): Batch {
    return this.#free.pop() ?? new Batch(this.capacity, this, this.store);
  }

  /** A batch whose columns are at most about twice as long as that many points need; the pool keeps such ones, too. */
  takeFor(points: number): Batch {
    const half = this.capacity / 2;
    if (points > half || half < LEAST_CAPACITY) return this.take();
    return (this.#smaller ??= new BatchPool(half, this.keep, this.store)).takeFor(points);
  }

  give(batch: Batch): void {
    batch.clear();
    if (this.#free.length >= this.keep) return;
    this.#free.push(batch);
  }
}
