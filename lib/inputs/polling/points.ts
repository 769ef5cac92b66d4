/**
 * How sources make points: they declare metrics and series once, and then hand values to {@linkcode Points}. This is
 * the one place where a polled input meets batches.
 */
import type { Clock, Timestamp } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import type { Logger } from "../../base/log.ts";
import type { Attribute, Batch, Series } from "../../points/measurement.ts";
import type { MetricDefinition } from "../../points/registry.ts";
import type { U64 } from "./scan.ts";

export { type Attribute, type Metric, type Series, seriesOf } from "../../points/measurement.ts";

/** Units, by the names of the relay protocol. */
export const UNITY = { base: "1", prefix: "" };
export const BYTE = { base: "By", prefix: "" };
export const JOULE = { base: "J", prefix: "" };
export const WATT = { base: "W", prefix: "" };
export const PERCENT = { base: "%", prefix: "" };
export const MICROSECOND = { base: "s", prefix: "micro" };
export const MILLISECOND = { base: "s", prefix: "milli" };
export const NANOSECOND = { base: "s", prefix: "nano" };

/** Declares a metric of type u64. */
export function u64Metric(
  name: string,
  unit: MetricDefinition["unit"],
  description: string,
): MetricDefinition {
  return { name, type: "u64", unit, description };
}

/** Declares a metric of type f64. */
export function f64Metric(
  name: string,
  unit: MetricDefinition["unit"],
  description: string,
): MetricDefinition {
  return { name, type: "f64", unit, description };
}

/** Attributes of one name with these values, each one as the list of a series. */
export function attributes(name: string, values: readonly string[]): (readonly Attribute[])[] {
  return values.map((value) => [[name, value]]);
}

/** The largest number that stands for itself alone: above it, a u64 is a bigint. */
const MAX_EXACT = 2 ** 53;
const MAX_U64 = 2n ** 64n - 1n;

/**
 * Takes the points of one input, a poll at a time. A value that its type cannot hold costs its own point alone: no
 * output could store it, and no frame could carry it. Such points are counted, and reported at most once a minute.
 */
export class Points {
  /** Points that were left out. */
  refused = 0;
  /** The time of all points of this poll. */
  time: Timestamp = { seconds: 0, nanos: 0 };
  readonly #log: Logger;
  readonly #complaint: Complaint;
  #batch: Batch | null = null;

  constructor(clock: Clock, log: Logger) {
    this.#log = log;
    this.#complaint = new Complaint(clock);
  }

  /** Points go into this batch from now on, with this time. */
  begin(batch: Batch, time: Timestamp): void {
    this.#batch = batch;
    this.time = time;
  }

  /** Appends the point of a u64. */
  u64(series: Series, value: U64): void {
    const { seconds, nanos } = this.time;
    if (typeof value === "bigint") {
      if (value < 0n || value > MAX_U64) return this.#refuse(series, value);
      this.#batch!.pushU64(series, seconds, nanos, value);
    } else {
      if (!(value >= 0 && value <= MAX_EXACT && Number.isInteger(value))) return this.#refuse(series, value);
      this.#batch!.push(series, seconds, nanos, value);
    }
  }

  /** Appends the point of a f64. */
  f64(series: Series, value: number): void {
    if (!Number.isFinite(value)) return this.#refuse(series, value);
    this.#batch!.push(series, this.time.seconds, this.time.nanos, value);
  }

  #refuse({ metric }: Series, value: U64): void {
    this.refused++;
    this.#complaint.add((points) => {
      this.#log.warn(`Cannot use a value of ${metric.name}: it is not a valid ${metric.type}`, {
        value: Number.isNaN(value) ? undefined : value,
        points,
      });
    });
  }
}
