/** Recorded cases of transforms: a configuration, the points that were put in, and what a real Alumet agent made of them. */
import { parse } from "@std/toml";
import { type Attribute, Batch, type Metric, seriesOf } from "../../lib/points/measurement.ts";
import type { MetricRegistry } from "../../lib/points/registry.ts";
import { unitDisplayName } from "../../lib/points/units.ts";
import type { Transform, TransformPlugin } from "../../lib/plugin.ts";
import { plugins } from "../../lib/plugins.ts";
import { testdataText } from "./bytes.ts";
import { contextWith } from "./context.ts";

/** Keys that make a transform compute what Alumet's computes, where that is not the default; by case and section. */
export const COMPATIBLE: Readonly<Record<string, Record<string, Record<string, unknown>>>> = {
  tdp: { "energy-estimation-tdp": { compatible: true } },
};

interface Input {
  readonly metrics: readonly { name: string; type: Metric["type"]; unit: string; prefix?: string }[];
  readonly polls: readonly (readonly {
    m: string;
    t: [seconds: number, nanos: number];
    v: number;
    rk?: string;
    ri?: string;
    ck?: string;
    ci?: string;
    a?: Record<string, string | number | boolean>;
  }[])[];
}

/** One point, in words: all but the value, and the value. */
export type Point = readonly [about: string, value: number];

/** The transforms of a configuration, in the order of its sections. */
export async function transformsOf(
  toml: string,
  registry: MetricRegistry,
  extra: Record<string, Record<string, unknown>> = {},
): Promise<Transform[]> {
  const sections = parse(toml).plugins as Record<string, Record<string, unknown>>;
  const transforms: Transform[] = [];
  for (const [name, values] of Object.entries(sections)) {
    const plugin = plugins.find((plugin) => plugin.name === name);
    if (plugin?.kind !== "transform" || plugin.staged) continue;
    const config = plugin.config.check({ ...values, ...extra[name] }, ["plugins", name], ({ message }) => {
      throw new Error(`${name}: ${message}`);
    });
    transforms.push(await (plugin as TransformPlugin<unknown>).open(config, contextWith({ registry })));
  }
  return transforms;
}

/** The polls of a case as batches, each with its points in their order. */
export function batchesOf(name: string, registry: MetricRegistry): Batch[] {
  const { metrics, polls }: Input = JSON.parse(testdataText(`transforms/${name}/input.json`));
  const known = new Map(
    metrics.map(({ name, type, unit, prefix = "" }) => [
      name,
      registry.register({ name, type, unit: { base: unit, prefix } }),
    ]),
  );
  return polls.map((poll) => {
    const batch = new Batch(poll.length);
    for (const { m, t: [seconds, nanos], v, rk, ri, ck, ci, a = {} } of poll) {
      const series = seriesOf(known.get(m)!, {
        resourceKind: rk,
        resourceId: ri,
        consumerKind: ck,
        consumerId: ci,
        attributes: Object.entries(a).map((attribute): Attribute => attribute),
      });
      batch.push(series, seconds, nanos, v);
    }
    return batch;
  });
}

/** What left the pipe of a real agent. */
export function expectedOf(name: string): Point[] {
  const [, ...rows] = testdataText(`transforms/${name}/expected.csv`).trimEnd().split("\n");
  return rows.map((row) => {
    const [metric, time, value, ...rest] = row.split(";");
    const [, seconds, fraction = ""] = time.match(/^(.*?)(?:\.(\d+))?Z$/)!;
    return [
      [metric, Date.parse(`${seconds}Z`) / 1000, Number(fraction.padEnd(9, "0")), ...rest].join(";"),
      Number(value),
    ];
  });
}

/** The same of a batch. */
export function pointsOf(batch: Batch): Point[] {
  return Array.from({ length: batch.length }, (_, row) => {
    const { metric, resourceKind, resourceId, consumerKind, consumerId, attributes } = batch.seriesAt(row);
    const unit = unitDisplayName(metric.unit);
    const about = [
      unit === "" ? metric.name : `${metric.name}_${unit}`,
      batch.seconds[row],
      batch.nanos[row],
      resourceKind,
      resourceId,
      consumerKind,
      consumerId,
      attributes.map(([name, value]) => `${name}=${value}`).join(","),
    ];
    return [about.join(";"), batch.values[row]];
  });
}

/** Whether values are the same but for 1 part in 10^12. */
const isSame = (a: number, b: number) => Math.abs(a - b) <= 1e-12 * Math.abs(b);

/** Points that only one of the two has, as multisets. */
export function compare(
  actual: readonly Point[],
  expected: readonly Point[],
): { missing: Point[]; surplus: Point[] } {
  const left = new Map<string, number[]>();
  for (const [about, value] of actual) left.set(about, [...left.get(about) ?? [], value]);
  const missing: Point[] = [];
  for (const [about, value] of expected) {
    const values = left.get(about) ?? [];
    const at = values.findIndex((own) => isSame(own, value));
    if (at < 0) missing.push([about, value]);
    else values.splice(at, 1);
  }
  const surplus = [...left].flatMap(([about, values]) => values.map((value): Point => [about, value]));
  return { missing, surplus };
}

/** Points that only one of the two has, as multisets; values may differ by 1 part in 10^12. */
export function differences(actual: readonly Point[], expected: readonly Point[]): string[] {
  const order = (points: readonly Point[]) =>
    [...points].sort(([a, v], [b, w]) => a < b ? -1 : a > b ? 1 : v - w);
  const [left, right] = [order(actual), order(expected)];
  const found: string[] = [];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [a, v] = left[i] ?? ["nothing", 0];
    const [b, w] = right[i] ?? ["nothing", 0];
    if (a !== b || !isSame(v, w)) found.push(`${a} = ${v}, expected ${b} = ${w}`);
  }
  return found;
}
