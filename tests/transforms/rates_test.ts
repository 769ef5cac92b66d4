/** Rates of differences, and differences of counters. */
import assert from "node:assert/strict";
import { SeriesStore, seriesStore } from "../../lib/points/series_store.ts";
import { Batch, seriesOf } from "../../lib/points/measurement.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { config } from "../../lib/transforms/rates/config.ts";
import { LastPoints } from "../../lib/transforms/rates/last_points.ts";
import { Rates } from "../../lib/transforms/rates/transform.ts";
import { Chance } from "../kit/bytes.ts";
import { contextWith } from "../kit/context.ts";
import { metricOf } from "../kit/decode.ts";
import { LogLines } from "../kit/log_lines.ts";
import { batchOf } from "../kit/points.ts";

const energy = metricOf("energy", "f64", { base: "J", prefix: "kilo" });
const cpu = metricOf("cpu", "u64", { base: "s", prefix: "milli" });
const bytes = metricOf("bytes", "u64", { base: "By", prefix: "" });

const SEEDS = Number(Deno.env.get("ALUMET_RELAY_SEEDS") ?? 10);

class Bench {
  readonly transform: Rates;
  readonly #clients = new ClientTable();

  constructor(
    rules: readonly unknown[],
    rest: Record<string, unknown> = {},
    log = new LogLines(),
    memory?: number,
  ) {
    const values = config.check({ rules, ...rest }, [], ({ message }) => assert.fail(message));
    this.transform = new Rates({ ...values, memory }, contextWith({ log: log.log }));
  }

