/** What commands print, without running them. */
import assert from "node:assert/strict";
import { age, bytes, count, cut, fit, short, watts } from "../../lib/cli/agents/text.ts";
import { type Layout, type Sort, sorted, topScreen } from "../../lib/cli/agents/top_screen.ts";
import { CountMeter } from "../../lib/cli/exec/counts.ts";
import { EnergyMeter } from "../../lib/cli/exec/energy.ts";
import { type MeasuredRun, reportOf, tableOf } from "../../lib/cli/exec/report.ts";
import { fileFormat } from "../../lib/cli/export/formats.ts";
import type { ExportedSeries } from "../../lib/cli/export/points.ts";
import { TextSink } from "../../lib/cli/export/text.ts";
import { render, type Row } from "../../lib/cli/rows.ts";
import { Batch, type Metric, type SeriesDefinition, seriesOf } from "../../lib/points/measurement.ts";
import type { Status } from "../../lib/seeing/api.ts";
import type { HostRow } from "../../lib/seeing/live/hosts.ts";
import { measuredRun } from "../kit/measured_run.ts";

Deno.test("a number changes its unit where it has another digit before the point", () => {
  const cases = <T>(write: (value: T) => string, ...pairs: [T, string][]) => {
    for (const [value, text] of pairs) assert.equal(write(value), text, `${write.name} ${value}`);
  };
  cases(count, [0, "0"], [999, "999"], [1000, "1,000"], [1_234_567.5, "1,234,568"]);
  cases(
    short,
    ...[[0.25, "0.3"], [-9.96, "-10.0"], [10.4, "10"], [10, "10"], [10.6, "11"], [999, "999"]] as [
      number,
      string,
    ][],
    ...[[1000, "1.0k"], [9999, "10.0k"], [10_000, "10k"], [-2500, "-2.5k"]] as [number, string][],
    ...[[1e6, "1.0M"], [1e9, "1.0G"], [12e9, "12G"]] as [number, string][],
  );
  cases(watts, [null, ""], [0, "0.0 W"], [1000, "1.00 kW"], [-1500, "-1.50 kW"], [1e6, "1.00 MW"]);
  cases(
    bytes,
    ...[[1023, "1023 bytes"], [1024, "1.0 KiB"], [2 ** 20 - 1, "1024.0 KiB"]] as [number, string][],
    ...[[2 ** 20, "1.0 MiB"], [2 ** 30 - 1, "1024.0 MiB"], [2 ** 30, "1.0 GiB"], [2 ** 40, "1024.0 GiB"]] as [
      number,
      string,
    ][],
  );
  cases(
    age,
    ...[[-5, "0s"], [0, "0s"], [99.4, "99s"], [99.9, "100s"], [100, "2m"], [5999, "100m"]] as [
      number,
      string,
    ][],
    ...[[6000, "2h"], [172_799, "48h"], [172_800, "2d"], [864_000, "10d"]] as [number, string][],
  );
});

Deno.test("a text that is too long ends with an ellipsis, and one that is too short is filled on one side", () => {
  assert.deepEqual(["abc", "abcd", "äöüß€"].map((text) => cut(text, 3)), ["abc", "ab…", "äö…"]);
  assert.deepEqual([cut("abc", 1), cut("abc", 0), cut("", 0)], ["…", "…", ""]);
  assert.deepEqual([fit("a", 3), fit("a", 3, true), fit("abcd", 3), fit("abcd", 3, true)], [
    "a  ",
    "  a",
    "ab…",
    "ab…",
  ]);
});

const host = (name: string, more: Partial<HostRow> = {}): HostRow => ({
  ...{ name, isLocal: false, state: "live", connected: true, last_contact: 1000, silent_seconds: 1 },
  ...{
    points: 10,
    points_per_second: 1,
    pending_points: 0,
    watts: null,
    version: "v",
    address: "192.0.2.1:1234",
  },
  ...more,
});

const statusOf = (more: Partial<Status> = {}) =>
  ({
    host: "server",
    role: "server",
    started: 0,
    now: 7200,
    ready: true,
    problems: [],
    outputs: [],
    ...more,
  }) as Status;

const outputOf = (name: string): Status["outputs"][number] => ({
  ...{ name, pending_points: 0, lag_seconds: 0, target_away: false },
  ...{ dropped_points: 0, dead_letters: 0, counters: {} },
});

const PLAIN: Layout = { columns: 40, sort: "name", filter: "", from: 0, color: false };

