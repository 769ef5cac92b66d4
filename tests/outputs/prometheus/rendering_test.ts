/** Names, labels and numbers on the page, and which format a scraper gets. */
import assert from "node:assert/strict";
import { Batch, type Metric, type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { SeriesStore } from "../../../lib/points/series_store.ts";
import { ExposedStore } from "../../../lib/outputs/prometheus/exposed_store.ts";
import { formatNumber, renderPage } from "../../../lib/outputs/prometheus/exposition.ts";
import { exposedName, labelsOf, sanitizeName, unitWords } from "../../../lib/outputs/prometheus/naming.ts";
import { acceptsGzip, chooseFormat, CONTENT_TYPE } from "../../../lib/http/negotiation.ts";
import type { PrometheusConfig } from "../../../lib/outputs/prometheus/config.ts";
import { cases, Chance } from "../../kit/bytes.ts";
import { metricOf } from "../../kit/decode.ts";
import { COUNT, DEFAULTS, POWER, PROMETHEUS_ACCEPT } from "./running.ts";

const LOCAL = 'resource_consumer_id="",resource_consumer_kind="local_machine",resource_id="",' +
  'resource_kind="local_machine"';

function labels(attributes: Series["attributes"], config: Partial<PrometheusConfig> = {}): string {
  return labelsOf(seriesOf(COUNT, { attributes }), { ...DEFAULTS, ...config }).replace(LOCAL, "…");
}

Deno.test("names are those of Alumet: prefix, metric, suffix, unit in words", () => {
  const name = (metric: Metric, config: Partial<PrometheusConfig> = {}) =>
    exposedName(metric, { ...DEFAULTS, ...config });
  assert.equal(name(POWER), "power_alumet_watts");
  assert.equal(name(COUNT), "count_alumet");
  assert.equal(name(metricOf("energy", "f64", { base: "J", prefix: "milli" })), "energy_alumet_millijoules");
  assert.equal(name(metricOf("wh", "f64", { base: "W.h", prefix: "kilo" })), "wh_alumet_kilowatt_hours");
  assert.equal(name(metricOf("1 é🔋.x"), { prefix: "", suffix: "" }), "____x".padStart(6, "_"));
  assert.equal(name(POWER, { prefix: "a:", suffix: "" }), "a_power_watts");
  assert.equal(name(metricOf(""), { suffix: "" }), "_");
  // The cases of the real plugin's own tests.
  assert.equal(sanitizeName("123avc"), "_23avc");
  assert.equal(sanitizeName("cpu_percent_%"), "cpu_percent__");
  const units: [base: string, prefix: string, words: string][] = [
    ["%", "", "ratio"],
    ["1", "", ""],
    ["1", "kilo", "kilo"],
    ["By", "kilo", "kilobytes"],
    ["W.h", "nano", "nanowatt_hours"],
    ["g/CO2", "", "g_CO2"],
    ["[degF]", "", "fahrenheit"],
  ];
  for (const [base, prefix, words] of units) assert.equal(unitWords({ base, prefix }), words);
});

Deno.test("labels are valid and unique, whatever attributes are called, and in whatever order they come", () => {
  assert.equal(labels([["b", 1n], ["a", "x"]]), 'a="x",b="1",…');
  assert.equal(labels([["a", 'q"\\\n\r;é']]), 'a="q\\"\\\\\\n\r;é",…');
  assert.equal(labels([["a", "old"], ["a", "new"]]), 'a="new",…');
  assert.equal(
    labels([["f", 0.5], ["t", true], ["l", [1n, 18446744073709551615n]], ["i", -Infinity]]),
    [
      ...['f="0.5"', 'i="-inf"', 'l="[1, 18446744073709551615]"', "…", 't="true"'],
    ].join(","),
  );
  const expected = 'a_b="right",a_b_2="dash",a_b_3="dot",…';
  assert.equal(labels([["a.b", "dot"], ["a-b", "dash"], ["a_b", "right"]]), expected);
  assert.equal(labels([["a_b", "right"], ["a-b", "dash"], ["a.b", "dot"]]), expected);
  assert.equal(
    labels([["__name__", "other"], ["", "empty"], ["9", "digit"]]).split(",").slice(0, 3).join(),
    [
      ...['_="empty"', '__2="digit"', 'attribute__name__="other"'],
    ].join(),
  );
  assert.equal(
    labelsOf(seriesOf(COUNT, { resourceId: "0", attributes: [["resource_id", "mine"]] }), DEFAULTS),
    LOCAL.replace('resource_id=""', 'resource_id="0",resource_id_2="mine"'),
  );
  assert.equal(labels([["a", "x"]], { add_attributes_to_labels: false }), "…");
});

Deno.test("numbers are as Prometheus reads them, and read back the same", () => {
  const texts: [number, string][] = [
    [Infinity, "+Inf"],
    [-Infinity, "-Inf"],
    [NaN, "NaN"],
    [-0, "-0"],
    [0.1, "0.1"],
    [1e21, "1e+21"],
    [5e-324, "5e-324"],
    [2 ** 53, "9007199254740992"],
  ];
  for (const [value, text] of texts) assert.equal(formatNumber(value), text);
});

Deno.test("the format is negotiated by quality; without a wish it is the text format", () => {
  const choices: [accept: string | undefined, format: string][] = [
    [undefined, "text"],
    ["", "text"],
    ["*/*", "text"],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text"],
    [PROMETHEUS_ACCEPT, "openmetrics"],
    ["application/openmetrics-text", "openmetrics"],
    ['Application/OpenMetrics-Text; Version="1.0.0"', "openmetrics"],
    ["application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5", "text"],
    ["application/openmetrics-text;version=1.0.0;q=0.4,text/plain;q=0.5", "text"],
    ["text/plain,application/openmetrics-text", "openmetrics"],
    ["text/plain;version=0.0.4,*/*", "text"],
    ["application/openmetrics-text,*/*", "openmetrics"],
    ["application/*", "openmetrics"],
    ["application/openmetrics-text;q=0,*/*", "text"],
    ["text/plain;q=0,*/*;q=0.1", "openmetrics"],
    ["application/json", "text"],
    ["application/openmetrics-text;q=2", "text"],
    // Prometheus 3.
    [
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
      "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4," +
      "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
      "openmetrics",
    ],
    ['text/plain;x="a,application/openmetrics-text";q=0.1', "text"],
    // Within quotes, a backslash stands before a quote that does not end them.
    ['a/b;x="\\",application/openmetrics-text,"', "text"],
    ['a/b;x="\\\\",application/openmetrics-text', "openmetrics"],
    ['a/b;x=\\",application/openmetrics-text,"', "text"],
    ["a/b;x=\\,application/openmetrics-text", "openmetrics"],
    ['application/openmetrics-text;x="\\"";q=0.5', "openmetrics"],
    // The most exact range decides: a type, all of its kind, all.
    ["application/*;q=0.1,application/openmetrics-text;q=0.9,text/plain;q=0.5", "openmetrics"],
    ["application/openmetrics-text;q=0.1,application/*;q=0.9,text/plain;q=0.5", "text"],
    ["application/*;q=0.1,*/*;q=0.9", "text"],
    ["*/*;q=0.9,application/*;q=0.1", "text"],
    ["text/*;q=0.1,*/*;q=0.2", "openmetrics"],
    // Of equally exact ones, the highest quality.
    ["application/openmetrics-text;q=0.1,application/openmetrics-text;q=0.9,text/plain;q=0.5", "openmetrics"],
    ["application/openmetrics-text;q=0.9,application/openmetrics-text;q=0.1,text/plain;q=0.5", "openmetrics"],
    ["*/*;q=0.1,*/*;q=0.9,text/plain;q=0.5", "openmetrics"],
    ["application/openmetrics-text;q=1,text/plain", "openmetrics"],
    ["application/openmetrics-text;q=0.5,text/*;q=0.5", "openmetrics"],
    ["application/*;q=0.5,text/plain;q=0.5", "text"],
  ];
  for (const [accept, format] of choices) assert.equal(chooseFormat(accept), format, accept);
  const encodings: [header: string | undefined, gzip: boolean][] = [
    [undefined, false],
    ["", false],
    ["gzip", true],
    ["deflate, GZIP;q=0.5", true],
    ["br", false],
    ["*", true],
    ["*;q=0", false],
    ["gzip;q=0, *", false],
    ["identity;q=1, gzip;q=0.5", false],
    ["identity;q=0.5, gzip;q=0.5", true],
    ["identity, gzip", true],
    ["identity;q=0.5, x-gzip", true],
    ["gzip;q=0.5, x-gzip;q=0, *;q=0", true],
  ];
  for (const [header, gzip] of encodings) assert.equal(acceptsGzip(header), gzip, header);
});

Deno.test("Accept headers of any text are understood somehow", () => {
  const chance = new Chance(3);
  for (let n = 0; n < cases(2000); n++) {
    const header = new TextDecoder("latin1").decode(
      chance.mutate(new TextEncoder().encode(PROMETHEUS_ACCEPT)),
    );
    assert.ok(CONTENT_TYPE[chooseFormat(header)]);
    acceptsGzip(header);
  }
});

type Row = readonly [series: Series, value: number | bigint, seconds?: number, nanos?: number];

/** A table of series with a store of its own, and what its page says. */
function exposed(
  limits: Partial<{ series: number; headLength: number }> = {},
  config: Partial<PrometheusConfig> = {},
) {
  const series = new SeriesStore();
  const store = new ExposedStore(
    { ...DEFAULTS, suffix: "", ...config },
    { series: Infinity, headLength: Infinity, ...limits },
    series,
  );
  const take = (nowMs: number, ...rows: Row[]) => {
    const batch = new Batch(16, null, series);
    for (const [one, value, seconds = 100, nanos = 0] of rows) {
      if (typeof value === "bigint") batch.pushU64(one, seconds, nanos, value);
      else batch.push(one, seconds, nanos, value);
    }
    store.take(batch, nowMs);
    batch.release();
  };
  const text = (format: "text" | "openmetrics", timestamps = false) =>
    new TextDecoder().decode(renderPage(store.families, format, timestamps)).replaceAll(LOCAL, "…");
  const lines = () => text("text").split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return { series, store, take, text, lines };
}

const WATTS = { base: "W", prefix: "" };

Deno.test("a page has each family with what it is, and a line for each series", () => {
  const { take, text } = exposed();
  const power = { ...metricOf("power", "f64", WATTS), description: ' The "real"\\one\nof it ' };
  take(
    0,
    [seriesOf(power), 1.5, 1_700_000_000, 120_000_000],
    [seriesOf(COUNT), 2n ** 64n - 1n, 1_700_000_001],
    [seriesOf(power, { attributes: [["a", "b"]] }), NaN, 1_700_000_002, 1_999_999],
    [seriesOf(metricOf("q?", "u64")), 0, 5, 50],
  );
  const page = (quoted: string, units: [string, string], times: readonly string[], end: string) =>
    [
      ...[`# HELP power_watts The ${quoted}\\\\one\\nof it.`, "# TYPE power_watts gauge", units[0]],
      ...[`power_watts{…} 1.5${times[0]}`, `power_watts{a="b",…} NaN${times[1]}`],
      ...[
        "# HELP count Alumet metric count.",
        "# TYPE count gauge",
        `count{…} 18446744073709551615${times[2]}`,
      ],
      ...["# HELP q_ Alumet metric q?", "# TYPE q_ gauge", `q_{…} 0${times[3]}`, end],
    ].filter((line) => line !== "").join("\n") + "\n";
  const without = ["", "", "", ""];
  assert.equal(text("text"), page('"real"', ["", ""], without, ""));
  assert.equal(text("openmetrics"), page('\\"real\\"', ["# UNIT power_watts watts", ""], without, "# EOF"));
  const milliseconds = [" 1700000000120", " 1700000002001", " 1700000001000", " 5000"];
  assert.equal(text("text", true), page('"real"', ["", ""], milliseconds, ""));
  const seconds = [" 1700000000.12", " 1700000002.001999999", " 1700000001", " 5.00000005"];
  assert.equal(
    text("openmetrics", true),
    page('\\"real\\"', ["# UNIT power_watts watts", ""], seconds, "# EOF"),
  );
});

Deno.test("a page of any length is whole, whatever was expected of it", () => {
  const { take, store, text } = exposed();
  const name = "é🔋".repeat(200);
  const all = Array.from({ length: 1000 }, (_, i) => seriesOf(COUNT, { resourceId: `${name}${i}` }));
  for (const [i, one] of all.entries()) take(0, [one, i]);
  const expected = all.map((_, i) =>
    `count{resource_consumer_id="",resource_consumer_kind="local_machine",resource_id="${name}${i}",` +
    `resource_kind="local_machine"} ${i}\n`
  ).join("");
  assert.equal(text("text"), `# HELP count Alumet metric count.\n# TYPE count gauge\n${expected}`);
  const large = renderPage(store.families, "text", false, 1e6);
  assert.deepEqual(renderPage(store.families, "text", false, 10), large);
  assert.equal(
    store.pageBytes,
    expected.length - all.reduce((sum, _, i) => sum + 2 + `${i}`.length, 0) + 32_000,
  );
});

Deno.test("of a series the newest value counts, and what is not a value of its type does not", () => {
  const { take, store, lines } = exposed();
  const one = seriesOf(COUNT);
  take(0, [one, 0.5]);
  assert.deepEqual([lines(), store.stats.series], [[], 0], "it makes no line");
  take(0, [one, 1, 100, 5]);
  const { version } = store;
  take(0, [one, 2, 100, 4], [one, 3, 99, 999], [one, 0.5, 200]);
  assert.deepEqual(lines(), ["count{…} 1"]);
  take(0, [one, 4, 100, 5]);
  assert.deepEqual([lines(), store.version], [["count{…} 4"], version + 2]);
  take(0, [one, 2n ** 60n, 101, 0]);
  assert.deepEqual(lines(), [`count{…} ${2n ** 60n}`]);
  take(0, [one, 6, 101, 1]);
  assert.deepEqual(lines(), ["count{…} 6"]);
  const before = store.version;
  take(0);
  assert.equal(store.version, before);
  const { points, outdated, invalid, series, refused, stale } = store.stats;
  assert.deepEqual([points, outdated, invalid, series, refused, stale], [4, 2, 2, 1, 0, 0]);
});

Deno.test("series without room are refused until there is room, and then come with their next point", () => {
  const { take, store, lines } = exposed({ series: 2 });
  const all = Array.from({ length: 4 }, (_, i) => seriesOf(COUNT, { attributes: [["i", `${i}`]] }));
  const points = (value: number): Row[] => all.map((one) => [one, value]);
  const shown = () => lines().map((line) => /i="(\d)".* (\d)/.exec(line)!.slice(1).join("="));
  take(1, ...points(1));
  take(1, ...points(2));
  assert.deepEqual([shown(), store.stats.refused, store.stats.series], [["0=2", "1=2"], 4, 2]);
  store.maxSeries = 3;
  take(2, ...points(3));
  assert.deepEqual([shown(), store.stats.refused], [["0=3", "1=3", "2=3"], 5]);
  store.maxSeries = 1;
  take(3, all[2] && [all[2], 4]);
  assert.deepEqual(shown(), ["0=3", "1=3", "2=4"], "those that are there stay");
  const { version } = store;
  store.sweep(3);
  assert.deepEqual([shown(), store.stats.series, store.stats.stale], [["2=4"], 1, 2]);
  assert.ok(store.version > version);
  store.maxSeries = 2;
  take(4, ...points(5));
  assert.deepEqual(shown(), ["2=5", "0=5"]);
  store.sweep(4);
  assert.deepEqual([shown(), store.stats.stale], [["2=5", "0=5"], 2]);
  take(5, [all[0], 6], [all[1], 6]);
  store.sweep(5);
  assert.deepEqual([shown(), store.stats.stale], [["0=6"], 3]);
  take(5, [all[1], 7]);
  assert.deepEqual(shown(), ["0=6", "1=7"], "what was refused has room now");
  store.sweep(6);
  assert.deepEqual([lines(), [...store.families], store.pageBytes], [[], [], 0]);
});

Deno.test("the lines of all series have a limit of length, too", () => {
  const one = seriesOf(COUNT, { attributes: [["a", "x"]] });
  const { length } = `count{a="x",${LOCAL}}`;
  // The braces do not count.
  for (const [headLength, expected] of [[length - 2, 1], [length - 3, 0]]) {
    const { take, lines, store } = exposed({ headLength });
    take(0, [one, 1], [seriesOf(COUNT, { attributes: [["b", "x"]] }), 1]);
    assert.deepEqual([lines().length, store.stats.refused], [expected, 2 - expected]);
  }
});

Deno.test("a name that several metrics have is one family, whose unit is that of all of them", () => {
  const { take, store, text, lines } = exposed();
  const dot = seriesOf({ ...metricOf("a.b", "f64", WATTS), description: "First!" });
  const dash = seriesOf(metricOf("a-b", "u64", WATTS));
  take(1, [dot, 1]);
  assert.deepEqual(lines(), ["a_b_watts{…} 1"]);
  const { pageBytes } = store;
  take(2, [dash, 2]);
  assert.deepEqual(lines(), ['a_b_watts{alumet_metric="a.b",…} 1', 'a_b_watts{alumet_metric="a-b",…} 2']);
  assert.match(
    text("openmetrics"),
    /^# HELP a_b_watts First!\n# TYPE a_b_watts gauge\n# UNIT a_b_watts watts\n/,
  );
  // Two lines, each with the label of the metric.
  assert.equal(store.pageBytes, 2 * (pageBytes + 'alumet_metric="a.b",'.length));
  store.sweep(2);
  take(2, [dash, 3]);
  assert.deepEqual(lines(), ['a_b_watts{alumet_metric="a-b",…} 3'], "the label stays");
  take(2, [seriesOf(metricOf("a_b_watts")), 4]);
  assert.doesNotMatch(text("openmetrics"), /UNIT/);
});

Deno.test("a line that is gone leaves its place to another one when no series of the process has it any more", () => {
  const { series, store, take, lines } = exposed();
  series.poison();
  const [dash, dot, other] = ["a-b", "a.b", "c"].map((name) =>
    seriesOf(COUNT, { attributes: [[name, "x"]] })
  );
  const placeOf = (n: number) => [...[...store.families][0].metrics.get("count")!.values()][n].place;
  const held = new Batch(1, null, series);
  held.push(dot, 1, 0, 1);
  take(1, [dash, 1], [dot, 2]);
  assert.deepEqual([lines(), placeOf(0)], [['count{a_b="x",…} 2'], 0]);
  store.sweep(2);
  for (let ticks = 0; ticks < 10; ticks++) series.tick();
  // The place is that of the series that is held, still.
  take(2, [other, 3]);
  assert.equal(placeOf(0), 1);
  take(2, [dot, 4]);
  assert.deepEqual(lines(), ['count{c="x",…} 3', 'count{a_b="x",…} 4']);
  held.release();
  store.sweep(3);
  for (let ticks = 0; ticks < 10; ticks++) series.tick();
  take(3, ...["d", "e", "f"].map((name): Row => [seriesOf(COUNT, { attributes: [[name, "x"]] }), 5]));
  assert.deepEqual([0, 1, 2].map(placeOf).sort(), [0, 1, 2]);
});

Deno.test("series come and go in any order, and each line has its own value", () => {
  const chance = new Chance(5);
  const { series, store, take, lines } = exposed();
  series.poison();
  const model = new Map<string, { value: number; takenMs: number }>();
  // Of two series with one line, as after a change of case in a name of Prometheus, the later point counts.
  const names = Array.from({ length: 30 }, (_, i) => i % 10 === 0 ? `m${i}.x` : `m${i}_x`);
  const metrics = [...names, "m0-x", "m10-x"].map((name) => metricOf(name, "f64"));
  for (let round = 0; round < 150; round++) {
    const rows = Array.from({ length: chance.int(6) }, (): Row => [
      seriesOf(metrics[chance.int(metrics.length)], {
        attributes: [["a.b".replace(".", chance.pick([".", "-"])), "1"]],
      }),
      chance.int(1000),
      round + 1,
    ]);
    take(round, ...rows);
    for (const [{ metric }, value] of rows) model.set(metric.name, { value: Number(value), takenMs: round });
    if (chance.int(4) === 0) {
      const sinceMs = round - chance.int(10);
      store.sweep(sinceMs);
      for (const [name, { takenMs }] of model) if (takenMs < sinceMs) model.delete(name);
    }
    for (let ticks = chance.int(3); ticks > 0; ticks--) series.tick();
    const found = lines().map((line) => {
      const [, name, own, value] = /^(\w+)\{(?:alumet_metric="([^"]*)",)?.* (\d+)$/.exec(line)!;
      return `${own ?? [...model.keys()].find((metric) => metric.replace(/[.-]/, "_") === name)} ${value}`;
    });
    assert.deepEqual(found.sort(), [...model].map(([name, { value }]) => `${name} ${value}`).sort());
    assert.equal(store.stats.series, model.size);
  }
});
