import assert from "node:assert/strict";
import { PROCESS_CLOCK } from "../../lib/base/clock.ts";
import { createLogger } from "../../lib/base/log.ts";
import { MemoryJournal } from "../../lib/journal.ts";
import { Batch, BatchPool, MAX_SECONDS } from "../../lib/points/measurement.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { Pipeline } from "../../lib/transforms/pipeline.ts";
import { Rewriter, type Rewriting } from "../../lib/transforms/rewriting.ts";
import { FakeClock } from "../kit/fake_clock.ts";
import { instanceOf, numbered, NUMBERS } from "../kit/points.ts";

/** A pipeline with a transform that rewrites every batch that way, and what an output reads behind it. */
function setUp(rewriting: Rewriting, write: (line: string) => void = () => {}) {
  const journal = new MemoryJournal({ limitBytes: 2 ** 20, onFull: "block" });
  const reader = journal.reader("out");
  const rewriter = new Rewriter();
  const transform = {
    apply: (batch: Parameters<Rewriter["rewrite"]>[0]) => rewriter.rewrite(batch, rewriting),
  };
  const log = createLogger("test", { write });
  const pipeline = new Pipeline([{ name: "rewrite", transform }], journal, log, PROCESS_CLOCK);
  return { journal, reader, pipeline };
}

const odd: Rewriting = { keep: (batch, row) => batch.values[row] % 2 === 1 };
const twice: Rewriting = {
  derive: (batch, row, out) =>
    out.pushNumber(batch.series[row], batch.seconds[row], batch.nanos[row], -batch.values[row]),
};

for (
  const [what, rewriting, transformed] of [["takes out", odd, [-2, -1]], ["adds", twice, [3, 2]]] as const
) {
  Deno.test(`the books of clients add up behind a transform that ${what} points`, () => {
    const { journal, reader, pipeline } = setUp(rewriting);
    const { clients } = journal;
    const ours = clients.get("ours", instanceOf("ours"));
    const real = clients.get("real");
    const batch = numbered(0);
    for (const [value, client] of [[0, ours], [1, ours], [2, ours], [3, real], [4, real]] as const) {
      batch.push(NUMBERS, 1, 0, value);
      client.receivedPoints++;
      if (value === 2) batch.credit(ours, 7);
      if (value === 4) batch.credit(real);
    }
    void pipeline.push(batch);
    const result = reader.next()!;
    assert.deepEqual([ours.kept("out"), real.kept("out")], [3 + transformed[0], 2 + transformed[1]]);
    assert.equal(result.length, 5 + transformed[0] + transformed[1]);
    reader.commit(1);
    assert.deepEqual([ours.kept("out"), real.kept("out")], [0, 0]);
    assert.deepEqual([ours.transformedPoints, real.transformedPoints], transformed);
    assert.equal(ours.account("out").sequence, 7);
  });
}

Deno.test("the number of a client's batch passes even where none of its points does", () => {
  const { journal, reader, pipeline } = setUp({ keep: () => false });
  const ours = journal.clients.get("ours", instanceOf("ours"));
  const batch = numbered(3);
  ours.receivedPoints += 3;
  batch.credit(ours, 9);
  void pipeline.push(batch);
  assert.equal(reader.next()!.length, 0);
  reader.commit(1);
  assert.equal(ours.account("out").sequence, 9);
  assert.equal(ours.kept("out"), 0);
  // Of points that nobody numbers, nothing is left.
  void pipeline.push(numbered(2));
  assert.equal(reader.next(), undefined);
  assert.equal(journal.clients.local.kept("out"), 0);
});

Deno.test("a batch that was rewritten goes back to its pool", () => {
  const { reader, pipeline } = setUp(odd);
  const pool = new BatchPool(8, 1);
  const batch = pool.take();
  batch.push(NUMBERS, 1, 0, 1);
  void pipeline.push(batch);
  assert.equal(reader.next()!.length, 1);
  assert.equal(pool.take(), batch);
});

Deno.test("points of this process with a time before 1970 are dropped, counted as rejected, and logged once", () => {
  const lines: string[] = [];
  const { journal, reader, pipeline } = setUp({}, (line) => lines.push(line));
  const { local } = journal.clients;
  const batch = numbered(0);
  for (const [row, seconds] of [1, -1, 2, -1e9, 2 ** 62, 3].entries()) batch.push(NUMBERS, seconds, 0, row);
  void pipeline.push(batch);
  const taken = reader.next()!;
  assert.deepEqual([...taken.values.subarray(0, taken.length)], [0, 2, 5]);
  const bad = numbered(0);
  bad.push(NUMBERS, -1, 0, 6);
  void pipeline.push(bad);
  assert.equal(reader.next(), undefined);
  reader.commit(1);
  assert.deepEqual([local.receivedPoints, local.rejectedPoints, local.kept("out")], [7, 4, 0]);
  assert.equal(local.account("out").stored, 3);
  const errors = lines.filter((line) => line.includes("ERROR"));
  assert.equal(errors.length, 1);
  assert.match(errors[0], /time that no point can have, set it: points are dropped points=3/);
});

Deno.test("times from 1970 to the last one that a point can have pass, and nothing is said of them", () => {
  const lines: string[] = [];
  const { journal, reader, pipeline } = setUp({}, (line) => lines.push(line));
  const batch = new Batch(8);
  for (const seconds of [0, MAX_SECONDS]) batch.push(NUMBERS, seconds, 0, seconds);
  void pipeline.push(batch);
  assert.equal(reader.next()!.length, 2);
  assert.deepEqual([lines, journal.clients.local.rejectedPoints], [[], 0]);
});

Deno.test("points with impossible times are said once a minute, each once, and when the times are possible again", () => {
  const lines: string[] = [];
  const clock = new FakeClock();
  const journal = new MemoryJournal({ limitBytes: 2 ** 20, onFull: "block" });
  const log = createLogger("test", { write: (line) => void lines.push(line) });
  const pipeline = new Pipeline([], journal, log, clock);
  const push = (seconds: number) => {
    const batch = new Batch(1);
    batch.push(NUMBERS, seconds, 0, 1);
    void pipeline.push(batch);
  };
  for (const spentMs of [0, 1, 59_999, 59_999, 1]) {
    clock.spend(spentMs);
    push(-1);
  }
  push(1);
  push(1);
  const said = lines.map((line) => /points=\d+|possible again/.exec(line)![0]);
  assert.deepEqual(said, ["points=1", "points=2", "points=2", "possible again"]);
});

Deno.test("values above 2^53 stay those of their own rows, whatever stands between the rows of two clients", () => {
  const clients = new ClientTable();
  const batch = new Batch(4);
  const big = 2n ** 60n + 1n;
  for (const [n, name] of ["a", "b", "c"].entries()) {
    batch.pushU64(NUMBERS, 1, n, big + BigInt(n));
    batch.credit(clients.get(name, instanceOf(name)));
  }
  const five: Rewriting = { derive: (batch, row, out) => out.pushNumber(batch.series[row], 1, 0, 5) };
  const out = new Rewriter().rewrite(batch, five);
  assert.deepEqual(
    Array.from({ length: out.length }, (_, row) => out.exactValue(row)),
    [big, 5n, big + 1n, 5n, big + 2n, 5n],
  );
  assert.deepEqual(out.origins.map(({ client, start, end }) => [client.name, start, end]), [
    ["a", 0, 2],
    ["b", 2, 4],
    ["c", 4, 6],
  ]);
});
