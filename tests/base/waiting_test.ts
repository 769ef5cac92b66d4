import assert from "node:assert/strict";
import {
  closeQuietly,
  EitherSignal,
  onAbort,
  TimeLimit,
  unlessAborted,
  untilAborted,
  Wakeup,
  within,
  withTimeLimit,
} from "../../lib/base/waiting.ts";
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

Deno.test("a wait ends at once if its time is zero or negative, or if its signal is already aborted", async () => {
  const wakeup = new Wakeup();
  await wakeup.wait(0);
  await wakeup.wait(-5);
  await wakeup.wait(Infinity, AbortSignal.abort());
  assert.equal(wakeup.isAwaited, false);
});

Deno.test("a wait that exceeds the longest timer does not end at once", async () => {
  const wakeup = new Wakeup();
  const waiting = wakeup.wait(2 ** 40);
  await tick();
  assert.equal(wakeup.isAwaited, true);
  wakeup.wake();
  await waiting;
});

Deno.test("a wait whose time is over clears no timer: that costs as much as to clear one that runs", async () => {
  const { clearTimeout } = globalThis;
  let cleared = 0;
  globalThis.clearTimeout = (id) => {
    cleared++;
    clearTimeout(id);
  };
  try {
    const wakeup = new Wakeup();
    await wakeup.wait(1);
    assert.equal(cleared, 0);
    const waiting = wakeup.wait(60_000);
    wakeup.wake();
    await waiting;
    assert.equal(cleared, 1);
  } finally {
    globalThis.clearTimeout = clearTimeout;
  }
});

