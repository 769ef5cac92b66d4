import assert from "node:assert/strict";
import { openKept } from "../../../lib/agent/kept.ts";
import { general } from "../../../lib/config/general.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { copyOf, drain, fill, open, range } from "../../kit/journal.ts";
import { LogLines } from "../../kit/log_lines.ts";
import { TempDir } from "../../kit/temp_dir.ts";

/** A journal with points 0 to 9, of which output `a` has taken five, and closed. */
async function tenPoints(directory: string): Promise<void> {
  await using journal = await open(directory, { outputs: ["a"] });
  const reader = journal.reader("a");
  await fill(journal, 10);
  await drain(reader, 5);
}

Deno.test("a new output beside an old one begins with the next point, which is logged", async () => {
  await using dir = new TempDir();
  await tenPoints(dir.path);
  const logs = new LogLines();
  await using journal = await open(dir.path, { outputs: ["a", "b"], log: logs.log });
  const [a, b] = [journal.reader("a"), journal.reader("b")];
  assert.equal(b.pendingPoints, 0);
  await fill(journal, 3, 10);
  assert.deepEqual(await drain(b), range(10, 13));
  assert.deepEqual(await drain(a), range(5, 13));
  assert.equal(
    logs.matching(/A new output begins with the next point; .* output=b passed_over=10/).length,
    1,
  );
});

Deno.test("with new_outputs = oldest a new output gets all points in the journal, which is logged", async () => {
  await using dir = new TempDir();
  await tenPoints(dir.path);
  const logs = new LogLines();
  await using journal = await open(dir.path, { outputs: ["a", "b"], newOutputs: "oldest", log: logs.log });
  assert.deepEqual(await drain(journal.reader("b")), range(0, 10));
  assert.equal(logs.matching(/A new output begins with the oldest point.* output=b points=10/).length, 1);
});

Deno.test("an output that replaces the only one takes over what that had not taken", async () => {
  await using dir = new TempDir();
  await tenPoints(dir.path);
  const logs = new LogLines();
  await using journal = await open(dir.path, { outputs: ["b"], log: logs.log });
  assert.deepEqual(await drain(journal.reader("b")), range(5, 10));
  assert.equal(logs.matching(/takes over the points of .* output=b before=a points=5/).length, 1);
});

Deno.test("a new output that took nothing before a crash gets everything since it began, and nothing older", async () => {
  await using dir = new TempDir();
  await tenPoints(dir.file("live"));
  await using live = await open(dir.file("live"), { outputs: ["a", "b"] });
  live.reader("a");
  live.reader("b");
  await fill(live, 3, 10);
  // As after a crash, before a cursor was saved by the clock.
  await copyOf(dir.file("live"), dir.file("copy"));
  const logs = new LogLines();
  await using journal = await open(dir.file("copy"), { outputs: ["a", "b"], log: logs.log });
  assert.deepEqual(await drain(journal.reader("b")), range(10, 13));
  assert.deepEqual(logs.matching(/new output/), []);
});

Deno.test("an output that has taken nothing is not new after a restart", async () => {
  await using dir = new TempDir();
  for (const first of [0, 2]) {
    await using journal = await open(dir.file("live"), { outputs: ["a", "b"] });
    journal.reader("a");
    await fill(journal, 2, first);
    await copyOf(dir.file("live"), dir.file(`copy${first}`));
  }
  await using journal = await open(dir.file("copy2"), { outputs: ["a", "b"] });
  assert.deepEqual(await drain(journal.reader("b")), range(0, 4));
});

Deno.test("in a journal that does not list its outputs, no output is new", async () => {
  await using dir = new TempDir();
  {
    await using journal = await open(dir.path);
    const reader = journal.reader("a");
    await fill(journal, 4);
    await drain(reader, 2);
  }
  await using journal = await open(dir.path, { outputs: ["a", "b"] });
  assert.deepEqual(await drain(journal.reader("a")), range(2, 4));
  assert.deepEqual(await drain(journal.reader("b")), range(0, 4));
});

Deno.test("a process tells its journal its outputs, and its configuration of new ones", async () => {
  await using dir = new TempDir();
  const base = { path: dir.path, from: "HOME" };
  const kept = (outputs: string[], new_outputs: "now" | "oldest") =>
    openKept({ ...general.defaultValue().journal, new_outputs }, base, "server", {
      log: new LogLines().log,
      registry: new MetricRegistry(),
      outputs,
      stages: [],
      onFull: "block",
      onDrop: () => {},
    });
  await tenPoints(dir.file("server/journal"));
  {
    await using now = await kept(["a", "b"], "now");
    assert.deepEqual(await drain(now.journals[0].reader("b")), []);
  }
  await using all = await kept(["a", "c"], "oldest");
  assert.deepEqual(await drain(all.journals[0].reader("c")), range(0, 10));
});
