/** Pages of Prometheus' text format and of OpenMetrics to points, without a server. */
import assert from "node:assert/strict";
import type { Timestamp } from "../../../lib/base/clock.ts";
import { Naming } from "../../../lib/inputs/decoding/naming.ts";
import { type MetricRule, MetricRules } from "../../../lib/inputs/decoding/rules.ts";
import { ExpositionDecoder } from "../../../lib/inputs/scrape/exposition_decoder.ts";
import { factsOf, readComment, readSeries, scanSeries } from "../../../lib/inputs/scrape/exposition_text.ts";
import { BatchBuilder } from "../../../lib/points/batch_builder.ts";
import { BatchPool } from "../../../lib/points/measurement.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { SeriesStore } from "../../../lib/points/series_store.ts";
import { textsOf } from "../lines/taking.ts";

const encode = (text: string) => new TextEncoder().encode(text);

interface Options {
  differences?: boolean;
  maxMetrics?: number;
  rules?: Partial<MetricRule>[];
  capacity?: number;
  maxTexts?: number;
}

/** The decoder of one exporter, `x`, and what it has made of its pages. */
class Pages {
  readonly problems: string[] = [];
  readonly stats = { points: 0 };
  readonly store = new SeriesStore();
  readonly registry = new MetricRegistry();
  readonly decoder: ExpositionDecoder;
  readonly out: BatchBuilder;

  constructor({ differences = false, maxMetrics = 4096, rules = [], capacity = 16, maxTexts }: Options = {}) {
    this.out = new BatchBuilder(new BatchPool(capacity, 4, this.store));
    const naming = new Naming({
      input: "scrape",
      registry: this.registry,
      store: this.store,
      rules: new MetricRules(rules.map((rule) => ({ metric: "*", ...rule }) as MetricRule)),
      maxMetrics,
      maxNameBytes: 255,
    });
    this.decoder = new ExpositionDecoder({
      naming,
      out: this.out,
      differences,
      instance: "x",
      stats: this.stats,
      ...maxTexts === undefined ? {} : { maxTexts },
      problems: {
        badLine: (line, reason) => void this.problems.push(`${line}: ${reason}`),
        refusedPoint: (line, reason) => void this.problems.push(`${line} (point): ${reason}`),
      },
    });
  }

  begin(time: Timestamp = { seconds: 1, nanos: 0 }, isOpenMetrics = false): this {
    this.decoder.begin(time, isOpenMetrics);
    return this;
  }

  /** Decodes lines in the middle of a larger buffer, as they come from a server. */
  give(text: string): this {
    const bytes = encode(`1"}${text}9 1\n`);
    this.decoder.decode(bytes, new DataView(bytes.buffer), 3, bytes.length - 4);
    return this;
  }

  /** What has come out since the last time, as texts. */
  take(): string[] {
    return this.out.take().flatMap((batch) => {
      const texts = textsOf(batch);
      batch.release();
      return texts;
    });
  }
}

/** The points of one page, without problems. */
function pointsOf(text: string, options?: Options, isOpenMetrics = false): string[] {
  const pages = new Pages(options).begin(undefined, isOpenMetrics).give(text);
  const points = pages.take();
  assert.deepEqual(pages.problems, []);
  return points;
}

function problemsOf(text: string, isOpenMetrics = false): string[] {
  return new Pages().begin(undefined, isOpenMetrics).give(text).problems;
}

Deno.test("a sample is a name, perhaps labels, a value and perhaps a time, with whatever blanks between them", () => {
  assert.deepEqual(
    pointsOf('a 1\n  b 2\n\tc\t3\nd{e="f"}4\ng{h="i"}   5   6000\nj{}  7  \r\n\r\nk{ l = "m" , } 8\nlast 9'),
    [
      "a {instance=x} 1 @1",
      "b {instance=x} 2 @1",
      "c {instance=x} 3 @1",
      "d {e=f,instance=x} 4 @1",
      "g {h=i,instance=x} 5 @6",
      "j {instance=x} 7 @1",
      "k {l=m,instance=x} 8 @1",
      "last {instance=x} 9 @1",
    ],
  );
});

Deno.test("values that are not finite have no point, and are not bad lines", () => {
  assert.deepEqual(
    pointsOf("a NaN\nb +Inf\nc -Inf\nd inf\ne Infinity\nf nan 5\ng +1.5e3\nh -.5\ni 0\n"),
    ["g {instance=x} 1500 @1", "h {instance=x} -0.5 @1", "i {instance=x} 0 @1"],
  );
});

