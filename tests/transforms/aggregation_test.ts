/** What aggregation makes of points. */
import assert from "node:assert/strict";
import type { Batch, Metric, SeriesDefinition } from "../../lib/points/measurement.ts";
import { seriesOf } from "../../lib/points/measurement.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { seriesStore } from "../../lib/points/series_store.ts";
import { unitUniqueName } from "../../lib/points/units.ts";
import type { StageOutput } from "../../lib/plugin.ts";
import { config, graceOf } from "../../lib/transforms/aggregation/config.ts";
import { Windows } from "../../lib/transforms/aggregation/windows.ts";
import { Aggregation } from "../../lib/transforms/aggregation/transform.ts";
import { contextWith } from "../kit/context.ts";
import { createLogger } from "../../lib/base/log.ts";
import { batchOf } from "../kit/points.ts";

const START = 1_700_000_000;

/** An aggregation, and what has come out of it. */
class Bench {
  readonly registry = new MetricRegistry();
  readonly clients = new ClientTable();
  readonly lines: string[] = [];
  readonly aggregation: Aggregation;
  readonly watts = this.registry.register({ name: "watts", type: "f64", unit: { base: "W", prefix: "" } });
  readonly count = this.registry.register({ name: "n", type: "u64", unit: { base: "By", prefix: "" } });
  /** Lines `metric value` or, where there are more series than one, with what `show` says. */
  readonly out: string[] = [];
  show: (series: SeriesDefinition) => string = () => "";
  #place = 0;

  constructor(keys: Record<string, unknown>, memory?: number) {
    const checked = config.check(
      { interval: "10s", grace: "1s", metrics: ["watts", "n"], ...keys },
      [],
      ({ message }) => assert.fail(message),
    );
    const log = createLogger("test", { write: (line) => void this.lines.push(line) });
    this.aggregation = new Aggregation(
      { ...checked, memory: memory ?? checked.memory },
      contextWith({ log, ...this }),
    );
  }

