/**
 * What transforms cost over the plain pipe: `transforms.ts [PART…]`. One batch of 4,096 points goes through again and
 * again; the best of some rounds counts, because other programs only add to a time.
 */
import { Batch, type Metric, seriesOf } from "../lib/points/measurement.ts";
import { ClientTable } from "../lib/points/origins.ts";
import { MetricRegistry } from "../lib/points/registry.ts";
import type { Transform } from "../lib/plugin.ts";
import { config as attributionConfig } from "../lib/transforms/energy_attribution/config.ts";
import { EnergyAttribution } from "../lib/transforms/energy_attribution/transform.ts";
import { config as convertConfig } from "../lib/transforms/convert/config.ts";
import { Convert } from "../lib/transforms/convert/transform.ts";
import { config as filterConfig } from "../lib/transforms/filter/config.ts";
import { Filter } from "../lib/transforms/filter/transform.ts";
import { config as relabelConfig } from "../lib/transforms/relabel/config.ts";
import { Relabel } from "../lib/transforms/relabel/transform.ts";
import { contextWith } from "../tests/kit/context.ts";

const POINTS = 4096;
const ROUNDS = 7;
const PASSES = 500;
const CONSUMERS = 1000;
const POLLS = 300;

const registry = new MetricRegistry();
const context = contextWith({ registry });
const report = ({ path, message }: { path: readonly unknown[]; message: string }) => {
  throw new Error(`${path.join(".")}: ${message}`);
};
const energy = registry.register({ name: "energy", type: "f64", unit: { base: "J", prefix: "" } });
const usage = registry.register({ name: "usage", type: "f64", unit: { base: "%", prefix: "" } });
const other = registry.register({ name: "other", type: "f64", unit: { base: "By", prefix: "" } });

/** µs a point, the best of the rounds. */
function best(points: number, run: () => void): number {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    run();
    least = Math.min(least, (performance.now() - start) * 1000 / points);
  }
  return least;
}

/** Half of the points are of one metric, half of another one. */
function mixed(): Batch {
  const batch = new Batch(POINTS);
  for (let i = 0; i < POINTS; i++) {
    batch.push(seriesOf(i % 2 ? energy : other, { consumerId: String(i) }), 1_700_000_000, i, i);
  }
  return batch;
}

function simple(name: string, transform: Transform): void {
  const batch = mixed();
  const each = best(POINTS * PASSES, () => {
    for (let pass = 0; pass < PASSES; pass++) {
      const result = transform.apply(batch);
      if (result !== batch) result.release();
    }
  });
  console.log(`${name.padEnd(40)} ${each.toFixed(4)} µs a point`);
}

/** Polls of 1,000 consumers, each with an energy. */
function attribution(name: string, values: Record<string, unknown>): void {
  const metrics: [Metric, string][] = [
    [energy, ""],
    ...Array.from({ length: CONSUMERS }, (_, i): [Metric, string] => [
      usage,
      String(i),
    ]),
  ];
  const series = metrics.map(([metric, consumerId]) =>
    seriesOf(metric, { consumerKind: consumerId ? "process" : "local_machine", consumerId })
  );
  const { local } = new ClientTable();
  const batch = new Batch(series.length);
  let results = 0;
  const out = { pass: () => {}, add: () => void results++ };
  const each = best(POLLS * series.length, () => {
    const transform = new EnergyAttribution(attributionConfig.check(values, [], report), context);
    results = 0;
    for (let poll = 0; poll < POLLS; poll++) {
      batch.truncate(0);
      for (const one of series) batch.push(one, 1_700_000_000 + poll, 0, 50);
      transform.take(batch, 0, batch.length, local, poll, out);
      transform.settle(out);
      transform.tick(out);
    }
  });
  console.log(
    `${name.padEnd(40)} ${each.toFixed(4)} µs a point, ${
      Math.round(1e6 / each).toLocaleString("en")
    } points/s, ` +
      `${results.toLocaleString("en")} results`,
  );
}

const SERIES = {
  per_resource: { energy: { metric: "energy" } },
  per_consumer: { usage: { metric: "usage" } },
};
simple("filter, nothing taken out", new Filter(filterConfig.check({ exclude: ["x"] }, [], report), context));
simple(
  "filter, half taken out",
  new Filter(filterConfig.check({ include: ["energy"] }, [], report), context),
);
const rename = { rules: [{ metric: "energy", rename: "e", add: { site: "lyon" } }] };
simple("relabel, half of the points", new Relabel(relabelConfig.check(rename, [], report), context));
const kwh = { rules: [{ metric: "energy", unit: "kWh" }] };
simple("convert, half of the points", new Convert(convertConfig.check(kwh, [], report), context));
attribution("attribution by a formula", {
  formulas: { a: { expr: "energy * usage / 100.0", ref: "energy", ...SERIES } },
});
attribution("attribution by shares", { formulas: { b: { as: "share", ...SERIES } } });
