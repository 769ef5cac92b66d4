/** The flags of `exec` and `watch`. */
import { EXIT, ExitError, messageOf } from "../../base/errors.ts";
import { findCountry } from "../../transforms/energy_to_carbon/intensities.ts";
import type { CommandLine } from "../parse.ts";
import type { Surroundings } from "../world.ts";
import { type Intensity, type MeasuredRun, reportOf, tableOf } from "./report.ts";

/** Prints what runs used. */
export interface Printer extends Disposable {
  /** @param runs At least one. */
  print(command: readonly string[], runs: readonly MeasuredRun[]): void;
}

/**
 * Reads `--country`, `--intensity`, `--json` and `--report`, and opens the file of the latter.
 *
 * @throws {ExitError} 64 if one is wrong, 69 if the file cannot be written.
 */
export function openPrinter(line: CommandLine, world: Surroundings): Printer {
  const intensity = intensityOf(line);
  const file = openReport(line.value("report"));
  return {
    print(command, runs) {
      const result = reportOf(command, runs, intensity);
      const text = line.has("json") ? JSON.stringify(result) + "\n" : tableOf(result);
      if (file) file.write(text);
      else world.stderr(text);
    },
    [Symbol.dispose]: () => file?.[Symbol.dispose](),
  };
}

function intensityOf(line: CommandLine): Intensity | null {
  const code = line.value("country");
  const grams = line.value("intensity");
  if (code !== undefined && grams !== undefined) {
    throw new ExitError(EXIT.usage, "Cannot use both --country and --intensity: give one of them");
  }
  if (grams !== undefined) {
    const number = Number(grams);
    if (!(number >= 0 && number < Infinity)) {
      throw new ExitError(
        EXIT.usage,
        `Cannot use --intensity ${grams}: expected g of CO₂ per kWh, such as 50`,
      );
    }
    return { g_per_kwh: number, country: null, year: null };
  }
  if (code === undefined) return null;
  const country = findCountry(code);
  if (!country) {
    throw new ExitError(
      EXIT.usage,
      `Cannot use --country ${code}: expected a code of ISO 3166, such as FR or FRA; --intensity takes a number instead`,
    );
  }
  return { g_per_kwh: country.gramsPerKwh, country: country.name, year: country.year };
}

/** Opens the file for the report before anything runs; `null` stands for standard error. */
function openReport(path: string | undefined): Disposable & { write: (text: string) => void } | null {
  if (path === undefined) return null;
  const fail = (error: unknown): never => {
    throw new ExitError(EXIT.unavailable, `Cannot write the report to ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  };
  try {
    const file = Deno.openSync(path, { write: true, create: true, truncate: true });
    return {
      write(text) {
        const bytes = new TextEncoder().encode(text);
        try {
          for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
        } catch (error) {
          fail(error);
        }
      },
      [Symbol.dispose]: () => file.close(),
    };
  } catch (error) {
    return fail(error);
  }
}
