/**
 * Attribution that adds up: the energy of an interval is divided by what consumers have used within that interval.
 *
 * An energy is about the time since the one before it in its series; what a consumer has used, about the time since the
 * consumer's point before, or where there is none since the poll before. A use that lies in two intervals is divided by
 * time. The shares of an energy add up to it exactly, whatever is missing: what nobody used, or nobody is known to have
 * used, goes to the consumer `idle`.
 *
 * An energy is divided when a point that came with it or after it is later by the grace, or when it has waited for half
 * of the retention.
 */
import { CLIENT_ATTRIBUTE, type SeriesDefinition } from "../../points/measurement.ts";
import type { Metric } from "../../points/measurement.ts";
import type { ClientRecord } from "../../points/origins.ts";
import { unitFactor } from "../../points/units.ts";
import {
  Attribution,
  type AttributionOptions,
  type Feed,
  ResultSeries,
  type ResultSink,
} from "./attribution.ts";
import { divide } from "./divide.ts";
import { consumerKey, Group, type Keyed, Sorted } from "./groups.ts";
import { ancestorOf } from "./nesting.ts";
import { PointList } from "./point_list.ts";
import { commonAttributes, joinedAttributes } from "./result_attributes.ts";
import type { Source } from "./sources.ts";

export const IDLE = "idle";

export interface ShareOptions extends AttributionOptions {
  /** The metric of the results, for that of an energy. */
  readonly metricFor: (energy: Metric) => Metric;
  readonly isEnergy: (series: SeriesDefinition) => boolean;
  readonly isUse: (series: SeriesDefinition) => boolean;
  /** What all consumers together could have used. */
  readonly isCapacity: (series: SeriesDefinition) => boolean;
  readonly keepsEnergyAttributes: boolean;
  readonly keepsUseAttributes: boolean;
  /** Whether what nobody used is for `idle`; otherwise the consumers share all of it. */
  readonly hasIdle: boolean;
  /** Consumers are those with the same value of this attribute, and of this kind; otherwise they are those of the points. */
  readonly by: { readonly attribute: string; readonly kind: string } | null;
  /** The use of a consumer contains that of those below it, by the paths that are their ids. */
  readonly isNested: boolean;
  readonly graceNs: number;
}

/** A series of what a consumer used. */
interface Part {
  readonly source: Source;
  /** What one of the metric's unit is in its base. */
  readonly factor: number;
  /** The value holds over the interval, as a percentage does; otherwise it is the sum over the interval, as a time is. */
  readonly isLevel: boolean;
  readonly list: PointList;
}

class Consumer implements Keyed {
  readonly parts: Part[] = [];
  /** It is no longer known: another one takes its place if it has points again. */
  isGone = false;
  /** For each series of energies. */
  readonly results = new Map<Chain, ResultSeries>();
  /** The one that contains it, if {@linkcode ShareOptions.isNested}. */
  parent: Consumer | null = null;

  constructor(readonly key: string, readonly kind: string, readonly id: string) {}
}

/** A series of energies. */
interface Chain extends Keyed {
  readonly list: PointList;
}

/** An energy that is not divided yet. */
interface Pending {
  readonly chain: Chain;
  time: number;
  readonly value: number;
  readonly source: Source;
  readonly tick: number;
  readonly client: ClientRecord;
}

class ShareGroup extends Group {
  readonly chains = new Sorted<Chain>();
  readonly consumers = new Sorted<Consumer>();
  readonly capacity = new Consumer("", "", "");
  readonly idle = new Consumer("", IDLE, "");
  /** When uses were measured: the times alone. */
  readonly polls = new PointList();
  pending: Pending[] = [];
  /** The latest point since the last results. */
  newest = -Infinity;
  /** Energies up to this time have been divided. */
  divided = -Infinity;
  /** Whether {@linkcode Consumer.parent} is known of all. */
  hasParents = true;

