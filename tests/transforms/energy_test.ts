/** Energies that are converted, and energies that are estimated. */
import assert from "node:assert/strict";
import {
  type Batch,
  CLIENT_ATTRIBUTE,
  type Series,
  seriesOf,
  type Unit,
} from "../../lib/points/measurement.ts";
import { SeriesStore } from "../../lib/points/series_store.ts";
import { config as carbonConfig, wants } from "../../lib/transforms/energy_to_carbon/config.ts";
import { findCountry } from "../../lib/transforms/energy_to_carbon/intensities.ts";
import { EnergyToCarbon } from "../../lib/transforms/energy_to_carbon/transform.ts";
import { config as tdpConfig } from "../../lib/transforms/energy_estimation_tdp/config.ts";
import { EnergyEstimation } from "../../lib/transforms/energy_estimation_tdp/transform.ts";
import { contextWith } from "../kit/context.ts";
import { metricOf } from "../kit/decode.ts";
import { batchOf } from "../kit/points.ts";

const fail = ({ message }: { message: string }) => assert.fail(message);
const carbon = (values: unknown) => new EnergyToCarbon(carbonConfig.check(values, [], fail), contextWith({}));
const tdp = (values: unknown) => new EnergyEstimation(tdpConfig.check(values, [], fail), contextWith({}));

/** A point of a metric in that unit. */
const inUnit = (value: number, base: string, prefix = "") =>
  batchOf([[seriesOf(metricOf(`e_${prefix}${base}`, "f64", { base, prefix } as Unit)), value]]);

/** The values that were added. */
const added = (before: Batch, after: Batch) => [...after.values.subarray(before.length, after.length)];

const applied = (transform: EnergyToCarbon | EnergyEstimation, batch: Batch) => {
  const result = transform.apply(batch);
  return added(batch, result);
};

Deno.test("each energy gives grams of CO₂ by its unit, and nothing else does", () => {
  const france = carbon({ mode: "country", country: { code: "FRA" } });
  assert.deepEqual(applied(france, inUnit(100, "J")), [100 / 3.6e6 * 56.039]);
  assert.deepEqual(applied(france, inUnit(2000.5, "J", "milli")), [2000.5 * 1e-3 / 3.6e6 * 56.039]);
  const power = inUnit(5, "W");
  assert.equal(france.apply(power), power);
  const result = france.apply(inUnit(1, "J"));
  assert.deepEqual(result.metricAt(1).unit, { base: "g_CO2", prefix: "" });
  assert.equal(result.metricAt(1).name, "carbon_emission");
});

Deno.test("the intensity that a metric tells is used while it is new, and each client's own", () => {
  const live = carbon({
    mode: "intensity_override",
    intensity_override: { intensity: 100 },
    intensity_metric: "intensity",
    intensity_max_age: "1h",
  });
  const [joules, intensity] = [metricOf("e", "f64", { base: "J", prefix: "" }), metricOf("intensity", "f64")];
  const at = (metric: typeof joules, value: number, seconds: number, client?: string) =>
    batchOf([[
      seriesOf(metric, { attributes: client === undefined ? [] : [[CLIENT_ATTRIBUTE, client]] }),
      value,
      seconds,
    ]]);
  const grams = (seconds: number, client?: string) => applied(live, at(joules, 3.6e6, seconds, client))[0];
  assert.equal(grams(1000), 100, "nothing is known yet");
  live.apply(at(intensity, 30, 1000));
  assert.deepEqual([grams(1000), grams(4600), grams(4601)], [30, 30, 100]);
  live.apply(at(intensity, 50, 1000, "n1"));
  assert.deepEqual([grams(1000), grams(1000, "n1"), grams(1000, "n2")], [30, 50, 30]);
  live.apply(at(intensity, 40, 900));
  live.apply(at(intensity, NaN, 1100));
  live.apply(at(intensity, -1, 1100));
  assert.equal(grams(1000), 30, "an older one, and ones that are no intensity, change nothing");
  // The intensity of the same batch counts, wherever it is in it.
  const both = batchOf([[seriesOf(joules), 3.6e6, 2000], [seriesOf(intensity), 20, 2000]]);
  assert.deepEqual(applied(live, both), [20]);
});

