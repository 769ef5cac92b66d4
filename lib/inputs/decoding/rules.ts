/** Rules of a configuration that say what metrics are which arrive as names alone. */
import { choice, type Infer, type Key, optional, table, tables, text } from "../../schema.ts";
import { unitOf } from "../../points/units.ts";
import { Pattern } from "../../transforms/metric_names.ts";
import type { Unit, ValueType } from "../../points/measurement.ts";

const place = (what: string, example: string) =>
  optional(text({
    doc: `The ${what}: KIND or KIND/ID. {NAME} stands for the value of that tag, which is no attribute then.`,
    default: example,
    check: (value) => /^[^/]+(\/[^]*)?$/.test(value) ? undefined : "write KIND or KIND/ID",
  }));

const rule = table({
  metric: text({ doc: "The metric's name; `*` stands for any characters.", default: "*" }),
  unit: optional(text({
    doc: "The unit: W, kWh, J, °C, %, B, s, V, A, Hz, or another one with a prefix (milliW). Default: none.",
    default: "W",
  })),
  type: optional(choice(["f64", "u64"], {
    doc: "The type of its values. u64 takes whole numbers from 0 to 2^64-1.",
    default: "f64",
  })),
  resource: place("resource", "gpu/{gpu}"),
  consumer: place("consumer", "process/{pid}"),
}, { doc: "A rule. Each of its keys holds for metrics that no rule before it has given that key." });

export type MetricRule = Infer<typeof rule>;

/** The key `rules`. */
export const rulesKey: Key<MetricRule[]> = tables(rule, {
  doc: "What metrics are: unit, type, resource and consumer, by the name.",
  default: [],
});

/** What the rules say of one metric. */
export interface MetricFacts {
  readonly unit: Unit | undefined;
  readonly type: ValueType | undefined;
  readonly resource: string | undefined;
  readonly consumer: string | undefined;
}

export class MetricRules {
  readonly #rules: readonly { readonly pattern: Pattern; readonly rule: MetricRule }[];

  constructor(rules: readonly MetricRule[]) {
    this.#rules = rules.map((rule) => ({ pattern: new Pattern(rule.metric), rule }));
  }

  of(name: string): MetricFacts {
    const rules = this.#rules.filter(({ pattern }) => pattern.matches(name)).map(({ rule }) => rule);
    const first = <K extends keyof MetricRule>(key: K): MetricRule[K] | undefined =>
      rules.find((rule) => rule[key] !== undefined)?.[key];
    const unit = first("unit");
    return {
      unit: unit === undefined ? undefined : unitOf(unit),
      type: first("type") as ValueType | undefined,
      resource: first("resource"),
      consumer: first("consumer"),
    };
  }
}