  protected override shift(ns: number): void {
    this.newest += ns;
    this.divided += ns;
    for (const pending of this.pending) pending.time += ns;
    this.polls.shift(ns);
    for (const { list } of this.chains.list) list.shift(ns);
    for (const { parts } of [this.capacity, ...this.consumers.list]) {
      for (const { list } of parts) list.shift(ns);
    }
  }
}

interface ShareFeed extends Feed<ShareGroup> {
  readonly isEnergy: boolean;
  readonly isCapacity: boolean;
  /** The text of the series among those of the group's energies. */
  readonly chainKey: string;
  /** Whose use it is. */
  readonly user: { readonly key: string; readonly kind: string; readonly id: string } | null;
  consumer: Consumer | null;
}

export class ShareAttribution extends Attribution<ShareGroup, ShareFeed> {
  readonly #options: ShareOptions;

  constructor(options: ShareOptions) {
    super(options);
    this.#options = options;
  }

  protected override newGroup(key: string, client: ClientRecord, seconds: number): ShareGroup {
    return new ShareGroup(key, client, seconds);
  }

  protected override feedFor(source: Source, groupKey: string): ShareFeed | null {
    const series = source.definition;
    const isEnergy = this.#options.isEnergy(series);
    const isCapacity = this.#options.isCapacity(series);
    const user = this.#options.isUse(series) ? this.#userOf(series) : null;
    if (!isEnergy && !isCapacity && user === null) return null;
    const chainKey = isEnergy ? textOf(source) : "";
    return { source, groupKey, group: null, isEnergy, isCapacity, chainKey, user, consumer: null };
  }

