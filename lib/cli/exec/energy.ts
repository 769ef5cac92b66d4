/** Adds up the energy that inputs measure. */
import type { Batch } from "../../points/measurement.ts";
import { unitFactor } from "../../points/units.ts";
import type { Finding } from "../../plugin.ts";

/** Energy of a part of the machine. Parts may contain each other. */
export interface Energy {
  readonly input: string;
  /** `energy of the package, socket 0`. */
  readonly what: string;
  readonly joules: number;
}

/** The points of one series. */
interface Sums {
  sum: number;
  /** The integral over time. */
  integral: number;
  points: number;
  seconds: number;
  value: number;
}

export class EnergyMeter {
  /** By the number of the series. */
  readonly #sums = new Map<number, Sums>();

  take(batch: Batch): void {
    for (let row = 0; row < batch.length; row++) {
      const value = batch.values[row];
      const seconds = batch.seconds[row] + batch.nanos[row] / 1e9;
      const sums = this.#sums.get(batch.series[row]);
      if (!sums) {
        this.#sums.set(batch.series[row], { sum: value, integral: 0, points: 1, seconds, value });
        continue;
      }
      sums.integral += (value + sums.value) / 2 * Math.max(0, seconds - sums.seconds);
      sums.sum += value;
      sums.points++;
      Object.assign(sums, { seconds, value });
    }
  }

  /** What an input has measured, of all that it has found. Of powers, it is their integral. */
  of(input: string, findings: readonly Finding[]): Energy[] {
    return findings.flatMap(({ what, series }) => {
      const sums = series && this.#sums.get(series.number);
      if (!sums) return [];
      const { metric: { unit }, attributes } = series;
      const factor = unitFactor(unit) ?? NaN;
      // A battery that is charged uses nothing.
      const status = attributes.find(([name]) => name === "status")?.[1];
      if (status !== undefined && status !== "Discharging") return [];
      if (unit.base === "J") return [{ input, what, joules: sums.sum * factor }];
      const isPower = unit.base === "W" && sums.points > 1;
      return isPower ? [{ input, what, joules: sums.integral * factor }] : [];
    });
  }
}
