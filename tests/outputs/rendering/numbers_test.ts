import assert from "node:assert/strict";
import {
  compareTexts,
  formatAttribute,
  formatF64,
  isPlainInteger,
  jsonF64,
  putF64,
  putInteger,
  putText,
  putUtf8,
  RowBuffer,
} from "../../../lib/outputs/rendering/numbers.ts";
import { renderAttributes } from "../../../lib/outputs/rendering/attributes.ts";
import { valueProblems } from "../../../lib/outputs/rendering/u64.ts";
import { type Attribute, seriesOf } from "../../../lib/points/measurement.ts";
import { Chance } from "../../kit/bytes.ts";
import { metricOf } from "../../kit/decode.ts";
import { batchOf } from "../../kit/points.ts";

Deno.test("texts are compared as their bytes are, and one that ends sooner comes first", () => {
  const ordered = ["", "a", "ab", "b", "\u0080", "é", "\ue000", "🔋"];
  for (const [i, one] of ordered.entries()) {
    for (const [j, other] of ordered.entries()) {
      assert.equal(Math.sign(compareTexts(one, other)), Math.sign(i - j), `${one} ${other}`);
    }
  }
});

Deno.test("texts become UTF-8, whichever character is the first that is not ASCII", () => {
  for (const text of ["", "abc", "a\u007f", "a\u0080", "\u0080", "aé🔋"]) {
    const bytes = new Uint8Array(40).fill(1);
    const expected = new TextEncoder().encode(text);
    assert.equal(putUtf8(bytes, 3, text), 3 + expected.length);
    assert.deepEqual(bytes.subarray(3, 3 + expected.length), expected);
    assert.equal(bytes[3 + expected.length], 1, "nothing is written behind it");
  }
});

Deno.test("numbers are written as they read, at each length", () => {
  for (let digits = 1; digits <= 16; digits++) {
    for (const value of [10 ** (digits - 1), 10 ** digits - 1].filter((value) => value <= 2 ** 53)) {
      const bytes = new Uint8Array(20);
      assert.equal(new TextDecoder().decode(bytes.subarray(0, putInteger(bytes, 0, value))), String(value));
    }
  }
  assert.deepEqual([NaN, -0, Infinity, -Infinity, 1e21, -1.5e-7, 1.25].map(formatF64), [
    ...["NaN", "-0", "inf", "-inf", "1000000000000000000000", "-0.00000015", "1.25"],
  ]);
});

Deno.test("a plain integer is written as a f64 is, and whatever would be another text is none", () => {
  for (const value of [0, 1, 9, 10, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53]) {
    assert.ok(isPlainInteger(value), `${value}`);
    const bytes = new Uint8Array(20);
    assert.equal(
      new TextDecoder().decode(bytes.subarray(0, putInteger(bytes, 0, value))),
      formatF64(value),
    );
  }
  for (const value of [-0, -1, 0.5, 1.5, 2 ** 53 + 2, 1e300, NaN, Infinity, -Infinity, 5e-324]) {
    assert.ok(!isPlainInteger(value), `${value}`);
  }
});

Deno.test("any f64 is put as it is formatted: with up to three places, with more, and where a text of them would be longer", () => {
  const chance = new Chance(5);
  const values = [0, -0, 0.001, 0.0005, 0.999, 1.05, 1.005, 0.57, 1e-7, 0.3, 0.1 + 0.2, NaN, Infinity, -0.5];
  for (let n = 0; n < 5000; n++) {
    const thousandths = chance.int(10 ** chance.int(16));
    const value = thousandths / 1000;
    values.push(value, value * (1 + Number.EPSILON), -value, thousandths / 10_000, value + 1e12, value * 1e6);
  }
  const bytes = new Uint8Array(400);
  for (const value of values) {
    assert.equal(new TextDecoder().decode(bytes.subarray(1, putF64(bytes, 1, value))), formatF64(value));
  }
});

