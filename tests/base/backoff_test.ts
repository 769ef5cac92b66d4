import assert from "node:assert/strict";
import { type Backoff, backoffMs, DEFAULT_BACKOFF } from "../../lib/base/backoff.ts";
import { Rhythm } from "../../lib/base/rhythm.ts";

function waits(backoff: Backoff, random: number): number[] {
  return [1, 2, 3, 4, 5, 6, 99, 2000].map((failures) => backoffMs(backoff, failures, () => random));
}

Deno.test("waits double up to a limit, and jitter only shortens them", () => {
  assert.deepEqual(waits(DEFAULT_BACKOFF, 0), [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
  assert.deepEqual(waits(DEFAULT_BACKOFF, 1), [400, 800, 1600, 3200, 6400, 8000, 8000, 8000]);
});

Deno.test("without a multiplier the first two waits are the initial one, and all others the longest", () => {
  const backoff = { initialMs: 500, maxMs: 4000, jitter: 0.1 };
  assert.deepEqual(waits(backoff, 0), [500, 500, 4000, 4000, 4000, 4000, 4000, 4000]);
  assert.deepEqual(waits(backoff, 1), [450, 450, 3600, 3600, 3600, 3600, 3600, 3600]);
});

/** Whether it is slow after each of the batches, which come at these times. */
function slowAfter(waitMs: number, timesMs: readonly number[]): boolean[] {
  const rhythm = new Rhythm(waitMs);
  return timesMs.map((ms) => {
    rhythm.add(ms);
    return rhythm.isSlow;
  });
}

Deno.test("batches are slow once eight in a row came alone, four fifths of their wait apart, for as long as none comes sooner", () => {
  const alone = [0, 100, 200, 300, 400, 500, 600, 700, 800];
  const slow = [...alone.slice(0, 7).map(() => false), true, true];
  assert.deepEqual(slowAfter(125, alone), slow);
  // One that comes sooner, and the time to the next one counts from it.
  const sooner = [899, 998, 1098, 1198];
  assert.deepEqual(slowAfter(125, [...alone, ...sooner]), [...slow, false, false, false, false]);
  // Eight more that come alone are slow again.
  const again = [1298, 1398, 1498, 1598, 1698, 1798, 1898];
  const last = slowAfter(125, [...alone, ...sooner, ...again]).slice(-7);
  assert.deepEqual(last, [false, false, false, false, false, true, true]);
});

Deno.test("before the first batch none is slow, and where they would wait without end none ever is", () => {
  assert.equal(new Rhythm(0).isSlow, false);
  assert(slowAfter(Infinity, Array.from({ length: 20 }, (_, i) => i * 1e9)).every((slow) => !slow));
});
