/** What attributions keep and forget, point by point: clocks that are set back, points that come late, clients that go. */
import assert from "node:assert/strict";
import {
  type Attribute,
  Batch,
  CLIENT_ATTRIBUTE,
  type Series,
  seriesOf,
} from "../../lib/points/measurement.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { SeriesStore } from "../../lib/points/series_store.ts";
import {
  Attribution,
  type Feed,
  ResultSeries,
  type ResultSink,
} from "../../lib/transforms/energy_attribution/attribution.ts";
import { config, wants } from "../../lib/transforms/energy_attribution/config.ts";
import { Group, groupKey, Sorted } from "../../lib/transforms/energy_attribution/groups.ts";
import { PointList } from "../../lib/transforms/energy_attribution/point_list.ts";
import { Source } from "../../lib/transforms/energy_attribution/sources.ts";
import { AttributionBench } from "../kit/attribution.ts";
import { Chance } from "../kit/bytes.ts";
import { metricOf } from "../kit/decode.ts";
import { batchOf } from "../kit/points.ts";

const energy = metricOf("energy", "u64", { base: "J", prefix: "" });
const usage = metricOf("usage", "f64");

const FORMULA = {
  expr: "package * usage / 100.0",
  ref: "package",
  retention_time: "5s",
  per_resource: { package: { metric: "energy", domain: "package" } },
  per_consumer: { usage: { metric: "usage" } },
};
const formula = (rest: Record<string, unknown> = {}) => ({ formulas: { out: { ...FORMULA, ...rest } } });
/** With a second series of the resource. */
const withDram = {
  expr: "(package + dram) * usage / 100.0",
  per_resource: { ...FORMULA.per_resource, dram: { metric: "energy", domain: "dram" } },
};

type Row = readonly [subject: string, seconds: number, value: number, client?: string];

/** Points: the subject is `package`, `dram`, or the number of a process. */
function points(...rows: Row[]): Batch {
  return batchOf(rows.map(([subject, seconds, value, client]) => {
    const isEnergy = subject === "package" || subject === "dram";
    const attributes = [
      ...isEnergy ? [["domain", subject] as const] : [],
      ...client === undefined ? [] : [[CLIENT_ATTRIBUTE, client] as const],
    ];
    const consumer = isEnergy ? {} : { consumerKind: "process", consumerId: subject };
    const whole = Math.floor(seconds);
    return [
      seriesOf(isEnergy ? energy : usage, { ...consumer, attributes }),
      value,
      whole,
      Math.round((seconds - whole) * 1e9),
    ];
  }));
}

const inWords = (batch: Batch) =>
  Array.from({ length: batch.length }, (_, row) => {
    const { consumerId, attributes } = batch.seriesAt(row);
    const client = attributes.find(([name]) => name === CLIENT_ATTRIBUTE)?.[1];
    const time = batch.seconds[row] + batch.nanos[row] / 1e9;
    const value = Number(batch.values[row].toPrecision(12));
    return `${client === undefined ? "" : `${client} `}${consumerId} ${time}: ${value}`;
  });

/** A bench whose results are in words. */
function benchOf(config: unknown) {
  const bench = new AttributionBench(config);
  return {
    take: (...rows: Row[]) => inWords(bench.take(points(...rows))),
    takeBatch: (batch: Batch) => inWords(bench.take(batch)),
    tick: (count: number) => inWords(bench.tick(count)),
    flush: () => inWords(bench.flush()),
    get neededFrom() {
      return bench.transform.neededFrom;
    },
  };
}

/** Far enough for times to be counted from another base. */
const FAR = 6_000_000;

Deno.test("a time that was evaluated before a clock was set back is not evaluated again", () => {
  const bench = benchOf(formula());
  assert.deepEqual(bench.take(["package", 1000, 100], ["1", 1000, 10]), ["1 1000: 10"]);
  bench.tick(3);
  assert.deepEqual(bench.take(["package", 500, 100], ["1", 500, 20]), ["1 500: 20"]);
  // It has come before, and has its result.
  assert.deepEqual(bench.take(["package", 700, 100], ["package", 1000, 100]), ["1 700: 16", "1 1000: 10"]);
  // The process is not there yet.
  assert.deepEqual(bench.take(["package", 1200, 100]), []);
  // The point of the process at 1000 is forgotten.
  bench.tick(3);
  assert.deepEqual(bench.take(["package", 750, 100]), []);
  assert.deepEqual(bench.take(["1", 800, 32]), ["1 750: 30"]);
  assert.deepEqual(bench.take(["1", 1300, 32]), ["1 1200: 32"]);
});

