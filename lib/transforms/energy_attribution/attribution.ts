/**
 * What the two ways of attribution have in common. Points come in, in the order of a journal, and results go out.
 *
 * Everything that is kept is forgotten {@linkcode AttributionOptions.retentionTicks} ticks after it has arrived, so
 * what is kept depends on what has come since then, and on nothing before. Whoever begins to read the journal twice as
 * far back comes to the same results from now on.
 */
import type { Batch, SeriesDefinition } from "../../points/measurement.ts";
import type { ClientRecord } from "../../points/origins.ts";
import type { SeriesStore } from "../../points/series_store.ts";
import { BySeries } from "../by_series.ts";
import { type Group, groupKey, Sorted } from "./groups.ts";
import { Source } from "./sources.ts";

/** Takes results. */
export interface ResultSink {
  add(client: ClientRecord, series: number, seconds: number, nanos: number, value: number): void;
}

export interface AttributionOptions {
  readonly retentionTicks: number;
}

/** What is done with the points of a series. */
export interface Feed<G extends Group> {
  readonly source: Source;
  readonly groupKey: string;
  group: G | null;
}

/** What is known of a series that no declaration accepts; for others, the place of its feed behind it. */
const IGNORED = 1;
/** Memory of a point, and of a series with what is known of its consumer, in bytes: estimates. */
const POINT_BYTES = 64;
const SERIES_BYTES = 2400;
/** Feeds of series without points that may be there, beside as many as there are with some. */
const SPARE_FEEDS = 4096;

