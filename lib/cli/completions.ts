/** `alumet-relay completions`: scripts with which shells complete the command line. */
import type { Surroundings } from "./world.ts";
import { EXIT, ExitError } from "../base/errors.ts";
import { didYouMean } from "../base/suggest.ts";
import { bashCompletion } from "./completions/bash.ts";
import { fishCompletion } from "./completions/fish.ts";
import { type Grammar, grammarOf } from "./completions/grammar.ts";
import { zshCompletion } from "./completions/zsh.ts";
import { PROGRAM } from "./declarations.ts";
import type { CommandLine } from "./parse.ts";

const SCRIPTS: Readonly<Record<string, (grammar: Grammar) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** Prints the script of a shell. @throws {ExitError} 64 if it is not one of them. */
export async function completions(line: CommandLine, world: Surroundings): Promise<number> {
  const shell = line.argument;
  const shells = Object.keys(SCRIPTS);
  if (shell === undefined || !Object.hasOwn(SCRIPTS, shell)) {
    throw new ExitError(
      EXIT.usage,
      shell === undefined
        ? `Name the shell: ${PROGRAM} completions ${shells.join("|")}`
        : `Cannot complete for ${shell}: expected ${shells.join(", ")}${didYouMean(shell, shells)}`,
    );
  }
  world.stdout(SCRIPTS[shell](grammarOf(await world.plugins())));
  return EXIT.ok;
}
