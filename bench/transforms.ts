/**
 * What transforms cost over the plain pipe: `transforms.ts [PART…]`. One batch of 4,096 points goes through again and
 * again; the best of some rounds counts, because other programs only add to a time.
 */
import { MemoryJournal } from "../lib/journal.ts";
import { Batch, BatchPool, type Metric, seriesOf } from "../lib/points/measurement.ts";
import { ClientTable } from "../lib/points/origins.ts";
import { MetricRegistry } from "../lib/points/registry.ts";
import type { Transform } from "../lib/plugin.ts";
import { config as aggregationConfig } from "../lib/transforms/aggregation/config.ts";
import { Aggregation } from "../lib/transforms/aggregation/transform.ts";
import { config as attributionConfig } from "../lib/transforms/energy_attribution/config.ts";
import { EnergyAttribution } from "../lib/transforms/energy_attribution/transform.ts";
import { config as convertConfig } from "../lib/transforms/convert/config.ts";
import { Convert } from "../lib/transforms/convert/transform.ts";
import { config as filterConfig } from "../lib/transforms/filter/config.ts";
import { Filter } from "../lib/transforms/filter/transform.ts";
import { config as relabelConfig } from "../lib/transforms/relabel/config.ts";
import { Relabel } from "../lib/transforms/relabel/transform.ts";
import { Stage } from "../lib/transforms/stage.ts";
import { contextWith } from "../tests/kit/context.ts";

const POINTS = 4096;
const ROUNDS = 7;
const PASSES = 500;
const CONSUMERS = 1000;
const POLLS = 300;
/** The grace is over when a window of a minute begins. */
const START = 1_700_000_040 + 5;
/** Polls of 5 s in a minute. */
const PASSES_OF_WINDOW = 12;

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

/**
 * Batches of 4,096 points from one journal in memory to the next, and on to an output: the plain pipe is one journal.
 * Each pass is a poll of all series, 5 s after the one before.
 */
async function staged(
  name: string,
  values: Record<string, unknown> | null,
  seriesCount: number,
): Promise<void> {
  const numbers = Array.from(
    { length: seriesCount },
    (_, i) => seriesOf(energy, { consumerKind: "process", consumerId: String(i) }),
  );
  const passes = Math.max(5 * PASSES_OF_WINDOW, Math.ceil(PASSES * POINTS / 4 / seriesCount));
  let [least, ending, peak] = [Infinity, Infinity, 0];
  for (let round = 0; round < (seriesCount > 100_000 ? 1 : ROUNDS); round++) {
    const after = new MemoryJournal({ limitBytes: 1e9 });
    const before = values ? new MemoryJournal({ limitBytes: 1e9 }) : after;
    const reader = after.reader("out");
    const stage = values && await Stage.open({
      ...{ name, config: {}, before, after, directory: null, log: context.log, clock: context.clock },
      open: () =>
        Promise.resolve(
          new Aggregation(aggregationConfig.check(values, [], report), {
            ...context,
            clients: before.clients,
          }),
        ),
    });
    const running = stage?.run(new AbortController().signal);
    const pool = new BatchPool(POINTS, 8);
    for (let pass = 0; pass < passes; pass++) {
      let busyMs = 0;
      for (let from = 0; from < seriesCount; from += POINTS) {
        const batch = pool.take();
        for (let i = from; i < Math.min(seriesCount, from + POINTS); i++) {
          batch.push(numbers[i], START + pass * 5, 0, i);
        }
        const began = performance.now();
        void before.append(batch);
        // The stage runs when this waits.
        await Promise.resolve();
        while (before !== after && before.pendingPoints > 0) {
          await new Promise((resolve) => setTimeout(resolve, 0));
        }
        while (reader.next()) reader.commit(1);
        busyMs += performance.now() - began;
      }
      // Other programs only add to a time; windows end in one pass of twelve, so that counts with its share.
      if (pass % PASSES_OF_WINDOW === 0) ending = Math.min(ending, busyMs);
      else least = Math.min(least, busyMs);
      peak = Math.max(peak, Deno.memoryUsage().rss);
    }
    before.end();
    await running;
  }
  const each = (ending + (PASSES_OF_WINDOW - 1) * least) / PASSES_OF_WINDOW * 1000 / seriesCount;
  console.log(
    `${name.padEnd(40)} ${each.toFixed(4)} µs a point, ${(peak / 2 ** 20).toFixed(0)} MiB`,
  );
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
const sums = { metrics: ["energy"] };
await staged("plain pipe", null, POINTS);
await staged("aggregation, nothing aggregated", { metrics: ["other"] }, POINTS);
await staged("aggregation, sum", sums, POINTS);
await staged("aggregation, six functions", {
  ...sums,
  function: ["Sum", "Mean", "Min", "Max", "Count", "Last"],
}, POINTS);
await staged("aggregation, P95", { ...sums, function: "P95" }, POINTS);
await staged("aggregation, sum of all consumers", { ...sums, group_by: [] }, POINTS);
await staged("plain pipe, a million series", null, 1_000_000);
await staged("aggregation, a million series", sums, 1_000_000);