Deno.test("a line that is not a sample costs itself, and is named by its number and its reason", () => {
  const text =
    'a 1\n\n# comment\nb x\nc 1x\nd\ne 1 x\nf 1 5x\ng 1 -5\nh{i} 1\nk{l="m" 1\n{} 1\nn infx\no 9\n';
  const pages = new Pages().begin().give(text);
  assert.deepEqual(pages.problems, [
    "4: its value is not a number",
    "5: its value is not a number",
    "6: it has no value",
    "7: its time is not valid",
    "8: its time is not valid",
    "9: its time is not valid",
    '10: a label is not NAME="VALUE"',
    "11: it has no value",
    "12: it has no name",
    "13: its value is not a number",
  ]);
  assert.deepEqual(pages.take(), ["a {instance=x} 1 @1", "o {instance=x} 9 @1"]);
  assert.deepEqual([pages.stats.points, pages.decoder.points], [2, 2]);
  pages.begin().give("a 1\nb x\n");
  assert.equal(pages.problems.at(-1), "2: its value is not a number", "lines are counted by the page");
  assert.deepEqual([pages.stats.points, pages.decoder.points], [3, 1], "and so are points");
  pages.decoder.skipped("it is too long");
  pages.give("b x\n");
  assert.deepEqual(pages.problems.slice(-2), ["3: it is too long", "4: its value is not a number"]);
});

Deno.test("a page may end in the middle of a line, and no byte behind its end is read", () => {
  for (const text of ["a", 'a{b="c"}', 'a{b="c', "a "]) {
    assert.equal(problemsOf(text).length, 1, text);
  }
  assert.deepEqual(problemsOf("a"), ["1: it has no value"]);
  assert.deepEqual(problemsOf("a "), ["1: its value is not a number"]);
  assert.deepEqual(pointsOf("a 1"), ["a {instance=x} 1 @1"]);
  assert.deepEqual(pointsOf("a 1 2"), ["a {instance=x} 1 @0.002"]);
  assert.deepEqual(pointsOf('a 1 # {t="u"} 5'), ["a {instance=x} 1 @1"]);
  assert.deepEqual(pointsOf("a NaN"), []);
  assert.deepEqual(pointsOf("# TYPE a counter"), []);
});

Deno.test("a time is in milliseconds in the text format, and in seconds with a fraction in OpenMetrics", () => {
  const timeOf = (time: string, isOpenMetrics = false) =>
    pointsOf(`a 1 ${time}\n`, {}, isOpenMetrics)[0].split("@")[1];
  assert.equal(timeOf("0"), "0");
  assert.equal(timeOf("1795608000123"), "1795608000.123");
  assert.equal(timeOf("1.5"), "0.0015");
  assert.equal(timeOf("1795608000.25", true), "1795608000.25");
  assert.equal(timeOf("0.0000015", true), "0.0000015");
  // The fraction of a second never becomes a whole one.
  assert.equal(timeOf("1999.9999999"), "1.999999999");
  const LAST = 253_402_300_799;
  assert.equal(timeOf(`${LAST - 1}999`), `${LAST - 1}.999`);
  assert.deepEqual(problemsOf(`a 1 ${LAST}000\n`), ["1: its time is not valid"]);
  assert.deepEqual(problemsOf(`a 1 ${LAST}\n`, true), ["1: its time is not valid"]);
});

Deno.test("a sample without a time has that of the scrape, also behind one that has its own", () => {
  const pages = new Pages().begin({ seconds: 7, nanos: 5e8 }).give("a 1 2000\nb 2\n");
  assert.deepEqual(pages.take(), ["a {instance=x} 1 @2", "b {instance=x} 2 @7.5"]);
});

Deno.test("the exporter has said that its page is complete where that is OpenMetrics' last line", () => {
  const pages = new Pages().begin().give("a 1\n");
  assert.ok(!pages.decoder.hasEnded);
  pages.give("# EOF\n");
  assert.ok(pages.decoder.hasEnded);
  pages.begin();
  assert.ok(!pages.decoder.hasEnded, "each page says it for itself");
  assert.ok(!pages.give("# EOF of it\n#EOF\n").decoder.hasEnded);
});

