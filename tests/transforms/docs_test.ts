/** The examples of docs/transforms.md do what the page shows. */
import assert from "node:assert/strict";
import { ClientTable } from "../../lib/points/origins.ts";
import type { SeriesStore } from "../../lib/points/series_store.ts";
import type { StageOutput } from "../../lib/plugin.ts";
import { stagedOf } from "../kit/stages.ts";
import { parse } from "@std/toml";
import { type Attribute, type Batch, seriesOf, type Unit } from "../../lib/points/measurement.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { unitDisplayName } from "../../lib/points/units.ts";
import { Expression } from "../../lib/transforms/expressions/expression.ts";
import type { ExpressionError } from "../../lib/transforms/expressions/lexer.ts";
import { config as carbonConfig } from "../../lib/transforms/energy_to_carbon/config.ts";
import { EnergyToCarbon } from "../../lib/transforms/energy_to_carbon/transform.ts";
import { config as bridgeConfig } from "../../lib/transforms/process_to_cgroup_bridge/config.ts";
import { Bridge } from "../../lib/transforms/process_to_cgroup_bridge/transform.ts";
import { transformsOf } from "../kit/alumet_transforms.ts";
import { contextWith } from "../kit/context.ts";
import { batchOf } from "../kit/points.ts";
import { throughStage } from "../kit/stages.ts";
import { TempDir } from "../kit/temp_dir.ts";

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

