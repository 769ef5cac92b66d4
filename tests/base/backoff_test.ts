import assert from "node:assert/strict";
import { type Backoff, backoffMs, DEFAULT_BACKOFF } from "../../lib/base/backoff.ts";

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
