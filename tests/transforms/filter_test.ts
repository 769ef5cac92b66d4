import assert from "node:assert/strict";
import { type Attribute, Batch, seriesOf } from "../../lib/points/measurement.ts";
import { SeriesStore } from "../../lib/points/series_store.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { Rewriter } from "../../lib/transforms/rewriting.ts";
import { BySeries } from "../../lib/transforms/by_series.ts";
import { DerivedSeries, withMetric } from "../../lib/transforms/derived_series.ts";
import { ByMetric } from "../../lib/transforms/metric_names.ts";
import { config } from "../../lib/transforms/filter/config.ts";
import { Filter } from "../../lib/transforms/filter/transform.ts";
import { contextWith } from "../kit/context.ts";
import { metricOf } from "../kit/decode.ts";
import { FakeClock } from "../kit/fake_clock.ts";
import { LogLines } from "../kit/log_lines.ts";
import { batchOf, numbered } from "../kit/points.ts";

/** What is wrong with a configuration. */
function problemsOf(values: unknown): string[] {
  const problems: string[] = [];
  config.check(values, ["plugins", "filter"], ({ message }) => problems.push(message));
  return problems;
}

function filterOf(values: unknown, context = contextWith({})): Filter {
  return new Filter(config.check(values, [], ({ message }) => assert.fail(message)), context);
}

const energy = metricOf("rapl_consumed_energy");
const usage = metricOf("cpu_percent");
const of = (metric = energy, consumerId = "", attributes: Attribute[] = []) =>
  seriesOf(metric, { consumerKind: "process", consumerId, attributes });

/** Points that are numbered by their values. */
const POINTS = () =>
  batchOf([
    [of(energy, "1", [["domain", "package"]]), 0],
    [of(energy, "1", [["domain", "pp0"]]), 1],
    [of(usage, "1"), 2],
    [of(usage, "22"), 3],
    [of(metricOf("rapl.consumed"), "1"), 4],
  ]);

const passing = (filter: Filter, batch: Batch = POINTS()) => {
  const result = filter.apply(batch);
  return [...result.values.subarray(0, result.length)];
};

Deno.test("include lets the named metrics pass, exclude all others, and * stands for any characters", () => {
  assert.deepEqual(passing(filterOf({ include: ["cpu_percent"] })), [2, 3]);
  assert.deepEqual(passing(filterOf({ exclude: ["cpu_percent"] })), [0, 1, 4]);
  assert.deepEqual(passing(filterOf({ include: ["rapl_*"] })), [0, 1]);
  assert.deepEqual(passing(filterOf({ include: ["*_c*"] })), [0, 1]);
  assert.deepEqual(passing(filterOf({ include: ["*"] })), [0, 1, 2, 3, 4]);
  assert.deepEqual(passing(filterOf({ exclude: ["*"] })), []);
  assert.deepEqual(passing(filterOf({ include: [] })), []);
  assert.deepEqual(passing(filterOf({ exclude: [] })), [0, 1, 2, 3, 4]);
  assert.deepEqual(passing(filterOf({ include: ["rapl.consumed"] })), [4], "a point stands for itself");
});

Deno.test("the first rule that fits decides, the rest is left to include and exclude", () => {
  const rules = [
    { action: "include", metric: "rapl_*", attribute: "domain", attribute_value: "pack*" },
    { metric: "rapl_*" },
    { consumer_kind: "process", consumer_id: "2*" },
  ];
  assert.deepEqual(passing(filterOf({ rules })), [0, 2, 4]);
  assert.deepEqual(passing(filterOf({ rules, include: ["cpu_percent"] })), [0, 2]);
  assert.deepEqual(passing(filterOf({ rules: [{ attribute: "domain" }] })), [2, 3, 4]);
  assert.deepEqual(passing(filterOf({ rules: [{ resource_kind: "local_*", resource_id: "" }] })), []);
});