Deno.test("process-to-cgroup-bridge: as the page shows", async () => {
  await using dir = new TempDir();
  for (const pid of [1, 2]) {
    await Deno.mkdir(dir.file(`${pid}`));
    await Deno.writeTextFile(dir.file(`${pid}/cgroup`), "0::/a\n");
  }
  const [, toml] = section("process-to-cgroup-bridge").match(/```toml\n(.*?)```/s)!;
  const { plugins } = parse(toml) as { plugins: Record<string, unknown> };
  const values = bridgeConfig.check(
    plugins["process-to-cgroup-bridge"],
    [],
    ({ message }) => assert.fail(message),
  );
  const bridge = new Bridge(values, contextWith({}), dir.path);
  const GB: Unit = { base: "By", prefix: "giga" };
  const registry = new MetricRegistry();
  const of = (name: string, unit: Unit, pid: number) =>
    seriesOf(registry.register({ name, unit, type: "f64" }), {
      consumerKind: "process",
      consumerId: String(pid),
    });
  const result = bridge.apply(batchOf([
    [of("gpu_memory", GB, 1), 3],
    [of("gpu_memory", GB, 2), 1],
    [of("cpu_percent", PERCENT, 1), 5],
  ]));
  const left = Array.from({ length: result.length }, (_, row) => {
    const { metric, consumerKind, consumerId } = result.seriesAt(row);
    return `${metric.name} ${consumerKind} ${consumerId} ${result.values[row]} ${
      unitDisplayName(metric.unit)
    }`;
  });
  const shown = rightSides("process-to-cgroup-bridge").flatMap((line) => line.split(", "));
  assert.deepEqual(left.sort(), shown.sort());
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

Deno.test("energy-to-carbon: with the intensity of a metric, as the page shows", () => {
  const registry = new MetricRegistry();
  const values = carbonConfig.check(
    { intensity_metric: "carbon_intensity" },
    [],
    ({ message }) => assert.fail(message),
  );
  const carbon = new EnergyToCarbon(values, contextWith({ registry }));
  const of = (name: string, unit: Unit) => seriesOf(registry.register({ name, type: "f64", unit }));
  const result = carbon.apply(batchOf([
    [of("carbon_intensity", { base: "g_CO2", prefix: "" }), 30],
    [of("rapl_consumed_energy", J), 3_600_000],
  ]));
  const left = Array.from(
    { length: result.length },
    (_, row) => `${result.metricAt(row).name} ${result.values[row].toLocaleString("en")}`,
  );
  const shown = rightSides("energy-to-carbon").slice(1).flatMap((line) => line.split(/, (?=[a-z])/))
    .map((point) => point.replace(/ (J|g)$/, ""));
  assert.deepEqual(left.sort(), shown.sort());
});

/** What a section's example, the `n`th one, makes of points through the stage of a transform with a memory, in words. */
async function staged(
  title: string,
  n: number,
  rows: readonly [
    metric: string,
    unit: Unit,
    consumer: string,
    attributes: Attribute[],
    seconds: number,
    value: number,
  ][],
): Promise<string[]> {
  const toml = [...section(title).matchAll(/```toml\n(.*?)```/gs)][n][1];
  const registry = new MetricRegistry();
  const { batches } = await throughStage(toml, registry, () => [
    batchOf(rows.map(([name, unit, consumer, attributes, seconds, value]) => {
      const [consumerKind, consumerId] = consumer.split(" ");
      const rest = consumer === "" ? {} : { consumerKind, consumerId };
      return [
        seriesOf(registry.register({ name, type: "f64", unit }), { ...rest, attributes }),
        value,
        seconds,
      ];
    })),
  ]);
  return batches.flatMap((batch) =>
    Array.from({ length: batch.length }, (_, row) => {
      const { metric, consumerKind, consumerId } = batch.seriesAt(row);
      const who = consumerKind === "local_machine" ? "" : ` ${consumerKind}${consumerId && ` ${consumerId}`}`;
      return `${metric.name}${who} ${batch.values[row]} ${unitDisplayName(metric.unit)}`;
    })
  );
}

const NS: Unit = { base: "s", prefix: "nano" };
const TOTAL: Attribute[] = [["domain", "package_total"]];

Deno.test("energy-attribution: shares as the page shows", async () => {
  const at = (seconds: number, scale: number) =>
    [
      ["rapl_consumed_energy", J, "", TOTAL, seconds, 100 * scale],
      ["cpu_time_delta", NS, "process 1", [["kind", "user"]], seconds, 2e9 * scale],
      ["cpu_time_delta", NS, "process 1", [["kind", "system"]], seconds, 1e9 * scale],
      ["cpu_time_delta", NS, "process 1", [["kind", "guest"]], seconds, 2e9 * scale],
      ["cpu_time_delta", NS, "process 2", [["kind", "user"]], seconds, 3e9 * scale],
      ["kernel_cpu_time", MS, "", [["cpu_state", "user"]], seconds, 7000 * scale],
      ["kernel_cpu_time", MS, "", [["cpu_state", "idle"]], seconds, 5000 * scale],
      ["kernel_cpu_time", MS, "", [["cpu_state", "guest"]], seconds, 2000 * scale],
    ] as Parameters<typeof staged>[2];
  const left = await staged("energy-attribution", 0, [...at(1_700_000_000, 0), ...at(1_700_000_005, 1)]);
  const results = left.filter((line) => line.startsWith("process_energy"));
  assert.deepEqual(
    results,
    rightSides("energy-attribution").filter((line) => line.startsWith("process_energy")),
  );
  assert.equal(left.length, 16 + results.length);
});

Deno.test("energy-attribution: a formula as the page shows", async () => {
  const kind: Attribute[] = [["kind", "total"]];
  const left = await staged("energy-attribution", 1, [
    ["rapl_consumed_energy", J, "", TOTAL, 1_700_000_002, 100],
    ["cpu_percent", PERCENT, "process 1", kind, 1_700_000_001, 50],
    ["cpu_percent", PERCENT, "process 1", kind, 1_700_000_003, 100],
  ]);
  const [result] = left.slice(3);
  assert.equal(left.length, 4);
  assert.ok(
    rightSides("energy-attribution").map((line) => line.replace(" 12:00:02", "")).includes(result),
    result,
  );
});

Deno.test("energy-attribution: a mistake as the page shows", () => {
  const picture = section("energy-attribution").match(/^ {4}there is no series.*\n.*\n.*\^$/m)![0];
  const [, formula] = picture.split("\n").map((line) => line.slice(8));
  assert.throws(
    () => new Expression(formula, ["cpu_energy", "cpu_usage"]),
    (error) => {
      assert.equal((error as ExpressionError).picture, picture.replaceAll(/^ {4}/gm, ""));
      return true;
    },
  );
});

Deno.test("rates: as the page shows", async () => {
  const BYTE: Unit = { base: "By", prefix: "" };
  const left = await staged("rates", 0, [
    ["rapl_consumed_energy", J, "", [], 1_700_000_005, 100],
    ["rapl_consumed_energy", J, "", [], 1_700_000_010, 150],
    ["bytes_total", BYTE, "", [], 1_700_000_005, 7000],
    ["bytes_total", BYTE, "", [], 1_700_000_010, 7500],
  ]);
  const shown = rightSides("rates").filter((line) => line !== "").map((line) =>
    line.replace(" 12:00:10", "")
  );
  assert.deepEqual(left, shown);
});

Deno.test("aggregation: as the page shows", async () => {
  const [, toml] = section("aggregation").match(/```toml\n(.*?)```/s)!;
  const registry = new MetricRegistry();
  const local = new ClientTable();
  const { config, open } = stagedOf(toml, registry, local);
  const transform = await open(config);
  const left: string[] = [];
  const add = (
    store: SeriesStore,
    series: number,
    seconds: number,
    nanos: number,
    value: number | bigint,
  ) => {
    const { name, unit } = store.metricOf(series);
    const time = new Date((seconds + nanos / 1e9) * 1000).toISOString().slice(11, 23).replace(/\.?0+$/, "")
      .replace(/:$/, ":00");
    left.push(`${name} ${time} ${value} ${unitDisplayName(unit)}`);
  };
  const shown = section("aggregation").split("\n").filter((line) => line.includes("──▶"));
  for (const [place, line] of shown.entries()) {
    const [input, output] = line.split("──▶");
    const [name, time, value, unit] = input.trim().split(" ");
    const metric = registry.register({ name, type: "f64", unit: unit === "J" ? J : MS });
    const ms = Date.parse(`2023-11-14T${time}Z`);
    const batch = batchOf([[seriesOf(metric), Number(value), Math.floor(ms / 1000), (ms % 1000) * 1e6]]);
    const out: StageOutput = {
      pass: ({ store, series, seconds, nanos, values }, row) =>
        add(store, series[row], seconds[row], nanos[row], values[row]),
      add: (_client, series, seconds, nanos, value) => add(batch.store, series, seconds, nanos, value),
    };
    transform.take(batch, 0, 1, local.local, place, out);
    assert.deepEqual(left.splice(0).join(", "), output.trim(), line);
  }
  assert.equal(shown.length, 5);
});
