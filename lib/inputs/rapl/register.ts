/** Registers that count energy, and how their values become joules. */
import { difference, type U64 } from "../polling/scan.ts";

/** What a register measures, by Alumet's names, in the order of the totals. */
export const DOMAINS = ["package", "pp0", "pp1", "dram", "platform"] as const;
export type Domain = typeof DOMAINS[number];

/** Where the energy is used. */
export interface Place {
  readonly domain: Domain;
  /** The package, by its number; 0 for the platform. */
  readonly socket: number;
  /** The die within the package. */
  readonly die: number;
}

/** Two registers of one place measure the same energy. */
export function keyOf({ domain, socket, die }: Place): string {
  return domain === "platform" ? domain : `${domain} ${socket} ${die}`;
}

/** A register that can be read. */
export interface EnergyRegister extends Place {
  /** For the log. */
  readonly file: string;
  /** The largest value, after which it begins at 0 again; `undefined` where no hardware width is known. */
  readonly max: U64 | undefined;
  /** Values to joules. */
  joules(steps: number): number;
  /** The value; `undefined` where it cannot be read. */
  read(): U64 | undefined;
  /** Whether it no longer exists. */
  readonly isGone: boolean;
  close(): void;
}

/** The power above which the result of a wrap is not plausible, in watts: no machine has so much behind one register. */
const MOST_WATTS = 10_000;

/** Turns the values of a register into energy. */
export class EnergyCounter {
  #before: U64 | undefined;
  #beforeMs = 0;

  constructor(readonly register: EnergyRegister) {}

  /**
   * The energy since the last value, in joules; `undefined` at the first value, and where the counter went back without
   * a plausible wrap: a suspend or a reset of the hardware begins at 0. NaN where the value is not a number.
   */
  advance(now: U64, nowMs: number): number | undefined {
    const before = this.#before;
    const seconds = (nowMs - this.#beforeMs) / 1000;
    this.#before = now;
    this.#beforeMs = nowMs;
    if (before === undefined) return undefined;
    const { register } = this;
    const steps = difference(now, before);
    if (steps !== undefined) return register.joules(Number(steps));
    const { max } = register;
    const left = max === undefined ? undefined : difference(max, before);
    if (left === undefined) return undefined;
    const joules = register.joules(Number(left) + Number(now) + 1);
    return joules <= MOST_WATTS * seconds ? joules : undefined;
  }
}