  #userOf({ consumerKind, consumerId, attributes }: SeriesDefinition): ShareFeed["user"] {
    const { by } = this.#options;
    if (by === null) {
      return { key: consumerKey(consumerKind, consumerId), kind: consumerKind, id: consumerId };
    }
    const value = attributes.find(([name]) => name === by.attribute)?.[1];
    if (value === undefined) return null;
    const id = String(value);
    return { key: consumerKey(by.kind, id), kind: by.kind, id };
  }

  protected override keep(group: ShareGroup, feed: ShareFeed, time: number, value: number): void {
    const { source, isEnergy, isCapacity, chainKey, user } = feed;
    group.newest = Math.max(group.newest, time);
    if (isEnergy) this.#keepEnergy(group, chainKey, time, value, source);
    if (isCapacity) this.#keepUse(group.capacity, time, value, source);
    if (user === null) return;
    if (time <= group.divided) this.latePoints++;
    const consumer = feed.consumer?.isGone === false ? feed.consumer : this.#consumerOf(group, feed, user);
    this.#keepUse(consumer, time, value, source);
    this.#add(group.polls, time, 0, source);
  }

  #consumerOf(
    group: ShareGroup,
    feed: ShareFeed,
    { key, kind, id }: NonNullable<ShareFeed["user"]>,
  ): Consumer {
    let consumer = group.consumers.get(key);
    if (!consumer) {
      consumer = group.consumers.add(new Consumer(key, kind, id));
      group.hasParents = false;
    }
    return feed.consumer = consumer;
  }

  #keepEnergy(group: ShareGroup, key: string, time: number, value: number, source: Source): void {
    const chain = group.chains.get(key) ?? group.chains.add({ key, list: new PointList() });
    if (time <= group.divided && time < chain.list.last) this.latePoints++;
    this.#add(chain.list, time, value, source);
    const { client } = group;
    group.pending.push({ chain, time, value, source: this.hold(source), tick: this.now, client });
  }

  #keepUse(consumer: Consumer, time: number, value: number, source: Source): void {
    let part = consumer.parts.find((part) => part.source === source);
    if (!part) {
      const { unit } = source.definition.metric;
      part = {
        source: this.hold(source),
        factor: unitFactor(unit) ?? 1,
        isLevel: unit.base === "%" || unit.base === "1" || unit.base === "W",
        list: new PointList(),
      };
      consumer.parts.push(part);
      // In the same order, however they became known.
      consumer.parts.sort((a, b) => textOf(a.source) < textOf(b.source) ? -1 : 1);
    }
    this.#add(part.list, time, value, source);
  }

  #add(list: PointList, time: number, value: number, source: Source): void {
    const before = list.add(time, value, this.now, this.hold(source));
    if (before !== undefined) this.release(before);
  }

  protected override complete(group: ShareGroup, out: ResultSink): void {
    const { newest } = group;
    group.newest = -Infinity;
    this.#divideWhere(group, ({ time }) => time + this.#options.graceNs <= newest, out);
  }

  protected override expire(group: ShareGroup, out: ResultSink): void {
    const limit = this.now - Math.floor(this.retentionTicks / 2);
    this.#divideWhere(group, ({ tick }) => tick <= limit, out);
  }

  protected override finish(group: ShareGroup, before: number, out: ResultSink): void {
    this.#divideWhere(group, ({ tick }) => tick < before, out);
  }

  #divideWhere(group: ShareGroup, isDue: (pending: Pending) => boolean, out: ResultSink): void {
    if (!group.pending.some(isDue)) return;
    const due = group.pending.filter(isDue);
    group.pending = group.pending.filter((pending) => !isDue(pending));
    if (this.#options.isNested && !group.hasParents) findParents(group.consumers);
    group.hasParents = true;
    for (const pending of due) {
      this.#divide(group, pending, out);
      this.release(pending.source);
    }
  }

  #divide(group: ShareGroup, pending: Pending, out: ResultSink): void {
    const { chain, time: end, value } = pending;
    const place = chain.list.placeOf(end);
    group.divided = Math.max(group.divided, end);
    const { list: consumers } = group.consumers;
    const uses = new Float64Array(consumers.length + 1);
    if (place > chain.list.start) this.#measure(group, chain, chain.list.times[place - 1], end, uses);
    const shares = divide(value, uses);
    for (let i = 0; i < consumers.length; i++) {
      if (shares[i] !== 0) this.#emit(group, pending, consumers[i], shares[i], out);
    }
    const idle = shares[consumers.length];
    if (idle !== 0) this.#emit(group, pending, group.idle, idle, out);
  }

  /** What each consumer used between two times; behind them, what nobody used. */
  #measure(group: ShareGroup, chain: Chain, start: number, end: number, uses: Float64Array): void {
    const { list: consumers } = group.consumers;
    const { isNested, hasIdle } = this.#options;
    for (let i = 0; i < consumers.length; i++) uses[i] = usedBy(consumers[i], group, chain, start, end);
    if (isNested) subtractInner(consumers, uses);
    if (!hasIdle) return;
    let used = 0;
    for (const use of uses) used += use;
    const capacity = usedBy(group.capacity, group, chain, start, end);
    uses[consumers.length] = Math.max(0, capacity - used);
  }

  #emit(group: ShareGroup, pending: Pending, consumer: Consumer, value: number, out: ResultSink): void {
    const { chain, time, source, client } = pending;
    let result = consumer.results.get(chain);
    if (!result) consumer.results.set(chain, result = new ResultSeries());
    const from = [source, ...consumer.parts.map(({ source }) => source)];
    const series = result.number(this.store, from, () => this.#definition(source, consumer));
    out.add(client, series, group.secondsOf(time), group.nanosOf(time), value);
  }

  #definition(energy: Source, { kind, id, parts }: Consumer): SeriesDefinition {
    const { metricFor, keepsEnergyAttributes, keepsUseAttributes } = this.#options;
    const { metric, resourceKind, resourceId } = energy.definition;
    const attributes = joinedAttributes([
      { source: energy, name: "energy", keepsAttributes: keepsEnergyAttributes },
    ]);
    const client = attributes.at(-1)?.[0] === CLIENT_ATTRIBUTE ? attributes.splice(-1) : [];
    const own = keepsUseAttributes && parts.length > 0
      ? commonAttributes(parts.map(({ source }) => source))
      : [];
    for (const attribute of own) {
      const [name] = attribute;
      if (name === CLIENT_ATTRIBUTE || attributes.some(([found]) => found === name)) continue;
      attributes.push(attribute);
    }
    return {
      metric: metricFor(metric),
      resourceKind,
      resourceId,
      consumerKind: kind,
      consumerId: id,
      attributes: [...attributes, ...client],
    };
  }

  protected override forgetBefore(group: ShareGroup, tick: number): boolean {
    const forgetParts = (consumer: Consumer) => {
      for (const { list } of consumer.parts) list.forgetBefore(tick, this.release);
      const empty = consumer.parts.filter(({ list }) => list.isEmpty);
      if (empty.length === 0) return;
      for (const { source } of empty) {
        consumer.parts.splice(consumer.parts.findIndex((part) => part.source === source), 1);
        this.release(source);
      }
    };
    group.polls.forgetBefore(tick, this.release);
    forgetParts(group.capacity);
    const all = group.consumers.retain((consumer) => {
      forgetParts(consumer);
      consumer.isGone = consumer.parts.length === 0;
      return !consumer.isGone;
    });
    if (!all) group.hasParents = false;
    const gone: Chain[] = [];
    group.chains.retain((chain) => {
      chain.list.forgetBefore(tick, this.release);
      if (!chain.list.isEmpty) return true;
      gone.push(chain);
      return false;
    });
    for (const chain of gone) {
      for (const { results } of [group.idle, ...group.consumers.list]) results.delete(chain);
    }
    return group.consumers.list.length + group.chains.list.length + group.capacity.parts.length > 0;
  }
}