Deno.test("each order of hosts puts first what it is about, and what is not known last", () => {
  const hosts = [
    host("h", { state: "silent", silent_seconds: null, watts: -2 }),
    host("f", { state: "silent", silent_seconds: 0.1, watts: -3 }),
    host("c", { watts: -0.5, silent_seconds: 7, pending_points: 3 }),
    host("g", { watts: null, silent_seconds: null }),
    host("b", { watts: null, silent_seconds: null, points_per_second: 5 }),
    host("e", { state: "silent", silent_seconds: null, watts: 5 }),
    host("a", { watts: 0, silent_seconds: 0 }),
    host("d", { state: "silent", silent_seconds: 0.5, points_per_second: 2, pending_points: 1 }),
  ];
  const order = (sort: Sort) => sorted(hosts, { sort, filter: "" }).map(({ name }) => name).join("");
  assert.deepEqual(
    (["state", "name", "power", "rate", "contact", "waiting"] as const).map((sort) => [sort, order(sort)]),
    [
      ["state", "ehfdabcg"],
      ["name", "abcdefgh"],
      ["power", "eacbdghf"],
      ["rate", "bdacefgh"],
      ["contact", "cdfabegh"],
      ["waiting", "cdabefgh"],
    ],
  );
});

Deno.test("wider terminals show more of each host, in columns that are aligned to the right", () => {
  const hosts = [
    host("node-1", {
      watts: 1234,
      points_per_second: 10.5,
      silent_seconds: 3,
      pending_points: 1,
      points: 98_765,
    }),
    host("node-2", { silent_seconds: null, version: null, address: null }),
  ];
  assert.match(topScreen(statusOf(), [host("x".repeat(30))], PLAIN).at(-1)!, /^● x{18}… {18}1$/);
  const linesAt = (columns: number) => topScreen(statusOf(), hosts, { ...PLAIN, columns }).slice(-3);
  assert.deepEqual(linesAt(40), linesAt(20));
  assert.deepEqual(linesAt(40), [
    "  host                     power  rate/s",
    "● node-1                 1.23 kW      11",
    "● node-2                               1",
  ]);
  assert.deepEqual(linesAt(72), [
    "  host                             power  rate/s  last  waiting   points",
    "● node-1                         1.23 kW      11    3s        1      99k",
    "● node-2                                       1                      10",
  ]);
  const titles = (columns: number) => linesAt(columns)[0].trim().split(/ +/).slice(1);
  const all = ["power", "rate/s", "last", "waiting", "points", "version", "address"];
  for (const [from, shown] of [[40, 2], [48, 3], [60, 4], [72, 5], [90, 6], [120, 7]]) {
    assert.deepEqual(titles(from), all.slice(0, shown));
    assert.deepEqual(titles(from - 1), all.slice(0, Math.max(2, shown - 1)));
    for (const line of linesAt(from)) assert.equal(line.length, from);
  }
  const ends = [...linesAt(120)[0].matchAll(/\S+/g)].map(({ index, 0: { length } }) => index + length);
  assert.deepEqual(ends, [6, 48, 56, 62, 71, 80, 95, 120]);
});

Deno.test("the head of top adds up what is known, and says what is wrong with the process and its outputs", () => {
  const hosts = [
    host("a", { watts: 2 }),
    host("b", { points_per_second: 2.5 }),
    host("c", { state: "silent" }),
  ];
  const output = outputOf("csv");
  const outputs = [output, {
    ...output,
    name: "x",
    pending_points: 1,
    lag_seconds: 5,
    dead_letters: 1,
  }];
  assert.deepEqual(topScreen(statusOf({ outputs }), hosts, PLAIN).slice(0, 5), [
    "server server, up 2h",
    "3 hosts, 1 silent, 2.0 W, 4.5 points/s",
    "→ csv: up to date",
    "→ x: 1 wait, 5s, 1 dead letters",
    "",
  ]);
  const starting = statusOf({ role: null, started: null, ready: false, problems: ["a", "b"] });
  assert.equal(topScreen(starting, [], PLAIN)[0], "server starting, up 0s, NOT READY: a, b");
});

