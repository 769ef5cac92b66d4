/** Looking back, from the points of a series to the samples of a plot, in a database in memory. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type Axis, Buckets } from "../../../lib/outputs/sqlite/history/buckets.ts";
import { answer } from "../../../lib/outputs/sqlite/history/answers.ts";
import { ensureSchema } from "../../../lib/outputs/sqlite/schema.ts";
import type { PastHost, PastPower } from "../../../lib/plugin.ts";

const AXIS: Axis = { from: 100, stepSeconds: 10, count: 6 };

/** Each point as `[time, value]`. */
function bucketsOf(...points: [time: number, value: number][]): Buckets {
  const buckets = new Buckets(AXIS);
  for (const [time, value] of points) buckets.add(1, value, time, time);
  return buckets;
}

Deno.test("a sample has the points from its start up to the next one, and nothing else is taken", () => {
  const buckets = bucketsOf([99.9, 1], [160, 1]);
  assert.ok(buckets.isEmpty);
  buckets.add(0, 5, 110, 110);
  assert.ok(buckets.isEmpty);
  buckets.add(1, 2, 100, 100);
  assert.ok(!buckets.isEmpty);
  buckets.add(3, 6, 109.9, 109.9);
  buckets.add(1, 7, 110, 110);
  buckets.add(2, 9, 159.9, 159.9);
  assert.deepEqual([...buckets.means()], [2, 7, NaN, NaN, NaN, 4.5]);
});

Deno.test("a rate is what came since the point before, where that is no more than twice as long ago as usual", () => {
  const rates = (
    ...times: number[]
  ) => [...bucketsOf(...times.map((time): [number, number] => [time, 60])).rates()];
  assert.deepEqual(rates(105, 115, 125), [NaN, 6, 6, NaN, NaN, NaN]);
  assert.deepEqual(rates(105, 115, 135), [NaN, 6, NaN, 3, NaN, NaN]);
  assert.deepEqual(rates(105, 115, 136), [NaN, 6, NaN, NaN, NaN, NaN]);
  assert.deepEqual(rates(105, 115, 155), [NaN, 6, NaN, NaN, NaN, NaN]);
  // The least gap is usual, also where it is the last one, and a sample is the least.
  assert.deepEqual(rates(105, 145, 155), [NaN, NaN, NaN, NaN, NaN, 6]);
  assert.deepEqual(rates(109, 111, 131), [NaN, 30, NaN, 3, NaN, NaN]);
  assert.deepEqual(rates(105, 135), [NaN, NaN, NaN, 2, NaN, NaN]);
  assert.deepEqual(rates(109.75, 110.25), [NaN, 120, NaN, NaN, NaN, NaN]);
  assert.deepEqual(rates(), [NaN, NaN, NaN, NaN, NaN, NaN]);
});

Deno.test("of the first points, and of those after a silence, the time between them is that of one", () => {
  const buckets = new Buckets(AXIS);
  buckets.add(1, 6, 106, 106);
  buckets.add(1, 6, 102, 102);
  buckets.add(1, 12, 104, 104);
  buckets.add(1, 30, 112, 112);
  buckets.add(3, 33, 150, 153);
  assert.deepEqual([...buckets.rates()], [24 / 6, 5, NaN, NaN, NaN, 33 / 4.5]);
  const close = new Buckets(AXIS);
  close.add(2, 6, 105, 105.5);
  assert.equal(close.rates()[0], 6);
  const atOnce = new Buckets(AXIS);
  atOnce.add(2, 6, 105, 105);
  assert.ok(Number.isNaN(atOnce.rates()[0]));
});

Deno.test("a point at the time of the one before has no rate", () => {
  const buckets = new Buckets(AXIS);
  buckets.add(1, 6, 105, 110);
  buckets.add(1, 6, 110, 110);
  assert.ok(Number.isNaN(buckets.rates()[1]));
});

/** The start of a day. */
const DAY_S = 1_700_006_400;
/** An hour has samples of 10 s. */
const HOUR_S = 3600;
const STEP_S = 10;
const NOW_S = DAY_S + 7200;
/** The last samples of an hour, of which the newest one is not over. */
const newest = (values: readonly (number | null)[], count: number) => values.slice(-count);

interface Given {
  name?: string;
  base?: string;
  prefix?: string;
  unit?: string;
  client?: string;
  resource?: [kind: string, id: string];
  consumer?: [kind: string, id: string];
  attributes?: Record<string, unknown>;
  /** By how many samples ago, the value. */
  points: Readonly<Record<number, number>>;
}

/** Answers about these series. */
class Past implements Disposable {
  readonly #db = new DatabaseSync(":memory:");
  #series = 0;

