/** Shares of energy: they add up to it, whatever comes and whatever is missing. */
import assert from "node:assert/strict";
import {
  type Attribute,
  type Batch,
  CLIENT_ATTRIBUTE,
  type SeriesDefinition,
  seriesOf,
} from "../../lib/points/measurement.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { divide } from "../../lib/transforms/energy_attribution/divide.ts";
import { ancestorOf } from "../../lib/transforms/energy_attribution/nesting.ts";
import { ShareAttribution } from "../../lib/transforms/energy_attribution/shares.ts";
import { AttributionBench, joined } from "../kit/attribution.ts";
import { Chance } from "../kit/bytes.ts";
import { metricOf } from "../kit/decode.ts";
import { LogLines } from "../kit/log_lines.ts";
import { batchOf } from "../kit/points.ts";

const energy = metricOf("energy", "f64", { base: "J", prefix: "" });
const cpu = metricOf("cpu", "u64", { base: "s", prefix: "milli" });
const capacity = metricOf("capacity", "f64", { base: "s", prefix: "" });

const SHARE = {
  as: "share",
  per_resource: { energy: { metric: "energy" } },
  per_consumer: { cpu: { metric: "cpu" } },
};
const shares = (rest: Record<string, unknown> = {}) => ({ formulas: { out: { ...SHARE, ...rest } } });
const IDLE = { unused: "idle", capacity: { metric: "capacity" } };

type Row = readonly [subject: string, seconds: number, value: number, attributes?: Attribute[]];

/** Points: the subject is `energy`, `capacity`, or the id of a consumer. */
function points(...rows: Row[]): Batch {
  return batchOf(rows.map(([subject, seconds, value, attributes = []]) => [
    subject === "energy"
      ? seriesOf(energy, { attributes })
      : subject === "capacity"
      ? seriesOf(capacity)
      : seriesOf(cpu, { consumerKind: "process", consumerId: subject, attributes }),
    value,
    Math.floor(seconds),
    Math.round((seconds - Math.floor(seconds)) * 1e9),
  ]));
}

const inWords = (batch: Batch) =>
  Array.from({ length: batch.length }, (_, row) => {
    const { consumerKind, consumerId } = batch.seriesAt(row);
    const time = batch.seconds[row] + batch.nanos[row] / 1e9;
    const who = consumerKind === "process" ? consumerId : `${consumerKind}${consumerId && ` ${consumerId}`}`;
    return `${who} ${time}: ${Number(batch.values[row].toPrecision(12))}`;
  });

/** All results of some batches. */
const outcome = (values: unknown, ...batches: Batch[]) => {
  const bench = new AttributionBench(values);
  return inWords(joined([...batches.map((batch) => bench.take(batch)), bench.flush()]));
};

Deno.test("an energy is divided by the CPU time within its interval", () => {
  const results = outcome(
    shares(),
    points(["energy", 0, 5], ["1", 0, 1], ["2", 0, 1]),
    points(["energy", 2, 100], ["1", 2, 300], ["2", 2, 100]),
  );
  assert.deepEqual(results, ["idle 0: 5", "1 2: 75", "2 2: 25"]);
});

Deno.test("a use that lies in two intervals is divided by time", () => {
  // 600 ms in (1, 3], of which half is in (0, 2].
  const results = outcome(
    shares(),
    points(["energy", 0, 0], ["1", 1, 0], ["2", 1, 0]),
    points(["energy", 2, 100], ["1", 3, 600], ["2", 2, 100], ["2", 3, 0]),
    points(["energy", 4, 10]),
  );
  assert.deepEqual(results, ["1 2: 75", "2 2: 25", "1 4: 10"]);
});

Deno.test("an energy waits until other points are later by the grace, or for half of the retention", () => {
  const bench = new AttributionBench(shares({ grace: "2s", retention_time: "20s" }));
  bench.take(points(["energy", 0, 0], ["1", 0, 0]));
  assert.deepEqual(inWords(bench.take(points(["energy", 1, 10], ["1", 1, 5], ["2", 1, 5]))), []);
  assert.deepEqual(inWords(bench.take(points(["1", 2, 5]))), []);
  assert.deepEqual(inWords(bench.take(points(["1", 3, 5]))), ["1 1: 5", "2 1: 5"]);
  bench.take(points(["energy", 3, 10]));
  assert.deepEqual(inWords(bench.tick(9)), []);
  assert.deepEqual(inWords(bench.tick()), ["1 3: 10"]);
});

