import assert from "node:assert/strict";
import { DELAY_BOUNDS, EventLoopDelay } from "../../lib/agent/event_loop_delay.ts";
import { Figures, type FigureSources } from "../../lib/agent/figures.ts";
import type { Journals } from "../../lib/agent/journals.ts";
import { LagMeter } from "../../lib/agent/lag_meter.ts";
import { Timer } from "../../lib/base/timers.ts";
import { ClientTable, markName } from "../../lib/points/origins.ts";

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
  for (const seconds of [1, 1.5, 5, 5.5]) delay.add(seconds);
  assert.deepEqual(delay.counts.slice(-4), [1, 1, 1, 2]);
});

/** Time that passes when a test says so, for timers of {@linkcode Timer.every} and `performance.now()`. */
class Clock implements Disposable {
  readonly #real = { every: Timer.every, now: performance.now };
  readonly #timers: { everyMs: number; nextMs: number; action: (lateMs: number) => void }[] = [];
  nowMs = 0;

  constructor() {
    performance.now = () => this.nowMs;
    Timer.every = (everyMs, action) => {
      const timer = { everyMs, nextMs: this.nowMs + everyMs, action };
      this.#timers.push(timer);
      const real = this.#real.every.call(Timer, 1e9, () => {});
      const dispose = real[Symbol.dispose].bind(real);
      real[Symbol.dispose] = () => {
        timer.nextMs = Infinity;
        dispose();
      };
      return real;
    };
  }

  /** @param lateMs How late each timer is. */
  pass(ms: number, lateMs = 0): void {
    for (const endMs = this.nowMs + ms;;) {
      const timer = this.#timers.toSorted((a, b) => a.nextMs - b.nextMs)[0];
      this.nowMs = Math.min(endMs, timer.nextMs + lateMs);
      if (this.nowMs === endMs && timer.nextMs + lateMs > endMs) return;
      timer.nextMs += timer.everyMs;
      timer.action(lateMs);
    }
  }

  [Symbol.dispose](): void {
    Timer.every = this.#real.every;
    performance.now = this.#real.now;
  }
}

Deno.test("how late the event loop is, is measured each half second", () => {
  using clock = new Clock();
  const delay = new EventLoopDelay();
  clock.pass(499);
  assert.equal(delay.counts[0], 0);
  clock.pass(1501);
  assert.deepEqual([delay.counts[0], delay.sumSeconds], [4, 0]);
  clock.pass(600, 20);
  assert.deepEqual([delay.counts[2], delay.sumSeconds], [1, 0.02]);
  clock.pass(400);
  assert.deepEqual([delay.counts[0], delay.sumSeconds], [5, 0.02]);
  delay[Symbol.dispose]();
  clock.pass(2000);
  assert.equal(delay.counts[0], 5);
});

/** Figures of a process, by what a test says of its parts and journals. */
function figuresOf(
  parts: Partial<Omit<FigureSources, "journals">>,
  journals: Partial<Journals> = {},
): Figures {
  const last = { stats: { appendedPoints: 0, droppedPoints: 0 }, clients: new ClientTable() };
  return new Figures({
    ...{ role: "server", inputs: [], transforms: [], outputs: [], stages: [] },
    ...{ readers: () => [], deadLetters: new Map() },
    ...parts,
    journals: () =>
      ({ first: last, last, all: [last], disks: [], pendingPoints: 0, ...journals }) as Journals,
  } as FigureSources);
}

/** A journal with these books, and points that have come. */
const journalOf = (clients: ClientTable, appendedPoints = 0) => ({ clients, stats: { appendedPoints } });

Deno.test("who was heard is told once, with what the first journal received, and without marks", () => {
  const [first, middle, last] = [new ClientTable(), new ClientTable(), new ClientTable()];
  const heard = (journals: Partial<Journals>) => {
    using figures = figuresOf({}, journals);
    const contacts: [string, number, number][] = [];
    figures.eachContact((...contact) => contacts.push(contact));
    return contacts;
  };
  Object.assign(first.get("a", "1"), { receivedPoints: 5, lastContactMs: 7 });
  Object.assign(first.get(markName("m"), "1"), { receivedPoints: 1 });
  const [one, three] = [first, last].map((clients) => journalOf(clients)) as unknown as Journals["all"];
  assert.deepEqual(heard({ first: one, last: one }), [["a", 7, 5]]);
  Object.assign(first.local, { receivedPoints: 1, lastContactMs: 3 });
  Object.assign(last.get("a", "1"), { receivedPoints: 100, lastContactMs: 9 });
  assert.deepEqual(heard({ first: one, last: three }), [["", 3, 1], ["a", 7, 5], ["a", 9, 0]]);
  // The books of all journals together.
  const two = journalOf(middle) as unknown as Journals["first"];
  Object.assign(middle.get("b", "1"), { receivedPoints: 3 });
  using figures = figuresOf({}, { first: one, last: three, all: [one, two, three] });
  const received = [...figures.clients()].map(({ client, received }) => [client, received]);
  assert.deepEqual(received, [["", 1], ["a", 5], ["b", 0]]);
});

