/** The transform behind {@linkcode ../filter.ts}. */
import type { Batch, SeriesDefinition } from "../../points/measurement.ts";
import type { PluginContext, Transform } from "../../plugin.ts";
import { BySeries } from "../by_series.ts";
import { MetricNames } from "../metric_names.ts";
import { Rewriter, type Rewriting } from "../rewriting.ts";
import { testOf } from "../selector.ts";
import type { FilterConfig } from "./config.ts";

/** What is decided for a series: the places are those of {@linkcode Filter.#rewriting}. */
const VERDICT = { passes: 1, isOut: 2 } as const;

export class Filter implements Transform {
  readonly stats = { filteredPoints: 0 };
  readonly #rules: readonly { readonly passes: boolean; readonly fits: ReturnType<typeof testOf> }[];
  readonly #names: MetricNames;
  /** Whether the metrics that are named pass, or all the others. */
  readonly #named: boolean;
  readonly #rewriter = new Rewriter();
  readonly #verdicts = new BySeries((store, series) =>
    this.#decide(store.definitionOf(series)) ? VERDICT.passes : VERDICT.isOut
  );

  readonly #rewriting: Rewriting = {
    selection: { by: this.#verdicts, stays: [false, true, false] },
  };

  constructor(
    { include, exclude, rules }: FilterConfig,
    { log, clock }: Pick<PluginContext, "log" | "clock">,
  ) {
    this.#rules = rules.map((rule) => ({ passes: rule.action === "include", fits: testOf(rule) }));
    this.#named = include !== undefined;
    this.#names = new MetricNames(include ?? exclude ?? [], log, clock);
    if (include === undefined && exclude === undefined && rules.length === 0) {
      log.warn("The filter lets everything pass: it has neither include, exclude nor rules");
    }
  }

  apply(batch: Batch): Batch {
    this.#names.check();
    const numbers = this.#verdicts.of(batch);
    const { series, length } = batch;
    for (let row = 0; row < length; row++) {
      if (numbers[series[row]] !== VERDICT.isOut) continue;
      const result = this.#rewriter.rewrite(batch, this.#rewriting);
      this.stats.filteredPoints += length - result.length;
      return result;
    }
    return batch;
  }

  #decide(series: SeriesDefinition): boolean {
    const isNamed = this.#names.has(series.metric.name);
    for (const { passes, fits } of this.#rules) if (fits(series)) return passes;
    return isNamed === this.#named;
  }
}
