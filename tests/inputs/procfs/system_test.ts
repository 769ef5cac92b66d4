import assert from "node:assert/strict";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import { parseAuxv, systemFacts } from "../../../lib/inputs/procfs/system.ts";
import { Tree } from "../../kit/tree.ts";

Deno.test("page size and ticks come from the auxiliary vector", () => {
  const words = new BigUint64Array([33n, 1n, 6n, 65536n, 17n, 250n, 0n, 0n, 6n, 1n]);
  assert.deepEqual(parseAuxv(new Uint8Array(words.buffer)), { pageSize: 65536, ticksPerSecond: 250 });
  using tree = new Tree();
  assert.deepEqual(systemFacts(new ProcFiles(tree)), { pageSize: 4096, ticksPerSecond: 100 });
});

Deno.test("of the auxiliary vector only two words are taken, where they say something", () => {
  const facts = (...words: bigint[]) => {
    const { pageSize, ticksPerSecond } = parseAuxv(new Uint8Array(new BigUint64Array(words).buffer));
    return [pageSize, ticksPerSecond];
  };
  assert.deepEqual(facts(17n, 250n, 33n, 5n, 6n, 65536n), [65536, 250], "it may end without a mark");
  assert.deepEqual(facts(6n, 0n, 17n, 0n), [4096, 100]);
  assert.deepEqual(facts(6n, 1n, 17n, 1n), [1, 1]);
  assert.deepEqual(facts(6n), [4096, 100], "half of a pair");
});
