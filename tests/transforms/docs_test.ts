/** The examples of docs/transforms.md do what the page shows. */
import assert from "node:assert/strict";
import { type Attribute, type Batch, seriesOf, type Unit } from "../../lib/points/measurement.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { unitDisplayName } from "../../lib/points/units.ts";
import { transformsOf } from "../kit/alumet_transforms.ts";
import { batchOf } from "../kit/points.ts";

const PAGE = Deno.readTextFileSync(new URL("../../docs/transforms.md", import.meta.url));

/** What is below a heading. */
function section(title: string): string {
  const start = PAGE.indexOf(`\n## ${title}\n`);
  assert.ok(start > 0, title);
  const end = PAGE.indexOf("\n## ", start + 1);
  return PAGE.slice(start, end < 0 ? undefined : end);
}

type Row = [metric: string, unit: Unit, attributes: Attribute[], value: number];

/** The points that the section's example makes of some. */
async function outcome(title: string, points: readonly Row[]): Promise<string[]> {
  const result = await applied(title, points);
  return Array.from(
    { length: result.length },
    (_, row) => `${result.metricAt(row).name} ${result.values[row]}`,
  );
}

/** The same with attributes and units, as the pictures show them. */
async function pictured(title: string, points: readonly Row[]): Promise<string[]> {
  const result = await applied(title, points);
  return Array.from({ length: result.length }, (_, row) => {
    const { metric, attributes } = result.seriesAt(row);
    const labels = attributes.map(([name, value]) => ` ${name}=${value}`).join("");
    return `${metric.name}${labels} ${result.values[row]} ${unitDisplayName(metric.unit)}`;
  });
}

async function applied(title: string, points: readonly Row[]): Promise<Batch> {
  const [, toml] = section(title).match(/```toml\n(.*?)```/s)!;
  const registry = new MetricRegistry();
  const [transform, ...others] = await transformsOf(toml, registry);
  assert.equal(others.length, 0);
  const batch: Batch = batchOf(points.map(([name, unit, attributes, value]) => [
    seriesOf(registry.register({ name, type: "f64", unit }), { attributes }),
    value,
  ]));
  return transform.apply(batch);
}

/** What the pictures of a section have on the right. */
function rightSides(title: string): string[] {
  return section(title).split("\n").filter((line) => line.includes("──▶"))
    .map((line) => line.split("──▶")[1].trim());
}

const J: Unit = { base: "J", prefix: "" };
const MS: Unit = { base: "s", prefix: "milli" };

Deno.test("filter: as the page shows", async () => {
  const left = await outcome("filter", [
    ["rapl_consumed_energy", J, [["domain", "package"]], 12],
    ["rapl_consumed_energy", J, [["domain", "pp0"]], 7],
    ["kernel_cpu_time", MS, [], 5000],
  ]);
  assert.deepEqual(left, ["rapl_consumed_energy 12"]);
});

const PERCENT: Unit = { base: "%", prefix: "" };

Deno.test("relabel: as the page shows", async () => {
  const left = await pictured("relabel", [
    ["rapl_consumed_energy", J, [["domain", "package"]], 12],
    ["cpu_percent", PERCENT, [["user", "alice"], ["cmdline", "vi x"]], 3],
  ]);
  assert.deepEqual(left, rightSides("relabel"));
});

Deno.test("convert: as the page shows", async () => {
  const left = await pictured("convert", [
    ["rapl_consumed_energy", J, [], 1_800_000],
    ["cpu_percent", PERCENT, [], 3],
  ]);
  assert.deepEqual(left.sort(), rightSides("convert").sort());
});

Deno.test("energy-estimation-tdp: as the page shows", async () => {
  const left = await outcome("energy-estimation-tdp", [
    ["kernel_cpu_time", MS, [["cpu_state", "user"]], 5000],
    ["kernel_cpu_time", MS, [["cpu_state", "idle"]], 8000],
  ]);
  assert.deepEqual(left, [
    "kernel_cpu_time 5000",
    "kernel_cpu_time 8000",
    "estimated_consumed_energy 40.625",
  ]);
});

Deno.test("energy-to-carbon: as the page shows", async () => {
  const left = await outcome("energy-to-carbon", [["rapl_consumed_energy", J, [], 3_600_000]]);
  assert.deepEqual(left, ["rapl_consumed_energy 3600000", "carbon_emission 56.039"]);
});
