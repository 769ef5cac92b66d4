import assert from "node:assert/strict";
import { pollLoop, type PollLoopOptions, type PollStats } from "../../../lib/inputs/polling/loop.ts";
import type { Points } from "../../../lib/inputs/polling/points.ts";
import type { PolledSource } from "../../../lib/inputs/polling/source.ts";
import { createLogger } from "../../../lib/base/log.ts";
import { type Batch, seriesOf } from "../../../lib/points/measurement.ts";
import { FakeClock, settle } from "../../kit/fake_clock.ts";

const SERIES = seriesOf({ name: "polled", type: "u64", unit: { base: "1", prefix: "" }, description: "" });

/** What the clock shows when a loop begins. */
const START_MS = 1_234_000;

interface Kit {
  clock: FakeClock;
  stats: PollStats;
  /** Times of the polls since the start, in ms. */
  times: number[];
  /** Values of the batches that the sink got. */
  pushed: number[][];
  lines: string[];
  stop: AbortController;
  options: PollLoopOptions;
  sink: { push(batch: Batch): Promise<void> | void };
}

/** A loop whose polls append their number. */
function kit(options: Partial<PollLoopOptions> = {}): Kit {
  const clock = new FakeClock();
  clock.spend(START_MS);
  const lines: string[] = [];
  const times: number[] = [];
  const pushed: number[][] = [];
  const stats = { polls: 0, missedPolls: 0, failedPolls: 0, points: 0, pollMs: 0 };
  const source: PolledSource = {
    name: "thing",
    poll(points) {
      points.u64(SERIES, times.length);
      times.push(clock.monotonicMs() - START_MS);
    },
  };
  const log = createLogger("test", { level: "debug", write: (line) => lines.push(line) });
  return {
    clock,
    stats,
    times,
    pushed,
    lines,
    stop: new AbortController(),
    options: { sources: [source], intervalMs: 100, clock, log, stats, ...options },
    sink: {
      push(batch) {
        pushed.push([...batch.values.subarray(0, batch.length)]);
        batch.release();
      },
    },
  };
}

Deno.test("polls are at start + n * interval, however long each of them takes", async () => {
  const k = kit();
  const [{ poll }] = k.options.sources;
  const sources = [{
    name: "slow",
    poll: (...args: Parameters<typeof poll>) => {
      poll(...args);
      k.clock.spend(30 + (k.times.length % 7));
    },
  }];
  const running = pollLoop({ ...k.options, sources }, k.sink, k.stop.signal);
  await k.clock.advance(100_000);
  assert.deepEqual(k.times, Array.from({ length: k.times.length }, (_, n) => n * 100));
  assert.ok(k.times.length >= 999);
  k.stop.abort();
  await running;
  assert.equal(k.stats.missedPolls, 0);
});

Deno.test("an interval with a fraction of a millisecond does not drift either", async () => {
  const k = kit({ intervalMs: 33.3 });
  const running = pollLoop(k.options, k.sink, k.stop.signal);
  await k.clock.advance(33_300);
  assert.ok(k.times.length >= 1000);
  k.times.forEach((time, n) => assert.ok(time >= n * 33.3 - 1e-6 && time < n * 33.3 + 1, `${n}: ${time}`));
  k.stop.abort();
  await running;
});

Deno.test("polls that a slow one has missed are skipped, counted, and warned of once a minute", async () => {
  const k = kit();
  const sources: PolledSource[] = [...k.options.sources, {
    name: "slow",
    poll: () => k.clock.spend(k.times.length === 2 || k.times.length === 4 ? 250 : 0),
  }];
  const running = pollLoop({ ...k.options, sources }, k.sink, k.stop.signal);
  await k.clock.advance(1000);
  // The second poll is at 100 and takes until 350; the fourth is at 500 and takes until 750.
  assert.deepEqual(k.times, [0, 100, 400, 500, 800, 900, 1000]);
  assert.equal(k.stats.missedPolls, 4);
  const warnings = () => k.lines.filter((line) => line.includes("Skipped"));
  assert.equal(warnings().length, 1);
  assert.match(warnings()[0], /WARN .*Skipped polls of thing, slow.* skipped=2 interval_ms=100/);
  await k.clock.advance(60_000);
  k.clock.spend(1000);
  await k.clock.advance(100);
  assert.equal(warnings().length, 2, "a minute later there is one line");
  assert.match(warnings()[1], /skipped=1[12]\b/, "with all that was skipped since");
  k.stop.abort();
  await running;
});

