/** What the journal commands share: where the journals are, and reading them. */
import { findStateBase, journalDirectory, ROLES, STATE_FLAG } from "../agent/state_directory.ts";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

/** @throws {ExitError} 69 with the directory. */
export async function reading<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new ExitError(EXIT.unavailable, `Cannot read the journal in ${directory}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The journals of all roles. @throws {ExitError} if there are none. */
export async function findJournals(line: CommandLine, { env }: Surroundings): Promise<string[]> {
  const base = findStateBase(line.value("state-dir"), env);
  if (!base) {
    throw new ExitError(
      EXIT.config,
      `There is no state directory: none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is set; name one with ${STATE_FLAG}, ` +
        "or the journal with --path",
    );
  }
  const found: string[] = [];
  for (const role of ROLES) {
    const directory = journalDirectory(base, role);
    if (await Deno.stat(directory).catch(() => null)) found.push(directory);
  }
  if (found.length > 0) return found;
  throw new ExitError(
    EXIT.unavailable,
    `There is no journal in ${base.path} (by ${base.from}); name the directory with ${STATE_FLAG} or --path`,
  );
}