Deno.test("a process that is seen once has used its time since the poll before", () => {
  const results = outcome(
    shares(),
    points(["energy", 0, 0], ["1", 0, 0]),
    points(["energy", 1, 10], ["1", 1, 100]),
    points(["energy", 2, 10], ["1", 2, 100], ["short", 2, 300]),
    points(["energy", 3, 10], ["1", 3, 100]),
  );
  assert.deepEqual(results, ["1 1: 10", "1 2: 2.5", "short 2: 7.5", "1 3: 10"]);
});

Deno.test("the poll before counts, not the energy before, unless there was none", () => {
  const results = outcome(
    shares(),
    points(["energy", 0, 0], ["1", 0, 0], ["energy", 1, 30], ["energy", 2, 40]),
    points(["1", 0.5, 10], ["1", 1.5, 10], ["short", 1.5, 30]),
  );
  assert.deepEqual(results, ["1 1: 15", "short 1: 15", "1 2: 10", "short 2: 30"]);
  const first = outcome(shares(), points(["energy", 0, 0], ["energy", 1, 5], ["energy", 2, 10], ["1", 2, 1]));
  assert.deepEqual(first, ["idle 1: 5", "1 2: 10"]);
});

Deno.test("what nobody used is idle, or for all in proportion", () => {
  const batches = () => [
    points(["energy", 0, 0], ["1", 0, 0], ["2", 0, 0], ["capacity", 0, 0]),
    points(["energy", 1, 100], ["1", 1, 500], ["2", 1, 1500], ["capacity", 1, 4]),
  ];
  assert.deepEqual(outcome(shares(IDLE), ...batches()), ["1 1: 12.5", "2 1: 37.5", "idle 1: 50"]);
  assert.deepEqual(outcome(shares(), ...batches()), ["1 1: 25", "2 1: 75"]);
  // More is used than there is: nothing is left for idle.
  const less = () => [
    ...batches().slice(0, 1),
    points(["energy", 1, 100], ["1", 1, 500], ["2", 1, 1500], ["capacity", 1, 1]),
  ];
  assert.deepEqual(outcome(shares(IDLE), ...less()), ["1 1: 25", "2 1: 75"]);
});

Deno.test("where nobody used anything, all is idle", () => {
  const results = outcome(
    shares(),
    points(["energy", 0, 0], ["1", 0, 0]),
    points(["energy", 1, 7], ["1", 1, 0]),
    points(["energy", 2, 8], ["1", 2, -5]),
    points(["energy", 3, 9], ["1", 3, NaN]),
  );
  assert.deepEqual(results, ["idle 1: 7", "idle 2: 8", "idle 3: 9"]);
});

Deno.test("several series of a consumer add up, and results keep the attributes that these share", () => {
  const bench = new AttributionBench(shares());
  const of = (kind: string): Attribute[] => [["kind", kind], ["user", "x"]];
  bench.take(points(["energy", 0, 0], ["1", 0, 0, of("a")], ["1", 0, 0, of("b")], ["2", 0, 0]));
  bench.take(
    points(
      ["energy", 1, 10, [["domain", "package"]]],
      ...[["energy", 1, 10], ["1", 1, 100, of("a")], ["1", 1, 200, of("b")], ["2", 1, 100]] as const,
    ),
  );
  const results = bench.flush();
  assert.deepEqual(inWords(results), ["idle 1: 10", "1 1: 7.5", "2 1: 2.5"]);
  assert.deepEqual(results.seriesAt(0).attributes, [["domain", "package"]]);
  assert.deepEqual(results.seriesAt(1).attributes, [["user", "x"]]);
});

Deno.test("a percentage holds over its interval", () => {
  const percent = metricOf("percent", "f64", { base: "%", prefix: "" });
  const of = (id: string, at: number, value: number) =>
    batchOf([[seriesOf(percent, { consumerKind: "process", consumerId: id }), value, at]]);
  const results = outcome(
    shares({ per_consumer: { cpu: { metric: "percent" } } }),
    points(["energy", 0, 0]),
    of("1", 0, 0),
    of("2", 0, 0),
    // 30 % for 1 s and 10 % for 3 s are the same.
    of("1", 1, 30),
    of("1", 4, 0),
    of("2", 1, 0),
    of("2", 4, 10),
    points(["energy", 4, 10]),
  );
  assert.deepEqual(results, ["1 4: 5", "2 4: 5"]);
});