Deno.test("counters are differences on request: each by itself, from the second value on, and again after a restart", () => {
  const pages = new Pages({ differences: true });
  const page = (c: number, d: number, text = "") =>
    pages.begin().give(`# TYPE c counter\nc{n="1"} ${c}\nc{n="2"} ${d}\n# TYPE g gauge\ng ${c}\n${text}`)
      .take()
      .map((text) => text.replace(/ ?\{?,?instance=x\}?/, "").replace(/ @1$/, ""));
  assert.deepEqual(page(10, 5), ["g 10"]);
  assert.deepEqual(page(12, 5), ["c {n=1 2", "c {n=2 0", "g 12"]);
  assert.deepEqual(page(1, 6.5), ["c {n=2 1.5", "g 1"], "the first one has begun again");
  assert.deepEqual(page(4, 6.5), ["c {n=1 3", "c {n=2 0", "g 4"]);
  assert.deepEqual(page(NaN, 7), ["c {n=2 0.5"]);
  assert.deepEqual(page(9, 7), ["c {n=2 0", "g 9"], "there is nothing to subtract");
  assert.deepEqual(page(10, 7), ["c {n=1 1", "c {n=2 0", "g 10"]);
  assert.deepEqual(pages.problems, []);
});

Deno.test("without the wish for differences a counter is handed over as it is", () => {
  const pages = new Pages();
  for (const value of [10, 12]) {
    assert.deepEqual(pages.begin().give(`# TYPE c counter\nc ${value}\n`).take(), [
      `c {instance=x} ${value} @1`,
    ]);
  }
});

Deno.test("thousands of counters have each its own difference, and new ones before them do not make them begin again", () => {
  const pages = new Pages({ differences: true, capacity: 1024 });
  const page = (first: number, value: number) =>
    "# TYPE c counter\n" +
    Array.from({ length: 1500 - first }, (_, i) => `c{n="${first + i}"} ${value + i * value}\n`).join("");
  pages.begin().give(page(0, 10));
  assert.deepEqual(pages.take(), []);
  pages.begin().give(page(0, 13));
  assert.deepEqual(
    pages.take(),
    Array.from({ length: 1500 }, (_, i) => `c {n=${i},instance=x} ${3 * (i + 1)} @1`),
  );
  pages.begin().give(page(-100, 0) + page(0, 14));
  assert.equal(pages.take().length, 1500, "the new ones have no value to subtract");
});

Deno.test("when something was created is not measured, unless the family itself is called so", () => {
  const pages = new Pages({ differences: true });
  pages.begin().give("# TYPE c_created counter\nc_created 5\n# TYPE d counter\nd_created 6\nd_total 1\n");
  pages.begin().give("# TYPE c_created counter\nc_created 7\n# TYPE d counter\nd_created 6\nd_total 4\n");
  assert.deepEqual(pages.take(), ["c_created {instance=x} 2 @1", "d_total {instance=x} 3 @1"]);
});

Deno.test("a metric too many is refused by its line, and the others are taken", () => {
  const pages = new Pages({ maxMetrics: 2 }).begin().give("a 1\nb 2\nc 3\nb 4\n");
  assert.deepEqual(pages.take(), ["a {instance=x} 1 @1", "b {instance=x} 2 @1", "b {instance=x} 4 @1"]);
  assert.deepEqual(pages.problems, ["3 (point): there are 2 metrics already (limits.metrics)"]);
});

Deno.test("points go on in further batches, and memory of new series is said with them", () => {
  const pages = new Pages({ capacity: 4 }).begin();
  const text = Array.from({ length: 10 }, (_, i) => `a{n="${i}"} ${i}\n`).join("");
  pages.give(text);
  const batches = pages.out.take();
  assert.deepEqual(batches.map(({ length }) => length), [4, 4, 2]);
  assert.equal(
    batches.reduce((sum, { newSeriesBytes }) => sum + newSeriesBytes, 0),
    pages.store.newBytes,
  );
  assert.ok(pages.store.newBytes > 0);
  pages.give(text);
  assert.deepEqual(pages.out.take().map(({ newSeriesBytes }) => newSeriesBytes), [0, 0, 0]);
  const { newBytes } = pages.store;
  pages.give("b 1\n");
  assert.equal(pages.out.take()[0].newSeriesBytes, pages.store.newBytes - newBytes);
});

Deno.test("series that were given back are found again, under their new numbers", () => {
  const pages = new Pages({ differences: true });
  pages.store.poison();
  const give = (value: number) =>
    pages.begin().give(`# TYPE c counter\n# HELP c Help.\nc{a="b"} ${value}\ng{a="b"} 1\n`).take();
  assert.deepEqual(give(3), ["g {a=b,instance=x} 1 @1"]);
  for (let i = 0; i < 80; i++) pages.store.tick();
  assert.equal(pages.store.size, 0);
  assert.deepEqual(give(5), ["c {a=b,instance=x} 2 @1", "g {a=b,instance=x} 1 @1"]);
});