/** What a consumer used between two times. */
function usedBy(
  { parts }: Consumer,
  { polls }: ShareGroup,
  chain: Chain,
  start: number,
  end: number,
): number {
  let used = 0;
  for (const { list, factor, isLevel } of parts) {
    const { times, values } = list;
    for (let i = list.placeOf(start); i < list.end; i++) {
      const until = times[i];
      if (until <= start) continue;
      const since = i > list.start ? times[i - 1] : beginOf(until, polls, chain.list);
      if (since >= end) break;
      const overlap = Math.min(end, until) - Math.max(start, since);
      const value = values[i] * factor;
      if (!(value > 0 && value < Infinity)) continue;
      used += isLevel ? value * overlap : value * (overlap / (until - since));
    }
  }
  return used;
}

/** When the time begins that the first point of a consumer is about. */
function beginOf(time: number, polls: PointList, energies: PointList): number {
  const poll = polls.placeOf(time);
  if (poll > polls.start) return polls.times[poll - 1];
  const energy = energies.placeOf(time);
  // Where nothing came before, it is not known.
  return energy > energies.start ? energies.times[energy - 1] : time;
}

function findParents(consumers: Sorted<Consumer>): void {
  for (const consumer of consumers.list) {
    consumer.parent = ancestorOf(consumer.id, (id) => consumers.get(consumerKey(consumer.kind, id)));
  }
}

/** Takes what inner consumers used from that of those that contain them. */
function subtractInner(consumers: readonly Consumer[], uses: Float64Array): void {
  const places = new Map(consumers.map((consumer, i) => [consumer, i]));
  const all = uses.slice();
  // The first one in their order is below none.
  for (let i = 1; i < consumers.length; i++) {
    const parent = consumers[i].parent && places.get(consumers[i].parent!);
    if (parent !== null && parent !== undefined) uses[parent] -= all[i];
  }
  for (let i = 0; i < uses.length; i++) if (!(uses[i] > 0)) uses[i] = 0;
}

/** A text for each series of a group. */
function textOf({ definition: { metric, consumerKind, consumerId, attributes } }: Source): string {
  return [metric.name, consumerKind, consumerId, ...attributes.map(([name, value]) => `${name}=${value}`)]
    .join("\0");
}