Deno.test("the same holds where times are counted from another base meanwhile", () => {
  const bench = benchOf(formula());
  bench.take(["package", 1000, 100], ["1", 1000, 10]);
  bench.tick(3);
  bench.take(["package", 500, 100], ["1", 500, 20], ["package", 700, 100]);
  bench.tick(3);
  // Another process, whose clock is far ahead.
  assert.deepEqual(bench.take(["2", FAR, 1]), []);
  assert.deepEqual(bench.take(["1", 800, 32]), []);
});

Deno.test("late times, and those that wait, stay what they are when times are counted from another base", () => {
  const bench = benchOf(formula());
  bench.take(["1", 1, 10], ["1", 3, 30], ["package", 3, 100]);
  assert.deepEqual(bench.take(["package", 2, 100], ["2", FAR, 1]), ["1 2: 20"]);
  assert.deepEqual(bench.take(["package", FAR + 10, 100]), []);
  assert.deepEqual(bench.take(["1", FAR + 10, 50]), [`1 ${FAR + 10}: 50`]);
});

Deno.test("a late time at which a process has its last point is evaluated", () => {
  const bench = benchOf(formula());
  bench.take(["package", 4, 100], ["1", 3, 30]);
  assert.deepEqual(bench.take(["package", 3, 100]), ["1 3: 30"]);
});

Deno.test("a time waits for all series of the resource", () => {
  const bench = benchOf(formula(withDram));
  assert.deepEqual(bench.take(["package", 1, 100], ["1", 1, 50]), []);
  assert.deepEqual(bench.take(["dram", 1, 20]), ["1 1: 60"]);
});

Deno.test("a late time waits for a series of the resource that was forgotten and comes again", () => {
  const bench = benchOf(formula(withDram));
  assert.deepEqual(bench.take(["package", 10, 100], ["dram", 10, 20], ["1", 10, 50]), ["1 10: 60"]);
  bench.tick(3);
  bench.take(["package", 12, 100], ["1", 12, 50], ["1", 8, 50]);
  bench.tick(3);
  assert.deepEqual(bench.take(["package", 9, 100]), []);
  assert.deepEqual(bench.take(["dram", 8, 20]), []);
  assert.deepEqual(bench.take(["dram", 12, 20]), ["1 9: 60", "1 12: 60"]);
});

Deno.test("where a missing series is 0, a time still waits for those that are there, and 0 is an integer", () => {
  const more = { missing: "zero", per_consumer: { ...FORMULA.per_consumer, more: { metric: "more" } } };
  const bench = benchOf(formula(more));
  assert.deepEqual(bench.take(["package", 1, 100], ["1", 0.5, 10]), []);
  assert.deepEqual(bench.take(["1", 1.5, 30]), ["1 1: 20"]);
  // Nothing is made for a process whose points are forgotten.
  bench.tick(7);
  assert.deepEqual(bench.take(["package", 9, 100]), []);
  const division = benchOf(formula({ ...more, expr: "package / (2 + more)" }));
  assert.deepEqual(division.take(["package", 1, 7], ["1", 1, 1]), ["1 1: 3"]);
});

Deno.test("one series may be that of the resource and that of the consumer", () => {
  const both = { metric: "usage" };
  const bench = benchOf(formula({
    expr: "package * usage",
    per_resource: { package: both },
    per_consumer: { usage: both },
  }));
  assert.deepEqual(bench.take(["1", 1, 7]), ["1 1: 49"]);
});

Deno.test("points that no formula names are not kept", () => {
  const bench = benchOf(formula());
  bench.takeBatch(batchOf([[seriesOf(metricOf("other")), 1, 1]]));
  assert.equal(bench.neededFrom, Infinity);
});

Deno.test("what a client's process uses is nothing of another client's energy; results are in the order of clients", () => {
  const bench = benchOf(formula());
  assert.deepEqual(bench.take(["package", 1, 100, "b"], ["1", 1, 50, "a"]), []);
  assert.deepEqual(bench.take(["1", 1, 10, "b"], ["package", 1, 100, "a"]), ["a 1 1: 50", "b 1 1: 10"]);
});

