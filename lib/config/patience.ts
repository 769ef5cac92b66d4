/** Keys of a valid configuration that do not go together with the pace of its inputs, for `config check`. */
import { formatDuration } from "../base/duration.ts";
import type { Plugin } from "../plugin.ts";
import { formatPath, type Path } from "../schema/path.ts";
import { describeSource, type Source } from "./source.ts";

interface Checked {
  readonly plugins: readonly { readonly plugin: Plugin; readonly config: unknown }[];
  source(path: Path): Source;
}

/** How often something is measured. */
interface Poll {
  /** The key that says so. */
  readonly path: Path;
  readonly pollMs: number;
  /** How long its points are kept before they are passed on, in ms. */
  readonly flushMs: number;
}

/** A line for each key: `alumet-config.toml:3: plugins.aggregation.interval: …`. */
export function patienceLines({ plugins, source }: Checked): string[] {
  const polls = plugins.filter(({ plugin }) => plugin.kind === "input")
    .flatMap(({ plugin, config }) => pollsOf(config, ["plugins", plugin.name]));
  return plugins.flatMap(({ plugin, config }) =>
    (plugin.patience?.(config) ?? []).flatMap(({ path, ms, withFlush, problem }) => {
      const timeOf = ({ pollMs, flushMs }: Poll) => pollMs + (withFlush ? flushMs : 0);
      const slowest = polls.toSorted((a, b) => timeOf(b) - timeOf(a))[0];
      if (!slowest || timeOf(slowest) <= ms) return [];
      const whole = ["plugins", plugin.name, ...path];
      const flush = withFlush && slowest.flushMs > 0 ? ", flush_interval included," : "";
      return [
        `${describeSource(source(whole))}: ${formatPath(whole)}: ${formatPath(slowest.path)} is ${
          formatDuration(slowest.pollMs)
        }, and only ${formatDuration(ms)}${flush} suits: ${problem}`,
      ];
    })
  );
}

/** What the tables in a configuration say, without those that are not enabled. */
function pollsOf(value: unknown, path: Path): Poll[] {
  if (Array.isArray(value)) return value.flatMap((item, i) => pollsOf(item, [...path, i]));
  if (typeof value !== "object" || value === null) return [];
  const { enabled, poll_interval, flush_interval } = value as Record<string, unknown>;
  if (enabled === false) return [];
  const own: Poll[] = typeof poll_interval === "number"
    ? [{
      path: [...path, "poll_interval"],
      pollMs: poll_interval,
      flushMs: typeof flush_interval === "number" ? flush_interval : 0,
    }]
    : [];
  return [...own, ...Object.entries(value).flatMap(([key, inner]) => pollsOf(inner, [...path, key]))];
}
