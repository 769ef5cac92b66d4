/** What the inputs that read text have in common: numbers, times, texts that come again, and names. */
import assert from "node:assert/strict";
import { KnownTexts, NONE } from "../../../lib/inputs/decoding/known_texts.ts";
import { Naming, NamingError, type NamingOptions, type Tag } from "../../../lib/inputs/decoding/naming.ts";
import { NumberReader, TIME_UNITS, TimeReader, type TimeUnit } from "../../../lib/inputs/decoding/numbers.ts";
import { ProblemLog, shown } from "../../../lib/inputs/decoding/problems.ts";
import { type MetricRule, MetricRules } from "../../../lib/inputs/decoding/rules.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { SeriesStore } from "../../../lib/points/series_store.ts";
import { Chance } from "../../kit/bytes.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { LogLines } from "../../kit/log_lines.ts";

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("numbers are read as JavaScript reads them", () => {
  const reader = new NumberReader();
  const chance = new Chance(3);
  const texts = [
    "0",
    "-0",
    "1",
    "+1",
    "0.1",
    "5.",
    ".5",
    "123456789012345",
    "1234567890123456789",
    "9007199254740993",
    "0.30000000000000004",
    "0.000000000000000000000000001",
    "1e22",
    "1e5",
    "1E+2",
    "1e-2",
    "1.7976931348623157e308",
    "5e-324",
  ];
  for (let i = 0; i < 300; i++) {
    const value = (chance.next() - 0.5) * 10 ** Math.floor(chance.next() * 30 - 15);
    texts.push(String(value), value.toFixed(3), value.toExponential(5));
  }
  for (const text of texts) {
    for (const behind of ["", ",", "/", ":", " 5"]) {
      // What stands behind the end is not looked at.
      for (const beyond of ["9", ".5", "e5", "+5"]) {
        const bytes = encode(`7.${text}${behind}${beyond}`);
        assert.ok(Object.is(reader.float(bytes, 2, bytes.length - beyond.length), Number(text)), text);
        assert.equal(reader.offset, 2 + text.length);
      }
    }
  }
  assert.equal(reader.float(encode("1d5"), 0, 3), 1, "d is not an exponent");
});

Deno.test("a text that only could begin a number is read up to its end, and others are not", () => {
  const reader = new NumberReader();
  const endOf = (text: string) => {
    const [offset, ...others] = ["5", "+", "-"].map((beyond) => {
      assert.ok(Number.isNaN(reader.float(encode(text + beyond), 0, text.length)), text);
      return reader.offset;
    });
    assert.deepEqual(others, [offset, offset], "whatever is behind the end");
    return offset;
  };
  for (const text of ["-", ".", "+", "-.", "1e", "1E+", "1.5e-"]) {
    assert.equal(endOf(text), text.length, text);
  }
  for (const text of ["x", "e5", "--1", "+-1", "1e x", "1e+-"]) assert.ok(endOf(text) < text.length, text);
});

Deno.test("integers are exact up to 64 bits, and what is not one has no value", () => {
  const reader = new NumberReader();
  const read = (text: string) => {
    const bytes = encode(`1${text}2`);
    return [reader.integer(bytes, 1, bytes.length - 1), reader.exact];
  };
  assert.deepEqual(read("0"), [0, undefined]);
  assert.deepEqual(read("-15"), [-15, undefined]);
  assert.deepEqual(read("123456789012345"), [123456789012345, undefined]);
  assert.deepEqual(read("-12345678901234"), [-12345678901234, undefined]);
  assert.deepEqual(read("9007199254740992"), [2 ** 53, undefined]);
  assert.deepEqual(read("9007199254740993"), [2 ** 53, 2n ** 53n + 1n]);
  assert.deepEqual(read("18446744073709551615"), [2 ** 64, 2n ** 64n - 1n]);
  assert.deepEqual(read("-9223372036854775808"), [-(2 ** 63), undefined]);
  assert.deepEqual(read("0000000000000000000000012"), [12, undefined]);
  for (
    const text of [
      "",
      "-",
      "1.5",
      "5x",
      "/",
      ":",
      "1e3",
      "18446744073709551616",
      "-9223372036854775809",
      "12345678901234567x",
      "123456789012.45678",
      "00000000000000000000000012",
    ]
  ) {
    assert.deepEqual(read(text), [NaN, undefined], text);
  }
});

