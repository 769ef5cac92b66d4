/** Alert rules and dashboards of packaging/: whether they suit what the relay exports and stores. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { LogRing } from "../../lib/base/log_ring.ts";
import { type LineFormat, LineRenderer, Lines } from "../../lib/outputs/influxdb/lines.ts";
import { config as exporterConfig } from "../../lib/outputs/prometheus/config.ts";
import { exposedName } from "../../lib/outputs/prometheus/naming.ts";
import { type Series, seriesOf } from "../../lib/points/measurement.ts";
import { seriesStore } from "../../lib/points/series_store.ts";
import type { InputPlugin } from "../../lib/plugin.ts";
import { table } from "../../lib/schema.ts";
import { familiesOf } from "../../lib/seeing/families.ts";
import { View } from "../../lib/seeing/view.ts";
import { metricOf } from "../kit/decode.ts";
import { influxd, InfluxDb } from "../kit/influx.ts";
import { needs } from "../kit/needs.ts";
import { batchOf } from "../kit/points.ts";
import { onPostgres, openSumming, sumAll, Writing } from "../kit/postgres_output.ts";
import { promtool } from "../kit/prometheus.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { Database, DAY_MS } from "../outputs/sqlite/database.ts";
import { Site } from "./site.ts";

const PACKAGING = new URL("../../packaging/", import.meta.url);
const ALERTS = new URL("prometheus/alerts.yml", PACKAGING);
const CASES = new URL("alerts_cases.yml", import.meta.url);

interface Target {
  readonly datasource: { readonly type: string };
  /** For Prometheus, SQLite, PostgreSQL and InfluxDB. */
  readonly expr?: string;
  readonly queryText?: string;
  readonly rawSql?: string;
  readonly query?: string;
}

interface Dashboard {
  readonly uid: string;
  readonly templating: {
    readonly list: { readonly name: string; readonly type: string; readonly query: string }[];
  };
  readonly panels: { readonly title: string; readonly targets: Target[] }[];
}

const KINDS = ["sqlite", "postgresql", "influxdb", "prometheus"] as const;
type Kind = typeof KINDS[number];