Deno.test("consumers by an attribute: all points with the same value", () => {
  const job = (id: bigint): Attribute[] => [["job_id", id]];
  const results = outcome(
    shares({ by_attribute: "job_id" }),
    points(["energy", 0, 0], ["/a", 0, 0, job(1n)], ["/b", 0, 0, job(1n)], ["/c", 0, 0, job(2n)], [
      "/d",
      0,
      0,
    ]),
    points(
      ["energy", 1, 10],
      ...[["/a", 1, 10, job(1n)], ["/b", 1, 20, job(1n)], ["/c", 1, 20, job(2n)], ["/d", 1, 99]] as const,
    ),
  );
  assert.deepEqual(results, ["job_id 1 1: 6", "job_id 2 1: 4"]);
});

Deno.test("a group that contains others has what is left for itself", () => {
  const at = (seconds: number, scale: number) =>
    [
      ...[["/", 100], ["/a", 70], ["/a/b", 20], ["/a/b/c", 20], ["/a-b", 20], ["/x/y", 5]] as const,
    ].map(([id, value]): Row => [id, seconds, value * scale]);
  const results = outcome(
    shares({ nested: true }),
    points(["energy", 0, 0], ...at(0, 0)),
    points(["energy", 1, 100], ...at(1, 1)),
  );
  assert.deepEqual(results, ["/ 1: 5", "/a 1: 50", "/a-b 1: 20", "/a/b/c 1: 20", "/x/y 1: 5"]);
});

Deno.test("who used less than what is in it has used nothing itself", () => {
  const at = (seconds: number, ...uses: number[]) =>
    points(["energy", seconds, 100 * seconds], ["/a", seconds, uses[0]], ["/a/b", seconds, uses[1]]);
  assert.deepEqual(outcome(shares({ nested: true }), at(0, 0, 0), at(1, 10, 20)).slice(-1), ["/a/b 1: 100"]);
});

Deno.test("the nearest path above a path", () => {
  const known = new Map(["/", "/a", "/a/b", "x"].map((path) => [path, path]));
  const above = (path: string) => ancestorOf(path, (path) => known.get(path));
  assert.equal(above("/a/b/c/d"), "/a/b");
  assert.equal(above("/a/b"), "/a");
  assert.equal(above("/a"), "/");
  assert.equal(above("/"), null);
  assert.equal(above("x/y"), "x");
  assert.equal(above("z"), null);
});

Deno.test("a late energy is divided by what is still known, and counted", () => {
  const bench = new AttributionBench(shares({ grace: "0s" }));
  bench.take(points(["energy", 1, 0], ["1", 1, 0], ["2", 1, 0]));
  bench.take(points(["1", 2, 10], ["2", 3, 20], ["1", 3, 0], ["energy", 3, 10]));
  const late = bench.take(points(["energy", 2, 10]));
  assert.deepEqual(inWords(late), ["1 2: 5", "2 2: 5"]);
  assert.equal(bench.transform.stats.latePoints, 1);
  bench.take(points(["1", 2.5, 1]));
  assert.equal(bench.transform.stats.latePoints, 2);
});

/** Far enough for times to be counted from another base. */
const FAR = 6_000_000;

Deno.test("energies that wait, and points that are late, stay what they are when times are counted from another base", () => {
  const bench = new AttributionBench(shares());
  bench.take(points(["energy", 0, 0], ["1", 0, 0]));
  bench.take(points(["energy", 1, 10], ["1", 1, 5], ["1", 3, 0]));
  bench.take(points(["energy", 4, 7], ["1", 4, 5]));
  assert.deepEqual(inWords(bench.take(points(["2", FAR, 1]))), ["1 4: 7"]);
  bench.take(points(["2", FAR + 1, 1]));
  assert.equal(bench.transform.stats.latePoints, 0);
  // What is complete in a batch is complete, though its last point is one of a clock that is far behind.
  const results = bench.take(
    points(["energy", FAR + 1, 0], ["energy", FAR + 2, 20], ["2", FAR + 2, 1], ["2", FAR + 4, 1], [
      "3",
      5,
      1,
    ]),
  );
  assert.deepEqual(inWords(results), [`2 ${FAR + 2}: 20`]);
});

