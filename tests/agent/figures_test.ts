import assert from "node:assert/strict";
import { DELAY_BOUNDS, EventLoopDelay } from "../../lib/agent/event_loop_delay.ts";
import { LagMeter } from "../../lib/agent/lag_meter.ts";

Deno.test("a lag is the age of the oldest point that waits, to the sample before it", () => {
  const lag = new LagMeter();
  for (let second = 0; second <= 10; second++) lag.add(second * 1000, second * 100);
  assert.equal(lag.lagMs(10_000, 1000, 0), 0);
  // The last 100 points came after the sample at 9 s.
  assert.equal(lag.lagMs(10_000, 1000, 100), 1000);
  assert.equal(lag.lagMs(10_000, 1000, 101), 2000);
  assert.equal(lag.lagMs(10_500, 1000, 1000), 10_500);
});

Deno.test("points from before the start have waited at least since the start", () => {
  const lag = new LagMeter();
  lag.add(0, 0);
  lag.add(1000, 10);
  assert.equal(lag.lagMs(5000, 10, 1_000_000), 5000);
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
