/** What the journal commands share: finding journals, and errors of reading them. */
import { JOURNAL_FOLDER, STATE_FLAG } from "../agent/state_directory.ts";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import type { CommandLine } from "./parse.ts";
import { Search } from "./state.ts";
import type { Surroundings } from "./world.ts";

/** @throws {ExitError} 69 with the directory, if the work fails. */
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
export async function findJournals(line: CommandLine, world: Surroundings): Promise<string[]> {
  const search = new Search(line, world);
  const found = await search.find(JOURNAL_FOLDER);
  if (found.length === 0) throw search.missing("journal", `${STATE_FLAG} or --path`);
  search.note();
  return found.map(({ path }) => path);
}
