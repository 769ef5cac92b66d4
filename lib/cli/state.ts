/** Where commands find what processes keep: in the user's state directory, and in those of services. */
import { findStateBase, type Role, ROLES, STATE_FLAG, type StateBase } from "../agent/state_directory.ts";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

/**
 * The state directories to look into: the one of `--state-dir` or `$STATE_DIRECTORY`, or else the user's and those of
 * the services.
 */
function stateBases(line: CommandLine, world: Surroundings): StateBase[] {
  const base = findStateBase(line.value("state-dir"), world.env);
  if (base && (base.from === STATE_FLAG || base.from === "STATE_DIRECTORY")) return [base];
  return [...base ? [base] : [], ...world.services()];
}

/** What a role has below a state directory. */
export interface Place {
  readonly base: StateBase;
  readonly role: Role;
  readonly path: string;
}

/** Searches all state directories, and remembers which of them it could not read. */
export class Search {
  readonly #world: Surroundings;
  readonly #bases: readonly StateBase[];
  readonly #refused = new Map<StateBase, string>();

  constructor(line: CommandLine, world: Surroundings) {
    this.#world = world;
    this.#bases = stateBases(line, world);
  }

  /** Whether there is no state directory. */
  get isNowhere(): boolean {
    return this.#bases.length === 0;
  }

  /** The files of this name in the directories of all roles. @throws {ExitError} if --state-dir names no directory. */
  async find(name: string): Promise<Place[]> {
    await this.#checkNamed();
    const found: Place[] = [];
    for (const base of this.#bases) {
      for (const role of ROLES) {
        const path = `${base.path}/${role}/${name}`;
        if (await this.try(base, () => Deno.stat(path))) found.push({ base, role, path });
      }
    }
    return found;
  }

  /** In a directory that is misspelt there is nothing, which is not what was asked. */
  async #checkNamed(): Promise<void> {
    const named = this.#bases.find(({ from }) => from === STATE_FLAG);
    if (!named) return;
    await Deno.stat(named.path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) return;
      throw new ExitError(EXIT.unavailable, `There is no directory ${named.path} (by ${STATE_FLAG})`);
    });
  }

  /** The result of the work; `undefined` if a file does not exist or cannot be read. */
  async try<T>(base: StateBase, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) this.#refused.set(base, reasonOf(error));
    }
  }

  /** @throws {ExitError} if a state directory could not be read, or there is none. */
  checkAllSeen(what: string, flag: string): void {
    if (this.isNowhere || this.#refused.size > 0) throw this.missing(what, flag);
  }

  /** Writes to standard error which directories it could not read. */
  note(): void {
    for (const line of this.#refusals) this.#world.stderr(`Note: ${line}\n`);
  }

  get #refusals(): string[] {
    return [...this.#refused].map(([{ path }, reason]) => `Cannot read ${path}: ${reason}`);
  }

  /** The error if nothing was found. @param what For example `journal`. @param flag The flag that names one. */
  missing(what: string, flag: string): ExitError {
    const line = (text: string) => `${text}; name one with ${flag}`;
    if (this.isNowhere) {
      return new ExitError(
        EXIT.config,
        line("There is no state directory: none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is set"),
      );
    }
    const looked = this.#bases.filter((base) => !this.#refused.has(base))
      .map(({ path, from }) => `${path} (by ${from})`);
    const none = looked.length > 0
      ? [`There ${what.endsWith("s") ? "are" : "is"} no ${what} in ${looked.join(" or ")}`]
      : [];
    return new ExitError(EXIT.unavailable, line([...none, ...this.#refusals].join(". ")));
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Deno.errors.PermissionDenied
    ? "permission denied. Run this as root, or as a member of the group that the directory belongs to"
    : messageOf(error);
}