Deno.test("a batch that passes whole is passed on as it is, and what is taken out is counted", () => {
  const filter = filterOf({ include: ["numbers"] });
  const batch = numbered(3);
  assert.equal(filter.apply(batch), batch);
  assert.equal(filter.stats.filteredPoints, 0);
  assert.equal(filter.apply(POINTS()).length, 0);
  assert.equal(filter.stats.filteredPoints, 5);
  const some = filterOf({ include: ["cpu_percent"] });
  some.apply(POINTS());
  assert.equal(some.stats.filteredPoints, 3);
});

Deno.test("exact values above 2^53 pass unchanged", () => {
  const large = 2n ** 64n - 1n;
  const batch = batchOf([[of(usage), 1n], [of(energy), large], [of(energy), 3n]]);
  const result = filterOf({ exclude: ["cpu_percent"] }).apply(batch);
  assert.deepEqual([result.exactValue(0), result.exactValue(1)], [large, 3n]);
});

Deno.test("each client keeps its own rows, exact values included, whether rows are taken out or added", () => {
  const [a, b] = ["a", "b"].map((name) => new ClientTable().get(name, name.repeat(32)));
  const large = 2n ** 60n + 1n;
  const batch = new Batch(8);
  batch.pushU64(of(energy), 1, 0, large);
  batch.pushU64(of(usage), 2, 0, 5n);
  batch.credit(a, 1);
  batch.pushU64(of(energy), 3, 0, large + 2n);
  batch.pushU64(of(usage), 4, 0, large + 4n);
  batch.pushU64(of(energy), 5, 0, 7n);
  batch.pushU64(of(energy), 6, 0, large + 6n);
  batch.credit(b, 2);
  const rows = (batch: Batch) =>
    Array.from(
      { length: batch.length },
      (_, row) => `${batch.seconds[row]}: ${batch.exactValue(row) - 2n ** 60n}`,
    );
  const small = (value: bigint) => value - 2n ** 60n;
  const left = filterOf({ exclude: ["cpu_percent"] }).apply(batch);
  assert.deepEqual(rows(left), ["1: 1", "3: 3", `5: ${small(7n)}`, "6: 7"]);
  assert.deepEqual(left.origins, [
    { client: a, start: 0, end: 1, sequence: 1 },
    { client: b, start: 1, end: 4, sequence: 2 },
  ]);
  const more = new Rewriter().rewrite(batch, {
    derive: (batch, row, out) => out.pushNumber(batch.series[row], 10 + batch.seconds[row], 0, 0),
  });
  const added = (second: number) => `${10 + second}: ${small(0n)}`;
  assert.deepEqual(rows(more), [
    ...["1: 1", `2: ${small(5n)}`, added(1), added(2)],
    ...["3: 3", "4: 5", `5: ${small(7n)}`, "6: 7", added(3), added(4), added(5), added(6)],
  ]);
  assert.deepEqual(more.origins, [
    { client: a, start: 0, end: 4, sequence: 1 },
    { client: b, start: 4, end: 12, sequence: 2 },
  ]);
});

Deno.test("include with exclude, and a value without its attribute, are mistakes", () => {
  assert.match(problemsOf({ include: ["a"], exclude: ["b"] })[0], /cannot be set together with include/);
  assert.match(problemsOf({ rules: [{ attribute_value: "x" }] })[0], /name the attribute/);
  assert.deepEqual(problemsOf({ rules: [{ attribute: "x", attribute_value: "y" }] }), []);
});

Deno.test("names that have not occurred after a minute are said once", () => {
  const logs = new LogLines();
  const clock = new FakeClock();
  const filter = filterOf(
    { include: ["cpu_percent", "cpu_precent", "k*"] },
    contextWith({ log: logs.log, clock }),
  );
  filter.apply(POINTS());
  assert.equal(logs.matching(/have not occurred/).length, 0);
  clock.spend(60_000);
  filter.apply(POINTS());
  filter.apply(POINTS());
  assert.equal(logs.matching(/WARN.*have not occurred so far.*cpu_precent,k\*/).length, 1);
});

