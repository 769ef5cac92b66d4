/** Metrics and attributes under other names, and values in other units. */
import assert from "node:assert/strict";
import { type Attribute, type Batch, CLIENT_ATTRIBUTE, seriesOf } from "../../lib/points/measurement.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { conversionOf, parseUnit, unitDisplayName, unitUniqueName } from "../../lib/points/units.ts";
import { config as convertConfig } from "../../lib/transforms/convert/config.ts";
import { Convert } from "../../lib/transforms/convert/transform.ts";
import { countStars } from "../../lib/transforms/metric_names.ts";
import { config as relabelConfig, wants } from "../../lib/transforms/relabel/config.ts";
import { Relabel } from "../../lib/transforms/relabel/transform.ts";
import { contextWith } from "../kit/context.ts";
import { metricOf } from "../kit/decode.ts";
import { LogLines } from "../kit/log_lines.ts";
import { batchOf } from "../kit/points.ts";

const fail = ({ message }: { message: string }) => assert.fail(message);
const relabel = (values: unknown, context = contextWith({})) =>
  new Relabel(relabelConfig.check(values, [], fail), context);
const convert = (values: unknown, context = contextWith({})) =>
  new Convert(convertConfig.check(values, [], fail), context);

/** A point with these attributes, of a metric without a unit. */
const pointWith = (attributes: Attribute[], metric = metricOf("m")) =>
  batchOf([[seriesOf(metric, { attributes }), 1]]);

/** The rows in words. */
const inWords = (batch: Batch) =>
  Array.from({ length: batch.length }, (_, row) => {
    const { metric, attributes } = batch.seriesAt(row);
    return [metric.name, ...attributes.map(([name, value]) => `${name}=${value}`)].join(" ");
  });

/** What a rule makes of a point with these attributes. */
const ruled = (rule: unknown, ...attributes: Attribute[]) =>
  inWords(relabel({ rules: [rule] }).apply(pointWith(attributes)))[0];

Deno.test("attributes are added, dropped and renamed, and keep their order", () => {
  assert.equal(ruled({ add: { b: "new", c: "x" } }, ["a", 1n], ["b", "old"]), "m a=1 b=new c=x");
  assert.equal(ruled({ add: { a: "new" } }, ["a", 1n], ["b", 2n]), "m a=new b=2");
  assert.equal(ruled({ drop: ["a*"] }, ["a", 1n], ["ab", true], ["b", 2n]), "m b=2");
  assert.equal(ruled({ rename_attributes: { a: "b" } }, ["a", 1n], ["b", 2n], ["c", 3n]), "m b=1 c=3");
  assert.equal(ruled({ rename_attributes: { a: "a", x: "c" } }, ["a", 1n], ["c", 3n]), "m a=1 c=3");
});

Deno.test("equal values have equal hashes, and a secret changes them", () => {
  const hash = (value: Attribute[1], hash_key?: string) =>
    inWords(relabel({ rules: [{ hash: ["u"] }], hash_key }).apply(pointWith([["u", value]])))[0];
  assert.match(hash("alice"), /^m u=[0-9a-f]{16}$/);
  assert.equal(hash("alice"), hash("alice"));
  assert.notEqual(hash("alice"), hash("bob"));
  assert.notEqual(hash("alice", "secret"), hash("alice"));
  assert.notEqual(hash("alice", "secret"), hash("alice", "other"));
});

Deno.test("each rule that fits is applied to what the ones before it have made", () => {
  const rules = [
    { metric: "a_*_b_*", rename: "x_*_*" },
    { metric: "x_*", add: { seen: "yes" } },
    { metric: "a_*", add: { seen: "no" } },
    { attribute: "seen", attribute_value: "yes", rename: "last" },
  ];
  assert.deepEqual(inWords(relabel({ rules }).apply(pointWith([], metricOf("a_1_b_2")))), ["last seen=yes"]);
  assert.deepEqual(
    inWords(relabel({ rules: rules.slice(0, 1) }).apply(pointWith([], metricOf("a_1_b_2")))),
    ["x_1_2"],
  );
});