/** The dashboards for a kind of database, by the names of their files. */
function dashboards(kind: Kind): [string, Dashboard][] {
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
      targets.map(({ expr, queryText, rawSql, query }) => ({
        place: title,
        text: (expr ?? queryText ?? rawSql ?? query)!,
      }))
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

/** It asks for points that the output `prometheus-exporter` shows. */
const JOBS = "prometheus-jobs.json";

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
  const asked = dashboards("prometheus").filter(([name]) => name !== JOBS).map(([name, dashboard]) =>
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
  const values = { instance: ".+", client: "node-1", job: "42", __rate_interval: "5m" };
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

/** 120 seconds of a host: a package of 100 W, its memory of 10 W, a GPU of 50 W, and a job that uses 30 W of that. */
function measured(host: string, startSeconds: number): [Series, number, number][] {
  const of = (rest: Parameters<typeof seriesOf>[1], ...attributes: [string, string][]) => ({
    ...rest,
    attributes: [...attributes, ["relay_client", host] as [string, string]],
  });
  const job = of({ consumerKind: "job", consumerId: "42" });
  const cgroup = (...more: [string, string][]) =>
    of({ consumerKind: "cgroup", consumerId: `/job_42/${more.length}` }, ["job_id", "42"], ...more);
  const gpu = of({ resourceKind: "gpu", resourceId: "0000:01:00.0" });
  return Array.from({ length: 120 }, (_, i) => startSeconds + i).flatMap((second) =>
    [
      [seriesOf(ENERGY, of({}, ["domain", "package_total"])), 100, second],
      [seriesOf(ENERGY, of({}, ["domain", "dram_total"])), 10, second],
      [seriesOf(GPU_ENERGY, gpu), 50_000, second],
      [seriesOf(JOB_ENERGY, job), 30, second],
      [seriesOf(CPU, cgroup(["kind", "total"])), 25, second],
      // A part of what the job uses, which is not to be added.
      [seriesOf(CPU, cgroup(["kind", "total"], ["step", "0"])), 20, second],
      [seriesOf(MEMORY, cgroup()), 4096, second],
    ] as [Series, number, number][]
  );
}

const ENERGY = metricOf("rapl_consumed_energy", "f64", { base: "J", prefix: "" });
const GPU_ENERGY = metricOf("nvml_energy_consumption", "f64", { base: "J", prefix: "milli" });
const JOB_ENERGY = metricOf("job_energy", "f64", { base: "J", prefix: "" });
const CPU = metricOf("cpu_percent", "f64", { base: "%", prefix: "" });
const MEMORY = metricOf("memory_usage", "f64", { base: "By", prefix: "" });

/** Days have ended by the minute before midnight with which these points begin: a query must find both days. */
const START_MS = Math.ceil(1_700_000_000_000 / DAY_MS) * DAY_MS - 60_000;
const START = START_MS / 1000;
const END_MS = START_MS + 120_000;

/** What two hosts have measured. */
const points = () => batchOf(["node-1", "node-2"].flatMap((host) => measured(host, START)));

/** What Grafana puts in the place of its variables. */
const VALUES = {
  __from: String(START_MS),
  __to: String(END_MS),
  __interval: "1m",
  __interval_ms: "60000",
  timeFilter: `time >= ${START_MS}ms and time <= ${END_MS}ms`,
  host: "node-1",
  metric: "rapl_consumed_energy",
  job: "42",
};

type Rows = Record<string, unknown>[];

/** Asks every query of the dashboards for a kind of database. @returns the rows, by dashboard and panel. */
async function askAll(kind: Kind, ask: (query: string) => Rows | Promise<Rows>): Promise<Map<string, Rows>> {
  const found = new Map<string, Rows>();
  const all = dashboards(kind);
  assert.deepEqual(
    all.map(([file]) => file),
    ["host", "jobs", "overview", "relay"].map((what) => `${kind}-${what}.json`),
  );
  for (const [file, dashboard] of all) {
    for (const { place, text } of queriesOf(dashboard)) {
      const rows = await ask(fill(expandMacros(text), VALUES));
      assert.ok(rows.length > 0, `${file}, ${place}: no rows\n${text}`);
      assert.ok(Object.values(rows[0]).some((value) => value !== null), `${file}, ${place}: only NULL`);
      found.set(`${file.slice(kind.length + 1, -5)}: ${place}`, rows);
    }
  }
  return found;
}

const HOSTS = ["node-1", "node-2"];
const MINUTES = [START, START + 60];
const perHost = (power: number) => MINUTES.flatMap((time) => HOSTS.map((host) => ({ time, host, power })));

/** Of a database with tables. */
function assertValues(found: Map<string, Rows>): void {
  assert.deepEqual(found.get("overview: Power of all hosts (RAPL: packages and memory)"), [
    { time: START, power: 220 },
    { time: START + 60, power: 220 },
  ]);
  assert.deepEqual(found.get("overview: Power of GPUs by host"), perHost(50));
  assert.equal(found.get("host: $metric, each point")!.length, 240);
  assert.deepEqual(found.get("host: $host")!.map(({ name }) => name), HOSTS);
  assert.deepEqual(found.get("jobs: Power of $job by host"), perHost(30));
  assert.deepEqual(found.get("jobs: CPU of jobs"), MINUTES.map((time) => ({ time, job: "42", cpu: 50 })));
  assert.deepEqual(found.get("jobs: Jobs that used the most energy"), [{
    job: "42",
    energy: 7200,
    hosts: 2,
  }]);
}

Deno.test("each query of the SQLite dashboards finds rows, and powers are in watts", async () => {
  await using dir = new TempDir();
  const path = dir.file("m.sqlite");
  {
    const rollups = { rollups: [{ every: 60, keepMs: 90 * DAY_MS }], storeSeries: 100, moveSeries: 100 };
    using database = new Database(path, Infinity, seriesStore, undefined, rollups);
    database.write([points()], START_MS);
    database.tidy(START_MS + 10 * 60_000);
  }
  using db = new DatabaseSync(path, { readOnly: true });
  const found = await askAll("sqlite", (query) => db.prepare(query).all().map((row) => ({ ...row })));
  assertValues(found);
  assert.deepEqual(
    found.get("jobs: Power by job"),
    MINUTES.map((time) => ({ time, job: "42", power: 60 })),
  );
});

/** What Grafana makes of its macros for PostgreSQL. */
function expandMacros(text: string): string {
  const time = (ms: number) => `'${new Date(ms).toISOString()}'`;
  return text
    .replaceAll("$__timeFilter(time)", `time BETWEEN ${time(START_MS)} AND ${time(END_MS)}`)
    .replaceAll("$__timeGroup(time, $__interval)", "floor(extract(epoch from time)/60)*60");
}

onPostgres("each query of the PostgreSQL dashboards finds rows, and powers are in watts", async (server) => {
  await using summing = await openSumming(server);
  await using writing = new Writing(server);
  await writing.write(points());
  await sumAll(summing);
  const found = await askAll("postgresql", async (query) => {
    const rows = await server.sql(`SELECT row_to_json(r) FROM (${query}) r`);
    return rows.map((row) => JSON.parse(row));
  });
  assertValues(found);
  const means = found.get("host: $metric, mean")!.map((
    { series, value },
  ) => [/package/.test(String(series)), value]);
  assert.deepEqual(new Set(means.map(String)), new Set(["true,100", "false,10"]));
  // Whatever range is shown, only the panel with each point reads points.
  const raw = dashboards("postgresql").flatMap(([, { panels }]) =>
    panels.filter(({ targets }) => targets.some(({ rawSql }) => /measurements\b(?!_)/.test(rawSql ?? "")))
  );
  assert.deepEqual(raw.map(({ title }) => title), ["$metric, each point"]);
});

Deno.test({
  name: "each query of the InfluxDB dashboards finds rows, and powers are in watts",
  ...needs(influxd),
  async fn() {
    await using database = await InfluxDb.start();
    await database.ask("CREATE DATABASE d");
    const lines = new Lines(10_000, 10_000_000);
    const format: LineFormat = {
      attributesAs: "tag",
      asTags: new Set(),
      asFields: new Set(),
      unsigned: false,
    };
    new LineRenderer(format, (_batch, _row, reason) => assert.fail(reason)).render(points(), 0, lines);
    await database.write("d", new TextDecoder().decode(lines.bytes));
    const found = await askAll("influxdb", async (query) => {
      const { results } = JSON.parse(await database.ask(query, { db: "d", epoch: "s" }));
      type Series = { name: string; tags?: Record<string, string>; columns: string[]; values: unknown[][] };
      return (results[0].series as Series[] ?? []).flatMap(({ tags, columns, values }) =>
        values.map((row) => ({ ...Object.fromEntries(row.map((value, i) => [columns[i], value])), ...tags }))
      );
    });
    const sorted = (key: string) => found.get(key)!.sort((a, b) => Number(a.time) - Number(b.time));
    assert.deepEqual(sorted("overview: Power of all hosts (RAPL: packages and memory)"), [
      { time: START, power: 220 },
      { time: START + 60, power: 220 },
    ]);
    const hosts = (power: number) =>
      MINUTES.flatMap((time) => HOSTS.map((relay_client) => ({ time, relay_client, power })));
    assert.deepEqual(sorted("overview: Power of GPUs by host"), hosts(50));
    assert.equal(found.get("host: $metric, each point")!.length, 240);
    // Each measurement has them; Grafana shows each once.
    assert.deepEqual([...new Set(found.get("host: $host")!.map(({ value }) => value))], HOSTS);
    assert.deepEqual(sorted("jobs: Power of $job by host"), hosts(30));
    assert.deepEqual(
      sorted("jobs: CPU of jobs, by host"),
      MINUTES.flatMap((time) => HOSTS.map((relay_client) => ({ time, job_id: "42", relay_client, cpu: 25 }))),
    );
    assert.deepEqual(found.get("jobs: Energy by job"), [{
      time: START,
      resource_consumer_id: "42",
      energy: 7200,
    }]);
  },
});

Deno.test("the dashboard of jobs for Prometheus names metrics as the output prometheus-exporter does", () => {
  const shown = [JOB_ENERGY, CPU, MEMORY].map((metric) => exposedName(metric, exporterConfig.defaultValue()));
  const [, dashboard] = dashboards("prometheus").find(([name]) => name === JOBS)!;
  for (const { place, text } of queriesOf(dashboard)) {
    const names = text.match(/\b\w+_alumet_\w+/g) ?? [];
    assert.equal(names.length, 1, place);
    assert.ok(shown.includes(names[0]), `${place}: ${names[0]}`);
  }
});

Deno.test("dashboards have ids of their own", () => {
  const all = KINDS.flatMap((kind) => dashboards(kind)).map(([, { uid }]) => uid);
  assert.equal(all.length, 16);
  assert.equal(new Set(all).size, all.length);
});
