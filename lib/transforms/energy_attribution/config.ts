/** The keys of `[plugins.energy-attribution]`: Alumet's formulas, shares that add up, and some that are ready. */
import type { WantedMetric } from "../../plugin.ts";
import { choice, duration, flag, type Infer, list, named, optional, table, text } from "../../schema.ts";
import { parseUnit } from "../../points/units.ts";
import { ExpressionError, isIdentifier } from "../expressions/lexer.ts";
import { Expression } from "../expressions/expression.ts";
import { memoryKey } from "../memory.ts";
import { CAPACITY, READY, READY_SHARES } from "./ready.ts";
import { seriesKey } from "./series_key.ts";
import type { SeriesRule } from "./series_rules.ts";

const checkName = (name: string) =>
  isIdentifier(name) ? undefined : "cannot be a name in a formula: use letters, digits and _ alone";

const formula = table({
  as: choice(["value", "share"], {
    doc:
      "`value` evaluates `expr` at each time of `ref`, with the other series interpolated, as Alumet does. `share` divides what the one series of `per_resource` has used in each interval by what consumers have used within it; the shares add up.",
    default: "value",
  }),
  expr: text({
    doc:
      'The formula, such as `cpu_energy * cpu_usage / 100.0`, of the names below. With `as = "share"`: none.',
    default: "",
  }),
  ref: text({ doc: "The series of `per_resource` whose times are used.", default: "" }),
  retention_time: duration({
    doc:
      "How long points are kept after they have arrived. It must be more than twice the slowest poll of the series, flushes included.",
    default: "30s",
    min: "2s",
    max: "1h",
  }),
  unit: text({
    doc: 'The unit of the results. With `as = "share"` it is that of what is divided.',
    default: "J",
    check: (name) => parseUnit(name) === undefined ? "it is not a unit" : undefined,
  }),
  missing: choice(["skip", "zero"], {
    doc: "Whether a consumer without points of one of its series has no results, or that series is 0.",
    default: "skip",
  }),
  unused: choice(["idle", "shared"], {
    doc:
      'With `as = "share"`: whether what nobody used goes to the consumer `idle`, which needs `capacity`, or to all in proportion.',
    default: "shared",
  }),
  by_attribute: optional(text({
    doc: 'With `as = "share"`: consumers are all points with the same value of this attribute.',
    unset: "consumers are those of the points",
    default: "job_id",
  })),
  nested: flag({
    doc:
      'With `as = "share"`: the ids of consumers are paths, and what one used contains what those below it used, as with cgroups.',
    default: false,
  }),
  grace: duration({
    doc: 'With `as = "share"`: how much later another point must be before an energy is divided.',
    default: "2s",
    min: "0s",
  }),
  per_resource: named(seriesKey("A series of each resource."), {
    doc: "Series of the resource, by their names in the formula.",
    exampleName: "cpu_energy",
    checkName,
  }),
  per_consumer: named(seriesKey("A series of each consumer."), {
    doc:
      "Series of consumers on that resource, by their names in the formula. Shares are by the sum of them.",
    exampleName: "cpu_usage",
    checkName,
  }),
  capacity: optional(seriesKey('With `as = "share"`: what all consumers together could have used.', {
    metric: "kernel_cpu_time",
    resource_kind: "local_machine",
    except: { cpu_state: ["guest*"] },
  })),
}, {
  doc: "A formula; its results are a metric of that name.",
  check(formula) {
    const { as, expr, ref, per_resource, per_consumer, unused, capacity } = formula;
    const names = [...Object.keys(per_resource), ...Object.keys(per_consumer)];
    const twice = Object.keys(per_consumer).find((name) => Object.hasOwn(per_resource, name));
    if (twice !== undefined) return { key: "per_consumer", problem: `${twice} is in per_resource, too` };
    if (Object.keys(per_consumer).length === 0) {
      return { key: "per_consumer", problem: "name at least one series of consumers" };
    }
    if (as === "share") {
      if (expr !== "") return { key: "expr", problem: 'has no meaning with as = "share"' };
      if (Object.keys(per_resource).length !== 1) {
        return { key: "per_resource", problem: 'with as = "share", name the one series that is divided' };
      }
      if (unused === "idle" && capacity === undefined) {
        return {
          key: "capacity",
          problem: 'with unused = "idle", say what all consumers together could use',
        };
      }
      return;
    }
    if (!Object.hasOwn(per_resource, ref)) {
      const known = Object.keys(per_resource).join(", ") || "none";
      return { key: "ref", problem: `must be one of the series in per_resource (${known})` };
    }
    try {
      new Expression(expr, names);
    } catch (error) {
      if (error instanceof ExpressionError) return { key: "expr", problem: error.picture };
      throw error;
    }
  },
});