Deno.test("a single name that has not occurred is said a minute after the start, and none if all have", () => {
  const logs = new LogLines();
  const clock = new FakeClock();
  clock.spend(100_000);
  const filters = [["cpu_percent"], ["cpu_precent"]].map((include) =>
    filterOf({ include }, contextWith({ log: logs.log, clock }))
  );
  for (const ms of [0, 59_999, 1]) {
    assert.equal(logs.matching(/have not occurred/).length, 0);
    clock.spend(ms);
    for (const filter of filters) filter.apply(POINTS());
  }
  assert.equal(logs.matching(/have not occurred/).length, 1);
  assert.equal(logs.matching(/have not occurred.*cpu_precent/).length, 1);
});

Deno.test("what is known of a metric is found out once, and again in another store", () => {
  const found: string[] = [];
  const byMetric = new ByMetric(({ name }) => (found.push(name), name));
  const batchIn = (store: SeriesStore, metric: typeof energy) => {
    const batch = new Batch(1, null, store);
    batch.push(of(metric), 1, 0, 1);
    return batch;
  };
  const [one, other] = [new SeriesStore(), new SeriesStore()];
  const names = [batchIn(one, energy), batchIn(one, energy), batchIn(other, usage), batchIn(other, usage)]
    .map((batch) => byMetric.of(batch, 0));
  assert.deepEqual(names, [energy.name, energy.name, usage.name, usage.name]);
  assert.deepEqual(found, [energy.name, usage.name]);
});

Deno.test("what is known of a series is found out once, and again when it is forgotten or in another store", () => {
  const found: string[] = [];
  const bySeries = new BySeries((store, series) => found.push(store.definitionOf(series).consumerId));
  const batchIn = (store: SeriesStore) => {
    const batch = new Batch(3, null, store);
    for (const id of ["a", "b", "a"]) batch.push(of(energy, id), 1, 0, 1);
    return batch;
  };
  const batch = batchIn(new SeriesStore());
  const [a, b] = batch.series;
  bySeries.of(batch);
  const numbers = bySeries.of(batch);
  assert.deepEqual([numbers[a], numbers[b], bySeries.at(a)], [1, 2, 1]);
  assert.deepEqual(found, ["a", "b"]);
  bySeries.forget(a);
  assert.equal(bySeries.at(a), 0);
  assert.equal(bySeries.of(batch)[a], 3);
  bySeries.of(batchIn(new SeriesStore()));
  assert.deepEqual(found, ["a", "b", "a", "a", "b"]);
});

Deno.test("a derived series is made once, and again when it was given back and its number is another series'", () => {
  const store = new SeriesStore();
  let made = 0;
  const derive = withMetric(usage);
  const derived = new DerivedSeries((store, series) => (made++, derive(store, series)));
  const from = store.internDefinition(of(energy, "1"));
  store.pin(from);
  const first = derived.of(store, from);
  assert.deepEqual([derived.of(store, from), made], [first, 1]);
  for (let n = 0; n < 400; n++) store.tick();
  assert.ok(!store.isLive(first));
  const other = store.internDefinition(of(energy, "2"));
  assert.equal(other, first, "the number is used again");
  const second = derived.of(store, from);
  const { metric, consumerId } = store.definitionOf(second);
  assert.deepEqual([metric.name, consumerId], [usage.name, "1"]);
  assert.deepEqual([derived.of(store, from), made], [second, 2]);
});

Deno.test("a filter without keys says that it lets everything pass", () => {
  const logs = new LogLines();
  assert.deepEqual(passing(filterOf({}, contextWith({ log: logs.log }))), [0, 1, 2, 3, 4]);
  assert.equal(logs.matching(/WARN.*lets everything pass/).length, 1);
  for (const keys of [{ include: ["*"] }, { exclude: [] }, { rules: [{ metric: "x" }] }]) {
    filterOf(keys, contextWith({ log: logs.log }));
    assert.equal(logs.matching(/WARN.*lets everything pass/).length, 1, JSON.stringify(keys));
  }
});
