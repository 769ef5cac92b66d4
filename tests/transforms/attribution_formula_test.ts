/** Attribution by formulas, with the numbers of Alumet's tests; those of real agents are in alumet_test.ts. */
import assert from "node:assert/strict";
import {
  type Attribute,
  type Batch,
  CLIENT_ATTRIBUTE,
  type SeriesDefinition,
  seriesOf,
} from "../../lib/points/measurement.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { config } from "../../lib/transforms/energy_attribution/config.ts";
import { FormulaAttribution } from "../../lib/transforms/energy_attribution/interpolation.ts";
import { ShareAttribution } from "../../lib/transforms/energy_attribution/shares.ts";
import { EnergyAttribution } from "../../lib/transforms/energy_attribution/transform.ts";
import { Expression } from "../../lib/transforms/expressions/expression.ts";
import { AttributionBench, joined } from "../kit/attribution.ts";
import { contextWith } from "../kit/context.ts";
import { metricOf } from "../kit/decode.ts";
import { FakeClock } from "../kit/fake_clock.ts";
import { LogLines } from "../kit/log_lines.ts";
import { batchOf } from "../kit/points.ts";

const J = { base: "J", prefix: "" };
const energy = metricOf("energy", "u64", J);
const usage = metricOf("usage", "f64");

/** The formula of Alumet's tests. */
const FORMULA = {
  expr: "energy * usage / 100.0",
  ref: "energy",
  retention_time: "30s",
  per_resource: { energy: { metric: "energy", domain: "package_total" } },
  per_consumer: { usage: { metric: "usage", kind: "total" } },
};
const formula = (rest: Record<string, unknown> = {}) => ({ formulas: { out: { ...FORMULA, ...rest } } });

type Row = readonly [subject: string, seconds: number, value: number];

/** Points: the subject is `energy`, or the number of a process. */
function points(...rows: Row[]): Batch {
  return batchOf(rows.map(([subject, seconds, value]) => [
    subject === "energy"
      ? seriesOf(energy, { attributes: [["domain", "package_total"]] })
      : seriesOf(usage, { consumerKind: "process", consumerId: subject, attributes: [["kind", "total"]] }),
    value,
    Math.floor(seconds),
    Math.round((seconds - Math.floor(seconds)) * 1e9),
  ]));
}

/** Results in words: who, when, and how much up to 1e-12. */
const inWords = (batch: Batch) =>
  Array.from({ length: batch.length }, (_, row) => {
    const { consumerId } = batch.seriesAt(row);
    const time = batch.seconds[row] + batch.nanos[row] / 1e9;
    return `${consumerId} ${time}: ${Number(batch.values[row].toPrecision(12))}`;
  });

Deno.test("the numbers of Alumet's own tests", () => {
  const bench = new AttributionBench(formula());
  const results = (batch: Batch) => inWords(bench.take(batch));
  assert.deepEqual(results(points(["energy", 0, 0], ["energy", 2, 100], ["1", 1, 50])), []);
  assert.deepEqual(results(points(["energy", 4, 100], ["1", 2, 80], ["1", 3, 100], ["1", 5, 0])), [
    "1 2: 80",
    "1 4: 50",
  ]);
  assert.deepEqual(results(points(["energy", 6, 500], ["1", 6, 90], ["2", 6, 10])), ["1 6: 450", "2 6: 50"]);
  const tenths = Array.from({ length: 11 }, (_, i): Row => ["energy", 7 + i / 10, 500]);
  const two = Array.from({ length: 7 }, (_, i): Row => ["2", 7 + i / 10, 10]);
  const last = results(
    points(...tenths, ["energy", 9, 500], ["energy", 10, 500], ["1", 7, 90], ["1", 8, 1], ...two, [
      "2",
      8,
      25,
    ]),
  );
  const expected = (id: string, values: number[]) =>
    values.map((value, i) => `${id} ${(70 + i) / 10}: ${value}`);
  assert.deepEqual(last, [
    ...expected("1", [450, 405.5, 361, 316.5, 272, 227.5, 183, 138.5, 94, 49.5, 5]),
    ...expected("2", [50, 50, 50, 50, 50, 50, 50, 68.75, 87.5, 106.25, 125]),
  ]);
});

