import assert from "node:assert/strict";
import { Batch, type Metric, type Series, seriesOf } from "../../lib/points/measurement.ts";
import { SeriesStore } from "../../lib/points/series_store.ts";
import { LiveRing, SAMPLES, STEP_SECONDS } from "../../lib/seeing/live/ring.ts";

const metric = (name: string, base: string): Metric => ({
  name,
  type: "f64",
  unit: { base, prefix: "" },
  description: "",
});
const POWER = seriesOf(metric("meter_power", "W"));
const ENERGY = seriesOf(metric("meter_energy", "J"));
const MEMORY = seriesOf(metric("memory", "By"));
const START = 1_800_000_000;

/** Series of a host that differ in their resource. */
const many = (count: number, metric: Metric, host = 0, first = 0): Series[] =>
  Array.from({ length: count }, (_, i) =>
    seriesOf(metric, {
      resourceKind: "r",
      resourceId: String(first + i),
      attributes: [["relay_client", String(host)]],
    }));

/** A ring of which a test looks at each slot; the host of a series is the client that it names. */
function ringOf(limitBytes = 1024 * 1024) {
  const store = new SeriesStore();
  const told: string[] = [];
  const user = {
    hostOf: (number: number) => Number(store.clientAttributeOf(number)?.[1] ?? 0),
    onMeter: (slot: number) => void told.push(`meter ${slot}`),
    onForget: (slot: number) => void told.push(`forget ${slot}`),
  };
  const ring = new LiveRing(limitBytes, user, START * 1000, store);
  const take = (...points: [series: Series, seconds: number, value: number][]) => {
    const batch = new Batch(points.length, null, store);
    for (const [series, seconds, value] of points) {
      batch.push(series, Math.floor(seconds), Math.round(seconds % 1 * 1e9), value);
    }
    ring.take(batch);
    batch.release();
  };
  const slots = () => [...ring.slots()];
  /** Gives all series back but some, which go on coming. */
  const forgetAllBut = (...kept: Series[]) => {
    store.poison();
    for (let n = 0; n < 6; n++) {
      take(...kept.map((series) => [series, START + 1000 + n, 1] as [Series, number, number]));
      store.tick();
    }
  };
  const withSamples = () => slots().filter((slot) => ring.samplesOf(slot) !== null).length;
  const last = () => slots().map((slot) => ring.lastOf(slot));
  return { ring, store, told, take, slots, forgetAllBut, withSamples, last };
}

Deno.test("three eighths of the memory are for last values, three for samples, and parts of both for power and for who is looked at", () => {
  // Room for 1000 last values, 125 of which are for power alone, and for 40 rings, 7 of which are for hosts that are looked at.
  const { ring, take, slots, withSamples, forgetAllBut } = ringOf(128_000);
  const poll = (metric: Metric) =>
    take(...many(1100, metric).map((series) => [series, START, 1] as [Series, number, number]));
  const state = () => [slots().length, ring.refused, withSamples()];
  assert.deepEqual(slots(), []);
  poll(MEMORY.metric);
  assert.deepEqual(state(), [875, 225, 33]);
  poll(POWER.metric);
  assert.deepEqual(state(), [1000, 225 + 975, 33]);
  ring.look(0);
  assert.equal(withSamples(), 40);
  // Those that are forgotten make room for as many.
  forgetAllBut();
  assert.deepEqual(state(), [0, 0, 0]);
  poll(MEMORY.metric);
  assert.deepEqual(state(), [875, 225, 33]);
  ring.look(0);
  assert.equal(withSamples(), 40);
});

Deno.test("a power that was refused is taken when there is room, and of what is no power only the value is kept", () => {
  // Room for 25 last values, 4 of which are for power alone, and for one ring, which is for hosts that are looked at.
  const { ring, take, slots, forgetAllBut, last } = ringOf(3200);
  const [kept, ...others] = many(25, POWER.metric);
  const refused = seriesOf(POWER.metric, { resourceKind: "late" });
  for (const series of [MEMORY, ...others, refused]) take([series, START, 7]);
  take([kept, START, 1]);
  assert.deepEqual([slots().length, ring.refused, ring.lastOf(0), ring.roleOf(0)], [25, 2, 7, null]);
  forgetAllBut(kept, refused, ...others.slice(1, 22));
  assert.deepEqual([slots().length, ring.refused], [23, 0]);
  assert.deepEqual(last().filter((value) => value === 7), []);
  forgetAllBut();
  assert.deepEqual([slots(), ring.refused], [[], 0]);
});