Deno.test("a low terminal shows a line of the head and hosts, and any terminal as many hosts as fit from where it is scrolled to", () => {
  const hosts = Array.from({ length: 30 }, (_, i) => host(`n${i}`, { state: i === 1 ? "silent" : "live" }));
  const outputs = Array.from({ length: 5 }, () => outputOf("o"));
  const screen = (rows: number | undefined, from = 0) =>
    topScreen(statusOf({ outputs }), hosts, { ...PLAIN, ...rows && { rows }, from });
  const shape = (lines: string[]) => {
    const title = lines.findIndex((line) => line.startsWith("  host"));
    return [title, lines.length - title - 1];
  };
  assert.deepEqual([10, 9, 5, 4, 3, 1].map((rows) => shape(screen(rows))), [[8, 1], [6, 2], [2, 2], [1, 2], [
    1,
    1,
  ], [1, 1]]);
  assert.deepEqual(shape(screen(undefined)), [8, 30]);
  assert.deepEqual(shape(screen(40, 28)), [8, 2]);
  assert.match(screen(5, 7).at(-2)!, /^● n7 /);
  const painted = topScreen(statusOf(), hosts.slice(0, 2), { ...PLAIN, color: true }).slice(-3);
  const plain = topScreen(statusOf(), hosts.slice(0, 2), PLAIN).slice(-3);
  assert.deepEqual(painted, [`\x1b[7m${plain[0]}\x1b[0m`, plain[1], `\x1b[31m${plain[2]}\x1b[0m`]);
  assert.match(plain[2], /^✗ n1 /);
});

const shown = (columns: string[], rows: Row[], format: "table" | "csv" | "json") =>
  [...render(columns, rows, { format, terminal: false })].join("");

Deno.test("infinities have their signs in every format, and columns of one name are told apart in JSON", () => {
  assert.equal(shown(["a", "b"], [[Infinity, -Infinity]], "csv"), "a,b\ninf,-inf\n");
  assert.equal(shown(["a", "a", "a"], [[1, 2, 3]], "json"), '[\n{"a":1,"a:1":2,"a:2":3}\n]\n');
  assert.equal(shown(["a", "b"], [[Infinity, -Infinity]], "json"), '[\n{"a":9e999,"b":-9e999}\n]\n');
});

Deno.test("the first 200 rows set the width of a table, and a cell has at most 120 characters", () => {
  const rows: Row[] = Array.from({ length: 203 }, (_, i) => [i === 199 ? "abc" : i === 200 ? "abcde" : ""]);
  assert.equal(shown(["x"], rows, "table").split("\n")[1], "---");
  const wide = shown(["x"], [["y".repeat(120)], [`${"z".repeat(120)}!`]], "table").split("\n");
  assert.deepEqual(wide.slice(1, 4), ["-".repeat(120), "y".repeat(120), `${"z".repeat(119)}…`]);
});

const metric = (name: string, base: string, type: "f64" | "u64" = "f64", prefix = ""): Metric => ({
  ...{ name, type, unit: { base, prefix }, description: "" },
});

/** A batch of points at these seconds. */
function batchOf(series: ReturnType<typeof seriesOf>, ...points: [seconds: number, value: number][]): Batch {
  const batch = new Batch(points.length);
  for (const [seconds, value] of points) batch.push(series, Math.floor(seconds), seconds % 1 * 1e9, value);
  return batch;
}

Deno.test("energies are added up, and powers are weighed by the time between their points", () => {
  const energyOf = (definition: Metric, points: [number, number][], more: Partial<SeriesDefinition> = {}) => {
    const meter = new EnergyMeter();
    const series = seriesOf(definition, more);
    for (const point of points) meter.take(batchOf(series, point));
    return meter.of("in", [{ what: "it", series }] as never).map(({ joules }) => joules);
  };
  const milli = metric("e", "J", "f64", "milli");
  assert.deepEqual(energyOf(milli, [[1, 500], [2, 1500]]), [2]);
  assert.deepEqual(energyOf(milli, [[1, 500]]), [0.5]);
  const power = metric("p", "W", "f64", "kilo");
  assert.deepEqual(energyOf(power, [[10, 1], [12.5, 3]]), [5000]);
  // Points that come late take nothing away.
  assert.deepEqual(energyOf(power, [[10, 1], [12, 1], [11, 1]]), [2000]);
  assert.deepEqual(energyOf(power, [[10, 1], [10, 3]]), [0]);
  // One point of a power says nothing, nor does what is neither.
  assert.deepEqual(energyOf(power, [[10, 1]]), []);
  assert.deepEqual(energyOf(metric("t", "Cel"), [[1, 1], [2, 1]]), []);
  const battery = (status: string) =>
    energyOf(power, [[1, 1], [2, 1]], { attributes: [["x", 1], ["status", status]] as never });
  assert.deepEqual([battery("Discharging"), battery("Charging")], [[1000], []]);
});