Deno.test("however points are divided into batches, the results are the same", () => {
  const rows: Row[] = [
    ...[["energy", 0, 10], ["1", 0.5, 50], ["energy", 1, 20], ["2", 0.7, 30], ["1", 1.5, 60]] as const,
    ...[["2", 1.2, 40], ["energy", 2, 30], ["energy", 3, 40], ["1", 3, 10], ["2", 4, 10]] as const,
  ];
  const whole = inWords(new AttributionBench(formula()).take(points(...rows))).sort();
  assert.ok(whole.length >= 4);
  const bench = new AttributionBench(formula());
  assert.deepEqual(rows.flatMap((row) => inWords(bench.take(points(row)))).sort(), whole);
  assert.equal(bench.transform.stats.attributedPoints, whole.length);
});

Deno.test("results have the resource, the consumer and the attributes of both, and those of clients are kept apart", () => {
  const bench = new AttributionBench(formula());
  const of = (client: string, at: number) =>
    batchOf([
      [
        seriesOf(energy, {
          resourceKind: "cpu",
          resourceId: "0",
          attributes: [["domain", "package_total"], [CLIENT_ATTRIBUTE, client]],
        }),
        100,
        at,
      ],
      [
        seriesOf(usage, {
          resourceKind: "cpu",
          resourceId: "0",
          consumerKind: "process",
          consumerId: "7",
          attributes: [["kind", "total"], [CLIENT_ATTRIBUTE, client]],
        }),
        client === "a" ? 10 : 20,
        at,
      ],
    ]);
  const results = joined([bench.take(of("a", 1)), bench.take(of("b", 1))]);
  assert.deepEqual([...results.values.subarray(0, results.length)], [10, 20]);
  const { metric, ...rest } = results.seriesAt(1);
  assert.deepEqual([metric.name, metric.type, metric.unit], ["out", "f64", J]);
  assert.deepEqual(rest, {
    resourceKind: "cpu",
    resourceId: "0",
    consumerKind: "process",
    consumerId: "7",
    attributes: [["domain", "package_total"], ["kind", "total"], [CLIENT_ATTRIBUTE, "b"]],
  });
});

Deno.test("attributes are left out on request, and two with one name are both there", () => {
  const both = {
    per_resource: { energy: { metric: "energy" } },
    per_consumer: { usage: { metric: "usage" } },
  };
  const lists = (last: bigint): Attribute[] => [["jobs", [1n, 2n]], ["other", [1n, last]]];
  const attributesWith = (keepUsage: boolean) => {
    const bench = new AttributionBench(formula({
      ...both,
      per_consumer: { usage: { metric: "usage", keep_attributes: keepUsage } },
    }));
    const batch = batchOf([
      [seriesOf(energy, { attributes: [["kind", "a"], ["same", 1n], ...lists(7n)] }), 1, 5],
      [seriesOf(usage, { consumerId: "1", attributes: [["kind", "b"], ["same", 1n], ...lists(8n)] }), 1, 5],
    ]);
    return bench.take(batch).seriesAt(0).attributes;
  };
  const all = [["kind", "a"], ["same", 1n], ...lists(7n)];
  assert.deepEqual(attributesWith(false), all);
  assert.deepEqual(attributesWith(true), [...all, ["usage_kind", "b"], ["usage_other", [1n, 8n]]]);
});

Deno.test("the same metric twice, and two series of the resource, are different names", () => {
  const bench = new AttributionBench(formula({
    expr: "(package + dram) * (user + system) / 100.0",
    ref: "package",
    per_resource: {
      package: { metric: "energy", domain: "package" },
      dram: { metric: "energy", domain: "dram" },
    },
    per_consumer: { user: { metric: "usage", kind: "user" }, system: { metric: "usage", kind: "system" } },
  }));
  const of = (domain: string) => seriesOf(energy, { attributes: [["domain", domain]] });
  const used = (kind: string) => seriesOf(usage, { consumerId: "1", attributes: [["kind", kind]] });
  const results = bench.take(batchOf([
    [of("package"), 100, 1],
    [of("dram"), 20, 1],
    [used("user"), 10, 1],
    [used("system"), 5, 1],
  ]));
  assert.deepEqual(inWords(results), ["1 1: 18"]);
});

