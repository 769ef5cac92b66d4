/** What the parts of procfs share in making points. */
import type { Timestamp } from "../../base/clock.ts";
import type { Attribute, Batch, Series } from "../../points/measurement.ts";
import type { MetricDefinition } from "../../points/registry.ts";
import type { U64 } from "./scan.ts";

/** Units, by the names of the relay protocol. */
export const UNITY = { base: "1", prefix: "" };
export const BYTE = { base: "By", prefix: "" };
export const PERCENT = { base: "%", prefix: "" };
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

/** Attributes of one name with these values, each one as the list of a series. */
export function attributes(name: string, values: readonly string[]): (readonly Attribute[])[] {
  return values.map((value) => [[name, value]]);
}

/** Appends a u64. */
export function pushU64(batch: Batch, series: Series, t: Timestamp, value: U64): void {
  if (typeof value === "number") batch.push(series, t.seconds, t.nanos, value);
  else batch.pushU64(series, t.seconds, t.nanos, value);
}
