/** The transform behind {@linkcode ../energy_estimation_tdp.ts}. */
import type { Batch } from "../../points/measurement.ts";
import { unitFactor } from "../../points/units.ts";
import type { PluginContext, Transform } from "../../plugin.ts";
import { BySeries } from "../by_series.ts";
import { DerivedSeries, withMetric } from "../derived_series.ts";
import { ByMetric, MetricNames } from "../metric_names.ts";
import { Rewriter, type Rewriting } from "../rewriting.ts";
import type { TdpConfig } from "./config.ts";

const CPU_TIME = "kernel_cpu_time";
const STATE = "cpu_state";
const IDLE_STATES: readonly unknown[] = ["idle", "iowait"];
/** The kernel counts them in `user` and in `nice`, too. */
const COUNTED_TWICE: readonly unknown[] = ["guest", "guest_nice"];

/** What a series is about. */
const LOOK = { busy: 1, idle: 2, none: 3 } as const;

export class EnergyEstimation implements Transform {
  readonly #config: TdpConfig;
  readonly #names: MetricNames;
  /** What one of the metric's unit is in s; 0 for other metrics. */
  readonly #factors: ByMetric<number>;
  readonly #derived: DerivedSeries;
  readonly #rewriter = new Rewriter();
  readonly #rewriting: Rewriting;
  readonly #looks = new BySeries((store, series) => {
    const state = store.definitionOf(series).attributes.find(([name]) => name === STATE)?.[1];
    if (COUNTED_TWICE.includes(state)) return LOOK.none;
    return IDLE_STATES.includes(state) ? LOOK.idle : LOOK.busy;
  });

  constructor(
    config: TdpConfig,
    { registry, log, clock }: Pick<PluginContext, "registry" | "log" | "clock">,
  ) {
    this.#config = config;
    this.#names = new MetricNames([CPU_TIME], log, clock);
    this.#factors = new ByMetric(({ name, unit }) =>
      this.#names.has(name) && unit.base === "s" ? unitFactor(unit) ?? 0 : 0
    );
    this.#derived = new DerivedSeries(withMetric(registry.register({
      name: "estimated_consumed_energy",
      type: "f64",
      unit: { base: "J", prefix: "" },
      description: "Energy estimated from CPU time and the thermal design power of the processor",
    }, "tdp")));
    this.#rewriting = { derive: (batch, row, out) => this.#derive(batch, row, out) };
  }

  apply(batch: Batch): Batch {
    this.#names.check();
    this.#looks.of(batch);
    for (let row = 0; row < batch.length; row++) {
      if (this.#factors.of(batch, row) !== 0) return this.#rewriter.rewrite(batch, this.#rewriting);
    }
    return batch;
  }

  #derive(batch: Batch, row: number, out: Batch): void {
    const factor = this.#factors.of(batch, row);
    if (factor === 0) return;
    const watts = this.#wattsOf(batch, row);
    if (watts === 0) return;
    const energy = batch.values[row] * factor * watts;
    out.pushNumber(
      this.#derived.of(batch.store, batch.series[row]),
      batch.seconds[row],
      batch.nanos[row],
      energy,
    );
  }

  /** The power of one CPU in the state that a point is about. */
  #wattsOf(batch: Batch, row: number): number {
    const { tdp, nb_cpu, nb_vcpu, idle_watts, compatible, poll_interval } = this.#config;
    // Whole seconds, as Alumet has them.
    if (compatible) return nb_vcpu / nb_cpu * tdp / Math.floor(poll_interval / 1000);
    const look = this.#looks.at(batch.series[row]);
    return look === LOOK.none ? 0 : (look === LOOK.busy ? tdp : idle_watts) / nb_cpu;
  }
}
