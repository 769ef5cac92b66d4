/**
 * What transforms cost over the plain pipe: `transforms.ts [TEXT…]` runs the cases with one of the texts in their names.
 * One batch of 4,096 points goes through again and again. Times are CPU time of the thread; the best of some rounds
 * counts, because other programs still take the caches away.
 */
import { MemoryJournal } from "../lib/journal.ts";
import { Batch, BatchPool, type Metric, seriesOf } from "../lib/points/measurement.ts";
import { openLibc } from "../lib/base/libc.ts";
import { seriesStore } from "../lib/points/series_store.ts";
import { ClientTable } from "../lib/points/origins.ts";
import { MetricRegistry } from "../lib/points/registry.ts";
import type { StagedTransform, Transform } from "../lib/plugin.ts";
import { config as aggregationConfig } from "../lib/transforms/aggregation/config.ts";
import { Aggregation } from "../lib/transforms/aggregation/transform.ts";
import { config as attributionConfig } from "../lib/transforms/energy_attribution/config.ts";
import { EnergyAttribution } from "../lib/transforms/energy_attribution/transform.ts";
import { config as convertConfig } from "../lib/transforms/convert/config.ts";
import { Convert } from "../lib/transforms/convert/transform.ts";
import { config as filterConfig } from "../lib/transforms/filter/config.ts";
import { Filter } from "../lib/transforms/filter/transform.ts";
import { config as relabelConfig } from "../lib/transforms/relabel/config.ts";
import { config as ratesConfig } from "../lib/transforms/rates/config.ts";
import { Rates } from "../lib/transforms/rates/transform.ts";
import { Relabel } from "../lib/transforms/relabel/transform.ts";
import { Stage } from "../lib/transforms/stage.ts";
import { contextWith } from "../tests/kit/context.ts";

const POINTS = 4096;
const ROUNDS = 7;
const PASSES = 500;
const CONSUMERS = 1000;
const POLLS = 300;
/** Series of one host, which come one behind the other. */
const HOST_SERIES = 740;
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

const isWanted = (name: string) => Deno.args.length === 0 || Deno.args.some((text) => name.includes(text));

const CLOCK_THREAD_CPUTIME_ID = 3;
const libc = openLibc({ clock_gettime: { parameters: ["i32", "buffer"], result: "i32" } })!;
const time = new BigInt64Array(2);
/** CPU time of this thread, in ms. */
function threadMs(): number {
  libc.symbols.clock_gettime(CLOCK_THREAD_CPUTIME_ID, time);
  return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
}

/** µs a point, the best of the rounds. */
function best(points: number, run: () => void): number {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const start = threadMs();
    run();
    least = Math.min(least, (threadMs() - start) * 1000 / points);
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
  if (!isWanted(name)) return;
  const batch = mixed();
  const each = best(POINTS * PASSES, () => {
    for (let pass = 0; pass < PASSES; pass++) {
      const result = transform.apply(batch);
      if (result !== batch) result.release();
    }
  });
  console.log(`${name.padEnd(42)} ${each.toFixed(4)} µs a point`);
}

/** Numbers below a limit, the same ones in each run. */
function dice(seed = 1): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

/** Puts blocks of an order into another order, where what is in a block stays as it is. */
function shuffle(order: Uint32Array<ArrayBuffer>, blockSize: number, roll: ReturnType<typeof dice>): void {
  const before = order.slice();
  const blocks = Array.from({ length: Math.ceil(order.length / blockSize) }, (_, i) => i);
  let to = 0;
  while (blocks.length > 0) {
    const at = roll(blocks.length);
    const from = blocks[at] * blockSize;
    blocks[at] = blocks[blocks.length - 1];
    blocks.pop();
    const block = before.subarray(from, from + blockSize);
    order.set(block, to);
    to += block.length;
  }
}

