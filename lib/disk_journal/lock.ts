/** One process at a time in a directory. */
import { EXIT, ExitError, messageOf } from "../errors.ts";

/** How long to wait for a process that is just ending, where trying without waiting is not possible. */
const PATIENCE_MS = 1000;

/**
 * Takes the lock; closing the file gives it back.
 *
 * @throws {ExitError} 69 if another process has it.
 */
export async function lockDirectory(directory: string): Promise<Deno.FsFile> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(`${directory}/lock`, { create: true, write: true });
  } catch (error) {
    throw new ExitError(EXIT.unavailable, `Cannot use the journal in ${directory}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (await tryLock(file)) return file;
  throw new ExitError(
    EXIT.unavailable,
    `Cannot use the journal in ${directory}: another process uses it. ` +
      "Stop that process, or give this one a directory of its own",
  );
}

async function tryLock(file: Deno.FsFile): Promise<boolean> {
  // Deno 2.6 only has lock, which waits.
  const trying = (file as { tryLock?: (exclusive: boolean) => Promise<boolean> }).tryLock?.(true);
  if (trying) {
    const taken = await trying;
    if (!taken) file.close();
    return taken;
  }
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<false>((resolve) => timer = setTimeout(() => resolve(false), PATIENCE_MS));
  const locking = file.lock(true).then(() => true as const);
  const taken = await Promise.race([locking, late]).finally(() => clearTimeout(timer));
  // Should it come after all, it goes back.
  if (!taken) locking.then(() => file.close(), () => {});
  return taken;
}
