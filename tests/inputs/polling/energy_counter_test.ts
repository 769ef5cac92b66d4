import assert from "node:assert/strict";
import { EnergyCounter } from "../../../lib/inputs/polling/energy_counter.ts";
import type { U64 } from "../../../lib/inputs/polling/scan.ts";

function counterOf(max: U64 | undefined, joulesPerStep: number): EnergyCounter {
  return new EnergyCounter({ max, joules: (steps) => steps * joulesPerStep });
}

/** The results of values that are read one second after another. */
function results(counter: EnergyCounter, values: U64[]): (number | undefined)[] {
  return values.map((value, second) => counter.advance(value, 1000 * second));
}

Deno.test("the first value of a counter gives no energy, and the next ones the difference", () => {
  assert.deepEqual(results(counterOf(undefined, 2 ** -32), [45, 4294967341, 4294967341]), [undefined, 1, 0]);
});

Deno.test("a counter of 32 bits that wraps goes on, with one step for the wrap itself", () => {
  assert.deepEqual(results(counterOf(2 ** 32 - 1, 2 ** -16), [2 ** 32 - 1, 65535, 65536]), [
    undefined,
    1,
    2 ** -16,
  ]);
});

Deno.test("a counter that goes back without a width, or by what no machine can use, begins again", () => {
  assert.deepEqual(results(counterOf(undefined, 1), [500, 3, 5]), [undefined, undefined, 2]);
  assert.deepEqual(results(counterOf(262143328850, 1e-6), [2e11, 5, 1000005]), [undefined, undefined, 1]);
  assert.deepEqual(results(counterOf(100, 1), [500, 3, 5]), [undefined, undefined, 2], "above its own width");
});

Deno.test("a counter that jumps ahead by more than any machine uses begins again, and says so", () => {
  const counter = counterOf(undefined, 1);
  counter.advance(0, 0);
  assert.equal(counter.advance(1e9, 1000), undefined);
  assert.ok(counter.hasJumped);
  assert.equal(counter.advance(1e9 + 300, 2000), 300);
  assert.ok(!counter.hasJumped);
  assert.equal(counter.advance(2n ** 64n - 1n, 3000), undefined);
});

Deno.test("the longer the time between two values, the more energy they may stand for", () => {
  const counter = counterOf(262143328850, 1e-6);
  counter.advance(2e11, 0);
  assert.equal(Math.round(counter.advance(5, 1200_000)!), 62143);
});

Deno.test("10 kW are plausible, and ten times that of a counter that grows, for a second longer than it was", () => {
  for (const [mostWatts, most] of [[undefined, 20_000], [50, 100]] as const) {
    const advance = (max: number | undefined, values: number[]) =>
      results(
        new EnergyCounter({
          max,
          joules: (steps) => steps,
          ...(mostWatts === undefined ? {} : { mostWatts }),
        }),
        values,
      )
        .at(-1);
    assert.equal(advance(undefined, [0, 10 * most]), 10 * most);
    assert.equal(advance(undefined, [0, 10 * most + 1]), undefined);
    assert.equal(advance(999_999, [999_990, most - 10]), most);
    assert.equal(advance(999_999, [999_990, most - 9]), undefined);
  }
  const counter = counterOf(undefined, 1);
  counter.advance(5, 1000);
  assert.deepEqual([counter.advance(5, 2000), counter.hasJumped], [0, false]);
});

Deno.test("what is plausible is of the time between two values, whatever the clock says, and only a jump is one", () => {
  const counter = counterOf(undefined, 1);
  const advance = (value: number, ms: number) => [counter.advance(value, ms), counter.hasJumped];
  assert.equal(counter.hasJumped, false);
  assert.deepEqual(advance(0, 1e9), [undefined, false], "the first value");
  assert.deepEqual(advance(200_001, 1e9 + 1000), [undefined, true]);
  assert.deepEqual(advance(5, 1e9 + 2000), [undefined, false], "it went back");
  assert.deepEqual(advance(200_005, 1e9 + 3000), [200_000, false]);
});
