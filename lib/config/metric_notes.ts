/** Metrics that the transforms of a configuration name, and the inputs that make them: notes of `config check`. */
import type { Plugin, WantedMetric } from "../plugin.ts";
import { formatPath, type Path } from "../schema/path.ts";
import { describeSource, type Source } from "./source.ts";

interface Configured {
  readonly plugin: Plugin;
  readonly config: unknown;
}

/** A metric that is made: its name, with `*`, and the base of its unit. */
interface Made {
  readonly name: RegExp;
  readonly base: string;
  readonly isPattern: boolean;
  readonly by: Configured;
}

/** A line for each: `alumet-config.toml:3: plugins.aggregation.metrics: …`. */
export function metricNotes(
  { plugins, source }: { readonly plugins: readonly Configured[]; source(path: Path): Source },
): string[] {
  const lines: string[] = [];
  const inputs = plugins.filter(({ plugin }) => plugin.kind === "input");
  let makers: Configured[] = inputs;
  for (const configured of plugins.filter(({ plugin }) => plugin.kind === "transform")) {
    const { plugin, config } = configured;
    for (const wanted of plugin.wants?.(config) ?? []) {
      const path = ["plugins", plugin.name, ...wanted.path];
      for (const problem of problemsOf(wanted, makers)) {
        lines.push(`${describeSource(source(path))}: ${formatPath(path)}: ${problem}`);
      }
    }
    // What it makes, those behind it may name.
    makers = [...makers, configured];
  }
  return lines;
}

function problemsOf({ metric, bases }: WantedMetric, makers: readonly Configured[]): string[] {
  if (metric.includes("*")) return [];
  const all = makers.flatMap(madeBy).filter(({ name }) => name.test(metric));
  // What is said of one metric counts more than what is said of many.
  const own = all.filter(({ isPattern }) => !isPattern);
  const made = own.length > 0 ? own : all;
  // Some may make any metric: what comes from clients, lines of other programs.
  const isKnown = makers.every(({ plugin }) => plugin.metrics !== undefined);
  if (made.length === 0) {
    return isKnown ? [`no enabled input makes the metric ${metric}, and no transform before this one`] : [];
  }
  const fits = made.some(({ base }) => bases === undefined || base === "*" || bases.includes(base));
  if (fits) return [];
  const found = [...new Set(made.map(({ base }) => base))].join(", ");
  return [`the unit of ${metric} is ${found}, expected ${bases!.join(" or ")}`];
}

function madeBy(by: Configured): Made[] {
  const { metrics = [] } = by.plugin;
  return (typeof metrics === "function" ? metrics(by.config) : metrics).map((text) => {
    const [name, base] = text.split(" ");
    const isPattern = name.includes("*");
    return { name: new RegExp(`^${name.replaceAll("*", ".*")}$`), base, isPattern, by };
  });
}
