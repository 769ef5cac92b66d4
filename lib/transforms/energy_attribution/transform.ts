/** The transform behind {@linkcode ../energy_attribution.ts}. */
import { Complaint } from "../../base/complaint.ts";
import type { Batch, Metric } from "../../points/measurement.ts";
import type { ClientRecord } from "../../points/origins.ts";
import { parseUnit } from "../../points/units.ts";
import type { PluginContext, StagedTransform, StageOutput } from "../../plugin.ts";
import { memoryOf } from "../memory.ts";
import { MetricNames } from "../metric_names.ts";
import { Expression } from "../expressions/expression.ts";
import type { ResultSink } from "./attribution.ts";
import type { AttributionConfig, FormulaConfig } from "./config.ts";
import { FormulaAttribution } from "./interpolation.ts";
import { CAPACITY, READY_SHARES } from "./ready.ts";
import { accepts, type SeriesRule } from "./series_rules.ts";
import { ShareAttribution } from "./shares.ts";

const TICK_MS = 1000;
const GRACE_NS = 2e9;
/** A second begins with at most this share of the memory taken, so that there is room for what it brings. */
const KEPT_SHARE = 3 / 4;

type Context = Pick<PluginContext, "registry" | "log" | "clock">;

export class EnergyAttribution implements StagedTransform {
  readonly tickMs = TICK_MS;
  readonly #context: Context;
  readonly #names: MetricNames;
  readonly #formulas: (FormulaAttribution | ShareAttribution)[];
  readonly #problems: Complaint;
  readonly #fullComplaint: Complaint;
  readonly #maxBytes: number;
  /** Ticks since the start, and in which of them points came from which batch on. */
  #now = 0;
  readonly #arrivals: { readonly tick: number; readonly place: number }[] = [];
  /** Points are kept for this many ticks, where there is room. */
  readonly #retentionTicks: number;
  /** What arrived before this tick is forgotten, for want of room. */
  #cutoff = 0;
  #failedPoints = 0;
  #attributedPoints = 0;

  constructor(config: AttributionConfig, context: Context) {
    this.#context = context;
    this.#maxBytes = memoryOf(config);
    this.#problems = new Complaint(context.clock);
    this.#fullComplaint = new Complaint(context.clock);
    this.#names = new MetricNames(metricsOf(config), context.log, context.clock);
    this.#formulas = [
      ...config.energy_by.map((ready) => this.#ready(ready, config)),
      ...Object.entries(config.formulas).map(([name, formula]) =>
        formula.as === "share" ? this.#share(name, formula) : this.#formula(name, formula)
      ),
    ];
    const retentions = Object.values(config.formulas).map(({ retention_time }) => retention_time);
    if (config.energy_by.length > 0) retentions.push(config.retention_time);
    this.#retentionTicks = Math.max(...retentions.map(ticksOf));
  }

  get stats(): Readonly<Record<string, number>> {
    return {
      attributedPoints: this.#attributedPoints,
      latePoints: this.#formulas.reduce((sum, { latePoints }) => sum + latePoints, 0),
      failedPoints: this.#failedPoints,
    };
  }

  /** The place of the oldest batch of which something is needed. */
  get neededFrom(): number {
    return this.#arrivals[0]?.place ?? Infinity;
  }

  take(
    batch: Batch,
    start: number,
    end: number,
    client: ClientRecord,
    place: number,
    out: StageOutput,
  ): void {
    for (let row = start; row < end; row++) out.pass(batch, row);
    let isKept = false;
    for (const formula of this.#formulas) if (formula.take(batch, start, end, client)) isKept = true;
    if (isKept && this.#arrivals.at(-1)?.tick !== this.#now) this.#arrivals.push({ tick: this.#now, place });
  }

  settle(out: StageOutput): void {
    this.#names.check();
    const counting = this.#counting(out);
    for (const formula of this.#formulas) formula.settle(counting);
    if (this.#bytes <= this.#maxBytes) return;
    this.#complainOfRoom();
    this.flush(out);
  }

  get #bytes(): number {
    let bytes = 0;
    for (const formula of this.#formulas) bytes += formula.bytes;
    return bytes;
  }

  #complainOfRoom(): void {
    const bytes = this.#bytes;
    this.#fullComplaint.add((times) => {
      this.#context.log.warn(
        "Energy is attributed early, because points take more than plugins.energy-attribution.memory",
        { times, bytes },
      );
    });
  }