Deno.test("a source that throws is logged and counted, and is polled less often, and the others go on", async () => {
  const k = kit();
  const sources: PolledSource[] = [{
    name: "broken",
    poll(points) {
      points.u64(SERIES, 1000);
      throw new Error("it is broken");
    },
  }, ...k.options.sources];
  const running = pollLoop({ ...k.options, sources }, k.sink, k.stop.signal);
  await k.clock.advance(500);
  assert.equal(k.times.length, 6);
  assert.equal(k.stats.failedPolls, 2, "at once, and after half a second");
  assert.deepEqual(k.pushed[0], [1000, 0], "what was appended before the error is kept");
  assert.deepEqual(k.pushed[1], [1]);
  assert.equal(k.lines.length, 1);
  assert.match(k.lines[0], /ERROR test: Cannot poll broken: it is broken failed=1/);
  await k.clock.advance(70_000);
  assert.equal(k.lines.length, 2);
  assert.equal(k.stats.failedPolls, 11, "every ten seconds in the end");
  k.stop.abort();
  await running;
  assert.equal(k.stats.failedPolls, 12, "the last poll asks everybody");
});

Deno.test("points are handed over when the flush interval has passed", async () => {
  const k = kit({ flushIntervalMs: 300 });
  const running = pollLoop(k.options, k.sink, k.stop.signal);
  await k.clock.advance(250);
  assert.deepEqual(k.pushed, [[0, 1, 2]]);
  await k.clock.advance(350);
  assert.deepEqual(k.pushed, [[0, 1, 2], [3, 4, 5]]);
  k.stop.abort();
  await running;
  assert.deepEqual(k.pushed[2], [6, 7], "the stop hands over what is kept, and a last poll");
  assert.equal(k.stats.points, 8);
});

Deno.test("many points are handed over before the flush interval has passed", async () => {
  const clock = new FakeClock();
  const series = seriesOf({ name: "many", type: "f64", unit: { base: "1", prefix: "" }, description: "" });
  const source: PolledSource = {
    name: "many",
    poll: (points) => {
      for (let n = 0; n < 1500; n++) points.f64(series, n);
    },
  };
  const pushed: { atMs: number; points: number }[] = [];
  const sink = {
    push(batch: Batch) {
      pushed.push({ atMs: clock.monotonicMs(), points: batch.length });
      batch.release();
    },
  };
  const log = createLogger("test", { write: () => {} });
  const stop = new AbortController();
  const options = { sources: [source], intervalMs: 100, flushIntervalMs: 1000, clock, log };
  const running = pollLoop(options, sink, stop.signal);
  await clock.advance(850);
  stop.abort();
  await running;
  assert.deepEqual(pushed.slice(0, 3), [200, 500, 800].map((atMs) => ({ atMs, points: 4500 })));
});

Deno.test("a flush interval below the interval means each poll", async () => {
  const k = kit({ flushIntervalMs: 1 });
  const running = pollLoop(k.options, k.sink, k.stop.signal);
  await k.clock.advance(250);
  assert.deepEqual(k.pushed, [[0], [1], [2]]);
  k.stop.abort();
  await running;
});

Deno.test("no poll is made while the sink has no room, and polls go on at their times afterwards", async () => {
  const k = kit();
  const room = Promise.withResolvers<void>();
  const sink = {
    push(batch: Batch) {
      k.sink.push(batch);
      if (k.pushed.length === 2) return room.promise;
    },
  };
  const running = pollLoop(k.options, sink, k.stop.signal);
  await k.clock.advance(450);
  assert.deepEqual(k.times, [0, 100]);
  room.resolve();
  await k.clock.advance(200);
  assert.deepEqual(k.times, [0, 100, 500, 600]);
  assert.equal(k.stats.missedPolls, 3);
  k.stop.abort();
  await running;
});

Deno.test("a stop ends the sleep at once, with a last poll that says so", async () => {
  const k = kit();
  const lasts: boolean[] = [];
  const sources = [...k.options.sources, {
    name: "x",
    poll: (_: Points, last: boolean) => lasts.push(last),
  }];
  const running = pollLoop({ ...k.options, sources }, k.sink, k.stop.signal);
  await k.clock.advance(130);
  k.stop.abort();
  await running;
  assert.deepEqual(k.times, [0, 100, 130]);
  assert.deepEqual(lasts, [false, false, true]);
  assert.equal(k.clock.sleepers, 0);
});

