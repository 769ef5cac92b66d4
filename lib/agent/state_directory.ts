/**
 * The state directory: one for all agents of a user or service, with a directory for each role, so that a client, a
 * server and a hop on one machine do not share one. Each is used by one process at a time.
 */
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { lockFile, type LockResult } from "../base/file_lock.ts";
import type { Plugin } from "../plugin.ts";

/** What a process does: it sends (client), receives (server), does both (hop), or neither (local). */
export type Role = "client" | "server" | "hop" | "local";

export const ROLES: readonly Role[] = ["client", "server", "hop", "local"];

/** The role of a process with these plugins. */
export function roleOf(plugins: readonly Plugin[]): Role {
  const receives = plugins.some((plugin) => plugin.kind === "input" && plugin.receives);
  const sends = plugins.some((plugin) => plugin.kind === "output" && plugin.sends);
  if (sends) return receives ? "hop" : "client";
  return receives ? "server" : "local";
}

/** The directory of all roles. */
export interface StateBase {
  readonly path: string;
  /** The flag or environment variable that sets it. */
  readonly from: string;
}

export const STATE_FLAG = "--state-dir";

/**
 * `--state-dir`, else `$STATE_DIRECTORY` (which systemd sets), else `$XDG_STATE_HOME/alumet-relay`, else
 * `~/.local/state/alumet-relay`; `null` if none of them is set.
 */
export function findStateBase(
  flag: string | undefined,
  env: (name: string) => string | undefined,
): StateBase | null {
  if (flag) return { path: flag, from: STATE_FLAG };
  // systemd separates several directories with colons; the first one is used.
  const given = env("STATE_DIRECTORY")?.split(":")[0];
  if (given) return { path: given, from: "STATE_DIRECTORY" };
  const session = env("XDG_STATE_HOME");
  if (session) return { path: `${session}/alumet-relay`, from: "XDG_STATE_HOME" };
  const home = env("HOME");
  return home ? { path: `${home}/.local/state/alumet-relay`, from: "HOME" } : null;
}

/** The directory of one role, held by this process. */
export class StateDirectory implements Disposable {
  readonly #lock: Deno.FsFile;

  private constructor(readonly path: string, lock: Deno.FsFile) {
    this.#lock = lock;
  }

  /** @throws {ExitError} if there is none (78), or it is not writable or used by another process (69). */
  static async open(base: StateBase | null, role: Role): Promise<StateDirectory> {
    if (!base) {
      throw new ExitError(
        EXIT.config,
        `There is no state directory: none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is set; ` +
          `name one with ${STATE_FLAG}`,
      );
    }
    const path = `${base.path}/${role}`;
    const where = `Cannot use the state directory ${path} (by ${base.from})`;
    let lock: LockResult;
    try {
      await Deno.mkdir(path, { recursive: true, mode: 0o750 });
      lock = await lockFile(`${path}/lock`);
    } catch (error) {
      throw new ExitError(
        EXIT.unavailable,
        `${where}: ${messageOf(error)}; name another one with ${STATE_FLAG}`,
        { cause: error },
      );
    }
    if ("file" in lock) return new StateDirectory(path, lock.file);
    throw new ExitError(
      EXIT.unavailable,
      `${where}: ${lock.holder} uses it; stop that process, or give this one another directory with ${STATE_FLAG}`,
    );
  }

  [Symbol.dispose](): void {
    this.#lock.close();
  }
}

/** The folder of the journal in the directory of a role, unless `journal.path` is set. */
export const JOURNAL_FOLDER = "journal";
