/** What points with numbers look like, for who makes and who checks them. */
import type { ValueType } from "../../lib/points/measurement.ts";

/** Types of the two metrics, `number_u64` and `number_f64`. */
export const KINDS: readonly ValueType[] = ["u64", "f64"];

/** A time shows which point it belongs to. */
export function nanosOf(number: number): number {
  return (number * 7919) % 1_000_000_000;
}

/** A time that shows how many points of its life came before: so many of them share a second. */
export function secondOf(number: number, perSecond: number): number {
  return 1_700_000_000 + Math.floor(number / perSecond);
}