  readonly #output: StageOutput = {
    pass: (batch, row) =>
      this.#put(batch.store.definitionOf(batch.series[row]), batch.seconds[row], batch.values[row]),
    add: (client, series, seconds, nanos, value) => {
      assert.ok(nanos % 1e6 === 0 && nanos >= 0 && nanos < 1e9, `${nanos}`);
      const name = client === this.clients.local ? "" : ` of ${client.name}`;
      this.#put(seriesStore.definitionOf(series), seconds + nanos / 1e9, value, name);
    },
  };

  #put(series: SeriesDefinition, seconds: number, value: number | bigint, of = ""): void {
    this.out.push(`${seconds - START}: ${series.metric.name}${this.show(series)} ${value}${of}`);
  }

  /** Points of one batch, at seconds from the start. */
  take(
    points: readonly [seconds: number, value: number | bigint, more?: Partial<SeriesDefinition>][],
    metric: Metric = this.watts,
  ): void {
    const batch: Batch = batchOf(points.map(([seconds, value, more]) => {
      const whole = Math.floor(seconds);
      return [seriesOf(metric, more), value, START + whole, Math.round((seconds - whole) * 1e9)];
    }));
    const { local } = this.clients;
    this.aggregation.take(batch, 0, batch.length, local, this.#place++, this.#output);
    this.aggregation.settle(this.#output);
  }

  tick(times: number): void {
    for (let n = 0; n < times; n++) this.aggregation.tick(this.#output);
  }

  /** What has come out since the last time. */
  get results(): string[] {
    return this.out.splice(0);
  }

  get everything(): string[] {
    this.aggregation.flush(this.#output);
    return this.results;
  }
}

Deno.test("each function makes its own metric of the points of a window", () => {
  const functions = ["Sum", "Mean", "Min", "Max", "Count", "Last", "Rate", "P50", "P99.9", "P0"];
  const bench = new Bench({ function: functions });
  bench.take([[0, 3], [1, 1.5], [2, 8], [9.999, 2.5]]);
  assert.deepEqual(bench.everything, [
    "0: watts_sum 15",
    "0: watts_mean 3.75",
    "0: watts_min 1.5",
    "0: watts_max 8",
    "0: watts_count 4",
    "0: watts_last 2.5",
    "0: watts_rate 1.5",
    "0: watts_p50 2.5",
    "0: watts_p99_9 8",
    "0: watts_p0 1.5",
  ]);
});

Deno.test("types and units are those of the metric, but for counts and rates", () => {
  const bench = new Bench({ function: ["Sum", "Count", "Rate"], metrics: ["*"] });
  const units = (metric: Metric) => {
    bench.show = ({ metric: { type, unit } }) => ` ${type} ${unitUniqueName(unit)}`;
    bench.take([[0, 20]], metric);
    return bench.everything.map((line) => line.split(": ")[1]);
  };
  const metric = (name: string, base: string, prefix = "") =>
    bench.registry.register({ name, type: "u64", unit: { base, prefix } });
  assert.deepEqual(units(metric("e", "J", "milli")), [
    "e_sum u64 milliJ 20",
    "e_count u64 1 1",
    "e_rate f64 milliW 2",
  ]);
  assert.deepEqual(units(metric("t", "s", "milli")), [
    "t_sum u64 millis 20",
    "t_count u64 1 1",
    "t_rate f64 1 0.002",
  ]);
  assert.deepEqual(units(metric("b", "By")), ["b_sum u64 By 20", "b_count u64 1 1", "b_rate f64 By/s 2"]);
});

Deno.test("integers above 2^53 are exact, and a mean of integers is rounded down", () => {
  const bench = new Bench({ function: ["Sum", "Mean", "Min", "Max", "Last"] });
  bench.take([[0, 5], [1, 2n ** 60n + 1n], [2, 3], [3, 2n ** 60n + 7n]], bench.count);
  assert.deepEqual(bench.everything, [
    `0: n_sum ${2n ** 61n + 16n}`,
    `0: n_mean ${(2n ** 61n + 16n) / 4n}`,
    "0: n_min 3",
    `0: n_max ${2n ** 60n + 7n}`,
    `0: n_last ${2n ** 60n + 7n}`,
  ]);
  bench.take([[0, 2 ** 52], [1, 2 ** 52], [2, 1]], bench.count);
  assert.equal(bench.everything[0], `0: n_sum ${2n ** 53n + 1n}`);
  bench.take([[0, 2n ** 64n - 1n], [1, 2n ** 64n - 1n]], bench.count);
  assert.equal(bench.everything[0], `0: n_sum ${2n ** 64n - 1n}`, "as much as a u64 holds");
  bench.take([[0, 1], [1, 2], [2, 2]], bench.count);
  assert.equal(bench.everything[1], "0: n_mean 1");
});

Deno.test("each function is exact and right without the others", () => {
  const results = ["Sum", "Mean", "Min", "Max", "Last", "Count", "P50"].map((name) => {
    const bench = new Bench({ function: name });
    bench.take([[0, 4], [1, 9], [2, 2]]);
    bench.take([[0, 5], [1, 2n ** 60n + 1n], [2, 3]], bench.count);
    const [watts, exact] = bench.everything.map((line) => line.split(" ").at(-1));
    return `${name} ${watts} ${exact}`;
  });
  assert.deepEqual(results, [
    `Sum 15 ${2n ** 60n + 9n}`,
    `Mean 5 ${(2n ** 60n + 9n) / 3n}`,
    "Min 2 3",
    `Max 9 ${2n ** 60n + 1n}`,
    "Last 2 3",
    "Count 3 3",
    "P50 4 5",
  ]);
});

Deno.test("windows take the memory of what their functions need alone", () => {
  const windows = (functions: string[]) => {
    const bench = new Bench({ function: functions, memory: "1MiB" });
    let most = 0;
    for (let i = 0; i < 200 && bench.aggregation.stats.completedEarly === 0; i++) {
      most = bench.aggregation.stats.openWindows;
      bench.take(Array.from({ length: 100 }, (_, n) => [3, 1, { consumerId: String(100 * i + n) }]));
    }
    assert.ok(bench.aggregation.stats.completedEarly > 0);
    return most;
  };
  const ofSums = windows(["Sum", "Count", "Mean"]);
  // With the series of each, which takes 80 bytes and its texts.
  assert.ok(ofSums > 5000 && ofSums < 7000, `${ofSums}`);
  assert.ok(windows(["Sum", "Last"]) < ofSums);
  assert.ok(windows(["Sum", "Min"]) < windows(["Sum", "Last"]));
  // A value takes memory, too.
  assert.ok(windows(["P50"]) < windows(["Last"]));
});

Deno.test("no window takes no memory, also after there were some", () => {
  const windows = new Windows({ extremes: true, last: true, values: true });
  assert.equal(windows.bytes, 0);
  const window = windows.open();
  const before = windows.bytes;
  windows.values[window] = [1, 2];
  windows.valueCount += 2;
  assert.ok(windows.bytes >= before + 2 * 8);
  windows.close(window);
  assert.equal(windows.bytes, 0);
  assert.equal(windows.open(), window, "it is used again");
  const bytesOf = (extremes: boolean, last: boolean) => {
    const windows = new Windows({ extremes, last, values: false });
    windows.open();
    return windows.bytes;
  };
  assert.equal(
    bytesOf(true, false) - bytesOf(false, false),
    2 * (bytesOf(false, true) - bytesOf(false, false)),
  );
});

Deno.test("each of more windows than there is room for at first has its least, largest and last value", () => {
  const bench = new Bench({ function: ["Min", "Max", "Last"] });
  bench.show = ({ consumerId }) => ` ${consumerId}`;
  const ids = Array.from({ length: 1500 }, (_, i) => i);
  for (const [n, offset] of [2, 1, 3].entries()) {
    bench.take(ids.map((i) => [n, 10 * i + offset, { consumerId: `${i}` }]));
  }
  const expected = ids.flatMap((i) =>
    [["min", 1], ["max", 3], ["last", 3]].map(([name, offset]) =>
      `0: watts_${name} ${i} ${10 * i + Number(offset)}`
    )
  );
  assert.deepEqual(bench.everything, expected);
});

Deno.test("a window is complete when a point of its series is younger than its end and the grace", () => {
  const bench = new Bench({});
  bench.take([[8, 1], [10.5, 2], [9, 4], [10.999, 8]]);
  assert.deepEqual(bench.results, []);
  bench.take([[11, 16]]);
  assert.deepEqual(bench.results, ["0: watts_sum 5"]);
  // Another series completes nothing.
  bench.take([[100, 1, { consumerId: "x" }]]);
  assert.deepEqual(bench.results, []);
  bench.take([[35, 32]]);
  assert.deepEqual(bench.results, ["10: watts_sum 26"]);
  assert.deepEqual(bench.everything.sort(), ["100: watts_sum 1", "30: watts_sum 32"]);
});

Deno.test("silence completes a window, however old its points are", () => {
  const bench = new Bench({ interval: "1s", grace: "0s" });
  assert.equal(bench.aggregation.tickMs, 250);
  bench.take([[-5000, 1, { consumerId: "old" }], [7, 2]]);
  bench.tick(4);
  assert.deepEqual(bench.results, []);
  // A point of the other window makes that wait again.
  bench.take([[7.5, 4]]);
  bench.tick(1);
  assert.deepEqual(bench.results, ["-5000: watts_sum 1"]);
  bench.tick(3);
  assert.deepEqual(bench.results, []);
  bench.tick(1);
  assert.deepEqual(bench.results, ["7: watts_sum 6"]);
  assert.equal(bench.aggregation.neededFrom, Infinity);
});

Deno.test("a clock that is set back loses no point: results of one window add up, and late points are counted", () => {
  const bench = new Bench({});
  bench.take([[5, 1], [15, 2], [25, 4]]);
  bench.take([[5, 8], [6, 16], [15, 32], [25, 64], [35, 128], [47, 256]]);
  const totals = new Map<string, number>();
  for (const line of bench.everything) {
    const [, window, value] = line.match(/^(\d+): watts_sum (\d+)$/)!;
    totals.set(window, (totals.get(window) ?? 0) + Number(value));
  }
  assert.deepEqual([...totals].sort(([a], [b]) => Number(a) - Number(b)), [
    ["0", 25],
    ["10", 34],
    ["20", 68],
    ["30", 128],
    ["40", 256],
  ]);
  assert.ok(bench.aggregation.stats.late >= 3);
});

Deno.test("group_by adds up over what it does not list", () => {
  const of = (client: string, id: string, domain: string): Partial<SeriesDefinition> => ({
    resourceKind: "cpu_package",
    resourceId: id,
    consumerKind: "process",
    consumerId: "17",
    attributes: [["domain", domain], ["relay_client", client]],
  });
  const points: Parameters<Bench["take"]>[0] = [
    [0, 1, of("a", "0", "core")],
    [1, 2, of("a", "1", "core")],
    [2, 4, of("a", "0", "dram")],
    [3, 8, of("b", "0", "core")],
  ];
  const outcome = (group_by: string[]) => {
    const bench = new Bench({ group_by });
    bench.show = ({ resourceKind, resourceId, consumerKind, consumerId, attributes }) =>
      ` ${resourceKind}/${resourceId} ${consumerKind}/${consumerId} ${attributes.join(" ")}`;
    bench.take(points);
    return bench.everything;
  };
  const machine = "local_machine/ local_machine/";
  assert.deepEqual(outcome([]), [`0: watts_sum ${machine}  15`]);
  assert.deepEqual(outcome(["relay_client"]), [
    `0: watts_sum ${machine} relay_client,a 7`,
    `0: watts_sum ${machine} relay_client,b 8`,
  ]);
  assert.deepEqual(outcome(["domain", "resource_kind"]), [
    "0: watts_sum cpu_package/ local_machine/ domain,core 11",
    "0: watts_sum cpu_package/ local_machine/ domain,dram 4",
  ]);
  assert.deepEqual(outcome(["resource", "consumer"]), [
    "0: watts_sum cpu_package/0 process/17  13",
    "0: watts_sum cpu_package/1 process/17  2",
  ]);
});

Deno.test("points of other metrics pass at once, and a name that does not occur is no reason to stop", () => {
  const bench = new Bench({ metrics: ["watts", "never"] });
  bench.take([[0, 1], [1, 2]], bench.count);
  assert.deepEqual(bench.results, ["0: n 1", "1: n 2"]);
  assert.equal(bench.aggregation.stats.points, 0);
});

Deno.test("windows that take too much memory are completed early, counted and reported; their points add up", () => {
  const bench = new Bench({ memory: "1MiB", function: "Count" });
  const points = Array.from({ length: 4096 }, (_, i): [number, number] => [i * 10, 1]);
  // Each series has one window, and its second point comes when that was completed.
  for (let round = 0; round < 2; round++) {
    for (let part = 0; part < 4; part++) {
      bench.take(points.map(([, value], i) => [3, value, { consumerId: String(part * 4096 + i) }]));
    }
  }
  assert.ok(bench.aggregation.stats.completedEarly > 24_000, JSON.stringify(bench.aggregation.stats));
  const total = bench.everything.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  assert.equal(total, 2 * 4 * 4096);
  assert.match(bench.lines.join(), /completed early/);
});

Deno.test("the journal is needed from the oldest open window on, and not at all when all are complete", () => {
  const bench = new Bench({ memory: "1GiB" });
  const { aggregation } = bench;
  for (let part = 0; part < 5; part++) {
    bench.take(Array.from({ length: 1000 }, (_, i) => [3, 1, { consumerId: String(part * 1000 + i) }]));
  }
  assert.equal(aggregation.stats.openWindows, 5000);
  assert.equal(aggregation.neededFrom, 0);
  // Completes all windows of the first batch.
  bench.take(Array.from({ length: 1000 }, (_, i) => [15, 1, { consumerId: String(i) }]));
  assert.equal(bench.results.length, 1000);
  assert.equal(aggregation.neededFrom, 1);
  assert.equal(bench.everything.length, 5000);
  assert.equal(aggregation.stats.openWindows, 0);
  assert.equal(aggregation.neededFrom, Infinity);
});

Deno.test("a percentile is one of the values, and P100 is the largest of them", () => {
  const bench = new Bench({ function: ["P1", "P50", "P100"] });
  bench.take(Array.from({ length: 200 }, (_, i) => [i / 100, i + 1]));
  assert.deepEqual(bench.everything, ["0: watts_p1 2", "0: watts_p50 100", "0: watts_p100 200"]);
});

Deno.test("a rate of seconds whose prefix is not known is that of the numbers", () => {
  const bench = new Bench({ function: "Rate", metrics: ["odd"] });
  const odd = bench.registry.register({ name: "odd", type: "f64", unit: { base: "s", prefix: "odd" } });
  bench.take([[0, 20]], odd);
  assert.deepEqual(bench.everything, ["0: odd_rate 2"]);
});

Deno.test("without keys windows are sums of a minute, wait for 5 s, and stay open at a stop", () => {
  const { interval, function: functions, grace, complete_at_stop, metrics } = config.defaultValue();
  assert.deepEqual([interval, functions, grace, complete_at_stop, metrics], [
    60_000,
    ["Sum"],
    undefined,
    false,
    [],
  ]);
  assert.equal(graceOf(config.defaultValue()), 5000);
  assert.equal(graceOf({ ...config.defaultValue(), interval: 2000 }), 2000);
  assert.equal(graceOf({ ...config.defaultValue(), grace: 7000 }), 7000);
  for (const { doc } of Object.values(config.keys!)) assert.match(doc, /^[A-Z].*\.$/);
  assert.match(config.doc, /^Replaces .*\.$/);
});

Deno.test("what the keys say wrong is said", () => {
  const problems = (keys: Record<string, unknown>) => {
    const found: string[] = [];
    config.check(
      { metrics: ["x"], ...keys },
      [],
      ({ path, message }) => void found.push(`${path}: ${message}`),
    );
    return found.join();
  };
  assert.equal(problems({}), "");
  assert.match(problems({ function: "sum" }), /function: .*Sum, Mean/);
  assert.match(problems({ function: ["Sum", "P101"] }), /P101|percentile/);
  assert.match(problems({ interval: "1500us" }), /interval: .*whole number of ms/);
  assert.match(problems({ interval: "1s", grace: "2m" }), /grace: .*more than 64 intervals/);
  assert.equal(problems({ interval: "1s", grace: "64s" }), "");
  assert.match(problems({ function: [] }), /function: must not be an empty list/);
  assert.match(problems({ metrics: [""] }), /metrics: has an empty name/);
});

Deno.test("the least and the largest value may be the first ones", () => {
  const bench = new Bench({ function: ["Min", "Max"] });
  bench.take([[0, 1], [1, 5], [2, 3]]);
  assert.deepEqual(bench.everything, ["0: watts_min 1", "0: watts_max 5"]);
  bench.take([[0, 9], [1, 5], [2, 7]]);
  assert.deepEqual(bench.everything, ["0: watts_min 5", "0: watts_max 9"]);
});

Deno.test("a sum of floats beyond 2^53 is the sum of the floats", () => {
  const bench = new Bench({});
  bench.take([[0, 2 ** 60], [1, 0.5], [2, 2 ** 60]]);
  assert.deepEqual(bench.everything, [`0: watts_sum ${2 ** 61}`]);
});

Deno.test("points, results and late points are counted, for each window that was complete, of either type", () => {
  const bench = new Bench({ function: ["Mean", "Sum"], metrics: ["*"] });
  const { stats } = bench.aggregation;
  assert.deepEqual(stats, { points: 0, results: 0, late: 0, completedEarly: 0, openWindows: 0 });
  bench.take([[5, 1n], [15, 2n], [25, 4n]], bench.count);
  bench.take([[5, 1], [15, 2], [25, 4]]);
  assert.deepEqual(stats, { points: 6, results: 8, late: 0, completedEarly: 0, openWindows: 2 });
  bench.tick(10);
  assert.deepEqual(stats, { points: 6, results: 12, late: 0, completedEarly: 0, openWindows: 0 });
  // Two windows of each that were complete, and one that was not.
  bench.take([[6, 1], [26, 2], [27, 0.5], [35, 1]]);
  bench.take([[6, 1], [26, 2], [35, 1]], bench.count);
  const means = bench.everything.filter((line) => /watts_mean/.test(line));
  assert.deepEqual(means.slice(-3), ["0: watts_mean 1", "20: watts_mean 1.25", "30: watts_mean 1"]);
  assert.deepEqual(stats, { points: 13, results: 24, late: 5, completedEarly: 0, openWindows: 0 });
});

Deno.test("a window is late only if it or a later one was complete, however many windows after 1970 it is", () => {
  for (const seconds of [0, 2 ** 31 / 1000, 2 ** 32 / 1000]) {
    const bench = new Bench({ interval: "1ms", grace: "0s" });
    const { stats } = bench.aggregation;
    bench.take([[seconds, 1]]);
    bench.take([[seconds + 0.001, 1]]);
    assert.equal(bench.everything.length, 2);
    assert.equal(stats.late, 0);
    for (const late of [seconds + 0.001, seconds, seconds - 1]) bench.take([[late, 1]]);
    assert.equal(bench.everything.length, 3);
    assert.equal(stats.late, 3);
  }
});

Deno.test("the time of a result is the beginning of its window, to the millisecond", () => {
  const bench = new Bench({ interval: "250ms" });
  bench.take([[0.3, 1], [1.999, 2]]);
  assert.deepEqual(bench.everything, ["0.25: watts_sum 1", "1.75: watts_sum 2"]);
});

Deno.test("a point that is older by less than a window and the grace leaves the later window open", () => {
  const bench = new Bench({ grace: "10s" });
  bench.take([[25, 1], [5, 2]]);
  assert.deepEqual(bench.results, []);
  // It is older by more.
  bench.take([[-5, 4]]);
  assert.deepEqual(bench.results, ["20: watts_sum 1"]);
});

Deno.test("silence is measured in quarters of what a window waits, between 50 ms and 5 s", () => {
  const tickMs = (interval: string, grace: string) => new Bench({ interval, grace }).aggregation.tickMs;
  assert.deepEqual([tickMs("2s", "2s"), tickMs("100ms", "0s"), tickMs("1h", "0s")], [1000, 50, 5000]);
  assert.deepEqual([tickMs("1s", "3s"), tickMs("204ms", "0s"), tickMs("19s", "0s")], [1000, 51, 4750]);
});

Deno.test("windows may take their memory to the last byte, and the values of one window count", () => {
  const series = seriesStore.internDefinition(seriesOf(new Bench({}).watts));
  const windows = new Windows({ extremes: false, last: false, values: false });
  windows.open();
  const bytes = windows.bytes + seriesStore.bytesOf(series);
  const early = (memory: number, keys: Record<string, unknown>, points: number) => {
    const bench = new Bench(keys, memory);
    bench.take(Array.from({ length: points }, () => [3, 1]));
    return bench.aggregation.stats.completedEarly;
  };
  assert.deepEqual([early(bytes, {}, 1), early(bytes - 1, {}, 1)], [0, 1]);
  const again = new Bench({}, bytes);
  for (const seconds of [3, 103, 203]) again.take([[seconds, 1]]);
  assert.equal(again.aggregation.stats.completedEarly, 0, "what is complete takes nothing");
  assert.deepEqual([early(2000, { function: "P50" }, 10), early(2000, { function: "P50" }, 300)], [0, 1]);
});

Deno.test("of three windows of a series the oldest is completed, and the others take points as before", () => {
  const bench = new Bench({ grace: "30s" });
  bench.take([[5, 1], [15, 2], [25, 4]]);
  bench.take([[41, 8]]);
  assert.deepEqual(bench.results, ["0: watts_sum 1"]);
  bench.take([[16, 16], [26, 32]]);
  assert.deepEqual(bench.everything.sort(), ["10: watts_sum 18", "20: watts_sum 36", "40: watts_sum 8"]);
});
