import assert from "node:assert/strict";
import {
  bytesOf,
  difference,
  eachLabelled,
  product,
  Scanner,
  sum,
  textOf,
} from "../../../lib/inputs/polling/scan.ts";

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
  assert.deepEqual(numbers("9007199254740992 0000000000000000000000"), [9007199254740992, 0]);
  assert.deepEqual(numbers("-"), []);
  assert.deepEqual(numbers("12:3"), [12]);
  assert.deepEqual(numbers("0".repeat(50) + "7"), [7]);
});

Deno.test("differences, products and sums are exact, and NaN where something is not a whole number", () => {
  const large = 2n ** 63n;
  assert.equal(difference(7, 5), 2);
  for (const value of [0, 5, large]) assert.equal(difference(value, value), 0);
  assert.equal(product(3, 3002399751580331), 2n ** 53n + 1n);
  assert.equal(sum(large, 1), large + 1n);
  assert.equal(sum(2, large), large + 2n);
  assert.equal(sum(2, 3), 5);
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
  assert.equal(textOf(new Uint8Array([101, 0xff, 0xc3, 0x80, 127])), "e\\xff\\xc3\\x80\x7f");
});

Deno.test("fields of a line are found by what stands before them, and of no other line", () => {
  const scanner = new Scanner();
  const text = bytesOf("cpu 12 3\nin: 5 out: 6\nout: 7\nlast 8");
  scanner.start(text, text.length);
  assert.ok(scanner.startsWith(bytesOf("cpu")) && !scanner.startsWith(bytesOf("cpu12")));
  assert.ok(!scanner.skipTo(bytesOf("out:")));
  assert.equal(scanner.position, 0);
  assert.ok(scanner.skipTo(bytesOf("cpu")));
  assert.deepEqual([scanner.number(), scanner.number(), scanner.number()], [12, 3, undefined]);
  assert.ok(scanner.nextLine());
  assert.ok(scanner.skipTo(bytesOf("out:")));
  assert.deepEqual([scanner.number(), scanner.nextLine(), scanner.position], [
    6,
    true,
    text.indexOf(10, 12) + 1,
  ]);
  assert.ok(
    scanner.startsWith(bytesOf("out: 7\nlast 8")) && !scanner.startsWith(bytesOf("out: 7\nlast 8\n")),
  );
  assert.deepEqual([scanner.nextLine(), scanner.startsWith(bytesOf("last")), scanner.nextLine()], [
    true,
    true,
    false,
  ]);
  assert.equal(scanner.position, text.length);
  // What is behind the end does not count.
  scanner.start(bytesOf("a 12345\nb 1"), 4);
  assert.ok(scanner.skipTo(bytesOf("a")));
  assert.deepEqual([scanner.number(), scanner.nextLine(), scanner.position], [12, false, 4]);
  scanner.start(bytesOf("a 12345\nb 1"), 4);
  assert.ok(scanner.startsWith(bytesOf("a 12")) && !scanner.startsWith(bytesOf("a 123")));
  scanner.start(bytesOf("ab\ncd"), 2);
  assert.deepEqual([scanner.nextLine(), scanner.position], [false, 2]);
  scanner.start(bytesOf("\nb 1"), 4);
  assert.deepEqual([scanner.nextLine(), scanner.position], [true, 1]);
});

Deno.test("labelled values are in bytes, whatever unit they are written in, in the order of the lines", () => {
  const text = bytesOf(
    "MemTotal:  2 kB\nOther: 9 kB\nB: 3 MB\nC: 5 gb\nD: 7\nE: 8 x\nF: x\nMemTotal: 18446744073709551615\n" +
      "C:18014398509481984 kB\nB: 11k\nD: 4 ",
  );
  const labels = ["MemTotal:", "B:", "C:", "D:", "E:", "F:"].map(bytesOf);
  const scanner = new Scanner();
  const found: [number, unknown][] = [];
  scanner.start(text, text.length);
  eachLabelled(scanner, labels, (label, value) => found.push([label, value]));
  assert.deepEqual(found, [
    [0, 2048],
    [1, 3 * 2 ** 20],
    [2, 5 * 2 ** 30],
    [3, 7],
    [4, 8],
    [0, 2n ** 64n - 1n],
    [2, 2n ** 64n],
    [1, 11],
    [3, 4],
  ]);
  scanner.start(text, 0);
  eachLabelled(scanner, labels, () => assert.fail("of nothing"));
});

Deno.test("the unit of a value stands in its own line, before the end of the text", () => {
  const scanner = new Scanner();
  const values = (text: string, length = text.length) => {
    const found: unknown[] = [];
    scanner.start(bytesOf(text), length);
    eachLabelled(scanner, [bytesOf("A:"), bytesOf("B:")], (_, value) => found.push(value));
    return found;
  };
  assert.deepEqual(values("A: 7\nkey: 1\nB: 8 jiffies\nA: 9 l\nB: 3 k"), [7, 8, 9, 3072]);
  assert.deepEqual(values("A: 4 kB", 5), [4], "what stands behind the end does not count");
  assert.deepEqual(values("A: 4 kB", 6), [4096]);
});
