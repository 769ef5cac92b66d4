import assert from "node:assert/strict";
import { Findings } from "../../../lib/inputs/polling/findings.ts";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import { NumberFile } from "../../../lib/inputs/polling/number_file.ts";
import { Retry } from "../../../lib/inputs/polling/retry.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { LogLines } from "../../kit/log_lines.ts";
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

Deno.test("a file has one number, as the kernel writes it, or none, and the reason", () => {
  using tree = new Tree(null);
  const read = (text: string | null, how: "count" | "number") => {
    if (text !== null) tree.write("sys/value", text);
    const file = new NumberFile(new ProcFiles(tree, new FakeClock()), `${tree.sys}/value`);
    const value = file[how]();
    const failure = file.failure;
    file.close();
    return failure ?? value;
  };
  assert.deepEqual(
    [read(null, "number"), read("", "number")],
    ["gone", "gone"],
    "an empty one is as good as none",
  );
  for (const [text, value] of [["-5\n", -5], ["+5", 5], ["7", 7], ["0\n", 0]] as const) {
    assert.equal(read(text, "number"), value, text);
  }
  const most = String(Number.MAX_SAFE_INTEGER);
  assert.deepEqual([read(`-${most}\n`, "number"), read(`9${most}`, "number")], [-most, "failed"]);
  for (const text of ["x", "5 6", "1.5", "--5"]) assert.equal(read(text, "number"), "failed", text);
  assert.deepEqual([read("7", "count"), read("", "count"), read("x", "count")], [7, "gone", "failed"]);
});

Deno.test("a number that is not there is a failure like a file that cannot be read, and ends with the next number", () => {
  using tree = new Tree(null);
  const clock = new FakeClock();
  tree.write("sys/value", "x");
  const file = new NumberFile(new ProcFiles(tree, clock), `${tree.sys}/value`);
  assert.equal(file.number(), undefined);
  tree.write("sys/value", "5");
  assert.deepEqual([file.number(), file.failure], [undefined, "failed"], "it is not tried at once");
  clock.spend(500);
  assert.deepEqual([file.number(), file.failure], [5, undefined]);
  file.close();
});

Deno.test("what was found is said once, and again when it is otherwise or was forgotten", () => {
  const logs = new LogLines();
  const findings = new Findings(logs.log);
  const said = () => logs.matching(/.*/).length;
  findings.measured("a sensor", "/a");
  findings.measured("a sensor", "/a");
  assert.equal(said(), 1);
  findings.denied("a sensor", "/a", "chmod");
  findings.denied("a sensor", "/a", "chmod");
  assert.equal(said(), 2);
  findings.forget("a sensor", "/a");
  findings.denied("a sensor", "/a", "chmod");
  assert.equal(said(), 3);
  assert.deepEqual(findings.list.map(({ what, problem }) => [what, problem]), [[
    "a sensor",
    "permission denied",
  ]]);
});

Deno.test("4,096 findings are kept, and of these changes", () => {
  const findings = new Findings(new LogLines().log);
  for (let n = 0; n < 5000; n++) findings.usual("a file", `/${n}`);
  assert.equal(findings.list.length, 4096);
  findings.failed("a file", "/0", "it is broken");
  assert.equal(findings.list[0].problem, "it is broken");
});