  tick(out: StageOutput): void {
    this.#now++;
    const counting = this.#counting(out);
    for (const formula of this.#formulas) formula.tick(counting);
    this.#makeRoom(counting);
    // What was kept when the oldest of what is kept arrived matters, too.
    const needed = this.#now - 2 * this.#retentionTicks - 2;
    while (this.#arrivals.length > 0 && this.#arrivals[0].tick < needed) this.#arrivals.shift();
  }

  /**
   * The points that arrived first go, whoever they are from: so what is kept is still what has come last, and who reads again
   * from a later place keeps the same. To take those of the client that has brought most would need its points of before.
   */
  #makeRoom(counting: ResultSink): void {
    const limit = this.#maxBytes * KEPT_SHARE;
    if (this.#bytes <= limit) return;
    this.#complainOfRoom();
    this.#cutoff = Math.max(this.#cutoff, this.#now - this.#retentionTicks);
    while (this.#bytes > limit && this.#cutoff < this.#now) {
      this.#cutoff++;
      for (const formula of this.#formulas) formula.shed(this.#cutoff, counting);
    }
  }

  flush(out: StageOutput): void {
    const counting = this.#counting(out);
    for (const formula of this.#formulas) formula.flush(counting);
    this.#arrivals.length = 0;
  }

  #counting(out: StageOutput): ResultSink {
    return {
      add: (client, series, seconds, nanos, value) => {
        this.#attributedPoints++;
        out.add(client, series, seconds, nanos, value);
      },
    };
  }

  #register(name: string, unit: Metric["unit"]): Metric {
    return this.#context.registry.register({
      name,
      type: "f64",
      unit,
      description: "What was attributed to consumers",
    }, "attribution");
  }

  #formula(name: string, config: FormulaConfig): FormulaAttribution {
    const [perResource, perConsumer] = [config.per_resource, config.per_consumer];
    const variables = (rules: Readonly<Record<string, SeriesRule>>) =>
      Object.entries(rules).map(([name, rule]) => ({
        name,
        accepts: this.#accepts(rule),
        keepsAttributes: rule.keep_attributes,
      }));
    const names = [...Object.keys(perResource), ...Object.keys(perConsumer)];
    const ambiguous = new Set<string>();
    return new FormulaAttribution({
      retentionTicks: ticksOf(config.retention_time),
      metric: this.#register(name, parseUnit(config.unit)!),
      expression: new Expression(config.expr, names),
      reference: Object.keys(perResource).indexOf(config.ref),
      perResource: variables(perResource),
      perConsumer: variables(perConsumer),
      missingIsZero: config.missing === "zero",
      onProblem: (problem) => {
        this.#failedPoints++;
        this.#problems.add((points) => {
          this.#context.log.warn("A formula has no result", { formula: name, problem, points });
        });
      },
      onAmbiguous: (variable, one, other) => {
        if (ambiguous.has(variable)) return;
        ambiguous.add(variable);
        const text = (attributes: typeof one.attributes) =>
          attributes.map(([key, value]) => `${key}=${value}`).join(",");
        this.#context.log.warn(
          "Two series of one resource are the same name in a formula; add an attribute that tells them apart",
          { formula: name, name: variable, one: text(one.attributes), other: text(other.attributes) },
        );
      },
    });
  }

  #share(name: string, config: FormulaConfig): ShareAttribution {
    const [[, energy]] = Object.entries(config.per_resource);
    const uses = Object.values(config.per_consumer);
    const { by_attribute } = config;
    return this.#shares(name, energy, uses, config.capacity ?? null, {
      retentionMs: config.retention_time,
      graceNs: config.grace * 1e6,
      hasIdle: config.unused === "idle",
      isNested: config.nested,
      by: by_attribute === undefined ? null : { attribute: by_attribute, kind: by_attribute },
    });
  }

  #ready(ready: AttributionConfig["energy_by"][number], config: AttributionConfig): ShareAttribution {
    const { metric, uses, by, isNested } = READY_SHARES[ready];
    return this.#shares(metric, config.energy, [uses], CAPACITY, {
      retentionMs: config.retention_time,
      graceNs: GRACE_NS,
      hasIdle: true,
      isNested,
      by,
    });
  }

  #shares(
    name: string,
    energy: SeriesRule,
    uses: readonly SeriesRule[],
    capacity: SeriesRule | null,
    rest: {
      retentionMs: number;
      graceNs: number;
      hasIdle: boolean;
      isNested: boolean;
      by: { readonly attribute: string; readonly kind: string } | null;
    },
  ): ShareAttribution {
    const tests = uses.map((rule) => this.#accepts(rule));
    return new ShareAttribution({
      ...rest,
      retentionTicks: ticksOf(rest.retentionMs),
      metricFor: ({ unit }) => this.#register(name, unit),
      isEnergy: this.#accepts(energy),
      isUse: (series) => tests.some((test) => test(series)),
      isCapacity: capacity ? this.#accepts(capacity) : () => false,
      keepsEnergyAttributes: energy.keep_attributes,
      keepsUseAttributes: uses.every(({ keep_attributes }) => keep_attributes),
    });
  }

  /** The test of a rule, which notes the metrics that occur. */
  #accepts(rule: SeriesRule): ReturnType<typeof accepts> {
    const test = accepts(rule);
    return (series) => {
      if (series.metric.name === rule.metric) this.#names.has(rule.metric);
      return test(series);
    };
  }
}

const ticksOf = (ms: number) => Math.ceil(ms / TICK_MS);

/** All metrics that a configuration names. */
function metricsOf(config: AttributionConfig): string[] {
  const rules = Object.values(config.formulas).flatMap(({ per_resource, per_consumer, capacity }) => [
    ...Object.values(per_resource),
    ...Object.values(per_consumer),
    ...capacity ? [capacity] : [],
  ]);
  if (config.energy_by.length > 0) {
    rules.push(config.energy, CAPACITY, ...config.energy_by.map((ready) => READY_SHARES[ready].uses));
  }
  return [...new Set(rules.map(({ metric }) => metric))];
}
