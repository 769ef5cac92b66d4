/** The intervals that sums are kept for. */

export const SECONDS_PER_DAY = 86_400;

/** Sums by interval. */
export interface RollupOptions {
  /** The interval in seconds. */
  readonly every: number;
  /** For how long its sums are kept, in ms. */
  readonly keepMs: number;
}

const UNITS = [["d", SECONDS_PER_DAY], ["h", 3600], ["m", 60], ["s", 1]] as const;

/** Energies and masses are added up; of everything else the mean is the value of an interval. Bases of units. */
export const ADDED_UNITS = ["J", "W.h", "g_CO2"] as const;

/** The shortest text for an interval, which ends the name of its view: `1m`, `90s`. */
export function intervalName(seconds: number): string {
  const [unit, length] = UNITS.find(([, length]) => seconds % length === 0)!;
  return `${seconds / length}${unit}`;
}

/** The start of the interval that has a time. */
export function floorTo(seconds: number, step: number): number {
  return Math.floor(seconds / step) * step;
}
