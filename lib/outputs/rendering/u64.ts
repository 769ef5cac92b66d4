/** Values that are not what the type of their metric says. */
import type { Batch } from "../../points/measurement.ts";
import { SERIES_FLAGS } from "../../points/series_store.ts";
import { formatF64 } from "./numbers.ts";

/** Above this, a u64 stands exactly in `Batch.exact`. */
const MAX_SAFE = 9_007_199_254_740_992;

/** Why the value of a row cannot be stored: it is a u64, and not an exact one. `undefined` for all others. */
export function valueProblem(batch: Batch, row: number): string | undefined {
  const value = batch.values[row];
  if (value >= 0 && value <= MAX_SAFE && Math.floor(value) === value) return undefined;
  if ((batch.store.flags[batch.series[row]] & SERIES_FLAGS.u64) === 0) return undefined;
  if (batch.exact?.has(row)) return undefined;
  return `the metric has values of type u64, and ${formatF64(value)} is not an exact one`;
}

/** The rows of a batch that cannot be stored, with the reason for each: nearly always none. */
export function valueProblems(batch: Batch): { row: number; reason: string }[] {
  const problems = [];
  for (let row = 0; row < batch.length; row++) {
    const reason = valueProblem(batch, row);
    if (reason !== undefined) problems.push({ row, reason });
  }
  return problems;
}
