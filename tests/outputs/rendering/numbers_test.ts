import assert from "node:assert/strict";
import {
  compareTexts,
  formatAttribute,
  formatF64,
  isPlainInteger,
  jsonF64,
  putInteger,
  putText,
  putUtf8,
  RowBuffer,
} from "../../../lib/outputs/rendering/numbers.ts";

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
