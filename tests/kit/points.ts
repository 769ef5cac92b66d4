/** Points for tests. */
import { createHash } from "node:crypto";
import { Batch, type Metric, type Series, seriesOf } from "../../lib/points/measurement.ts";
import { metricOf } from "./decode.ts";

/** `count` points of a series that number themselves from `first` on, in the value and in the nanoseconds. */
export function numbered(count: number, first = 0, series: Series = NUMBERS): Batch {
  const batch = new Batch(count);
  for (let i = first; i < first + count; i++) batch.push(series, 1_700_000_000, i, i);
  return batch;
}

export const NUMBERS = seriesOf(metricOf("numbers"));

export function batchOf(
  rows: [series: Series, value: number | bigint, seconds?: number, nanos?: number][],
): Batch {
  const batch = new Batch(1);
  for (const [series, value, seconds = 1_700_000_000, nanos = 0] of rows) {
    if (typeof value === "bigint") batch.pushU64(series, seconds, nanos, value);
    else batch.push(series, seconds, nanos, value);
  }
  return batch;
}

export function series(metric: Metric, attributes: Series["attributes"] = []): Series {
  return seriesOf(metric, { attributes });
}

/** The instance id that the client with this name has in tests. */
export function instanceOf(name: string): string {
  return createHash("md5").update(name).digest("hex");
}