Deno.test("after everything was completed, what comes is attributed as before, and waits no longer", () => {
  const bench = benchOf({
    formulas: {
      out: {
        as: "share",
        retention_time: "20s",
        per_resource: { package: { metric: "energy" } },
        per_consumer: { usage: { metric: "usage" } },
      },
    },
  });
  bench.take(["package", 1, 0], ["1", 1, 0]);
  bench.flush();
  bench.take(["package", 2, 5], ["package", 3, 10], ["1", 2, 1], ["1", 3, 1]);
  assert.deepEqual(bench.tick(9), []);
  assert.deepEqual(bench.tick(1), [" 2: 5", "1 3: 10"]);
});

/** A group that notes by how much its times were moved. */
class TestGroup extends Group {
  readonly shifts: number[] = [];
  arrivals: number[] = [];

  protected override shift(ns: number): void {
    this.shifts.push(ns);
  }
}

/** Keeps when points arrived, and nothing else. */
class TestAttribution extends Attribution<TestGroup, Feed<TestGroup>> {
  /** Series that were looked at. */
  looks = 0;

  get groupCount(): number {
    return this.groups.list.length;
  }

  protected override newGroup(...args: ConstructorParameters<typeof TestGroup>): TestGroup {
    return new TestGroup(...args);
  }

  protected override feedFor(source: Source, groupKey: string): Feed<TestGroup> | null {
    this.looks++;
    return { source, groupKey, group: null };
  }

  protected override keep(group: TestGroup, _feed: Feed<TestGroup>): void {
    group.arrivals.push(this.now);
  }

  protected override complete(): void {}
  protected override expire(): void {}
  protected override finish(): void {}

  protected override forgetBefore(group: TestGroup, tick: number): boolean {
    group.arrivals = group.arrivals.filter((arrival) => arrival >= tick);
    return group.arrivals.length > 0;
  }
}

Deno.test("nothing is left of a client whose points are forgotten, nor after everything was completed", () => {
  const attribution = new TestAttribution({ retentionTicks: 3 });
  const out: ResultSink = { add: () => assert.fail("there are no results") };
  const { local } = new ClientTable();
  const take = () => attribution.take(points(["1", 1, 1, "a"], ["1", 1, 1, "b"]), 0, 2, local);
  assert.equal(take(), true);
  attribution.tick(out);
  assert.equal(attribution.groupCount, 2);
  for (let n = 0; n < 3; n++) attribution.tick(out);
  assert.equal(attribution.groupCount, 0);
  take();
  attribution.flush(out);
  assert.equal(attribution.groupCount, 0);
  // The same series begin again.
  take();
  assert.equal(attribution.groupCount, 2);
});

Deno.test("what is known of many series is forgotten, except of those with points that are kept", () => {
  const attribution = new (class extends TestAttribution {
    protected override keep(group: TestGroup, feed: Feed<TestGroup>): void {
      super.keep(group, feed);
      if (feed.source.definition.consumerId === "held") this.hold(feed.source);
    }
  })({ retentionTicks: 3 });
  const { local } = new ClientTable();
  const take = (...subjects: string[]) => {
    attribution.looks = 0;
    attribution.take(points(...subjects.map((subject): Row => [subject, 1, 1])), 0, subjects.length, local);
    return attribution.looks;
  };
  assert.equal(take("held", ...Array.from({ length: 5000 }, (_, i) => `${i}`)), 5001);
  assert.equal(take("held", "0", "1"), 2);
  assert.equal(take("held", "0", "1", "2"), 1);
  assert.equal(take(...Array.from({ length: 4500 }, (_, i) => `${i}`)), 4497);
  assert.equal(take("held", "0"), 1);
});

