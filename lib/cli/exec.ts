/** `alumet-relay exec`: runs a program, and prints what it used. */
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { findCountry } from "../transforms/energy_to_carbon/intensities.ts";
import { PROGRAM } from "./declarations.ts";
import { EnergyMeter } from "./exec/energy.ts";
import { type ProgramRun, runProgram, StartError } from "./exec/program.ts";
import { type Intensity, type MeasuredRun, reportOf, tableOf } from "./exec/report.ts";
import { Signals } from "./exec/signals.ts";
import { runInputs, type WatchedInput, watchedInputs } from "./inputs.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

const MOST_RUNS = 100_000;

export async function exec(line: CommandLine, world: Surroundings): Promise<number> {
  const { program } = line;
  if (program.length === 0) {
    throw new ExitError(EXIT.usage, `Cannot run nothing: write ${PROGRAM} exec -- COMMAND ARGS`);
  }
  const intensity = intensityOf(line);
  const repeat = repeatOf(line);
  const watched = (await watchedInputs(line, world)).filter(({ plugin }) => plugin.measuresEnergy);
  using report = openReport(line.value("report"));
  using signals = new Signals();
  const runs: MeasuredRun[] = [];
  try {
    // A run that failed says nothing about the next one, and a signal ends them all.
    while (runs.length < repeat && signals.received === undefined && !runs.at(-1)?.exitCode) {
      runs.push(await measure(watched, program, signals));
    }
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    world.stderr(`${PROGRAM}: ${error.message}\n`);
    return error.exitCode;
  }
  if (runs.length === 0) return 128 + signals.received!;
  const result = reportOf(program, runs, intensity);
  const text = line.has("json") ? JSON.stringify(result) + "\n" : tableOf(result);
  if (report) report.write(text);
  else world.stderr(text);
  return result.exit_code;
}

/** Runs the program once, between the first and the last poll of the inputs. */
async function measure(
  watched: readonly WatchedInput[],
  program: readonly string[],
  signals: Signals,
): Promise<MeasuredRun> {
  const meter = new EnergyMeter();
  const stop = new AbortController();
  let running: Promise<ProgramRun> | undefined;
  await runInputs(watched, (batch) => meter.take(batch), {
    stop: stop.signal,
    signals: false,
    onRunning() {
      running = runProgram(program, signals);
      running.catch(() => {}).finally(() => stop.abort());
    },
  });
  // Whether inputs run or not, the program does.
  const run = await (running ?? runProgram(program, signals));
  const energy = watched.flatMap(({ plugin, input }) => meter.of(plugin.name, input?.findings ?? []));
  return { ...run, energy };
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

function repeatOf(line: CommandLine): number {
  const text = line.value("repeat") ?? "1";
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= MOST_RUNS) return number;
  throw new ExitError(EXIT.usage, `Cannot use --repeat ${text}: expected a number from 1 to ${MOST_RUNS}`);
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
