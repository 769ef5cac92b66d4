/**
 * Attribution by a formula, as Alumet does it: at each time of the reference series, every other series is interpolated
 * between its neighbours, and the formula is evaluated for each consumer.
 *
 * A time of the reference is evaluated for a consumer as soon as all series have come that far. Where a series has no
 * point before it, there is no result.
 */
import type { Metric, SeriesDefinition } from "../../points/measurement.ts";
import type { ClientRecord } from "../../points/origins.ts";
import type { Expression } from "../expressions/expression.ts";
import {
  Attribution,
  type AttributionOptions,
  type Feed,
  ResultSeries,
  type ResultSink,
} from "./attribution.ts";
import { consumerKey, Group, type Keyed, Sorted } from "./groups.ts";
import { PointList } from "./point_list.ts";
import { joinedAttributes } from "./result_attributes.ts";
import type { Source } from "./sources.ts";

/** A series of a formula. */
export interface Variable {
  /** Its name in the expression. */
  readonly name: string;
  readonly accepts: (series: SeriesDefinition) => boolean;
  readonly keepsAttributes: boolean;
}

export interface FormulaOptions extends AttributionOptions {
  readonly metric: Metric;
  /** Its variables are `perResource`, then `perConsumer`. */
  readonly expression: Expression;
  /** The place of the reference in `perResource`. */
  readonly reference: number;
  readonly perResource: readonly Variable[];
  readonly perConsumer: readonly Variable[];
  /** Whether a series that a consumer does not have is 0; otherwise the consumer has no results. */
  readonly missingIsZero: boolean;
  /** Told why the formula has no result for a point. */
  readonly onProblem: (problem: string) => void;
  /** Told that two series of one resource are one variable: only one of them counts at each time. */
  readonly onAmbiguous: (variable: string, one: SeriesDefinition, other: SeriesDefinition) => void;
}

/** The points of one consumer, or those of the resource, by variable. */
class Member implements Keyed {
  readonly lists: PointList[];
  readonly result = new ResultSeries();
  /** Times of the reference up to this one are done. */
  done = -Infinity;
  /** So are those up to a later one that had arrived before a tick: the points that it was due to are forgotten. */
  formers: { readonly tick: number; done: number }[] = [];
  isTouched = false;
  /** It is no longer known: another one takes its place if it has points again. */
  isGone = false;

  constructor(
    readonly key: string,
    readonly kind: string,
    readonly id: string,
    variables: number,
  ) {
    this.lists = Array.from({ length: variables }, () => new PointList());
  }
}

class FormulaGroup extends Group {
  readonly members = new Sorted<Member>();
  readonly general: Member;
  /** Times of the reference since the last results. */
  newTimes: number[] = [];

  constructor(
    key: string,
    client: ClientRecord,
    seconds: number,
    variables: number,
  ) {
    super(key, client, seconds);
    this.general = new Member("", "", "", variables);
  }

  protected override shift(ns: number): void {
    this.newTimes = this.newTimes.map((time) => time + ns);
    for (const member of [this.general, ...this.members.list]) {
      member.done += ns;
      for (const former of member.formers) former.done += ns;
      for (const list of member.lists) list.shift(ns);
    }
  }
}

interface FormulaFeed extends Feed<FormulaGroup> {
  /** Places of the variables that the series is, of the resource and of a consumer. */
  readonly general: readonly number[];
  readonly own: readonly number[];
  readonly consumerKey: string;
  member: Member | null;
}

export class FormulaAttribution extends Attribution<FormulaGroup, FormulaFeed> {
  readonly #options: FormulaOptions;
  readonly #used: Source[] = [];

  constructor(options: FormulaOptions) {
    super(options);
    this.#options = options;
  }

