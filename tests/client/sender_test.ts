/** The client's side of acknowledged delivery without a connection: what is under way, sent again, and compared. */
import assert from "node:assert/strict";
import { createLogger } from "../../lib/base/log.ts";
import { AcknowledgedSender } from "../../lib/client/acknowledged.ts";
import type { Dialled } from "../../lib/client/dial.ts";
import type { Welcomed } from "../../lib/client/handshake.ts";
import { Outbox, type SenderStats } from "../../lib/client/outbox.ts";
import { MemoryJournal } from "../../lib/journal.ts";
import { checkOf, EMPTY_CHECK } from "../../lib/points/batch_check.ts";
import type { Batch } from "../../lib/points/measurement.ts";
import { numbered } from "../kit/points.ts";
import { until } from "../kit/waiting.ts";

const welcome = (sequence: number, last?: Welcomed["last"]) =>
  ({ sequence, last, maxSeries: 100, reusesPlaces: true }) as Welcomed;

/** Everything that was promised until now has been done. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
}

/** A sender of a journal with these batches, which gathers without an end. */
class Sending {
  readonly outbox: Outbox;
  readonly stats: SenderStats = {
    ...{ sentPoints: 0, sentMessages: 0, sentBytes: 0 },
    ...{ acknowledgedPoints: 0, resentPoints: 0, unsendablePoints: 0 },
  };
  readonly sender: AcknowledgedSender;
  written = 0;
  waits = 0;

  constructor(batches: readonly Batch[], maxBytes = 1e9) {
    const journal = new MemoryJournal({ limitBytes: 1e9 });
    const reader = journal.reader("output");
    const { wait } = reader;
    reader.wait = (...args) => {
      this.waits++;
      return wait.apply(reader, args);
    };
    for (const batch of batches) void journal.append(batch);
    this.outbox = new Outbox(reader);
    this.sender = new AcknowledgedSender(
      this.outbox,
      { maxBytes, timeoutMs: 1e9 },
      this.stats,
      createLogger("test", { level: "error", write: (line) => assert.fail(line) }),
      { monotonicMs: () => 0 },
    );
  }

  /** Sends on a connection until the test ends it. */
  run(sequence = 0): { stop: () => Promise<void> } {
    const write = (bytes: Uint8Array) => Promise.resolve((this.written += bytes.length, bytes.length));
    const stop = new AbortController();
    const running = this.sender.run({ write } as Partial<Dialled> as Dialled, welcome(sequence), stop.signal);
    const ended = assert.rejects(running, { message: "stopped" });
    return {
      stop: () => {
        stop.abort(new Error("stopped"));
        return ended;
      },
    };
  }
}

Deno.test("no more than 8,192 batches or 262,144 points are under way without an acknowledgement", async () => {
  const windows = [
    [Array.from({ length: 8195 }, (_, n) => numbered(1, n)), 8192],
    [Array.from({ length: 6 }, () => numbered(65_536)), 4],
  ] as const;
  for (const [batches, most] of windows) {
    const sending = new Sending(batches);
    const { outbox, sender, stats } = sending;
    const run = sending.run();
    await until(() => stats.sentBytes > 0);
    await settled();
    assert.equal(outbox.parcels.length, most);
    sender.acknowledge(1);
    await until(() => outbox.parcels.at(-1)!.sequence === most + 1);
    await settled();
    assert.equal(outbox.parcels.length, most);
    await run.stop();
  }
});

Deno.test("what is not acknowledged is sent again on the next connection, and counted apart", async () => {
  const sending = new Sending([numbered(2), numbered(3, 2), numbered(4, 5)], 1);
  const { outbox, sender, stats } = sending;
  outbox.take();
  assert.equal(sender.isUnanswered, false, "nothing was written");
  const first = sending.run();
  await until(() => stats.sentMessages === 3 && stats.sentBytes === sending.written);
  assert.ok(sender.isUnanswered);
  assert.deepEqual([sender.acknowledge(1), sender.acknowledge(1)], [true, false]);
  await first.stop();
  const second = sending.run(2);
  await until(() => stats.sentMessages === 4 && stats.sentBytes === sending.written);
  await settled();
  assert.deepEqual(outbox.parcels.map(({ sequence }) => sequence), [3]);
  assert.ok(sender.isUnanswered);
  const { sentBytes: _, ...counts } = stats;
  assert.deepEqual(counts, {
    ...{ sentPoints: 9, sentMessages: 4, acknowledgedPoints: 5, resentPoints: 4, unsendablePoints: 0 },
  });
  assert.ok(sender.acknowledge(3));
  assert.equal(sender.isUnanswered, false);
  await second.stop();
});

Deno.test("the last batch of the server is compared with the one of that number, as far as it is still here", async () => {
  const batches = () => [numbered(2), numbered(3, 2), numbered(4, 5)];
  const { signal } = new AbortController();
  const compare = async (sequence: number, check: number) => {
    const sending = new Sending(batches());
    const isSame = await sending.sender.isSame(welcome(0, { sequence, check } as Welcomed["last"]), signal);
    return [isSame, sending.outbox.parcels.length, sending.waits];
  };
  const check = checkOf(batches()[1]);
  assert.deepEqual(await compare(2, check), [true, 2, 2]);
  assert.deepEqual(await compare(2, check + 1), [false, 2, 2]);
  assert.deepEqual(await compare(2, EMPTY_CHECK), [true, 2, 2]);
  assert.deepEqual(await compare(9, check), [true, 3, 3]);
  const none = new Sending(batches());
  assert.deepEqual([await none.sender.isSame(welcome(0), signal), none.waits], [true, 0]);
});
