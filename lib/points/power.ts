/**
 * Which series are power, and how they add up to the power of a host. Meters overlap: a package contains its cores, and a
 * meter of the whole machine contains everything. So each series has a role, and only what does not overlap is added.
 */
import type { SeriesDefinition, Unit } from "./measurement.ts";
import { LOCAL_MACHINE } from "./measurement.ts";
import { unitFactor } from "./units.ts";

/**
 * - `whole`: a meter of the whole machine;
 * - `part`: parts of a machine that do not contain each other, and together are what is known of it;
 * - `other`: a meter that is not known here, used where there is nothing else;
 * - `consumer`: what a process, a control group or a job uses;
 * - `inside`: contained in one of the others.
 */
export const ROLES = ["whole", "part", "other", "consumer", "inside"] as const;
export type PowerRole = typeof ROLES[number];

export interface PowerKind {
  readonly role: PowerRole;
  /** Watts, or joules since the last point, of one of the unit. */
  readonly factor: number;
  /** The values are energies since the last point. */
  readonly isEnergy: boolean;
}

/** Labels of the meter before a whole board. */
const BOARD_INPUTS = ["VDD_IN", "POM_5V_IN", "POM_5V_DC"];

/** Whether a unit is one of power or energy. */
export function isOfPower({ base }: Unit): boolean {
  return base === "W" || base === "J";
}

/** `null` for a series that is neither power nor energy. */
export function powerKindOf(series: SeriesDefinition): PowerKind | null {
  const { unit } = series.metric;
  const factor = unitFactor(unit);
  if (factor === undefined || !isOfPower(unit)) return null;
  return { role: roleOf(series), factor, isEnergy: unit.base === "J" };
}

function roleOf(
  { metric: { name, unit }, consumerKind, resourceKind, attributes }: SeriesDefinition,
): PowerRole {
  if (consumerKind !== LOCAL_MACHINE) return "consumer";
  const attribute = (wanted: string) => attributes.findLast(([name]) => name === wanted)?.[1];
  const domain = attribute("domain");
  if (typeof domain === "string") {
    if (domain === "platform_total") return "whole";
    return domain === "package_total" || domain === "dram_total" ? "part" : "inside";
  }
  if (attribute("sensor") === "total") return unit.base === "W" ? "whole" : "inside";
  if (name.startsWith("grace_")) return "inside";
  const chip = attribute("chip");
  if (chip !== undefined) return chip === "power_meter" && unit.base === "W" ? "whole" : "inside";
  const rail = attribute("ina_channel_label");
  if (rail !== undefined) return BOARD_INPUTS.includes(String(rail)) ? "whole" : "inside";
  const status = attribute("status");
  if (status !== undefined) return status === "Discharging" ? "whole" : "inside";
  if (resourceKind === "gpu") return unit.base === "W" ? "part" : "inside";
  return "other";
}

/** One meter of a host. */
export interface Meter {
  readonly role: PowerRole;
  readonly metric: string;
  readonly watts: number;
}

/** The power of a host, in watts; NaN where no meter says it. */
export function hostPower(meters: readonly Meter[]): number {
  const whole = largest(meters.filter(({ role }) => role === "whole"));
  if (!Number.isNaN(whole)) return whole;
  const parts = meters.filter(({ role }) => role === "part");
  if (parts.length > 0) return parts.reduce((sum, { watts }) => sum + watts, 0);
  return largest(meters.filter(({ role }) => role === "other"));
}

/** Meters of one metric are added; of several metrics the one that says most counts. */
function largest(meters: readonly Meter[]): number {
  const sums = new Map<string, number>();
  for (const { metric, watts } of meters) sums.set(metric, (sums.get(metric) ?? 0) + watts);
  return sums.size === 0 ? NaN : Math.max(...sums.values());
}
