/** The carbon intensity of electricity. */
import { TABLE } from "./table.ts";

/** In g of CO₂ per kWh, as Alumet has it (International Energy Agency). */
export const WORLD_AVERAGE = 475;

export interface Country {
  readonly name: string;
  readonly gramsPerKwh: number;
  /** That the number is of. */
  readonly year: number;
}

let countries: Map<string, Country> | undefined;

/** The country with an ISO 3166-1 code of two or three letters, in capitals or not. */
export function findCountry(code: string): Country | undefined {
  countries ??= new Map(
    TABLE.trim().split("\n").flatMap((line) => {
      const [alpha3, alpha2, grams, year, ...name] = line.split(" ");
      const country = { name: name.join(" "), gramsPerKwh: Number(grams), year: Number(year) };
      return [[alpha3, country], [alpha2, country]] as const;
    }),
  );
  return /^[a-z]{2,3}$/i.test(code) ? countries.get(code.toUpperCase()) : undefined;
}
