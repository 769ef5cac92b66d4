/** What the page is told of now: series, power and consumers, on a clock that only passes when a test says so. */
import assert from "node:assert/strict";
import type { Figures } from "../../lib/agent/figures.ts";
import type { RunningAgent } from "../../lib/agent/settings.ts";
import { Timer } from "../../lib/base/timers.ts";
import { Batch, type Metric, type Series, seriesOf } from "../../lib/points/measurement.ts";
import { Live } from "../../lib/seeing/live/live.ts";

const START = 1_800_000_000;
const metric = (name: string, base: string): Metric => ({
  name,
  type: "f64",
  unit: { base, prefix: "" },
  description: "",
});
const POWER = metric("meter_power", "W");
const ENERGY = metric("meter_energy", "J");
const MEMORY = metric("memory", "By");
const ofHost = (metric: Metric, host: string, resourceId = "") =>
  seriesOf(metric, { resourceKind: "r", resourceId, attributes: [["relay_client", host]] });

/** A process without clients, whose page is looked at. */
class Looking implements Disposable {
  readonly live: Live;
  readonly #real = { every: Timer.every, now: Date.now };
  #nowMs = START * 1000;
  #looks = { ms: 0, action: (_lateMs: number) => {}, nextMs: 0 };
  #watcher: (batch: Batch) => void = () => {};

  constructor(limitBytes = 1_000_000) {
    Date.now = () => this.#nowMs;
    Timer.every = (ms, action) => {
      this.#looks = { ms, action, nextMs: this.#nowMs + ms };
      return this.#real.every.call(Timer, 1e9, () => {});
    };
    const figures = { eachContact: () => {}, connectionOf: () => undefined, clients: () => [] };
    const agent = {
      figures: figures as Partial<Figures>,
      watch: (watcher: (batch: Batch) => void) => {
        this.#watcher = watcher;
        return { [Symbol.dispose]: () => {} };
      },
    };
    this.live = new Live(agent as unknown as RunningAgent, "here", limitBytes);
  }

  pass(seconds: number): void {
    const endMs = this.#nowMs + seconds * 1000;
    for (const looks = this.#looks; looks.nextMs <= endMs; looks.nextMs += looks.ms) {
      this.#nowMs = looks.nextMs;
      looks.action(0);
    }
    this.#nowMs = endMs;
  }

  /** Values of now. */
  take(...points: readonly (readonly [series: Series, value: number])[]): void {
    const batch = new Batch(points.length);
    for (const [series, value] of points) batch.push(series, Math.floor(this.#nowMs / 1000), 0, value);
    this.#watcher(batch);
    batch.release();
  }

  [Symbol.dispose](): void {
    this.live[Symbol.dispose]();
    Date.now = this.#real.now;
    Timer.every = this.#real.every;
  }
}

Deno.test("the figures are looked at each second, and power is sampled once a step", async () => {
  using looking = new Looking();
  const { live } = looking;
  const steps: number[] = [];
  live.hosts.sample = (_, begun) => void steps.push(begun);
  let looks = 0;
  using _ = live.onLook(() => looks++);
  looking.pass(6);
  assert.deepEqual([looks, steps], [6, [1, 1]]);
  assert.equal(live.isAwaited, false);
  const next = live.next(new AbortController().signal);
  assert.equal(live.isAwaited, true);
  looking.pass(1);
  await next;
  assert.equal(live.isAwaited, false);
});

Deno.test("a quarter of the memory is for the power of hosts, and each look shows the newest", () => {
  // Room for the power of ten hosts.
  using looking = new Looking(48_000);
  const { live } = looking;
  looking.take([ofHost(POWER, "a"), 10]);
  looking.pass(3);
  looking.take([ofHost(POWER, "a"), 20]);
  live.rows();
  const ends = () => live.power(1)[0].watts.slice(-2);
  assert.deepEqual(ends(), [10, 20]);
  looking.take(...Array.from({ length: 11 }, (_, n) => [ofHost(POWER, `b${n}`), 1] as const));
  assert.equal(live.power(99).length, 10);
  assert.deepEqual(live.axis, {
    step_seconds: 3,
    samples: live.power(1)[0].watts.length,
    newest: START + 3,
  });
});

Deno.test("of a host its own series are shown, 2,000 at most, and energies as watts", () => {
  using looking = new Looking();
  const { live } = looking;
  looking.take([ofHost(MEMORY, "a"), 5], [seriesOf(POWER), 7], [ofHost(ENERGY, "b"), 1]);
  looking.pass(2);
  looking.take([ofHost(ENERGY, "b"), 8]);
  const shown = (host: string) => live.seriesOf(host)?.map(({ unit, last, time }) => [unit, last, time]);
  assert.deepEqual(shown("a"), [["B", 5, START]]);
  assert.deepEqual(shown("here"), [["W", 7, START]]);
  assert.deepEqual(shown("b"), [["W", 4, START + 2]]);
  assert.equal(shown("nobody"), undefined);
  looking.take(...Array.from({ length: 2001 }, (_, n) => [ofHost(MEMORY, "c", `${n}`), n] as const));
  assert.equal(live.seriesOf("c")!.length, 2000);
});

Deno.test("consumers are those with a power in the last minute, the largest first, 200 at most", () => {
  using looking = new Looking();
  const { live } = looking;
  const consumer = (id: number) =>
    seriesOf(POWER, {
      consumerKind: "process",
      consumerId: `${id}`,
      attributes: [["relay_client", "a"]],
    });
  const shown = () => live.consumers().map(({ consumer, watts }) => [consumer, watts]);
  looking.take([ofHost(POWER, "a"), 99], [consumer(1), 0.5], [consumer(2), 1.2345678], [consumer(3), 0]);
  assert.deepEqual(shown(), [["process 2", 1.23457], ["process 1", 0.5]]);
  looking.pass(57);
  assert.equal(shown().length, 2);
  looking.pass(3);
  assert.deepEqual(shown(), []);
  looking.take(...Array.from({ length: 201 }, (_, n) => [consumer(n + 1), n + 1] as const));
  const largest = shown();
  assert.deepEqual([largest.length, largest[0], largest.at(-1)], [200, ["process 201", 201], [
    "process 2",
    2,
  ]]);
});