Deno.test("the client's attribute stays, and stays the last one", () => {
  const rule = { add: { site: "lyon" }, drop: ["*"], rename_attributes: { a: "b" } };
  assert.equal(ruled(rule, ["a", 1n], [CLIENT_ATTRIBUTE, "n1"]), `m site=lyon ${CLIENT_ATTRIBUTE}=n1`);
  assert.equal(
    ruled({ add: { site: "x" } }, ["a", 1n], ["b", 2n], [CLIENT_ATTRIBUTE, "n1"]),
    `m a=1 b=2 site=x ${CLIENT_ATTRIBUTE}=n1`,
  );
  // Only the last one is the client's.
  assert.equal(
    ruled({ add: { site: "x" } }, [CLIENT_ATTRIBUTE, "n1"], ["a", 1n]),
    `m ${CLIENT_ATTRIBUTE}=n1 a=1 site=x`,
  );
  for (
    const rule of [
      { drop: [CLIENT_ATTRIBUTE] },
      { add: { [CLIENT_ATTRIBUTE]: "x" } },
      { hash: [CLIENT_ATTRIBUTE] },
      { rename_attributes: { a: CLIENT_ATTRIBUTE } },
      { rename_attributes: { [CLIENT_ATTRIBUTE]: "a" } },
    ]
  ) {
    const problems: string[] = [];
    relabelConfig.check({ rules: [rule] }, [], ({ message }) => problems.push(message));
    assert.match(problems.join(), /cannot be changed/, JSON.stringify(rule));
  }
});

Deno.test("a batch that no rule fits is passed on as it is; others keep times, exact values and origins", () => {
  const transform = relabel({ rules: [{ metric: "a", rename: "b" }] });
  const other = pointWith([]);
  assert.equal(transform.apply(other), other);
  const large = 2n ** 64n - 1n;
  const batch = batchOf([[seriesOf(metricOf("m")), 3n, 5, 6], [seriesOf(metricOf("a")), large, 7, 8]]);
  const client = new ClientTable().get("n", "0".repeat(32));
  batch.credit(client, 4);
  const result = transform.apply(batch);
  assert.deepEqual(inWords(result), ["m", "b"]);
  assert.deepEqual([result.exactValue(0), result.exactValue(1)], [3n, large]);
  assert.deepEqual([result.seconds[1], result.nanos[1]], [7, 8]);
  assert.deepEqual(result.origins, [{ client, start: 0, end: 2, sequence: 4 }]);
});

Deno.test("a new name that has another unit already gets a suffix", () => {
  const registry = new MetricRegistry();
  registry.register({ name: "b", type: "f64", unit: { base: "J", prefix: "" } });
  const transform = relabel({ rules: [{ metric: "a", rename: "b" }] }, contextWith({ registry }));
  assert.deepEqual(inWords(transform.apply(pointWith([], metricOf("a")))), ["b_relabel"]);
});

Deno.test("what rules name are the metrics that config check looks for", () => {
  const config = relabelConfig.check({ rules: [{ metric: "a" }, {}, { metric: "b" }] }, [], fail);
  assert.deepEqual(wants(config), [
    { path: ["rules", 0, "metric"], metric: "a" },
    { path: ["rules", 2, "metric"], metric: "b" },
  ]);
  assert.deepEqual(["", "a*b", "**"].map(countStars), [0, 1, 2]);
});

Deno.test("more * than metric has, and an empty name, are mistakes", () => {
  for (const config of [relabelConfig, convertConfig]) {
    const problems: string[] = [];
    const check = (rule: unknown) =>
      config.check({ rules: [rule] }, [], ({ message }) => problems.push(message));
    check({ metric: "a_*", rename: "*_*" });
    check({ rename: "" });
    assert.match(problems[0], /more \* than metric/);
    assert.match(problems[1], /it is empty/);
  }
});

