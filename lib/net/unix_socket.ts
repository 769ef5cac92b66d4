/** Listens on a Unix socket. */
import { EXIT, ExitError, messageOf } from "../base/errors.ts";

/**
 * Listens on a path. A socket that another process has left behind is replaced; a file of another kind, and a socket that
 * somebody listens on, are not.
 *
 * @param mode Of the file, in octal digits.
 * @param key The key of the configuration, for errors.
 * @throws {ExitError} if that is not possible.
 */
export async function listenOnUnix(path: string, mode: string, key: string): Promise<Deno.UnixListener> {
  const fail = (reason: string, cause?: unknown) =>
    new ExitError(EXIT.unavailable, `Cannot listen on ${path} (${key}): ${reason}`, { cause });
  if (await isListening(path)) throw fail("another process listens on it; stop it, or choose another path");
  try {
    if (Deno.lstatSync(path).isSocket) Deno.removeSync(path);
    else throw fail("there is a file that is not a socket; remove it, or choose another path");
  } catch (error) {
    if (error instanceof ExitError) throw error;
    if (!(error instanceof Deno.errors.NotFound)) throw fail(messageOf(error), error);
  }
  // The file has its mode from the first moment on: nobody else can connect before.
  const umask = Deno.umask(0o777 & ~parseInt(mode, 8));
  try {
    return Deno.listen({ transport: "unix", path });
  } catch (error) {
    throw fail(messageOf(error), error);
  } finally {
    Deno.umask(umask);
  }
}

async function isListening(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch {
    return false;
  }
}

/** Removes the file of a socket that this process listened on. */
export function removeSocket(path: string): void {
  try {
    Deno.removeSync(path);
  } catch { /* it is gone */ }
}