Deno.test("the order of an exporter may change from page to page, and back", () => {
  const pages = new Pages();
  const give = (order: string) =>
    pages.begin().give([...order].map((name) => `${name}{l="m"} 1\n`).join("")).take().map((text) => text[0])
      .join("");
  for (const order of ["abcd", "abcd", "dcba", "badc", "abcd", "aabb", "abcd"]) {
    assert.equal(give(order), order);
  }
});

Deno.test("what begins like the sample of the last page is another one", () => {
  const pages = new Pages();
  const give = (text: string) => pages.begin().give(text).take();
  give('a{b="c"} 1\n');
  assert.deepEqual(give('a{b="cd"} 2\n'), ["a {b=cd,instance=x} 2 @1"]);
  assert.deepEqual(give('a{b="c"} 3\n'), ["a {b=c,instance=x} 3 @1"]);
  assert.deepEqual(give("a 4\n"), ["a {instance=x} 4 @1"]);
});

Deno.test("the end of a sample's name and labels is found behind the blank, or at the value itself", () => {
  const scan = (text: string, at = 0) => scanSeries(encode(text), at, encode(text).length);
  assert.equal(scan("a 1"), 2);
  assert.equal(scan("a\t1"), 2);
  assert.equal(scan('a{b="c"} 1'), 9);
  assert.equal(scan('a{b="c"}1'), 8);
  assert.equal(scan('a{b="c d}e"} 1'), 13, "a brace in quotes is one of the value");
  assert.equal(scan('a{b="c\\"} d"} 1'), 14, "and so is a quote behind a backslash");
  assert.equal(scan('a{b="\\\\"} 1'), 10, "a backslash behind a backslash is none");
  assert.equal(scan('a{b="\n"} 1'), 9);
  assert.equal(scan("}a 1", 1), 3, "what stands before the sample does not belong to it");
  for (const text of ["a", 'a{b="c"}', "a{b 1", 'a{b="c" 1', '"a b']) assert.equal(scan(text), -1, text);
  assert.throws(() => scan("a\n1"), /it has no value/);
  assert.throws(() => scan("a{b\n} 1"), /it has no value/);
});

Deno.test("labels are read with their escapes, an empty one is none, and a name in quotes stands in the braces", () => {
  const read = (text: string) => {
    const { name, labels } = readSeries(encode(text));
    return [name, ...labels.map(([key, value]) => `${key}=${value}`)];
  };
  assert.deepEqual(read("a "), ["a"]);
  assert.deepEqual(read('a {b="c"} '), ["a", "b=c"]);
  assert.deepEqual(read('a{b="c",d="",e="f\\n\\"\\\\",}'), ["a", "b=c", 'e=f\n"\\']);
  assert.deepEqual(read('{"a b",c="d"}'), ["a b", "c=d"]);
  assert.deepEqual(read('{"a\\"b"}'), ['a"b']);
  assert.deepEqual(read('a{"l m"="n"}'), ["a", "l m=n"]);
  for (const text of ["a{b}", 'a{b="c" d="e"}', 'a{"b"}', "a{b=c}", "a{,}"]) {
    assert.throws(() => read(text), /a label is not NAME="VALUE"/, text);
  }
  assert.deepEqual(read("\ufeffa"), ["\ufeffa"], "no character is left out");
  assert.throws(() => read('a{b="c"'), /its labels have no end/);
  assert.throws(() => read('{b="c"}'), /it has no name/);
  assert.throws(() => readSeries(Uint8Array.of(97, 0xff)), /it is not UTF-8/);
});

Deno.test("a comment says type, unit and help of a family, and nothing else does", () => {
  const families = new Map();
  const comment = (text: string) => readComment(encode(text), families);
  assert.ok(comment("# EOF"));
  for (
    const text of ["# TYPE a Counter ", "#  UNIT\ta  joules", "# HELP a It\\nis \\\\.", '# TYPE "b c" gauge']
  ) {
    assert.ok(!comment(text));
  }
  for (const text of ["# a comment", "#TYPE d gauge", "# TYPES d gauge", "# TYPE"]) assert.ok(!comment(text));
  assert.deepEqual([...families], [
    ["a", { type: "counter", unit: "joules", help: "It\nis \\." }],
    ["b c", { type: "gauge" }],
  ]);
});

