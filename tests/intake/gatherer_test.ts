import assert from "node:assert/strict";
import type { Batch } from "../../lib/points/measurement.ts";
import { Gatherer } from "../../lib/intake/gatherer.ts";
import { Pacer } from "../../lib/intake/admission/pacer.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { instanceOf, NUMBERS } from "../kit/points.ts";
import { until } from "../kit/waiting.ts";

/** A gatherer with a clock of its own, and what it has passed on. */
class Gathering implements Disposable {
  nowMs = 0;
  readonly gatherer = new Gatherer(() => this.nowMs);
  readonly batches: Batch[] = [];

  constructor() {
    this.gatherer.start({ push: (batch) => void this.batches.push(batch) });
  }

  /** A read of a client has brought points. */
  read(points: number): void {
    const { builder } = this.gatherer;
    for (let i = 0; i < points; i++) {
      if (builder.current.length === 4096) builder.rotate();
      builder.current.push(NUMBERS, 1_700_000_000, i, i);
    }
    void this.gatherer.gathered();
  }

  /** So many reads a second, for two seconds. */
  load(readsPerSecond: number, points: number): number {
    for (let n = 0; n < 2 * readsPerSecond; n++) {
      this.nowMs += 1000 / readsPerSecond;
      this.read(points);
      void this.gatherer.waitMs;
    }
    return this.gatherer.waitMs;
  }

  [Symbol.dispose](): void {
    this.gatherer[Symbol.dispose]();
  }
}

/** Timers that fire when a test says so. */
class Timers implements Disposable {
  readonly #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  readonly #waiting = new Map<number, { ms: number; action: () => void }>();

