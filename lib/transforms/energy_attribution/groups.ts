/**
 * What attributions keep: points by client and resource, and there by consumer. Consumers and groups have texts by which
 * they are sorted, so that results come in the same order however they became known.
 */
import type { ClientRecord } from "../../points/origins.ts";
import { CLIENT_ATTRIBUTE, type SeriesDefinition } from "../../points/measurement.ts";

/** Times are numbers up to this far from the base, in ns, so that each ns is a number of its own. */
const MAX_DISTANCE_NS = 2 ** 52;

/** Something that is kept sorted by its text. */
export interface Keyed {
  readonly key: string;
}

/** Things with different texts, sorted by them. */
export class Sorted<T extends Keyed> {
  readonly list: T[] = [];
  readonly #byKey = new Map<string, T>();

  get(key: string): T | undefined {
    return this.#byKey.get(key);
  }

  add(item: T): T {
    this.#byKey.set(item.key, item);
    const { list } = this;
    let [start, end] = [0, list.length];
    while (start < end) {
      const middle = (start + end) >>> 1;
      if (list[middle].key < item.key) start = middle + 1;
      else end = middle;
    }
    list.splice(start, 0, item);
    return item;
  }

  /** Keeps those that pass a test. @returns whether all do. */
  retain(test: (item: T) => boolean): boolean {
    const { list } = this;
    let kept = 0;
    for (const item of list) {
      if (test(item)) list[kept++] = item;
      else this.#byKey.delete(item.key);
    }
    const all = kept === list.length;
    list.length = kept;
    return all;
  }
}

/** The points of one client about one resource. */
export abstract class Group implements Keyed {
  /** It is no longer known: another one took its place, or will. */
  isGone = false;
  /** Seconds of time 0. */
  #base: number;

  constructor(readonly key: string, public client: ClientRecord, seconds: number) {
    this.#base = seconds;
  }

  /** A time in ns since the base, which moves if need be. */
  timeOf(seconds: number, nanos: number): number {
    const time = (seconds - this.#base) * 1e9 + nanos;
    if (Math.abs(time) <= MAX_DISTANCE_NS) return time;
    this.shift((this.#base - seconds) * 1e9);
    this.#base = seconds;
    return nanos;
  }

  secondsOf(time: number): number {
    return this.#base + Math.floor(time / 1e9);
  }

  nanosOf(time: number): number {
    return time - Math.floor(time / 1e9) * 1e9;
  }

  /** Moves all times. */
  protected abstract shift(ns: number): void;
}

/** The text of a series' group: whose machine it is about, and the resource. */
export function groupKey({ attributes, resourceKind, resourceId }: SeriesDefinition): string {
  const client = attributes.findLast(([name]) => name === CLIENT_ATTRIBUTE)?.[1] ?? "";
  return [client, resourceKind, resourceId].join("\0");
}

export function consumerKey(kind: string, id: string): string {
  return `${kind}\0${id}`;
}