Deno.test("a stop is not held up by a sink that has no room, which gets the last poll all the same", async () => {
  const k = kit();
  const sink = {
    push(batch: Batch) {
      k.sink.push(batch);
      return new Promise<void>(() => {});
    },
  };
  const running = pollLoop(k.options, sink, k.stop.signal);
  await k.clock.advance(130);
  k.stop.abort();
  await running;
  assert.deepEqual(k.pushed, [[0], [1]]);
});

Deno.test("a stop before the start makes one poll", async () => {
  const k = kit();
  k.stop.abort();
  await pollLoop(k.options, k.sink, k.stop.signal);
  assert.deepEqual(k.pushed, [[0]]);
});

Deno.test("an error of the sink ends the loop", async () => {
  const k = kit();
  await assert.rejects(
    pollLoop(k.options, { push: () => Promise.reject(new Error("full")) }, k.stop.signal),
    /full/,
  );
  assert.equal(k.clock.sleepers, 0);
});

Deno.test("an error of the sink after the stop is logged", async () => {
  const k = kit();
  k.stop.abort();
  await pollLoop(k.options, { push: () => Promise.reject(new Error("full")) }, k.stop.signal);
  await settle();
  assert.match(k.lines[0], /ERROR test: Cannot hand over the last points: full/);
});

Deno.test("a timer that fires early makes no poll of its own", async () => {
  const k = kit();
  const running = pollLoop(k.options, k.sink, k.stop.signal);
  await k.clock.advance(99.5);
  await k.clock.wakeEarly();
  assert.deepEqual(k.times, [0]);
  await k.clock.advance(1);
  assert.equal(k.times.length, 2);
  k.stop.abort();
  await running;
});

Deno.test("batches are used again once they are released", async () => {
  const k = kit();
  const seen = new Set<Batch>();
  const sink = {
    push(batch: Batch) {
      seen.add(batch);
      batch.release();
    },
  };
  const running = pollLoop(k.options, sink, k.stop.signal);
  await k.clock.advance(5000);
  k.stop.abort();
  await running;
  assert.ok(seen.size <= 2);
});

Deno.test("a loop that is left hands over what it keeps, without a last poll", async () => {
  const leave = new AbortController();
  const k = kit({ flushIntervalMs: 1000, leave: leave.signal });
  const running = pollLoop(k.options, k.sink, k.stop.signal);
  await k.clock.advance(350);
  assert.deepEqual(k.pushed, []);
  leave.abort();
  await running;
  assert.deepEqual(k.times, [0, 100, 200, 300]);
  assert.deepEqual(k.pushed, [[0, 1, 2, 3]]);
  assert.equal(k.clock.sleepers, 0);
});

Deno.test("a loop says when it is due, and that nothing is while it waits for the sink or has ended", async () => {
  const due: number[] = [];
  let makeRoom = () => {};
  const k = kit({ onDue: (ms) => void due.push(ms - START_MS) });
  const sink = {
    push: (batch: Batch) => {
      batch.release();
      return k.times.length === 2 ? new Promise<void>((resolve) => makeRoom = resolve) : undefined;
    },
  };
  const running = pollLoop(k.options, sink, k.stop.signal);
  await k.clock.advance(50);
  assert.deepEqual(due, [Infinity, 100]);
  await k.clock.advance(500);
  assert.deepEqual(due.slice(2), [Infinity], "the sink is full");
  makeRoom();
  await k.clock.advance(100);
  assert.deepEqual(due.slice(3, 5), [600, Infinity]);
  k.stop.abort();
  await running;
  assert.equal(due.at(-1), Infinity);
});

Deno.test("sources that have nothing to measure are polled once a minute, until one of them has", async () => {
  const k = kit({ intervalMs: 1000 });
  const [source] = k.options.sources;
  let isIdle = true;
  const idle: PolledSource = {
    name: "idle",
    get isIdle() {
      return isIdle;
    },
    poll: source.poll,
  };
  const running = pollLoop({ ...k.options, sources: [idle] }, k.sink, k.stop.signal);
  await k.clock.advance(130_000);
  assert.deepEqual(k.times, [0, 61_000, 122_000]);
  isIdle = false;
  await k.clock.advance(55_000);
  assert.deepEqual(k.times.slice(3), [183_000, 184_000, 185_000]);
  assert.equal(k.stats.missedPolls, 0);
  k.stop.abort();
  await running;
});

