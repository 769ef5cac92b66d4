/** Units of metrics: their names for people and for programs, and which of them Alumet knows. */
import type { Unit } from "./measurement.ts";

const BASE_DISPLAY: Readonly<Record<string, string>> = {
  "1": "",
  "Cel": "°C",
  "[degF]": "°F",
  "W.h": "Wh",
  "By": "B",
  "g_CO2": "gCO₂",
};

const PREFIX_DISPLAY: Readonly<Record<string, string>> = {
  nano: "n",
  micro: "μ",
  milli: "m",
  "": "",
  kilo: "k",
  mega: "M",
  giga: "G",
};

const ALUMET_BASES = new Set(["1", "s", "W", "J", "V", "A", "Hz", "Cel", "[degF]", "W.h", "By", "%"]);

const PREFIX_FACTOR: Readonly<Record<string, number>> = {
  nano: 1e-9,
  micro: 1e-6,
  milli: 1e-3,
  "": 1,
  kilo: 1e3,
  mega: 1e6,
  giga: 1e9,
};

/** What one of the unit is in its base; `undefined` for a prefix that Alumet does not know. */
export function unitFactor({ prefix }: Unit): number | undefined {
  return PREFIX_FACTOR[prefix];
}

/** Whether a real Alumet server knows the unit. */
export function isAlumetUnit({ base, prefix }: Unit): boolean {
  return ALUMET_BASES.has(base) && Object.hasOwn(PREFIX_DISPLAY, prefix);
}

/** The unit as people read it (`kWh`, `°C`); a unit that Alumet does not know is shown by the names it came with. */
export function unitDisplayName(unit: Unit): string {
  return (PREFIX_DISPLAY[unit.prefix] ?? unit.prefix) + (BASE_DISPLAY[unit.base] ?? unit.base);
}

/** The unit by the names that definitions use (`kiloW.h`, `Cel`, `1`). */
export function unitUniqueName(unit: Unit): string {
  return unit.prefix + unit.base;
}