Deno.test("units are found by both of their names", () => {
  for (const text of ["kWh", "kiloW.h", "μs", "microW", "°C", "%", "GB", "1", "gCO₂"]) {
    const unit = parseUnit(text)!;
    assert.ok(unitDisplayName(unit) === text || unitUniqueName(unit) === text, text);
  }
  for (const text of ["kW h", "X", "kkJ", "toString"]) assert.equal(parseUnit(text), undefined, text);
});

Deno.test("values are converted between units that measure the same", () => {
  const value = (amount: number, from: string, to: string) => {
    const conversion = conversionOf(parseUnit(from)!, parseUnit(to)!);
    return conversion && amount * conversion.factor / conversion.divisor + conversion.offset;
  };
  assert.equal(value(1500, "J", "kJ"), 1.5);
  assert.equal(value(1.5, "kJ", "mJ"), 1.5e6);
  assert.equal(value(1, "kWh", "J"), 3.6e6);
  assert.equal(value(3.6e6, "J", "kWh"), 1);
  assert.equal(value(100, "°C", "°F"), 212);
  assert.ok(Math.abs(value(212, "°F", "°C")! - 100) < 1e-12);
  assert.equal(value(0.5, "1", "%"), 50);
  assert.equal(value(1, "J", "W"), undefined);
});

Deno.test("a converted metric has a name and a unit of its own, and the original stays on request", () => {
  const energy = metricOf("energy", "u64", { base: "J", prefix: "" });
  const batch = batchOf([[seriesOf(energy), 1500, 5, 6], [seriesOf(metricOf("other")), 2]]);
  const moved = convert({ rules: [{ metric: "e*", unit: "kJ" }] }).apply(batch);
  assert.deepEqual(inWords(moved), ["other", "energy_converted"]);
  assert.deepEqual([moved.values[1], moved.seconds[1], moved.nanos[1]], [1.5, 5, 6]);
  assert.deepEqual(moved.metricAt(1).unit, { base: "J", prefix: "kilo" });
  assert.equal(moved.metricAt(1).type, "f64");
  const kept = convert({ rules: [{ metric: "e*", unit: "kJ", rename: "k*", keep: true }] }).apply(batch);
  assert.deepEqual(inWords(kept), ["energy", "other", "knergy"]);
});

Deno.test("a converted point has the value in the new unit, of larger and smaller units and of temperatures", () => {
  const converted = (value: number, from: string, unit: string) => {
    const metric = metricOf("m", "f64", parseUnit(from)!);
    return convert({ rules: [{ unit }] }).apply(batchOf([[seriesOf(metric), value]])).values[0];
  };
  assert.deepEqual([converted(2, "kWh", "J"), converted(3, "kJ", "mJ")], [7.2e6, 3e6]);
  assert.deepEqual([converted(1500, "J", "kJ"), converted(100, "°C", "°F")], [1.5, 212]);
});

Deno.test("transforms without rules say that they change nothing, those with one do not", () => {
  const said = (
    make: (values: unknown, context: ReturnType<typeof contextWith>) => unknown,
    rules: unknown[],
  ) => {
    const logs = new LogLines();
    make({ rules }, contextWith({ log: logs.log }));
    return logs.matching(/WARN.*changes nothing: it has no rules/).length;
  };
  for (const make of [convert, relabel]) assert.deepEqual([said(make, []), said(make, [{}])], [1, 0]);
});

Deno.test("a metric that does not measure the same passes, and the log says so once", () => {
  const logs = new LogLines();
  const transform = convert({ rules: [{ unit: "kJ" }] }, contextWith({ log: logs.log }));
  const batch = batchOf([
    [seriesOf(metricOf("p", "f64", { base: "W", prefix: "" })), 1],
    [seriesOf(metricOf("p", "f64", { base: "W", prefix: "" }), { consumerId: "2" }), 1],
  ]);
  assert.equal(transform.apply(batch), batch);
  assert.equal(logs.matching(/WARN.*does not measure the same.*metric=p.*unit=W.*to=kJ/).length, 1);
});