Deno.test("counters are those of each part that counts, and of the last journal", () => {
  const part = (stats?: Record<string, number>) => ({ stats, gauges: ["g"] });
  using figures = figuresOf({
    inputs: [{ name: "i", input: part({ a: 1 }) }, { name: "silent", input: part() }],
    transforms: [{ name: "t", transform: part({ b: 2 }) }],
    stages: [{ name: "s", ...part({ c: 3 }) }],
    outputs: [{ name: "o", output: part({ d: 4 }) }],
  } as unknown as FigureSources);
  const journal = { appendedPoints: 0, droppedPoints: 0 };
  const counters = Object.entries({ i: { a: 1 }, t: { b: 2 }, s: { c: 3 }, journal, o: { d: 4 } });
  assert.deepEqual(Object.entries(figures.counters()), counters);
  assert.deepEqual(figures.parts().map(({ kind, gauges }) => [kind, ...gauges]), [
    ...[["input", "g"], ["transform", "g"], ["transform", "g"], ["output", "g"]],
  ]);
});

Deno.test("connections are those of all inputs and outputs, and unknown where nothing receives", () => {
  const inputs = (...counts: (number | undefined)[]) =>
    counts.map((connectedClients, i) => ({
      name: `i${i}`,
      input: {
        connectedClients,
        connectionOf: (client: string) => client === `c${i}` ? { address: `a${i}`, version: "1" } : undefined,
      },
    }));
  const outputs = [{ name: "a", output: { connectedTo: "a:1" } }, { name: "b", output: {} }];
  const ofParts = (...counts: (number | undefined)[]) =>
    figuresOf({ inputs: inputs(...counts), outputs } as unknown as FigureSources);
  using many = ofParts(3, undefined, 4);
  using one = ofParts(0);
  using none = ofParts(undefined);
  assert.deepEqual([many, one, none].map(({ connectedClients }) => connectedClients), [7, 0, undefined]);
  assert.equal(many.connectionOf("c2")?.address, "a2");
  assert.equal(many.connectionOf("c3"), undefined);
  assert.deepEqual(many.servers(), ["a:1"]);
});

Deno.test("each output says what waits for it, for how long, and what its target refused", () => {
  using clock = new Clock();
  const last = { ...journalOf(new ClientTable(), 10), usage: { bytes: 1, limitBytes: 2, isFull: false } };
  const journals = {
    ...{ first: last, last, pendingPoints: 10, droppedPoints: 7 },
    disks: [{ directory: "/first" }, { directory: "/last" }],
  } as unknown as Journals;
  using figures = figuresOf({
    outputs: [{ name: "a", output: { isTargetAway: true } }, { name: "b", output: {} }],
    readers: () => [{ pendingPoints: 4, droppedPoints: 3 }],
    deadLetters: new Map([["a", { refusedPoints: 6, droppedPoints: 5 }]]),
  } as unknown as FigureSources, journals);
  clock.pass(1000.5);
  last.stats.appendedPoints = 14;
  clock.pass(1999.5);
  const [a, b] = figures.outputs();
  assert.deepEqual(a, {
    ...{ name: "a", pendingPoints: 4, lagSeconds: 2, droppedPoints: 3, isTargetAway: true },
    ...{ deadLetters: 6, droppedDeadLetters: 5 },
  });
  // Its reader is not there yet.
  assert.deepEqual(b, {
    ...{ name: "b", pendingPoints: 0, lagSeconds: 0, droppedPoints: 0, isTargetAway: false },
    ...{ deadLetters: 0, droppedDeadLetters: 0 },
  });
  clock.pass(500);
  assert.deepEqual(figures.journal(), {
    ...{ directory: "/last", bytes: 1, limitBytes: 2, isFull: false, appendedPoints: 14 },
    ...{ droppedPoints: 7, pendingPoints: 10, oldestSeconds: 3.5 },
  });
  // What came between two looks has waited since the first of them.
  last.stats.appendedPoints = 15;
  clock.pass(2500);
  assert.equal(figures.outputs()[0].lagSeconds, 5);
});

Deno.test("the time of the processors is that of the process and of the kernel for it", () => {
  using figures = figuresOf({});
  const real = Deno.readTextFileSync;
  const cpuSeconds = (read: () => string) => {
    Deno.readTextFileSync = read;
    try {
      return figures.process().cpuSeconds;
    } finally {
      Deno.readTextFileSync = real;
    }
  };
  // man 5 proc: the 14th and the 15th of the fields, of which the second one may have anything in it.
  assert.equal(cpuSeconds(() => `7 (a) (b) S ${"1 ".repeat(10)}150 25 9999 9999`), 1.75);
  const missing = () => {
    throw new Deno.errors.NotFound();
  };
  assert.ok(Number.isNaN(cpuSeconds(missing)));
});