Deno.test("a point at the time up to which energies are divided is late, an energy that comes again or out of order is not", () => {
  const late = (...batches: Batch[]) => {
    const bench = new AttributionBench(shares({ grace: "0s" }));
    for (const batch of batches) bench.take(batch);
    return bench.transform.stats.latePoints;
  };
  const of = (domain: string): Attribute[] => [["domain", domain]];
  const first = () => points(["energy", 3, 5, of("a")], ["1", 2, 1], ["1", 3, 1]);
  assert.equal(late(first(), points(["2", 3, 1])), 1);
  assert.equal(late(first(), points(["energy", 3, 5, of("a")])), 0);
  assert.equal(late(points(["energy", 5, 5, of("b")], ["energy", 4, 5, of("b")])), 0);
  const waiting = new AttributionBench(shares({ grace: "2s" }));
  waiting.take(points(["energy", 3, 5, of("a")], ["1", 5, 1]));
  waiting.take(points(["energy", 5, 5, of("b")]));
  waiting.take(points(["energy", 3, 5, of("b")]));
  assert.equal(waiting.transform.stats.latePoints, 1);
});

Deno.test("points that no declaration names are not kept, and a capacity counts only where there is idle", () => {
  const bench = new AttributionBench(shares());
  bench.take(points(["capacity", 1, 1]));
  assert.equal(bench.transform.neededFrom, Infinity);
  const both = outcome(
    shares({ ...IDLE, unused: "shared" }),
    points(["energy", 0, 0], ["1", 0, 0], ["capacity", 0, 0]),
    points(["energy", 1, 100], ["1", 1, 500], ["capacity", 1, 4]),
  );
  assert.deepEqual(both, ["1 1: 100"]);
});

Deno.test("a power and a number hold over their intervals, as a percentage does; a time does not", () => {
  for (const [base, expected] of [["W", 5], ["1", 5], ["%", 5], ["s", 7.5]] as const) {
    const metric = metricOf("use", "f64", { base, prefix: "" });
    const of = (id: string, at: number, value: number) =>
      batchOf([[seriesOf(metric, { consumerKind: "process", consumerId: id }), value, at]]);
    const results = outcome(
      shares({ per_consumer: { cpu: { metric: "use" } } }),
      points(["energy", 0, 0]),
      ...[of("1", 0, 0), of("2", 0, 0), of("1", 1, 30), of("1", 4, 0), of("2", 1, 0), of("2", 4, 10)],
      points(["energy", 4, 10]),
    );
    assert.deepEqual(results, [`1 4: ${expected}`, `2 4: ${10 - expected}`], base);
  }
});

Deno.test("a use in a unit whose prefix is not known counts as it is", () => {
  const odd = metricOf("odd", "f64", { base: "s", prefix: "odd" });
  const plain = metricOf("plain", "f64", { base: "s", prefix: "" });
  const at = (seconds: number) =>
    [odd, plain].map((metric) =>
      batchOf([[seriesOf(metric, { consumerKind: "process", consumerId: metric.name }), 5, seconds]])
    );
  const results = outcome(
    shares({ per_consumer: { odd: { metric: "odd" }, plain: { metric: "plain" } } }),
    ...[points(["energy", 0, 0]), ...at(0), ...at(1), points(["energy", 1, 10])],
  );
  assert.deepEqual(results, ["odd 1: 5", "plain 1: 5"]);
});

Deno.test("a use that is not finite counts for nothing", () => {
  const percent = metricOf("percent", "f64", { base: "%", prefix: "" });
  const of = (id: string, at: number, value: number) =>
    batchOf([[seriesOf(percent, { consumerKind: "process", consumerId: id }), value, at]]);
  const results = outcome(
    shares({ per_consumer: { cpu: { metric: "percent" } } }),
    ...[points(["energy", 0, 0]), of("1", 0, 0), of("2", 0, 0), of("1", 1, Infinity), of("2", 1, 3)],
    points(["energy", 1, 10]),
  );
  assert.deepEqual(results, ["2 1: 10"]);
});

