/** When a CSV output saves its position, and with it commits what it has written. */
import assert from "node:assert/strict";
import { csv } from "../../../lib/outputs/csv.ts";
import { CommitByPosition } from "../../../lib/outputs/csv/commit.ts";
import { CsvOutput } from "../../../lib/outputs/csv/output.ts";
import { PositionFile } from "../../../lib/outputs/files/position.ts";
import { contextWith } from "../../kit/context.ts";
import { ReplayJournal } from "../../kit/contract/journal.ts";
import { numberedPoints } from "../../kit/contract/points.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { atMost, PATIENCE_MS, pause } from "../../kit/waiting.ts";

Deno.test("a position is saved once a second, and four times where a client may wait, with rows if some come just before", async () => {
  await using directory = new TempDir();
  const file = await PositionFile.open(directory.file("position"));
  const { now } = performance;
  const { setTimeout } = globalThis;
  let nowMs = 1e6;
  const timersMs: number[] = [];
  try {
    performance.now = () => nowMs;
    globalThis.setTimeout = Object.assign((action: () => void, ms: number) => {
      timersMs.push(ms);
      return setTimeout(action, ms);
    }, setTimeout);
    let committed = 0;
    const fail = (error: unknown) => {
      throw error;
    };
    const committer = new CommitByPosition(new ReplayJournal({ durable: true }).reader(), file, -1, {
      ...contextWith({}),
      signal: new AbortController().signal,
      commit: (batches) => committed += batches,
      fail,
      onLoss: fail,
    });
    let position = 0;
    /** Rows are written after a while. @returns whether a position is being saved then */
    const write = (afterMs: number, isAwaited = false) => {
      nowMs += afterMs;
      committer.written({ batches: 1, points: 10, isAwaited, position: position++, sizes: new Map() });
      return committer.committing !== null;
    };

    assert.equal(write(0), true, "the first rows");
    await committer.committing;
    assert.deepEqual([write(940), write(9)], [false, false]);
    assert.equal(write(1), true, "the time is nearly over");
    await committer.committing;
    assert.equal(committed, 4);
    assert.deepEqual(timersMs, [60], "one wait");

    assert.deepEqual([write(100), write(50, true), write(49)], [false, false, false]);
    assert.equal(write(1), true, "the time is nearly over for who waits");
    await committer.committing;
    assert.equal(committed, 8);
    assert.deepEqual(timersMs.splice(0), [60, 900, 100], "a wait that becomes shorter");

    assert.equal(write(200), false, "nobody waits any more");
    await committer.finish();
    assert.equal(file.latest?.clean, true);
  } finally {
    performance.now = now;
    globalThis.setTimeout = setTimeout;
    file.close();
  }
});

Deno.test("a client that numbers its batches waits until they are safe only where that is acknowledged", async () => {
  for (const acknowledges of ["stored", "durable"] as const) await clientWaits(acknowledges);
});

async function clientWaits(acknowledges: "stored" | "durable"): Promise<void> {
  await using directory = new TempDir();
  const journal = new ReplayJournal({ durable: true });
  const config = { ...csv.config.defaultValue(), output_path: directory.file("out.csv") };
  await using output = await CsvOutput.open(config, contextWith({ keepsOnDisk: true, acknowledges }));
  const { now } = performance;
  let nowMs = 1e6;
  try {
    performance.now = () => nowMs;
    const reader = journal.reader();
    const running = output.run(reader, new AbortController().signal);
    const committed = async (count: number) => {
      while (reader.committed < count) await pause(1);
    };
    journal.push(numberedPoints(10));
    await atMost(PATIENCE_MS, committed(1), () => "the first batch is not committed");
    // The time stands still, so no timer is ever due.
    nowMs += 200;
    journal.push(numberedPoints(10, 10), { name: "node", instance: "0123456789abcdef", sequence: 1 });
    if (acknowledges === "durable") {
      const written = async () => {
        while ((await Deno.readTextFile(config.output_path)).split("\n").length < 22) await pause(1);
        await pause(5);
      };
      await atMost(PATIENCE_MS, written(), () => "the batch of the client is not written");
      assert.equal(reader.committed, 1);
      nowMs += 750;
      journal.push(numberedPoints(10, 20));
    }
    await atMost(PATIENCE_MS, committed(2), () => "the batch of the client is not committed");
    journal.end();
    await running;
  } finally {
    performance.now = now;
  }
}