Deno.test("metrics chooses which energies are converted", () => {
  const chosen = carbon({ metrics: ["e_J"] });
  assert.equal(applied(chosen, inUnit(1, "J")).length, 1);
  assert.equal(applied(chosen, inUnit(1, "J", "milli")).length, 0);
});

Deno.test("what is converted, and the intensity, are the metrics that config check looks for", () => {
  const wanted = (values: unknown) => wants(carbonConfig.check(values, [], fail));
  const energies = { path: ["metrics", 0], metric: "e*", bases: ["J"] };
  assert.deepEqual(wanted({ metrics: ["e*"] }), [energies]);
  assert.deepEqual(wanted({ metrics: ["e*"], intensity_metric: "i" }), [
    energies,
    { path: ["intensity_metric"], metric: "i" },
  ]);
});

Deno.test("a country has codes of two and of three letters, in capitals or not", () => {
  for (const code of ["FRA", "FR", "fr", "fra"]) assert.equal(findCountry(code)?.gramsPerKwh, 56.039);
  for (const code of ["XX", "", "--", "F", "FRAN"]) assert.equal(findCountry(code), undefined, code);
  assert.equal(findCountry("CAF"), undefined, "a country without data is not one without emissions");
});

Deno.test("a mode without its value, and an unknown country, are mistakes", () => {
  const problems = (values: unknown) => {
    const found: string[] = [];
    carbonConfig.check(values, [], ({ message }) => found.push(message));
    return found.join("\n");
  };
  assert.match(problems({ mode: "country" }), /set country\.code/);
  assert.match(problems({ mode: "country", country: { code: "XYZ" } }), /no data of this country/);
  assert.match(problems({ mode: "intensity_override" }), /set intensity_override\.intensity/);
  assert.match(problems({ intensity_override: { intensity: -1 } }), /0 or more/);
});

/** CPU time in ms, by the state of the CPUs. */
const cpuTime = (states: Record<string, number>) =>
  batchOf(
    Object.entries(states).map(([state, ms]) => [
      seriesOf(metricOf("kernel_cpu_time", "u64", { base: "s", prefix: "milli" }), {
        attributes: [["cpu_state", state]],
      }),
      ms,
    ]),
  );

Deno.test("a processor that is busy for 5 s takes its power for 5 s", () => {
  assert.deepEqual(applied(tdp({ tdp: 100, nb_cpu: 1 }), cpuTime({ user: 5000 })), [500]);
  assert.deepEqual(applied(tdp({ tdp: 100, nb_cpu: 4 }), cpuTime({ user: 5000, system: 1000 })), [125, 25]);
});

Deno.test("idle states count with idle_watts, and guests once", () => {
  const states = cpuTime({ user: 1000, guest: 1000, idle: 2000, iowait: 500 });
  assert.deepEqual(applied(tdp({ tdp: 10 }), states), [10]);
  assert.deepEqual(applied(tdp({ tdp: 10, idle_watts: 2 }), states), [10, 4, 1]);
});

Deno.test("an intensity of nothing counts, a new one of the same time takes its place, an odd unit counts as it is", () => {
  const live = carbon({ intensity_metric: "intensity", metrics: ["e"] });
  const intensity = metricOf("intensity", "f64", { base: "g_CO2", prefix: "odd" });
  const grams = (value: number, seconds = 1000) => {
    live.apply(batchOf([[seriesOf(intensity), value, seconds]]));
    return applied(
      live,
      batchOf([[seriesOf(metricOf("e", "f64", { base: "J", prefix: "" })), 3.6e6, 1000]]),
    )[0];
  };
  assert.deepEqual([grams(30), grams(20), grams(0), grams(40, 999)], [30, 20, 0, 0]);
  // Two hours, before and after.
  assert.deepEqual([grams(50, 8200), grams(60, 8201)], [50, 475]);
});

