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

/** The unit with that name: its unique name (`kiloW.h`), or as people read it (`kWh`); `undefined` for no unit of Alumet's. */
export function parseUnit(text: string): Unit | undefined {
  for (const prefix of Object.keys(PREFIX_DISPLAY)) {
    for (const base of [...ALUMET_BASES, "g_CO2"]) {
      const unit: Unit = { base, prefix };
      if (text === unitUniqueName(unit) || text === unitDisplayName(unit)) return unit;
    }
  }
  return undefined;
}

/**
 * What a value in one unit is in another: `value * factor / divisor + offset`. Two whole numbers, because a product with
 * 1/3,600,000 is rounded twice.
 */
export interface Conversion {
  readonly factor: number;
  readonly divisor: number;
  readonly offset: number;
}

/** Bases that measure the same: `value * factor / divisor + offset`. */
const SAME_QUANTITY: readonly (readonly [from: string, to: string, Conversion])[] = [
  ["W.h", "J", { factor: 3600, divisor: 1, offset: 0 }],
  ["J", "W.h", { factor: 1, divisor: 3600, offset: 0 }],
  ["1", "%", { factor: 100, divisor: 1, offset: 0 }],
  ["%", "1", { factor: 1, divisor: 100, offset: 0 }],
  ["Cel", "[degF]", { factor: 9, divisor: 5, offset: 32 }],
  ["[degF]", "Cel", { factor: 5, divisor: 9, offset: -160 / 9 }],
];

/** The bases of units that measure the same as a unit. */
export function basesAlike({ base }: Unit): string[] {
  return [base, ...SAME_QUANTITY.filter(([, to]) => to === base).map(([from]) => from)];
}

/** How values are converted; `undefined` where the units do not measure the same. */
export function conversionOf(from: Unit, to: Unit): Conversion | undefined {
  const [before, after] = [unitFactor(from), unitFactor(to)];
  const bases = from.base === to.base
    ? { factor: 1, divisor: 1, offset: 0 }
    : SAME_QUANTITY.find(([one, other]) => one === from.base && other === to.base)?.[2];
  if (before === undefined || after === undefined || bases === undefined) return undefined;
  const isSmall = (factor: number) => factor < 1;
  const whole = (factor: number) => Math.round(isSmall(factor) ? 1 / factor : factor);
  const above = (isSmall(before) ? 1 : whole(before)) * (isSmall(after) ? whole(after) : 1) * bases.factor;
  const below = (isSmall(before) ? whole(before) : 1) * (isSmall(after) ? 1 : whole(after)) * bases.divisor;
  const common = above % below === 0 ? below : below % above === 0 ? above : 1;
  return { factor: above / common, divisor: below / common, offset: bases.offset / after };
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

/** The unit with that name; one that Alumet does not know is its own base. */
export function unitOf(text: string): Unit {
  return parseUnit(text) ?? { base: text, prefix: "" };
}

/** The unit of a value by second: joules become watts, and CPU seconds a number. */
export function rateUnit(unit: Unit): Unit {
  if (unit.base === "J") return { ...unit, base: "W" };
  if (unit.base === "s") return { base: "1", prefix: "" };
  return { ...unit, base: `${unit.base}/s` };
}
