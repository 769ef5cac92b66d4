/**
 * The last value of every series, by the name and the labels that it has in Prometheus: what cannot be told apart there
 * is one series here, so that a page is valid whatever arrives.
 */
import { valueProblem } from "../rendering/u64.ts";
import type { Batch, Metric, SeriesDefinition } from "../../points/measurement.ts";
import { SeriesColumn } from "../../points/series_column.ts";
import { type SeriesStore, seriesStore } from "../../points/series_store.ts";
import {
  escapeLabelValue,
  exposedName,
  labelsOf,
  METRIC_LABEL,
  type NamingOptions,
  unitWords,
} from "./naming.ts";

/** One line of a page. */
export class ExposedSeries {
  /** What stands before the value: the name and the labels. */
  head = "";
  /** The time of the value, as in a batch. */
  seconds = -1;
  nanos = 0;
  /** A u64 above 2^53 stands exactly in {@linkcode exact}. */
  value = 0;
  exact: bigint | null = null;
  /** When the value was taken, in ms of the monotonic clock. */
  takenMs = 0;
  /** It has not been removed. */
  live = true;
  /** Series of the process that have this line. */
  numbers = 0;

  /** @param place In the store's list. */
  constructor(
    readonly place: number,
    readonly family: ExposedFamily,
    readonly metric: string,
    readonly labels: string,
  ) {}
}

/** The series of one name. */
export interface ExposedFamily {
  readonly name: string;
  /** In words, empty for none; `null` where metrics of several units have this name. */
  unit: string | null;
  readonly help: string;
  /** By the name of the metric, then by the labels. More than one metric only where their names have become the same. */
  readonly metrics: Map<string, Map<string, ExposedSeries>>;
  /** Labels carry the metric's own name: it takes more than one metric once, and then stays as long as the family. */
  shared: boolean;
}

export interface StoreLimits {
  /** Series that are kept. */
  readonly series: number;
  /** UTF-16 units of the lines before their values. */
  readonly headLength: number;
}

export interface StoreStats extends Record<string, number> {
  /** Points that are, or were, the last of their series. */
  points: number;
  /** Points that were older than what their series had. */
  outdated: number;
  /** Points whose value is not what the type of their metric says: they are not shown. */
  invalid: number;
  /** Points of series for which there was no room. */
  refused: number;
  /** Series that are kept now. */
  series: number;
  /** Series that were removed because nothing came for them. */
  stale: number;
}

/** Instead of the place of a series for which there was no room: until room is made, it is refused. */
const REFUSED = 0xffffffff;

/** What a value takes on a page, about, with its line break and its time. */
const VALUE_BYTES = 32;

export class ExposedStore {
  readonly stats: StoreStats = { points: 0, outdated: 0, refused: 0, invalid: 0, series: 0, stale: 0 };
  /** Changes with every change of what a page would show. */
  version = 0;
  readonly #families = new Map<string, ExposedFamily>();
  readonly #names = new WeakMap<Metric, string>();
  readonly #options: NamingOptions;
  #limits: StoreLimits;
  /** By the number of a series: the place of its line in the list, + 1; {@linkcode REFUSED} where it has none. */
  readonly #places: SeriesColumn;
  readonly #list: ExposedSeries[] = [];
  /** Places in the list that are empty. */
  readonly #free: number[] = [];
  #headLength = 0;
  /** Some series were refused. */
  #hasRefused = false;

  constructor(options: NamingOptions, limits: StoreLimits, store: SeriesStore = seriesStore) {
    this.#options = options;
    this.#places = new SeriesColumn(store, (_, place) => this.#letGo(place));
    this.#limits = limits;
  }

  /** Series beyond a smaller limit stay until they stop. */
  set maxSeries(series: number) {
    this.#limits = { ...this.#limits, series };
    this.#makeRoom();
  }

  /** About how many bytes a page has. */
  get pageBytes(): number {
    return this.#headLength + VALUE_BYTES * this.stats.series;
  }

  get families(): Iterable<ExposedFamily> {
    return this.#families.values();
  }