  /** What passes and what is made, in words. */
  take(batch: Batch, place = 0): string[] {
    const out = new Batch(16);
    const sink = {
      pass: (batch: Batch, row: number) => out.pushFrom(batch, row),
      add: (_client: unknown, series: number, seconds: number, nanos: number, value: number | bigint) =>
        typeof value === "bigint"
          ? out.pushExact(series, seconds, nanos, value)
          : out.pushNumber(series, seconds, nanos, value),
    };
    this.transform.take(batch, 0, batch.length, this.#clients.local, place, sink);
    this.transform.settle();
    return Array.from({ length: out.length }, (_, row) => {
      const { metric, consumerId } = out.seriesAt(row);
      const { prefix, base } = metric.unit;
      const value = metric.type === "u64" ? out.exactValue(row) : out.values[row];
      return `${metric.name}${consumerId && ` ${consumerId}`} ${out.seconds[row]}: ${value} ${prefix}${base}`;
    });
  }

  tick(count = 1): void {
    for (let i = 0; i < count; i++) this.transform.tick({ pass: () => {}, add: () => {} });
  }
}

const at = (metric: typeof energy, value: number | bigint, seconds: number, consumerId = "") =>
  batchOf([[seriesOf(metric, { consumerId }), value, seconds]]);

Deno.test("a difference becomes a value per second, from the second point on", () => {
  const bench = new Bench([{ as: "rate" }]);
  assert.deepEqual(bench.take(at(energy, 10, 100)), []);
  assert.deepEqual(bench.take(at(energy, 10, 105)), ["energy_rate 105: 2 kiloW"]);
  assert.deepEqual(bench.take(at(cpu, 500, 100)), []);
  assert.deepEqual(bench.take(at(cpu, 500, 102)), ["cpu_rate 102: 0.25 1"]);
  assert.deepEqual(bench.take(at(bytes, 0, 100)), []);
  assert.deepEqual(bench.take(at(bytes, 9, 102)), ["bytes_rate 102: 4.5 By/s"]);
});

Deno.test("a counter becomes what it has counted, and begins at 0 when it went back", () => {
  const bench = new Bench([{ as: "difference", rename: "*_since", metric: "*" }]);
  const results = [[100, 1], [130, 2], [130, 3], [20, 4], [25, 5]].flatMap(([value, seconds]) =>
    bench.take(at(bytes, value, seconds))
  );
  assert.deepEqual(results, [2, 3, 4, 5].map((s, i) => `bytes_since ${s}: ${[30, 0, 20, 5][i]} By`));
  assert.equal(bench.transform.stats.resets, 1);
  const both = new Bench([{ as: "counter_rate" }]);
  assert.deepEqual([...both.take(at(bytes, 100, 1)), ...both.take(at(bytes, 130, 4))], [
    "bytes_rate 4: 10 By/s",
  ]);
});

Deno.test("counters above 2^53 are exact", () => {
  const bench = new Bench([{ as: "difference" }]);
  const large = 2n ** 63n;
  const results = [2n ** 53n - 1n, large + 1n, large + 3n, large + 3n, 7n, 7n].flatMap((value, i) =>
    bench.take(at(bytes, value, i))
  );
  const differences = [large + 1n - 2n ** 53n + 1n, 2, 0, 7, 0];
  assert.deepEqual(results, differences.map((value, i) => `bytes_difference ${i + 1}: ${value} By`));
  assert.equal(bench.transform.stats.resets, 1);
});

Deno.test("the first rule that fits is applied; other points pass, and the point itself on request", () => {
  const bench = new Bench([{ metric: "energy", keep: true }]);
  assert.deepEqual(bench.take(at(energy, 1, 1)), ["energy 1: 1 kiloJ"]);
  assert.deepEqual(bench.take(at(energy, 1, 2)), ["energy 2: 1 kiloJ", "energy_rate 2: 1 kiloW"]);
  assert.deepEqual(bench.take(at(cpu, 1, 2)), ["cpu 2: 1 millis"]);
});

Deno.test("a clock that is set back costs no counted bytes, and one rate", () => {
  const bench = new Bench([{ as: "difference" }]);
  const values = ([[100, 1000], [110, 10], [115, 11]] as const)
    .flatMap(([value, seconds]) => bench.take(at(bytes, value, seconds)));
  assert.deepEqual(values.map((line) => line.split(": ")[1]), ["10 By", "5 By"]);
  assert.equal(bench.transform.stats.latePoints, 1);
  // Here it has begun at 0 again as well.
  assert.deepEqual(bench.take(at(bytes, 3, 5)), []);
  assert.deepEqual(bench.take(at(bytes, 7, 6)), ["bytes_difference 6: 4 By"]);
  const rate = new Bench([{}]);
  const rates = [1000, 10, 11].flatMap((seconds) => rate.take(at(energy, 5, seconds)));
  assert.deepEqual(rates, ["energy_rate 11: 5 kiloW"]);
});

Deno.test("what a counter counted around a late point is counted once", () => {
  const differences = (points: readonly (readonly [number, number])[]) => {
    const bench = new Bench([{ as: "difference" }]);
    const lines = points.flatMap(([seconds, value]) => bench.take(at(bytes, value, seconds)));
    return { values: lines.map((line) => line.split(/[: ]+/)[2]).join(" "), ...bench.transform.stats };
  };
  assert.deepEqual(differences([[1, 100], [3, 130], [2, 120], [4, 140]]), {
    ...{ values: "30 10", latePoints: 1, resets: 0 },
  });
  // Whole polls in the wrong order, down to the oldest ones.
  assert.deepEqual(differences([[9, 900], [7, 700], [5, 500], [3, 300], [10, 1000]]), {
    ...{ values: "100", latePoints: 3, resets: 0 },
  });
  // A machine that starts again with a clock that is set back: the second point of the new time shows it.
  assert.deepEqual(differences([[1000, 100], [10, 5], [11, 8], [12, 9]]), {
    ...{ values: "3 1", latePoints: 1, resets: 0 },
  });
  // As many as are remembered.
  const many = Array.from({ length: 20 }, (_, n) => [50 - n, 50 - n] as const);
  assert.deepEqual(differences([...many, [51, 51]]), { values: "13", latePoints: 19, resets: 0 });
  const rate = new Bench([{ as: "counter_rate" }]);
  const rates = [[1, 100], [3, 130], [2, 120], [4, 140]].flatMap(([seconds, value]) =>
    rate.take(at(bytes, value, seconds))
  );
  assert.deepEqual(rates, ["bytes_rate 3: 15 By/s", "bytes_rate 4: 10 By/s"]);
});

Deno.test("after a silence a series begins again, and what is silent is not needed", () => {
  const bench = new Bench([{}], { retention_time: "5s" });
  bench.take(at(energy, 1, 1, "a"), 7);
  bench.take(at(energy, 1, 1, "b"), 8);
  assert.equal(bench.transform.neededFrom, 7);
  bench.tick(3);
  bench.take(at(energy, 1, 4, "a"), 9);
  assert.equal(bench.transform.neededFrom, 8);
  bench.tick(3);
  assert.equal(bench.transform.neededFrom, 9);
  assert.deepEqual(bench.take(at(energy, 1, 7, "b"), 10), []);
  assert.equal(bench.take(at(energy, 1, 8, "b"), 11).length, 1);
  bench.tick(6);
  assert.equal(bench.transform.neededFrom, Infinity);
});

/** Memory for so many last points of a series with a short name. */
const memoryOf = (points: number) => points * 200;

Deno.test("of more series than the memory has room for, those that came first are forgotten, and the log says so", () => {
  const log = new LogLines();
  const bench = new Bench([{}], {}, log, memoryOf(3));
  for (const [place, id] of ["a", "b", "c", "a", "d"].entries()) bench.take(at(energy, 1, place, id), place);
  assert.equal(bench.transform.neededFrom, 2);
  assert.equal(log.matching(/WARN.*more than plugins.rates.memory.*points=1/).length, 1);
  assert.deepEqual(bench.take(at(energy, 8, 7, "a")), ["energy_rate a 7: 2 kiloW"]);
  assert.deepEqual(bench.take(at(energy, 8, 7, "b")), []);
});

Deno.test("a stranger with a new series in each point takes nothing from a series that goes on", () => {
  const bench = new Bench([{}], {}, new LogLines(), memoryOf(500));
  const results = Array.from({ length: 40 }, (_, n) => [
    ...bench.take(at(energy, 5, n, "own"), 2 * n),
    ...bench.take(batchOf(Array.from(
      { length: 300 },
      (_, i) => [seriesOf(energy, { consumerId: `${n} ${i}` }), 1, n],
    ))),
  ]);
  assert.deepEqual(
    results.slice(1).flat(),
    Array.from({ length: 39 }, (_, n) => `energy_rate own ${n + 1}: 5 kiloW`),
  );
});

Deno.test("who reads again from where it says comes to the same results from then on", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const chance = new Chance(seed);
    let clock = 1000;
    const events = Array.from({ length: 120 }, () => {
      clock += chance.next();
      if (chance.int(30) === 0) clock -= 10;
      const late = chance.int(4) === 0 ? chance.int(8) : 0;
      return chance.int(3) === 0 ? null : ([
        chance.int(2) ? energy : bytes,
        chance.int(1000),
        Math.round(clock) - late,
        String(chance.int(6)),
      ] as const);
    });
    const rules = [{ metric: "energy" }, { metric: "bytes", as: "difference" }];
    const step = (bench: Bench, place: number) => {
      const event = events[place];
      if (event === null) return void bench.tick();
      return bench.take(at(...event), place);
    };
    // With half of the seeds there is not even room for all series.
    const memory = seed % 2 ? undefined : memoryOf(5);
    const benchOf = () => new Bench(rules, { retention_time: "9s" }, new LogLines(), memory);
    const whole = benchOf();
    const needed: number[] = [];
    const results = events.map((_, place) => {
      const made = step(whole, place);
      needed.push(Math.min(whole.transform.neededFrom, place + 1));
      return made;
    });
    for (let stop = 10; stop < events.length; stop += 11) {
      const again = benchOf();
      for (let place = needed[stop]; place < events.length; place++) {
        const made = step(again, place);
        if (place > stop) {
          assert.deepEqual(made, results[place], `seed ${seed}, stop ${stop}, place ${place}`);
        }
      }
    }
  }
});

