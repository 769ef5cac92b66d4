/** Each query of docs/recipes.md answers its question, in both databases, on a made-up week. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MemoryJournal } from "../../lib/journal.ts";
import { sqlite } from "../../lib/outputs/sqlite.ts";
import { Batch, CLIENT_ATTRIBUTE, type Series, seriesOf } from "../../lib/points/measurement.ts";
import { contextWith } from "../kit/context.ts";
import { metricOf } from "../kit/decode.ts";
import { ROOT } from "../kit/documents.ts";
import type { Database } from "../kit/postgres.ts";
import { onPostgres, Writing } from "../kit/postgres_output.ts";
import { TempDir } from "../kit/temp_dir.ts";

const PAGE = Deno.readTextFileSync(new URL("docs/recipes.md", ROOT));
/** What the queries take for now. */
const NOW = Date.UTC(2026, 10, 20, 12, 0, 30) / 1000;
const DAY = 86400;
const GIB = 2 ** 30;
const CGROUPS = [
  "/",
  "/system.slice",
  "/system.slice/a.service",
  "/system.slice/b.service",
  "/system.slice/b.service/inner",
];

interface MadePoint {
  readonly host: string;
  readonly metric: string;
  /** Seconds since 1970. */
  readonly time: number;
  readonly value: number;
  readonly domain?: string;
  readonly pid?: string;
  readonly cgroup?: string;
  readonly kind?: string;
}

/** A week of three hosts, the third of which fell silent an hour and a half ago. */
const week: readonly MadePoint[] = [...madeUp()];

function* madeUp(): Generator<MadePoint> {
  for (const [n, host] of ["node-1", "node-2", "node-3"].entries()) {
    const end = host === "node-3" ? NOW - 5400 : NOW;
    // Every ten minutes, and every twenty seconds in the last two hours.
    for (let time = NOW - 7 * DAY; time <= end; time += time < NOW - 7200 ? 600 : 20) {
      const wave = Math.round(100 * Math.sin(time / 5000 + n));
      for (const [i, domain] of ["package", "package", "dram"].entries()) {
        yield {
          host,
          metric: "rapl_consumed_energy",
          time: time + i / 10,
          domain,
          value: 500 + wave + i + n,
        };
      }
      yield { host, metric: "mem_free", time, value: GIB * (4 + n) + wave };
      yield { host, metric: "mem_available", time, value: GIB * (8 + n) - wave };
      for (const pid of [100, 200 + n, 300]) {
        for (const [i, kind] of ["user", "system", "guest"].entries()) {
          const value = pid * 1_000_000 + wave + i;
          yield { host, metric: "cpu_time_delta", time, pid: String(pid), kind, value };
        }
      }
      for (const [i, cgroup] of CGROUPS.entries()) {
        for (const kind of ["total", "user"]) {
          const value = (i + 1) * 1_000_000 + wave;
          yield { host, metric: "cpu_time_delta", time, cgroup, kind, value };
        }
      }
    }
  }
}

function batches(): Batch[] {
  const metrics = new Map(
    ["rapl_consumed_energy", "mem_free", "mem_available", "cpu_time_delta"].map((name) =>
      [name, metricOf(name, name.startsWith("rapl") ? "f64" : "u64", { base: "1", prefix: "" })] as const
    ),
  );
  const series = new Map<string, Series>();
  const batch = new Batch();
  for (const { host, metric, time, value, domain, pid, cgroup, kind } of week) {
    const key = [host, metric, domain, pid, cgroup, kind].join();
    if (!series.has(key)) {
      const attributes: [string, string][] = [[CLIENT_ATTRIBUTE, host]];
      if (domain) attributes.push(["domain", domain]);
      if (kind) attributes.push(["kind", kind]);
      const consumerId = pid ?? cgroup;
      const consumer = consumerId ? { consumerKind: pid ? "process" : "cgroup", consumerId } : {};
      series.set(key, seriesOf(metrics.get(metric)!, { ...consumer, attributes }));
    }
    const seconds = Math.floor(time);
    batch.push(series.get(key)!, seconds, Math.round((time - seconds) * 1e9), value);
  }
  return [batch];
}

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
const mean = (numbers: readonly number[]) => sum(numbers) / numbers.length;
const iso = (time: number) => new Date(time * 1000).toISOString();
const minuteOf = ({ time }: MadePoint) => iso(time).slice(0, 16).replace("T", " ");
const dayOf = ({ time }: MadePoint) => iso(time).slice(0, 10);
const lastHour = ({ time }: MadePoint) => time >= NOW - 3600;
const energy = ({ metric, domain }: MadePoint, only = "package") =>
  metric === "rapl_consumed_energy" && domain === only;

type Row = readonly (string | number)[];

/** A row for each group: its key, and what is made of its points. */
function grouped(
  points: readonly MadePoint[],
  key: (point: MadePoint) => string,
  columns: (points: readonly MadePoint[]) => (string | number)[],
): Row[] {
  const groups = Map.groupBy(points, key);
  return [...groups].sort(([a], [b]) => a < b ? -1 : 1).map(([key, points]) => [
    ...key.split("|"),
    ...columns(points),
  ]);
}
const values = (points: readonly MadePoint[]) => points.map(({ value }) => value);
const descending = (rows: Row[]) => rows.sort((a, b) => Number(b[1]) - Number(a[1]));

