import assert from "node:assert/strict";
import { DELAY_BOUNDS, EventLoopDelay } from "../../lib/agent/event_loop_delay.ts";
import { LagMeter } from "../../lib/agent/lag_meter.ts";

Deno.test("a lag is the age of the oldest point that waits, to the sample before it", () => {
  const lag = new LagMeter();
  for (let second = 0; second <= 10; second++) lag.add(second * 1000, second * 100);
  assert.deepEqual([lag.lagMs(10_500, 1000, 0), lag.lagMs(10_500, 1000, -1)], [0, 0]);
  // The last 100 points came after the sample at 9 s.
  assert.equal(lag.lagMs(10_000, 1000, 100), 1000);
  assert.equal(lag.lagMs(10_000, 1000, 101), 2000);
  assert.equal(lag.lagMs(10_500, 1000, 1000), 10_500);
  // Those that came after the last sample are as old as that, at most.
  assert.deepEqual([lag.lagMs(10_000, 1010, 5), lag.lagMs(9000, 1010, 5)], [0, 0]);
  assert.equal(new LagMeter().lagMs(5, 3, 2), 0);
});

Deno.test("points from before the start have waited at least since the start", () => {
  const lag = new LagMeter();
  lag.add(0, 0);
  lag.add(1000, 10);
  assert.equal(lag.lagMs(5000, 10, 1_000_000), 5000);
  const quiet = new LagMeter();
  quiet.add(100, 0);
  assert.equal(quiet.lagMs(5000, 0, 1), 4900);
  for (const ms of [1000, 2000, 3000]) quiet.add(ms, 0);
  assert.equal(quiet.lagMs(5000, 0, 1), 4900);
  assert.equal(quiet.lagMs(5000, 1, 1), 2000);
});

/** A meter that was told at each time that one more point had come, and the lag of the point that came before the sample `i`. */
function meterOf(times: readonly number[]) {
  const lag = new LagMeter();
  times.forEach((ms, i) => lag.add(ms, i));
  const count = times.length - 1;
  return { lag, lagOf: (i: number) => lag.lagMs(times[count], count, count - i + 1) };
}

Deno.test("the lag of each point is exact while there are no more than 1024 samples, and times without points are one", () => {
  const exact = (quiet: number, count: number) => {
    const lag = new LagMeter();
    for (let ms = 0; ms < quiet; ms++) lag.add(ms, 0);
    for (let i = 1; i < count; i++) lag.add(quiet + i, i);
    for (let ms = 0; ms < 5000; ms++) lag.add(quiet + count + ms, count - 1);
    const now = quiet + count + 5000;
    for (let i = 2; i < count; i++) {
      if (lag.lagMs(now, count - 1, count - i) !== now - (quiet + i - 1)) return false;
    }
    return true;
  };
  assert.deepEqual([exact(1, 1024), exact(1, 1025)], [true, false]);
  assert.deepEqual([exact(3, 1023), exact(3, 1024)], [true, false]);
});

Deno.test("of more samples, those are forgotten whose points get no older by more than a 32nd", () => {
  // Three samples, many more, and now; `ago` is how long ago the first of them was.
  const after = (ago: number, gaps = [1, 1]) => {
    const now = 100 + ago;
    const many = Array.from({ length: 1021 }, (_, i) => now - 1 + i / 1024);
    return { now, ...meterOf([100, 100 + gaps[0], 100 + gaps[0] + gaps[1], ...many, now]) };
  };
  // The point behind the second sample is 64 to 65 old; with the first one it would be 66.
  assert.equal(after(66).lagOf(2), 66);
  assert.equal(after(65.5).lagOf(2), 64.5);
  assert.equal(after(65.5).lagOf(1), 65.5);
  assert.equal(after(66, [10, 1]).lagOf(2), 56);
  // The newest stay as they are.
  const { now, lag, lagOf } = after(1024);
  assert.equal(lagOf(1024), 1 - 1020 / 1024);
  assert.equal(lag.lagMs(now + 0.5, 1025, 1), 0.5);
});

Deno.test("a lag grows while nothing comes and nothing is stored", () => {
  const lag = new LagMeter();
  lag.add(0, 0);
  for (let second = 1; second <= 100; second++) lag.add(second * 1000, 7);
  assert.equal(lag.lagMs(100_000, 7, 7), 100_000);
  lag.add(101_000, 8);
  assert.equal(lag.lagMs(101_000, 8, 1), 1000);
});

Deno.test("a lag of a week is known to the hour, and the meter stays small", () => {
  const lag = new LagMeter();
  const hours = 24 * 7;
  for (let minute = 0; minute <= hours * 60; minute++) lag.add(minute * 60_000, minute);
  const days = lag.lagMs(hours * 3_600_000, hours * 60, 3 * 24 * 60) / 3_600_000 / 24;
  assert.ok(days >= 3 && days < 3.5, `${days}`);
});

Deno.test("delays of the event loop are counted by their size", () => {
  using delay = new EventLoopDelay();
  for (const seconds of [0, 0.005, 0.006, 0.3, 60]) delay.add(seconds);
  assert.equal(delay.counts[0], 2);
  assert.equal(delay.counts[1], 1);
  assert.equal(delay.counts[DELAY_BOUNDS.indexOf(0.5)], 1);
  assert.equal(delay.counts.at(-1), 1);
  assert.ok(Math.abs(delay.sumSeconds - 60.311) < 1e-9);
});