/**
 * Batches of 4,096 points from one journal in memory to the next, and on to an output: the plain pipe is one journal.
 * Each pass is a poll of all series, 5 s after the one before.
 *
 * @param blockSize So many series always come one behind the other, and their blocks each time in another order.
 */
async function staged(
  name: string,
  values: Record<string, unknown> | null,
  seriesCount: number,
  blockSize = seriesCount,
): Promise<void> {
  if (!isWanted(name)) return;
  const numbers = Uint32Array.from({ length: seriesCount }, (_, i) => {
    const number = seriesStore.numberOf(seriesOf(energy, { consumerKind: "process", consumerId: String(i) }));
    // Between polls, nothing else may need them.
    seriesStore.pin(number);
    return number;
  });
  const passes = Math.max(5 * PASSES_OF_WINDOW, Math.ceil(PASSES * POINTS / 4 / seriesCount));
  // By the place of a pass in its minute: in one of them windows begin, in one they end. The first minutes make series.
  const least = new Array<number>(PASSES_OF_WINDOW).fill(Infinity);
  let peak = 0;
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
    const roll = dice();
    for (let pass = 0; pass < passes; pass++) {
      let busyMs = 0;
      const order = numbers.slice();
      if (blockSize < seriesCount) shuffle(order, blockSize, roll);
      for (let from = 0; from < seriesCount; from += POINTS) {
        const batch = pool.take();
        for (let i = from; i < Math.min(seriesCount, from + POINTS); i++) {
          batch.pushNumber(order[i], START + pass * 5, 0, i);
        }
        const began = threadMs();
        void before.append(batch);
        // The stage runs when this waits.
        do await Promise.resolve(); while (before !== after && before.pendingPoints > 0);
        while (reader.next()) reader.commit(1);
        busyMs += threadMs() - began;
      }
      const place = pass % PASSES_OF_WINDOW;
      if (pass >= 2 * PASSES_OF_WINDOW) least[place] = Math.min(least[place], busyMs);
      peak = Math.max(peak, Deno.memoryUsage().rss);
    }
    before.end();
    await running;
  }
  const perPoint = (ms: number) => (ms * 1000 / seriesCount).toFixed(4);
  const each = perPoint(least.reduce((sum, ms) => sum + ms) / PASSES_OF_WINDOW);
  console.log(
    `${name.padEnd(42)} ${each} µs a point (${perPoint(Math.min(...least))}, and ` +
      `${perPoint(Math.max(...least))} where windows end), ${(peak / 2 ** 20).toFixed(0)} MiB`,
  );
}

/** Polls of 1,000 consumers, each with an energy, by the transform alone. */
function alone(name: string, open: () => StagedTransform): void {
  if (!isWanted(name)) return;
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
    const transform = open();
    results = 0;
    for (let poll = 0; poll < POLLS; poll++) {
      batch.truncate(0);
      for (const one of series) batch.push(one, 1_700_000_000 + poll, 0, 50);
      transform.take(batch, 0, batch.length, local, poll, out);
      transform.settle?.(out);
      transform.tick(out);
    }
  });
  console.log(
    `${name.padEnd(42)} ${each.toFixed(4)} µs a point, ${
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
const attribution = (values: Record<string, unknown>) => () =>
  new EnergyAttribution(attributionConfig.check(values, [], report), context);
alone(
  "attribution by a formula",
  attribution({
    formulas: { a: { expr: "energy * usage / 100.0", ref: "energy", ...SERIES } },
  }),
);
alone("attribution by shares", attribution({ formulas: { b: { as: "share", ...SERIES } } }));
alone("rates", () => new Rates(ratesConfig.check({ rules: [{ metric: "*" }] }, [], report), context));
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
await staged("aggregation, a million, hosts in any order", sums, 1_000_000, HOST_SERIES);
await staged("aggregation, a million, pieces in any order", sums, 1_000_000, HOST_SERIES / 10);
await staged("aggregation, a million in any order", sums, 1_000_000, 1);