Deno.test("what a sample is, its family says: a counter, when it was created, its unit", () => {
  const facts = (
    name: string,
    families: Record<string, { type?: string; unit?: string; help?: string }> = {},
  ) => {
    const { isCounter, isCreated, unit, help } = factsOf(name, new Map(Object.entries(families)));
    return [isCounter ? "counter" : isCreated ? "created" : "gauge", unit?.base, help].join(" ").trim();
  };
  const histogram = { h_seconds: { type: "histogram", help: "Help." } };
  assert.equal(facts("a"), "gauge");
  assert.equal(facts("a_total"), "gauge", "of an unknown family");
  assert.equal(facts("a_total", { a: { type: "counter" } }), "counter");
  assert.equal(facts("a_total", { a_total: { type: "counter" } }), "counter");
  assert.equal(
    facts("a_created", { a: { type: "counter" } }),
    "counter",
    "a counter's, which is skipped first",
  );
  assert.equal(facts("a_created", { a: { type: "summary" } }), "created");
  assert.equal(facts("a_created", { a_created: { type: "gauge" } }), "gauge", "it is its own family");
  for (const suffix of ["bucket", "count"]) {
    assert.equal(facts(`h_seconds_${suffix}`, histogram), "counter  Help.", "a count of seconds has no unit");
  }
  assert.equal(facts("h_seconds_sum", histogram), "counter s Help.");
  assert.equal(facts("h_seconds_sum", { h_seconds: { type: "summary" } }), "counter s");
  assert.equal(facts("h_seconds", histogram), "gauge s Help.", "a quantile of a summary");
  assert.equal(facts("h_seconds_info", histogram), "gauge s Help.");
  assert.equal(facts("h_seconds_sum", { h_seconds: { type: "gauge" } }), "gauge s");
  assert.equal(facts("h_sum", { h_sum: { type: "histogram" } }), "gauge", "the whole family is called so");
  assert.equal(
    facts("a_bytes_count", { a_bytes_count: {} }),
    "gauge By",
    "it is not the count of another one",
  );
  assert.equal(facts("a_bytes_count"), "gauge By");
  assert.equal(facts("h_seconds_count", { ...histogram, h_seconds_count: { type: "gauge" } }), "gauge s");
  assert.equal(facts("a_joules"), "gauge J");
  assert.equal(facts("a", { a: { unit: "watts" } }), "gauge W");
  assert.equal(
    facts("a_joules", { a_joules: { unit: "ratio" } }),
    "gauge ratio",
    "what it says itself goes first",
  );
  assert.equal(facts("a_joules", { a_joules: { unit: "" } }), "gauge");
  assert.equal(facts("a_constructor"), "gauge", "no unit is called like a member of all objects");
});

Deno.test("what stands behind the time of a sample is an exemplar, and no sample of its own", () => {
  assert.deepEqual(pointsOf('a 1 5 b 7\nc 2 # {d="e"} 5 6\nf 3 4\t\n'), [
    "a {instance=x} 1 @0.005",
    "c {instance=x} 2 @1",
    "f {instance=x} 3 @0.004",
  ]);
});

Deno.test("an internal error is not taken for a bad line", () => {
  const pages = new Pages().begin();
  const internal = new TypeError("internal");
  pages.registry.register = () => {
    throw internal;
  };
  assert.throws(() => pages.give("a 1\n"), internal);
});

Deno.test("a page of more texts than are remembered has its points, and a counter never another one's difference", () => {
  for (let maxTexts = 1; maxTexts < 8; maxTexts++) {
    const pages = new Pages({ differences: true, maxTexts });
    for (let scrape = 1; scrape <= 4; scrape++) {
      const text = "# TYPE c counter\n" +
        Array.from({ length: 6 }, (_, i) => `c{n="${i}"} ${scrape * 10 ** i}\ng{n="${i}"} ${i}\n`).join("");
      const points = pages.begin().give(text).take();
      assert.deepEqual(
        points.filter((text) => text.startsWith("g")),
        Array.from({ length: 6 }, (_, i) => `g {n=${i},instance=x} ${i} @1`),
      );
      for (const text of points.filter((text) => text.startsWith("c"))) {
        const [, n, value] = /n=(\d).*\} (\d+) @/.exec(text)!;
        assert.equal(Number(value), 10 ** Number(n));
      }
    }
    assert.deepEqual(pages.problems, []);
  }
});