Deno.test("a series that no formula names is forgotten like any other, and another one may have its number", () => {
  const attribution = new (class extends TestAttribution {
    protected override feedFor(source: Source, groupKey: string): Feed<TestGroup> | null {
      return source.definition.metric === usage ? super.feedFor(source, groupKey) : null;
    }
  })({ retentionTicks: 3 });
  const store = new SeriesStore();
  const { local } = new ClientTable();
  const take = (series: Series) => {
    const batch = new Batch(1, null, store);
    batch.push(series, 1, 0, 1);
    const matters = attribution.take(batch, 0, 1, local);
    batch.release();
    return matters;
  };
  assert.equal(take(seriesOf(energy)), false);
  for (let n = 0; n < 700; n++) store.tick();
  assert.equal(store.size, 0);
  const process = (consumerId: string) => take(seriesOf(usage, { consumerId }));
  assert.deepEqual([process("1"), process("2"), process("3")], [true, true, true]);
  for (let n = 0; n < 700; n++) {
    store.tick();
    if (n % 100 === 0) [process("2"), process("3")];
  }
  assert.equal(store.size, 2);
  assert.deepEqual([process("4"), process("3"), process("2"), process("1")], [true, true, true, true]);
});

Deno.test("a series of results is made again when others are its sources, and when its number was given back", () => {
  const storeWith = () => {
    const store = new SeriesStore();
    const sources = ["1", "2"].map((consumerId) => {
      const definition = seriesOf(usage, { consumerId });
      const source = new Source(store, store.internDefinition(definition), definition);
      source.hold();
      return source;
    });
    return { store, sources };
  };
  const { store, sources: [a, b] } = storeWith();
  const result = new ResultSeries();
  let made = 0;
  const makes = (store: SeriesStore, ...from: Source[]) => {
    made = 0;
    result.number(store, from, () => (made++, seriesOf(energy)));
    return made;
  };
  assert.deepEqual([makes(store, a, b), makes(store, a, b)], [1, 0]);
  assert.deepEqual([makes(store, a), makes(store, b), makes(store, b, a), makes(store, b, a)], [1, 1, 1, 0]);
  for (let n = 0; n < 700; n++) store.tick();
  assert.deepEqual([makes(store, b, a), makes(store, b, a)], [1, 0]);
  const other = storeWith();
  assert.deepEqual([makes(other.store, b, a), makes(other.store, b, a)], [1, 0]);
});

Deno.test("a group's times are exact to the nanosecond, however far they are apart", () => {
  const group = new TestGroup("", new ClientTable().local, 1000);
  const both = (time: number) => [group.secondsOf(time), group.nanosOf(time)];
  assert.deepEqual(both(group.timeOf(1001, 7)), [1001, 7]);
  assert.deepEqual(both(group.timeOf(998, 999_999_999)), [998, 999_999_999]);
  assert.deepEqual(group.shifts, []);
  assert.deepEqual(both(group.timeOf(1_700_000_000, 123_456_789)), [1_700_000_000, 123_456_789]);
  assert.deepEqual(group.shifts, [-1_699_999_000e9]);
});

Deno.test("series of one client and resource are a group", () => {
  const keyOf = (client: string, resourceId: string) =>
    groupKey(seriesOf(usage, { resourceKind: "cpu", resourceId, attributes: [[CLIENT_ATTRIBUTE, client]] }));
  assert.equal(keyOf("a", "1"), keyOf("a", "1"));
  assert.notEqual(keyOf("a", "1"), keyOf("b", "1"));
  assert.notEqual(keyOf("a", "1"), keyOf("a", "2"));
});

Deno.test("things are in the order of their keys, however they come and go", () => {
  const chance = new Chance(1);
  const sorted = new Sorted<{ key: string }>();
  const known = new Set<string>();
  for (let n = 0; n < 60; n++) {
    const key = String(chance.int(1000));
    if (known.has(key)) continue;
    known.add(key);
    sorted.add({ key });
    assert.deepEqual(sorted.list.map(({ key }) => key), [...known].sort());
  }
  assert.equal(sorted.retain(() => true), true);
  assert.equal(sorted.retain(({ key }) => key < "5"), false);
  assert.deepEqual(sorted.list.map(({ key }) => key), [...known].filter((key) => key < "5").sort());
});