Deno.test("a consumer without one of the series has no result, or that series is 0", () => {
  const rest = {
    expr: "energy * (usage + more) / 100.0",
    per_consumer: { usage: { metric: "usage", kind: "total" }, more: { metric: "more" } },
  };
  const batch = () => points(["energy", 1, 100], ["1", 1, 10]);
  assert.deepEqual(inWords(new AttributionBench(formula(rest)).take(batch())), []);
  assert.deepEqual(inWords(new AttributionBench(formula({ ...rest, missing: "zero" })).take(batch())), [
    "1 1: 10",
  ]);
});

Deno.test("a late time of the reference is evaluated where there are points around it", () => {
  const bench = new AttributionBench(formula());
  bench.take(points(["1", 1, 10], ["1", 3, 30], ["energy", 3, 100]));
  assert.deepEqual(inWords(bench.take(points(["energy", 2, 100]))), ["1 2: 20"]);
  assert.deepEqual(inWords(bench.take(points(["energy", 0.5, 100]))), []);
  assert.deepEqual(inWords(bench.take(points(["energy", 4, 100], ["1", 5, 50]))), ["1 4: 40"]);
});

Deno.test("a clock that is set back loses nothing after the points of before are forgotten", () => {
  const bench = new AttributionBench(formula({ retention_time: "5s" }));
  bench.take(points(["energy", 1000, 100], ["1", 1000, 10]));
  bench.tick(6);
  assert.deepEqual(inWords(bench.take(points(["energy", 10, 100], ["1", 10, 20]))), ["1 10: 20"]);
  // From 1970 to now, as on a board without a clock of its own.
  const now = 1_700_000_000;
  assert.deepEqual(inWords(bench.take(points(["energy", now, 100], ["1", now, 20]))), [`1 ${now}: 20`]);
});

Deno.test("points are forgotten after the retention, whatever comes, and nothing is needed then", () => {
  const bench = new AttributionBench(formula({ retention_time: "5s" }));
  for (let i = 0; i < 50; i++) {
    bench.take(points(["1", i, 10], [String(i), i, 10]));
    bench.tick();
  }
  assert.ok(bench.transform.neededFrom >= 50 - 2 * 5 - 3, String(bench.transform.neededFrom));
  bench.tick(20);
  assert.equal(bench.transform.neededFrom, Infinity);
  assert.deepEqual(inWords(bench.take(points(["energy", 49, 100]))), []);
});

/** Shows how many groups there are. */
class CountedFormula extends FormulaAttribution {
  get groupCount(): number {
    return this.groups.list.length;
  }
}

Deno.test("nothing is left of a client when its points of the resource and of consumers are forgotten", () => {
  const variable = (name: string) => ({
    ...{ name, keepsAttributes: true, accepts: ({ metric }: SeriesDefinition) => metric.name === name },
  });
  for (const subject of ["energy", "1"]) {
    const attribution = new CountedFormula({
      ...{ retentionTicks: 3, metric: energy, reference: 0, missingIsZero: false },
      expression: new Expression("energy * usage", ["energy", "usage"]),
      ...{ perResource: [variable("energy")], perConsumer: [variable("usage")] },
      ...{ onProblem: assert.fail, onAmbiguous: assert.fail },
    });
    const { local } = new ClientTable();
    const sink = { add: () => assert.fail("there is no result") };
    attribution.take(points([subject, 1, 1], [subject, 2, 1]), 0, 2, local);
    for (let n = 0; n < 3; n++) attribution.tick(sink);
    assert.equal(attribution.groupCount, 1, subject);
    attribution.tick(sink);
    assert.equal(attribution.groupCount, 0, subject);
    assert.equal(attribution.bytes, 0, subject);
  }
});

Deno.test("what takes more than the memory is forgotten, and the log says so; then all goes on", () => {
  const logs = new LogLines();
  const bench = new AttributionBench({ ...formula(), memory: "1MiB" }, { log: logs.log });
  const strangers = (count: number) =>
    points(...Array.from({ length: count }, (_, i): Row => [`${i}`, 1, 1]));
  bench.take(strangers(400));
  assert.equal(bench.transform.neededFrom, 0);
  bench.take(strangers(500));
  assert.equal(bench.transform.neededFrom, Infinity);
  assert.equal(
    logs.matching(/WARN.*attributed early.*energy-attribution.memory.*bytes=12\d\d\d\d\d/).length,
    1,
  );
  bench.take(points(...Array.from({ length: 20_000 }, (_, i): Row => ["1", i, 1])));
  assert.equal(bench.transform.neededFrom, Infinity, "points of one series take memory, too");
  assert.deepEqual(inWords(bench.take(points(["energy", 1, 100], ["1", 1, 50]))), ["1 1: 50"]);
});