  protected override newGroup(key: string, client: ClientRecord, seconds: number): FormulaGroup {
    return new FormulaGroup(key, client, seconds, this.#options.perResource.length);
  }

  protected override feedFor(source: Source, groupKey: string): FormulaFeed | null {
    const { definition } = source;
    const places = (variables: readonly Variable[]) =>
      variables.flatMap(({ accepts }, i) => accepts(definition) ? [i] : []);
    const general = places(this.#options.perResource);
    const own = places(this.#options.perConsumer);
    if (general.length + own.length === 0) return null;
    const key = consumerKey(definition.consumerKind, definition.consumerId);
    return { source, groupKey, group: null, general, own, consumerKey: key, member: null };
  }

  protected override keep(group: FormulaGroup, feed: FormulaFeed, time: number, value: number): void {
    const { general, own, source } = feed;
    const { reference, perResource, perConsumer } = this.#options;
    for (const variable of general) {
      this.#add(group.general.lists[variable], perResource[variable].name, time, value, source);
      group.general.isTouched = true;
      if (variable === reference) group.newTimes.push(time);
    }
    if (own.length === 0) return;
    const member = feed.member?.isGone === false ? feed.member : this.#memberOf(group, feed);
    member.isTouched = true;
    for (const variable of own) {
      this.#add(member.lists[variable], perConsumer[variable].name, time, value, source);
    }
  }

  #memberOf({ members }: FormulaGroup, feed: FormulaFeed): Member {
    const { consumerKey: key, source: { definition: { consumerKind, consumerId } } } = feed;
    return feed.member = members.get(key) ??
      members.add(new Member(key, consumerKind, consumerId, this.#options.perConsumer.length));
  }

  #add(list: PointList, name: string, time: number, value: number, source: Source): void {
    const before = list.add(time, value, this.now, this.hold(source));
    if (before === undefined) return;
    if (before !== source) this.#options.onAmbiguous(name, before.definition, source.definition);
    this.release(before);
  }

  protected override complete(group: FormulaGroup, out: ResultSink): void {
    const { general, members, newTimes } = group;
    const generalLast = lastOf(general, false);
    for (const member of members.list) {
      if (!general.isTouched && !member.isTouched) continue;
      member.isTouched = false;
      const done = Math.min(generalLast, lastOf(member, this.#options.missingIsZero));
      this.#evaluateAll(group, member, done, newTimes, out);
      member.done = Math.max(member.done, done);
    }
    general.isTouched = false;
    if (newTimes.length > 0) group.newTimes = [];
  }

  /** Evaluates at the times that a consumer's series have come to, and at late ones. */
  #evaluateAll(
    group: FormulaGroup,
    member: Member,
    done: number,
    newTimes: readonly number[],
    out: ResultSink,
  ): void {
    const reference = group.general.lists[this.#options.reference];
    for (const time of newTimes) {
      if (time <= member.done) this.#evaluate(group, member, time, out);
    }
    for (let i = reference.placeOf(member.done); i < reference.end; i++) {
      const time = reference.times[i];
      if (time > done) break;
      if (time <= member.done) continue;
      const tick = reference.ticks[i];
      if (member.formers.some((former) => time <= former.done && tick < former.tick)) continue;
      this.#evaluate(group, member, time, out);
    }
  }

  #evaluate(group: FormulaGroup, member: Member, time: number, out: ResultSink): void {
    const { expression, perResource, perConsumer, onProblem, metric } = this.#options;
    const used = this.#used;
    used.length = 0;
    for (let i = 0; i < perResource.length; i++) {
      if (!this.#set(i, group.general.lists[i], time)) return;
    }
    for (let i = 0; i < perConsumer.length; i++) {
      const list = member.lists[i];
      if (list.isEmpty) expression.set(perResource.length + i, 0, true);
      else if (!this.#set(perResource.length + i, list, time)) return;
    }
    const value = expression.evaluate();
    if (expression.problem !== "") return onProblem(expression.problem);
    const series = member.result.number(this.store, used, () => this.#definition(member, metric));
    out.add(group.client, series, group.secondsOf(time), group.nanosOf(time), value);
  }

  /** Sets a variable to the value of its series at a time. @returns whether it has one. */
  #set(variable: number, list: PointList, time: number): boolean {
    const { expression } = this.#options;
    const { times, values, sources } = list;
    const place = list.placeOf(time);
    if (place === list.end) return false;
    const source = sources[place];
    const isInt = source.definition.metric.type === "u64";
    if (times[place] === time) {
      expression.set(variable, values[place], isInt);
      this.#used.push(source);
      return true;
    }
    if (place === list.start) return false;
    const share = (time - times[place - 1]) / (times[place] - times[place - 1]);
    const value = (1 - share) * values[place - 1] + share * values[place];
    expression.set(variable, isInt ? Math.round(value) : value, isInt);
    this.#used.push(sources[place - 1]);
    return true;
  }

  #definition({ kind, id, lists }: Member, metric: Metric): SeriesDefinition {
    const { perResource, perConsumer } = this.#options;
    const present = perConsumer.filter((_, i) => !lists[i].isEmpty);
    const sources = [...perResource, ...present]
      .map(({ name, keepsAttributes }, i) => ({ name, keepsAttributes, source: this.#used[i] }));
    const { resourceKind, resourceId } = this.#used[this.#options.reference].definition;
    const attributes = joinedAttributes(sources);
    return { metric, resourceKind, resourceId, consumerKind: kind, consumerId: id, attributes };
  }

  protected override expire(): void {}

  protected override finish(): void {}

  protected override forgetBefore({ general, members }: FormulaGroup, tick: number): boolean {
    for (const list of general.lists) list.forgetBefore(tick, this.release);
    const generalLast = lastOf(general, false);
    members.retain((member) => {
      for (const list of member.lists) list.forgetBefore(tick, this.release);
      if (member.lists.every(({ isEmpty }) => isEmpty)) {
        member.isGone = true;
        return false;
      }
      this.#stepBack(member, Math.min(generalLast, lastOf(member, this.#options.missingIsZero)), tick);
      return true;
    });
    return members.list.length > 0 || general.lists.some(({ isEmpty }) => !isEmpty);
  }

  /** The points that were the last ones may be forgotten: their times were far ahead of what has come since. */
  #stepBack(member: Member, last: number, tick: number): void {
    if (member.formers.length > 0) member.formers = member.formers.filter((former) => former.tick > tick);
    if (last >= member.done) return;
    member.formers.push({ tick: this.now, done: member.done });
    member.done = last;
  }
}

/** How far all series of a member have come; those without a point do not count if they are 0. */
function lastOf({ lists }: Member, missingIsZero: boolean): number {
  let last = Infinity;
  for (const list of lists) {
    if (!list.isEmpty || !missingIsZero) last = Math.min(last, list.last);
  }
  return last;
}