/** The answers, by the headings of the page. */
const ANSWERS: Readonly<Record<string, () => Row[]>> = {
  "Power of a host, minute by minute": () =>
    grouped(
      week.filter((point) => energy(point) && point.host === "node-1" && lastHour(point)),
      minuteOf,
      (points) => [sum(values(points)) / 60],
    ),
  "Energy of each host, day by day": () =>
    grouped(
      week.filter((point) => energy(point) && dayOf(point) > iso(NOW - 7 * DAY).slice(0, 10)),
      (point) => `${dayOf(point)}|${point.host}`,
      (points) => [sum(values(points)) / 3.6e6],
    ),
  "Energy by an attribute": () =>
    descending(grouped(
      week.filter((point) => point.domain !== undefined && point.time >= NOW - DAY),
      ({ domain }) => domain!,
      (points) => [sum(values(points))],
    )),
  "Energy by an attribute, of all time": () =>
    descending(grouped(
      week.filter(({ domain }) => domain !== undefined),
      ({ domain }) => domain!,
      (points) => [sum(values(points))],
    )),
  "The processes that used most CPU time": () =>
    descending(grouped(
      week.filter((point) =>
        point.pid && point.kind !== "guest" && point.host === "node-1" && lastHour(point)
      ),
      ({ pid }) => pid!,
      (points) => [sum(values(points)) / 1e9],
    )),
  "CPU time of services and containers": () =>
    descending(grouped(
      week.filter((point) =>
        point.kind === "total" && lastHour(point) && point.cgroup?.endsWith(".service") === true
      ),
      ({ cgroup }) => cgroup!,
      (points) => [sum(values(points)) / 1e9],
    )),
  "Who is silent": () => [[
    "node-3",
    iso(Math.max(...week.filter(({ host }) => host === "node-3").map(({ time }) => Math.floor(time))))
      .slice(0, 19).replace("T", " "),
  ]],
  "Two metrics side by side": () =>
    grouped(
      week.filter((point) => point.metric.startsWith("mem_") && point.host === "node-1" && lastHour(point)),
      minuteOf,
      (points) =>
        ["mem_free", "mem_available"].map((name) =>
          mean(values(points.filter(({ metric }) => metric === name))) / GIB
        ),
    ),
  "Means by minute, for all hosts": () =>
    grouped(
      week.filter((point) => point.metric === "mem_free" && lastHour(point)),
      (point) => `${minuteOf(point)}|${point.host}`,
      (points) => [Math.min(...values(points)), mean(values(points)), Math.max(...values(points))],
    ),
};

interface Recipe {
  readonly heading: string;
  readonly database: "SQLite" | "PostgreSQL";
  readonly sql: string;
}

const recipes: readonly Recipe[] = PAGE.split(/^## /m).slice(1).flatMap((section) =>
  [...section.matchAll(/^```sql\n-- (SQLite|PostgreSQL)\n(.*?)^```/gms)].map(([, database, sql]) => ({
    heading: section.split("\n")[0],
    database: database as Recipe["database"],
    sql,
  }))
);

/** The same rows, whatever the last digit of a mean is and however a database writes times. */
function assertRows(found: readonly Row[], expected: readonly Row[], name: string): void {
  const plain = (cell: string | number) => {
    if (typeof cell === "string" && !/^-?\d+(\.\d+)?(e[-+]?\d+)?$/i.test(cell)) {
      return cell.replace("T", " ").replace(/(:00)?(\.\d+)?(\+00|Z)$/, "");
    }
    return Number(Number(cell).toPrecision(10));
  };
  const rows = (list: readonly Row[]) => list.map((row) => row.map(plain));
  assert.ok(expected.length > 0, name);
  assert.deepEqual(rows(found), rows(expected), name);
}

function check(database: Recipe["database"], run: (sql: string) => Promise<Row[]>): Promise<void> {
  return recipes.filter((recipe) => recipe.database === database).reduce(async (before, { heading, sql }) => {
    await before;
    assertRows(await run(sql), ANSWERS[heading](), `${database}: ${heading}`);
  }, Promise.resolve());
}

Deno.test("each recipe has a query for both databases, and an answer", () => {
  for (const database of ["SQLite", "PostgreSQL"]) {
    const headings = recipes.filter((recipe) => recipe.database === database).map(({ heading }) => heading);
    assert.deepEqual(headings, Object.keys(ANSWERS), database);
  }
});

Deno.test("the recipes for SQLite give the answers", async () => {
  await using dir = new TempDir();
  const path = dir.file("week.sqlite");
  const journal = new MemoryJournal({ limitBytes: 1e9 });
  {
    const context = contextWith({ clients: journal.clients });
    await using output = await sqlite.open({ ...sqlite.config.defaultValue(), path }, context);
    for (const batch of batches()) await journal.append(batch);
    journal.end();
    await output.run(journal.reader(), new AbortController().signal);
  }
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    await check("SQLite", (sql) => {
      const at = sql.replaceAll("'now'", `'${iso(NOW)}'`);
      return Promise.resolve(
        db.prepare(at).all().map((row) => Object.values(row) as Row),
      );
    });
  } finally {
    db.close();
  }
});

onPostgres("the recipes for PostgreSQL give the answers", async (server: Database) => {
  await using writing = new Writing(server);
  await writing.write(...batches());
  await check("PostgreSQL", async (sql) => {
    const at = sql.replaceAll("now()", `timestamptz '${iso(NOW)}'`);
    const rows = await server.sql(`SET TIME ZONE 'UTC'; ${at}`);
    return rows.map((row) => row.split("\t"));
  });
});
