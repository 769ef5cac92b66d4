import assert from "node:assert/strict";
import { Points, seriesOf } from "../../../lib/inputs/polling/points.ts";
import { Batch } from "../../../lib/points/measurement.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { logTo, rows, T } from "../../kit/measuring.ts";

const UNIT = { base: "1", prefix: "" };
const U64 = seriesOf({ name: "u", type: "u64", unit: UNIT, description: "" });
const F64 = seriesOf({ name: "f", type: "f64", unit: UNIT, description: "" });

function kit() {
  const lines: string[] = [];
  const clock = new FakeClock();
  const points = new Points(clock, logTo(lines));
  const batch = new Batch();
  points.begin(batch, T);
  return { points, batch, clock, lines };
}

Deno.test("a value that its type cannot hold has no point, and the others have theirs", () => {
  const { points, batch } = kit();
  const bad = [-1, 0.5, NaN, Infinity, 2 ** 53 + 2, -1n, 2n ** 64n];
  for (const value of bad) {
    points.u64(U64, value);
    points.u64(U64, 7);
  }
  for (const value of [NaN, Infinity, -Infinity]) points.f64(F64, value);
  for (const value of [0, 0n, 2 ** 53, 2n ** 53n, 2n ** 64n - 1n]) points.u64(U64, value);
  for (const value of [-1.5, 1e308]) points.f64(F64, value);
  assert.equal(points.refused, bad.length + 3);
  assert.deepEqual(rows(batch).map((row) => row.split(" ").at(-1)), [
    ...bad.map(() => "7"),
    "0",
    "0",
    "9007199254740992",
    "9007199254740992",
    "18446744073709551615",
    "-1.5",
    "1e+308",
  ]);
});

Deno.test("values that are not valid are reported at once, and then once a minute with their number", () => {
  const { points, clock, lines } = kit();
  for (let second = 0; second < 121; second++) {
    points.u64(U64, 2n ** 64n);
    points.f64(F64, NaN);
    clock.spend(1000);
  }
  assert.deepEqual(lines.map((line) => line.slice(25).trim()), [
    "WARN  test: Cannot use a value of u: it is not a valid u64 value=18446744073709551616 points=1",
    "WARN  test: Cannot use a value of u: it is not a valid u64 value=18446744073709551616 points=120",
    "WARN  test: Cannot use a value of u: it is not a valid u64 value=18446744073709551616 points=120",
  ]);
});
