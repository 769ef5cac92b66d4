import assert from "node:assert/strict";
import { editDistance, nearest } from "../../lib/base/suggest.ts";

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
});
