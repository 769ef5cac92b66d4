/** `alumet-relay exec`: runs a program, and prints what it used. */
import { EXIT, ExitError } from "../base/errors.ts";
import { PROGRAM } from "./declarations.ts";
import { measuredParts, measureWhile } from "./exec/measuring.ts";
import { openPrinter } from "./exec/options.ts";
import { runProgram, StartError } from "./exec/program.ts";
import type { MeasuredRun } from "./exec/report.ts";
import { Signals } from "./exec/signals.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

const MOST_RUNS = 100_000;

export async function exec(line: CommandLine, world: Surroundings): Promise<number> {
  const { program } = line;
  if (program.length === 0) {
    throw new ExitError(EXIT.usage, `Cannot run nothing: write ${PROGRAM} exec -- COMMAND ARGS`);
  }
  const repeat = repeatOf(line);
  const parts = await measuredParts(line, world);
  using printer = openPrinter(line, world);
  using signals = new Signals();
  const runs: MeasuredRun[] = [];
  try {
    // A run that failed says nothing about the next one, and a signal ends them all.
    while (runs.length < repeat && signals.received === undefined && !runs.at(-1)?.exitCode) {
      runs.push(await measureWhile(parts, (processes) => runProgram(program, signals, processes)));
    }
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    world.stderr(`${PROGRAM}: ${error.message}\n`);
    return error.exitCode;
  }
  const last = runs.at(-1);
  if (!last) return 128 + signals.received!;
  printer.print(program, runs);
  return line.has("ignore-exit-code") ? EXIT.ok : last.exitCode!;
}

function repeatOf(line: CommandLine): number {
  const text = line.value("repeat") ?? "1";
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= MOST_RUNS) return number;
  throw new ExitError(EXIT.usage, `Cannot use --repeat ${text}: expected a number from 1 to ${MOST_RUNS}`);
}
