/** Registers that count energy, and where it is used. */
import type { EnergyScale } from "../polling/energy_counter.ts";
import type { U64 } from "../polling/scan.ts";

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
export interface EnergyRegister extends Place, EnergyScale {
  /** For the log. */
  readonly file: string;
  /** The largest value, after which it begins at 0 again; `undefined` where no hardware width is known. */
  readonly max: U64 | undefined;
  /** The value; `undefined` where it cannot be read. */
  read(): U64 | undefined;
  /** Whether it no longer exists. */
  readonly isGone: boolean;
  close(): void;
}
