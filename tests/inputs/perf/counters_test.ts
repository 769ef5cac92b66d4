import assert from "node:assert/strict";
import { CounterSet, type Event } from "../../../lib/inputs/perf/counters.ts";
import { EINVAL } from "../../../lib/inputs/polling/perf_events.ts";
import { FakePerf } from "../../kit/fake_perf.ts";

const event = (config: number): Event => ({
  code: { type: 0, config: BigInt(config), config1: 0n, config2: 0n },
  flags: 0n,
});
const EVENTS = [0, 1, 2].map(event);
const TARGET = { id: 1, isGroup: false, cpu: -1 };

function read(set: CounterSet): (number | undefined)[] {
  const counts: (number | undefined)[] = [];
  set.read(counts);
  return counts;
}

Deno.test("events are read together, and each time what has been counted since the last time", () => {
  const perf = new FakePerf();
  const set = new CounterSet(perf, EVENTS, TARGET);
  assert.equal(perf.openNow, 3);
  perf.count(1000, 1000, [10, 20, 30]);
  assert.deepEqual(read(set), [10, 20, 30]);
  perf.count(1000, 1000, [1, 0, 5]);
  assert.deepEqual(read(set), [1, 0, 5]);
  assert.deepEqual(read(set), [0, 0, 0]);
  set.close();
  set.close();
  assert.equal(perf.openNow, 0);
});

Deno.test("events that take turns are scaled to the whole time; without a turn there is no count", () => {
  const perf = new FakePerf();
  const set = new CounterSet(perf, EVENTS, TARGET);
  perf.count(1000, 250, [10, 20, 30]);
  assert.deepEqual(read(set), [40, 80, 120]);
  perf.count(1000, 0, [0, 0, 0]);
  assert.deepEqual(read(set), []);
  // The next turn stands for its own time alone.
  perf.count(1000, 500, [10, 10, 10]);
  assert.deepEqual(read(set), [20, 20, 20]);
});

Deno.test("events that do not fit together are opened beside each other, and one that does not exist is left out", () => {
  const perf = new FakePerf();
  perf.refuse = ({ config }, { leader }) =>
    config === 2n && leader >= 0 ? EINVAL : config === 1n ? -2 : undefined;
  const set = new CounterSet(perf, EVENTS, TARGET);
  assert.deepEqual(set.failures, [undefined, -2, undefined]);
  assert.equal(perf.leaders, 2);
  perf.count(1000, 1000, [10, 20, 30]);
  assert.deepEqual(read(set), [10, , 30]);
  set.close();
});

Deno.test("a group that never gets a turn is parted, so that each event gets one by itself", () => {
  const perf = new FakePerf();
  const set = new CounterSet(perf, EVENTS, TARGET);
  perf.count(1000, 0, [0, 0, 0]);
  assert.deepEqual(read(set), []);
  assert.equal(perf.leaders, 3);
  perf.count(900, 300, [10, 20, 30]);
  assert.deepEqual(read(set), [30, 60, 90]);
  set.close();
  assert.equal(perf.openNow, 0);
});

Deno.test("an event that cannot be read, and a count that goes back, have no point", () => {
  const perf = new FakePerf();
  const set = new CounterSet(perf, EVENTS, TARGET);
  perf.count(1000, 1000, [10, 20, 30]);
  perf.isUnreadable = true;
  assert.deepEqual(read(set), []);
  perf.isUnreadable = false;
  assert.deepEqual(read(set), [10, 20, 30]);
  perf.count(1000, 1000, [-5, 5, 5]);
  assert.deepEqual(read(set), [, 5, 5]);
});
