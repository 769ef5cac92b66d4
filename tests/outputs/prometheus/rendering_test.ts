/** Names, labels and numbers on the page, and which format a scraper gets. */
import assert from "node:assert/strict";
import { type Metric, type Series, seriesOf } from "../../../lib/points/measurement.ts";
import { formatNumber } from "../../../lib/outputs/prometheus/exposition.ts";
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
