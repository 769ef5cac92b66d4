import assert from "node:assert/strict";
import { didYouMean, editDistance, nearest } from "../../lib/base/suggest.ts";

Deno.test("nearest finds typing errors and nothing else", () => {
  const names = ["relay-client", "relay-server", "csv", "procfs"];
  assert.equal(nearest("relay-cleint", names), "relay-client");
  assert.equal(nearest("relay_server", names), "relay-server");
  assert.equal(nearest("CSV", names), "csv");
  assert.equal(nearest("cvs", names), "csv");
  assert.equal(nearest("rapl", names), undefined);
  assert.equal(nearest("", names), undefined);
  assert.equal(editDistance("ca", "abc"), 3);
  assert.equal(editDistance("abcd", "abdc"), 1);
  assert.equal(editDistance("", "abc"), 3);
  assert.equal(editDistance("abc", ""), 3);
  for (
    const [a, b] of [["abc", "ab"], ["abc", "bc"], ["ab", "abc"], ["ba", "ab"], ["bac", "abc"], ["ac", "ab"]]
  ) {
    assert.equal(editDistance(a, b), 1, `${a} and ${b}`);
  }
});

Deno.test("a third of a word may be wrong, at least one letter, and the nearest of several is meant", () => {
  assert.equal(nearest("abcdef", ["abcxyf"]), "abcxyf");
  assert.equal(nearest("abcdef", ["abxyzf"]), undefined);
  assert.equal(nearest("ab", ["ax", "ay"]), "ax");
  assert.equal(nearest("ab", ["xy"]), undefined);
  assert.equal(nearest("abc", ["axc", "abc"]), "abc");
  assert.equal(didYouMean("cvs", ["csv"]), "; did you mean csv?");
  assert.equal(didYouMean("cvs", ["rapl"]), "");
});