Deno.test("a time is so many of a unit since 1970, exact to the nanosecond", () => {
  const reader = new TimeReader();
  const read = (text: string, scale: TimeUnit) => {
    const bytes = encode(`1${text}2`);
    if (!reader.read(bytes, 1, bytes.length - 1, scale)) return undefined;
    return [reader.seconds, reader.nanos];
  };
  assert.deepEqual(read("1795608000123456789", 1_000_000_000), [1795608000, 123456789]);
  assert.deepEqual(read("1795608000123456", 1_000_000), [1795608000, 123456000]);
  assert.deepEqual(read("1795608000123", 1_000), [1795608000, 123000000]);
  assert.deepEqual(read("1795608000", 1), [1795608000, 0]);
  for (const [names, digits] of [["n ns", 9], ["u us µ", 6], ["ms", 3], ["s", 0]] as const) {
    for (const name of names.split(" ")) {
      assert.equal(TIME_UNITS[name], 10 ** digits);
      assert.deepEqual(read("1795608000" + "0".repeat(digits), TIME_UNITS[name]), [1795608000, 0], name);
    }
  }
  assert.deepEqual([TIME_UNITS.m, TIME_UNITS.h], ["m", "h"]);
  assert.deepEqual(read("29926800", "m"), [1795608000, 0]);
  assert.deepEqual(read("498780", "h"), [1795608000, 0]);
  assert.deepEqual(read("7", 1_000_000_000), [0, 7]);
  assert.deepEqual(read("7", 1_000_000), [0, 7000]);
  assert.deepEqual(read("7", 1_000), [0, 7000000]);
  assert.deepEqual(read("1000000000", 1_000_000_000), [1, 0]);
  assert.deepEqual(read("000000000000001000000001", 1_000_000_000), [1, 1], "24 digits");
  for (
    const text of [
      "",
      "0000000000000001000000001",
      "-1",
      "1.5",
      "1x",
      "/",
      ":",
      ":000000000",
      "/000000000",
      "5:",
      "5/",
    ]
  ) {
    for (const scale of [1_000_000_000, 1] as const) assert.equal(read(text, scale), undefined, text);
  }
});

/** Texts by themselves, as they lie in a buffer between others. */
class Texts {
  readonly known: KnownTexts;

  constructor(maxTexts: number, maxBytes: number) {
    this.known = new KnownTexts(maxTexts, maxBytes);
  }

  #at<T>(text: string, use: (bytes: Uint8Array, view: DataView, start: number, length: number) => T): T {
    const bytes = encode(`<<${text}>>`);
    return use(bytes, new DataView(bytes.buffer), 2, bytes.length - 4);
  }

  find(text: string, parent = NONE): number {
    return this.#at(text, (...at) => this.known.find(...at, parent));
  }

  add(text: string, parent = NONE): number {
    return this.#at(text, (...at) => this.known.add(...at, parent));
  }

  matches(number: number, text: string): boolean {
    return this.#at(
      text,
      (bytes, view, start, length) => this.known.matches(number, bytes, view, start, start + length),
    );
  }
}

Deno.test("texts are found by their bytes and their parent, whatever their length", () => {
  const texts = new Texts(10_000, 1_000_000);
  const list = ["", "a", "b", "ab", "abc", "abd", "abcd", "abce", "abcdefgh", "abcdefgi", "x".repeat(300)];
  const numbers = list.map((text) => texts.add(text));
  const below = list.map((text) => texts.add(text, numbers[1]));
  assert.equal(new Set([NONE, ...numbers, ...below]).size, 1 + 2 * list.length);
  assert.deepEqual(list.map((text) => texts.find(text)), numbers);
  assert.deepEqual(list.map((text) => texts.find(text, numbers[1])), below);
  assert.deepEqual(["c", "ac", "abcf", "abcdefg"].map((text) => texts.find(text)), [NONE, NONE, NONE, NONE]);
  assert.equal(texts.find("a", numbers[2]), NONE);
  for (const [i, number] of numbers.entries()) {
    for (const [j, text] of list.entries()) {
      assert.equal(texts.matches(number, text), text.startsWith(list[i]), `${list[i]} ${list[j]}`);
    }
  }
});

Deno.test("a text of many parents is not found below another one", () => {
  const texts = new Texts(10_000, 1_000_000);
  const numbers = Array.from({ length: 200 }, (_, i) => texts.add("value=", 1000 + i));
  for (const [i, number] of numbers.entries()) {
    assert.equal(texts.find("value=", 1000 + i), number);
    assert.equal(texts.find("value=", 2000 + i), NONE);
  }
});