Deno.test("a f64 in JSON is read as a float of the same bits; what JSON has not, as infinity or null", () => {
  const texts: [number, string][] = [
    [0, "0.0"],
    [-0, "-0.0"],
    [1, "1.0"],
    [-7, "-7.0"],
    [0.1, "0.1"],
    [1e21, "1e+21"],
    [1e-7, "1e-7"],
    [2 ** 53, "9007199254740992.0"],
    [Infinity, "9e999"],
    [-Infinity, "-9e999"],
  ];
  for (const [value, text] of texts) {
    assert.equal(jsonF64(value), text);
    assert.ok(Object.is(JSON.parse(text), value));
  }
  assert.equal(jsonF64(NaN), "null");
});

Deno.test("text is put where it belongs, and nothing behind it", () => {
  const bytes = new Uint8Array(8).fill(1);
  assert.equal(putText(bytes, 2, "abc"), 5);
  assert.deepEqual([...bytes], [1, 1, 97, 98, 99, 1, 1, 1]);
});

Deno.test("attributes are written as numbers, words, texts, and lists in brackets", () => {
  const texts = [[-0, "-0"], [1e21, "1000000000000000000000"], [
    2n ** 64n - 1n,
    "18446744073709551615",
  ]] as const;
  for (const [value, text] of texts) assert.equal(formatAttribute(value), text);
  assert.deepEqual([true, false, "a, b", [], [1n, 2n]].map(formatAttribute), [
    "true",
    "false",
    "a, b",
    "[]",
    "[1, 2]",
  ]);
});

Deno.test("a buffer with room stays, and one without becomes as long as it must be", () => {
  const buffer = new RowBuffer(4);
  buffer.bytes.set([1, 2, 3, 4]);
  buffer.length = 3;
  const { bytes, view } = buffer;
  for (const count of [0, 1]) {
    buffer.reserve(count);
    assert.ok(buffer.bytes === bytes && buffer.view === view);
  }
  buffer.reserve(2);
  assert.deepEqual([...buffer.bytes], [1, 2, 3, 0, 0]);
  assert.equal(buffer.view.buffer, buffer.bytes.buffer);
});

Deno.test("attributes are an object of JSON, the last of equal names counts, and the client has a place of its own", () => {
  const all: Attribute[] = [
    ...[["relay_client", "node-1"], ["s", 'q"'], ["f", 0.5], ["u", 2n ** 64n - 1n], ["b", false]] as const,
    ...[["l", [1n, 2n ** 60n]], ["s", "last"], ["nan", NaN]] as const,
  ];
  assert.deepEqual(renderAttributes(all), {
    client: "node-1",
    json: '{"s":"last","f":0.5,"u":18446744073709551615,"b":false,"l":[1,1152921504606846976],"nan":null}',
  });
  assert.deepEqual(renderAttributes([]), { client: "", json: "{}" });
  assert.deepEqual(renderAttributes([["relay_client", 7n]]), { client: "", json: '{"relay_client":7}' });
});

Deno.test("a value that is no exact u64 cannot be stored for a metric of that type, and any double for others", () => {
  const [u64, f64] = [seriesOf(metricOf("count", "u64")), seriesOf(metricOf("power", "f64"))];
  const exact = [0, 1, 2 ** 53, 2n ** 53n + 1n, 2n ** 64n - 1n];
  const others = [-1, 0.5, NaN, Infinity, 2 ** 53 + 2];
  assert.deepEqual(valueProblems(batchOf([...exact, ...others].map((value) => [u64, value]))), [
    ...["-1", "0.5", "NaN", "inf", "9007199254740994"].map((text, i) => ({
      row: exact.length + i,
      reason: `the metric has values of type u64, and ${text} is not an exact one`,
    })),
  ]);
  assert.deepEqual(valueProblems(batchOf([[u64, -1]])).map(({ row }) => row), [0]);
  assert.deepEqual(valueProblems(batchOf([0, ...others].map((value) => [f64, value]))), []);
});