Deno.test("energy is that of the series that were found, each by itself", () => {
  const meter = new EnergyMeter();
  const [a, b, c] = ["a", "b", "c"].map((name) => seriesOf(metric(name, "J")));
  const batch = new Batch(4);
  for (const [series, value] of [[a, 1], [b, 10], [a, 100], [b, 1000]] as const) {
    batch.push(series, 1, 0, value);
  }
  // What is behind the last point of a batch is from before.
  batch.length = 3;
  meter.take(batch);
  const findings = [{ what: "A", series: a }, { what: "none" }, { what: "B", series: b }, {
    what: "C",
    series: c,
  }];
  assert.deepEqual(meter.of("in", findings as never), [
    { input: "in", what: "A", joules: 101 },
    { input: "in", what: "B", joules: 10 },
  ]);
});

Deno.test("counts are numbers of processes without a unit, added up by metric", () => {
  const meter = new CountMeter();
  const process = { consumerKind: "process", consumerId: "1" };
  const take = (definition: Metric, value: number, more: Partial<SeriesDefinition>) => {
    const batch = new Batch(1);
    if (definition.type === "u64") batch.pushU64(seriesOf(definition, more), 1, 0, BigInt(value));
    else batch.push(seriesOf(definition, more), 1, 0, value);
    meter.take(batch);
  };
  const instructions = metric("instructions", "1", "u64");
  take(instructions, 5, process);
  take(instructions, 7, { ...process, consumerId: "2" });
  take(metric("misses", "1", "u64"), 1, process);
  take(instructions, 1000, {});
  take(instructions, 1000, { ...process, resourceKind: "cpu", resourceId: "0" });
  take(metric("ratio", "1"), 1000, process);
  take(metric("memory", "By", "u64"), 1000, process);
  assert.deepEqual(meter.counts, [{ what: "instructions", count: 12 }, { what: "misses", count: 1 }]);
});

Deno.test("a report has what each run has counted or measured, by its own name", () => {
  const counted = [{ what: "a", count: 1 }, { what: "b", count: 20 }];
  const { counts } = reportOf(
    ["x"],
    [measuredRun({ counts: counted }), measuredRun({ counts: [{ what: "b", count: 40 }] })],
    null,
  );
  assert.deepEqual(counts.map(({ what, count }) => [what, count.mean]), [["b", 30]]);
  const energy = [
    { input: "rapl", what: "cpu", joules: 1 },
    { input: "rapl", what: "ram", joules: 10 },
    { input: "nvml", what: "cpu", joules: 100 },
  ];
  const report = reportOf(["x"], [measuredRun({ energy })], null);
  assert.deepEqual(report.energy.map(({ joules }) => joules.mean), [1, 10, 100]);
  assert.deepEqual(reportOf(["x"], [measuredRun(), measuredRun({ counts: counted })], null).counts, []);
  const idle = reportOf(["x"], [measuredRun({ cpuSeconds: 0.25, machineCpuSeconds: 0.5 })], null);
  assert.equal(idle.cpu_share!.mean, 0.5);
});

