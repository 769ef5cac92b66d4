import assert from "node:assert/strict";
import { type Allowance, check } from "../../tools/chaos/check.ts";
import { nanosOf } from "../../tools/chaos/life.ts";
import type { Life } from "../../tools/chaos/ledger.ts";
import { checkWindows } from "../../tools/chaos/windows.ts";
import type { NumberedPoint, StoredPoint } from "../../tools/chaos/outputs.ts";

/** 100 numbers were about to be handed over, 90 had been taken, 80 were durable. */
const LIFE: Life = { life: 1, begun: 100, taken: 90, durable: 80 };
const NONE: Allowance = { counted: 0 };

function points(count: number, change: (numbers: number[]) => void = () => {}): NumberedPoint[] {
  const numbers = Array.from({ length: count }, (_, i) => i);
  change(numbers);
  return numbers.map((number) => ({ life: 1, number, nanos: nanosOf(number) }));
}

const killed = (stored: NumberedPoint[], allowance = NONE) => check([LIFE], new Set(), stored, allowance);
const stopped = (stored: NumberedPoint[], allowance = NONE) => check([LIFE], new Set([1]), stored, allowance);

Deno.test("a killed client's points may end anywhere behind what was durable", () => {
  for (const count of [80, 81, 90, 100]) {
    const { problems, neverDurable, stored, missing } = killed(points(count));
    assert.deepEqual([problems, neverDurable, stored, missing], [[], 100 - count, count, 0]);
  }
});

Deno.test("what was durable, and what a stopped client had handed over, must be there", () => {
  assert.match(killed(points(79)).problems[0], /1 points missing: 79/);
  assert.match(stopped(points(85)).problems[0], /5 points missing: 85–89/);
  assert.deepEqual(stopped(points(90)).problems, []);
  assert.match(killed([]).problems[0], /80 points missing: 0–79/);
});

Deno.test("a gap, a point that is there twice, one that was never produced and a wrong time are problems", () => {
  assert.match(killed(points(100, (all) => all.splice(95, 1))).problems[0], /1 points missing: 95/);
  assert.match(killed(points(100, (all) => all.push(3, 4, 9))).problems[0], /3 points twice: 3–4, 9/);
  assert.match(killed(points(101)).problems[0], /point 100 was never produced/);
  assert.match(killed([...points(90), { life: 2, number: 0, nanos: 0 }]).problems[0], /life 2: point 0/);
  const late = points(90);
  late[7] = { ...late[7], nanos: 5 };
  assert.match(killed(late).problems[0], /point 7 has the time of another one/);
  assert.match(
    killed([...points(90), { life: 1, number: NaN, nanos: 0 }]).problems[0],
    /NaN was never produced/,
  );
});

Deno.test("only as many may be missing as were counted, and none may be there twice all the same", () => {
  const gap = points(100, (all) => all.splice(20, 10));
  assert.deepEqual(killed(gap, { counted: 10 }).problems, []);
  assert.match(killed(gap, { counted: 9 }).problems[0], /10 points are missing, and only 9 were counted/);
  assert.match(killed([...points(90), ...points(1)], { counted: 99 }).problems[0], /1 points twice: 0/);
});

Deno.test("twice may be only what was there before an end was damaged where it knew of it", () => {
  const twice = [...points(90), ...points(5)];
  const { again, problems } = killed(twice, { counted: 0, again: new Map([[1, 5]]) });
  assert.deepEqual([again, problems], [5, []]);
  assert.match(killed(twice, { counted: 0, again: new Map([[1, 4]]) }).problems[0], /1 points twice: 4/);
  assert.match(killed(twice, { counted: 0, again: new Map([[2, 9]]) }).problems[0], /5 points twice: 0–4/);
});

/** What is stored of 230 points: in windows of 100, or with the shares of an energy. */
function results(change: (points: StoredPoint[]) => void = () => {}): StoredPoint[] {
  const points: StoredPoint[] = [];
  const add = (metric: string, letter: string, seconds: number, number: number, nanos = 0) =>
    points.push({ life: 1, number, nanos, metric, seconds: 1_700_000_000 + seconds, letter });
  for (const [window, end] of [[0, 100], [1, 200], [2, 230]]) {
    for (let series = 0; series < 4; series++) {
      const numbers: number[] = [];
      for (let number = window * 100; number < end; number++) if (number % 8 === series) numbers.push(number);
      const sum = numbers.reduce((sum, number) => sum + number, 0);
      const result = (metric: string, value: number) =>
        add(metric, series % 2 === 0 ? "a" : "b", window * 20, value);
      if (series >= 2) {
        result("number_f64_sum", sum);
        result("number_f64_count", numbers.length);
        continue;
      }
      result("number_u64_sum_sum", sum);
      result("number_u64_sum_count", 1);
      result("number_u64_count_sum", numbers.length);
      result("number_u64_count_count", 1);
    }
  }
  for (let number = 0; number < 230; number++) {
    const raw = (metric: string, letter: string, value = number) =>
      add(metric, letter, Math.floor(number / 5), value, nanosOf(number));
    if (number % 8 >= 6) raw("number_use", "");
    if (number % 8 !== 4 && number % 8 !== 5) continue;
    const letter = number % 8 === 4 ? "a" : "b";
    raw("number_energy", letter);
    for (const part of [0.25, 0.75]) {
      raw(letter === "a" ? "client_share" : "server_share", letter, part * number);
    }
  }
  change(points);
  return points;
}

const inWindows = (points: StoredPoint[], durable = 200) =>
  checkWindows([{ life: 1, begun: 250, taken: 240, durable }], new Set(), points, ["client", "server"])
    .problems;

Deno.test("windows that have each of their points once are right", () => {
  assert.deepEqual(inWindows(results()), []);
});

Deno.test("a missing point, one that is there twice, and a result that is there twice are found in windows", () => {
  assert.match(inWindows(results(), 235)[0], /5 points missing/);
  assert.match(inWindows(results((points) => points.push(points[0])))[0], /in 2 rows/);
  assert.match(inWindows(results((points) => points.splice(3, 1))).join(), /undefined in 0 rows/);
  const wrong = ({ number, ...rest }: StoredPoint, by: number) => ({ ...rest, number: number + by });
  assert.match(inWindows(results((points) => points[0] = wrong(points[0], 4)))[0], /number_u64_sum_sum is/);
  // In one window too much, in another one too little.
  const moved = results((points) => {
    const counts = points.filter(({ metric, letter }) => metric === "number_f64_count" && letter === "a");
    points[points.indexOf(counts[0])] = wrong(counts[0], 1);
    points[points.indexOf(counts[1])] = wrong(counts[1], -1);
  });
  assert.equal(inWindows(moved).length, 2);
});

Deno.test("shares that do not add up to their energy are found, and energies and uses that are there twice", () => {
  const last = (points: StoredPoint[], metric: string) =>
    points.findLast((point) => point.metric === metric)!;
  for (const metric of ["client_share", "server_share", "number_energy", "number_use"]) {
    const twice = results((points) => points.push(last(points, metric)));
    assert.match(inWindows(twice).join(), new RegExp(`${metric} is .* in (2|3) rows`));
    const missing = results((points) => points.splice(points.indexOf(last(points, metric)), 1));
    assert.match(inWindows(missing).join(), new RegExp(`${metric} is|nothing explains`));
  }
  const stray = results((points) => points.push({ ...last(points, "number_use"), metric: "hop_share" }));
  assert.match(inWindows(stray)[0], /a result of nothing: hop_share/);
});
