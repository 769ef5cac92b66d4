import assert from "node:assert/strict";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import { NumberFile } from "../../../lib/inputs/polling/number_file.ts";
import { Retry } from "../../../lib/inputs/polling/retry.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { Tree } from "../../kit/tree.ts";

Deno.test("a file that cannot be read is tried less and less often, ten seconds apart at most, until it can be read", () => {
  using tree = new Tree(null);
  tree.write("sys/power1_input", "12\n");
  const clock = new FakeClock();
  let isBroken = true;
  const triedAt: number[] = [];
  const open = (path: string) => {
    triedAt.push(clock.monotonicMs() / 1000);
    if (isBroken) throw new Error("Input/output error (os error 5)");
    return Deno.openSync(path);
  };
  const files = new ProcFiles({ ...tree, open }, clock);
  const file = new NumberFile(files, `${tree.sys}/power1_input`);
  for (let second = 0; second < 40; second++) {
    assert.equal(file.count(), undefined);
    assert.equal(file.failure, "failed");
    clock.spend(1000);
  }
  assert.deepEqual(triedAt, [0, 1, 2, 4, 8, 16, 26, 36]);
  isBroken = false;
  clock.spend(6000);
  assert.equal(file.count(), 12);
  assert.equal(file.failure, undefined);
  tree.write("sys/power1_input", "13\n");
  assert.equal(file.count(), 13, "it is read at each poll again");
  file.close();
});

Deno.test("after a failure it is due in half a second, whatever failed before the last success", () => {
  const clock = new FakeClock();
  const retry = new Retry(clock);
  for (const failures of [1, 1, 2]) {
    assert.ok(retry.isDue);
    for (let n = 0; n < failures; n++) retry.failed();
    clock.spend(500 * failures - 1);
    assert.ok(!retry.isDue);
    clock.spend(1);
    assert.ok(retry.isDue);
    retry.succeeded();
  }
});