  constructor(given: readonly Given[]) {
    const db = this.#db;
    ensureSchema(db, []);
    db.prepare("INSERT INTO parts VALUES (1, '2023-11-15', ?, ?, ?, 1, 0, 0, 1, 0, 0)").run(
      DAY_S,
      DAY_S,
      NOW_S,
    );
    const metric = db.prepare(
      "INSERT INTO metrics VALUES (NULL, ?, 'f64', ?, ?, ?, 'what it is') ON CONFLICT DO UPDATE SET id = id RETURNING id",
    );
    const series = db.prepare("INSERT INTO series VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0)");
    const point = db.prepare("INSERT INTO points VALUES (1, ?, ?, ?)");
    db.exec("BEGIN");
    for (const one of given) {
      const { name = "m", base = "1", prefix = "", unit = "u", client = "n", attributes = {}, points } = one;
      const [resource, consumer] = [one.resource ?? ["", ""], one.consumer ?? ["local_machine", ""]];
      const { id } = metric.get(name, base, prefix, unit) as { id: number };
      series.run(++this.#series, id, client, ...resource, ...consumer, JSON.stringify(attributes));
      for (const [ago, value] of Object.entries(points)) {
        point.run(this.#series, (NOW_S - DAY_S - STEP_S * Number(ago)) * 1e9, value);
      }
    }
    db.exec("COMMIT");
  }

  host(name = "n", clock?: () => number): PastHost {
    const about = { kind: "host", name } as const;
    return answer(this.#db, { about, spanSeconds: HOUR_S, nowSeconds: NOW_S }, clock) as PastHost;
  }

  power(clock?: () => number, spanSeconds = HOUR_S): PastPower {
    const about = { kind: "power" } as const;
    return answer(this.#db, { about, spanSeconds, nowSeconds: NOW_S }, clock) as PastPower;
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

Deno.test("a series of the past says what it is, with the values that a plot shows", () => {
  using past = new Past([
    {
      ...{ name: "temperature", unit: "°C", resource: ["cpu", "3"], consumer: ["job", "17"] },
      attributes: { relay_client: "n", list: [1, 2], yes: true },
      points: { 3: 1.23456789, 2: Infinity, 0: -7 },
    },
    { name: "power", base: "W", prefix: "milli", unit: "mW", points: { 1: 5000, 0: 6000 } },
    { name: "energy", base: "J", unit: "J", consumer: ["", "9"], points: { 2: 1, 1: 80, 0: 90 } },
    { name: "other", client: "elsewhere", points: { 0: 1 } },
    { name: "silent", points: {} },
  ]);
  const { series, isWhole, others, newest: time, stepSeconds } = past.host();
  assert.deepEqual([isWhole, others, time, stepSeconds], [true, 0, NOW_S, STEP_S]);
  assert.deepEqual(series.map(({ metric }) => metric), ["energy", "power", "temperature"]);
  const [energy, power, temperature] = series;
  assert.deepEqual({ ...temperature, values: newest(temperature.values, 4) }, {
    ...{
      metric: "temperature",
      description: "what it is",
      unit: "°C",
      resource: "cpu 3",
      consumer: "job 17",
    },
    attributes: { relay_client: "n", list: "[1, 2]", yes: "true" },
    values: [1.23457, null, null, -7],
  });
  assert.equal(temperature.values.length, HOUR_S / STEP_S);
  assert.deepEqual([power.unit, power.resource, newest(power.values, 2)], ["W", "", [5, 6]]);
  assert.deepEqual([energy.unit, energy.consumer, newest(energy.values, 3)], ["W", "9", [null, 8, 9]]);
});

Deno.test("of each metric and unit the ten series with the largest values are given, and 500 of all", () => {
  const values = [3, -20, 5, 1, 2, 4, 6, 7, 8, 9, 10, 0.5];
  using past = new Past([
    ...values.map((value): Given => ({ resource: ["", `${value}`], points: { 1: value / 100, 0: 0 } })),
    { unit: "other", prefix: "kilo", resource: ["", "other"], points: { 0: 0.1 } },
  ]);
  const { series, others } = past.host();
  const order = ["-20", "10", "9", "8", "7", "6", "5", "4", "3", "2", "other"];
  assert.deepEqual([series.map(({ resource }) => resource), others], [order, 2]);
  // One whose values are not known is the smallest.
  using unknown = new Past([
    { base: "J", resource: ["", "first"], points: { 0: 1 } },
    { base: "J", resource: ["", "second"], points: { 1: 10, 0: 10 } },
  ]);
  assert.deepEqual(unknown.host().series.map(({ resource }) => resource), ["second", "first"]);
  using many = new Past(
    Array.from(
      { length: 51 * 10 + 1 },
      (_, n) => ({ name: `m${n % 51}`, resource: ["", `${n}`], points: { 0: 1 } }),
    ),
  );
  const { series: some, others: left } = many.host();
  assert.deepEqual([some.length, left], [500, 11]);
});

Deno.test("reading ends after five seconds, and says that it did", () => {
  using past = new Past([1, 2, 3].map((n) => ({
    ...{ name: `m${n}`, base: "W", client: `n${n}`, attributes: { relay_client: `n${n}` }, points: { 0: n } },
  })));
  using host = new Past([1, 2, 3].map((n) => ({ name: `m${n}`, points: { 0: n } })));
  const clockOf = (...times: number[]) => () => times.shift() ?? 0;
  assert.deepEqual([past.power(clockOf(7, 5007, 5007, 5007)).hosts.length], [3]);
  const late = past.power(clockOf(7, 5007, 5008));
  assert.deepEqual([late.hosts.length, late.isWhole], [1, false]);
  assert.equal(past.power(clockOf(7, 7, 7)).isWhole, true);
  assert.equal(host.host("n", clockOf(7, 5007, 5007, 5007)).series.length, 3);
  const some = host.host("n", clockOf(7, 5007, 5008));
  assert.deepEqual([some.series.length, some.isWhole], [1, false]);
});

const watts = (
  client: string,
  domain: string,
  points: Given["points"],
  given: Partial<Given> = {},
): Given => ({
  ...{ name: "power", base: "W", client, attributes: { relay_client: client, domain }, points, ...given },
});

Deno.test("the power of a host is the sum of its meters that do not overlap, each with its last value for a minute", () => {
  using past = new Past([
    watts("a", "package_total", { 9: 10 }, { resource: ["cpu", "0"] }),
    watts("a", "package_total", { 9: 5, 1: 6 }, { resource: ["cpu", "1"] }),
    watts("a", "dram_total", { 9: 1 }, { name: "memory" }),
    watts("a", "pp0_total", { 9: 1000 }),
    watts("a", "package_total", { 9: 1000 }, { consumer: ["process", "1"] }),
    watts("b", "package_total", { 9: 7 }),
    watts("c", "package_total", {}),
    // None of these says what a host takes.
    watts("d", "pp0_total", { 9: 1 }),
    watts("d", "package_total", { 9: 1 }, { consumer: ["process", "1"] }),
    watts("d", "package_total", { 9: 1 }, { name: "odd", prefix: "nothing" }),
  ]);
  const { hosts, isWhole, newest: time, stepSeconds } = past.power();
  assert.deepEqual([isWhole, time, stepSeconds], [true, NOW_S, STEP_S]);
  assert.deepEqual(hosts.map(({ name, rest }) => [name, rest]), [["a", false], ["b", false]]);
  // Six samples without a value, and then none, until there is one again.
  assert.deepEqual(newest(hosts[0].watts, 11), [null, ...Array(7).fill(16), null, 6, 6]);
  assert.deepEqual(newest(hosts[1].watts, 11), [null, ...Array(7).fill(7), null, null, null]);
  using seconds = new Past([watts("a", "package_total", { 9: 10 })]);
  const [{ watts: each }] = seconds.power(undefined, 360).hosts;
  assert.deepEqual(each.filter((value) => value !== null).length, 61);
});

Deno.test("the twenty hosts with the most power are given one by one, and the others as one", () => {
  const hosts = (count: number) =>
    Array.from({ length: count }, (_, n) => watts(`h${n}`, "package_total", { 0: n + 1, [n % 2 + 20]: 1 }));
  using twenty = new Past(hosts(20));
  assert.deepEqual(
    twenty.power().hosts.map(({ name }) => name),
    hosts(20).map(({ client }) => client).reverse(),
  );
  using rare = new Past([
    watts("once", "package_total", { 0: 0.6 }),
    watts("longer", "package_total", { 20: 0.5 }),
  ]);
  assert.deepEqual(rare.power().hosts.map(({ name }) => name), ["longer", "once"]);
  using more = new Past(hosts(22));
  const all = more.power().hosts;
  assert.equal(all.length, 21);
  assert.deepEqual(all.slice(0, 20).map(({ rest }) => rest), Array(20).fill(false));
  const { name, rest, watts: others } = all[20];
  assert.deepEqual([name, rest], ["2 others", true]);
  assert.deepEqual([others.at(-1), others.at(-21), others.at(-22), others.at(-23)], [1 + 2, 1 + 1, 1, null]);
});
