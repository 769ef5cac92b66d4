import assert from "node:assert/strict";
import { isInTime, SystemClock } from "../../lib/base/clock.ts";
import { FakeClock } from "../kit/fake_clock.ts";

Deno.test("the clock has microseconds, agrees with the system clock, and does not go back within a millisecond", () => {
  const clock = new SystemClock();
  const fractions = new Set<number>();
  let last = 0;
  for (let n = 0; n < 2000; n++) {
    const before = Date.now();
    const { seconds, nanos } = clock.now();
    const after = Date.now();
    const micros = seconds * 1e6 + nanos / 1000;
    assert.ok(
      micros >= before * 1000 - 1 && micros <= (after + 1) * 1000,
      `${micros} is not in ${before} … ${after}`,
    );
    assert.ok(micros >= last - 1000);
    assert.ok(Number.isInteger(nanos / 1000) && nanos >= 0 && nanos < 1e9);
    last = micros;
    fractions.add((nanos / 1000) % 1000);
  }
  assert.ok(fractions.size > 20, "times differ by less than a millisecond");
});

Deno.test("the clock follows steps of the wall clock in both directions", () => {
  const realNow = Date.now;
  const clock = new SystemClock();
  try {
    for (const step of [3_600_000, -7_200_000]) {
      const base = realNow() + step;
      Date.now = () => base;
      const { seconds, nanos } = clock.now();
      assert.ok(Math.abs(seconds * 1000 + nanos / 1e6 - base) < 2);
    }
  } finally {
    Date.now = realNow;
  }
});

Deno.test("sleep ends early, without an error, when it is aborted", async () => {
  const clock = new SystemClock();
  const stop = new AbortController();
  const sleeping = clock.sleep(3_600_000, stop.signal);
  stop.abort();
  await sleeping;
  await clock.sleep(3_600_000, stop.signal);
});

Deno.test("isInTime tells whether a promise was in time by the clock, throws its error, and leaves no timer behind", async () => {
  const clock = new FakeClock();
  assert.equal(await isInTime(Promise.resolve("done"), 1, clock), true);
  await assert.rejects(isInTime(Promise.reject(new Error("broken")), 1, clock), { message: "broken" });
  assert.equal(clock.sleepers, 0);
  const late = isInTime(new Promise(() => {}), 500, clock);
  await clock.advance(499);
  assert.equal(clock.sleepers, 1);
  await clock.advance(1);
  assert.equal(await late, false);
  const { promise, resolve } = Promise.withResolvers<void>();
  const stopped = isInTime(promise, 1, new SystemClock());
  for (const began = performance.now(); performance.now() - began < 5;);
  setTimeout(resolve, 0);
  assert.equal(await stopped, true, "it came while the process was stopped");
});

Deno.test("the microseconds are those since the millisecond of the wall clock began, and stay within it", () => {
  const real = { wall: Date.now, monotonic: performance.now };
  try {
    const walls = [4999, 4999, 5000];
    let monotonic = 100;
    Date.now = () => walls.length > 1 ? walls.shift()! : walls[0];
    performance.now = () => monotonic;
    const clock = new SystemClock();
    const at = (wallMs: number, monotonicMs: number) => {
      walls[0] = wallMs;
      monotonic = monotonicMs;
      return clock.now();
    };
    assert.deepEqual(at(5000, 100.25), { seconds: 5, nanos: 250_000 }, "from the moment when it changed on");
    assert.deepEqual(at(5000, 100), { seconds: 5, nanos: 0 });
    // The wall clock is ahead, and the next time continues from there.
    assert.deepEqual(at(5002, 100.5), { seconds: 5, nanos: 2_000_000 });
    assert.deepEqual(at(5002, 100.75), { seconds: 5, nanos: 2_250_000 });
    // It is behind by just a millisecond, or by more.
    assert.deepEqual(at(5002, 101.5), { seconds: 5, nanos: 2_999_000 });
    assert.deepEqual(at(5003, 101.625), { seconds: 5, nanos: 3_124_000 });
    assert.deepEqual(at(5003, 109), { seconds: 5, nanos: 3_999_000 });
    assert.deepEqual(at(5004, 109.5), { seconds: 5, nanos: 4_499_000 });
    // Rounding does not lead into the next second.
    assert.deepEqual(at(5999, 1000), { seconds: 5, nanos: 999_000_000 });
    assert.deepEqual(at(5999, 1000.9996), { seconds: 5, nanos: 999_999_000 });
    assert.deepEqual(at(6000, 2000), { seconds: 6, nanos: 999_000 });
  } finally {
    Date.now = real.wall;
    performance.now = real.monotonic;
  }
});
