/** What is made of the points of a window. */
import type { Metric, Unit, ValueType } from "../../points/measurement.ts";
import { rateUnit, unitFactor } from "../../points/units.ts";

/** The points of one window of one series, in order; integers above 2^53 are exact in `exact`. */
export interface WindowContent {
  readonly isU64: boolean;
  /** At least 1. */
  readonly count: number;
  readonly sum: number;
  /** If a function needs them; otherwise 0. */
  readonly min: number;
  readonly max: number;
  /** If a function needs it; otherwise 0. */
  readonly last: number;
  /** All values, in the order in which they came, if a function needs them. */
  readonly values: readonly number[];
  readonly exact: ExactContent | undefined;
  readonly intervalMs: number;
}

/** The same as integers, once one of them is above 2^53. */
export interface ExactContent {
  sum: bigint;
  min: bigint;
  max: bigint;
  last: bigint;
}

/** What windows keep beside count and sum, because a function needs it. */
export interface WindowNeeds {
  readonly extremes: boolean;
  readonly last: boolean;
  readonly values: boolean;
}

export interface WindowFunction {
  /** What is appended to the name of the metric, after `_`. */
  readonly suffix: string;
  /** What it needs besides the count and the sum. @default nothing */
  readonly needs?: keyof WindowNeeds;
  /** The type and unit of the result. @default those of the metric */
  readonly type?: ValueType;
  unit?(unit: Unit): Unit;
  /** @param metric That of the points. */
  of(window: WindowContent, metric: Metric): number | bigint;
}

const MAX_U64 = 2n ** 64n - 1n;

function sumOf({ sum, exact }: WindowContent): number | bigint {
  if (!exact) return sum;
  return exact.sum > MAX_U64 ? MAX_U64 : exact.sum;
}

/** As Alumet has it: the mean of integers is an integer, rounded down. */
function meanOf({ sum, count, isU64, exact }: WindowContent): number | bigint {
  if (exact) return exact.sum / BigInt(count);
  return isU64 ? Math.floor(sum / count) : sum / count;
}

const MS_PER_SECOND = 1000;

function rateOf({ sum, exact, intervalMs }: WindowContent, { unit }: Metric): number {
  const total = exact ? Number(exact.sum) : sum;
  return total * MS_PER_SECOND / intervalMs * (unit.base === "s" ? unitFactor(unit) ?? 1 : 1);
}

const FUNCTIONS: Readonly<Record<string, WindowFunction>> = {
  Sum: { suffix: "sum", of: sumOf },
  Mean: { suffix: "mean", of: meanOf },
  Min: { suffix: "min", needs: "extremes", of: ({ min, exact }) => exact?.min ?? min },
  Max: { suffix: "max", needs: "extremes", of: ({ max, exact }) => exact?.max ?? max },
  Last: { suffix: "last", needs: "last", of: ({ last, exact }) => exact?.last ?? last },
  Count: { suffix: "count", type: "u64", unit: () => ({ base: "1", prefix: "" }), of: ({ count }) => count },
  Rate: { suffix: "rate", type: "f64", unit: rateUnit, of: rateOf },
};

/** `Sum`, `P99.9` …; `undefined` where there is no such function. */
export function functionOf(name: string): WindowFunction | undefined {
  if (Object.hasOwn(FUNCTIONS, name)) return FUNCTIONS[name];
  const percent = /^P(\d{1,3}(?:\.\d{1,3})?)$/.exec(name)?.[1];
  if (percent === undefined || Number(percent) > 100) return undefined;
  return {
    suffix: `p${percent.replace(".", "_")}`,
    needs: "values",
    of: ({ values }) => percentile(values, Number(percent)),
  };
}

/** The least of the values that is not less than `percent` % of them (the nearest rank). */
function percentile(values: readonly number[], percent: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(percent / 100 * sorted.length) - 1)];
}
