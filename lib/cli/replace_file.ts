/** Files of the administrator that a command creates or changes: after an error they are as they were. */
import { messageOf } from "../base/errors.ts";

/**
 * Creates a file.
 *
 * @param mode Of the file, before the umask.
 * @throws {Deno.errors.AlreadyExists} if there is something with that name, and what the file system throws.
 */
export function createFile(path: string, text: string, mode = 0o666): void {
  const file = Deno.openSync(path, { write: true, createNew: true, mode });
  try {
    using _file = file;
    writeAll(file, text);
  } catch (error) {
    removeQuietly(path);
    throw error;
  }
}

/**
 * Replaces what a file says, or creates it. Its readers find the old text or the new one, whole, and it keeps its mode and its
 * owner. Where the path is a link, the file that it leads to is replaced; what is no file (`/dev/stdout`) is written to.
 *
 * @param mode Of a file that is new, before the umask.
 * @throws what the file system throws
 */
export function replaceFile(path: string, text: string, mode = 0o666): void {
  const before = existing(path);
  if (!before) return createFile(path, text, mode);
  if (!before.isFile) return Deno.writeTextFileSync(path, text, { create: false });
  const target = Deno.realPathSync(path);
  const temporary = `${target}.${Deno.pid}.tmp`;
  createFile(temporary, text, 0o600);
  try {
    keepOwner(temporary, before);
    if (before.mode !== null) Deno.chmodSync(temporary, before.mode & 0o7777);
    Deno.renameSync(temporary, target);
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
}

function existing(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Whoever reads the file by its group must be able to do so afterwards. */
function keepOwner(path: string, { uid, gid }: Deno.FileInfo): void {
  const made = Deno.statSync(path);
  if (uid === null || gid === null || made.uid === uid && made.gid === gid) return;
  try {
    Deno.chownSync(path, uid, gid);
  } catch (error) {
    throw new Error(
      `its owner ${uid}:${gid} cannot be kept (${
        messageOf(error)
      }); run this command as that user or as root`,
    );
  }
}

function writeAll(file: Deno.FsFile, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
  file.syncSync();
}

function removeQuietly(path: string): void {
  try {
    Deno.removeSync(path);
  } catch { /* it is gone, or cannot be removed either */ }
}