Deno.test("points may take their memory to the last byte", () => {
  const early = (memory: number, ticks = 0) => {
    const logs = new LogLines();
    const checked = { ...config.check(formula(), [], ({ message }) => assert.fail(message)), memory };
    const transform = new EnergyAttribution(checked, contextWith({ log: logs.log }));
    const batch = points(["energy", 0, 5], ["1", 0, 5]);
    const out = { pass: () => {}, add: () => {} };
    transform.take(batch, 0, batch.length, new ClientTable().local, 0, out);
    transform.settle(out);
    for (let n = 0; n < ticks; n++) transform.tick(out);
    return logs.matching(/WARN.*attributed early/).map((line) => Number(/bytes=(\d+)/.exec(line)![1]));
  };
  const [bytes] = early(0);
  assert.ok(bytes > 100);
  assert.deepEqual([early(bytes), early(bytes - 1)], [[], [bytes]]);
  // A second ends with a quarter of it left.
  const least = Math.ceil(bytes * 4 / 3);
  assert.deepEqual([early(least, 1), early(least - 1, 1)], [[], [bytes]]);
});

Deno.test("no more of what came first is forgotten than must be", () => {
  const logs = new LogLines();
  const run = (memory?: number) => {
    const bench = new AttributionBench(formula(), { log: logs.log }, memory);
    const before = [bench.take(points(["1", 1, 1])), bench.tick()];
    assert.deepEqual(joined(before).length, 0);
    bench.take(points(["4", 2, 10], ["5", 2, 20], ["6", 2, 30]));
    bench.tick();
    return inWords(bench.take(points(["energy", 2, 100])));
  };
  assert.deepEqual(run(0).length, 0);
  const bytes = Number(/bytes=(\d+)/.exec(logs.lines[0])![1]);
  assert.deepEqual(run(4 * bytes), run(), "the later three take three quarters");
  assert.equal(run().length, 3);
  assert.deepEqual(run(4 * bytes - 1).length, 0);
  const said = new LogLines();
  const bench = new AttributionBench(formula(), { log: said.log }, 4 * bytes);
  bench.take(points(["4", 2, 10], ["5", 2, 20], ["6", 2, 30]));
  bench.tick();
  assert.deepEqual(said.lines, []);
});

Deno.test("a point without a result is skipped, counted, and said once", () => {
  const logs = new LogLines();
  const bench = new AttributionBench(formula({ expr: "energy / (energy - energy) + usage" }), {
    log: logs.log,
  });
  assert.equal(bench.take(points(["energy", 1, 5], ["1", 1, 1], ["2", 1, 1])).length, 0);
  assert.equal(bench.transform.stats.failedPoints, 2);
  assert.equal(logs.matching(/WARN.*formula has no result.*divided by 0/).length, 1);
});

