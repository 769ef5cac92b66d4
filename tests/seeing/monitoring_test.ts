/** Alert rules and dashboards of packaging/: whether they suit what the relay exports and stores. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { LogRing } from "../../lib/base/log_ring.ts";
import { type Series, seriesOf } from "../../lib/points/measurement.ts";
import { seriesStore } from "../../lib/points/series_store.ts";
import type { InputPlugin } from "../../lib/plugin.ts";
import { table } from "../../lib/schema.ts";
import { familiesOf } from "../../lib/seeing/families.ts";
import { View } from "../../lib/seeing/view.ts";
import { metricOf } from "../kit/decode.ts";
import { needs } from "../kit/needs.ts";
import { batchOf } from "../kit/points.ts";
import { promtool } from "../kit/prometheus.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { Database, DAY_MS } from "../outputs/sqlite/database.ts";
import { Site } from "./site.ts";

const PACKAGING = new URL("../../packaging/", import.meta.url);
const ALERTS = new URL("prometheus/alerts.yml", PACKAGING);
const CASES = new URL("alerts_cases.yml", import.meta.url);

interface Target {
  readonly datasource: { readonly type: string };
  readonly expr?: string;
  readonly queryText?: string;
}

interface Dashboard {
  readonly uid: string;
  readonly templating: {
    readonly list: { readonly name: string; readonly type: string; readonly query: string }[];
  };
  readonly panels: { readonly title: string; readonly targets: Target[] }[];
}

/** The dashboards for a kind of database, by the names of their files. */
function dashboards(kind: "sqlite" | "prometheus"): [string, Dashboard][] {
  const directory = new URL("grafana/", PACKAGING);
  const files = [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) =>
    name.startsWith(kind)
  );
  return files.sort().map((name) => [name, JSON.parse(Deno.readTextFileSync(new URL(name, directory)))]);
}

/** Everything that a dashboard asks: its panels, and its variables except the data source. */
function queriesOf({ panels, templating }: Dashboard): { place: string; text: string }[] {
  return [
    ...templating.list.filter(({ type }) => type === "query")
      .map(({ name, query }) => ({ place: `$${name}`, text: query })),
    ...panels.flatMap(({ title, targets }) =>
      targets.map(({ expr, queryText }) => ({ place: title, text: (expr ?? queryText)! }))
    ),
  ];
}

/** Puts values in the place of Grafana's variables. @throws if one has no value. */
function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{?(\w+)\}?/g, (variable, name) => {
    assert.ok(name in values, `no value for ${variable}: ${text}`);
    return values[name];
  });
}

