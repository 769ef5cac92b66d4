/** `alumet-relay watch`: measures a process that runs already until it ends, and prints what it used meanwhile. */
import { EXIT, ExitError } from "../base/errors.ts";
import { PROGRAM } from "./declarations.ts";
import { measuredParts, measureWhile } from "./exec/measuring.ts";
import { openPrinter } from "./exec/options.ts";
import { watchProcess } from "./exec/running.ts";
import type { CommandLine } from "./parse.ts";
import { ENDING, stopOnSignal } from "./stop_signals.ts";
import type { Surroundings } from "./world.ts";

export async function watch(line: CommandLine, world: Surroundings): Promise<number> {
  const pid = pidOf(line.argument);
  const parts = await measuredParts(line, world);
  using printer = openPrinter(line, world);
  const command = commandOf(pid);
  // They end the watching, and not the process that is watched.
  using stop = stopOnSignal(ENDING);
  const run = await measureWhile(parts, (processes) => watchProcess(pid, stop.signal, processes));
  printer.print(command, [run]);
  return EXIT.ok;
}

function pidOf(word: string | undefined): number {
  if (word !== undefined && /^[1-9]\d{0,9}$/.test(word)) return Number(word);
  const what = word === undefined ? "nothing" : word;
  throw new ExitError(
    EXIT.usage,
    `Cannot watch ${what}: write ${PROGRAM} watch PID, with the number of a process`,
  );
}

/** The arguments of a process, or its name in brackets. @throws {ExitError} 69 if there is none */
function commandOf(pid: number): string[] {
  try {
    const words = Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0").slice(0, -1);
    return words.length > 0 ? words : [`[${Deno.readTextFileSync(`/proc/${pid}/comm`).trim()}]`];
  } catch {
    throw new ExitError(EXIT.unavailable, `Cannot watch ${pid}: there is no such process`);
  }
}
