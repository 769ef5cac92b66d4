/** What points with numbers look like, for who makes and who checks them. */
import type { ValueType } from "../../lib/points/measurement.ts";

/** One of the series of a life: number n belongs to the one at n modulo how many there are. */
export interface SeriesOfLife {
  readonly name: string;
  readonly type: ValueType;
  readonly letter: "a" | "b";
  /** Its points say what the consumer with that letter used. */
  readonly isUse: boolean;
}

export const ENERGY = "number_energy";
export const USE = "number_use";

/** @param energies Whether there are energies, which a transform may divide by uses. */
export function seriesOfLife(energies: boolean): SeriesOfLife[] {
  const of = (name: string, type: ValueType) =>
    (["a", "b"] as const).map((letter) => ({ name, type, letter, isUse: name === USE }));
  const plain = [...of("number_u64", "u64"), ...of("number_f64", "f64")];
  return energies ? [...plain, ...of(ENERGY, "f64"), ...of(USE, "f64")] : plain;
}

/** A time shows which point it belongs to. */
export function nanosOf(number: number): number {
  return (number * 7919) % 1_000_000_000;
}

/** A time that shows how many points of its life came before: so many of them share a second. */
export function secondOf(number: number, perSecond: number): number {
  return FIRST_SECOND + Math.floor(number / perSecond);
}

const FIRST_SECOND = 1_700_000_000;

/** The number of a point with a time of {@linkcode secondOf} and {@linkcode nanosOf}; `undefined` if it is that of none. */
export function numberAt(seconds: number, nanos: number, perSecond: number): number | undefined {
  const first = (seconds - FIRST_SECOND) * perSecond;
  for (let number = first; number < first + perSecond; number++) {
    if (number >= 0 && nanosOf(number) === nanos) return number;
  }
  return undefined;
}