export abstract class Attribution<G extends Group, F extends Feed<G>> {
  /** Points that came too late for their results. */
  latePoints = 0;
  /** Ticks since the start. */
  protected now = 0;
  /** Whose numbers the series have. */
  protected store!: SeriesStore;
  protected readonly groups = new Sorted<G>();
  protected readonly retentionTicks: number;
  readonly #touched = new Set<G>();
  readonly #feeds: (F | null)[] = [];
  readonly #freeFeeds: number[] = [];
  readonly #places = new BySeries(
    (store, series) => this.#find(store, series),
    (place) => this.#forgetFeed(place),
  );
  #points = 0;
  /** Series with points that are kept. */
  #series = 0;

  constructor({ retentionTicks }: AttributionOptions) {
    this.retentionTicks = retentionTicks;
  }

  /** What is kept takes that much memory. */
  get bytes(): number {
    return this.#points * POINT_BYTES + this.#series * SERIES_BYTES;
  }

  /** Takes rows. @returns whether one of them matters. */
  take(batch: Batch, start: number, end: number, client: ClientRecord): boolean {
    this.store = batch.store;
    if (this.#feeds.length - this.#freeFeeds.length > 2 * this.#series + SPARE_FEEDS) {
      this.#forgetSpareFeeds();
    }
    const { series } = batch;
    const places = this.#places.of(batch, start, end);
    let matters = false;
    for (let row = start; row < end; row++) {
      const place = places[series[row]];
      if (place === IGNORED) continue;
      this.#takeRow(batch, row, client, this.#feeds[place - IGNORED - 1]!);
      matters = true;
    }
    return matters;
  }

  #takeRow(batch: Batch, row: number, client: ClientRecord, feed: F): void {
    let { group } = feed;
    if (group === null || group.isGone) {
      feed.group = group = this.groups.get(feed.groupKey) ??
        this.groups.add(this.newGroup(feed.groupKey, client, batch.seconds[row]));
    }
    group.client = client;
    const time = group.timeOf(batch.seconds[row], batch.nanos[row]);
    this.keep(group, feed, time, batch.values[row]);
    this.#touched.add(group);
  }

  /** Makes the results that the points since the last call complete. */
  settle(out: ResultSink): void {
    if (this.#touched.size === 0) return;
    const touched = [...this.#touched];
    this.#touched.clear();
    if (touched.length > 1) touched.sort((a, b) => a.key < b.key ? -1 : 1);
    for (const group of touched) this.complete(group, out);
  }

  /** A second has passed. */
  tick(out: ResultSink): void {
    this.settle(out);
    this.now++;
    for (const group of this.groups.list) this.expire(group, out);
    this.#forgetBefore(this.now - this.retentionTicks);
  }

  #forgetBefore(tick: number): void {
    this.groups.retain((group) => {
      if (this.forgetBefore(group, tick)) return true;
      group.isGone = true;
      return false;
    });
  }

  /** Forgets the points that arrived before a tick, and completes those that wait. */
  shed(tick: number, out: ResultSink): void {
    for (const group of this.groups.list) this.finish(group, tick, out);
    this.#forgetBefore(tick);
  }

  /** Completes everything, and forgets it. */
  flush(out: ResultSink): void {
    this.settle(out);
    for (const group of this.groups.list) {
      this.finish(group, Infinity, out);
      this.forgetBefore(group, Infinity);
      group.isGone = true;
    }
    this.groups.retain(() => false);
  }

  protected abstract newGroup(key: string, client: ClientRecord, seconds: number): G;
  /** What is done with the points of a series; `null` for nothing. */
  protected abstract feedFor(source: Source, groupKey: string): F | null;
  /** Keeps a point. */
  protected abstract keep(group: G, feed: F, time: number, value: number): void;
  /** Makes the results of a group that has got points. */
  protected abstract complete(group: G, out: ResultSink): void;
  /** Makes the results that have waited long enough. */
  protected abstract expire(group: G, out: ResultSink): void;
  /** Makes the results that wait and are of points that arrived before a tick. */
  protected abstract finish(group: G, tick: number, out: ResultSink): void;
  /** Forgets the points that arrived before a tick. @returns whether some are left. */
  protected abstract forgetBefore(group: G, tick: number): boolean;

  /** Counts a point that is kept from now on. */
  protected hold(source: Source): Source {
    this.#points++;
    if (!source.isHeld) this.#series++;
    source.hold();
    return source;
  }

  protected readonly release = (source: Source): void => {
    this.#points--;
    source.release();
    if (!source.isHeld) this.#series--;
  };

  #find(store: SeriesStore, series: number): number {
    const definition = store.definitionOf(series);
    const feed = this.feedFor(new Source(store, series, definition), groupKey(definition));
    if (feed === null) return IGNORED;
    const at = this.#freeFeeds.pop() ?? this.#feeds.length;
    this.#feeds[at] = feed;
    return IGNORED + 1 + at;
  }

  /** Series come, and have no points any more long before their numbers are given back. */
  #forgetSpareFeeds(): void {
    for (const [at, feed] of this.#feeds.entries()) {
      if (feed === null || feed.source.isHeld) continue;
      this.#places.forget(feed.source.series);
      this.#feeds[at] = null;
      this.#freeFeeds.push(at);
    }
  }

  #forgetFeed(place: number): void {
    if (place === IGNORED) return;
    const at = place - IGNORED - 1;
    this.#feeds[at] = null;
    this.#freeFeeds.push(at);
  }
}

/** A series of results, which is made again when its number was given back. */
export class ResultSeries {
  #store: SeriesStore | null = null;
  #number = 0;
  #generation = 0;
  #from: readonly unknown[] = [];

  /** The number of the series that is made of some sources. */
  number(
    store: SeriesStore,
    from: readonly Source[],
    make: () => SeriesDefinition,
  ): number {
    let isKnown = this.#store === store && store.generations[this.#number] === this.#generation &&
      from.length === this.#from.length;
    for (let i = 0; isKnown && i < from.length; i++) isKnown = from[i] === this.#from[i];
    if (isKnown) return this.#number;
    this.#store = store;
    this.#from = [...from];
    this.#number = store.internDefinition(make(), store.ownerOf(from[0].series));
    this.#generation = store.generations[this.#number];
    return this.#number;
  }
}