Deno.test("only meters of a host are told, when they come and when they are forgotten", () => {
  const { take, told, slots, ring, forgetAllBut } = ringOf();
  const consumer = seriesOf(POWER.metric, { consumerKind: "process", consumerId: "7" });
  const inside = seriesOf(ENERGY.metric, { attributes: [["domain", "pp0_total"]] });
  for (const series of [MEMORY, consumer, inside, POWER]) take([series, START, 1]);
  assert.deepEqual(slots().map((slot) => ring.roleOf(slot)), [null, "consumer", "inside", "other"]);
  assert.deepEqual(told.splice(0), ["meter 3"]);
  forgetAllBut(POWER, consumer, inside);
  assert.deepEqual(told, []);
  forgetAllBut(consumer, inside);
  assert.deepEqual(told, ["forget 3"]);
});

Deno.test("each of many series has samples of its own, and those of a new one are empty at first", () => {
  const { ring, take, slots, forgetAllBut } = ringOf();
  const [first, ...rest] = many(70, MEMORY.metric);
  [first, ...rest].forEach((series, n) => take([series, START, n]));
  const ends = () => slots().map((slot) => ring.samplesOf(slot)!.filter((value) => !Number.isNaN(value)));
  assert.deepEqual(ends(), slots().map((_, n) => [n]));
  forgetAllBut(...rest);
  take([MEMORY, START, 99]);
  assert.deepEqual(ends(), slots().map((_, n) => [n === 0 ? 99 : n]));
});

Deno.test("a host that is looked at gets the samples of the one that was looked at longest ago and has some", () => {
  // Room for 40 rings, 7 of which are for hosts that are looked at.
  const { ring, take, slots, withSamples } = ringOf(128_000);
  for (const [host, count] of [[0, 33], [1, 9], [2, 5], [3, 9]]) {
    for (const series of many(count, MEMORY.metric, host)) take([series, START, 1]);
  }
  const samples = () => {
    const hosts = slots().filter((slot) => ring.samplesOf(slot) !== null).map((slot) => ring.hostOf(slot));
    return [0, 1, 2, 3].map((host) => hosts.filter((other) => other === host).length);
  };
  ring.look(9);
  ring.look(2);
  assert.deepEqual(samples(), [33, 0, 5, 0]);
  ring.look(0);
  ring.look(1);
  assert.deepEqual(samples(), [33, 7, 0, 0]);
  ring.look(3);
  assert.deepEqual([...samples(), withSamples()], [33, 0, 0, 7, 40]);
});

Deno.test("only the rows of a batch are taken", () => {
  const { ring, store, last } = ringOf();
  const batch = new Batch(4, null, store);
  for (const series of [POWER, MEMORY]) batch.push(series, START, 0, 1);
  ring.take(batch);
  batch.length = 0;
  for (const series of [POWER, MEMORY]) batch.push(series, START + 1, 0, 2);
  batch.length = 1;
  ring.take(batch);
  assert.deepEqual(last(), [2, 1]);
  batch.release();
});

Deno.test("an energy says a power for an hour at most, and points at the same time say nothing new", () => {
  const { take, last } = ringOf();
  take([ENERGY, START, 1], [ENERGY, START + 3600, 7200]);
  assert.deepEqual(last(), [2]);
  take([ENERGY, START + 7200.5, 5], [ENERGY, START + 7200.5, 99]);
  assert.deepEqual(last(), [2]);
  take([ENERGY, START + 7201.5, 5], [ENERGY, START + 7200, 99]);
  assert.deepEqual(last(), [5]);
  const milli = seriesOf({ ...ENERGY.metric, name: "milli", unit: { base: "J", prefix: "milli" } });
  take([milli, START, 0], [milli, START + 2, 8000]);
  assert.deepEqual(last(), [5, 4]);
});

Deno.test("of values that follow each other, one each half a second is taken, and not what is no number", () => {
  const { take, last, ring, slots } = ringOf();
  take([POWER, START, 1], [MEMORY, START, 1]);
  for (const [after, value] of [[0.4, 2], [0, 3]]) {
    take([POWER, START + after, value], [MEMORY, START + after, value]);
  }
  assert.deepEqual(last(), [1, 1]);
  take([POWER, START + 0.5, 4], [MEMORY, START + 0.5, 4]);
  assert.deepEqual(last(), [4, 4]);
  take([POWER, START + 9, NaN], [MEMORY, START + 9, 5], [POWER, START + 1, 6]);
  assert.deepEqual(last(), [6, 5]);
  assert.equal(ring.timeOf(slots()[1]), START + 9);
});

