import assert from "node:assert/strict";
import { compareBytes, formatF64, putInteger, putUtf8 } from "../../../lib/outputs/rendering/numbers.ts";

Deno.test("texts are compared as their bytes are, and one that ends sooner comes first", () => {
  const ordered = ["", "a", "ab", "b", "\u0080", "é", "\ue000", "🔋"];
  for (const [i, one] of ordered.entries()) {
    for (const [j, other] of ordered.entries()) {
      assert.equal(Math.sign(compareBytes(one, other)), Math.sign(i - j), `${one} ${other}`);
    }
  }
});

Deno.test("texts become UTF-8, whichever character is the first that is not ASCII", () => {
  for (const text of ["", "abc", "a\u007f", "a\u0080", "\u0080", "aé🔋"]) {
    const bytes = new Uint8Array(40).fill(1);
    const expected = new TextEncoder().encode(text);
    assert.equal(putUtf8(bytes, 3, text), 3 + expected.length);
    assert.deepEqual(bytes.subarray(3, 3 + expected.length), expected);
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