async function runPromtool(...args: string[]): Promise<{ success: boolean; text: string }> {
  const { success, stdout, stderr } = await new Deno.Command("promtool", { args }).output();
  return { success, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

/** Receives from nobody, and makes the process one that has clients. */
const receiver: InputPlugin<unknown> = {
  description: "for tests",
  config: table({}, { doc: "Nothing." }),
  name: "receiver",
  kind: "input",
  open: () =>
    Promise.resolve({
      run: (_sink, stop) => new Promise((resolve) => stop.addEventListener("abort", () => resolve())),
      connectedClients: 0,
      stats: {},
      async [Symbol.asyncDispose]() {},
    }),
};

/** Names of all samples that a server exports at /metrics. */
async function exportedNames(): Promise<Set<string>> {
  await using site = await Site.start({ plugins: [{ plugin: receiver, config: {} }] });
  const view = new View({ version: "1.2.3", host: "server-1", log: new LogRing() });
  view.agent = site.agent;
  return new Set(
    familiesOf(view).flatMap(({ name, type }) => {
      const suffixes = { counter: ["_total"], gauge: [""], histogram: ["_bucket", "_sum", "_count"] }[type];
      return suffixes.map((suffix) => `alumet_relay_${name}${suffix}`);
    }),
  );
}

const namesIn = (text: string) => text.match(/\balumet_relay_\w+/g) ?? [];

Deno.test(
  "promtool accepts the alert rules, and they fire in their cases alone",
  needs(promtool),
  async () => {
    const rules = await runPromtool("check", "rules", ALERTS.pathname);
    assert.ok(rules.success, rules.text);
    const cases = await runPromtool("test", "rules", CASES.pathname);
    assert.ok(cases.success, cases.text);
  },
);

Deno.test("each alert has a case in which it fires, and one in which it does not", () => {
  const cases = Deno.readTextFileSync(CASES);
  const alerts = [...Deno.readTextFileSync(ALERTS).matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  assert.ok(alerts.length > 0);
  for (const alert of alerts) {
    assert.match(cases, new RegExp(`alertname: ${alert}\\n +exp_alerts:\\n`), alert);
    assert.match(cases, new RegExp(`alertname: ${alert}\\n +exp_alerts: \\[\\]\\n`), alert);
  }
});

Deno.test("alerts and dashboards name only metrics that /metrics exports", async () => {
  const exported = await exportedNames();
  const asked = dashboards("prometheus").map(([name, dashboard]) =>
    [name, queriesOf(dashboard).map(({ text }) => text).join("\n")] as const
  );
  asked.push(["alerts.yml", Deno.readTextFileSync(ALERTS)]);
  assert.equal(asked.length, 4);
  for (const [file, text] of asked) {
    const names = namesIn(text);
    assert.ok(names.length > 0, file);
    assert.deepEqual(names.filter((name) => !exported.has(name)), [], file);
  }
});

Deno.test("Prometheus can read each expression of the dashboards", needs(promtool), async () => {
  const values = { instance: ".+", client: "node-1", __rate_interval: "5m" };
  const expressions = dashboards("prometheus").flatMap(([, { panels }]) =>
    panels.flatMap(({ targets }) => targets.map(({ expr }) => fill(expr!, values)))
  );
  assert.ok(expressions.length > 20);
  // A recording rule for each: JSON is YAML.
  const rules = expressions.map((expr, i) => ({ record: `dashboards:expression_${i}`, expr }));
  await using dir = new TempDir();
  const check = async (list: typeof rules) => {
    Deno.writeTextFileSync(
      dir.file("rules.yml"),
      JSON.stringify({ groups: [{ name: "dashboards", rules: list }] }),
    );
    return await runPromtool("check", "rules", dir.file("rules.yml"));
  };
  const { success, text } = await check(rules);
  assert.ok(success && text.includes(`${expressions.length} rules found`), text);
  assert.ok(!(await check([{ record: "wrong", expr: "rate(up)" }])).success, "promtool finds errors");
});

/** 120 seconds of a host: a package of 100 W, its memory of 10 W, and a GPU of 50 W. */
function measured(host: string, startSeconds: number): [Series, number, number][] {
  const rapl = metricOf("rapl_consumed_energy", "f64", { base: "J", prefix: "" });
  const nvml = metricOf("nvml_energy_consumption", "f64", { base: "J", prefix: "milli" });
  const of = (domain: string) => seriesOf(rapl, { attributes: [["domain", domain], ["relay_client", host]] });
  const gpu = seriesOf(nvml, {
    resourceKind: "gpu",
    resourceId: "0000:01:00.0",
    attributes: [["relay_client", host]],
  });
  return Array.from({ length: 120 }, (_, i) => startSeconds + i).flatMap((second) =>
    [
      [of("package_total"), 100, second],
      [of("dram_total"), 10, second],
      [gpu, 50_000, second],
    ] as [Series, number, number][]
  );
}

Deno.test("each query of the SQLite dashboards finds rows, and powers are in watts", async () => {
  // A minute before midnight: a query must find both days.
  const startMs = Math.ceil(1_700_000_000_000 / DAY_MS) * DAY_MS - 60_000;
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  {
    const rollups = { rollups: [{ every: 60, keepMs: 90 * DAY_MS }], storeSeries: 100, moveSeries: 100 };
    using database = new Database(path, Infinity, seriesStore, undefined, rollups);
    database.write(
      [batchOf(["node-1", "node-2"].flatMap((host) => measured(host, startMs / 1000)))],
      startMs,
    );
    database.tidy(startMs + 10 * 60_000);
  }
  const values = {
    __from: String(startMs),
    __to: String(startMs + 120_000),
    host: "node-1",
    metric: "rapl_consumed_energy",
  };
  using db = new DatabaseSync(path, { readOnly: true });
  const found = new Map<string, Record<string, unknown>[]>();
  for (const [file, dashboard] of dashboards("sqlite")) {
    for (const { place, text } of queriesOf(dashboard)) {
      const rows = db.prepare(fill(text, values)).all();
      assert.ok(rows.length > 0, `${file}, ${place}: no rows\n${text}`);
      assert.ok(Object.values(rows[0]).some((value) => value !== null), `${file}, ${place}: only NULL`);
      found.set(`${file}: ${place}`, rows);
    }
  }
  const of = (key: string) => found.get(key)!.map((row) => ({ ...row }));
  const minute = startMs / 1000;
  assert.deepEqual(of("sqlite-overview.json: Power of all hosts (RAPL: packages and memory)"), [
    { time: minute, power: 220 },
    { time: minute + 60, power: 220 },
  ]);
  assert.deepEqual(of("sqlite-overview.json: Power of GPUs by host"), [
    { time: minute, host: "node-1", power: 50 },
    { time: minute, host: "node-2", power: 50 },
    { time: minute + 60, host: "node-1", power: 50 },
    { time: minute + 60, host: "node-2", power: 50 },
  ]);
  assert.equal(of("sqlite-host.json: $metric, each point").length, 240);
  assert.deepEqual(of("sqlite-host.json: $host").map(({ name }) => name), ["node-1", "node-2"]);
});

Deno.test("dashboards have ids of their own", () => {
  const all = [...dashboards("sqlite"), ...dashboards("prometheus")].map(([, { uid }]) => uid);
  assert.equal(all.length, 6);
  assert.equal(new Set(all).size, all.length);
});
