import assert from "node:assert/strict";
import { difference, product, Scanner, sum, textOf } from "../../../lib/inputs/polling/scan.ts";

function numbers(text: string): unknown[] {
  const scanner = new Scanner();
  const bytes = new TextEncoder().encode(text);
  scanner.start(bytes, bytes.length);
  const found: unknown[] = [];
  for (let value; (value = scanner.number()) !== undefined;) found.push(value);
  return found;
}

Deno.test("numbers are exact up to 2^64 - 1; what is negative or larger is NaN, and does not end the line", () => {
  assert.deepEqual(
    numbers(
      "0 00012 9007199254740993 18446744073709551615 18446744073709551616 -5\t" + "9".repeat(9999) + " 3 x 4",
    ),
    [0, 12, 9007199254740993n, 18446744073709551615n, NaN, NaN, NaN, 3],
  );
  assert.deepEqual(numbers("-"), []);
  assert.deepEqual(numbers("0".repeat(50) + "7"), [7]);
});

Deno.test("differences, products and sums are exact, and NaN where something is not a whole number", () => {
  const large = 2n ** 63n;
  assert.equal(difference(large + 1n, large), 1);
  assert.equal(difference(large, 5), large - 5n);
  assert.equal(difference(5, large), undefined);
  assert.equal(product(2 ** 53, 1024), 2n ** 63n);
  assert.equal(product(3, 1.5), 4.5);
  assert.equal(sum(2 ** 53, 1), 2n ** 53n + 1n);
  assert.equal(sum(large, large), 2n ** 64n);
  for (const value of [NaN, Infinity]) {
    for (const other of [1, large]) {
      assert.ok(!Number.isFinite(difference(value, other)));
      assert.ok(!Number.isFinite(product(value, 1024)));
      assert.ok(!Number.isFinite(sum(value, other)));
    }
  }
});

Deno.test("bytes that are not UTF-8 are shown, so that two names do not become one", () => {
  assert.equal(textOf(new TextEncoder().encode("größe")), "größe");
  assert.equal(textOf(new Uint8Array([101, 0xff, 0xc3])), "e\\xff\\xc3");
});