Deno.test("thousands of texts of any length are kept as they are", () => {
  const texts = new Texts(100_000, 10_000_000);
  const list = Array.from({ length: 5000 }, (_, i) => `${i}${"x".repeat(i % 90)}`);
  const numbers = list.map((text) => texts.add(text));
  const store = new SeriesStore();
  numbers.forEach((number) => texts.known.setSeries(number, number + 1, store));
  assert.deepEqual(list.map((text) => texts.find(text)), numbers);
  assert.ok(numbers.every((number) => texts.known.series[number] === number + 1));
  assert.equal(texts.known.size, list.length);
  const large = "y".repeat(500_000);
  assert.equal(texts.add(large), list.length + 1);
  assert.ok(texts.matches(list.length + 1, large));
});

Deno.test("everything is forgotten for one text too many, or one byte too many, and learned again", () => {
  const list = ["a", "bb", "ccccccccc"];
  for (const [maxTexts, maxBytes] of [[3, 1000], [1000, 12]] as const) {
    const texts = new Texts(maxTexts, maxBytes);
    const { following, firsts, series } = texts.known;
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(list.map((text) => texts.find(text)), [NONE, NONE, NONE]);
      assert.deepEqual(list.map((text) => texts.add(text)), [1, 2, 3], "3 texts and 12 bytes fit");
      series[1] = 9;
      for (const guesses of [following, firsts]) guesses.set([1, 2, 3, 1]);
      assert.equal(texts.known.size, 3);
      assert.equal(texts.add("d"), 1);
      assert.equal(texts.known.size, 1);
      assert.deepEqual([...list, "d"].map((text) => texts.find(text)), [NONE, NONE, NONE, 1]);
      assert.equal(series[1], NONE);
      for (const guesses of [following, firsts]) assert.ok(guesses.every((text) => text === NONE));
      for (const text of ["eeeeeeeeee", "f"]) assert.notEqual(texts.add(text, 1), NONE);
      assert.equal(texts.known.size, 3);
      assert.equal(texts.add("h", 1), NONE, "its parent is forgotten, too");
      assert.equal(texts.known.size, 0);
    }
  }
});

/** What a name and its tags become. */
function naming(rules: Partial<MetricRule>[] = [], more: Partial<NamingOptions> = {}) {
  const store = new SeriesStore();
  const naming = new Naming({
    input: "lines",
    registry: new MetricRegistry(),
    store,
    rules: new MetricRules(rules.map((rule) => ({ metric: "*", ...rule }) as MetricRule)),
    maxMetrics: 4096,
    maxNameBytes: 25,
    ...more,
  });
  return {
    naming,
    store,
    find(name: string, ...tags: Tag[]): string {
      const { metric, resourceKind, resourceId, consumerKind, consumerId, attributes } = store.definitionOf(
        naming.find(name, tags),
      );
      const places = `${resourceKind}/${resourceId} ${consumerKind}/${consumerId}`;
      return [metric.name, places, ...attributes.map(([key, value]) => `${key}=${value}`)].join(" ");
    },
  };
}

Deno.test("a tag is an attribute once; those of resource and consumer, and those in rules, are not", () => {
  const { find } = naming([{ metric: "r", resource: "gpu/{gpu}/{no}", consumer: "job" }]);
  assert.equal(find("m", ["a", "1"], ["b", "2"], ["a", "3"]), "m local_machine/ local_machine/ a=1 b=2");
  assert.equal(
    find("m", ["resource_kind", "gpu"], ["resource_id", "0"], ["consumer_kind", "job"], ["consumer_id", "1"]),
    "m gpu/0 job/1",
  );
  assert.equal(
    find("m", ["resource_consumer_kind", "job"], ["resource_consumer_id", "1"], ["toString", "2"]),
    "m local_machine/ job/1 toString=2",
  );
  assert.equal(find("r", ["gpu", "0"], ["a", "1"]), "r gpu/0/ job/ a=1");
  assert.equal(find("r", ["gpu", "0"], ["consumer_kind", "process"]), "r gpu/0/ process/");
  assert.equal(naming([{ resource: "{kind}/{id}" }]).find("m", ["id", "1"]), "m /1 local_machine/");
  assert.equal(find("m", ["relay_client", "x"]), "m local_machine/ local_machine/");
});

Deno.test("names of metrics, kinds and tags have a longest length, and values have none", () => {
  const { find } = naming([{ metric: "r", resource: "{a}/1", consumer: "{b}" }]);
  const [most, more] = ["x".repeat(25), "y".repeat(26)];
  assert.equal(find(most, [most, more]), `${most} local_machine/ local_machine/ ${most}=${more}`);
  assert.equal(find("r", ["a", most], ["b", most]), `r ${most}/1 ${most}/`);
  for (
    const [what, refused] of [
      ["metric", () => find(more)],
      ["tag", () => find("m", [more, "1"])],
      ["kind", () => find("r", ["a", more], ["b", "1"])],
      ["kind", () => find("r", ["a", "1"], ["b", more])],
    ] as const
  ) {
    assert.throws(refused, new NamingError(`the name of a ${what} has more than 25 bytes`));
  }
});

