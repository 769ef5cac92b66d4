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
