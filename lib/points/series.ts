/** What a point is about: metrics, series and their attributes. */

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

/**
 * A series that somebody in this process measures, and its number in a store. The number may be given back while
 * nothing is measured; the next point gets another one.
 */
export class Series implements SeriesDefinition {
  /** In the store that gave it, while the generation of that number is the same; 0 before the first point. */
  number = 0;
  generation = 0;
  /** The store that gave the number. */
  store: object | null = null;

  constructor(
    readonly metric: Metric,
    readonly resourceKind: string,
    readonly resourceId: string,
    readonly consumerKind: string,
    readonly consumerId: string,
    readonly attributes: readonly Attribute[],
  ) {}
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
