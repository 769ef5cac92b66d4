import assert from "node:assert/strict";
import { type AgentOptions, runAgent } from "../../../lib/agent.ts";
import type { AgentSettings } from "../../../lib/agent/settings.ts";
import type { Clock } from "../../../lib/base/clock.ts";
import { createLogger } from "../../../lib/base/log.ts";
import { Findings } from "../../../lib/inputs/polling/findings.ts";
import { PolledInput } from "../../../lib/inputs/polling/polled_input.ts";
import type { WantedSource } from "../../../lib/inputs/polling/source.ts";
import { type Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { definePlugin, type OutputPlugin } from "../../../lib/plugin.ts";
import { table } from "../../../lib/schema.ts";
import { contextWith } from "../../kit/context.ts";
import { FakeClock, settle } from "../../kit/fake_clock.ts";
import { logTo, T } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";
import { until } from "../../kit/waiting.ts";
import { uptime } from "./uptime.ts";

const SERIES = seriesOf({ name: "n", type: "u64", unit: { base: "1", prefix: "" }, description: "" });

/** An input whose configuration is the list of its sources; each one counts its own polls. */
function counting(first: Partial<WantedSource>[], log = createLogger("test", { write: () => {} })) {
  const clock = new FakeClock();
  const polls: string[] = [];
  const opened: string[] = [];
  const closed: string[] = [];
  const pushed: number[] = [];
  const sources = {
    wanted: (config: Partial<WantedSource>[]) =>
      config.map((wanted): WantedSource => ({
        name: "a",
        intervalMs: 1000,
        open() {
          const { name = "a" } = wanted;
          opened.push(name);
          return {
            name,
            poll(points) {
              polls.push(`${name} ${clock.monotonicMs()}`);
              points.u64(SERIES, 1);
            },
            close: () => closed.push(name),
          };
        },
        ...wanted,
      })),
  };
  const input = new PolledInput(sources, first, { clock, log, findings: new Findings(log) });
  const stop = new AbortController();
  const sink = {
    push(batch: Batch) {
      pushed.push(batch.length);
      batch.release();
    },
  };
  const done = input.run(sink, stop.signal);
  return { clock, polls, opened, closed, pushed, input, stop, done };
}

Deno.test("sources of one pace share a timer and their batches, in the order of the configuration", async () => {
  const k = counting([{ name: "a" }, { name: "b", intervalMs: 500 }, { name: "c" }]);
  await k.clock.advance(1000);
  assert.deepEqual(k.polls, ["a 0", "c 0", "b 0", "b 500", "a 1000", "c 1000", "b 1000"]);
  assert.equal(k.clock.sleepers, 2);
  assert.deepEqual(k.pushed, [2, 1, 1, 2, 1]);
  k.stop.abort();
  await k.done;
});

Deno.test("a reload opens what is new, closes what is gone or made otherwise, and leaves the others open", async () => {
  const k = counting([{ name: "a" }, { name: "b" }, { name: "c", madeWith: ["x"] }]);
  await k.clock.advance(100);
  k.input.reconfigure([{ name: "a", intervalMs: 50 }, { name: "c", madeWith: ["y"] }, { name: "d" }]);
  assert.deepEqual(k.opened, ["a", "b", "c", "c", "d"]);
  assert.deepEqual(k.closed.sort(), ["b", "c"]);
  k.polls.length = 0;
  await k.clock.advance(100);
  assert.deepEqual(k.polls, ["a 100", "c 100", "d 100", "a 150", "a 200"], "all are polled at once");
  k.stop.abort();
  await k.done;
});

Deno.test("an input without sources waits for the stop, or for a reload", async () => {
  const k = counting([]);
  await k.clock.advance(5000);
  k.input.reconfigure([{ name: "a" }]);
  await settle();
  assert.deepEqual(k.polls, ["a 5000"]);
  k.input.reconfigure([]);
  await k.clock.advance(5000);
  assert.equal(k.polls.length, 1);
  k.stop.abort();
  await k.done;
});

Deno.test("a source that cannot be opened ends the start, and at a reload is an error of its own", async () => {
  const open = () => {
    throw new Error("it is broken");
  };
  assert.throws(() => counting([{ name: "a" }, { name: "b", open }]), /it is broken/);
  const lines: string[] = [];
  const k = counting([{ name: "a" }], logTo(lines));
  k.input.reconfigure([{ name: "b", open }, { name: "a" }]);
  await settle();
  assert.match(lines.join(""), /ERROR test: Cannot measure b: it is broken/);
  assert.deepEqual(k.polls.length, 2);
  k.stop.abort();
  await k.done;
});

Deno.test("nothing is counted before the first poll, and then what polls have done", async () => {
  const k = counting([{ name: "a" }]);
  const none = { polls: 0, missedPolls: 0, failedPolls: 0, points: 0, pollMs: 0, refusedPoints: 0 };
  const unused = new PolledInput({ wanted: () => [] }, null, {
    clock: k.clock,
    ...{ log: createLogger("test", { write: () => {} }), findings: new Findings(logTo([])) },
  });
  assert.deepEqual(unused.stats, none);
  await k.clock.advance(1000);
  const { pollMs: _, ...counts } = k.input.stats;
  assert.deepEqual(counts, { polls: 2, missedPolls: 0, failedPolls: 0, points: 2, refusedPoints: 0 });
  k.stop.abort();
  await k.done;
});

Deno.test("a source that is paused is not polled, and one that has another interval is polled at that", async () => {
  const k = counting([{ name: "a" }, { name: "b" }]);
  await settle();
  const states = () =>
    k.input.controlled.map(({ name, isPaused, intervalMs }) => `${name} ${isPaused} ${intervalMs}`);
  assert.deepEqual(states(), ["a false 1000", "b false 1000"]);
  k.input.setPaused("a", true);
  k.input.setInterval("b", 400);
  k.input.setPaused("unknown", true);
  assert.deepEqual(states(), ["a true 1000", "b false 400"]);
  await settle();
  k.polls.length = 0;
  await k.clock.advance(1000);
  assert.deepEqual(k.polls, ["b 400", "b 800"]);
  k.input.setPaused("a", false);
  await settle();
  assert.deepEqual(k.polls.slice(2), ["a 1000", "b 1000"]);
  k.stop.abort();
  await k.done;
});

Deno.test("an input has begun when each of its paces has had a poll, or there is none", async () => {
  const { promise: answer, resolve } = Promise.withResolvers<void>();
  const slow = { name: "b", poll: () => {}, gather: () => answer };
  {
    const k = counting([{ name: "a" }, { name: "b", intervalMs: 500, open: () => slow }, { name: "c" }]);
    let hasBegun = false;
    void k.input.firstPoll.then(() => hasBegun = true);
    await settle();
    assert.deepEqual([hasBegun, k.polls], [false, ["a 0", "c 0"]]);
    resolve();
    await settle();
    assert.ok(hasBegun);
    k.stop.abort();
    await k.done;
  }
  const none = counting([]);
  await none.input.firstPoll;
  none.stop.abort();
  await none.done;
});

Deno.test("a clock that is not the system's is asked for short sleeps, too", async () => {
  const k = counting([{ name: "a", intervalMs: 5 }]);
  await k.clock.advance(20);
  assert.deepEqual(k.polls, ["a 0", "a 5", "a 10", "a 15", "a 20"]);
  k.stop.abort();
  await k.done;
});

Deno.test("closing an input closes its sources", async () => {
  const k = counting([{ name: "a" }, { name: "b" }]);
  k.stop.abort();
  await k.done;
  await k.input[Symbol.asyncDispose]();
  assert.deepEqual(k.closed, ["a", "b"]);
});

Deno.test("an error of the sink ends all loops at once", async () => {
  const clock = new FakeClock();
  const source = { name: "a", poll: () => {} };
  const failing = {
    name: "b",
    poll: (points: { u64(series: typeof SERIES, value: number): void }) => points.u64(SERIES, 1),
  };
  const wanted = () => [
    { name: "a", intervalMs: 1000, open: () => source },
    { name: "b", intervalMs: 500, open: () => failing },
  ];
  const log = createLogger("test", { write: () => {} });
  const input = new PolledInput({ wanted }, null, { clock, log, findings: new Findings(log) });
  const sink = { push: () => Promise.reject(new Error("full")) };
  await assert.rejects(input.run(sink, new AbortController().signal), /full/);
  assert.equal(clock.sleepers, 0, "no loop sleeps on");
});

Deno.test("an overdue poll is a stall, and waiting for the sink is not", async () => {
  let ms = 0;
  const wakes: (() => void)[] = [];
  const clock: Clock = {
    now: () => T,
    monotonicMs: () => ms,
    sleep: (_, signal) =>
      new Promise((resolve) => {
        wakes.push(resolve);
        signal?.addEventListener("abort", () => resolve(), { once: true });
      }),
  };
  let full = false;
  using tree = new Tree(null);
  tree.write("proc/uptime", "1.5 2.5\n");
  await using input = await uptime.open({ poll_interval: 20 }, contextWith({ clock }), tree);
  const stop = new AbortController();
  const done = input.run({ push: () => full ? new Promise<void>(() => {}) : undefined }, stop.signal);
  await settle();
  assert.equal(input.stalledSince, undefined);
  // It is due, and late a millisecond later.
  ms = 20;
  assert.equal(input.stalledSince, undefined);
  ms = 21;
  assert.notEqual(input.stalledSince, undefined);
  ms = 1020;
  const before = performance.now();
  const stalledMs = before - input.stalledSince!;
  // It is read a moment later.
  assert.ok(stalledMs < 1001 && stalledMs > 999 - (performance.now() - before), `${stalledMs}`);
  full = true;
  wakes.pop()!();
  await settle();
  ms = 100_000;
  assert.equal(input.stalledSince, undefined);
  stop.abort();
  await done;
  assert.equal(input.stalledSince, undefined);
});

/** An output that keeps the values that it gets. */
function keeping(values: number[]): OutputPlugin<Record<never, never>> {
  return definePlugin<Record<never, never>, OutputPlugin<Record<never, never>>>({
    name: "keeping",
    kind: "output",
    description: "Keeps values",
    config: table({}, { doc: "Nothing." }),
    open: () =>
      Promise.resolve({
        async run(reader) {
          do {
            for (let batch; (batch = reader.next()); reader.commit(1)) {
              values.push(...batch.values.subarray(0, batch.length));
            }
          } while (await reader.wait() !== "ended");
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  });
}

Deno.test("a new polled input of 40 lines runs in the agent, and takes over its interval at a reload", async () => {
  const lines = Deno.readTextFileSync(new URL("./uptime.ts", import.meta.url)).trim().split("\n");
  assert.ok(lines.length <= 40, `${lines.length} lines`);
  using tree = new Tree(null);
  tree.write("proc/uptime", "1.5 2.5\n");
  const values: number[] = [];
  const plugin = {
    ...uptime,
    open: (...[config, context]: Parameters<typeof uptime.open>) => uptime.open(config, context, tree),
  };
  const settings = (pollMs: number): AgentSettings => ({
    general: { shutdown_timeout: 90_000 },
    plugins: [{ plugin, config: { poll_interval: pollMs } }, { plugin: keeping(values), config: {} }],
  });
  const stop = new AbortController();
  const running = Promise.withResolvers<Parameters<NonNullable<AgentOptions["onRunning"]>>[0]>();
  const log = createLogger("test", { write: () => {} });
  const exit = runAgent(settings(3_600_000), log, {
    stop: stop.signal,
    signals: false,
    onRunning: running.resolve,
  });
  const agent = await running.promise;
  await until(() => values.length === 1);
  tree.write("proc/uptime", "99.25 2.5\n");
  const change = await agent.reconfigure(settings(1));
  assert.deepEqual(change.taken, ["plugins.uptime.poll_interval"]);
  await until(() => values.length > 5);
  stop.abort();
  assert.equal(await exit, 0);
  assert.deepEqual([values[0], values.at(-1)], [1.5, 99.25]);
  assert.equal(agent.figures.counters().uptime.points, values.length);
});