Deno.test("what is not CPU time gives no energy, nor does a processor that takes nothing", () => {
  const other = batchOf([[seriesOf(metricOf("kernel_cpu_time", "u64", { base: "1", prefix: "" })), 5]]);
  const named = batchOf([[seriesOf(metricOf("cpu_time", "u64", { base: "s", prefix: "" })), 5]]);
  const odd = batchOf([[seriesOf(metricOf("kernel_cpu_time", "u64", { base: "s", prefix: "odd" })), 5]]);
  for (const batch of [other, named, odd]) assert.equal(tdp({}).apply(batch), batch);
  assert.deepEqual(applied(tdp({ tdp: 0 }), cpuTime({ user: 1000 })), []);
  assert.deepEqual(applied(tdp({}), cpuTime({ user: 1000 })), [100]);
});

Deno.test("an intensity has its unit, is finite, and is one of the batch's points", () => {
  const live = carbon({ intensity_metric: "intensity" });
  const energy = seriesOf(metricOf("e", "f64", { base: "J", prefix: "" }));
  const kilograms = seriesOf(metricOf("intensity", "f64", { base: "g", prefix: "kilo" }));
  const grams = (...values: number[]) =>
    applied(
      live,
      batchOf([[energy, 3.6e6], ...values.map((value): [Series, number] => [kilograms, value])]),
    )[0];
  assert.deepEqual([grams(0.03), grams(Infinity), grams()], [30, 30, 30]);
  const shortened = batchOf([[energy, 3.6e6], [kilograms, 0.05]]);
  shortened.truncate(1);
  assert.deepEqual(applied(live, shortened), [30]);
});

Deno.test("an energy whose prefix is not known is not converted", () => {
  assert.deepEqual(applied(carbon({}), inUnit(1, "J", "odd")), []);
});

Deno.test("only energies and CPU times of a batch give points, in any of their units", () => {
  const watts = seriesOf(metricOf("e", "f64", { base: "W", prefix: "" }));
  const joules = seriesOf(metricOf("e_", "f64", { base: "J", prefix: "" }));
  const seconds = seriesOf(metricOf("kernel_cpu_time", "f64", { base: "s", prefix: "" }));
  const batch = () => batchOf([[watts, 1], [joules, 3.6e6], [seconds, 2]]);
  assert.deepEqual(applied(carbon({}), batch()), [475]);
  assert.deepEqual(applied(tdp({ tdp: 50 }), batch()), [100]);
});

Deno.test("as Alumet computes it, all states count, by whole seconds of the poll", () => {
  const keys = { compatible: true, tdp: 100, nb_cpu: 4, nb_vcpu: 2, poll_interval: "2500ms" };
  assert.deepEqual(applied(tdp(keys), cpuTime({ user: 1000, idle: 2000, guest: 4000 })), [25, 50, 100]);
  assert.deepEqual(applied(tdp({ ...keys, poll_interval: "2s" }), cpuTime({ user: 1000 })), [25]);
});

Deno.test("a derived series that was given back is made again", () => {
  const store = new SeriesStore();
  store.debug = true;
  const from = metricOf("e", "f64", { base: "J", prefix: "" });
  const number = store.internDefinition(seriesOf(from, { attributes: [["long", "x".repeat(50)]] }));
  const to = metricOf("c", "f64");
  const derived = store.withMetric(number, to);
  assert.equal(store.withMetric(number, to), derived);
  assert.deepEqual(store.definitionOf(derived), { ...store.definitionOf(number), metric: to });
  // The arena grows, and the bytes move.
  for (let i = 0; i < 5000; i++) {
    const next = store.withMetric(number, metricOf(`c${i}`, "f64"));
    assert.deepEqual(store.definitionOf(next).attributes, [["long", "x".repeat(50)]]);
  }
});