Deno.test("a wait without an end starts no timer, and one whose time is over does not wait for a millisecond", () => {
  const { setTimeout } = globalThis;
  const times: number[] = [];
  globalThis.setTimeout = Object.assign((_end: () => void, ms: number) => times.push(ms), setTimeout);
  try {
    for (const ms of [Infinity, 0, -5, 7]) void new Wakeup().wait(ms);
    assert.deepEqual(times, [0, 0, 7]);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});

/** What may run while a wait begins or ends: the runtime may run queued microtasks within these two. */
const HOOKS = ["setTimeout", "clearTimeout"] as const;
/** Where each of a hook's first calls does something else. */
const CALLS = 3;

Deno.test("whatever runs while a wait begins or ends, the waiting caller can be woken", async () => {
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

Deno.test("within tells whether a promise was in time, and throws its error", async () => {
  assert.equal(await within(Promise.resolve("done"), 60_000), true);
  assert.equal(await within(new Promise(() => {}), 1), false);
  await assert.rejects(within(Promise.reject(new Error("broken")), 60_000), { message: "broken" });
});

Deno.test("what has come while the process was stopped is in time", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const isInTime = within(promise, 1);
  for (const began = performance.now(); performance.now() - began < 5;);
  setTimeout(resolve, 0);
  assert.ok(await isInTime);
});

Deno.test("untilAborted resolves when the signal is aborted, or at once if it already is", async () => {
  await untilAborted(AbortSignal.abort());
  const stop = new AbortController();
  let over = false;
  const waiting = untilAborted(stop.signal).then(() => over = true);
  await tick();
  assert.equal(over, false);
  stop.abort();
  await waiting;
});

Deno.test("unlessAborted tells whether the promise resolved, and throws its error", async () => {
  const { signal } = new AbortController();
  assert.equal(await unlessAborted(Promise.resolve(), signal), true);
  await assert.rejects(unlessAborted(Promise.reject(new Error("broken")), signal), { message: "broken" });
  assert.equal(await unlessAborted(new Promise(() => {}), AbortSignal.abort()), false);
  const stop = new AbortController();
  const waiting = unlessAborted(new Promise(() => {}), stop.signal);
  stop.abort(new Error("stopped"));
  assert.equal(await waiting, false);
  // Of a promise that failed before, the error counts.
  const later = new AbortController();
  const { promise, reject } = Promise.withResolvers<void>();
  const failing = unlessAborted(promise, later.signal);
  promise.catch(() => later.abort());
  reject(new Error("broken"));
  await assert.rejects(failing, { message: "broken" });
});

Deno.test("onAbort calls the action on abort, at once if the signal is already aborted, and never after its disposal", () => {
  let calls = 0;
  const count = () => void calls++;
  onAbort(AbortSignal.abort(), count);
  assert.equal(calls, 1);
  const stop = new AbortController();
  {
    using _kept = onAbort(stop.signal, count);
    onAbort(stop.signal, count)[Symbol.dispose]();
  }
  onAbort(stop.signal, count);
  stop.abort();
  assert.equal(calls, 2);
});

Deno.test("a time limit aborts after its time or with the outer signal, and not after its disposal", async () => {
  {
    using limit = new TimeLimit(1, new AbortController().signal);
    await untilAborted(limit.signal);
    assert.deepEqual([limit.isOver, limit.signal.reason.name], [true, "TimeoutError"]);
  }
  const stop = new AbortController();
  const limit = new TimeLimit(60_000, stop.signal);
  stop.abort("stopped");
  assert.deepEqual([limit.isOver, limit.signal.aborted, limit.signal.reason], [false, true, "stopped"]);
  limit[Symbol.dispose]();
  const later = new AbortController();
  const disposed = new TimeLimit(60_000, later.signal);
  disposed[Symbol.dispose]();
  later.abort();
  assert.equal(disposed.signal.aborted, false);
});

Deno.test("a signal of several is aborted with the first of them, for its reason, and not after its disposal", () => {
  const [first, second] = [new AbortController(), new AbortController()];
  using either = new EitherSignal(first.signal, second.signal);
  const disposed = new EitherSignal(first.signal, second.signal);
  disposed[Symbol.dispose]();
  assert.equal(either.signal.aborted, false);
  second.abort("second");
  first.abort("first");
  assert.deepEqual([either.signal.reason, disposed.signal.aborted], ["second", false]);
  using late = new EitherSignal(new AbortController().signal, first.signal);
  assert.equal(late.signal.reason, "first");
});

Deno.test("whoever waits for a signal of several is told also where garbage was collected meanwhile", async () => {
  const program = `
    import { EitherSignal, untilAborted } from ${
    JSON.stringify(import.meta.resolve("../../lib/base/waiting.ts"))
  };
    const stop = new AbortController();
    const wait = () => untilAborted(new EitherSignal(stop.signal, new AbortController().signal).signal);
    const waiting = Promise.all(Array.from({ length: 100 }, wait));
    for (let turn = 0; turn < 3; turn++) {
      await new Promise((resolve) => setTimeout(resolve));
      gc();
    }
    stop.abort();
    await waiting;
    console.log("all were told");`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--v8-flags=--expose-gc", program],
    stderr: "inherit",
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "all were told\n");
});

Deno.test("a promise settles as it does, or fails after its time, or with the reason of a signal", async () => {
  assert.equal(await withTimeLimit(Promise.resolve(1), 60_000), 1);
  await assert.rejects(withTimeLimit(Promise.reject(new Error("broken")), 60_000), { message: "broken" });
  await assert.rejects(withTimeLimit(new Promise(() => {}), 1), { name: "TimeoutError" });
  const stop = new AbortController();
  const waiting = withTimeLimit(new Promise(() => {}), 60_000, stop.signal);
  stop.abort(new Error("stopped"));
  await assert.rejects(waiting, { message: "stopped" });
});

Deno.test("closeQuietly ignores what is already closed or missing", () => {
  let closed = 0;
  closeQuietly({ close: () => void closed++ });
  closeQuietly({
    close: () => {
      throw new Deno.errors.BadResource("closed");
    },
  });
  closeQuietly(null);
  closeQuietly(undefined);
  assert.equal(closed, 1);
});