Deno.test("points are sorted by time, each one once; those that arrived before a tick are forgotten, wherever they stand", () => {
  const store = new SeriesStore();
  const [one, other] = [1, 2].map((n) => {
    const definition = seriesOf(usage, { consumerId: `${n}` });
    return new Source(store, store.internDefinition(definition), definition);
  });
  const list = new PointList();
  const kept = () => list.times.slice(list.start).map((time, i) => `${time}=${list.values[list.start + i]}`);
  const add = (time: number, value: number, tick: number, source = one) =>
    list.add(time, value, tick, source);
  assert.deepEqual([add(10, 1, 0), add(30, 3, 5), add(20, 2, 6)], [undefined, undefined, undefined]);
  assert.deepEqual(kept(), ["10=1", "20=2", "30=3"]);
  assert.equal(add(20, 4, 6, other), one);
  assert.deepEqual(kept(), ["10=1", "20=4", "30=3"]);
  list.shift(5);
  assert.deepEqual(kept(), ["15=1", "25=4", "35=3"]);
  assert.deepEqual([14, 15, 16, 25, 35, 36].map((time) => list.placeOf(time)), [0, 0, 1, 1, 2, 3]);
  const forgotten: string[] = [];
  const forget = (tick: number) =>
    list.forgetBefore(tick, ({ definition }) => forgotten.push(definition.consumerId));
  forget(0);
  assert.equal(kept().length, 3);
  forget(1);
  assert.deepEqual([kept(), forgotten], [["25=4", "35=3"], ["1"]]);
  assert.deepEqual([20, 25, 30, 40].map((time) => list.placeOf(time) - list.start), [0, 0, 1, 2]);
  add(45, 5, 5, other);
  add(55, 6, 6);
  forget(5);
  assert.equal(kept().length, 4);
  forget(6);
  assert.deepEqual([kept(), forgotten], [["25=4", "55=6"], ["1", "1", "2"]]);
  assert.deepEqual([list.last, list.isEmpty], [55, false]);
  forget(7);
  assert.deepEqual([list.last, list.isEmpty, forgotten.length], [-Infinity, true, 5]);
});

/** CPU time of somebody, in ms. */
const cpuTime = (consumerKind: string, consumerId: string, ms: number, attributes: Attribute[]) =>
  [
    seriesOf(metricOf("cpu_time_delta", "u64", { base: "s", prefix: "milli" }), {
      consumerKind,
      consumerId,
      attributes,
    }),
    ms,
  ] as const;

/** What `energy_by` makes of 100 J and 10 s of capacity: who, how much, and the attributes. */
function readyResults(ready: string, ...uses: readonly ReturnType<typeof cpuTime>[]): string[] {
  const joules = seriesOf(metricOf("rapl_consumed_energy", "f64", { base: "J", prefix: "" }), {
    attributes: [["domain", "package_total"]],
  });
  const states = [["user", 7000], ["idle", 3000], ["guest", 5000]] as const;
  const capacities = states.map(([state, ms]) =>
    [
      seriesOf(metricOf("kernel_cpu_time", "u64", { base: "s", prefix: "milli" }), {
        attributes: [["cpu_state", state]],
      }),
      ms,
    ] as const
  );
  const bench = new AttributionBench({ energy_by: [ready] });
  const rows = [[joules, 100] as const, ...capacities, ...uses];
  for (const [seconds, scale] of [[0, 0], [10, 1]]) {
    bench.take(batchOf(rows.map(([series, value]) => [series, value * scale, seconds])));
  }
  const results = bench.flush();
  return Array.from({ length: results.length }, (_, row) => {
    const { metric, consumerKind, consumerId, attributes } = results.seriesAt(row);
    const texts = attributes.map(([name, value]) => ` ${name}=${value}`).join("");
    return `${metric.name} ${consumerKind} ${consumerId}: ${results.values[row]}${texts}`;
  }).filter((line) => !line.includes(": 0")).sort();
}

Deno.test("the energy of processes is by their CPU time, guests counted once, with their attributes", () => {
  const results = readyResults(
    "process",
    ...[["user", 3000], ["system", 1000], ["guest", 2000], ["total", 4000]].map(([kind, ms]) =>
      cpuTime("process", "1", Number(ms), [["kind", kind as string], ["name", "make"]])
    ),
    // It is no part of process 1.
    cpuTime("process", "1/2", 1000, [["kind", "user"], ["name", "cc"]]),
    cpuTime("cgroup", "/a", 5000, [["kind", "user"]]),
  );
  assert.deepEqual(results, [
    "process_energy idle : 50 domain=package_total",
    "process_energy process 1/2: 10 domain=package_total kind=user name=cc",
    "process_energy process 1: 40 domain=package_total name=make",
  ]);
});