  constructor() {
    let id = 0;
    globalThis.setTimeout = ((action: () => void, ms: number) => {
      this.#waiting.set(++id, { ms, action });
      return id;
    }) as unknown as typeof setTimeout;
    globalThis.clearTimeout = ((id: number) => void this.#waiting.delete(id)) as typeof clearTimeout;
  }

  /** How long each of them waits, in ms. */
  get waits(): number[] {
    return [...this.#waiting.values()].map(({ ms }) => ms);
  }

  fire(): void {
    const due = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { action } of due) action();
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, this.#real);
  }
}

Deno.test("points wait 2 ms where little comes, up to 50 ms more the more comes, and 2 ms again afterwards", () => {
  using gathering = new Gathering();
  assert.equal(gathering.gatherer.waitMs, 2);
  assert.ok(gathering.load(1, 740) < 4);
  const few = gathering.load(10, 10);
  assert.ok(few > 7 && few < 12, `${few} ms with 10 reads a second`);
  assert.ok(gathering.load(50, 740) > 45);
  for (const [reads, points] of [[600, 10], [5000, 10], [500, 740]]) {
    assert.equal(gathering.load(reads, points), 52);
  }
  gathering.nowMs += 20_000;
  assert.ok(gathering.gatherer.waitMs < 2.01);
});

Deno.test("the first message goes alone, full batches go at once, and the rest after the wait", async () => {
  using gathering = new Gathering();
  const lengths = () => gathering.batches.map(({ length }) => length);
  gathering.read(3);
  assert.deepEqual(lengths(), [3]);
  gathering.read(4090);
  gathering.read(10);
  assert.deepEqual(lengths(), [3, 4096]);
  await until(() => gathering.batches.length === 3);
  assert.deepEqual(lengths(), [3, 4096, 4]);
});

Deno.test("whoever waits for its points to be passed on is told when they are, and at once when there are none", async () => {
  using gathering = new Gathering();
  const { gatherer } = gathering;
  await gatherer.passedOn();
  gathering.read(1);
  gathering.read(1);
  let isPassedOn = false;
  const passedOn = gatherer.passedOn().then(() => isPassedOn = true);
  await Promise.resolve();
  assert.equal(isPassedOn, false);
  await passedOn;
  assert.equal(gathering.batches.length, 2);
});

Deno.test("while the pipe is full nothing is passed on, and whoever brings points waits for room", async () => {
  using gathering = new Gathering();
  const { gatherer, batches } = gathering;
  const room = Promise.withResolvers<void>();
  gatherer.start({ push: (batch) => (batches.push(batch), batches.length === 1 ? room.promise : undefined) });
  const { builder } = gatherer;
  const put = (count: number) => {
    for (let n = 0; n < count; n++) builder.current.push(NUMBERS, 1, 0, n);
    return gatherer.gathered();
  };
  const waits = put(1);
  assert.ok(waits instanceof Promise, "the pipe is full");
  builder.current.push(NUMBERS, 1, 0, 1);
  builder.rotate();
  assert.ok(put(1) instanceof Promise, "it still is");
  assert.equal(batches.length, 1);
  room.resolve();
  await waits;
  await until(() => batches.length === 3);
  assert.deepEqual(batches.map(({ length }) => length), [1, 1, 1]);
});

Deno.test("after the end everything has been handed over once, and nothing more is taken", async () => {
  using gathering = new Gathering();
  const { gatherer, batches } = gathering;
  gathering.read(2);
  gathering.read(3);
  gatherer.close();
  assert.ok(gatherer.isClosed);
  const count = batches.length;
  assert.equal(batches.reduce((sum, { length }) => sum + length, 0), 5);
  gathering.read(4);
  gatherer.close();
  await gatherer.flush();
  assert.equal(batches.length, count);
});

Deno.test("the number of a batch without points is handed over, too, and nothing where there is nothing", async () => {
  using gathering = new Gathering();
  const { gatherer, batches } = gathering;
  gathering.read(1);
  void gatherer.gathered();
  await gatherer.flush();
  assert.equal(batches.length, 1, "nothing had come");
  const client = new ClientTable().get("c", instanceOf("c"));
  gatherer.builder.current.credit(client, 7);
  void gatherer.gathered();
  await until(() => batches.length === 2);
  assert.deepEqual([batches[1].length, batches[1].origins[0].sequence], [0, 7]);
});

Deno.test("what comes together is passed on together, at once and behind the full batches; before it is over nothing else is", () => {
  using gathering = new Gathering();
  const lengths = () => gathering.batches.map(({ length }) => length);
  gathering.read(1);
  gathering.gatherer.hold();
  gathering.read(2);
  gathering.read(4094);
  gathering.read(5);
  assert.deepEqual(lengths(), [1, 4096]);
  gathering.gatherer.letGo(true);
  assert.deepEqual(lengths(), [1, 4096, 5]);
});

Deno.test("the first message goes alone out of those that come together", () => {
  using gathering = new Gathering();
  gathering.gatherer.hold();
  gathering.gatherer.builder.current.push(NUMBERS, 1_700_000_000, 0, 0);
  // It is half a message.
  gathering.gatherer.letGo(true);
  assert.equal(gathering.batches.length, 0);
  gathering.gatherer.hold();
  gathering.read(1);
  gathering.read(3);
  gathering.gatherer.letGo(true);
  assert.deepEqual(gathering.batches.map(({ length }) => length), [2, 3]);
});

Deno.test("what comes together and is not all waits for the rest", async () => {
  using gathering = new Gathering();
  gathering.read(1);
  gathering.gatherer.hold();
  gathering.read(2);
  gathering.gatherer.letGo(false);
  assert.equal(gathering.batches.length, 1);
  await until(() => gathering.batches.length === 2);
});

Deno.test("a timer runs only for points that are not held, and are not a full batch", () => {
  using timers = new Timers();
  using gathering = new Gathering();
  const { gatherer, batches } = gathering;
  gathering.read(1);
  assert.deepEqual(timers.waits, []);
  gatherer.hold();
  gathering.read(2);
  assert.deepEqual(timers.waits, []);
  gatherer.letGo(false);
  assert.equal(timers.waits.length, 1);
  gathering.read(1);
  assert.equal(timers.waits.length, 1, "one for all");
  timers.fire();
  assert.deepEqual(batches.map(({ length }) => length), [1, 3]);
  gathering.read(2);
  assert.equal(timers.waits.length, 1);
  timers.fire();
  for (let n = 0; n < 3; n++) gatherer.builder.current.push(NUMBERS, 1, 0, n);
  gatherer.builder.rotate();
  void gatherer.gathered();
  assert.deepEqual([timers.waits, batches.map(({ length }) => length)], [[], [1, 3, 2, 3]]);
  void gatherer.gathered();
  gatherer.hold();
  gatherer.letGo(false);
  assert.deepEqual(timers.waits, [], "there is nothing to wait for");
});

Deno.test("under load points wait for others, but not if they have waited for each other", () => {
  using timers = new Timers();
  using gathering = new Gathering();
  const { gatherer } = gathering;
  gathering.read(1);
  for (let n = 0; n < 2000; n++) void gatherer.gathered();
  gathering.read(1);
  assert.deepEqual(timers.waits, [52]);
  timers.fire();
  for (const [passOn, waitMs] of [[true, 2], [false, 52]] as const) {
    gatherer.hold();
    gatherer.letGo(passOn);
    gathering.read(1);
    assert.deepEqual(timers.waits, [waitMs]);
    timers.fire();
  }
});

Deno.test("what comes together waits, too, while the pipe is full", async () => {
  using timers = new Timers();
  using gathering = new Gathering();
  const { gatherer, batches } = gathering;
  const room = Promise.withResolvers<void>();
  gatherer.start({ push: (batch) => (batches.push(batch), room.promise) });
  gathering.read(1);
  gatherer.hold();
  gathering.read(2);
  gatherer.letGo(true);
  assert.equal(batches.length, 1);
  assert.deepEqual(timers.waits, []);
  room.resolve();
  await gatherer.blocked;
  timers.fire();
  assert.deepEqual(batches.map(({ length }) => length), [1, 2]);
});

Deno.test("a connection may bring a second's worth at once, and waits for what goes beyond that", async () => {
  using timers = new Timers();
  const { now } = performance;
  try {
    let nowMs = 5000;
    performance.now = () => nowMs;
    const pacer = new Pacer(1000);
    assert.equal(pacer.after(1000), undefined);
    const wait = pacer.after(1);
    assert.deepEqual(timers.waits, [1]);
    timers.fire();
    await wait;
    nowMs += 251;
    assert.equal(pacer.after(250), undefined, "just as many as came since");
    // However long nothing came.
    nowMs += 60_000;
    const stop = new AbortController();
    const stopped = pacer.after(3500, stop.signal);
    assert.deepEqual(timers.waits, [2500]);
    stop.abort();
    await stopped;
    assert.deepEqual(timers.waits, []);
  } finally {
    performance.now = now;
  }
});