Deno.test("the table of a report has four digits of each number, and says where no energy is measured", () => {
  const lineOf = (more: Partial<MeasuredRun>, start: string) =>
    tableOf(reportOf(["x"], [measuredRun(more)], null)).split("\n").find((line) => line.startsWith(start))
      ?.slice(
        start.length,
      ).trim();
  const durations: [number, string][] = [[0, "0 s"], [1.23456, "1.235 s"], [12_345.6, "12346 s"], [
    0.0123456,
    "0.01235 s",
  ], [1.23456e-7, "1.23e-7 s"]];
  for (const [seconds, text] of durations) assert.equal(lineOf({ seconds }, "duration"), text);
  assert.equal(lineOf({ seconds: 1234.5678 }, "duration"), "1235 s");
  assert.equal(lineOf({ seconds: 0.5 }, "CPU time"), "3 s (6 CPUs)");
  assert.equal(lineOf({ seconds: 0 }, "CPU time"), "3 s");
  const energy = [{ input: "rapl", what: "cpu", joules: 1 }];
  const tables = [[], energy].map((energy) => tableOf(reportOf(["x"], [measuredRun({ energy })], null)));
  assert.deepEqual(tables.map((table) => /No energy is measured here/.test(table)), [true, false]);
  const several = tableOf(
    reportOf(["x"], [measuredRun(), measuredRun({ machineCpuSeconds: 3, counts: [] })], null),
  );
  assert.match(several, /^share of CPU time {2}75 ± 35\.36 % of the machine's$/m);
  const counts = [{ what: "a-very-long-name-of-an-event", count: 7 }];
  assert.match(
    tableOf(reportOf(["x"], [measuredRun({ counts })], null)),
    /^a-very-long-name-of-an-event {2}7$/m,
  );
});

Deno.test("the format of a file is that of --format, or of its ending", () => {
  const formats = ["a.parquet", "a.CSV", "a.b.jsonl", "ndjson.ndjson"].map((file) =>
    fileFormat("export", file, undefined)
  );
  assert.deepEqual(formats, ["parquet", "csv", "jsonl", "jsonl"]);
  assert.equal(fileFormat("export", "a.csv", "parquet"), "parquet");
  for (const file of ["a", "a.txt", "csv", "a.constructor"]) {
    assert.throws(
      () => fileFormat("export", file, undefined),
      /says no format: add --format parquet\|csv\|jsonl/,
    );
  }
  assert.throws(() => fileFormat("import", "a.csv", "xlsx"), {
    message: "Cannot use --format xlsx with import: use parquet, csv, jsonl",
  });
});

Deno.test("points are lines of CSV or JSON, with each digit of their times and values", () => {
  const series: ExportedSeries = {
    ...{
      metric: 'a"b',
      unit: "By",
      isFloat: true,
      resourceKind: "cpu",
      resourceId: "0",
      consumerKind: "process",
    },
    ...{ consumerId: "1,2", client: "node", attributes: '{"k":1}' },
  };
  const whole = { ...series, metric: "n", isFloat: false };
  const second = 1_800_000_000n * 1_000_000_000n;
  const points: [ExportedSeries, bigint, number, bigint | null][] = [
    [series, second + 5n, 0.1, null],
    [series, second + 999_999_999n, NaN, null],
    [series, second + 1_000_000_000n, -0, null],
    [series, second + 1_000_000_000n, Infinity, null],
    [series, 0n, -Infinity, null],
    [whole, 0n, 2 ** 64, 2n ** 64n - 1n],
  ];
  const written = (format: "csv" | "jsonl") => {
    let text = "";
    const sink = new TextSink((more) => void (text += more), format);
    // What is behind the length is from before.
    sink.add({
      length: points.length - 1,
      series: points.map(([series]) => series),
      times: points.map(([, time]) => time),
      values: Float64Array.from(points, ([, , value]) => value),
      integers: points.map(([, , , integer]) => integer),
    });
    sink.add({
      length: 1,
      series: [whole],
      times: [0n],
      values: Float64Array.of(2 ** 64),
      integers: [2n ** 64n - 1n],
    });
    sink.end();
    return text.split("\n");
  };
  const rest = ',cpu,0,process,"1,2",node,"{""k"":1}",By';
  assert.deepEqual(written("csv"), [
    "metric,timestamp,value,resource_kind,resource_id,consumer_kind,consumer_id,relay_client,attributes,unit,type",
    `"a""b",2027-01-15T08:00:00.000000005Z,0.1${rest},f64`,
    `"a""b",2027-01-15T08:00:00.999999999Z,${rest},f64`,
    `"a""b",2027-01-15T08:00:01.000000000Z,-0${rest},f64`,
    `"a""b",2027-01-15T08:00:01.000000000Z,inf${rest},f64`,
    `"a""b",1970-01-01T00:00:00.000000000Z,-inf${rest},f64`,
    `n,1970-01-01T00:00:00.000000000Z,18446744073709551615${rest},u64`,
    "",
  ]);
  const texts =
    '"resource_kind":"cpu","resource_id":"0","consumer_kind":"process","consumer_id":"1,2","relay_client":"node","unit":"By"';
  const json = written("jsonl");
  assert.equal(
    json[0],
    `{"metric":"a\\"b","timestamp":"2027-01-15T08:00:00.000000005Z","value":0.1,${texts},"attributes":{"k":1}}`,
  );
  const values = json.slice(0, -1).map((line) => /"value":([^,]*),/.exec(line)![1]);
  assert.deepEqual(values, ["0.1", "null", "-0.0", "9e999", "-9e999", "18446744073709551615"]);
});