Deno.test("a late point is found again, also if it is the one for which room is made", () => {
  const bench = new Bench([{ as: "rate" }]);
  // As many as there is room for at first.
  const series = Array.from({ length: 1024 }, (_, n) => seriesOf(energy, { consumerId: `${n}` }));
  bench.take(batchOf(series.map((one) => [one, 1, 100])));
  assert.deepEqual(bench.take(at(energy, 1, 50, "0")), []);
  assert.deepEqual(bench.take(at(energy, 20, 60, "0")), ["energy_rate 0 60: 2 kiloW"]);
});

Deno.test("times are told apart to the nanosecond", () => {
  const at = (value: number, seconds: number, nanos: number) =>
    batchOf([[seriesOf(energy), value, seconds, nanos]]);
  const bench = new Bench([{ as: "rate" }]);
  bench.take(at(10, 100, 750_000_000));
  assert.deepEqual(bench.take(at(10, 101, 250_000_000)), ["energy_rate 101: 20 kiloW"]);
  assert.deepEqual(bench.take(at(10, 101, 500_000_000)), ["energy_rate 101: 40 kiloW"]);
  assert.equal(bench.transform.stats.latePoints, 0);
  assert.deepEqual(bench.take(at(10, 101, 250_000_001)), []);
  assert.equal(bench.transform.stats.latePoints, 1);
});

