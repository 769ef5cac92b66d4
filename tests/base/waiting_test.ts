import assert from "node:assert/strict";
import { Wakeup } from "../../lib/base/waiting.ts";
import { pause } from "../kit/waiting.ts";

const tick = () => pause(0);

Deno.test("a wait ends when it is woken, when its time is over, or when the signal is aborted", async () => {
  const wakeup = new Wakeup();
  for (const end of ["wake", "abort"]) {
    const abort = new AbortController();
    let over = false;
    const waiting = wakeup.wait(60_000, abort.signal).then(() => over = true);
    await tick();
    assert.deepEqual([over, wakeup.isAwaited], [false, true]);
    if (end === "wake") wakeup.wake();
    else abort.abort();
    await waiting;
    assert.equal(wakeup.isAwaited, false);
  }
  await wakeup.wait(1);
  assert.equal(wakeup.isAwaited, false);
  // Nobody waits.
  wakeup.wake();
});

Deno.test("a wait of no time, of less, or for a signal that was aborted before is over at once", async () => {
  const wakeup = new Wakeup();
  await wakeup.wait(0);
  await wakeup.wait(-5);
  await wakeup.wait(Infinity, AbortSignal.abort());
  assert.equal(wakeup.isAwaited, false);
});

Deno.test("a wait that is longer than a timer can be does not end at once", async () => {
  const wakeup = new Wakeup();
  const waiting = wakeup.wait(2 ** 40);
  await tick();
  assert.equal(wakeup.isAwaited, true);
  wakeup.wake();
  await waiting;
});

/** What may run while a wait begins or ends: the runtime may run queued microtasks within these two. */
const HOOKS = ["setTimeout", "clearTimeout"] as const;
/** Where each of a hook's first calls does something else. */
const CALLS = 3;

Deno.test("whatever runs while a wait begins or ends, who waits can be woken", async () => {
  const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  // At each of the calls of both hooks: nothing, a wake, a wake and the next wait, an abort.
  const actions = 4;
  let waits = 0;
  for (let order = 0; order < actions ** CALLS * actions ** CALLS; order++) {
    const wakeup = new Wakeup();
    let abort = new AbortController();
    let open = 0;
    let digits = order;
    const begin = () => {
      open++;
      waits++;
      void wakeup.wait(60_000, abort.signal).then(() => open--);
    };
    const hooked = (count: { calls: number }) => {
      if (count.calls++ >= CALLS) return;
      const action = digits % actions;
      digits = Math.floor(digits / actions);
      if (action === 1 || action === 2) wakeup.wake();
      // Who waited goes on when it has been woken, and waits again at once.
      if (action === 2 && !wakeup.isAwaited) begin();
      if (action === 3) abort.abort();
    };
    const counts = { setTimeout: { calls: 0 }, clearTimeout: { calls: 0 } };
    for (const name of HOOKS) {
      // deno-lint-ignore no-explicit-any
      (globalThis as any)[name] = (...args: unknown[]) => {
        // deno-lint-ignore no-explicit-any
        const result = (real as any)[name].call(globalThis, ...args);
        hooked(counts[name]);
        return result;
      };
    }
    try {
      begin();
      wakeup.wake();
      abort = new AbortController();
      if (!wakeup.isAwaited) begin();
    } finally {
      Object.assign(globalThis, real);
    }
    // However it came to this, whoever waits now is woken.
    for (let tries = 0; tries < 2 * CALLS && wakeup.isAwaited; tries++) wakeup.wake();
    for (let turn = 0; turn < 4; turn++) await Promise.resolve();
    assert.equal(open, 0, `order ${order}: somebody waits for ever`);
  }
  assert.ok(waits > 4096, `${waits}`);
});
