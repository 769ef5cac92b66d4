import assert from "node:assert/strict";
import { EnergyCounter, type EnergyRegister } from "../../../lib/inputs/rapl/register.ts";
import type { U64 } from "../../../lib/inputs/polling/scan.ts";

function counterOf(max: U64 | undefined, joulesPerStep: number): EnergyCounter {
  const register: EnergyRegister = {
    domain: "package",
    socket: 0,
    die: 0,
    file: "",
    max,
    joules: (steps) => steps * joulesPerStep,
    read: () => undefined,
    isGone: false,
    close: () => {},
  };
  return new EnergyCounter(register);
}

/** The results of values that are read one second after another. */
function results(counter: EnergyCounter, values: U64[]): (number | undefined)[] {
  return values.map((value, second) => counter.advance(value, 1000 * second));
}

Deno.test("the first value of a register gives no energy, and the next ones the difference", () => {
  assert.deepEqual(results(counterOf(undefined, 2 ** -32), [45, 4294967341, 4294967341]), [undefined, 1, 0]);
});

Deno.test("a register of 32 bits that wraps goes on, with one step for the wrap itself", () => {
  assert.deepEqual(results(counterOf(2 ** 32 - 1, 2 ** -16), [2 ** 32 - 1, 65535, 65536]), [
    undefined,
    1,
    2 ** -16,
  ]);
});

Deno.test("a register that goes back without a width, or by what no machine can use, begins again", () => {
  assert.deepEqual(results(counterOf(undefined, 1), [500, 3, 5]), [undefined, undefined, 2]);
  assert.deepEqual(results(counterOf(262143328850, 1e-6), [2e11, 5, 1000005]), [undefined, undefined, 1]);
  assert.deepEqual(results(counterOf(100, 1), [500, 3, 5]), [undefined, undefined, 2], "above its own width");
});

Deno.test("the longer the time between two values, the more energy a wrap may stand for", () => {
  const counter = counterOf(262143328850, 1e-6);
  counter.advance(2e11, 0);
  assert.equal(Math.round(counter.advance(5, 1200_000)!), 62143);
});