Deno.test("what takes long is read before the poll: points have the time before it, and an error costs that source alone", async () => {
  const k = kit();
  let answer = () => {};
  const times: number[] = [];
  const slow: PolledSource = {
    name: "slow",
    gather: () => new Promise((resolve) => answer = resolve),
    poll: (points) => void times.push(points.time.nanos / 1e6),
  };
  const broken: PolledSource = {
    name: "broken",
    gather: () => Promise.reject(new Error("the driver is broken")),
    poll: () => {},
  };
  const running = pollLoop(
    { ...k.options, sources: [slow, broken, ...k.options.sources] },
    k.sink,
    k.stop.signal,
  );
  await settle();
  assert.deepEqual([times, k.times], [[], []], "the others wait for it");
  k.clock.spend(30);
  answer();
  await settle();
  assert.deepEqual([times, k.times], [[0], [30]]);
  assert.match(k.lines.join(""), /ERROR test: Cannot poll broken: the driver is broken/);
  await k.clock.advance(70);
  k.stop.abort();
  await settle();
  answer();
  await running;
  assert.equal(times.length, 3, "a stop does not wait for what was under way, and polls once more");
});

Deno.test("a first poll that has to find what there is skips none, and says when it is over; a later one does", async () => {
  let polled = 0;
  const answers: (() => void)[] = [];
  const slow: PolledSource = {
    name: "slow",
    gather: () => new Promise((resolve) => void answers.push(resolve)),
    poll: () => {},
  };
  const k = kit({ sources: [slow], onFirstPoll: () => void polled++ });
  const running = pollLoop(k.options, k.sink, k.stop.signal);
  await settle();
  k.clock.spend(250);
  assert.equal(polled, 0);
  answers.shift()!();
  await settle();
  assert.deepEqual([polled, k.stats.missedPolls, k.lines], [1, 0, []]);
  await k.clock.advance(50);
  k.clock.spend(250);
  answers.shift()!();
  await settle();
  assert.deepEqual([polled, k.stats.missedPolls], [1, 2]);
  assert.match(k.lines.join(""), /WARN .*Skipped polls of slow: .*skipped=2/);
  k.stop.abort();
  await settle();
  answers.shift()?.();
  await running;
});

Deno.test("4,096 points are handed over at once, and less when it is time", async () => {
  for (const [points, pushes] of [[4095, 0], [4096, 1]]) {
    const k = kit({ flushIntervalMs: 10_000 });
    const sources = [{
      name: "many",
      poll: (to: Points) => {
        for (let n = 0; n < points; n++) to.u64(SERIES, n);
      },
    }];
    const running = pollLoop({ ...k.options, sources }, k.sink, k.stop.signal);
    await settle();
    assert.equal(k.pushed.length, pushes);
    k.stop.abort();
    await running;
  }
});

Deno.test("nothing is handed over where there are no points; polls are counted, and the time that they take", async () => {
  const k = kit();
  const sources = ["one", "two"].map((name) => ({ name, poll: () => {} }));
  const began = performance.now();
  const running = pollLoop({ ...k.options, sources }, k.sink, k.stop.signal);
  await k.clock.advance(250);
  k.stop.abort();
  await running;
  assert.deepEqual(k.pushed, []);
  const { pollMs, ...counts } = k.stats;
  assert.deepEqual(counts, { polls: 8, missedPolls: 0, failedPolls: 0, points: 0 });
  assert.ok(pollMs >= 0 && pollMs <= performance.now() - began, `${pollMs}`);
});

Deno.test("one poll that is skipped is counted and said", async () => {
  const k = kit();
  const sources: PolledSource[] = [...k.options.sources, {
    name: "slow",
    poll: () => k.clock.spend(k.times.length === 1 ? 150 : 0),
  }];
  const running = pollLoop({ ...k.options, sources }, k.sink, k.stop.signal);
  await k.clock.advance(200);
  assert.deepEqual([k.times, k.stats.missedPolls], [[0, 200, 300], 1]);
  assert.equal(k.lines.filter((line) => /WARN.*Skipped.*skipped=1/.test(line)).length, 1);
  k.stop.abort();
  await running;
});

Deno.test("what a sink takes after the first poll is skipped, and what that poll itself takes is not", async () => {
  const k = kit();
  const [{ poll }] = k.options.sources;
  const source = {
    name: "slow",
    poll,
    gather: () => Promise.resolve(k.clock.spend(k.times.length > 0 ? 0 : 250)),
  };
  const sink = {
    push(batch: Batch) {
      batch.release();
      k.clock.spend(k.times.length > 1 ? 0 : 200);
    },
  };
  const running = pollLoop({ ...k.options, sources: [source] }, sink, k.stop.signal);
  await settle();
  await k.clock.advance(60);
  assert.deepEqual([k.times, k.stats.missedPolls], [[250, 500], 2]);
  k.stop.abort();
  await running;
});