Deno.test("a result has the attributes of the energy, then those of the uses with other names, and the client's at the end", () => {
  const client: Attribute = [CLIENT_ATTRIBUTE, "a"];
  const bench = new AttributionBench(shares());
  const at = (seconds: number, value: number) =>
    bench.take(points(
      ["energy", seconds, value, [["domain", "package"], client]],
      ["1", seconds, value, [["kind", "x"], ["domain", "mine"], client]],
    ));
  at(0, 0);
  at(1, 5);
  assert.deepEqual(bench.flush().seriesAt(0).attributes, [["domain", "package"], ["kind", "x"], client]);
});

Deno.test("a series of a consumer that is silent is forgotten, the others go on", () => {
  const bench = new AttributionBench(shares({ retention_time: "4s" }));
  const of = (kind: string): Attribute[] => [["kind", kind]];
  bench.take(
    points(["energy", 0, 0], ["1", 0, 0, of("a")], ["1", 0, 0, of("b")], ["1", 0, 0, of("c")], ["2", 0, 0]),
  );
  bench.tick(3);
  bench.take(points(["energy", 0.5, 0], ["1", 1, 10, of("b")], ["1", 1, 10, of("c")], ["2", 1, 10]));
  bench.tick(3);
  const results = bench.take(
    points(["energy", 2, 45], ["1", 2, 10, of("b")], ["1", 2, 10, of("c")], ["2", 2, 10], ["2", 9, 0]),
  );
  assert.deepEqual(inWords(results), ["1 2: 30", "2 2: 15"]);
});

Deno.test("an energy is idle whose interval begins with one that is forgotten", () => {
  // Also where the consumer is known before and after it: when the interval began is not.
  for (const before of [[], [["1", 4, 1]]] as Row[][]) {
    const bench = new AttributionBench(shares({ retention_time: "4s", grace: "0s" }));
    bench.take(points(["energy", 5, 1], ["1", 5, 1]));
    bench.tick(3);
    bench.take(points(["energy", 6, 5], ...before, ["1", 6, 1]));
    bench.tick(2);
    assert.deepEqual(inWords(bench.take(points(["energy", 6, 8]))), ["idle 6: 8"]);
  }
});

Deno.test("what a group used is part of the group above that is left, when the one between is gone", () => {
  const bench = new AttributionBench(shares({ nested: true, retention_time: "4s" }));
  bench.take(points(["energy", 0, 0], ["/", 0, 0], ["/a", 0, 0], ["/a/b", 0, 0]));
  bench.take(points(["energy", 1, 60], ["/", 1, 30], ["/a", 1, 20], ["/a/b", 1, 10], ["/", 9, 0]));
  bench.tick(3);
  bench.take(points(["energy", 10, 0], ["/", 10, 0], ["/a/b", 10, 0]));
  bench.tick(3);
  const results = bench.take(points(["energy", 11, 30], ["/", 11, 30], ["/a/b", 11, 10], ["/", 20, 0]));
  assert.deepEqual(inWords(results), ["/ 11: 20", "/a/b 11: 10"]);
});

/** Shows how many groups there are. */
class CountedShares extends ShareAttribution {
  get groupCount(): number {
    return this.groups.list.length;
  }
}

Deno.test("nothing is left of a client when its energies, uses and capacities are forgotten", () => {
  const is = (name: string) => ({ metric }: SeriesDefinition) => metric.name === name;
  for (const subject of ["energy", "capacity", "1"]) {
    const attribution = new CountedShares({
      ...{ retentionTicks: 3, graceNs: 0, hasIdle: true, isNested: false, by: null },
      metricFor: (metric) => metric,
      ...{ isEnergy: is("energy"), isUse: is("cpu"), isCapacity: is("capacity") },
      ...{ keepsEnergyAttributes: true, keepsUseAttributes: true },
    });
    const { local } = new ClientTable();
    const sink = { add: () => {} };
    attribution.take(points([subject, 1, 1], [subject, 2, 1]), 0, 2, local);
    for (let n = 0; n < 3; n++) attribution.tick(sink);
    assert.equal(attribution.groupCount, 1, subject);
    attribution.tick(sink);
    assert.equal(attribution.groupCount, 0, subject);
    assert.equal(attribution.bytes, 0, subject);
  }
});

