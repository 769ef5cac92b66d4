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

/** A ring of which a test looks at each slot. */
function ringOf(limitBytes = 1024 * 1024) {
  const store = new SeriesStore();
  const user = { hostOf: () => 0, onMeter: () => {}, onForget: () => {} };
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
  return { ring, take, slots, last: () => slots().map((slot) => ring.lastOf(slot)) };
}

Deno.test("three eighths of the memory are for last values, three for samples, and parts of both for power and for who is looked at", () => {
  // Room for 1000 last values, 125 of which are for power alone, and for 40 rings, 7 of which are for hosts that are looked at.
  const { ring, take, slots } = ringOf(128_000);
  const many = (definition: Metric) =>
    Array.from(
      { length: 1100 },
      (_, i) =>
        [seriesOf(definition, { resourceKind: "r", resourceId: String(i) }), START, 1] as [
          Series,
          number,
          number,
        ],
    );
  assert.deepEqual(slots(), []);
  take(...many(MEMORY.metric));
  assert.deepEqual([slots().length, ring.refused], [875, 225]);
  const withSamples = () => slots().filter((slot) => ring.samplesOf(slot) !== null).length;
  assert.equal(withSamples(), 33);
  take(...many(POWER.metric));
  assert.deepEqual([slots().length, ring.refused, withSamples()], [1000, 225 + 975, 33]);
  ring.look(0);
  assert.equal(withSamples(), 40);
});

Deno.test("an energy says a power for an hour at most, and points at the same time say nothing new", () => {
  const { take, last } = ringOf();
  take([ENERGY, START, 1], [ENERGY, START + 3600, 7200]);
  assert.deepEqual(last(), [2]);
  take([ENERGY, START + 7200.5, 5], [ENERGY, START + 7200.5, 99]);
  assert.deepEqual(last(), [2]);
  take([ENERGY, START + 7201.5, 5], [ENERGY, START + 7200, 99]);
  assert.deepEqual(last(), [5]);
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
  assert.deepEqual(shown().slice(-2), [40, 50]);
  assert.equal(ring.advance(step(1) * 1000), 1);
  assert.deepEqual([shown()[0], ...shown().slice(-2)], [NaN, 50, 60]);
  // The point of two steps ahead was the last one, and has no sample.
  assert.equal(ring.lastOf(slot), 70);
  assert.equal(ring.advance(step(4) * 1000), 3);
  assert.deepEqual(shown().slice(-5), [50, 60, NaN, NaN, NaN]);
  take([POWER, step(4), 80]);
  assert.equal(ring.advance(step(4 + SAMPLES - 3) * 1000), SAMPLES - 3);
  assert.deepEqual(shown().map((watts, i) => [i, watts]).filter(([, watts]) => !Number.isNaN(watts)), [[
    1,
    80,
  ]]);
  ring.advance(step(1000) * 1000);
  assert.ok(shown().every(Number.isNaN));
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
  const many = Array.from({ length: 99_999 }, () => [POWER, START, 0] as [Series, number, number]);
  take(...many);
  take([MEMORY, START + 1, 2]);
  assert.deepEqual(last(), [1, 2]);
  take([MEMORY, START + 2, 3], [POWER, START + 2, 3]);
  assert.deepEqual(last(), [3, 2]);
  ring.advance(START * 1000);
  take([MEMORY, START + 3, 4]);
  assert.deepEqual(last(), [3, 4]);
});