Deno.test("one metric too many for the whole process is refused as one too many for the input is", () => {
  const { find } = naming([], { registry: new MetricRegistry(1) });
  assert.equal(find("m"), "m local_machine/ local_machine/");
  assert.throws(() => find("n"), new NamingError("Cannot register metric n: there are 1 metrics already"));
});

Deno.test("a sender is held as long as it sends, and the input as long as it runs", () => {
  const { naming: names, store } = naming();
  const { size } = store.names;
  for (const sender of ["10.0.0.1", "10.0.0.1", "10.0.0.2", undefined, "10.0.0.1"]) {
    names.sender = sender;
    assert.equal(store.names.size, sender === undefined ? size : size + 1);
  }
  names[Symbol.dispose]();
  assert.equal(store.names.size, size - 1);
});

Deno.test("an address that brings many metrics leaves room for those of others, and may use theirs", () => {
  const store = new SeriesStore();
  using naming = new Naming({
    input: "lines",
    registry: new MetricRegistry(),
    store,
    rules: new MetricRules([]),
    maxMetrics: 6,
    maxMetricsOfSender: 2,
    maxNameBytes: 25,
  });
  const bring = (sender: string | undefined, ...names: string[]) => {
    naming.sender = sender;
    return names.map((name) => {
      try {
        return typeof naming.find(name, []);
      } catch (error) {
        return error instanceof NamingError ? error.message : error;
      }
    });
  };
  const full = "this address has brought 2 metrics already (limits.metrics_per_address)";
  assert.deepEqual(bring("10.0.0.1", "a", "b", "c", "a"), ["number", "number", full, "number"]);
  assert.deepEqual(bring("10.0.0.2", "a", "c", "d", "e"), ["number", "number", "number", full]);
  assert.deepEqual(bring("10.0.0.1", "c", "e"), ["number", full]);
  const none = "there are 6 metrics already (limits.metrics)";
  assert.deepEqual(bring(undefined, "e", "f", "g"), ["number", "number", none], "files have no share");
});

Deno.test("an address that may bring one metric brings one", () => {
  const { naming: names, find } = naming([], { maxMetricsOfSender: 1 });
  names.sender = "10.0.0.1";
  assert.equal(find("a"), "a local_machine/ local_machine/");
  assert.throws(() => find("b"), /this address has brought 1 metrics already/);
});

Deno.test("a metric has the unit that a rule gives it, or none", () => {
  const rules = new MetricRules([{ metric: "p*", unit: "kW" }].map((rule) => ({
    ...{ type: undefined, resource: undefined, consumer: undefined },
    ...rule,
  })));
  assert.deepEqual(rules.of("power").unit, { base: "W", prefix: "kilo" });
  assert.deepEqual([rules.of("other").unit, new MetricRules([]).of("power").unit], [undefined, undefined]);
});

Deno.test("of a text of others a message shows 80 characters", () => {
  const text = "0123456789".repeat(8);
  assert.deepEqual([shown(text), shown(`${text}x`)], [`"${text}"`, `"${text}…"`]);
});

Deno.test("problems are counted, and said with the line, once a minute with how many there were", () => {
  const logs = new LogLines();
  const clock = new FakeClock();
  const stats = { points: 0, badLines: 0, refusedPoints: 0, skippedTexts: 0 };
  const problems = new ProblemLog(logs.log, clock, stats);
  const [one, other] = ["/a", "/b"].map((path) => problems.of({ path }));
  for (let line = 1; line <= 3; line++) {
    one.badLine(line, "it is odd");
    other.refusedPoint(line, "it is large");
  }
  other.refusedPoint(4, "it is large");
  assert.deepEqual(stats, { points: 0, badLines: 3, refusedPoints: 4, skippedTexts: 0 });
  assert.equal(
    logs.matching(/WARN.*Cannot read a line, .*path=\/a line=1 reason="it is odd" lines=1/).length,
    1,
  );
  assert.equal(logs.matching(/WARN.*Cannot use a value, .*path=\/b line=1 .*points=1/).length, 1);
  clock.spend(60_000);
  problems.catchUp();
  assert.equal(logs.matching(/WARN.*Cannot read some lines.*lines=2/).length, 1);
  assert.equal(logs.matching(/WARN.*Cannot use some values.*points=3/).length, 1);
});