/** The exact sum of floats, as an integer in units of 2^-1074. */
function exactSum(values: Iterable<number>): bigint {
  const view = new DataView(new ArrayBuffer(8));
  let sum = 0n;
  for (const value of values) {
    view.setFloat64(0, value);
    const bits = view.getBigUint64(0);
    const exponent = (bits >> 52n) & 0x7ffn;
    const fraction = bits & (2n ** 52n - 1n);
    const magnitude = exponent === 0n ? fraction : (fraction + 2n ** 52n) << (exponent - 1n);
    sum += bits >> 63n === 1n ? -magnitude : magnitude;
  }
  return sum;
}

/** Whether an exact sum is the value to the last bit: no float is nearer to it. */
function assertIs(sum: bigint, value: number, what: string): void {
  const distance = (other: number) => {
    const difference = sum - exactSum([other]);
    return difference < 0n ? -difference : difference;
  };
  const step = Math.max(Math.abs(value) * 2 ** -53, 2 ** -1074);
  for (const other of [value - step, value + step]) {
    if (other !== value) assert.ok(distance(value) <= distance(other), what);
  }
}

Deno.test("the parts of a number add up to it to the last bit", () => {
  const chance = new Chance(1);
  for (let round = 0; round < 3000; round++) {
    const weights = Float64Array.from(
      { length: 1 + chance.int(40) },
      () => chance.int(4) === 0 ? 0 : chance.next() ** 8 * 10 ** chance.int(12),
    );
    const whole = (chance.next() - 0.2) * 10 ** (chance.int(20) - 10);
    const parts = divide(whole, weights);
    assertIs(exactSum(parts), whole, `round ${round}`);
    // What rounding leaves comes to the largest part, the first of them.
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    if (total === 0) continue;
    const largest = weights.indexOf(Math.max(...weights));
    for (const [i, weight] of weights.entries()) {
      if (i !== largest && weight > 0) assert.equal(parts[i], whole * (weight / total), `round ${round}`);
    }
  }
  assert.deepEqual([...divide(0.1, Float64Array.of(1, 1, 1))].slice(1), [0.1 * (1 / 3), 0.1 * (1 / 3)]);
});

Deno.test("with random arrivals, gaps, resets, late points and short processes, the shares add up to each energy", () => {
  for (let seed = 1; seed <= 30; seed++) {
    const chance = new Chance(seed);
    const bench = new AttributionBench(
      shares(seed % 2 ? { ...IDLE, retention_time: "10s" } : { nested: true, retention_time: "8s" }),
    );
    const energies = new Map<string, number[]>();
    const results: Batch[] = [];
    let clock = 1_700_000_000;
    for (let batch = 0; batch < 60; batch++) {
      if (chance.int(15) === 0) clock -= chance.int(40);
      clock += chance.next() * 2;
      const rows: Row[] = [];
      for (let n = chance.int(12); n > 0; n--) {
        const at = Math.round((clock + (chance.int(4) === 0 ? -chance.next() * 10 : chance.next())) * 1e3) /
          1e3;
        const kind = chance.int(4);
        if (kind === 0) {
          const value = chance.int(9) === 0 ? 0 : chance.next() * 10 ** chance.int(6);
          const domain = String(chance.int(2));
          rows.push(["energy", at, value, [["domain", domain]]]);
          const key = `${domain} ${at}`;
          energies.set(key, [...energies.get(key) ?? [], value]);
        } else if (kind === 1) rows.push(["capacity", at, chance.next() * 4]);
        // Some processes are seen once.
        else {rows.push([
            chance.int(5) === 0 ? `p${seed}-${batch}-${n}` : `/${chance.int(6)}`,
            at,
            chance.int(900),
          ]);}
      }
      results.push(bench.take(points(...rows)));
      if (chance.int(3) === 0) results.push(bench.tick(1 + chance.int(4)));
    }
    results.push(bench.flush());
    const shared = new Map<string, number[]>();
    const all = joined(results);
    for (let row = 0; row < all.length; row++) {
      const [[, domain]] = all.seriesAt(row).attributes;
      const key = `${domain} ${Math.round((all.seconds[row] + all.nanos[row] / 1e9) * 1e3) / 1e3}`;
      shared.set(key, [...shared.get(key) ?? [], all.values[row]]);
    }
    for (const [key, values] of energies) {
      const sum = exactSum(shared.get(key) ?? []);
      if (values.length === 1) assertIs(sum, values[0], `seed ${seed}, ${key}`);
      else {assert.ok(
          Math.abs(Number(sum - exactSum(values))) <= Number(exactSum([Math.max(...values)])) * 1e-15,
        );}
      shared.delete(key);
    }
    assert.deepEqual([...shared.keys()], [], "nothing else is shared");
    assert.equal(bench.transform.neededFrom, Infinity);
  }
});

