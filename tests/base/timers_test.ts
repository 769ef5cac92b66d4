import assert from "node:assert/strict";
import { Timer } from "../../lib/base/timers.ts";
import { until } from "../kit/waiting.ts";

/** Nothing else of this process runs meanwhile. */
function block(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

Deno.test("a timer calls once, or again and again, until it is ended", async () => {
  const calls = { once: 0, repeated: 0 };
  using _once = Timer.after(0, () => calls.once++);
  const repeated = Timer.every(0, () => calls.repeated++);
  await until(() => calls.once > 0 && calls.repeated >= 3);
  repeated[Symbol.dispose]();
  const { repeated: count } = calls;
  using _other = Timer.after(1, () => calls.once += 10);
  await until(() => calls.once > 10);
  assert.deepEqual(calls, { once: 11, repeated: count });
});

Deno.test("a timer that something else ends just when it is due does nothing", async () => {
  let late = 0;
  for (let round = 0; round < 30; round++) {
    let isEnded = false;
    const call = () => {
      if (isEnded) late++;
    };
    const timers = [Timer.after(2, call), Timer.every(2, call)];
    // Both are ready when the event loop goes on: the timers, and the answer of the system that ends them.
    const ending = Deno.stat("/").then(() => {
      for (const timer of timers) timer[Symbol.dispose]();
      isEnded = true;
    });
    block(3);
    await ending;
    await new Promise((resolve) => setTimeout(resolve));
  }
  assert.equal(late, 0);
});

Deno.test("a time beyond the longest timer is not over at once", async () => {
  let calls = 0;
  using _far = Timer.after(2 ** 40, () => calls++);
  using _farRepeated = Timer.every(2 ** 40, () => calls++);
  let isOver = false;
  using _near = Timer.after(2, () => isOver = true);
  await until(() => isOver);
  assert.equal(calls, 0);
});

/** A clock that stands still, and timers that a test calls. */
class StillTime implements Disposable {
  readonly #real = { now: performance.now, setTimeout: globalThis.setTimeout };
  nowMs: number;
  /** When timers are due, and what they do. */
  readonly timers: { dueMs: number; call: () => void }[] = [];

  constructor(nowMs: number) {
    this.nowMs = nowMs;
    performance.now = () => this.nowMs;
    globalThis.setTimeout = Object.assign((call: () => void, ms: number) => {
      this.timers.push({ dueMs: this.nowMs + ms, call });
      return 0 as unknown as ReturnType<typeof setTimeout>;
    }, this.#real.setTimeout);
  }

  /** Calls the timer that is due next, and says when that was. */
  callNext(lateMs = 0): number {
    this.timers.sort((a, b) => a.dueMs - b.dueMs);
    const { dueMs, call } = this.timers.shift()!;
    this.nowMs = dueMs + lateMs;
    call();
    return dueMs;
  }

  [Symbol.dispose](): void {
    performance.now = this.#real.now;
    globalThis.setTimeout = this.#real.setTimeout;
  }
}

Deno.test("repeated timers call at multiples of their interval, so that one turn of the event loop is enough for several", () => {
  using time = new StillTime(130);
  const late: number[] = [];
  using _half = Timer.every(500, () => {});
  time.nowMs = 749;
  using _whole = Timer.every(1000, (lateMs) => late.push(lateMs));
  time.nowMs = 751;
  using _other = Timer.every(500, () => {});
  assert.deepEqual(
    time.timers.map(({ dueMs }) => dueMs),
    [500, 2000, 1500],
    "after half to one and a half intervals",
  );
  time.nowMs = 500;
  assert.deepEqual(Array.from({ length: 6 }, () => time.callNext()), [500, 1000, 1500, 1500, 2000, 2000]);
  assert.deepEqual([time.callNext(), late], [2000, [0]]);
});

Deno.test("a repeated timer says how late it is, leaves out what has passed, and does not drift", () => {
  using time = new StillTime(0);
  const late: number[] = [];
  using _timer = Timer.every(100, (lateMs) => late.push(lateMs));
  assert.deepEqual([time.callNext(1), time.callNext(9), time.callNext(250)], [100, 200, 300]);
  assert.deepEqual(late, [1, 9, 250]);
  assert.equal(time.callNext(), 700);
});

Deno.test("what has come while the process was stopped has nearly an interval to be read before a repeated timer looks again", () => {
  for (const [lateMs, nextMs] of [[9, 200], [11, 300], [99, 300], [108, 300], [112, 400]]) {
    using time = new StillTime(0);
    using _timer = Timer.every(100, () => {});
    assert.deepEqual([time.callNext(lateMs), time.callNext()], [100, nextMs], `late by ${lateMs} ms`);
  }
});

Deno.test("a repeated timer that is early does not call twice for one time", () => {
  using time = new StillTime(0);
  const late: number[] = [];
  using _timer = Timer.every(100, (lateMs) => late.push(lateMs));
  assert.deepEqual([time.callNext(-1), time.callNext(), late], [100, 200, [0, 0]]);
});

Deno.test("intervals are of a millisecond at least, and of half the longest timer at most", () => {
  const dues = (ms: number) => {
    using time = new StillTime(0);
    using _timer = Timer.every(ms, () => {});
    return [time.callNext(), time.callNext()];
  };
  assert.deepEqual(dues(0), [1, 2]);
  assert.deepEqual(dues(2 ** 40), [1_073_741_824, 2_147_483_647]);
});

Deno.test("what has to wait for arrivals waits for one more turn", () => {
  using time = new StillTime(10);
  const calls: number[] = [];
  using _timer = Timer.afterArrivals(5, () => calls.push(time.nowMs));
  assert.equal(time.callNext(), 15);
  assert.deepEqual(calls, []);
  assert.equal(time.callNext(), 15);
  assert.deepEqual(calls, [15]);
});

Deno.test("a process waits for its timers, unless it was said that it need not", () => {
  using time = new StillTime(0);
  const { unrefTimer } = Deno;
  let unrefs = 0;
  Deno.unrefTimer = () => unrefs++;
  try {
    using _once = Timer.after(1, () => {});
    using timer = Timer.every(100, () => {});
    time.callNext();
    assert.equal(unrefs, 0);
    timer.unref();
    assert.equal(unrefs, 1);
    time.callNext();
    assert.equal(unrefs, 2);
  } finally {
    Deno.unrefTimer = unrefTimer;
  }
});
