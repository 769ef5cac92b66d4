import assert from "node:assert/strict";
import { available, connectionsWithin, descriptors, parseLimit } from "../../lib/net/descriptors.ts";
import { linux, needs } from "../kit/needs.ts";

const limits = (soft: string) =>
  `Limit                     Soft Limit           Hard Limit           Units
Max processes             127431               127431               processes
Max open files            ${soft}                 524288               files
Max locked memory         8388608              8388608              bytes
`;

Deno.test("the limit of open files is read from /proc", () => {
  assert.equal(parseLimit(limits("64")), 64);
  assert.equal(parseLimit(limits("unlimited")), Infinity);
  assert.equal(parseLimit("Max processes 1 1 processes\n"), null);
});

Deno.test("a part of the descriptors stays for the process itself", () => {
  assert.equal(available({ limit: 64, used: 20 }), 12);
  assert.equal(available({ limit: 64, used: 60 }), 1, "one client is always possible");
  assert.equal(available({ limit: 10_000, used: 100 }), 8900);
  assert.equal(available({ limit: Infinity, used: 100 }), Infinity);
});

Deno.test("a listener beside the relay's takes a quarter of what is left, where it wants more", () => {
  assert.equal(connectionsWithin(256, { limit: 64, used: 20 }), 3);
  assert.equal(connectionsWithin(256, { limit: 64, used: 60 }), 1);
  assert.equal(connectionsWithin(256, { limit: 524_288, used: 60 }), 256);
  assert.equal(connectionsWithin(256, null), 256);
});

Deno.test({
  name: "an open file counts as used",
  ...needs(linux),
  fn() {
    const before = descriptors()!;
    using _listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const after = descriptors()!;
    assert.equal(after.used, before.used + 1);
    assert.equal(after.limit, before.limit);
  },
});
