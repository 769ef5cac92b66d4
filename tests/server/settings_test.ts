/** What a server makes of its settings and of the machine: connections, and the memory for frames. */
import assert from "node:assert/strict";
import { config } from "../../lib/server/config.ts";
import { FrameBudget, largeFrameBytes, largestMessageBytes } from "../../lib/server/frame_budget.ts";
import { connectionsFor, warnOfFewDescriptors } from "../../lib/server/settings.ts";
import { MAX_BODY_BYTES } from "../../lib/wire/protocol.ts";
import { LogLines } from "../kit/log_lines.ts";

const MIB = 1024 ** 2;

function settings(connections: number | undefined, cert = "") {
  const defaults = config.defaultValue();
  return { limits: { ...defaults.limits, connections }, tls: { ...defaults.tls, cert } };
}

const many = { limit: 524_288, used: 20 };
const few = { limit: 1000, used: 20 };

Deno.test("limits.connections is 10,000 unless the limit of open files allows fewer", () => {
  const most = (connections: number | undefined, cert: string, open: typeof few | null) =>
    connectionsFor(settings(connections, cert), open).maxConnections;
  assert.equal(most(undefined, "", many), 10_000);
  assert.equal(most(undefined, "", few), 880);
  assert.equal(most(undefined, "c.pem", few), 293, "with TLS a connection takes three");
  assert.equal(most(500, "", few), 500);
  assert.equal(most(5000, "", few), 880);
  assert.equal(most(20_000, "", many), 20_000);
  assert.equal(most(undefined, "", null), 10_000);
});

Deno.test("a limit of open files that is too low is logged, as a warning where more was asked for", () => {
  for (
    const [connections, open, pattern] of [
      [undefined, few, /^INFO .*fewer connections.*connections=880 wanted=10000 open_files=1000/],
      [5000, few, /^WARN .*fewer connections.*connections=880 wanted=5000/],
      [800, few, null],
      [undefined, many, null],
      [undefined, null, null],
    ] as const
  ) {
    const logs = new LogLines();
    warnOfFewDescriptors(settings(connections), open, logs.log);
    if (pattern) assert.match(logs.lines.join(""), pattern);
    else assert.deepEqual(logs.lines, []);
  }
});

Deno.test("large frames of all clients take a sixteenth of a small memory, and 64 MiB of a large one", () => {
  for (const [memory, most] of [[16, 1], [256, 16], [1008, 63], [1024, 64], [1040, 64], [65_536, 64]]) {
    assert.equal(largeFrameBytes(memory * MIB), most * MIB, `${memory} MiB`);
  }
});

Deno.test("a message takes a thirty-second of the memory, but 4 MiB at least and the protocol's limit at most", () => {
  for (const [memory, most] of [[32, 4], [128, 4], [160, 5], [256, 8]]) {
    assert.equal(largestMessageBytes(memory * MIB), most * MIB, `${memory} MiB`);
  }
  assert.equal(largestMessageBytes(65_536 * MIB), MAX_BODY_BYTES);
});

/** Takes bytes, and says in `order` when it has them. */
function take(budget: FrameBudget, bytes: number, order: number[]): void {
  void budget.take(bytes).then(() => order.push(bytes));
}

/** Lets everything run that waits for nothing. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

Deno.test("frames have memory at once while there is enough, to the last byte", async () => {
  const order: number[] = [];
  const budget = new FrameBudget(100);
  for (const bytes of [60, 40, 1]) take(budget, bytes, order);
  await settle();
  assert.deepEqual(order, [60, 40]);
  budget.give(1);
  await settle();
  assert.deepEqual(order, [60, 40, 1]);
});

Deno.test("frames wait for memory in order, and a small one does not pass a large one", async () => {
  const order: number[] = [];
  const budget = new FrameBudget(100);
  for (const bytes of [60, 50, 10, 5]) take(budget, bytes, order);
  await settle();
  assert.deepEqual(order, [60]);
  budget.give(9);
  await settle();
  assert.deepEqual(order, [60]);
  budget.give(51);
  await settle();
  assert.deepEqual(order, [60, 50, 10, 5]);
  take(budget, 36, order);
  await settle();
  assert.equal(order.length, 4);
  budget.give(1);
  await settle();
  assert.equal(order.length, 5);
});

Deno.test("a frame larger than all memory passes when it is alone, and gives back what it took", async () => {
  const order: number[] = [];
  const budget = new FrameBudget(100);
  for (const bytes of [1, 1000]) take(budget, bytes, order);
  await settle();
  assert.deepEqual(order, [1]);
  budget.give(1);
  await settle();
  assert.deepEqual(order, [1, 1000]);
  budget.give(1000);
  for (const bytes of [100, 2]) take(budget, bytes, order);
  await settle();
  assert.deepEqual(order, [1, 1000, 100]);
});
