/** The lock of a directory, for one process at a time. */
import { EXIT, ExitError, messageOf } from "../../../base/errors.ts";
import { lockFile, type LockResult } from "../../../base/file_lock.ts";

/**
 * Takes the lock; closing the file releases it.
 *
 * @throws {ExitError} 69 if another process has it.
 */
export async function lockDirectory(directory: string): Promise<Deno.FsFile> {
  const where = `Cannot use the journal in ${directory}`;
  let result: LockResult;
  try {
    result = await lockFile(`${directory}/lock`);
  } catch (error) {
    throw new ExitError(EXIT.unavailable, `${where}: ${messageOf(error)}`, { cause: error });
  }
  if ("file" in result) return result.file;
  throw new ExitError(
    EXIT.unavailable,
    `${where}: ${result.holder} uses it. Stop that process, or give this one a directory of its own`,
  );
}