Deno.test("samples are those of the last 299 steps, of a late point too, and of the next step when it has begun", () => {
  const { ring, take, slots } = ringOf();
  const step = (n: number) => START + n * STEP_SECONDS;
  take([POWER, START, 50]);
  const [slot] = slots();
  const shown = () => ring.samplesOf(slot)!;
  take([POWER, step(-SAMPLES + 2), 2], [POWER, step(-SAMPLES + 1), 99], [POWER, step(-1), 40]);
  assert.deepEqual([shown().length, shown()[0], shown()[1], shown().at(-2), shown().at(-1)], [
    SAMPLES - 1,
    2,
    NaN,
    40,
    50,
  ]);
  take([POWER, step(1), 60]);
  take([POWER, step(2), 70]);
  assert.deepEqual([shown()[0], ...shown().slice(-2)], [2, 40, 50]);
  assert.equal(ring.advance(step(1) * 1000), 1);
  assert.deepEqual([shown()[0], ...shown().slice(-2)], [NaN, 50, 60]);
  // The point of two steps ahead was the last one, and has no sample.
  assert.equal(ring.lastOf(slot), 70);
  assert.equal(ring.advance(step(4) * 1000), 3);
  assert.deepEqual(shown().slice(-5), [50, 60, NaN, NaN, NaN]);
  take([POWER, step(4), 80]);
  assert.equal(ring.advance(step(4 + SAMPLES - 2) * 1000), SAMPLES - 2);
  assert.deepEqual(shown().map((watts, i) => [i, watts]).filter(([, watts]) => !Number.isNaN(watts)), [[
    0,
    80,
  ]]);
  ring.advance(step(4 + 2 * SAMPLES - 2) * 1000);
  assert.ok(shown().every(Number.isNaN));
});

Deno.test("a quarter of an hour is shown, and nothing of a point from before it", () => {
  const { ring, take, slots } = ringOf();
  assert.equal(SAMPLES * STEP_SECONDS, 15 * 60);
  const before = START - (SAMPLES - 1) * STEP_SECONDS;
  take([POWER, before, 5], [MEMORY, before - 30, 5], [POWER, START, 6], [POWER, before, 7]);
  ring.advance((START + STEP_SECONDS) * 1000);
  const shown = slots().map((slot) => ring.samplesOf(slot)!.filter((value) => !Number.isNaN(value)));
  assert.deepEqual(shown, [[6], []]);
});

Deno.test("a clock that is set back a little changes nothing, and one that is set back far begins again", () => {
  const { ring } = ringOf();
  const { newestStep } = ring;
  const back = (
    steps: number,
  ) => [ring.advance((START - steps * STEP_SECONDS) * 1000), newestStep - ring.newestStep];
  assert.deepEqual([back(0), back(1), back(SAMPLES), back(SAMPLES + 1)], [[0, 0], [0, 0], [0, 0], [
    0,
    SAMPLES + 1,
  ]]);
});

Deno.test("the silence of a power is counted in steps from the last point that said something", () => {
  const { ring, take, slots } = ringOf();
  take([POWER, START, 1]);
  const silence = () => ring.silenceOf(slots()[0]);
  assert.equal(silence(), 0);
  ring.advance((START + 2 * STEP_SECONDS) * 1000);
  assert.equal(silence(), 2 * STEP_SECONDS);
  take([POWER, START + 6, NaN]);
  assert.equal(silence(), 2 * STEP_SECONDS);
  take([POWER, START + 6, 1]);
  assert.equal(silence(), 0);
});

Deno.test("of 100,000 points between two looks, each is taken, and then power alone", () => {
  const { ring, take, last } = ringOf();
  take([POWER, START, 1], [MEMORY, START, 1]);
  ring.advance(START * 1000);
  take(...Array.from({ length: 99_999 }, () => [POWER, START, 0] as [Series, number, number]));
  take([MEMORY, START + 1, 2]);
  assert.deepEqual(last(), [1, 2]);
  take([MEMORY, START + 2, 3]);
  take([POWER, START + 2, 3]);
  assert.deepEqual(last(), [3, 2]);
  ring.advance(START * 1000);
  take([MEMORY, START + 3, 4]);
  assert.deepEqual(last(), [3, 4]);
});
