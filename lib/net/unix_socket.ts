/** Listens on a Unix socket. */
import { basename, dirname } from "node:path";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { lockFolder } from "../base/file_lock.ts";

/** A socket that this process listens on, under its name. */
export interface UnixSocket extends Disposable {
  readonly listener: Deno.UnixListener;
  /** Removes the file if it is still that of this socket, and closes the listener. May be called twice. */
  close(): void;
}

/**
 * Listens on a path. A socket that another process has left behind is replaced; a file of another kind, and a socket that
 * somebody listens on, are not. Of processes that start at the same time, one listens, and the others get an error.
 *
 * @param mode Of the file, in octal digits.
 * @param key The key of the configuration, for errors.
 * @throws {ExitError} if that is not possible.
 */
export async function listenOnUnix(path: string, mode: string, key: string): Promise<UnixSocket> {
  const fail = (reason: string, cause?: unknown) =>
    new ExitError(EXIT.unavailable, `Cannot listen on ${path} (${key}): ${reason}`, { cause });
  try {
    // Nobody else looks for a socket and replaces it meanwhile.
    using _lock = await lockFolder(dirname(path));
    const problem = await problemOf(path);
    if (problem !== undefined) throw fail(problem);
    return bind(path, mode);
  } catch (error) {
    throw error instanceof ExitError ? error : fail(messageOf(error), error);
  }
}

/** Why the path must not be replaced; `undefined` where there is nothing, or a socket that was left behind. */
async function problemOf(path: string): Promise<string | undefined> {
  try {
    if (!Deno.lstatSync(path).isSocket) {
      return "there is a file that is not a socket; remove it, or choose another path";
    }
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    const { ConnectionRefused, NotFound, WouldBlock } = Deno.errors;
    if (error instanceof ConnectionRefused || error instanceof NotFound) return undefined;
    // It has as many connections as may wait for it: somebody listens.
    if (!(error instanceof WouldBlock)) {
      return `another process may listen on it (${
        messageOf(error)
      }); stop it and remove the file, or choose another path`;
    }
  }
  return "another process listens on it; stop it, or choose another path";
}

/** @throws what the system says. */
function bind(path: string, mode: string): UnixSocket {
  // Deno removes the path of a listener that is closed, whoever has bound it meanwhile: it gets one that nobody knows.
  const temporary = temporaryPath(path);
  // The file has its mode from the first moment on: nobody else can connect before.
  const umask = Deno.umask(0o777 & ~parseInt(mode, 8));
  let listener: Deno.UnixListener;
  try {
    listener = Deno.listen({ transport: "unix", path: temporary });
  } finally {
    Deno.umask(umask);
  }
  let ours: Deno.FileInfo;
  try {
    ours = Deno.lstatSync(temporary);
    Deno.renameSync(temporary, path);
  } catch (error) {
    listener.close();
    throw error;
  }
  let isOpen = true;
  const close = () => {
    if (!isOpen) return;
    isOpen = false;
    // While it listens, no other process takes the path.
    try {
      const there = Deno.lstatSync(path);
      if (there.ino === ours.ino && there.dev === ours.dev) Deno.removeSync(path);
    } catch { /* it is gone */ }
    listener.close();
  };
  return { listener, close, [Symbol.dispose]: close };
}

/** In the same folder, and no longer, because the system takes 107 bytes. */
function temporaryPath(path: string): string {
  const length = Math.max(4, Math.min(10, basename(path).length - 1));
  const digits = crypto.getRandomValues(new Uint32Array(2)).reduce((text, n) => text + n.toString(36), "");
  return `${dirname(path)}/.${digits.padEnd(length, "0").slice(0, length)}`;
}