Deno.test("where points take too much, those that came first go, and what came last is divided as ever", () => {
  const strangers = (count: number, at: number) =>
    Array.from({ length: count }, (_, n): Row => [`${at}-${n}`, at, 1, [[CLIENT_ATTRIBUTE, "other"]]]);
  const run = (memory?: number, late = 12) => {
    const logs = new LogLines();
    const bench = new AttributionBench(shares(), { log: logs.log }, memory);
    const results = [
      bench.take(points(...strangers(20, 0))),
      bench.tick(),
      bench.take(points(["energy", 1, 5], ["1", 1, 1])),
      bench.tick(),
      bench.take(points(...strangers(late, 2))),
      bench.tick(),
      // There is room for these now.
      bench.take(points(...strangers(12, 3))),
    ];
    const { neededFrom } = bench.transform;
    results.push(bench.take(points(["energy", 6, 100], ["1", 6, 500])), bench.flush());
    return { results: inWords(joined(results)), neededFrom, early: logs.matching(/attributed early/).length };
  };
  const roomy = run();
  assert.ok(roomy.results.includes("1 6: 100"), roomy.results.join());
  assert.equal(roomy.early, 0);
  const tight = run(100_000);
  assert.deepEqual(tight, { results: roomy.results, neededFrom: 0, early: 1 });
  // What a second brings must have room beside the rest: otherwise all goes.
  const burst = run(100_000, 30);
  assert.deepEqual([burst.neededFrom, burst.early], [3, 1]);
  assert.deepEqual(burst.results.at(-1), "idle 6: 100");
});

Deno.test("who reads again from where it says comes to the same results from then on, in the same order", () => {
  let early = 0;
  for (let seed = 1; seed <= 12; seed++) {
    // Much of what is kept goes early, or all, or the oldest of it, or nothing.
    const memory = [undefined, 20_000, 40_000, 80_000][seed % 4];
    const logs = new LogLines();
    const chance = new Chance(seed);
    const config = {
      formulas: {
        share: { ...SHARE, ...IDLE, retention_time: "6s", grace: "1s" },
        value: {
          expr: "energy * cpu",
          ref: "energy",
          retention_time: "4s",
          per_resource: { energy: { metric: "energy" } },
          per_consumer: { cpu: { metric: "cpu" } },
        },
      },
    };
    let clock = 1_700_000_000;
    /** Batches, and `null` for ticks. */
    const events: (Row[] | null)[] = Array.from({ length: 150 }, () => {
      clock += chance.next();
      if (chance.int(40) === 0) clock -= 5 + chance.int(30);
      if (chance.int(3) === 0) return null;
      return Array.from({ length: chance.int(6) }, (): Row => {
        const at = Math.round((clock + (chance.int(5) === 0 ? -4 * chance.next() : 0)) * 1e3) / 1e3;
        return [
          ["energy", "capacity", "1", "2", `p${chance.int(50)}`][chance.int(5)],
          at,
          chance.int(1000),
        ];
      });
    });
    const run = (bench: AttributionBench, from: number) =>
      events.slice(from).map((rows) => inWords(rows === null ? bench.tick() : bench.take(points(...rows))));
    // The place of a batch is the number of its event.
    const whole: string[][] = [];
    const needed: number[] = [];
    let bench = new AttributionBench(config, { log: logs.log }, memory);
    for (const [place, rows] of events.entries()) {
      bench.placeNext(place);
      whole.push(inWords(rows === null ? bench.tick() : bench.take(points(...rows))));
      needed.push(Math.min(bench.transform.neededFrom, place + 1));
    }
    early += logs.lines.length;
    for (let stop = 20; stop < events.length; stop += 13) {
      bench = new AttributionBench(config, {}, memory);
      const from = needed[stop];
      const again = run(bench, from).slice(stop + 1 - from);
      assert.deepEqual(again, whole.slice(stop + 1), `seed ${seed}, stop ${stop}, from ${from}`);
    }
  }
  assert.ok(early >= 9, "where there is little memory, something went early");
});