export type FormulaConfig = Infer<typeof formula>;

export const config = table({
  energy_by: list(choice(READY, { doc: "What shares the energy.", default: "process" }), {
    doc:
      "Divides `energy` by CPU time, without a formula: the results are `process_energy`, `cgroup_energy` and `job_energy`. What nobody used is for the consumer `idle`. It needs procfs for the CPU time of processes and of the machine, cgroups, and slurm or oar for jobs.",
    default: [],
  }),
  energy: seriesKey("The energy that `energy_by` divides.", {
    metric: "rapl_consumed_energy",
    resource_kind: "local_machine",
    attributes: { domain: "package_total" },
  }),
  retention_time: duration({
    doc: "How long points for `energy_by` are kept: more than twice the slowest poll, flushes included.",
    default: "30s",
    min: "2s",
    max: "1h",
  }),
  memory: memoryKey(
    "Most memory for points that are kept and their series. If they take three quarters of it, what came first is attributed early and forgotten.",
  ),
  formulas: named(formula, {
    doc: "Formulas, by the names of their results.",
    exampleName: "attributed_energy",
  }),
}, {
  doc: "Divides energy among those who have used it.",
  check: ({ energy_by, formulas }) =>
    energy_by.length === 0 && Object.keys(formulas).length === 0
      ? { key: "formulas", problem: 'nothing is attributed: write energy_by = ["process"], or a formula' }
      : undefined,
});

export type AttributionConfig = Infer<typeof config>;

/** Units of what can be used: times, and what holds over a time. */
const USES = ["s", "%", "1", "W"];

/** The metrics that it names. */
export function wants({ energy_by, energy, formulas }: AttributionConfig): WantedMetric[] {
  const wanted: WantedMetric[] = [];
  for (const [i, ready] of energy_by.entries()) {
    wanted.push({
      path: ["energy_by", i],
      metric: READY_SHARES[ready].uses.metric,
      bases: USES,
    });
  }
  if (energy_by.length > 0) {
    wanted.push({
      path: ["energy"],
      metric: energy.metric,
      bases: ["J", "W.h"],
    });
    wanted.push({ path: ["energy_by"], metric: CAPACITY.metric, bases: ["s"] });
  }
  for (const [name, formula] of Object.entries(formulas)) {
    const add = (key: string, rules: Readonly<Record<string, SeriesRule>>, bases?: readonly string[]) => {
      for (const [variable, { metric }] of Object.entries(rules)) {
        const path = ["formulas", name, key, variable];
        wanted.push({ path, metric, bases });
      }
    };
    const uses = formula.as === "share" ? USES : undefined;
    add("per_resource", formula.per_resource);
    add("per_consumer", formula.per_consumer, uses);
    if (formula.capacity) {
      wanted.push({ path: ["formulas", name, "capacity"], metric: formula.capacity.metric, bases: uses });
    }
  }
  return wanted;
}

/** The metrics that it makes, with the bases of their units; a share has that of what is divided. */
export function metrics({ energy_by, formulas }: AttributionConfig): string[] {
  return [
    ...energy_by.map((ready) => `${READY_SHARES[ready].metric} J`),
    ...Object.entries(formulas).map(([name, { as, unit }]) =>
      `${name} ${as === "share" ? "*" : parseUnit(unit)!.base}`
    ),
  ];
}