Deno.test("a counter that has grown at the same time has counted, and its point is counted as late", () => {
  const bench = new Bench([{ as: "difference" }]);
  const values = [[5, 1], [7, 1], [7, 1], [6, 1]].flatMap(([value, seconds]) =>
    bench.take(at(bytes, value, seconds))
  );
  assert.deepEqual(values, ["bytes_difference 1: 2 By", "bytes_difference 1: 0 By"]);
  assert.equal(bench.transform.stats.latePoints, 3);
  const log = new LogLines();
  new Bench([], {}, log);
  assert.equal(log.matching(/rates changes nothing: it has no rules/).length, 1);
  new Bench([{}], {}, log);
  assert.equal(log.matching(/rates changes nothing/).length, 1);
});

Deno.test("a series whose last point was forgotten is no longer held", () => {
  const store = new SeriesStore();
  const bench = new Bench([{ as: "rate" }], { retention_time: "10s" });
  const batch = new Batch(1, null, store);
  batch.push(seriesOf(energy), 1, 0, 1);
  const number = batch.series[0];
  bench.take(batch);
  batch.release();
  const idle = () => {
    for (let n = 0; n < 400; n++) store.tick();
  };
  idle();
  assert.ok(store.isLive(number));
  bench.tick(12);
  idle();
  assert.ok(!store.isLive(number));
});

Deno.test("the memory of points is that of those that there are, and a slot is used again", () => {
  const points = new LastPoints();
  assert.deepEqual([points.bytes, points.size, points.oldest], [0, 0, -1]);
  const [first, second] = [points.add(), points.add()];
  const bytes = points.bytes;
  points.remove(first);
  assert.deepEqual([points.bytes, points.size, points.oldest], [bytes / 2, 1, second]);
  assert.equal(points.add(), first);
  assert.equal(points.bytes, bytes);
});

Deno.test("points may take their memory to the last byte", () => {
  const points = new LastPoints();
  points.add();
  const bytes = points.bytes + seriesStore.bytesOf(seriesStore.internDefinition(seriesOf(energy)));
  const forgotten = (memory: number) => {
    const bench = new Bench([{}], {}, new LogLines(), memory);
    bench.take(at(energy, 1, 1));
    return bench.transform.neededFrom === Infinity;
  };
  assert.deepEqual([forgotten(bytes), forgotten(bytes - 1)], [false, true]);
});

Deno.test("nothing is needed after everything was completed", () => {
  const bench = new Bench([{}]);
  for (const id of ["a", "b"]) bench.take(at(energy, 1, 1, id));
  bench.transform.flush({ pass: () => {}, add: () => {} });
  assert.equal(bench.transform.neededFrom, Infinity);
  assert.deepEqual(bench.take(at(energy, 1, 2, "a")), []);
});
