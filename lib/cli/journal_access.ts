/** What the journal commands share. */
import { EXIT, ExitError, messageOf } from "../base/errors.ts";

/** What the commands need of the world. */
export interface JournalWorld {
  stdout: (text: string) => void;
  stderr: (text: string) => void;
  env: (name: string) => string | undefined;
}

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
