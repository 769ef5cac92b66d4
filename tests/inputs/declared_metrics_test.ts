/** What inputs declare of the metrics that they make, and what the documentation says, is what they make in test cases. */
import assert from "node:assert/strict";
import { Pattern } from "../../lib/transforms/metric_names.ts";
import { MEMORY_METRICS } from "../../lib/inputs/procfs/meminfo_entries.ts";
import { plugins } from "../../lib/plugins.ts";
import { cases } from "./testcase.ts";

const CASES = new URL("../testdata/inputs/", import.meta.url);
const PREFIX = /^(nano|micro|milli|kilo|mega|giga)(?=[A-Z%]|s$)/;

/** The metrics of a test case, with the bases of their units. */
function metricsOf(input: string, name: string): [metric: string, base: string][] {
  const text = Deno.readTextFileSync(new URL(`${input}/${name}/expected.txt`, CASES));
  const [, section] = /## metrics\n(.*?)(?:\n##|$)/s.exec(text)!;
  return section.trim().split("\n").filter((line) => line !== "").map((line) => {
    const [metric, , unit] = line.split(" ");
    const known = /^(nano|micro|milli|kilo|mega|giga)s$/.test(unit) ? "s" : unit.replace(PREFIX, "");
    return [metric, known];
  });
}

Deno.test("every metric of the test cases is declared, with its unit", () => {
  const missing: string[] = [];
  let count = 0;
  for (const { input, name, plugin, config } of cases()) {
    const { metrics = [] } = plugin;
    const texts = typeof metrics === "function" ? metrics(config) : metrics;
    const declared = texts.map((text) => text.split(" ")).map(([name, base]) => ({
      pattern: new Pattern(name),
      base,
    }));
    for (const [metric, base] of metricsOf(input, name)) {
      count++;
      const fits = declared.some((one) => one.pattern.matches(metric) && ["*", base].includes(one.base));
      if (!fits) missing.push(`${input}/${name}: ${metric} ${base}`);
    }
  }
  assert.deepEqual(missing, []);
  assert.ok(count > 0);
});

Deno.test("inputs declare their metrics, except those that take any from others", () => {
  const undeclared = plugins.filter((plugin) => plugin.kind === "input" && plugin.metrics === undefined);
  assert.deepEqual(undeclared.map(({ name }) => name), ["lines", "scrape", "relay-server"]);
});

Deno.test("the documentation has a section for each input, and each metric that its test cases make", () => {
  const text = Deno.readTextFileSync(new URL("../../docs/inputs.md", import.meta.url));
  const headings = [...text.matchAll(/^## (.+)$/gm)].flatMap(([, names]) => names.split(", "));
  const inputs = plugins.filter((plugin) => plugin.kind === "input" && !plugin.receives);
  assert.deepEqual(inputs.map(({ name }) => name).filter((name) => !headings.includes(name)), []);
  // Entries of /proc/meminfo and events have names by a rule; those of Kwollect are named by the configuration.
  const isByRule = (metric: string) => metric.startsWith("perf_") || MEMORY_METRICS.includes(metric);
  const named = cases().filter(({ input }) => input !== "kwollect-input");
  const missing = named.flatMap(({ input, name }) => metricsOf(input, name).map(([metric]) => metric))
    .filter((metric) => !isByRule(metric) && !text.includes(`\`${metric}\``));
  assert.deepEqual([...new Set(missing)], []);
});