Deno.test("two series that are one name are said once", () => {
  const logs = new LogLines();
  const bench = new AttributionBench(
    formula({ per_resource: { energy: { metric: "energy" } } }),
    { log: logs.log },
  );
  for (const at of [1, 2]) {
    bench.take(batchOf([
      [seriesOf(energy, { attributes: [["domain", "package"]] }), 1, at],
      [seriesOf(energy, { attributes: [["domain", "dram"]] }), 1, at],
    ]));
  }
  assert.equal(
    logs.matching(/WARN.*same name in a formula.*one="?domain=package"? other="?domain=dram/).length,
    1,
  );
});

Deno.test("metrics that have not occurred after a minute are said once", () => {
  const [logs, clock] = [new LogLines(), new FakeClock()];
  const bench = new AttributionBench(formula(), { log: logs.log, clock });
  bench.take(points(["energy", 1, 1]));
  clock.spend(61_000);
  bench.take(points(["energy", 2, 1]));
  bench.take(points(["energy", 3, 1]));
  assert.equal(logs.matching(/WARN.*have not occurred so far.*metrics="?usage"?\s*$/).length, 1);
});

Deno.test("energy_by names three metrics, which are said, too, where they have not occurred", () => {
  const [logs, clock] = [new LogLines(), new FakeClock()];
  const bench = new AttributionBench({ energy_by: ["job"] }, { log: logs.log, clock });
  clock.spend(60_000);
  bench.take(points(["energy", 1, 1]));
  const names = "rapl_consumed_energy,kernel_cpu_time,cpu_time_delta";
  assert.equal(
    logs.matching(new RegExp(`WARN.*have not occurred so far.*metrics="?${names}"?\\s*$`)).length,
    1,
  );
});

Deno.test("numbers in the configuration stand for ints and floats, texts for texts", () => {
  const found = (wanted: unknown, value: number | bigint | string | boolean) => {
    const bench = new AttributionBench(formula({ per_consumer: { usage: { metric: "usage", a: wanted } } }));
    return bench.take(batchOf([
      [seriesOf(energy, { attributes: [["domain", "package_total"]] }), 1, 1],
      [seriesOf(usage, { consumerId: "1", attributes: [["a", value]] }), 1, 1],
    ])).length;
  };
  for (
    const [wanted, value, count] of [[1, 1n, 1], [1, 1, 1], [1.5, 1.5, 1], [1, "1", 0], [
      "1",
      "1",
      1,
    ]] as const
  ) {
    assert.equal(found(wanted, value), count, `${typeof wanted} ${wanted}, ${typeof value} ${value}`);
  }
  assert.equal(found(true, true), 1);
  assert.equal(found(true, "true"), 0);
});

Deno.test("mistakes are found when the configuration is read", () => {
  const problems = (values: unknown) => {
    const found: string[] = [];
    config.check(values, [], ({ path, message }) => found.push(`${path.join(".")}: ${message}`));
    return found.join("\n");
  };
  const of = (rest: Record<string, unknown>) => problems(formula(rest));
  assert.match(
    problems({}),
    /^formulas: nothing is attributed: write energy_by = \["process"\], or a formula/,
  );
  assert.match(
    of({ ref: "usage" }),
    /^formulas.out.ref: must be one of the series in per_resource \(energy\)/,
  );
  assert.equal(
    of({ expr: "energy * usgae" }),
    "formulas.out.expr: there is no series usgae; did you mean usage?\n    energy * usgae\n             ^",
  );
  assert.match(of({ per_consumer: {} }), /per_consumer: name at least one series/);
  assert.match(of({ per_consumer: { energy: { metric: "usage" } } }), /energy is in per_resource, too/);
  assert.match(of({ per_consumer: { "a-b": { metric: "usage" } } }), /cannot be a name in a formula/);
  assert.match(of({ per_consumer: { usage: {} } }), /per_consumer.usage.metric: name the metric/);
  assert.match(
    of({ per_consumer: { usage: { metric: "u", a: [1] } } }),
    /usage.a: expected a text, a number/,
  );
  for (const usage of ["u", ["u"], []]) {
    assert.match(of({ per_consumer: { usage } }), /usage: expected a table/);
  }
  assert.match(of({ as: "share" }), /expr: has no meaning/);
  assert.match(of({ as: "share", expr: "", unused: "idle" }), /capacity: with unused = "idle"/);
  assert.match(of({ as: "share", expr: "", per_resource: {} }), /per_resource: .* the one series/);
  assert.match(of({ unit: "kJoule" }), /it is not a unit/);
});

Deno.test("where room is made for what arrived from a second on, energies of that second still wait for their uses", () => {
  const attribution = new ShareAttribution({
    ...{ retentionTicks: 30, graceNs: 0, hasIdle: true, isNested: false, by: null },
    metricFor: (metric) => metric,
    ...{ isEnergy: () => true, isUse: () => false, isCapacity: () => false },
    ...{ keepsEnergyAttributes: true, keepsUseAttributes: true },
  });
  const { local } = new ClientTable();
  const results: number[] = [];
  const sink = {
    add: (_client: unknown, _series: number, _seconds: number, _nanos: number, value: number) =>
      void results.push(value),
  };
  for (const [place, joules] of [5, 7].entries()) {
    attribution.take(points(["energy", joules, joules]), 0, 1, local);
    assert.equal(place, results.length);
    if (place === 0) attribution.tick(sink);
    attribution.shed(1, sink);
  }
  assert.deepEqual(results, [5]);
  attribution.shed(2, sink);
  assert.deepEqual(results, [5, 7]);
});