  /**
   * Takes the points of a batch. A point replaces another one of its series that is not newer than it.
   *
   * @param nowMs The time on the monotonic clock.
   */
  take(batch: Batch, nowMs: number): void {
    const { stats } = this;
    const places = this.#places.values;
    for (let row = 0; row < batch.length; row++) {
      // Before a line is made, which would show a value that nobody has measured.
      if (valueProblem(batch, row) !== undefined) {
        stats.invalid++;
        continue;
      }
      const number = batch.series[row];
      const place = places[number];
      let exposed = place !== 0 && place !== REFUSED ? this.#list[place - 1] : undefined;
      if (exposed === undefined || !exposed.live) {
        exposed = place === REFUSED ? undefined : this.#place(number, batch.seriesAt(row));
        if (exposed === undefined) {
          stats.refused++;
          continue;
        }
      }
      const seconds = batch.seconds[row];
      const nanos = batch.nanos[row];
      if (seconds < exposed.seconds || seconds === exposed.seconds && nanos < exposed.nanos) {
        stats.outdated++;
        continue;
      }
      exposed.seconds = seconds;
      exposed.nanos = nanos;
      exposed.value = batch.values[row];
      exposed.exact = batch.exact?.get(row) ?? null;
      exposed.takenMs = nowMs;
      stats.points++;
    }
    if (batch.length > 0) this.version++;
  }

  /** Removes the series for which nothing has been taken since `sinceMs`. */
  sweep(sinceMs: number): void {
    let isRemoved = false;
    for (const family of this.#families.values()) {
      for (const [name, members] of family.metrics) {
        for (const [labels, exposed] of members) {
          if (exposed.takenMs >= sinceMs) continue;
          exposed.live = false;
          if (exposed.numbers === 0) this.#free.push(exposed.place);
          members.delete(labels);
          isRemoved = true;
          this.#headLength -= exposed.head.length;
          this.stats.series--;
          this.stats.stale++;
          this.version++;
        }
        if (members.size === 0) family.metrics.delete(name);
      }
      if (family.metrics.size === 0) this.#families.delete(family.name);
    }
    if (isRemoved) this.#makeRoom();
  }

  /** What was refused is tried again. */
  #makeRoom(): void {
    if (!this.#hasRefused) return;
    this.#hasRefused = false;
    const { values } = this.#places;
    for (let number = 0; number < values.length; number++) if (values[number] === REFUSED) values[number] = 0;
  }

  /** Finds or makes the line of a series, and remembers it; `undefined` where there is no room. */
  #place(number: number, series: SeriesDefinition): ExposedSeries | undefined {
    const { values } = this.#places;
    this.#letGo(values[number]);
    const exposed = this.#find(series);
    if (exposed) {
      exposed.numbers++;
      values[number] = exposed.place + 1;
    } else {
      this.#hasRefused = true;
      values[number] = REFUSED;
    }
    return exposed;
  }

  /** A series no longer has that line. */
  #letGo(place: number): void {
    if (place === 0 || place === REFUSED) return;
    const exposed = this.#list[place - 1];
    if (--exposed.numbers === 0 && !exposed.live) this.#free.push(exposed.place);
  }

  #find(series: SeriesDefinition): ExposedSeries | undefined {
    const { metric } = series;
    let name = this.#names.get(metric);
    if (name === undefined) this.#names.set(metric, name = exposedName(metric, this.#options));
    const labels = labelsOf(series, this.#options);
    const known = this.#families.get(name)?.metrics.get(metric.name)?.get(labels);
    if (known) return known;

    const length = name.length + labels.length;
    if (this.stats.series >= this.#limits.series || this.#headLength + length > this.#limits.headLength) {
      return undefined;
    }
    const family = this.#familyOf(name, metric);
    const exposed = new ExposedSeries(this.#free.pop() ?? this.#list.length, family, metric.name, labels);
    this.#list[exposed.place] = exposed;
    let members = family.metrics.get(metric.name);
    if (!members) family.metrics.set(metric.name, members = new Map());
    members.set(labels, exposed);
    this.#render(exposed);
    this.stats.series++;
    return exposed;
  }

  #familyOf(name: string, metric: Metric): ExposedFamily {
    const unit = unitWords(metric.unit);
    let family = this.#families.get(name);
    if (!family) {
      const help = metric.description.trim() || `Alumet metric ${metric.name}`;
      family = {
        name,
        unit,
        help: /[.!?]$/.test(help) ? help : `${help}.`,
        metrics: new Map(),
        shared: false,
      };
      this.#families.set(name, family);
      return family;
    }
    if (family.unit !== unit) family.unit = null;
    if (!family.shared && !family.metrics.has(metric.name)) {
      family.shared = true;
      for (const members of family.metrics.values()) {
        for (const exposed of members.values()) this.#render(exposed);
      }
    }
    return family;
  }

  #render(exposed: ExposedSeries): void {
    const { family, metric, labels } = exposed;
    this.#headLength -= exposed.head.length;
    const own = family.shared ? `${METRIC_LABEL}="${escapeLabelValue(metric)}",` : "";
    exposed.head = `${family.name}{${own}${labels}}`;
    this.#headLength += exposed.head.length;
  }
}
