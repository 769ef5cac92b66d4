/** A lock on a file, for one process at a time. The system releases it when its holder ends in any way. */

import { delay } from "@std/async/delay";
import { within } from "./waiting.ts";

/** How often, and how far apart, to try to get it from a process that is ending: for about a second. */
const TRIES = 20;
const RETRY_MS = 50;

/** Either this process has the lock while `file` is open, or `holder` says in words who has it. */
export type LockResult = { readonly file: Deno.FsFile } | { readonly holder: string };

/**
 * Takes the lock of a file, creates the file if necessary, and writes the number of this process into it.
 *
 * @throws {Error} if the file cannot be opened.
 */
export async function lockFile(path: string): Promise<LockResult> {
  const file = await Deno.open(path, { create: true, write: true });
  if (!await tryLock(file)) {
    const pid = await Deno.readTextFile(path).catch(() => "");
    return { holder: /^\d+\n$/.test(pid) ? `process ${pid.trim()}` : "another process" };
  }
  try {
    await file.truncate(0);
    await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  } catch { /* the disk is full: only people read the number */ }
  return { file };
}

/**
 * Finds out who has the lock of a file, without taking it.
 *
 * @returns The number of the process, `null` for nobody, `undefined` if the system does not tell.
 */
export function lockHolder(path: string): number | null | undefined {
  let inode: number | null;
  try {
    inode = Deno.statSync(path).ino;
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? null : undefined;
  }
  try {
    // 1: FLOCK  ADVISORY  WRITE 4711 fe:01:262185 0 EOF
    for (const line of Deno.readTextFileSync("/proc/locks").split("\n")) {
      const [, pid, number] = /^\d+: +\w+ +\w+ +WRITE +(\d+) \w+:\w+:(\d+) /.exec(line) ?? [];
      if (number !== undefined && Number(number) === inode) return Number(pid);
    }
    return null;
  } catch {
    return undefined;
  }
}

type TryLock = (exclusive: boolean) => Promise<boolean>;

/**
 * Takes the lock of an open file. Closes the file if another process has the lock.
 *
 * @throws what the file system throws; the file is closed then as well.
 */
export async function tryLock(file: Deno.FsFile): Promise<boolean> {
  const { tryLock } = file as { tryLock?: TryLock };
  try {
    if (tryLock ? await inSomeTries(() => tryLock.call(file, true)) : await lockInTime(file)) return true;
  } catch (error) {
    file.close();
    throw error;
  }
  if (tryLock) file.close();
  return false;
}

/** Deno 2.6 has only `lock`, which waits. */
async function lockInTime(file: Deno.FsFile): Promise<boolean> {
  const locking = file.lock(true);
  const taken = await inSomeTries(() => within(locking, RETRY_MS));
  // If the lock arrives later, release it.
  if (!taken) locking.finally(() => file.close()).catch(() => {});
  return taken;
}

/** Tries are counted, and not the time: a process that was stopped meanwhile has not waited for the other one. */
async function inSomeTries(isTaken: () => Promise<boolean>): Promise<boolean> {
  for (let n = 1; n <= TRIES; n++) {
    const began = performance.now();
    if (await isTaken()) return true;
    if (n < TRIES) await delay(RETRY_MS - (performance.now() - began));
  }
  return false;
}

/**
 * Takes the lock of a folder, for a few steps on what is in it that belong together. Where the folder cannot be locked (this user
 * may not read it, or somebody keeps it locked for more than a second), nobody is held up by that.
 *
 * @returns what gives the lock back; `null` without the lock
 */
export async function lockFolder(path: string): Promise<Disposable | null> {
  try {
    const folder = await Deno.open(path);
    return await tryLock(folder) ? folder : null;
  } catch {
    return null;
  }
}