Deno.test("the energy of a control group is without that of the groups below it", () => {
  const results = readyResults(
    "cgroup",
    cpuTime("cgroup", "/a", 4000, [["kind", "total"]]),
    cpuTime("cgroup", "/a/b", 3000, [["kind", "total"]]),
    cpuTime("cgroup", "/a", 4000, [["kind", "user"]]),
    cpuTime("process", "1", 4000, [["kind", "total"]]),
  );
  assert.deepEqual(results, [
    "cgroup_energy cgroup /a/b: 30 domain=package_total kind=total",
    "cgroup_energy cgroup /a: 10 domain=package_total kind=total",
    "cgroup_energy idle : 60 domain=package_total",
  ]);
});

Deno.test("the energy of a job is that of its groups, without its steps, which are in it", () => {
  const job = (path: string, ms: number, id: string, more: Attribute[] = []) =>
    cpuTime("cgroup", path, ms, [["kind", "total"], ["job_id", id], ...more]);
  const results = readyResults(
    "job",
    job("/j7", 4000, "7"),
    job("/j7/s", 3000, "7", [["step", "0"]]),
    job("/j8", 1000, "7/1"),
    cpuTime("cgroup", "/other", 2000, [["kind", "total"]]),
  );
  assert.deepEqual(results, [
    "job_energy idle : 50 domain=package_total",
    "job_energy job 7/1: 10 domain=package_total kind=total job_id=7/1",
    "job_energy job 7: 40 domain=package_total kind=total job_id=7",
  ]);
});

Deno.test("an attribution names the metrics that config check looks for, and what their units must measure", () => {
  const wanted = (values: unknown) =>
    wants(config.check(values, [], ({ message }) => assert.fail(message))).map(({ path, metric, bases }) =>
      `${path.join(".")}: ${metric}${bases ? ` in ${bases}` : ""}`
    );
  const uses = "s,%,1,W";
  assert.deepEqual(wanted({ energy_by: ["job"] }), [
    `energy_by.0: cpu_time_delta in ${uses}`,
    "energy: rapl_consumed_energy in J,W.h",
    "energy_by: kernel_cpu_time in s",
  ]);
  assert.deepEqual(wanted(formula()), [
    "formulas.out.per_resource.package: energy",
    "formulas.out.per_consumer.usage: usage",
  ]);
  const share = {
    as: "share",
    expr: "",
    ref: "",
    unused: "idle",
    capacity: { metric: "most" },
    per_resource: { e: { metric: "energy" } },
  };
  assert.deepEqual(wanted(formula(share)), [
    "formulas.out.per_resource.e: energy",
    `formulas.out.per_consumer.usage: usage in ${uses}`,
    `formulas.out.capacity: most in ${uses}`,
  ]);
});

Deno.test("a source holds its series as long as somebody uses it", () => {
  const store = new SeriesStore();
  const series = store.internDefinition(seriesOf(usage));
  const source = new Source(store, series, store.definitionOf(series));
  const isKept = () => {
    for (let n = 0; n < 400; n++) store.tick();
    return store.isLive(series);
  };
  assert.ok(!source.isHeld);
  source.hold();
  assert.deepEqual([source.isHeld, isKept()], [true, true]);
  source.hold();
  source.release();
  assert.deepEqual([source.isHeld, isKept()], [true, true]);
  source.release();
  assert.deepEqual([source.isHeld, isKept()], [false, false]);
});

Deno.test("what arrived is needed for twice the retention and two ticks more, which are seconds", () => {
  for (
    const values of [
      formula(),
      { ...formula(), energy_by: ["process"], retention_time: "4s" },
      { energy_by: ["process"], retention_time: "5s" },
    ]
  ) {
    const bench = new AttributionBench(values);
    assert.equal(bench.transform.tickMs, 1000);
    assert.deepEqual(bench.transform.stats, { attributedPoints: 0, latePoints: 0, failedPoints: 0 });
    bench.take(points(["package", 1, 5]));
    const cpu = cpuTime("process", "1", 5, [["kind", "user"]]);
    bench.take(batchOf([[...cpu, 1]]));
    const needed = [12, 1].map((ticks) => (bench.tick(ticks), bench.transform.neededFrom));
    assert.deepEqual(needed, ["energy_by" in values && !("formulas" in values) ? 1 : 0, Infinity]);
  }
});
