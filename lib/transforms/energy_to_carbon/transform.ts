/** The transform behind {@linkcode ../energy_to_carbon.ts}. */
import type { Batch } from "../../points/measurement.ts";
import { unitFactor } from "../../points/units.ts";
import type { PluginContext, Transform } from "../../plugin.ts";
import { DerivedSeries, withMetric } from "../derived_series.ts";
import { ByMetric, MetricNames } from "../metric_names.ts";
import { Rewriter, type Rewriting } from "../rewriting.ts";
import type { CarbonConfig } from "./config.ts";
import { findCountry, WORLD_AVERAGE } from "./intensities.ts";
import { LiveIntensity } from "./live_intensity.ts";

const JOULES_PER_KWH = 3.6e6;

export class EnergyToCarbon implements Transform {
  readonly #names: MetricNames;
  /** What one of the metric's unit is in J; 0 for a metric that is not converted. */
  readonly #factors: ByMetric<number>;
  readonly #derived: DerivedSeries;
  readonly #live: LiveIntensity | null;
  readonly #rewriter = new Rewriter();
  readonly #rewriting: Rewriting;

  constructor(
    config: CarbonConfig,
    { registry, log, clock }: Pick<PluginContext, "registry" | "log" | "clock">,
  ) {
    const intensity = intensityOf(config);
    const all = config.metrics.includes("*");
    const { intensity_metric, intensity_max_age } = config;
    const names = [...all ? [] : config.metrics, ...intensity_metric === undefined ? [] : [intensity_metric]];
    this.#names = new MetricNames(names, log, clock);
    this.#live = intensity_metric === undefined
      ? null
      : new LiveIntensity(intensity_metric, intensity_max_age, this.#names);
    this.#factors = new ByMetric(({ name, unit }) =>
      (all || this.#names.has(name)) && unit.base === "J" ? unitFactor(unit) ?? 0 : 0
    );
    this.#derived = new DerivedSeries(withMetric(registry.register({
      name: "carbon_emission",
      type: "f64",
      unit: { base: "g_CO2", prefix: "" },
      description: "CO₂ that the electricity of an energy has emitted",
    }, "carbon")));
    this.#rewriting = {
      derive: (batch, row, out) => {
        const factor = this.#factors.of(batch, row);
        if (factor === 0) return;
        const gramsPerKwh = this.#live?.of(batch, row) ?? intensity;
        const grams = batch.values[row] * factor / JOULES_PER_KWH * gramsPerKwh;
        out.pushNumber(
          this.#derived.of(batch.store, batch.series[row]),
          batch.seconds[row],
          batch.nanos[row],
          grams,
        );
      },
    };
  }

  apply(batch: Batch): Batch {
    this.#names.check();
    this.#live?.learn(batch);
    for (let row = 0; row < batch.length; row++) {
      if (this.#factors.of(batch, row) !== 0) return this.#rewriter.rewrite(batch, this.#rewriting);
    }
    return batch;
  }
}

/** Grams of CO₂ per kWh. */
function intensityOf({ mode, country, intensity_override }: CarbonConfig): number {
  if (mode === "world_avg") return WORLD_AVERAGE;
  return mode === "country" ? findCountry(country.code!)!.gramsPerKwh : intensity_override.intensity!;
}
